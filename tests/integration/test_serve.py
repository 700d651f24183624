"""`mirrorpy serve` as its clients see it: a real process, a root that a sync published, requests byte for byte."""

import contextlib
import email.parser
import email.policy
import gzip
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

import lxml.html
import pytest

from .installation import Mirror
from .listing import REPOMD, files_below
from .programs import real_program
from .upstream import Upstream

START_SECONDS = 20.0
PROMPTLY = 5.0
"""Seconds in which anything here has to have happened."""

LOOPBACK = "127.0.0.1"
SECRET = b"nobody may read this"
PASSWD = b"root:x:0:0"

READY = re.compile(r"serving .+ at (http://\S+/)")
ACCESS = re.compile(
    r'(?P<client>\S+) - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "(?P<request>(?:[^"\\]|\\.)*)"'
    r' (?P<status>\d{3}) (?P<bytes>\d+|-) "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)"'
)
"""The Combined Log Format."""

ODD_NAMES = [
    "c++-4.1+b.rpm",
    "tilde~rc1.rpm",
    "caret^git.rpm",
    "percent%2Bsign.rpm",
    "percent%.rpm",
    "a space.rpm",
    "question?mark=1&b.rpm",
    "hash#mark.rpm",
    "colon:1.0.rpm",
    "javascript:alert(1)",
    "semi;colon.rpm",
    "apostrophe'.rpm",
    'quote".rpm',
    "<b>bold&amp;.rpm",
    "back\\slash.rpm",
    "日本語-é.rpm",
    "line\nbreak.rpm",
    "-dash.rpm",
    "ends with dot.",
    os.fsdecode(b"latin-\xe9.rpm"),
]

DOTS = [
    "/../secret",
    "/distro/../../secret",
    "/distro/base/../../../secret",
    "/..",
    "/../",
    "/distro/..",
    "/%2e%2e/secret",
    "/.%2e/secret",
    "/%2e./secret",
    "/%2E%2E/secret",
    "/%2E%2E%2Fsecret",
    "/..%2fsecret",
    "/%2e%2e%2fsecret",
    "/distro%2f..%2f..%2fsecret",
    "/distro/..%2F..%2Fsecret",
]
"""A client that is no attacker sends none of these: 400."""

DISGUISED = [
    "//etc/passwd",
    "///etc/passwd",
    "/%2fetc/passwd",
    "/%2Fetc%2Fpasswd",
    "//../secret",
    "/./../secret",
    "/..%5csecret",
    "/..\\secret",
    "/%5c..%5csecret",
    "/%252e%252e/secret",
    "/%252e%252e%252fsecret",
    "/..%252fsecret",
    "/%c0%ae%c0%ae/secret",
    "/%c0%ae%c0%ae%c0%afsecret",
    "/..%c0%afsecret",
    "/%e0%80%ae%e0%80%ae/secret",
    "/%uff0e%uff0e/secret",
    "/%ef%bc%8e%ef%bc%8e/secret",
    "/%%32%65%%32%65/secret",
    "/..;/secret",
    "/../root-beside/secret",
    "/..%00/secret",
    "/secret%00.rpm",
    "http://127.0.0.1/../secret",
    "http://127.0.0.1/%2e%2e/secret",
    "http://127.0.0.1//etc/passwd",
    "http:///etc/passwd",
    "file:///etc/passwd",
    "../secret",
    "secret",
    "*",
    "",
    "?",
    "/?/../secret",
    "/%",
    "/%zz",
    "/%ff%fe",
    "/{absolute}",
    "/outside",
    "/outside/secret",
    "/outside-relative/secret",
    "/outside-file",
    "/outside-by-way-of-a-link/secret",
    "/dev-null",
    "/proc-self/environ",
]
"""Whatever the answer is, it is nothing from outside, and no fault of the server's."""

HIDDEN = [
    "/.mirrorpy",
    "/.mirrorpy/",
    "/.mirrorpy/pool",
    "/.mirrorpy/pool/",
    "/.mirrorpy/repos/base/state.json",
    "/%2emirrorpy/",
    "/%2Emirrorpy/repos/base/state.json",
    "/.mirror%70y/repos/base/state.json",
    "/.mirrorpy%2fpool",
    "/%2emirrorpy%2frepos%2fbase%2fstate.json",
    "//.mirrorpy/repos/base/state.json",
    "/./.mirrorpy/repos/base/state.json",
    "/%2e/.mirrorpy/repos/base/state.json",
    "/peek",
    "/peek/",
    "/peek/repos/base/state.json",
    "/peek-pool/",
    "/peek-state",
    "/peek-twice/repos/base/state.json",
    "/peek-around/repos/base/state.json",
    "/distro/.mirrorpy/",
]

Make = Callable[[str], Upstream]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request."""

    status: int
    headers: Message
    body: bytes

    @property
    def page(self) -> lxml.html.HtmlElement:
        """Of a folder."""
        return lxml.html.document_fromstring(self.body)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of an index page."""

    name: str
    href: str
    size: int | None
    date: str


def rows(answer: Answer) -> list[Row]:
    """What an index page lists, the way up aside."""
    assert answer.status == 200, answer.status
    found = []
    for line in answer.page.xpath('//table[@id="files"]//tr[td]'):
        (link,) = line.xpath("td[1]/a")
        size = line.xpath("td[2]/@data-size")
        date = line.xpath("td[3]/time/@datetime")
        if link.get("href") != "../":
            found.append(
                Row(
                    name=link.text_content(),
                    href=link.get("href"),
                    size=int(size[0]) if size else None,
                    date=date[0] if date else "",
                )
            )
    return found


def utc(path: Path) -> str:
    """A file's time as index pages have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(path.stat().st_mtime))


class Serving:
    """`mirrorpy serve` of an installation's root, from when it listens."""

    def __init__(
        self, mirror: Mirror, *args: str, bind: str = LOOPBACK, port: int = 0, prefix: Sequence[str] = ()
    ) -> None:
        """Start it, by way of another program where there is a prefix; a quiet one needs a port."""
        self.root = mirror.root
        self.log = mirror.folder / f"serve-{len(list(mirror.folder.glob('serve-*')))}.log"
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [*prefix, *mirror.command("serve", "--bind", bind, "--port", str(port), *args)],
                cwd=mirror.folder,
                env=mirror.environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        self.host = bind
        self.port = port
        until = time.monotonic() + START_SECONDS
        while not self._listens():
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                raise RuntimeError(f"serve does not start: exit {self.process.wait()}: {self.log.read_text()}")
            time.sleep(0.02)

    @property
    def url(self) -> str:
        """Of root, with a slash at its end."""
        return f"http://[{self.host}]:{self.port}/" if ":" in self.host else f"http://{self.host}:{self.port}/"

    def connect(self, *, receive: int = 0) -> socket.socket:
        """A connection on which nothing was said yet, with a small buffer if asked for."""
        sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.settimeout(2 * PROMPTLY)
        try:
            sock.connect((self.host, self.port))
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, target: str | bytes, method: str = "GET", **headers: str) -> Answer:
        """Ask for exactly this target."""
        with self.connect() as sock:
            sock.sendall(request(target, method, Connection="close", **headers))
            return answered(sock, method)

    def rows(self, target: str) -> list[Row]:
        """What the index page of a folder lists."""
        return rows(self.ask(target))

    def lines(self) -> list[str]:
        """What it said on standard output and standard error."""
        return self.log.read_text().splitlines()

    def accesses(self, count: int) -> list[str]:
        """The access log, once it has so many lines; each is written after its response."""
        until = time.monotonic() + PROMPTLY
        while True:
            found = [line for line in self.lines() if not READY.search(line)]
            if len(found) >= count or time.monotonic() > until:
                return found
            time.sleep(0.01)

    def descriptors(self) -> int:
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; returns the exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(2 * PROMPTLY)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def _listens(self) -> bool:
        if not self.port:
            said = READY.search(self.log.read_text())
            self.port = urlsplit(said[1]).port or 0 if said else 0
            return bool(said)
        with contextlib.suppress(OSError):
            self.connect().close()
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()


