"""vsftpd with the emitted configuration: what everybody may fetch, and what nobody can reach or change."""

import contextlib
import ftplib
import io
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .installation import Mirror
from .listing import REPOMD, differing, files_below, snapshot
from .programs import real_program
from .servers import LOOPBACK, Server, emitted, free_port, open_folder, run_vsftpd
from .upstream import Upstream

PATH = "centos/5.0/os/i386"
PACKAGE = "Packages/one-1.0-1.noarch.rpm"
SECRET = "a file beside root"
GENERATION = ".i386.2"
"""How the names of PATH's generations begin."""

WRITES = [
    "DELE {path}/{package}",
    "MDTM 20200101000000 {path}/{package}",
    "MKD new",
    "RMD empty",
    "RNFR {path}/{package}",
    "SITE CHMOD 777 {path}",
    "SITE UMASK 000",
    "XMKD new",
    "XRMD empty",
]
UPLOADS = ["APPE {path}/{package}", "APPE new", "STOR {path}/{package}", "STOR new", "STOU new"]

PRIVATE = [
    ".mirrorpy",
    ".mirrorpy/",
    ".mirrorpy/.",
    "/.mirrorpy",
    "//.mirrorpy",
    "./.mirrorpy",
    "/./.mirrorpy",
    "/.//.mirrorpy",
    "../.mirrorpy",
    "centos/../.mirrorpy",
    f"{PATH}/../../../../.mirrorpy",
    ".mirrorpy/../.mirrorpy",
    ".mirrorp?",
    ".mirror*",
    ".m*",
    ".*",
    ".?*",
    "*mirrorpy*",
    "{.mirrorpy,}",
    "{.mirror,x}py",
    ".m[i]rrorpy",
    "\\.mirrorpy",
    "%2emirrorpy",
    ".mirrorpy/pool",
    ".mirrorpy/incoming",
    ".mirrorpy/repos/base",
    ".mirrorpy/repos/base/state.json",
    ".mirrorp?/pool",
    ".mirrorp?/p*",
    "*/pool",
    "*/*",
    "./.mirrorpy/repos/base/state.json",
    "/./.mirrorpy/./repos/base/../base/state.json",
    f"{PATH}/../../../../.mirrorpy/repos/base/state.json",
]
LISTINGS = [
    "LIST",
    "LIST -a",
    "LIST -la",
    "LIST -laR",
    "NLST",
    "NLST -a",
    "NLST -aR",
    "MLSD",
    "MLST",
    "STAT",
    "STAT -la",
]

OUTSIDE = [
    "../beside.txt",
    "../../beside.txt",
    "/../beside.txt",
    f"{PATH}/../../../../../beside.txt",
    "%2e%2e/beside.txt",
    "..%2fbeside.txt",
    "..\\beside.txt",
    "relative/beside.txt",
    "absolute/beside.txt",
    "file.txt",
    "../../../../../../../../etc/passwd",
    "/etc/passwd",
    "etc/passwd",
]


@dataclass(frozen=True, slots=True)
class Site:
    """A mirror that vsftpd serves."""

    mirror: Mirror
    configuration: str
    server: Server

    @property
    def secrets(self) -> list[str]:
        """Names and contents that nobody may see; .mirrorpy is open to every user of this machine."""
        pool = sorted(path.rpartition("/")[2] for path in self.mirror.pool())
        return ["state.json", "incoming", "pool", "partial", pool[0]]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Two generations, a download left over, links out of root; all that the file system lets vsftpd read."""
    with open_folder() as folder:
        mirror = Mirror(folder / "mirror")
        base = Upstream(folder / "upstream")
        mirror.configure({"id": "base", "path": PATH, "baseurl": base.url})
        for version in ("1.0", "2.0"):
            base.add("one", version)
            base.publish()
            mirror.sync()
        left = mirror.root / ".mirrorpy" / "incoming" / "base" / "partial"
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text("half of a package")
        (mirror.root / "empty").mkdir()
        (mirror.folder / "beside.txt").write_text(SECRET)
        (mirror.root / "relative").symlink_to("..")
        (mirror.root / "absolute").symlink_to(mirror.folder)
        (mirror.root / "file.txt").symlink_to("../beside.txt")
        subprocess.run(["chmod", "-R", "a+rX", str(mirror.root / ".mirrorpy")], check=True)
        port = free_port()
        text = emitted(mirror, "vsftpd", "--bind", LOOPBACK, "--port", str(port))
        with run_vsftpd(folder / "vsftpd", text, port) as server:
            yield Site(mirror, text, server)


@pytest.fixture
def ftp(site: Site) -> Iterator[ftplib.FTP]:
    """An anonymous session."""
    with connect(site.server) as session:
        session.login()
        yield session


def connect(server: Server) -> ftplib.FTP:
    """A session that is not logged in."""
    session = ftplib.FTP(timeout=20, encoding="utf-8")
    session.connect(LOOPBACK, server.port)
    return session


def said(session: ftplib.FTP, command: str) -> str:
    """All that the server answers to a command, and sends for it."""
    host, port = session.makepasv()
    with contextlib.closing(ftplib.socket.create_connection((host, port), 20)) as data:
        session.putcmd(command)
        try:
            answer = session.getresp()
        except ftplib.Error as error:
            return str(error)
        if not answer.startswith("1"):
            return answer
        with data.makefile("rb") as stream:
            sent = stream.read().decode()
        try:
            return f"{sent}{session.voidresp()}"
        except ftplib.Error as error:
            return f"{sent}{error}"


def names(session: ftplib.FTP, command: str) -> list[str]:
    """The last words of a listing's lines."""
    lines: list[str] = []
    session.retrlines(command, lines.append)
    return [line.split(" -> ")[0].split(" ")[-1] for line in lines]


