"""`mirrorpy verify URL`: a repository on the web, walked as dnf would; what is wrong is named, and nothing else."""

import contextlib
import functools
import gzip
import hashlib
import itertools
import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from mirrorpy.cli import main
from mirrorpy.config.model import Connection, Repository
from mirrorpy.signatures import Demands
from mirrorpy.verify import FindingKind, Settings, Verdict, remote
from tests.faultserver import FaultServer

from .listing import REPOMD, files_below, listing_of
from .servers import free_port, open_folder, run_apache
from .signing import Keys, made_keys, sign_as_fedora
from .upstream import Upstream, build_rpm, companions, primary_xml, sha256
from .webserver import Nginx, Request, Serve

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("as_it_was")]

ASC = f"{REPOMD}.asc"
ALPHA, BRAVO, DELTA, HOTEL = (f"Packages/{name}-1.0-1.noarch.rpm" for name in ("alpha", "bravo", "delta", "hotel"))
PLUS = "Packages/c++-1.0-1.noarch.rpm"
HREFS = {ALPHA, BRAVO, DELTA, HOTEL, PLUS}
MISSING, SIZE, CHECKSUM, METADATA, SIGNATURE, HEADER = (
    "missing",
    "size",
    "checksum",
    "metadata",
    "signature",
    "header",
)
PAGE = "default_type text/html; return 200 '<html>Sorry, not found</html>';"
NO_BARE_PLUS = 'if ($request_uri ~ "[+]") { return 404; }'
BUCKET = "if ($request_uri ~ '[+]') { return 403; }"
SECRET = "s3cr3t-t0k3n"
BOUNDED = 64 * 1024**2
"""Bytes after which whoever reads from an endless source has had enough."""

Make = Callable[[str], Upstream]
Found = list[tuple[str, str]]
"""Kinds and paths."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a run of verify said."""

    exit: int
    out: str
    err: str

    @property
    def repos(self) -> list[dict[str, Any]]:
        """The verdicts of a JSON document."""
        return list(json.loads(self.out)["repos"])

    @property
    def repo(self) -> dict[str, Any]:
        """The only one."""
        (repo,) = self.repos
        return repo

    @property
    def found(self) -> Found:
        """What was found in the only repository, in order."""
        return sorted((finding["kind"], finding["path"]) for finding in self.repo["findings"])


Verify = Callable[..., Said]


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What $TMPDIR is."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str], spool: Path) -> Verify:
    """Run `verify --format=json` within this process: an exception is a failure; nothing is left in $TMPDIR."""

    def run(*args: object, form: str = "json") -> Said:
        capsys.readouterr()
        code = main(["verify", f"--format={form}", *map(str, args)])
        assert list(spool.iterdir()) == []
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    """A publisher's keys."""
    with made_keys() as made:
        yield made


def sign(up: Upstream, keys: Keys) -> None:
    """Sign what is published, a second after it was published; only a key that old can."""
    at = time.strftime("%Y%m%dT%H%M%S!", time.gmtime(up.revision + 1))
    up.put(ASC, replace(keys.aged, faked=at).sign((up.folder / REPOMD).read_bytes(), "SHA256", "--armor"))


@pytest.fixture
def up(upstream: Make) -> Upstream:
    """Five packages, published by createrepo_c."""
    up = upstream("up")
    for name in ("alpha", "bravo", "delta", "hotel", "c++"):
        up.add(name)
    up.publish()
    return up


def heads(requests: list[Request]) -> list[str]:
    """The packages that were asked for by HEAD and found, each as often as it was; a bare plus is another question."""
    return sorted(
        request.href
        for request in requests
        if (request.method, request.status) == ("HEAD", 200) and "+" not in request.path and ".rpm" in request.path
    )


def downloads(requests: list[Request]) -> list[Request]:
    """The packages of which anything was sent."""
    return [request for request in requests if request.bytes and request.href.endswith("rpm")]


# What is whole


def test_a_good_repository(verify: Verify, up: Upstream, nginx: Serve, keys: Keys) -> None:
    """Each package is asked for, once, and none is downloaded."""
    sign(up, keys)
    server = nginx(up.folder)
    said = verify(server.url)
    assert (said.exit, said.found, said.repo["warnings"], said.repo["error"]) == (0, [], [], None)
    assert (said.repo["outcome"], said.repo["packages"], said.err) == ("whole", 5, "")
    requests = server.requests()
    assert heads(requests) == sorted(HREFS)
    assert downloads(requests) == []