def request(target: str | bytes, method: str = "GET", **headers: str) -> bytes:
    """The bytes of a request; headers are written with underscores."""
    start = [method.encode(), target if isinstance(target, bytes) else target.encode(), b"HTTP/1.1"]
    fields = {"Host": "mirror.example", **headers}
    lines = [f"{name.replace('_', '-')}: {value}".encode() for name, value in fields.items()]
    return b"\r\n".join([b" ".join(start), *lines, b"", b""])


def answered(sock: socket.socket, method: str = "GET") -> Answer:
    """Read one response; a body that is cut short is an error."""
    with answering(sock, method) as response:
        return Answer(response.status, response.headers, response.read())


@contextlib.contextmanager
def answering(sock: socket.socket, method: str = "GET") -> Iterator[http.client.HTTPResponse]:
    """A response whose body is not read yet."""
    with contextlib.closing(http.client.HTTPResponse(sock, method=method)) as response:
        response.begin()
        yield response


def large(mirror: Mirror, size: int) -> str:
    """Put a large file into root that takes no room; returns its target."""
    mirror.configure({"id": "none", "baseurl": "file:///nowhere/"})
    with (mirror.root / "large.rpm").open("wb") as file:
        file.truncate(size)
    return "/large.rpm"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    """A root that sync published: one repository well, one with a warning, one never; and all sorts of things in it."""
    folder = tmp_path_factory.mktemp("serve")
    base = Upstream(folder / "upstreams" / "base")
    base.add("tool", size=100_000)
    base.add("toy")
    base.publish()
    plain = Upstream(folder / "upstreams" / "plain")
    plain.add("old")
    plain.publish("--simple-md-filenames")
    partial = Upstream(folder / "upstreams" / "partial")
    body = (base.folder / "Packages/toy-1.0-1.noarch.rpm").read_bytes()
    partial.compose({partial.put("there.rpm", body): body, "<i>gone.rpm": b"gone"})
    mirror = Mirror(folder / "mirror")
    mirror.configure(
        {"id": "base", "path": "distro/base/x86_64", "baseurl": base.url},
        {"id": "plain", "path": "distro/plain", "baseurl": plain.url},
        {"id": "partial", "path": "distro/partial", "baseurl": partial.url, "allow_missing": True},
        {"id": "broken", "path": "distro/broken", "baseurl": (folder / "<u>nowhere").as_uri()},
    )
    mirror.sync(expect=None)
    root = mirror.root
    for parent, folders, names in os.walk(root / ".mirrorpy"):
        for name in [*folders, *names]:
            Path(parent, name).chmod(0o755)
    (root / "odd").mkdir()
    for name in ODD_NAMES:
        (root / "odd" / name).write_bytes(os.fsencode(name))
    (root / "odd" / "<i>folder %20").mkdir()
    (root / "odd" / "<i>folder %20" / "inside").write_bytes(b"inside")
    (root / ".hidden").write_bytes(b"hidden")
    (root / "empty").mkdir()
    (root / "nothing.rpm").write_bytes(b"")
    for outside in (folder / "mirror", folder / "mirror" / "root-beside"):
        outside.mkdir(exist_ok=True)
        (outside / "secret").write_bytes(SECRET)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as sock, contextlib.chdir(root):
        sock.bind("socket")
    for name, target in {
        "outside": str(mirror.folder),
        "outside-relative": "../root-beside",
        "outside-file": "../secret",
        "outside-by-way-of-a-link": "outside/root-beside",
        "dev-null": os.devnull,
        "proc-self": "/proc/self",
        "dangling": "nowhere",
        "loop": "loop",
        "peek": ".mirrorpy",
        "peek-pool": ".mirrorpy/pool",
        "peek-state": ".mirrorpy/repos/base/state.json",
        "peek-twice": "peek",
        "peek-around": "distro/../empty/../.mirrorpy",
        "inside": "distro/plain",
        "inside-absolute": str(root / "distro/plain"),
        "inside-file": f"distro/plain/{REPOMD}",
    }.items():
        (root / name).symlink_to(target)
    return mirror


@pytest.fixture(scope="module")
def site(installation: Mirror) -> Iterator[Serving]:
    """A server of that root for everything that does not hurt it; at the end nothing strange stands in its log."""
    with Serving(installation) as serving:
        yield serving
        strange = [line for line in serving.accesses(1) if not ACCESS.fullmatch(line)]
        assert strange == []


@pytest.fixture
def package(site: Serving) -> tuple[str, bytes]:
    """A package's target and bytes."""
    target = "/distro/base/x86_64/Packages/tool-1.0-1.noarch.rpm"
    return target, (site.root / target[1:]).read_bytes()


# Files


def test_every_published_file_is_served_whole(site: Serving) -> None:
    """With its length, and the bytes on disk."""
    published = site.root / "distro/base/x86_64"
    for href in files_below(published):
        got = site.ask(quote(f"/distro/base/x86_64/{href}"))
        body = (published / href).read_bytes()
        assert (got.status, got.body, got.headers["Content-Length"]) == (200, body, str(len(body))), href


def test_head_is_get_without_the_body(site: Serving, package: tuple[str, bytes]) -> None:
    """Also of an index page, and of what is not there."""
    for target in (package[0], "/distro/", "/nowhere"):
        got, head = site.ask(target), site.ask(target, "HEAD")
        assert head.body == b""
        for headers in (got.headers, head.headers):
            del headers["Date"]
        assert (head.status, sorted(head.headers.items())) == (got.status, sorted(got.headers.items())), target


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=5-5", 5, 6),
        ("bytes=100-", 100, None),
        ("bytes=-7", -7, None),
        ("bytes=0-99999999", 0, None),
        ("bytes=-99999999", 0, None),
    ],
)
def test_a_range_is_served(site: Serving, package: tuple[str, bytes], wanted: str, start: int, end: int | None) -> None:
    """First bytes, one byte, the rest, the last bytes, more than there is."""
    target, body = package
    part = body[start:end]
    first = start % len(body)
    got = site.ask(target, Range=wanted)
    assert (got.status, got.body) == (206, part)
    assert got.headers["Content-Range"] == f"bytes {first}-{first + len(part) - 1}/{len(body)}"
    assert got.headers["Content-Length"] == str(len(part))