def fetched(session: ftplib.FTP, path: str) -> bytes:
    """A file's bytes."""
    parts: list[bytes] = []
    session.retrbinary(f"RETR {path}", parts.append)
    return b"".join(parts)


@pytest.mark.parametrize("user", ["anonymous", "ftp"])
def test_everybody_may_log_in(site: Site, user: str) -> None:
    """With any password."""
    with connect(site.server) as session:
        assert session.login(user, "somebody@example.org").startswith("230")


@pytest.fixture
def local_user() -> Iterator[tuple[str, str]]:
    """A user of this machine, and the password."""
    name, password = f"mirrorpy-{secrets.token_hex(4)}", secrets.token_hex(12)
    subprocess.run(["useradd", "--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", name], check=True)
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{password}", text=True, check=True)
        yield name, password
    finally:
        subprocess.run(["userdel", name], check=True)


def test_local_users_may_not_log_in(site: Site, local_user: tuple[str, str], tmp_path: Path) -> None:
    """The very user could, if local users were let in."""
    with connect(site.server) as session, pytest.raises(ftplib.error_perm, match=r"^530"):
        session.login(*local_user)
    port = free_port()
    text = f"{site.configuration}\nlisten_port={port}\nlocal_enable=YES\n"
    with run_vsftpd(tmp_path, text, port) as server, connect(server) as session:
        assert session.login(*local_user).startswith("230")


@pytest.mark.parametrize("command", WRITES)
def test_no_command_writes(site: Site, ftp: ftplib.FTP, command: str) -> None:
    """It is refused, and root is as it was."""
    before = snapshot(site.mirror.root)
    with pytest.raises(ftplib.error_perm, match=r"^5"):
        ftp.sendcmd(command.format(path=PATH, package=PACKAGE))
    assert snapshot(site.mirror.root) == before


@pytest.mark.parametrize("command", UPLOADS)
def test_nothing_is_uploaded(site: Site, ftp: ftplib.FTP, command: str) -> None:
    """It is refused, and root is as it was."""
    before = snapshot(site.mirror.root)
    with pytest.raises(ftplib.error_perm, match=r"^5"):
        ftp.storbinary(command.format(path=PATH, package=PACKAGE), io.BytesIO(b"evil"))
    assert snapshot(site.mirror.root) == before


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_file_outside_root_is_reachable(site: Site, ftp: ftplib.FTP, path: str) -> None:
    """Neither by its name, nor by its absolute path, nor through links."""
    for name in (path, f"{site.mirror.folder}/{path}"):
        for command in ("RETR", "SIZE", "MDTM"):
            with pytest.raises(ftplib.error_perm, match=r"^5"):
                fetched(ftp, name) if command == "RETR" else ftp.sendcmd(f"{command} {name}")


@pytest.mark.parametrize("path", ["..", "../..", "/..", "/../..", "/", f"{PATH}/../../../../..", "relative"])
def test_root_has_nothing_above(ftp: ftplib.FTP, path: str) -> None:
    """Who goes up from root stays there."""
    here = names(ftp, "LIST")
    ftp.cwd(path)
    assert ftp.pwd() == "/"
    assert names(ftp, "LIST") == here


