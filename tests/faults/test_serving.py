"""Fault 114: what is published is served by real servers, to be read and for nothing else."""

import contextlib
import email.utils
import ftplib
import io
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.installation import Mirror
from tests.integration.listing import REPOMD, snapshot
from tests.integration.servers import (
    LOOPBACK,
    Server,
    emitted,
    free_port,
    http_request,
    open_folder,
    run_nginx,
    run_serve,
    run_vsftpd,
)
from tests.integration.upstream import Upstream

from .catalogue import fault

PACKAGE = "Packages/one-1.0-1.noarch.rpm"
SECRET = "a file beside root"
STATE = ".mirrorpy/repos/base/state.json"


@dataclass(frozen=True, slots=True)
class Site:
    """A mirror of one package, in a folder that servers may enter."""

    folder: Path
    mirror: Mirror

    @property
    def package(self) -> bytes:
        return (self.mirror.published("base") / PACKAGE).read_bytes()

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        """Assert that nothing below root changes meanwhile."""
        before = snapshot(self.mirror.root)
        yield
        assert snapshot(self.mirror.root) == before


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_folder() as folder:
        upstream = Upstream(folder / "upstream")
        upstream.add("one")
        upstream.publish()
        mirror = Mirror(folder / "mirror")
        mirror.configure({"id": "base", "baseurl": upstream.url}, retries=0)
        mirror.sync()
        (mirror.folder / "beside.txt").write_text(SECRET)
        assert json.loads((mirror.root / STATE).read_bytes())["path"] == "base"
        yield Site(folder, mirror)


def nginx(site: Site) -> AbstractContextManager[Server]:
    """nginx with what `mirrorpy emit nginx` prints."""
    port = free_port()
    text = emitted(site.mirror, "nginx", "--bind", LOOPBACK, "--port", str(port))
    return run_nginx(site.folder / "nginx", text, port)


SERVERS: dict[str, Callable[[Site], AbstractContextManager[Server]]] = {
    "mirrorpy serve": lambda site: run_serve(site.mirror),
    "nginx": nginx,
}


@pytest.fixture(scope="module", params=SERVERS)
def web(site: Site, request: pytest.FixtureRequest) -> Iterator[Server]:
    with SERVERS[request.param](site) as server:
        yield server


@pytest.fixture
def ftp(site: Site) -> Iterator[ftplib.FTP]:
    """An anonymous session with vsftpd, which has what `mirrorpy emit vsftpd` prints."""
    port = free_port()
    text = emitted(site.mirror, "vsftpd", "--bind", LOOPBACK, "--port", str(port))
    with run_vsftpd(site.folder / "vsftpd", text, port), ftplib.FTP(timeout=20) as session:
        session.connect(LOOPBACK, port)
        session.login()
        yield session


@fault(
    114, "PUT, DELETE, POST, MKCOL and MOVE, to `mirrorpy serve` and to nginx as emitted", "refused; nothing changes"
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "MKCOL", "MOVE"])
def test_fault_114_http_writes(site: Site, web: Server, method: str) -> None:
    with site.untouched():
        for path in (f"/base/{PACKAGE}", "/new", "/new/"):
            status, _, _ = http_request(web, path, method, body=b"evil")
            assert status in {403, 404, 405}, path
        assert http_request(web, f"/base/{PACKAGE}", method, body=b"evil")[0] in {403, 405}


@fault(114, "`..`, plain and encoded, over HTTP", "refused; nothing outside root is served")
@pytest.mark.parametrize("path", ["/../beside.txt", "/base/../../beside.txt", "/%2e%2e/beside.txt", "/..%2fbeside.txt"])
def test_fault_114_http_parents(web: Server, path: str) -> None:
    status, _, body = http_request(web, path)
    assert status in {400, 403, 404}
    assert SECRET.encode() not in body


@fault(114, "mirrorpy's own folder over HTTP", "404; it is in no listing")
@pytest.mark.parametrize("path", [STATE, ".mirrorpy/", "base/../.mirrorpy/", "%2emirrorpy/", f"//{STATE}"])
def test_fault_114_http_own_folder(web: Server, path: str) -> None:
    status, _, body = http_request(web, f"/{path}")
    assert status in {400, 403, 404}
    assert b"fingerprint" not in body
    status, _, listing = http_request(web, "/")
    assert status == 200
    assert b"base/" in listing
    assert b".mirrorpy" not in listing


@fault(114, "Range, HEAD and If-Modified-Since", "206 with the right bytes, no body, 304")
def test_fault_114_http_questions(site: Site, web: Server) -> None:
    path, package = f"/base/{PACKAGE}", site.package
    status, headers, body = http_request(web, path, Range="bytes=100-299")
    assert (status, body) == (206, package[100:300])
    assert headers["Content-Range"] == f"bytes 100-299/{len(package)}"
    status, headers, body = http_request(web, path, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(package)), b"")
    modified = headers["Last-Modified"]
    earlier = email.utils.formatdate(email.utils.parsedate_to_datetime(modified).timestamp() - 1, usegmt=True)
    assert http_request(web, path, If_Modified_Since=modified)[0] == 304
    status, _, body = http_request(web, path, If_Modified_Since=earlier)
    assert (status, body) == (200, package)


FTP_WRITES = [
    f"DELE base/{PACKAGE}",
    "MKD new",
    "RMD base",
    f"RNFR base/{PACKAGE}",
    f"SITE CHMOD 777 base/{REPOMD}",
    f"MDTM 20200101000000 base/{REPOMD}",
]


@fault(114, "uploads, removals and renames over FTP, to vsftpd as emitted", "refused; nothing changes")
def test_fault_114_ftp_writes(site: Site, ftp: ftplib.FTP) -> None:
    with site.untouched():
        for command in FTP_WRITES:
            with pytest.raises(ftplib.error_perm):
                ftp.voidcmd(command)
        for command in (f"STOR base/{PACKAGE}", f"APPE base/{PACKAGE}", "STOR new"):
            with pytest.raises(ftplib.error_perm):
                ftp.storbinary(command, io.BytesIO(b"evil"))


@fault(114, "`..` and mirrorpy's own folder over FTP", "refused; it is in no listing; packages are served")
def test_fault_114_ftp_reads(site: Site, ftp: ftplib.FTP) -> None:
    for path in ("../beside.txt", "base/../../beside.txt", STATE, f"base/../{STATE}", "/etc/passwd"):
        with pytest.raises(ftplib.error_perm):
            ftp.retrbinary(f"RETR {path}", lambda _: None)
    lines: list[str] = []
    for command in ("LIST", "LIST -a", "LIST -laR", "NLST -a"):
        ftp.retrlines(command, lines.append)
    assert any("base" in line for line in lines)
    assert not [line for line in lines if ".mirrorpy" in line or "state.json" in line]
    parts: list[bytes] = []
    ftp.retrbinary(f"RETR base/{PACKAGE}", parts.append)
    assert b"".join(parts) == site.package