def test_a_range_beyond_the_end_is_416(site: Serving, package: tuple[str, bytes]) -> None:
    """With the length that would have been right."""
    target, body = package
    got = site.ask(target, Range=f"bytes={len(body)}-")
    assert (got.status, got.headers["Content-Range"]) == (416, f"bytes */{len(body)}")


def test_several_ranges_are_served(site: Serving, package: tuple[str, bytes]) -> None:
    """As multipart/byteranges, each part with its place, as dnf asks for in zchunk metadata; or the whole file."""
    target, body = package
    got = site.ask(target, Range="bytes=0-1,500-509,-3")
    if got.status == 200:
        assert got.body == body
        return
    assert got.status == 206
    text = f"Content-Type: {got.headers['Content-Type']}\r\n\r\n".encode() + got.body
    parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(text)
    assert parts.get_content_type() == "multipart/byteranges"
    size = len(body)
    assert [(part["Content-Range"], part.get_payload(decode=True)) for part in parts.iter_parts()] == [
        (f"bytes 0-1/{size}", body[:2]),
        (f"bytes 500-509/{size}", body[500:510]),
        (f"bytes {size - 3}-{size - 1}/{size}", body[-3:]),
    ]


@pytest.mark.parametrize("wanted", ["bytes=" + ",".join(["0-"] * 1_000), "bytes=" + ",".join(["0-0"] * 20_000)])
def test_many_ranges_cost_no_more_than_the_file(site: Serving, package: tuple[str, bytes], wanted: str) -> None:
    """A request of some kilobytes must not be worth a hundred megabytes."""
    target, body = package
    got = site.ask(target, Range=wanted)
    assert got.status < 500
    assert len(got.body) < 2 * len(body)


@pytest.mark.parametrize("wanted", ["lines=1-2", "bytes", "bytes=9-5", "bytes=a-b", "bytes=--5", "bytes=", "bytes=-"])
def test_a_range_that_is_none_is_no_fault(site: Serving, package: tuple[str, bytes], wanted: str) -> None:
    """Ignored, or refused."""
    target, body = package
    got = site.ask(target, Range=wanted)
    assert got.status in {200, 400, 416}
    assert (got.body == body) == (got.status == 200)


def test_an_empty_file_is_served(site: Serving) -> None:
    """Whole, and without any range to have."""
    assert site.ask("/nothing.rpm").headers["Content-Length"] == "0"
    assert site.ask("/nothing.rpm", Range="bytes=0-0").status in {200, 416}


def test_if_range_serves_a_part_of_what_is_still_the_same(site: Serving, package: tuple[str, bytes]) -> None:
    """By ETag and by date."""
    target, body = package
    headers = site.ask(target, "HEAD").headers
    for validator in (headers["ETag"], headers["Last-Modified"]):
        got = site.ask(target, Range="bytes=0-9", If_Range=validator)
        assert (got.status, got.body) == (206, body[:10]), validator


def test_if_range_serves_all_of_what_has_changed(site: Serving, package: tuple[str, bytes]) -> None:
    """By ETag, by date, and by an ETag that is weak."""
    target, body = package
    headers = site.ask(target, "HEAD").headers
    for validator in ('"other"', formatdate(0, usegmt=True), f"W/{headers['ETag'].removeprefix('W/')}"):
        got = site.ask(target, Range="bytes=0-9", If_Range=validator)
        assert (got.status, got.body) == (200, body), validator


def test_accept_ranges_is_said(site: Serving, package: tuple[str, bytes]) -> None:
    """So that clients resume."""
    assert site.ask(package[0], "HEAD").headers["Accept-Ranges"] == "bytes"


# Validators


def test_last_modified_is_the_files_time(site: Serving, package: tuple[str, bytes]) -> None:
    """In whole seconds."""
    said = site.ask(package[0]).headers["Last-Modified"]
    assert parsedate_to_datetime(said).timestamp() == int((site.root / package[0][1:]).stat().st_mtime)


def test_the_etag_is_strong_and_stays(site: Serving, package: tuple[str, bytes]) -> None:
    """Equal between two fetches, as a resumed download needs it."""
    first, second = (site.ask(package[0]).headers["ETag"] for _ in range(2))
    assert first == second
    assert re.fullmatch(r'"[^"]+"', first)


@pytest.mark.parametrize("form", ["{0}", "W/{0}", '"other", {0}', "*"])
def test_if_none_match_is_304(site: Serving, package: tuple[str, bytes], form: str) -> None:
    """In each of its forms."""
    etag = site.ask(package[0]).headers["ETag"]
    got = site.ask(package[0], If_None_Match=form.format(etag))
    assert (got.status, got.body, got.headers["ETag"]) == (304, b"", etag)


def test_if_modified_since_is_304(site: Serving, package: tuple[str, bytes]) -> None:
    """With the date that was said."""
    said = site.ask(package[0]).headers["Last-Modified"]
    got = site.ask(package[0], If_Modified_Since=said)
    assert (got.status, got.body) == (304, b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"If_None_Match": '"other"'},
        {"If_None_Match": '"other"', "If_Modified_Since": formatdate(4e9, usegmt=True)},
        {"If_Modified_Since": formatdate(0, usegmt=True)},
        {"If_Modified_Since": "yesterday"},
        {"If_Modified_Since": "Mon, 99 Nov 99999 99:99:99 GMT"},
    ],
)
def test_what_the_client_does_not_have_is_served(
    site: Serving, package: tuple[str, bytes], headers: dict[str, str]
) -> None:
    """The ETag counts before the date; a date that is none does not count."""
    got = site.ask(package[0], **headers)
    assert (got.status, got.body) == (200, package[1])


def test_a_publication_changes_the_etag_of_what_changed_only(upstream: Make, mirror: Mirror) -> None:
    """Of repomd.xml, also where neither its size nor its time tells; not of a package that both generations hold."""
    base = upstream("base")
    kept = f"/base/{base.add('kept')}"
    old = base.add("one")
    base.publish()
    mirror.configure({"id": "base", "baseurl": base.url})
    mirror.sync()
    file = mirror.published("base") / REPOMD
    before = file.stat()
    with Serving(mirror) as serving:
        first = {target: serving.ask(target) for target in (f"/base/{REPOMD}", kept)}
        base.remove(old)
        base.add("two")
        base.publish()
        mirror.sync()
        file.chmod(0o644)
        assert file.stat().st_size == before.st_size
        os.utime(file, ns=(before.st_mtime_ns, before.st_mtime_ns))
        etag = first[f"/base/{REPOMD}"].headers["ETag"]
        again = serving.ask(f"/base/{REPOMD}", If_None_Match=etag)
        assert (again.status, again.body) == (200, file.read_bytes())
        assert again.headers["ETag"] != etag
        assert serving.ask(kept).headers["ETag"] == first[kept].headers["ETag"]