@pytest.mark.parametrize("path", ["%2e%2e", "...", "~root", "absolute", "/etc", "/tmp"])
def test_no_folder_outside_root_is_reachable(ftp: ftplib.FTP, path: str) -> None:
    """There is no such folder."""
    with pytest.raises(ftplib.error_perm, match=r"^550"):
        ftp.sendcmd(f"CWD {path}")


@pytest.mark.parametrize("command", LISTINGS)
def test_no_listing_shows_what_is_private(site: Site, ftp: ftplib.FTP, command: str) -> None:
    """Neither that it is there nor what is in it, from root or from within a repository."""
    for folder in ("/", "/centos", f"/{PATH}"):
        ftp.cwd(folder)
        assert ".mirrorpy" not in said(ftp, command)
        for path in PRIVATE:
            answer = said(ftp, f"{command} {path}")
            assert not [secret for secret in site.secrets if secret in answer], (folder, path)


@pytest.mark.parametrize("command", ["CWD", "RETR", "SIZE", "MDTM", "XCWD"])
def test_nothing_private_is_reachable(site: Site, ftp: ftplib.FTP, command: str) -> None:
    """By any of its names; pool, incoming and state alike."""
    pool = [f".mirrorpy/pool/{name}" for name in site.mirror.pool()]
    inside = [*PRIVATE, *pool, *(f"/./{path}" for path in pool), ".mirrorpy/incoming/base/partial"]
    answers = {}
    for path in inside:
        ftp.cwd("/")
        answers[path] = said(ftp, f"{command} {path}")
    assert {path: answer for path, answer in answers.items() if not answer.startswith("550")} == {}


def test_a_path_leads_to_its_parent(ftp: ftplib.FTP) -> None:
    """Although it is a link to a folder of another name."""
    for up in ("CDUP", "CWD .."):
        ftp.cwd(f"/{PATH}")
        assert "repodata" in names(ftp, "LIST")
        ftp.sendcmd(up)
        assert ftp.pwd() == f"/{PATH.rpartition('/')[0]}"
        assert names(ftp, "LIST") == ["i386"]


@pytest.mark.parametrize("command", ["LIST", "NLST"])
def test_generations_are_not_listed(site: Site, ftp: ftplib.FTP, command: str) -> None:
    """Unless somebody asks for hidden names: what hides them from those as well, hides the published link too."""
    assert len(site.mirror.generations(PATH)) == 2
    ftp.cwd(f"/{PATH.rpartition('/')[0]}")
    lines = said(ftp, command).splitlines()
    assert [line for line in lines if GENERATION in line.split(" -> ")[0]] == []


@pytest.mark.parametrize("command", ["LIST", "LIST -a", "LIST -la", "NLST", "NLST -a"])
def test_the_published_link_is_listed(ftp: ftplib.FTP, command: str) -> None:
    """From its own folder and from afar."""
    folder, _, name = PATH.rpartition("/")
    assert name in {listed.rpartition("/")[2] for listed in names(ftp, f"{command} {folder}")}
    ftp.cwd(folder)
    assert name in names(ftp, command)
    assert name in {listed.rpartition("/")[2] for listed in names(ftp, f"{command} /{folder}")}


def test_what_is_published_can_be_fetched(site: Site, ftp: ftplib.FTP) -> None:
    """By paths from root, and from within the repository."""
    published = site.mirror.published(PATH)
    for folder, prefix in (("/", f"{PATH}/"), (f"/{PATH}", ""), (f"/{PATH}/Packages", "../"), ("/", f"/{PATH}/")):
        ftp.cwd(folder)
        for href in (REPOMD, PACKAGE):
            assert fetched(ftp, prefix + href) == (published / href).read_bytes()
            assert ftp.size(prefix + href) == (published / href).stat().st_size


def test_downloads_resume(site: Site, ftp: ftplib.FTP) -> None:
    """REST, as yum and lftp do it."""
    parts: list[bytes] = []
    ftp.retrbinary(f"RETR {PATH}/{PACKAGE}", parts.append, rest=100)
    assert b"".join(parts) == (site.mirror.published(PATH) / PACKAGE).read_bytes()[100:]


def test_lftp_copies_what_is_published(site: Site, tmp_path: Path) -> None:
    """All of a repository, and nothing else."""
    copy = tmp_path / "copy"
    done = subprocess.run(
        [real_program("lftp"), "-c", f"set net:max-retries 1; open {site.server.url}; mirror -P 3 /{PATH} {copy}"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    published = site.mirror.published(PATH)
    assert files_below(copy) == files_below(published)
    assert differing(files_below(copy), copy, published) == []
