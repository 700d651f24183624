"""Upstreams in memory, as an httpx transport: tests change them, publish, make them fail, and read what was asked.

    simulator = Simulator()
    repo = simulator.repository("https://up.test/repo/")
    href = repo.add("bash")
    repo.publish()
    repo.fail(href, status(503), httpx.ConnectError("refused"), cut(100))  # three requests; after them it is well again
    Network(transport=simulator)
    assert repo.asked() == ["repodata/repomd.xml", ...]

A fault is an exception, or a function from a request and the honest reply to the reply that is sent. Packages are no
real RPMs: nobody here looks into them. The model is python-tuf's repository simulator.
"""

import bz2
import email.utils
import gzip
import hashlib
import itertools
import lzma
import random
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape, quoteattr

import httpx
import zstandard

FIRST = 1_700_000_000
"""When the first repository is published; each publication is a minute later."""
BLOCK = 64 * 1024
REPOMD = "repodata/repomd.xml"
COMPRESS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", bytes),
    "gz": (".gz", lambda data: gzip.compress(data, mtime=0)),
    "bz2": (".bz2", bz2.compress),
    "xz": (".xz", lzma.compress),
    "zst": (".zst", zstandard.ZstdCompressor(write_content_size=False).compress),
}


@dataclass
class Reply:
    """An answer; an exception in its body breaks the connection there."""

    status: int
    headers: dict[str, str]
    body: Iterable[bytes | Exception] = ()


@dataclass
class Seen:
    """A request, and how much of the answer's body was taken."""

    method: str
    url: str
    headers: httpx.Headers
    taken: int = 0


@dataclass
class File:
    """What a server has under one URL."""

    content: bytes
    modified: int


Fault = Exception | Callable[[httpx.Request, Reply], Reply]