def test_a_download_goes_on_with_the_file_it_began_with(mirror: Mirror) -> None:
    """Though another is published meanwhile."""
    file = mirror.root / "large.rpm"
    file.write_bytes(b"old" * 10_000_000)
    mirror.configure({"id": "none", "baseurl": "file:///nowhere/"})
    with Serving(mirror) as serving, serving.connect(receive=4_096) as sock:
        sock.sendall(request("/large.rpm"))
        with answering(sock) as response:
            body = response.read(1_000)
            (mirror.root / "new").write_bytes(b"new" * 5_000_000)
            (mirror.root / "new").rename(file)
            assert body + response.read() == b"old" * 10_000_000
        assert serving.ask("/large.rpm").body == b"new" * 5_000_000


def test_a_file_that_shrinks_cuts_the_connection(mirror: Mirror) -> None:
    """Rather than that the client gets other bytes, or waits for ever."""
    target = large(mirror, 50_000_000)
    with Serving(mirror) as serving, serving.connect(receive=4_096) as sock:
        sock.sendall(request(target))
        with answering(sock) as response:
            os.truncate(mirror.root / target[1:], 20_000_000)
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                response.read()
        assert serving.ask("/").status == 200


# Headers


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.rpm", "application/x-rpm"),
        ("a.drpm", "application/x-rpm"),
        ("a.xml", "application/xml"),
        ("a.xml.gz", "application/gzip"),
        ("a.tar.gz", "application/gzip"),
        ("a.xml.bz2", "application/x-bzip2"),
        ("a.xml.xz", "application/x-xz"),
        ("a.xml.zst", "application/zstd"),
        ("repomd.xml.asc", "application/pgp-signature"),
        ("a.strange", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_types(site: Serving, name: str, kind: str) -> None:
    """By the last suffix, and never with an encoding."""
    folder = site.root / "types"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    got = site.ask(f"/types/{name}", Accept_Encoding="gzip, deflate, br, zstd")
    assert (got.headers["Content-Type"], got.headers["Content-Encoding"], got.body) == (kind, None, b"x")


def test_packed_metadata_arrives_packed(site: Serving) -> None:
    """A client that takes gzip gets the file's own bytes, not something to unpack on the way."""
    (record,) = (site.root / "distro/base/x86_64/repodata").glob("*-primary.xml.gz")
    got = site.ask(f"/distro/base/x86_64/repodata/{record.name}", Accept_Encoding="gzip")
    assert got.headers["Content-Encoding"] is None
    assert got.headers["Transfer-Encoding"] is None
    assert b"<metadata" in gzip.decompress(got.body)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("repodata/repomd.xml", "no-cache"),
        ("repodata/repomd.xml.asc", "no-cache"),
        ("repodata/repomd.xml.key", "no-cache"),
        ("repodata/primary.xml.gz", "no-cache"),
        ("repodata/", "no-cache"),
        (f"repodata/{'0a' * 32}-primary.xml.gz", "public, max-age=31536000, immutable"),
        (f"repodata/{'0a' * 20}-primary.xml.gz", "public, max-age=31536000, immutable"),
        (f"repodata/primary-{'0a' * 16}.xml.gz", "public, max-age=31536000, immutable"),
        (f"repodata/{'0a' * 15}-primary.xml.gz", "no-cache"),
        (f"repodata/{'0g' * 32}-primary.xml.gz", "no-cache"),
        (f"{'0a' * 32}/tool.rpm", None),
        ("Packages/tool-1.0-1.noarch.rpm", None),
    ],
)
def test_cache_control(site: Serving, target: str, expected: str | None) -> None:
    """For ever where the name is the content, asked again where it is not, undecided for packages; same with 304."""
    path = site.root / "cached" / target
    path.parent.mkdir(parents=True, exist_ok=True)
    if not target.endswith("/"):
        path.write_bytes(b"x")
    got = site.ask(f"/cached/{target}")
    assert (got.status, got.headers["Cache-Control"]) == (200, expected)
    if "ETag" in got.headers:
        again = site.ask(f"/cached/{target}", If_None_Match=got.headers["ETag"])
        assert (again.status, again.headers["Cache-Control"]) == (304, expected)


def test_a_404_is_not_kept(site: Serving) -> None:
    """What is absent under a name with a checksum may be published the next minute."""
    got = site.ask(f"/distro/base/x86_64/repodata/{'0a' * 32}-primary.xml.gz")
    assert got.status == 404
    assert "immutable" not in got.headers.get("Cache-Control", "")


# The protocol


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "POST", "PATCH", "OPTIONS", "TRACE", "MKCOL", "PROPFIND", "MOVE", "LINK", "FOO", "get"]
)
@pytest.mark.parametrize("target", ["/nothing.rpm", "/new.rpm", "/distro/", "/.mirrorpy/"])
def test_other_methods_are_405(site: Serving, method: str, target: str) -> None:
    """Whatever they ask for, and nothing changes."""
    before = files_below(site.root)
    with site.connect() as sock:
        sock.sendall(request(target, method, Content_Length="5", Connection="close") + b"hello")
        got = answered(sock)
    assert (got.status, got.headers["Allow"]) == (405, "GET, HEAD")
    assert SECRET not in got.body
    assert files_below(site.root) == before


def test_one_connection_carries_many_requests(site: Serving, package: tuple[str, bytes]) -> None:
    """With errors, 304 and HEAD between them, also when the client does not wait for the answers."""
    targets = [package[0], "/nowhere", "/", package[0], "/distro", package[0]]
    connection = http.client.HTTPConnection(site.host, site.port, timeout=PROMPTLY)
    with contextlib.closing(connection):
        connection.connect()
        sock = connection.sock
        for target in targets:
            connection.request("HEAD", target)
            connection.getresponse().read()
            connection.request("GET", target)
            body = connection.getresponse().read()
            assert connection.sock is sock
        assert body == package[1]
    with site.connect() as sock, sock.makefile("rb") as stream:
        sock.sendall(b"".join(request(target) for target in targets))
        statuses = []
        for _ in targets:
            statuses.append(int(stream.readline().split()[1]))
            headers = http.client.parse_headers(stream)
            stream.read(int(headers["Content-Length"]))
    assert statuses == [200, 404, 200, 200, 301, 200]