def test_a_good_repository_is_one_line(verify: Verify, up: Upstream, nginx: Serve) -> None:
    server = nginx(up.folder)
    said = verify(server.url, form="text")
    assert (said.exit, said.out.count("\n"), said.err) == (0, 1, "")
    assert said.out.startswith(f"{server.url}: whole, 5 packages")


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that Apache may enter."""
    with open_folder() as folder:
        yield folder


def test_apache(public: Path, verify: Verify, keys: Keys) -> None:
    """Another server says the same, of the whole and of the damaged."""
    up = Upstream(public / "up")
    for href in (up.add("alpha"), up.add("c++")):
        (up.folder / href).chmod(0o644)
    up.publish()
    sign(up, keys)
    port = free_port()
    host = (
        f"Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\nDocumentRoot {up.folder}\n"
        f"<Directory {up.folder}>\nRequire all granted\n</Directory>\n</VirtualHost>\n"
    )
    with run_apache(public / "apache", host, port) as server:
        assert (verify(server.url).found, verify("--deep", server.url).found) == ([], [])
        up.put(ALPHA, b"short")
        up.remove(PLUS)
        assert verify(server.url).found == [(MISSING, PLUS), (SIZE, ALPHA)]


def test_a_folder_by_its_url(verify: Verify, up: Upstream) -> None:
    assert (verify(up.url).exit, verify("--deep", up.url).exit) == (0, 0)
    up.put(BRAVO, (up.folder / BRAVO).read_bytes()[::-1])
    up.put(ALPHA, b"short")
    up.remove(PLUS)
    assert verify(up.url).found == [(MISSING, PLUS), (SIZE, ALPHA)]
    assert verify("--deep", up.url).found == [(CHECKSUM, BRAVO), (MISSING, PLUS), (SIZE, ALPHA)]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_base_with_and_without_a_slash(verify: Verify, up: Upstream, nginx: Serve, slash: str) -> None:
    server = nginx(up.folder.parent)
    assert verify(f"{server.url}up{slash}").exit == 0
    assert heads(server.requests()) == sorted(f"up/{href}" for href in HREFS)


@pytest.mark.parametrize("name", ["mirrorlist", "metalinks.example.org"])
def test_a_base_that_is_called_like_a_list(verify: Verify, up: Upstream, nginx: Serve, name: str) -> None:
    shutil.copytree(up.folder, up.folder.parent / name)
    assert verify(f"{nginx(up.folder.parent).url}{name}/").exit == 0


# The planted faults


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to the files, what the server does, and what has to be found."""

    plant: Callable[[Upstream], object]
    server: str
    kind: str
    path: str
    message: str


def stale(up: Upstream) -> None:
    """The signature is that of the state before."""
    signature = (up.folder / ASC).read_bytes()
    up.publish()
    up.put(ASC, signature)


FAULTS = {
    "stale signature": Fault(stale, "", SIGNATURE, ASC, "older"),
    "missing RPM": Fault(lambda up: up.remove(ALPHA), "", MISSING, ALPHA, "not there"),
    "wrong size": Fault(lambda up: up.put(BRAVO, b"short"), "", SIZE, BRAVO, "5 bytes"),
    "soft 404": Fault(lambda _: None, f"location = /{DELTA} {{ {PAGE} }}", MISSING, DELTA, "soft 404"),
    "plus is a space": Fault(lambda _: None, NO_BARE_PLUS, MISSING, PLUS, "bare +"),
}


def planted(up: Upstream, keys: Keys, *names: str) -> tuple[str, Found]:
    """Plant faults; returns the server's part and what is to be found."""
    sign(up, keys)
    for name in names:
        FAULTS[name].plant(up)
    return " ".join(FAULTS[name].server for name in names), sorted((FAULTS[n].kind, FAULTS[n].path) for n in names)


@pytest.mark.parametrize("options", [[], ["--deep"]])
def test_five_planted_faults_and_nothing_else(
    verify: Verify, up: Upstream, nginx: Serve, keys: Keys, options: list[str]
) -> None:
    server, expected = planted(up, keys, *FAULTS)
    said = verify(*options, nginx(up.folder, server=server).url)
    assert (said.exit, said.found, said.repo["warnings"], said.repo["error"]) == (1, expected, [], None)
    assert len(said.found) == 5


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_alone(verify: Verify, up: Upstream, nginx: Serve, keys: Keys, name: str) -> None:
    server, expected = planted(up, keys, name)
    said = verify(nginx(up.folder, server=server).url)
    assert (said.exit, said.found) == (1, expected)
    assert FAULTS[name].message in said.repo["findings"][0]["message"]


@pytest.mark.parametrize("name", FAULTS)
def test_each_is_one_line(verify: Verify, up: Upstream, nginx: Serve, keys: Keys, name: str) -> None:
    server, _ = planted(up, keys, name)
    said = verify(nginx(up.folder, server=server).url, form="text")
    finding, _summary = said.out.splitlines()
    assert f": {FAULTS[name].kind}: {FAULTS[name].path}: " in finding
    assert FAULTS[name].message in finding