def status(code: int, body: bytes = b"", **headers: str) -> Fault:
    """Answer with this status; `_` in a header's name is `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request, _reply: Reply(code, {"Content-Length": str(len(body)), **named}, [body])


def wrong(body: bytes, **headers: str | None) -> Fault:
    """Answer 200 with another body; None removes a header."""
    return lambda _request, reply: _with_headers(
        Reply(200, {**reply.headers, "Content-Length": str(len(body))}, [body]), headers
    )


def with_headers(**headers: str | None) -> Fault:
    """Answer honestly but for these headers; None removes one."""
    return lambda _request, reply: _with_headers(reply, headers)


def cut(after: int, error: Exception | None = None, **headers: str | None) -> Fault:
    """Send only so many bytes of the body, then break the connection, or end as if that were all."""

    def fault(_request: httpx.Request, reply: Reply) -> Reply:
        whole = b"".join(part for part in reply.body if isinstance(part, bytes))
        return _with_headers(Reply(reply.status, reply.headers, [whole[:after], *filter(None, [error])]), headers)

    return fault


def after(action: Callable[[], object]) -> Fault:
    """Answer honestly, and change something right after."""

    def fault(_request: httpx.Request, reply: Reply) -> Reply:
        action()
        return reply

    return fault


def _with_headers(reply: Reply, headers: Mapping[str, str | None]) -> Reply:
    for name, value in headers.items():
        reply.headers.pop(name.replace("_", "-"), None)
        if value is not None:
            reply.headers[name.replace("_", "-")] = value
    return reply


class _Body(httpx.SyncByteStream):
    def __init__(self, parts: Iterable[bytes | Exception], seen: Seen) -> None:
        self._parts, self._seen = parts, seen

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            self._seen.taken += len(part)
            yield part


class Simulator(httpx.BaseTransport):
    """All the servers of a test, by URL."""

    def __init__(self) -> None:
        self.now = FIRST
        self.files: dict[str, File] = {}
        self.requests: list[Seen] = []
        self.etags = self.ranges = True
        """Whether servers give ETags, and serve parts of files."""
        self.weather: Callable[[httpx.Request], Fault | None] = lambda _request: None
        """A fault for any request that has none of its own."""
        self._faults: dict[str, Iterator[Fault]] = {}
        self._lock = threading.RLock()

    def repository(self, url: str) -> "Repo":
        """Return a new, empty repository below a URL."""
        return Repo(self, url)

    def mirror(self, repo: "Repo", url: str) -> "Repo":
        """Return a copy of a repository as it is now, below another URL."""
        copy = Repo(self, url)
        copy.packages.update(repo.packages)
        copy.records.update(repo.records)
        for href in repo.hrefs():
            self.files[url + href] = self.files[repo.url + href]
        return copy

    def put(self, url: str, content: bytes) -> None:
        """Serve these bytes."""
        self.files[url] = File(content, self.now)

    def fail(self, url: str, *faults: Fault, always: bool = False) -> None:
        """Let the next requests of a URL meet these faults, in order; the last of them for ever."""
        self._faults[url] = itertools.chain(faults, itertools.repeat(faults[-1])) if always else iter(faults)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, as httpx asks a transport to."""
        path = unquote(request.url.raw_path.decode().partition("?")[0])
        url = f"{request.url.scheme}://{request.url.netloc.decode()}{path}"
        with self._lock:
            seen = Seen(request.method, str(request.url), request.headers)
            self.requests.append(seen)
            fault = next(self._faults.get(url, iter(())), None) or self.weather(request)
            if isinstance(fault, Exception):
                raise fault
            reply = self._honest(request, url)
            reply = fault(request, reply) if fault else reply
        return httpx.Response(reply.status, headers=reply.headers, stream=_Body(reply.body, seen), request=request)

    def _honest(self, request: httpx.Request, url: str) -> Reply:
        file = self.files.get(url)
        if file is None:
            return Reply(404, {"Content-Length": "0"})
        etag = f'"{hashlib.sha256(file.content).hexdigest()[:12]}"' if self.etags else None
        modified = email.utils.formatdate(file.modified, usegmt=True)
        headers = {"Date": email.utils.formatdate(self.now, usegmt=True), "Last-Modified": modified}
        headers |= {"ETag": etag} if etag else {}
        asked = request.headers
        if asked.get("If-None-Match", "") == etag or (
            "If-None-Match" not in asked and asked.get("If-Modified-Since") == modified
        ):
            return Reply(304, headers)
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.get("Range", "")) if self.ranges else None
        if wanted is None or asked.get("If-Range", modified) not in (etag, modified):
            return Reply(200, headers | {"Content-Length": str(len(file.content))}, _blocks(file.content))
        start, size = int(wanted[1]), len(file.content)
        if start >= size:
            return Reply(416, headers | {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
        headers |= {"Content-Range": f"bytes {start}-{size - 1}/{size}", "Content-Length": str(size - start)}
        return Reply(206, headers, _blocks(file.content[start:]))


def _blocks(content: bytes) -> list[bytes]:
    return [content[start : start + BLOCK] for start in range(0, len(content), BLOCK)]


@dataclass(frozen=True)
class Package:
    """One package as primary.xml lists it; what is None is what is true, and a size of "" is left out."""

    content: bytes
    checksum: str | None = None
    size: int | str | None = None
    base: str | None = None


@dataclass
class Repo:
    """One repository below one URL. `publish` writes its metadata; what it serves can be changed without."""

    simulator: Simulator
    url: str
    packages: dict[str, Package] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    """The hrefs of what was published last, by type."""

    def hrefs(self) -> list[str]:
        """Return everything that is served."""
        return [url.removeprefix(self.url) for url in self.simulator.files if url.startswith(self.url)]

    def read(self, href: str) -> bytes:
        """Return the bytes that are served."""
        return self.simulator.files[self.url + href].content

    def put(self, href: str, content: bytes) -> str:
        """Serve any bytes; no metadata names them."""
        self.simulator.put(self.url + href, content)
        return href

    def drop(self, href: str) -> None:
        """Serve a file no more; metadata that names it still does."""
        del self.simulator.files[self.url + href]

    def add(self, name: str, content: bytes | None = None, *, href: str | None = None, **listed: str | int) -> str:
        """Put a package there, and into the next primary; listed is what Package takes."""
        href = href or f"Packages/{name}-1-1.noarch.rpm"
        content = random.Random(name).randbytes(1000) if content is None else content
        self.packages[href] = Package(content, **listed)  # type: ignore[arg-type]
        return self.put(href, content)

    def remove(self, href: str) -> None:
        """Take a package away, and out of the next primary."""
        del self.packages[href]
        self.drop(href)

    def respin(self, href: str) -> None:
        """Build a package anew under its old name, and with its old size."""
        content = self.packages[href].content
        self.add("", random.Random(content).randbytes(len(content)), href=href)

    def fail(self, href: str, *faults: Fault, always: bool = False) -> None:
        """Let requests of a file fail, as `Simulator.fail`."""
        self.simulator.fail(self.url + href, *faults, always=always)

    def asked(self) -> list[str]:
        """Return the hrefs asked below this URL since the last call, in order."""
        mine = [seen for seen in self.simulator.requests if seen.url.startswith(self.url)]
        self.simulator.requests = [seen for seen in self.simulator.requests if seen not in mine]
        return [unquote(seen.url.removeprefix(self.url)) for seen in mine]

    def seen(self, href: str) -> list[Seen]:
        """Return the requests of one file."""
        return [seen for seen in self.simulator.requests if seen.url == self.url + quote(href)]

    def tree(self) -> dict[str, bytes]:
        """Return what a perfect mirror of the last publication holds, by path."""
        return {href: self.read(href) for href in (*self.packages, *self.records.values(), REPOMD)}

    def publish(
        self,
        records: Mapping[str, bytes] | None = None,
        *,
        checksum: str = "sha256",
        compression: str = "gz",
        named: bool = True,
        keep: bool = False,
        folder: str = "repodata/",
        revision: str | None = None,
        timestamp: int | None = None,
        edit: Callable[[str], str] = str,
        edit_primary: Callable[[str], str] = str,
    ) -> None:
        """Write primary, filelists, further records and repomd.xml, each publication a minute after the last.

        Args:
            records: More records by type; their bytes are compressed unless they are zchunk.
            checksum: Its type, for records and packages.
            compression: One of COMPRESS.
            named: Whether records' names hold their checksums.
            keep: Whether the records of the last publication stay.
            folder: Where records lie.
            revision: repomd.xml's; its time if not given.
            timestamp: What every record says; the time if not given.
            edit: Changes repomd.xml's text.
            edit_primary: Changes primary.xml's text, before it is compressed and described.
        """
        self.simulator.now += 60
        made = self.simulator.now if timestamp is None else timestamp
        for href in [] if keep else self.records.values():
            self.simulator.files.pop(self.url + href, None)
        self.records.clear()
        primary = edit_primary(_primary(self.packages, checksum)).encode()
        described = []
        for kind, opened in {"primary": primary, "filelists": _filelists(self.packages), **(records or {})}.items():
            suffix, pack = (".zck", bytes) if opened.startswith(b"\0ZCK1") else COMPRESS[compression]
            packed = pack(opened)
            name = f"{kind}.xml{suffix}"
            href = folder + (f"{digest(packed, checksum)}-{name}" if named else name)
            self.records[kind] = self.put(href, packed)
            described.append(
                f'<data type="{kind}"><checksum type="{checksum}">{digest(packed, checksum)}</checksum>'
                f'<open-checksum type="{checksum}">{digest(opened, checksum)}</open-checksum>'
                f"<location href={quoteattr(href)}/><timestamp>{made}</timestamp>"
                f"<size>{len(packed)}</size><open-size>{len(opened)}</open-size></data>"
            )
        repomd = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
            f"<revision>{made if revision is None else revision}</revision>{''.join(described)}</repomd>\n"
        )
        self.put(REPOMD, edit(repomd).encode())
        self.simulator.now += 60


def digest(content: bytes, checksum: str = "sha256") -> str:
    """Return a checksum in hex; `sha` is yum's name for sha1."""
    return hashlib.new("sha1" if checksum == "sha" else checksum, content, usedforsecurity=False).hexdigest()


def _primary(packages: Mapping[str, Package], checksum: str) -> str:
    listed = []
    for href, package in packages.items():
        kind = package.checksum or checksum
        size = len(package.content) if package.size is None else package.size
        base = f" xml:base={quoteattr(package.base)}" if package.base else ""
        listed.append(
            f'<package type="rpm"><name>{escape(href.rpartition("/")[2])}</name>'
            f'<checksum type="{kind}" pkgid="YES">{digest(package.content, kind)}</checksum>'
            f"{'' if size == '' else f'<size package={quoteattr(str(size))}/>'}"
            f"<location{base} href={quoteattr(href)}/></package>\n"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common"'
        f' packages="{len(packages)}">\n{"".join(listed)}</metadata>\n'
    )


def _filelists(packages: Mapping[str, Package]) -> bytes:
    pkgids = "".join(f'<package pkgid="{digest(package.content)}"/>' for package in packages.values())
    return f'<filelists xmlns="http://linux.duke.edu/metadata/filelists">{pkgids}</filelists>\n'.encode()


def prestodelta(deltas: Mapping[str, bytes]) -> bytes:
    """Return the prestodelta.xml of delta RPMs by href."""
    listed = "".join(
        f"<delta><filename>{escape(href)}</filename><size>{len(content)}</size>"
        f'<checksum type="sha256">{digest(content)}</checksum></delta>'
        for href, content in deltas.items()
    )
    return f"<prestodelta><newpackage>{listed}</newpackage></prestodelta>".encode()