def test_requests_on_one_connection_follow_each_other_at_once(site: Serving) -> None:
    """No answer waits for the acknowledgement of its own beginning, which clients delay by 40 ms."""
    connection = http.client.HTTPConnection(site.host, site.port, timeout=PROMPTLY)
    with contextlib.closing(connection):
        began = time.monotonic()
        for _ in range(50):
            connection.request("GET", f"/distro/plain/{REPOMD}")
            connection.getresponse().read()
        assert time.monotonic() - began < 1.0


def test_http_1_0_is_understood(site: Serving, package: tuple[str, bytes]) -> None:
    """Without a Host, and the connection ends."""
    with site.connect() as sock:
        sock.sendall(f"GET {package[0]} HTTP/1.0\r\n\r\n".encode())
        got = answered(sock)
        assert (got.status, got.body) == (200, package[1])
        assert sock.recv(1) == b""


def test_a_query_is_not_part_of_the_name(site: Serving, package: tuple[str, bytes]) -> None:
    """Clients add them against caches."""
    assert site.ask(f"{package[0]}?a=../b").body == package[1]


def test_an_absolute_target_is_understood(site: Serving, package: tuple[str, bytes]) -> None:
    """As RFC 9112 demands of every server."""
    assert site.ask(f"http://mirror.example{package[0]}").body == package[1]


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        request("/", Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Version="13", Sec_WebSocket_Key="A" * 24),
    ],
)
def test_nonsense_is_no_fault(site: Serving, raw: bytes) -> None:
    """An answer below 500 or none, and the server goes on."""
    with site.connect() as sock, contextlib.suppress(OSError):
        sock.sendall(raw)
        sock.shutdown(socket.SHUT_WR)
        got = sock.recv(4_096)
        assert re.match(rb"HTTP/1\.[01] [234]\d\d |$", got), got
    assert site.ask("/").status == 200


@pytest.mark.parametrize("target", ["/" + "a" * 300, "/" + "a" * 8_000, "/" + "a/" * 4_000, "/" + "a" * 200_000])
def test_a_long_path_is_no_fault(site: Serving, target: str) -> None:
    """Not found, or too long."""
    with site.connect() as sock, contextlib.suppress(ConnectionError):
        sock.sendall(request(target, Connection="close"))
        assert answered(sock).status in {400, 404, 414, 431}
    assert site.ask("/").status == 200


@pytest.mark.parametrize("target", ["/a%00b", "/distro%00/", "/%00", "/nothing.rpm%00"])
def test_nul_is_400(site: Serving, target: str) -> None:
    """No file's name has one."""
    assert site.ask(target).status == 400


# Confinement


@pytest.mark.parametrize("target", DOTS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_two_dots_are_400(site: Serving, target: str, method: str) -> None:
    """Also where they would lead to something inside root."""
    got = site.ask(target, method)
    assert got.status == 400
    assert SECRET not in got.body


@pytest.mark.parametrize("target", DISGUISED)
def test_nothing_outside_root_is_served(site: Serving, target: str) -> None:
    """In any disguise."""
    target = target.format(absolute=quote(str(site.root.parent / "secret"), safe=""))
    with contextlib.suppress(ConnectionError):
        got = site.ask(target)
        assert got.status < 500
        assert SECRET not in got.body
        assert PASSWD not in got.body
        assert b"secret</a>" not in got.body
        assert "PATH=" not in got.body.decode(errors="replace")
    assert site.ask("/").status == 200


@pytest.mark.parametrize("target", HIDDEN)
def test_mirrorpys_own_folder_is_404(site: Serving, target: str) -> None:
    """By its name in any spelling, and by way of links."""
    for ask in (site.ask(target), site.ask(target, "HEAD"), site.ask(f"{target}?x")):
        assert ask.status == 404


@pytest.mark.parametrize("target", ["/distro/../.mirrorpy", "/distro/%2e%2e/.mirrorpy/", "/x/..%2f.mirrorpy/pool"])
def test_mirrorpys_own_folder_is_400_by_way_of_dots(site: Serving, target: str) -> None:
    """As with every other name."""
    assert site.ask(target).status == 400


def test_names_with_a_dot_are_not_listed(site: Serving) -> None:
    """Neither mirrorpy's own folder nor generations, nor anybody's hidden files."""
    for target in ("/", "/distro/", "/distro/base/"):
        assert [row for row in site.rows(target) if row.name.startswith(".")] == []
        assert b".mirrorpy" not in site.ask(target).body


@pytest.mark.parametrize("target", ["/inside/", "/inside-absolute/"])
def test_a_link_inside_root_is_followed(site: Serving, target: str) -> None:
    """To a folder, relative or absolute, listed and served."""
    assert {row.name for row in site.rows(target)} >= {"repodata/", "Packages/"}
    assert site.ask(f"{target}{REPOMD}").body == (site.root / "distro/plain" / REPOMD).read_bytes()


def test_a_link_to_a_file_inside_root_is_followed(site: Serving) -> None:
    """Its bytes are the target's."""
    assert site.ask("/inside-file").body == (site.root / "distro/plain" / REPOMD).read_bytes()


@pytest.mark.parametrize(
    "target", ["/outside/", "/outside/secret", "/outside-file", "/dev-null", "/dangling", "/loop", "/loop/x"]
)
def test_a_link_that_leads_nowhere_inside_is_404(site: Serving, target: str) -> None:
    """Out of root, to nothing, to itself."""
    assert site.ask(target).status == 404


def test_root_may_be_a_link_itself(installation: Mirror, tmp_path: Path) -> None:
    """What is inside is judged by where root really is."""
    mirror = Mirror(tmp_path / "other")
    mirror.root.rmdir()
    mirror.root.symlink_to(installation.root)
    mirror.configure({"id": "none", "baseurl": "file:///nowhere/"})
    with Serving(mirror) as serving:
        for folder in ("distro/plain", "inside", "inside-absolute"):
            assert serving.ask(f"/{folder}/{REPOMD}").status == 200, folder
        assert serving.ask("/outside/secret").status == 404


@pytest.mark.parametrize("target", ["/fifo", "/socket", "/fifo/", "/socket/"])
def test_what_is_neither_file_nor_folder_is_404(site: Serving, target: str) -> None:
    """At once, though a FIFO has no writer."""
    began = time.monotonic()
    assert site.ask(target).status == 404
    assert time.monotonic() - began < PROMPTLY


@pytest.mark.parametrize("target", ["/nothing.rpm/", f"/distro/plain/{REPOMD}/", "/nothing.rpm/x", "/nowhere/"])
def test_a_file_is_no_folder(site: Serving, target: str) -> None:
    """A slash behind it is 404."""
    assert site.ask(target).status == 404


def test_what_may_not_be_read_is_403(installation: Mirror) -> None:
    """A file, a folder, what is in a folder; by a root that lost root's right to read everything."""
    folder = installation.root / "closed"
    folder.mkdir()
    (folder / "file.rpm").write_bytes(SECRET)
    (folder / "file.rpm").chmod(0)
    (folder / "folder").mkdir()
    (folder / "folder" / "inside").write_bytes(SECRET)
    (folder / "folder").chmod(0)
    drop = [real_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
    try:
        with Serving(installation, prefix=drop) as serving:
            targets = ("file.rpm", "folder/", "folder/inside", "folder")
            assert {target: serving.ask(f"/closed/{target}").status for target in targets} == dict.fromkeys(
                targets, 403
            )
            assert [row.name for row in serving.rows("/closed/")] == ["folder/", "file.rpm"]
            assert [line for line in serving.accesses(5) if not ACCESS.fullmatch(line)] == []
    finally:
        (folder / "folder").chmod(0o700)


# Folders


@pytest.mark.parametrize(
    ("target", "location"),
    [("/distro", "/distro/"), ("/distro/base", "/distro/base/"), ("/inside", "/inside/"), ("/distro?x=1", "/distro/")],
)
def test_a_folder_without_its_slash_is_redirected(site: Serving, target: str, location: str) -> None:
    """Within the host, whatever it is called."""
    got = site.ask(target)
    assert (got.status, urlsplit(got.headers["Location"]).path) == (301, location)
    assert urlsplit(got.headers["Location"]).netloc == ""


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "//evil.example/..",
        "//evil.example/%2e%2e",
        "///evil.example",
        "/%2fevil.example",
        "/%2f%2fevil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "/.//evil.example",
        "/%09/evil.example",
        "//evil.example\\..\\distro",
        "http://evil.example/distro",
        "//distro",
        "//evil.example//distro",
        "/evil.example%0d%0aLocation:%20http:%2f%2fevil.example",
    ],
)
def test_no_redirect_leads_to_another_host(site: Serving, target: str) -> None:
    """Though there are folders of such names."""
    for name in ("evil.example", "\\evil.example", "evil.example\r\nLocation: http:"):
        (site.root / name).mkdir(exist_ok=True)
    got = site.ask(target)
    assert got.status < 500
    location = got.headers.get_all("Location", [])
    assert len(location) == int(300 <= got.status < 400)
    for url in location:
        assert urlsplit(urljoin(site.url, url.replace("\\", "/"))).netloc == urlsplit(site.url).netloc, url
        assert not url.startswith("//")