def test_a_bucket_refuses_a_bare_plus(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """Amazon's says 403 where it has no such name."""
    assert verify(nginx(up.folder, server=BUCKET).url).found == [(MISSING, PLUS)]


def test_fail_on(verify: Verify, up: Upstream, nginx: Serve) -> None:
    up.remove(ALPHA)
    server = nginx(up.folder)
    assert (verify("--fail-on=size", server.url).exit, verify("--fail-on=missing", server.url).exit) == (0, 1)


def test_junit(verify: Verify, up: Upstream, nginx: Serve, keys: Keys) -> None:
    """As junitparser reads it: a case for each kind, of which three fail."""
    junitparser = pytest.importorskip("junitparser")
    configuration, _ = planted(up, keys, *FAULTS)
    server = nginx(up.folder, server=configuration)
    said = verify(server.url, form="junit")
    (suite,) = junitparser.JUnitXml.fromstring(said.out.encode())
    failed = {case.name: result.text for case in suite for result in case.result}
    assert (said.exit, suite.name, suite.tests, suite.errors) == (1, server.url, len(FindingKind), 0)
    assert set(failed) == {MISSING, SIZE, SIGNATURE}
    assert len(failed[MISSING].splitlines()) == 3


def test_junit_of_what_cannot_be_reached(verify: Verify, nobody: str) -> None:
    junitparser = pytest.importorskip("junitparser")
    said = verify(nobody, form="junit")
    (suite,) = junitparser.JUnitXml.fromstring(said.out.encode())
    assert (said.exit, suite.name, suite.errors, suite.failures) == (3, nobody, 1, 0)


# Signatures


def test_a_signature_that_is_none(verify: Verify, up: Upstream, nginx: Serve) -> None:
    up.put(ASC, b"<html>not found</html>")
    assert verify(nginx(up.folder).url).found == [(SIGNATURE, ASC)]


def test_a_server_that_has_a_page_for_everything_has_no_signature(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """Nobody claimed that there is one."""
    server = f"error_page 404 =200 /sorry; location = /sorry {{ {PAGE} }}"
    assert verify(nginx(up.folder, server=server).url).found == []


@pytest.mark.parametrize(("name", "expected"), [("rsa", []), ("stranger", [(SIGNATURE, ASC)])])
def test_gpgkey(
    verify: Verify, up: Upstream, nginx: Serve, keys: Keys, tmp_path: Path, name: str, expected: Found
) -> None:
    """It is the user's key that counts."""
    up.put(ASC, getattr(keys, name).sign((up.folder / REPOMD).read_bytes()))
    (tmp_path / "key").write_bytes(keys.rsa.public())
    said = verify("--gpgkey", tmp_path / "key", nginx(up.folder).url)
    assert (said.exit, said.found) == (int(bool(expected)), expected)


@pytest.mark.parametrize("server", ["", f"error_page 404 =200 /sorry; location = /sorry {{ {PAGE} }}"])
def test_gpgkey_and_no_signature(
    verify: Verify, up: Upstream, nginx: Serve, keys: Keys, tmp_path: Path, server: str
) -> None:
    """Many publishers sign packages only."""
    (tmp_path / "key").write_bytes(keys.rsa.public())
    said = verify("--gpgkey", tmp_path / "key", nginx(up.folder, server=server).url)
    assert (said.exit, said.found) == (0, [])


def test_gpgkey_and_packages(verify: Verify, up: Upstream, nginx: Serve, keys: Keys, tmp_path: Path) -> None:
    """Their signatures are within them: with --deep they are looked at."""
    signed = sign_as_fedora(build_rpm("good"), keys.rsa)
    up.compose({up.put("good.rpm", signed): signed, up.put("bad.rpm", build_rpm("bad")): build_rpm("bad")})
    up.put(ASC, keys.rsa.sign((up.folder / REPOMD).read_bytes()))
    (tmp_path / "key").write_bytes(keys.rsa.public())
    server = nginx(up.folder)
    assert verify("--gpgkey", tmp_path / "key", server.url).found == []
    assert verify("--gpgkey", tmp_path / "key", "--deep", server.url).found == [(SIGNATURE, "bad.rpm")]
    assert verify("--deep", server.url).found == []


# What servers do


@pytest.mark.parametrize("status", [400, 403, 405, 501])
def test_head_is_refused(verify: Verify, up: Upstream, nginx: Serve, status: int) -> None:
    """One byte of each is asked for instead; what is wrong is found all the same."""
    up.remove(ALPHA)
    up.put(BRAVO, b"short")
    refusal = f"if ($request_method = HEAD) {{ return {status}; }} location = /{DELTA} {{ {PAGE} }}"
    server = nginx(up.folder, server=refusal)
    said = verify(server.url)
    assert (said.exit, said.found) == (1, [(MISSING, ALPHA), (MISSING, DELTA), (SIZE, BRAVO)])
    sent = [request for request in downloads(server.requests()) if request.href not in (ALPHA, DELTA)]
    assert {(request.method, request.status, request.bytes) for request in sent} == {("GET", 206, 1)}


def test_an_empty_file_where_head_is_refused(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """It has no first byte: 416."""
    up.put(ALPHA, b"")
    assert verify(nginx(up.folder, server="if ($request_method = HEAD) { return 405; }").url).found == [(SIZE, ALPHA)]


def test_neither_head_nor_ranges(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """The answer is the whole file, of which the headers are enough."""
    large = 100_000_000
    with (up.folder / "large.rpm").open("wb") as file:
        file.truncate(large)
    body = primary_xml({"large.rpm": b""}).replace(b'package="0"', b'package="%d"' % large)
    up.compose_records({"primary": body, **companions({"large.rpm": b""})})
    server = nginx(up.folder, server="max_ranges 0; if ($request_method = HEAD) { return 405; }")
    assert verify(server.url).found == []
    assert sum(request.bytes for request in downloads(server.requests())) < large / 4


def test_no_length(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """What a server does not tell is no fault; the content is."""
    up.remove(ALPHA)
    up.put(BRAVO, b"short")
    untold = f"location /Packages/ {{ sub_filter_types *; sub_filter {'n' * 40} x; }}"
    server = nginx(up.folder, server=untold)
    assert verify(server.url).found == [(MISSING, ALPHA)]
    assert verify("--deep", server.url).found == [(MISSING, ALPHA), (SIZE, BRAVO)]


def test_no_ranges(verify: Verify, up: Upstream, nginx: Serve) -> None:
    assert verify("--deep", nginx(up.folder, server="max_ranges 0;").url).exit == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(verify: Verify, up: Upstream, nginx: Serve, status: int) -> None:
    """To another server, which has what it has."""
    up.remove(ALPHA)
    target = nginx(up.folder)
    server = nginx(up.folder, server=f"return {status} {target.url.rstrip('/')}$request_uri;")
    assert verify(server.url).found == [(MISSING, ALPHA)]
    assert heads(target.requests()) == sorted(HREFS - {ALPHA})


def test_redirects_to_a_page(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """Everybody has to log in."""
    server = f"location /Packages/ {{ return 302 /login; }} location = /login {{ {PAGE} }}"
    assert verify(nginx(up.folder, server=server).url).found == [(MISSING, href) for href in sorted(HREFS)]


def test_redirects_that_do_not_end(verify: Verify, up: Upstream, nginx: Serve) -> None:
    server = f"location = /{ALPHA} {{ return 302 /{ALPHA}; }}"
    assert verify(nginx(up.folder, server=server).url).found == [(MISSING, ALPHA)]


def test_a_package_that_is_forbidden(verify: Verify, up: Upstream, nginx: Serve) -> None:
    assert verify(nginx(up.folder, server=f"location = /{ALPHA} {{ return 403; }}").url).found == [(MISSING, ALPHA)]


ASKING = ["no-cache", "no-store", "max-age=60", "public, must-revalidate, max-age=0", "no-cache, max-age=86400"]
KEEPING = ["max-age=86400", "public, max-age=31536000, immutable", "Public, Max-Age=86400", "s-maxage=86400"]


@pytest.mark.parametrize("control", KEEPING)
@pytest.mark.parametrize("href", [REPOMD, ASC])
def test_caches_that_may_keep_the_index(
    verify: Verify, up: Upstream, nginx: Serve, keys: Keys, control: str, href: str
) -> None:
    """A warning that names the file; no damage."""
    sign(up, keys)
    said = verify(nginx(up.folder, server=f"location = /{href} {{ add_header Cache-Control '{control}'; }}").url)
    (warning,) = said.repo["warnings"]
    assert (said.exit, said.found) == (0, [])
    assert warning.startswith(f"{href} ")
    assert warning in said.err


@pytest.mark.parametrize("control", ASKING)
def test_caches_that_have_to_ask(verify: Verify, up: Upstream, nginx: Serve, control: str) -> None:
    server = f"location = /{REPOMD} {{ add_header Cache-Control '{control}'; }}"
    assert verify(nginx(up.folder, server=server).url).repo["warnings"] == []


def test_packages_may_be_kept(verify: Verify, up: Upstream, nginx: Serve) -> None:
    server = "location /Packages/ { add_header Cache-Control 'max-age=31536000, immutable'; }"
    assert verify(nginx(up.folder, server=server).url).repo["warnings"] == []


# Deep


def flip(up: Upstream, href: str) -> None:
    """One bit in the middle."""
    body = bytearray((up.folder / href).read_bytes())
    body[len(body) // 2] ^= 1
    up.put(href, bytes(body))


def test_a_bit(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """Only who downloads it can tell."""
    flip(up, ALPHA)
    server = nginx(up.folder)
    assert verify(server.url).exit == 0
    said = verify("--deep", server.url)
    assert (said.exit, said.found) == (1, [(CHECKSUM, ALPHA)])


@pytest.mark.parametrize(("name", "expected"), [("tool", []), ("other", [(HEADER, "tool.rpm")])])
def test_a_header(verify: Verify, up: Upstream, nginx: Serve, name: str, expected: Found) -> None:
    """The file is what primary promises, and calls itself what primary does not."""
    body = build_rpm(name)
    up.compose({up.put("tool.rpm", body): body})
    server = nginx(up.folder)
    assert verify(server.url).found == []
    assert verify("--deep", server.url).found == expected


def test_what_is_no_rpm(verify: Verify, up: Upstream, nginx: Serve) -> None:
    body = b"no package at all"
    up.compose({up.put("tool.rpm", body): body})
    assert verify("--deep", nginx(up.folder).url).found == [(HEADER, "tool.rpm")]


def test_deep_counts_what_it_hashed(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """Each file once, the metadata too."""
    promised = listing_of(up.folder).promises
    hashed = verify("--deep", nginx(up.folder).url).repo["hashed"]
    assert hashed == {"files": len(promised), "bytes": sum(promise.size or 0 for promise in promised)}


def test_deep_downloads_each_once(verify: Verify, up: Upstream, nginx: Serve) -> None:
    server = nginx(up.folder)
    verify("--deep", server.url)
    assert sorted(request.href for request in downloads(server.requests())) == sorted(HREFS)


@pytest.mark.parametrize("jobs", [1, 16])
def test_deep_of_one_content_under_many_names(verify: Verify, up: Upstream, nginx: Serve, jobs: int) -> None:
    """They are looked at beside each other."""
    body = build_rpm("tool", size=500_000)
    up.compose({up.put(f"{number}/tool.rpm", body): body for number in range(40)})
    assert verify("--deep", f"--jobs={jobs}", nginx(up.folder).url).found == []


# Names


STEMS = [
    "plus+plus",
    "tilde~rc1",
    "caret^git",
    "percent%2Bplus",
    "percent%zz",
    "both%2B+",
    "with space",
    "question?mark=1&b",
    "hash#tag",
    "epoch-1:2.0",
    "semi;colon,comma",
    "quote'\"s",
    "umläut-鏡",
]


@pytest.mark.parametrize("options", [[], ["--deep"]])
def test_odd_names(verify: Verify, upstream: Make, nginx: Serve, options: list[str]) -> None:
    """Each is asked for by a request that nginx takes for it; one that is not there is named as it is written."""
    odd = upstream("odd")
    for number, stem in enumerate(STEMS):
        odd.add("odd", release=str(number), href=f"o d+d/{stem}.rpm")
    odd.publish()
    server = nginx(odd.folder)
    said = verify(*options, server.url)
    asked = [request for request in server.requests() if request.method == "HEAD" and request.href.endswith(".rpm")]
    assert (said.exit, said.found) == (0, [])
    assert {request.status for request in asked} == {200}
    assert {request.href for request in asked} == {f"o d+d/{stem}.rpm" for stem in STEMS}
    shutil.rmtree(odd.folder / "o d+d")
    assert verify(*options, server.url).found == sorted((MISSING, f"o d+d/{stem}.rpm") for stem in STEMS)


def based(up: Upstream, base: str) -> None:
    """Publish one package whose location has an xml:base."""
    body = build_rpm("tool")
    primary = primary_xml({"tool.rpm": body}).replace(b"<location ", f'<location xml:base="{base}" '.encode())
    up.compose_records({"primary": primary, **companions({"tool.rpm": body})})


def test_another_base(verify: Verify, up: Upstream, upstream: Make, nginx: Serve) -> None:
    """The package is asked for where it is, and missed there."""
    other = upstream("other")
    other.put("tool.rpm", build_rpm("tool"))
    there = nginx(other.folder)
    based(up, there.url)
    here = nginx(up.folder)
    assert verify("--deep", here.url).found == []
    assert heads(there.requests()) == ["tool.rpm"]
    assert not any("tool" in request.href for request in here.requests())
    other.remove("tool.rpm")
    up.put("tool.rpm", build_rpm("tool"))
    assert verify(here.url).found == [(MISSING, "tool.rpm")]


@pytest.mark.parametrize("base", ["file:///etc/", "ftp://127.0.0.1/"])
def test_a_base_that_leads_elsewhere(verify: Verify, up: Upstream, nginx: Serve, base: str) -> None:
    """Not from the web to this machine's files."""
    based(up, base)
    said = verify("--deep", nginx(up.folder).url)
    assert (said.exit, said.found) == (1, [("unsafe-href", "tool.rpm")])


def test_a_name_that_leaves_the_repository(verify: Verify, up: Upstream, nginx: Serve) -> None:
    up.compose({"../../tool.rpm": b"x", up.put("good.rpm", b"y"): b"y"})
    server = nginx(up.folder)
    assert verify(server.url).found == [("unsafe-href", "../../tool.rpm")]
    assert heads(server.requests()) == ["good.rpm"]


# Metadata


def test_a_page_for_repomd(verify: Verify, up: Upstream, nginx: Serve) -> None:
    said = verify(nginx(up.folder, server=f"location / {{ {PAGE} }}").url)
    assert (said.exit, said.found) == (1, [(METADATA, REPOMD)])


@pytest.mark.parametrize("status", [404, 410])
def test_no_repomd(verify: Verify, up: Upstream, nginx: Serve, status: int) -> None:
    said = verify(nginx(up.folder, server=f"location = /{REPOMD} {{ return {status}; }}").url)
    assert (said.exit, said.found) == (1, [(MISSING, REPOMD)])


def test_no_repomd_in_a_folder(verify: Verify, tmp_path: Path) -> None:
    said = verify((tmp_path / "nowhere").as_uri())
    assert (said.exit, said.found) == (1, [(MISSING, REPOMD)])


KINDS = ["primary", "filelists"]


def seen(said: Said) -> tuple[int, Found]:
    return said.exit, said.found


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_missing(verify: Verify, up: Upstream, nginx: Serve, kind: str) -> None:
    href = up.record(kind)
    up.remove(href)
    assert seen(verify(nginx(up.folder).url)) == (1, [(MISSING, href)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_a_page(verify: Verify, up: Upstream, nginx: Serve, kind: str) -> None:
    href = up.record(kind)
    assert seen(verify(nginx(up.folder, server=f"location = /{href} {{ {PAGE} }}").url)) == (1, [(MISSING, href)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_another_size(verify: Verify, up: Upstream, nginx: Serve, kind: str) -> None:
    href = up.put(up.record(kind), b"short")
    assert seen(verify(nginx(up.folder).url)) == (1, [(SIZE, href)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_another_checksum(verify: Verify, up: Upstream, nginx: Serve, kind: str) -> None:
    flip(up, href := up.record(kind))
    assert seen(verify(nginx(up.folder).url)) == (1, [(CHECKSUM, href)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_cut_short(verify: Verify, up: Upstream, nginx: Serve, kind: str) -> None:
    """It was published so: repomd.xml has its checksum."""
    body = build_rpm("tool")
    bodies = {"primary": primary_xml({"tool.rpm": body}), **companions({"tool.rpm": body})}
    packed = {name: (content, gzip.compress(content, mtime=0)) for name, content in bodies.items()}
    packed[kind] = (packed[kind][0], packed[kind][1][:-20])
    up.put("tool.rpm", body)
    up.publish_records(packed)
    assert seen(verify(nginx(up.folder).url)) == (1, [(METADATA, up.record(kind))])


def test_the_rest_is_looked_at_all_the_same(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """One record is gone, and a package."""
    up.remove(other := up.record("other"))
    up.remove(ALPHA)
    assert verify(nginx(up.folder).url).found == sorted([(MISSING, ALPHA), (MISSING, other)])


def delta(up: Upstream) -> str:
    """Publish a package and a delta RPM; returns the latter's path."""
    tool = build_rpm("tool")
    href = up.put("drpms/tool.drpm", b"drpm")
    described = (
        '<prestodelta><newpackage name="tool" epoch="0" version="1.0" release="1" arch="noarch">'
        '<delta oldepoch="0" oldversion="0.9" oldrelease="1">'
        f"<filename>{href}</filename><sequence>tool-0</sequence><size>4</size>"
        f'<checksum type="sha256">{sha256(b"drpm")}</checksum></delta></newpackage></prestodelta>'
    )
    up.compose({up.put("tool.rpm", tool): tool}, prestodelta=described.encode())
    return href


def test_deltas(verify: Verify, up: Upstream, nginx: Serve) -> None:
    """Clients do without one that is not there; a damaged one is damage."""
    href = delta(up)
    server = nginx(up.folder)
    assert verify("--deep", server.url).found == []
    up.put(href, b"dprm")
    assert verify("--deep", server.url).found == [(CHECKSUM, href)]
    up.put(href, b"short")
    assert verify(server.url).found == [(SIZE, href)]
    up.remove(href)
    said = verify(server.url)
    (warning,) = said.repo["warnings"]
    assert (said.exit, said.found) == (0, [])
    assert href in warning


# Servers that mean ill


class Ill(BaseHTTPRequestHandler):
    """Serves a folder, but some paths without end."""

    protocol_version = "HTTP/1.1"
    folder: Path
    endless: str
    sent = 0
    typed = "application/octet-stream"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(self.path).lstrip("/")
        file = self.folder / path
        self.close_connection = True
        if path != self.endless and not file.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", self.typed)
        self.send_header("Connection", "close")
        self.end_headers()
        if not body:
            return
        if path != self.endless:
            self.wfile.write(file.read_bytes())
            return
        with contextlib.suppress(OSError):
            while type(self).sent < 4 * BOUNDED:
                self.wfile.write(b" " * 65_536)
                type(self).sent += 65_536

    def log_message(self, *args: object) -> None:
        """Be silent."""


@contextlib.contextmanager
def ill(folder: Path, endless: str) -> Iterator[tuple[str, type[Ill]]]:
    """A server of that kind, with its URL."""
    handler = type("Handler", (Ill,), {"folder": folder, "endless": endless})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", handler
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_without_end(verify: Verify, up: Upstream, kind: str) -> None:
    href = up.record(kind)
    with ill(up.folder, href) as (url, handler):
        assert seen(verify(url)) == (1, [(CHECKSUM, href)])
    assert handler.sent < BOUNDED


def test_a_package_without_end(verify: Verify, up: Upstream) -> None:
    with ill(up.folder, ALPHA) as (url, handler):
        assert verify(url).found == []
        assert handler.sent < BOUNDED
        assert verify("--deep", url).found == [(CHECKSUM, ALPHA)]
    assert handler.sent < BOUNDED


def test_a_repomd_without_end(verify: Verify, up: Upstream) -> None:
    with ill(up.folder, REPOMD) as (url, handler):
        assert seen(verify(url)) == (1, [(METADATA, REPOMD)])
    assert handler.sent < BOUNDED


def test_a_signature_without_end(verify: Verify, up: Upstream) -> None:
    """The rest is looked at all the same."""
    up.remove(ALPHA)
    with ill(up.folder, ASC) as (url, handler):
        assert seen(verify(url)) == (1, [(MISSING, ALPHA), (SIGNATURE, ASC)])
    assert handler.sent < BOUNDED


# Who cannot be reached


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where nobody listens; one attempt is enough."""
    monkeypatch.setattr(remote, "RETRIES", 0)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/"


def unreached(said: Said) -> str:
    """Exit 3, nothing found, one line; returns it."""
    assert (said.exit, said.found, said.repo["outcome"], said.err.count("\n")) == (3, [], "failed", 1), said
    return said.err


def test_nobody_listens(verify: Verify, nobody: str) -> None:
    assert nobody in unreached(verify(nobody))


def test_no_such_host(verify: Verify) -> None:
    assert "mirror.invalid" in unreached(verify("http://mirror.invalid/repo/"))


def test_nobody_listens_at_any_time(verify: Verify, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried more than once."""
    monkeypatch.setattr(remote, "RETRIES", 1)
    began = time.monotonic()
    unreached(verify(nobody))
    assert time.monotonic() - began > 0.2


def test_a_server_that_says_nothing(verify: Verify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "RETRIES", 0)
    impatient = functools.partial(Repository, connection=Connection(timeout=0.3))
    monkeypatch.setattr(remote, "Repository", impatient)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "timed out" in unreached(verify(f"http://127.0.0.1:{silent.getsockname()[1]}/"))


def test_a_server_that_dies_in_the_middle(verify: Verify, up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest would take hours to fail, one by one; and it is the server that fails, not the repository."""
    monkeypatch.setattr(remote, "RETRIES", 0)
    for number in range(200):
        up.add(f"one{number}")
    up.publish()
    with FaultServer(up.folder) as server:
        server.fault("*.rpm", "reset", after=10)
        said = verify(server.url)
        assert (said.exit, said.repo["outcome"]) == (3, "failed")
        assert "stopped answering" in said.err
        assert len(server.taken()) < 80


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_server_that_refuses(
    verify: Verify, up: Upstream, nginx: Serve, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RETRIES", 0)
    assert str(status) in unreached(verify(nginx(up.folder, server=f"return {status};").url))


def test_no_tls(verify: Verify, up: Upstream, nginx: Serve) -> None:
    unreached(verify(nginx(up.folder).url.replace("http:", "https:")))


def test_a_list_that_cannot_be_had(verify: Verify, up: Upstream, nginx: Serve) -> None:
    unreached(verify(f"{nginx(up.folder).url}mirrorlist"))


# Mirrors

METALINK = """<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files><file name="repomd.xml"><mm0:timestamp>{timestamp}</mm0:timestamp><size>{size}</size>
  <verification><hash type="sha256">{sha256}</hash></verification>
  <resources maxconnections="1">{urls}</resources>
 </file></files></metalink>
"""
LISTS = ["metalink", "mirrorlist"]


def listed(kind: str, folder: Path, repomd: Path, *bases: str) -> str:
    """Write a list of mirrors; returns its file:// URL."""
    file, body = folder / kind, repomd.read_bytes()
    urls = "".join(
        f'<url protocol="http" type="http" location="DE" preference="{100 - rank}">{base}{REPOMD}</url>'
        for rank, base in enumerate(bases)
    )
    file.write_text(
        METALINK.format(
            timestamp=int(repomd.stat().st_mtime), size=len(body), sha256=hashlib.sha256(body).hexdigest(), urls=urls
        )
        if kind == "metalink"
        else "".join(f"{base}\n" for base in bases)
    )
    return file.as_uri()


@pytest.fixture
def behind(up: Upstream) -> Path:
    """What the upstream was before its last publication, in which one package went and another came."""
    old = up.folder.with_name("old")
    shutil.copytree(up.folder, old, copy_function=shutil.copy2)
    up.remove(ALPHA)
    up.add("newer")
    up.publish()
    return old


@pytest.mark.parametrize("kind", LISTS)
def test_the_first_mirror_that_answers(
    verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path, nobody: str, kind: str
) -> None:
    up.remove(ALPHA)
    server = nginx(up.folder)
    said = verify(listed(kind, tmp_path, up.folder / REPOMD, nobody, server.url))
    assert (said.exit, said.found) == (1, [(MISSING, ALPHA)])
    assert heads(server.requests()) == sorted(HREFS - {ALPHA})


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_over_http(verify: Verify, up: Upstream, nginx: Serve, kind: str) -> None:
    server = nginx(up.folder.parent)
    listed(kind, up.folder.parent, up.folder / REPOMD, f"{server.url}up/")
    assert verify(f"{server.url}{kind}").exit == 0
    assert verify(f"{server.url}{kind}?repo=up&arch=x86_64").exit == 0


def test_a_mirror_that_the_metalink_does_not_vouch_for_is_passed_over(
    verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path, behind: Path
) -> None:
    """As by dnf."""
    old, new = nginx(behind), nginx(up.folder)
    said = verify(listed("metalink", tmp_path, up.folder / REPOMD, old.url, new.url))
    assert (said.exit, said.found) == (0, [])
    assert "Packages/newer-1.0-1.noarch.rpm" in heads(new.requests())


def test_no_mirror_is_what_the_metalink_vouches_for(
    verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path, behind: Path
) -> None:
    """dnf would take neither."""
    said = verify(listed("metalink", tmp_path, up.folder / REPOMD, nginx(behind).url))
    assert (said.exit, said.found) == (1, [(METADATA, REPOMD)])


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("order", list(itertools.permutations(["good", "lagging", "broken"])), ids="-".join)
def test_all_mirrors(
    verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path, behind: Path, kind: str, order: tuple[str, ...]
) -> None:
    """Which lag, and which are broken, in whatever order they are listed."""
    empty = tmp_path / "empty"
    empty.mkdir()
    urls = {"good": nginx(up.folder).url, "lagging": nginx(behind).url, "broken": nginx(empty).url}
    said = verify("--all-mirrors", listed(kind, tmp_path, up.folder / REPOMD, *(urls[name] for name in order)))
    assert (said.exit, said.found) == (1, sorted([(METADATA, urls["lagging"]), (MISSING, urls["broken"])]))
    messages = {finding["path"]: finding["message"] for finding in said.repo["findings"]}
    assert "broken" in messages[urls["broken"]]
    assert ("vouch" if kind == "metalink" else "lags 60 seconds") in messages[urls["lagging"]]


def test_all_mirrors_are_good(verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path) -> None:
    url = listed("metalink", tmp_path, up.folder / REPOMD, nginx(up.folder).url, nginx(up.folder).url)
    assert verify("--all-mirrors", url).exit == 0


def test_a_mirror_that_is_a_page(verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path) -> None:
    page = nginx(up.folder, server=f"location / {{ {PAGE} }}")
    url = listed("mirrorlist", tmp_path, up.folder / REPOMD, nginx(up.folder).url, page.url)
    assert verify("--all-mirrors", url).found == [(METADATA, page.url)]


def test_a_mirror_that_nobody_reaches(verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path, nobody: str) -> None:
    url = listed("mirrorlist", tmp_path, up.folder / REPOMD, nobody, nginx(up.folder).url)
    said = verify("--all-mirrors", url)
    assert (said.exit, said.found) == (1, [(MISSING, nobody)])


@pytest.mark.parametrize("first", ["nothing", "a page"])
def test_a_signature_belongs_to_the_repomd_beside_it(
    verify: Verify, up: Upstream, nginx: Serve, keys: Keys, tmp_path: Path, behind: Path, first: str
) -> None:
    """The first mirror has none; that of the next, which lags behind, has nothing to do with it."""
    (behind / ASC).write_bytes(replace(keys.aged, faked="20231114T221430!").sign((behind / REPOMD).read_bytes()))
    server = f"location = /{ASC} {{ {PAGE} }}" if first == "a page" else ""
    url = listed("mirrorlist", tmp_path, up.folder / REPOMD, nginx(up.folder, server=server).url, nginx(behind).url)
    assert verify(url).found == []


# Secrets


def locked(up: Upstream, nginx: Serve, tmp_path: Path, more: str = "") -> tuple[Nginx, str]:
    """A server that wants a password, and its URL with that."""
    (tmp_path / "users").write_text(f"carol:{{PLAIN}}{SECRET}\n")
    server = nginx(up.folder, server=f"auth_basic x; auth_basic_user_file {tmp_path}/users; {more}")
    return server, server.url.replace("://", f"://carol:{SECRET}@")


@pytest.mark.parametrize("form", ["text", "json", "junit"])
def test_no_secret_is_shown(
    verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path, nobody: str, keys: Keys, form: str
) -> None:
    """Of URLs with findings, with failures, of the list and of its mirrors; not even to those who want to know more."""
    configuration, _ = planted(up, keys, "stale signature", "missing RPM", "wrong size", "soft 404")
    server, url = locked(up, nginx, tmp_path, configuration)
    dead = nobody.replace("://", f"://carol:{SECRET}@")
    mirrors = listed("mirrorlist", tmp_path, up.folder / REPOMD, url, dead, f"{server.url}?token={SECRET}")
    bad = url.replace("carol:", "dave:")
    options = ["--verbose", "--all-mirrors", "--deep"]
    said = verify(*options, url, dead, bad, f"{nobody}metalink?token={SECRET}", mirrors, form=form)
    assert said.exit == 1
    assert ALPHA in said.out
    assert SECRET not in said.out + said.err
    assert "carol" not in said.out + said.err


def test_a_password_is_used(verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path) -> None:
    server, url = locked(up, nginx, tmp_path)
    said = verify("--deep", url)
    assert (said.exit, said.repo["id"], said.repo["path"]) == (0, server.url, server.url)
    assert "401" in unreached(verify(server.url))


def test_a_password_goes_along_with_a_redirect_on_its_host(
    verify: Verify, up: Upstream, nginx: Serve, tmp_path: Path
) -> None:
    """nginx sends whole URLs."""
    _, url = locked(up, nginx, tmp_path, "rewrite ^/moved/(.*)$ /$1 redirect;")
    assert verify(f"{url}moved/").exit == 0


# Several, many


def test_several_urls(verify: Verify, up: Upstream, behind: Path, nginx: Serve, nobody: str) -> None:
    """Each has its verdict, in order; damage is 1, whatever else went wrong."""
    up.remove(BRAVO)
    good, bad = nginx(behind).url, nginx(up.folder).url
    said = verify(good, nobody, bad, behind)
    assert said.exit == 1
    assert [(repo["id"], repo["outcome"]) for repo in said.repos] == [
        (str(behind), "whole"),
        (good, "whole"),
        (nobody, "failed"),
        (bad, "damaged"),
    ]


def test_a_thousand_packages(verify: Verify, upstream: Make, nginx: Serve) -> None:
    """Each asked for, once, in seconds."""
    many = upstream("many")
    many.compose({many.put(f"Packages/{number:04}.rpm", b"x" * number): b"x" * number for number in range(1, 1001)})
    many.remove("Packages/0500.rpm")
    server = nginx(many.folder)
    began = time.monotonic()
    assert verify("--jobs=8", server.url).found == [(MISSING, "Packages/0500.rpm")]
    assert time.monotonic() - began < 20
    asked = [request.path for request in server.requests() if request.method == "HEAD" and "Packages" in request.path]
    assert len(asked) == len(set(asked)) == 1000


@pytest.mark.parametrize("jobs", [1, 8])
def test_so_many_at_a_time(verify: Verify, up: Upstream, nginx: Serve, jobs: int) -> None:
    """No more connections than jobs are held to one server."""
    limit = f"limit_conn all {jobs}; limit_conn_status 500;"
    server = nginx(up.folder, http="limit_conn_zone $server_name zone=all:1m;", server=limit)
    assert verify(f"--jobs={jobs}", "--deep", server.url).found == []


# Beside a publication


class Publishing:
    """Publishes at one turn of a walk, so many times at most."""

    def __init__(self, publish: Callable[[], None], times: int, doing: str) -> None:
        self.publish, self.left, self.doing = publish, times, doing

    def step(self, repo_id: str, doing: str | None) -> None:
        if doing == self.doing and self.left:
            self.left -= 1
            self.publish()

    def expect(self, repo_id: str, files: int, size: int) -> None:
        """Be told."""

    def receive(self, repo_id: str, size: int) -> None:
        """Be told."""

    def land(self, repo_id: str) -> None:
        """Be told."""


def watched(url: str, watch: Publishing, *, deep: bool = False) -> Verdict:
    return remote.verify_url(url, Settings(), remote.Depth(deep=deep), Demands(), watch)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("times", [1, 2])
def test_a_publication_in_the_middle_is_no_damage(
    up: Upstream, nginx: Serve, spool: Path, times: int, *, deep: bool
) -> None:
    """The server's folder is another one between the metadata and the packages; nobody lacks anything."""
    turns = itertools.count(1)
    link = up.folder.with_name("link")
    link.symlink_to(up.folder)
    hrefs = sorted(name for name in files_below(up.folder) if name.endswith(".rpm"))

    def publish() -> None:
        turn = next(turns)
        after = Upstream(up.folder.with_name(f"after-{turn}"))
        after.publications = turn
        shutil.copytree(up.folder, after.folder, dirs_exist_ok=True)
        after.remove(hrefs.pop(0))
        after.add("newer", str(turn))
        after.publish()
        aside = link.with_name("aside")
        aside.symlink_to(after.folder)
        aside.rename(link)

    doing = "downloading" if deep else "asking for files"
    watch = Publishing(publish, times, doing)
    verdict = watched(nginx(link).url, watch, deep=deep)
    assert watch.left == 0 or times > 1
    assert [(finding.kind, finding.path) for finding in verdict.findings] == []
    assert verdict.outcome == "whole"
