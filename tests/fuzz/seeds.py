"""Seeds: documents of each kind, our own and, where they are at hand, real ones that nobody here made."""

import bz2
import functools
import gzip
import lzma
from collections.abc import Callable, Sequence
from itertools import islice

import msgspec
import zstandard

from mirrorpy.config.starter import starter
from mirrorpy.signatures.armour import iter_blocks
from mirrorpy.store.manifest import HEADER
from tests.integration.programs import data_folder
from tests.integration.signing import RSA_HEADER, Rpm
from tests.integration.upstream import build_rpm
from tests.property import test_package, test_packages, test_parsers, test_yum_files
from tests.unit import test_listing
from tests.unit.documents import repomd
from tests.unit.test_real_data import unpack
from tests.unit.test_state import FULL

from .mutations import Draw, pick

LARGEST = 16 * 1024
"""Bytes of a real seed; larger ones only slow everything down."""


@functools.cache
def real(*patterns: str, largest: int = LARGEST, most: int = 24) -> tuple[bytes, ...]:
    """Small files of the real repositories that match, unpacked, evenly picked; none where these are absent."""
    paths = sorted(path for pattern in patterns for path in data_folder().glob(pattern) if path.is_file())
    texts = (unpack(path) for path in paths if path.stat().st_size <= largest)
    distinct = list(dict.fromkeys(text for text in texts if len(text) <= largest))
    return tuple(islice(distinct, 0, None, -(-len(distinct) // most) or 1))


def armoured(kind: str, *lines: str) -> bytes:
    """ASCII armour as gpg writes it."""
    return "\n".join((f"-----BEGIN PGP {kind}-----", "", *lines, f"-----END PGP {kind}-----", "")).encode()


SIGNED = b"the data"
KEY = armoured(
    "PUBLIC KEY BLOCK",
    "mDMEXgvhABYJKwYBBAHaRw8BAQdAi1lucHtC02DhtrolvBbDhon/I3TCqJNq0rZU",
    "zNUJW3O0F0Z1enogPGZ1enpAZXhhbXBsZS5vcmc+iJAEExYIADgWIQRzH8ckkH6d",
    "omIEPZ9U1j0xIP3gTQUCXgvhAAIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIXgAAK",
    "CRBU1j0xIP3gTQzPAP44X94dxMgFzQW+9bQrK/XYVibrLUCwz3brxmmFwmbCrAEA",
    "w6FxKQPRoLXhRUZR+s7SAR2VG+AnU6V/kXLQ4yUonQo=",
    "=HGnG",
)
SIGNATURE = armoured(
    "SIGNATURE",
    "iHUEABYIAB0WIQRzH8ckkH6domIEPZ9U1j0xIP3gTQUCXgvhAAAKCRBU1j0xIP3g",
    "TUQCAP9XjCPSnfwhmupKSYmd1/zZqq4bgMU6zQEDBn8hQMU3cwEAhvLoomvOEDma",
    "VpQ2K7NSgM8kfmEKjnqkWWkFD7Z07gQ=",
    "=hmK8",
)
FINGERPRINT = "731FC724907E9DA262043D9F54D63D3120FDE04D"
STATUS = f"""\
[GNUPG:] NEWSIG fuzz@example.org
[GNUPG:] KEY_CONSIDERED {FINGERPRINT} 0
[GNUPG:] SIG_ID abcdefghijklmnopqrstuvwxyz0 2020-01-01 1577836800
[GNUPG:] GOODSIG {FINGERPRINT[-16:]} Fuzz <fuzz@example.org>
[GNUPG:] VALIDSIG {FINGERPRINT} 2020-01-01 1577836800 0 4 0 22 8 00 {FINGERPRINT}
""".encode()
OTHER_STATUSES = [
    f"[GNUPG:] NEWSIG\n[GNUPG:] ERRSIG {FINGERPRINT[-16:]} 22 8 00 1577836800 9\n[GNUPG:] NO_PUBKEY 54D63D3120FDE04D\n",
    f"[GNUPG:] NEWSIG\n[GNUPG:] EXPKEYSIG {FINGERPRINT[-16:]} Fuzz\n[GNUPG:] BADSIG {FINGERPRINT[-16:]} Fuzz\n",
    "[GNUPG:] NODATA 1\n[GNUPG:] NODATA 2\ngpgv: verify signatures failed: Unknown system error\n",
]

REPOMDS = [test_parsers.REPOMD, repomd(), *real("**/repomd.xml")]
PRIMARIES = [
    test_packages.DOCUMENT,
    test_parsers.PRIMARY,
    *real("**/*primary.xml*", "odd/createrepo_c/modified_repo_files/*primary*"),
]
DELTAS = [test_parsers.DELTA, *real("**/*prestodelta.xml*", "**/*deltainfo.xml*")]
METALINKS = [test_parsers.METALINK, *real("odd/librepo/metalinks/**/metalink*")]
MIRRORLISTS = [test_parsers.MIRRORLIST, *real("odd/librepo/metalinks/**/mirrorlist*")]
TREEINFO = b"""[general]
family = Example
version = 9
arch = x86_64
[checksums]
images/boot.iso = sha256:%s
[images-x86_64]
boot.iso = images/boot.iso
[stage2]
mainimage = images/install.img
[variant-BaseOS]
packages = Packages
""" % (b"a" * 64)
TREEINFOS = [TREEINFO, *real("odd/treeinfo/productmd/*", "odd/treeinfo/pulp-fixtures/.treeinfo")]
LISTINGS = [page.encode() for page in (test_listing.NGINX, test_listing.TABLE, test_listing.TEXT, test_listing.PLAIN)]
PACKAGES = [*test_package.FRONTS, *real("**/*.rpm")]
SIGNED_PACKAGES = [build_rpm("old"), Rpm.of(build_rpm("old")).digested().signed(RSA_HEADER, b"\x88\x03sig").bytes]
SIGNED_PACKAGES += real("**/*.rpm")
KEYS = [KEY, *real("odd/**/*.key", "odd/**/key.pub", "odd/**/*-key.pub")]
SIGNATURES = [SIGNATURE, *real("**/*.asc")]
BINARY_SIGNATURES = [block for text in SIGNATURES for block in iter_blocks(text, b"SIGNATURE")]
STATUSES = [STATUS, STATUS * 2, *(text.encode() + STATUS for text in OTHER_STATUSES)]
CONFIGURATIONS = [
    test_parsers.CONFIG.encode(),
    starter("/pub").encode(),
    f"root: /\nrepos: []\n{test_parsers.ODD}".encode(),
]
YUM_FILES = [test_yum_files.FILE, *real("odd/**/*.repo")]

CONTENT = test_parsers.CONTENT
PACKED = test_parsers.PACKED
MANY = 72
"""MiB, more than whatever may be unpacked from so few bytes."""
PACKERS: list[Callable[[bytes], bytes]] = [gzip.compress, bz2.compress, lzma.compress, zstandard.compress]
WINDOW = b"\x28\xb5\x2f\xfd\x00\xa8\x0b\0\0a"
"""A frame of Zstandard with one byte in it, which claims a window of 2 GiB."""
BOMBS = [*(pack(b"\0" * 4 * 1024**2) * (MANY // 4) for pack in PACKERS), WINDOW]


def pack(draw: Draw, data: bytes, seeds: Sequence[bytes]) -> bytes:
    """A mutation: compress it, as one member or as two."""
    packer, at = pick(draw, PACKERS), pick(draw, [0, len(data) // 2])
    return (packer(data[:at]) if at else b"") + packer(data[at:])


STATES = [msgspec.json.encode(FULL), b'{"path":"a","last_run":1e9,"last_success":1.5e9,"packages":7,"bytes":9}']
MANIFEST = f"""{HEADER}\
p\t-\t4711\tsha256:{"a" * 64}\tsha256:{"a" * 64}\tPackages/a-1.rpm
p\t1700000000\t0\tsha1:{"b" * 40}\tsha256:{"c" * 64}\tweak.rpm
i\t-\t3\t-\t-\trepodata/repomd.xml
sha256\t{"d" * 64}
""".encode()
REMEMBERED = f"sha1:{'b' * 40} sha256:{'a' * 64}\nmd5:{'c' * 32} sha256:{'d' * 64}\n".encode()
PROOFS = f"sha256:{'a' * 64} 1700000000\nsha1:{'b' * 40} 5\n".encode()
VERDICTS = f"p:{'0' * 16}\n{'a' * 64}\n{'b' * 64}\n".encode()
GENERATIONS = [b".a.20261122T203341Z", b".a.19700101T000000Z"]

DATES = [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994", b"120"]
DATES += [b"Fri, 31 Dec 9999 23:59:59 -0000", b"Thu, 01 Jan 1970 00:00:00 +0000", b"6 Nov 94 8:49 EST", b"1000000000"]
HEAD = b"Server: x\r\nDate: Sun, 22 Nov 2026 08:49:37 GMT\r\nSet-Cookie: a=b; Path=/\r\n"
ANSWERS = [
    b'HTTP/1.1 200 OK\r\n%bContent-Length: 3\r\nETag: "a"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nabc'
    % HEAD,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n<html>",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 40-99/100\r\nContent-Length: 60\r\n\r\n" + b"0123456789" * 6,
    b"HTTP/1.1 206 Partial Content\r\nContent-Type: multipart/byteranges; boundary=x\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */100\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"0123456789" * 10,
    b"HTTP/1.1 302 Found\r\nLocation: ../x?y#z\r\nContent-Length: 2\r\nSet-Cookie: a=b; Path=/; Max-Age=5\r\n\r\nno",
    b'HTTP/1.1 304 Not Modified\r\nETag: W/"x"\r\n\r\n',
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\n",
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="x", nonce="y"\r\nContent-Length: 0\r\n\r\n',
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 1\r\n\r\nx",
]
DOWNLOADS = [ANSWERS[6], ANSWERS[3], *ANSWERS]
URLS = [
    b"http://other.test/x/",
    b"https://up.test:8443/a%20b/",
    b"//up.test/x",
    b"/pool/",
    b"../y",
    b"sub/",
    b"file:///srv/",
]
URLS += [
    b"http://you:w0rd@up.test/",
    b"http://[::1]:80/x",
    "http://bücher.test/".encode(),
    b"HTTP://UP.TEST:80/%2e%2e/",
    b"?q",
]
SOURCES = [
    b"https://up.test/repo/$releasever/",
    b"file:///srv/x",
    b"http://me:word@[::1]:8080/x",
    b"https://h/${basearch}?q#f",
]
PATHS = [b"/a/x.rpm", b"/", b"/a/", b"/a", b"/a/repodata/repomd.xml", b"/a/a%20b/%c3%a9+%252e", b"/.a.1/x.rpm", b"/out"]
PATHS += [
    b"//a//./x.rpm",
    b"/.mirrorpy/repos/a/state.json",
    b"/a/../x",
    b"http://h/a/x.rpm",
    b"/a/x.rpm/",
    b"/%2e%2e/secret",
]
KNOWN = b'If-None-Match: W/"a", "b"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n'
REQUESTS = [
    b'GET /a/x.rpm HTTP/1.1\r\nHost: h\r\nRange: bytes=0-9,20-29,-5\r\nIf-Range: "x"\r\n\r\n',
    b'GET /a/x.rpm HTTP/1.1\r\nHost: h\r\nRange: bytes=5-\r\nUser-Agent: dnf\r\nReferer: "\r\n\r\n',
    b"GET /a/x.rpm HTTP/1.1\r\nHost: h\r\n%b\r\n" % KNOWN,
    b"HEAD /a?q=%00 HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET http://h/a/ HTTP/1.1\r\nHost: h:80\r\nCookie: a=b\r\nAuthorization: Basic eDp5\r\n\r\n",
    b"DELETE /a/x.rpm HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
]
TIMES = [
    b"1:17,13:17",
    b"*/5 1-5,7 * jan-dec mon",
    b"root@example.org",
    b"mirror.example.org",
    b"http://[::1]:80/x",
    b"/key",
]
HREFS = [b"Packages/a-1-1.noarch.rpm", "a b/ü+c~d^e%2f.rpm".encode(), b"repodata/x.xml", b"./a//b/../c", b"a" * 255]
NAMES = [
    b"repodata/%b-primary.xml.gz" % (b"a" * 64),
    b"Packages/x.rpm",
    b"%b/y" % (b"0123456789abcdef" * 15),
    b"repodata/x",
]
QUANTITIES = [b"500k", b"1.5 M", b"48h", b"7d", b"50%", b"100.0 %", b"999999999999999T", b"0"]
VARIABLES = [b"releasever=8,9\nbasearch=x86_64\nx=", b"$releasever/${basearch}/${x:-y}/${x:+z$y}", b"a=b"]