def test_an_index_page_lists_names_sizes_and_dates(site: Serving) -> None:
    """As they are on disk: folders first, each kind by name."""
    folder = site.root / "distro/base/x86_64/repodata"
    assert site.rows("/distro/base/x86_64/repodata/") == [
        Row(path.name, path.name, path.stat().st_size, utc(path)) for path in sorted(folder.iterdir())
    ]
    assert [(row.name, row.date) for row in site.rows("/distro/base/x86_64/")] == [
        (f"{name}/", utc(folder.parent / name)) for name in ("Packages", "repodata")
    ]
    assert [row.name for row in site.rows("/distro/")] == ["base/", "partial/", "plain/"]


def test_every_listed_name_can_be_fetched(site: Serving) -> None:
    """By the link as a browser resolves it, down to every file."""
    seen = set()
    todo = ["/distro/", "/odd/"]
    while todo:
        target = todo.pop()
        for row in site.rows(target):
            url = urlsplit(urljoin(urljoin(site.url, target), row.href))
            assert (url.netloc, url.query, url.fragment) == (urlsplit(site.url).netloc, "", ""), row
            if row.name.endswith("/"):
                todo.append(url.path)
            else:
                got = site.ask(url.path)
                assert (got.status, len(got.body)) == (200, row.size), row
                seen.add(got.body)
    assert {os.fsencode(name) for name in ODD_NAMES} | {b"inside"} <= seen


def test_odd_names_are_shown_as_they_are(site: Serving) -> None:
    """Markup in them is text."""
    got = site.ask("/odd/")
    names = {row.name for row in rows(got)}
    assert names >= {name for name in ODD_NAMES if name.isprintable() and name.isascii()} | {"日本語-é.rpm"}
    assert b"<b>" not in got.body
    assert b"<i>" not in got.body
    assert len(names) == len(ODD_NAMES) + 1


def test_a_folders_own_name_is_text(site: Serving) -> None:
    """In the title and in the way up."""
    got = site.ask(quote("/odd/<i>folder %20/"))
    assert b"<i>" not in got.body
    assert "<i>folder %20" in got.page.xpath("string(//title)")
    assert [row.name for row in rows(got)] == ["inside"]


def test_a_name_that_is_not_there_is_text(site: Serving) -> None:
    """The answer does not run what was asked for."""
    for target in ("/<script>alert(1)</script>", "/%3Cscript%3Ealert(1)%3C/script%3E", "/<script>%00"):
        got = site.ask(target)
        assert b"<script>" not in got.body or got.headers["Content-Type"].startswith("text/plain")


def test_a_name_that_begins_with_dots_is_a_name(site: Serving) -> None:
    """Served, though not listed."""
    (site.root / "odd" / "..two").write_bytes(b"two")
    assert site.ask("/odd/..two").body == b"two"
    assert site.ask("/odd/%2e%2etwo").body == b"two"


def test_the_way_up_works(site: Serving) -> None:
    """Each step of the breadcrumb, and the parent's row."""
    target = "/distro/base/x86_64/repodata/"
    page = site.ask(target).page
    links = [urlsplit(urljoin(urljoin(site.url, target), href)).path for href in page.xpath("//a/@href")]
    for up in ("/", "/distro/", "/distro/base/", "/distro/base/x86_64/"):
        assert up in links
        assert site.ask(up).status == 200


def test_links_that_lead_nowhere_are_not_listed(site: Serving) -> None:
    """Whatever a page lists answers."""
    for row in site.rows("/"):
        target = urlsplit(urljoin(site.url, row.href)).path
        assert site.ask(target, "HEAD").status == 200, row


def test_an_empty_folder_has_an_empty_page(site: Serving) -> None:
    """It is a page all the same."""
    assert site.rows("/empty/") == []


def test_a_folder_of_5000_entries_is_listed(site: Serving) -> None:
    """All of them, in order, at once."""
    folder = site.root / "many"
    folder.mkdir()
    for number in range(4_900):
        (folder / f"package-{number:04}.rpm").write_bytes(b"x" * (number % 97))
    for number in range(100):
        (folder / f"folder-{number:04}").mkdir()
    began = time.monotonic()
    got = site.rows("/many/")
    assert time.monotonic() - began < PROMPTLY
    expected = sorted(folder.iterdir(), key=lambda path: (path.is_file(), path.name))
    assert got == [
        Row(path.name, path.name, path.stat().st_size, utc(path))
        if path.is_file()
        else Row(f"{path.name}/", f"{path.name}/", None, utc(path))
        for path in expected
    ]


@pytest.mark.parametrize("target", ["/", "/distro/", "/distro/partial/", "/odd/", "/nowhere"])
def test_a_page_needs_nothing_but_itself(site: Serving, target: str) -> None:
    """No script, no other host, not even another file; and browsers are told so."""
    got = site.ask(target)
    assert not re.search(
        rb"<(?:script|iframe|object|embed|img|link|base|form)\b|javascript:\S*\"|@import|url\(", got.body
    )
    assert not re.search(rb"""(?:href|src|action)\s*=\s*["']?(?:https?:)?//""", got.body)
    if got.headers["Content-Type"].startswith("text/html"):
        assert got.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in got.headers["Content-Security-Policy"]
        assert got.page.xpath("//@*[starts-with(name(), 'on')]") == []


# The repositories' status


def repositories(answer: Answer) -> dict[str, tuple[str, str]]:
    """The status panel: where each repository's link leads, and its line's text."""
    lines = answer.page.xpath('//table[@id="repositories"]//tr[td]')
    return {
        line.xpath("string(td[1])").strip(): (line.xpath("string(td[1]//a/@href)"), line.text_content())
        for line in lines
    }


def test_the_status_tells_of_every_repository_below(site: Serving) -> None:
    """Packages, and a link that leads to it."""
    for target in ("/", "/distro/"):
        panel = repositories(site.ask(target))
        assert set(panel) == {"base", "plain", "partial", "broken"}
        for name, packages in (("base", "2"), ("plain", "1"), ("partial", "1")):
            href, text = panel[name]
            assert packages in text
            assert {row.name for row in site.rows(urlsplit(urljoin(urljoin(site.url, target), href)).path)} >= {
                "repodata/"
            }
    assert set(repositories(site.ask("/distro/base/"))) == {"base"}


def test_the_status_tells_of_warnings_and_errors(site: Serving) -> None:
    """In mirrorpy's words, as text."""
    got = site.ask("/")
    panel = repositories(got)
    assert "published without <i>gone.rpm" in panel["partial"][1]
    assert "<u>nowhere" in panel["broken"][1] or "%3Cu%3Enowhere" in panel["broken"][1]
    assert b"<i>" not in got.body
    assert b"<u>" not in got.body


def test_a_repository_tells_its_own_status(site: Serving) -> None:
    """On its page, and on the pages of the folders in it."""
    for target in ("/distro/partial/", "/distro/partial/repodata/"):
        text = site.ask(target).page.text_content()
        assert "published without <i>gone.rpm" in text, target
        assert "broken" not in text, target


def test_the_status_is_that_of_the_last_sync(upstream: Make, mirror: Mirror) -> None:
    """Without starting the server anew."""
    base = upstream("base")
    base.add("one")
    base.publish()
    mirror.configure({"id": "base", "baseurl": base.url})
    with Serving(mirror) as serving:
        assert set(repositories(serving.ask("/"))) == {"base"}
        mirror.sync()
        assert serving.ask(f"/base/{REPOMD}").status == 200
        (base.folder / REPOMD).unlink()
        mirror.sync(expect=None)
        assert "repomd.xml" in repositories(serving.ask("/"))["base"][1]


def test_a_damaged_state_is_no_fault(mirror: Mirror) -> None:
    """The page shows what there is."""
    mirror.configure({"id": "base", "baseurl": "file:///nowhere/"})
    state = mirror.root / ".mirrorpy/repos/base/state.json"
    state.parent.mkdir(parents=True)
    with Serving(mirror) as serving:
        for text in ('{"packages": "many"}', "{", '{"timestamp": 1e300, "last_success": -1e300}', "\0"):
            state.write_text(text)
            assert set(repositories(serving.ask("/"))) == {"base"}, text


# The command


def test_a_taken_port_is_6(site: Serving, installation: Mirror) -> None:
    """And one line."""
    done = installation.run("serve", "--port", str(site.port))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (6, "", 1), done.stderr
    assert str(site.port) in done.stderr


@pytest.mark.parametrize("address", ["192.0.2.1", "no-such-host.invalid", "2001:db8::1", "not an address"])
def test_an_address_of_another_machine_is_6(installation: Mirror, address: str) -> None:
    """And one line."""
    done = installation.run("serve", "--port", "0", "--bind", address)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (6, "", 1), done.stderr


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_2(installation: Mirror, port: str) -> None:
    """As every wrong use."""
    with installation.start("serve", f"--port={port}") as process:
        try:
            _, said = process.communicate(timeout=PROMPTLY)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"it serves on port {port}: {process.communicate()[1]}")
    assert process.returncode == 2, said
    assert "Traceback" not in said


def test_a_root_that_is_not_there_is_6(mirror: Mirror) -> None:
    """And one line."""
    mirror.configure({"id": "none", "baseurl": "file:///nowhere/"})
    mirror.root.rmdir()
    done = mirror.run("serve", "--port", "0")
    assert (done.returncode, len(done.stderr.splitlines())) == (6, 1), done.stderr


@pytest.mark.parametrize("package_name", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(
    installation: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package_name: str
) -> None:
    """And one line; other commands work."""
    (tmp_path / f"{package_name}.py").write_text(
        f"raise ModuleNotFoundError(\"No module named '{package_name}'\", name='{package_name}')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    done = installation.run("serve", "--port", "0")
    assert done.returncode == 2, done.stderr
    assert "pip install 'mirrorpy[serve]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert installation.run("status").returncode == 0


def test_ipv6(installation: Mirror) -> None:
    """On the address asked for, and it is told as a URL has it."""
    with Serving(installation, bind="::1") as serving:
        assert f"http://[::1]:{serving.port}/" in serving.lines()[0]
        assert serving.ask("/").status == 200
        assert serving.accesses(1)[0].startswith("::1 ")


def test_it_listens_on_loopback_only(site: Serving) -> None:
    """Unless told otherwise."""
    listening = {
        line.split()[1].split(":")[0]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].split(":")[1], 16) == site.port
    }
    assert listening == {"0100007F"}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it(mirror: Mirror, number: int, status: int) -> None:
    """At once, though there are a silent connection, an idle one, and half a request."""
    mirror.configure({"id": "none", "baseurl": "file:///nowhere/"})
    with Serving(mirror) as serving, serving.connect(), serving.connect() as idle, serving.connect() as half:
        idle.sendall(request("/"))
        assert idle.recv(100)
        half.sendall(b"GET / HT")
        began = time.monotonic()
        assert serving.stop(number) == status
        assert time.monotonic() - began < PROMPTLY / 2
        text = serving.log.read_text()
    assert "Traceback" not in text
    assert "Error" not in text


def test_a_signal_waits_for_no_slow_download(mirror: Mirror) -> None:
    """A moment to end is all that it gets; what is cut is seen to be cut."""
    target = large(mirror, 200_000_000)
    with Serving(mirror) as serving, serving.connect(receive=4_096) as slow:
        slow.sendall(request(target))
        with answering(slow) as response:
            began = time.monotonic()
            assert serving.stop() == 143
            assert time.monotonic() - began < 1.5 * PROMPTLY
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                response.read()
        assert "Traceback" not in serving.log.read_text()


def test_each_request_is_logged(installation: Mirror) -> None:
    """In the Combined Log Format, with what was sent."""
    with Serving(installation) as serving:
        body = serving.ask(f"/distro/plain/{REPOMD}", User_Agent="libdnf (test)").body
        serving.ask("/nowhere%20there?x", "HEAD")
        serving.ask("/", "DELETE")
        serving.ask(f"/distro/plain/{REPOMD}", Range="bytes=0-4")
        lines = serving.accesses(4)
    found = [match.groupdict() for match in map(ACCESS.fullmatch, lines) if match]
    assert [(line["client"], line["request"], line["status"]) for line in found] == [
        (LOOPBACK, f"GET /distro/plain/{REPOMD} HTTP/1.1", "200"),
        (LOOPBACK, "HEAD /nowhere%20there?x HTTP/1.1", "404"),
        (LOOPBACK, "DELETE / HTTP/1.1", "405"),
        (LOOPBACK, f"GET /distro/plain/{REPOMD} HTTP/1.1", "206"),
    ], lines
    assert (found[0]["bytes"], found[0]["referer"], found[0]["agent"]) == (str(len(body)), "-", "libdnf (test)")
    assert (found[1]["bytes"] in {"0", "-"}, found[1]["agent"], found[3]["bytes"]) == (True, "-", "5")


def test_the_log_tells_the_referer(installation: Mirror) -> None:
    """As the Combined Log Format has it."""
    with Serving(installation) as serving:
        serving.ask("/", Referer="http://intranet.example/a")
        (match,) = map(ACCESS.fullmatch, serving.accesses(1))
    assert match
    assert match["referer"] == "http://intranet.example/a"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_client_forges_the_log(installation: Mirror, log_format: str) -> None:
    """Quotes, backslashes and a terminal's commands arrive escaped."""
    agent = b'x" 200 1\x1b[31m \\" \x9b\xe9'
    with Serving(installation, "--log-format", log_format) as serving:
        with serving.connect() as sock:
            sock.sendall(b'GET /"\\%0a HTTP/1.1\r\nHost: a\r\nUser-Agent: ' + agent + b"\r\nConnection: close\r\n\r\n")
            assert sock.recv(4_096)
        serving.ask("/last")
        (*_, last) = serving.accesses(2)
        assert "/last" in last
        lines = [line for line in serving.log.read_bytes().decode().split("\n")[:-1] if not READY.search(line)]
    assert "\x1b" not in "".join(lines)
    for line in lines:
        if log_format == "json":
            json.loads(line)
        else:
            assert ACCESS.fullmatch(line), line
            assert line.isprintable()


def test_the_log_can_be_json(installation: Mirror) -> None:
    """One object a request."""
    with Serving(installation, "--log-format", "json") as serving:
        body = serving.ask(f"/distro/plain/{REPOMD}", User_Agent='a "quoted" agent').body
        (line,) = serving.accesses(1)
    access = json.loads(line)
    assert {200, len(body), 'a "quoted" agent'} <= set(access.values())
    assert REPOMD in line


def test_all_that_it_says_can_be_json(installation: Mirror) -> None:
    """That it listens, and that it ends."""
    with Serving(installation, "--log-format", "json") as serving:
        serving.ask("/")
        serving.stop()
        for line in serving.lines():
            assert isinstance(json.loads(line), dict), line


def test_quiet_says_nothing(installation: Mirror) -> None:
    """Neither that it listens nor who asks."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        port = probe.getsockname()[1]
    with Serving(installation, "--quiet", port=port) as serving:
        assert serving.ask("/").status == 200
        assert serving.ask("/nowhere").status == 404
        time.sleep(0.1)
        assert serving.log.read_text() == ""


# Under strain


def test_clients_that_go_away_are_no_fault(mirror: Mirror) -> None:
    """In the middle of a download, in the middle of a request: no traceback, nothing left open."""
    target = large(mirror, 50_000_000)
    with Serving(mirror) as serving:
        serving.ask("/")
        before = serving.descriptors()
        for number in range(40):
            with serving.connect(receive=4_096) as sock:
                sock.sendall(request(target)[: None if number % 4 else 10])
                if number % 2:
                    sock.recv(1_000)
                # Reset, not closed.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert len(serving.ask(target).body) == 50_000_000
        until = time.monotonic() + PROMPTLY
        while serving.descriptors() > before and time.monotonic() < until:
            time.sleep(0.05)
        assert serving.descriptors() <= before
        serving.stop()
        strange = [line for line in serving.lines() if not READY.search(line) and not ACCESS.fullmatch(line)]
    assert [line for line in strange if "ended by" not in line] == []


def test_no_request_leaves_a_file_open(site: Serving, package: tuple[str, bytes]) -> None:
    """Whatever its answer was."""
    etag = site.ask(package[0]).headers["ETag"]
    before = site.descriptors()
    for _ in range(20):
        site.ask(package[0], "HEAD")
        site.ask(package[0], If_None_Match=etag)
        site.ask(package[0], Range="bytes=99999999-")
        site.ask(package[0], Range="bytes=0-1,4-5")
        site.ask("/distro/")
        site.ask("/fifo")
        site.ask("/outside-file")
    until = time.monotonic() + PROMPTLY
    while site.descriptors() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert site.descriptors() <= before


def test_idle_connections_stop_nobody(site: Serving) -> None:
    """300 of them: silent, in the middle of a request, between two requests."""
    with contextlib.ExitStack() as stack:
        for number in range(300):
            sock = stack.enter_context(site.connect())
            if number % 3 == 1:
                sock.sendall(b"GET / HTTP/1.1\r\nHost:")
            elif number % 3 == 2:
                sock.sendall(request("/empty/"))
        began = time.monotonic()
        assert site.ask("/").status == 200
        assert time.monotonic() - began < PROMPTLY


def test_slow_downloads_stop_nobody(mirror: Mirror) -> None:
    """64 clients that do not read hold up no other, and cost no memory."""
    target = large(mirror, 200_000_000)
    with Serving(mirror) as serving, contextlib.ExitStack() as stack:
        for _ in range(64):
            sock = stack.enter_context(serving.connect(receive=4_096))
            sock.sendall(request(target))
            assert sock.recv(100)
        began = time.monotonic()
        assert len(serving.ask(target).body) == 200_000_000
        assert serving.ask("/").status == 200
        assert time.monotonic() - began < PROMPTLY
        status = Path(f"/proc/{serving.process.pid}/status").read_text()
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
        assert int(peak) < 200_000


def test_many_clients_get_whole_files(site: Serving, package: tuple[str, bytes]) -> None:
    """32 at once, ten times each."""
    wrong: list[Answer] = []

    def fetch() -> None:
        for _ in range(10):
            got = site.ask(package[0])
            if (got.status, got.body) != (200, package[1]):
                wrong.append(got)

    threads = [threading.Thread(target=fetch) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
