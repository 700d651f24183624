"""What `mirrorpy emit` prints, given to the programs it is for: they take it, and do what it is to make them do."""

import configparser
import contextlib
import ftplib
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .installation import Mirror
from .listing import REPOMD, faults, snapshot
from .programs import TOP, Dnf, real_program
from .servers import (
    LOOPBACK,
    Server,
    apache_command,
    emitted,
    free_port,
    http_request,
    nginx_command,
    open_folder,
    run_apache,
    run_nginx,
    run_vsftpd,
)
from .upstream import Upstream

SUFFIX = ".asc"
PACKAGE = "Packages/one-1.0-1.noarch.rpm"
ODD = {
    "letters": "Köln 鏡  two words",
    "shell": 'it\'s "a" #1; {b} & c=d',
    "percent": "50% of %n",
    "backslash": "a\\nb \\\\ \\% c",
    "dollar": "US$HOME",
    "glob": "~a[b]c?",
}
"""Names of folders that root lies below, and the configuration."""
REFUSED = {
    "nginx": {"dollar": "$"},
    "apache": {"dollar": "$", "glob": "[?"},
}
"""What these programs have no way to write: `emit` says so, instead of printing what would not work."""

Run = Callable[..., AbstractContextManager[Server]]
RUN: dict[str, Run] = {"nginx": run_nginx, "apache": run_apache, "vsftpd": run_vsftpd}
COMMANDS = {"nginx": nginx_command, "apache": apache_command}
WEB = ["nginx", "apache"]


@dataclass(frozen=True, slots=True)
class Site:
    """A mirror of one small repository, and its upstream."""

    folder: Path
    mirror: Mirror
    upstream: Upstream


def make_site(folder: Path, name: str = "mirror") -> Site:
    """Publish one repository; its mirror lies below a folder of that name."""
    upstream = Upstream(folder / "upstream")
    upstream.add("one")
    upstream.publish()
    mirror = Mirror(folder / name)
    mirror.configure({"id": "base", "baseurl": upstream.url}, retries=0)
    mirror.sync()
    return Site(folder, mirror, upstream)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One that all tests read, and none changes."""
    with open_folder() as folder:
        yield make_site(folder)


@pytest.fixture(scope="module", params=ODD)
def odd(request: pytest.FixtureRequest) -> Iterator[tuple[str, Site]]:
    """One below a folder with an odd name."""
    with open_folder() as folder:
        yield request.param, make_site(folder, ODD[request.param])


@contextlib.contextmanager
def running(program: str, mirror: Mirror, folder: Path, *options: str, address: str = LOOPBACK) -> Iterator[Server]:
    """A server with its emitted configuration."""
    port = free_port(address)
    text = emitted(mirror, program, "--bind", address, "--port", str(port), *options)
    with RUN[program](folder, text, port, address) as server:
        yield server


def fetch(server: Server, path: str) -> bytes:
    """A file, over HTTP or FTP."""
    if server.url.startswith("http"):
        status, _, body = http_request(server, f"/{path}")
        assert status == 200
        return body
    parts: list[bytes] = []
    with ftplib.FTP(timeout=20) as session:
        session.connect(server.url.split("/")[2].rpartition(":")[0].strip("[]"), server.port)
        session.login()
        session.retrbinary(f"RETR {path}", parts.append)
    return b"".join(parts)


# Servers


@pytest.mark.parametrize("program", RUN)
def test_servers_serve_a_root_with_an_odd_name(odd: tuple[str, Site], tmp_path: Path, program: str) -> None:
    """Or `emit` refuses with 2, in one line that names the character."""
    name, site = odd
    if name in REFUSED.get(program, {}):
        done = site.mirror.run("emit", program)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert any(char in done.stderr.rpartition(":")[2] for char in REFUSED[program][name])
        return
    with running(program, site.mirror, site.folder / program) as server:
        assert fetch(server, f"base/{REPOMD}") == site.mirror.revision("base")


UNSAID = re.compile(r"Syntax OK|syntax is ok|test is successful")
"""What `-t` says when all is well."""


def checked(command: list[str]) -> str:
    """What a program says of its configuration."""
    environment = {"PATH": os.environ["PATH"], "APACHE_RUN_DIR": "/tmp", "APACHE_LOG_DIR": "/tmp"}
    done = subprocess.run(
        [*command, "-t"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "options", [[], ["--bind", LOOPBACK], ["--bind", "::1", "--server-name", "mirror.example.org"]]
)
@pytest.mark.parametrize("program", WEB)
def test_web_servers_have_nothing_to_say(site: Site, tmp_path: Path, program: str, options: list[str]) -> None:
    """`nginx -t` and `apache2 -t`: no error and no warning."""
    text = emitted(site.mirror, program, "--port", str(free_port()), *options)
    said = checked(COMMANDS[program](tmp_path, text)).splitlines()
    assert [line for line in said if not UNSAID.search(line)] == []


def test_apache_listens_already_where_it_always_does(site: Site, tmp_path: Path) -> None:
    """Debian's ports.conf and Red Hat's httpd.conf say `Listen 80`: a second one would be an error."""
    text = emitted(site.mirror, "apache")
    assert not re.search(r"^\s*Listen\b", text, re.MULTILINE | re.IGNORECASE)
    port = free_port()
    checked(apache_command(tmp_path, f"Listen {LOOPBACK}:{port}\n{text}"))


@pytest.mark.parametrize("program", RUN)
def test_bind_and_port_are_honoured(site: Site, tmp_path: Path, program: str) -> None:
    """Nobody listens at another address."""
    with running(program, site.mirror, tmp_path / program) as server, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), 5)


@pytest.mark.parametrize("program", RUN)
def test_bind_takes_an_address_of_ipv6(site: Site, tmp_path: Path, program: str) -> None:
    """And only that."""
    with running(program, site.mirror, tmp_path / program, address="::1") as server:
        assert fetch(server, f"base/{REPOMD}") == site.mirror.revision("base")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOOPBACK, server.port), 5)


@pytest.mark.parametrize("program", RUN)
def test_without_bind_every_address_answers(site: Site, tmp_path: Path, program: str) -> None:
    """Of IPv4 at least."""
    port = free_port()
    text = emitted(site.mirror, program, "--port", str(port))
    with RUN[program](tmp_path / program, text, port, "127.0.0.2") as server:
        assert fetch(server, f"base/{REPOMD}") == site.mirror.revision("base")


@pytest.mark.parametrize("program", RUN)
@pytest.mark.parametrize(
    "options", [["--port", "0"], ["--port", "65536"], ["--port", "x"], ["--bind", "127.0.0.1\nevil"]]
)
def test_what_is_no_address_is_refused(site: Site, program: str, options: list[str]) -> None:
    """Exit 2, and nothing is printed."""
    done = site.mirror.run("emit", program, *options)
    assert (done.returncode, done.stdout) == (2, "")


# Web servers: headers, and what is private


@pytest.fixture(scope="module", params=WEB)
def web(request: pytest.FixtureRequest) -> Iterator[tuple[Mirror, Server]]:
    """A repository of today, and one of 2007 whose metadata has plain names; .mirrorpy is open to every user."""
    with open_folder() as folder:
        today = Upstream(folder / "upstream")
        today.add("one")
        today.publish()
        today.put(f"{REPOMD}{SUFFIX}", b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n")
        mirror = Mirror(folder / "mirror")
        old = TOP / "fixtures" / "centos5" / "day1" / "5.0" / "os" / "i386"
        mirror.configure(
            {"id": "base", "path": "pub/base", "baseurl": today.url}, {"id": "old", "baseurl": old.as_uri()}
        )
        mirror.sync()
        subprocess.run(["chmod", "-R", "a+rX", str(mirror.root / ".mirrorpy")], check=True)
        with running(request.param, mirror, folder / "server") as server:
            yield mirror, server


def cache_control(server: Server, path: str) -> str:
    """Of a file that is there."""
    status, headers, _ = http_request(server, path)
    assert status == 200, path
    return ", ".join(headers.get_all("Cache-Control", []))


def record(mirror: Mirror, kind: str) -> str:
    """The path of a record whose name has its checksum."""
    (file,) = mirror.published("pub/base").glob(f"repodata/*-{kind}.xml.*")
    return f"/pub/base/repodata/{file.name}"


@pytest.mark.parametrize("name", [REPOMD, f"{REPOMD}{SUFFIX}"])
def test_repomd_and_its_signature_are_asked_for_each_time(web: tuple[Mirror, Server], name: str) -> None:
    """No cache takes the old for the new."""
    assert cache_control(web[1], f"/pub/base/{name}") == "no-cache"


@pytest.mark.parametrize("kind", ["primary", "filelists", "other"])
def test_names_with_a_checksum_never_change(web: tuple[Mirror, Server], kind: str) -> None:
    """A cache may keep them for ever."""
    assert "immutable" in cache_control(web[1], record(web[0], kind))


@pytest.mark.parametrize("name", ["primary.xml.gz", "filelists.xml.gz", "repomd.xml"])
def test_plain_names_may_change(web: tuple[Mirror, Server], name: str) -> None:
    """As in 2007: primary.xml.gz has no checksum."""
    assert cache_control(web[1], f"/old/repodata/{name}") == "no-cache"


def test_packages_are_left_to_the_caches(web: tuple[Mirror, Server]) -> None:
    """A package may be rebuilt under its name."""
    assert "immutable" not in cache_control(web[1], f"/pub/base/{PACKAGE}")


def test_what_is_packed_is_not_unpacked_on_the_way(web: tuple[Mirror, Server]) -> None:
    """No Content-Encoding, whatever the client would take; the bytes are those of the file."""
    mirror, server = web
    for path in (record(mirror, "primary"), "/old/repodata/primary.xml.gz", f"/pub/base/{PACKAGE}"):
        status, headers, body = http_request(server, path, Accept_Encoding="gzip, deflate, br, zstd")
        assert (status, headers["Content-Encoding"]) == (200, None)
        assert body == mirror.published(path.lstrip("/")).read_bytes()


def test_downloads_resume(web: tuple[Mirror, Server]) -> None:
    """A range of a package."""
    mirror, server = web
    status, headers, body = http_request(server, f"/pub/base/{PACKAGE}", Range="bytes=100-")
    assert (status, body) == (206, (mirror.published("pub/base") / PACKAGE).read_bytes()[100:])
    assert headers["Content-Range"].startswith("bytes 100-")


@pytest.mark.parametrize(
    "path",
    [
        "/.mirrorpy",
        "/.mirrorpy/",
        "//.mirrorpy/",
        "/./.mirrorpy/",
        "/%2emirrorpy/",
        "/.%6dirrorpy/",
        "/pub/../.mirrorpy/",
        "/pub/%2e%2e/.mirrorpy/",
        "/pub/base/../../.mirrorpy/",
        "/.mirrorpy/repos/base/state.json",
        "/%2Emirrorpy/repos/base/state.json",
        "/.mirrorpy//repos/base/state.json",
        "/.mirrorpy%2frepos/base/state.json",
        "/.mirrorpy/repos/base/state.json?",
        "/.mirrorpy/pool/",
        "/.mirrorpy/pool/{pool}",
        "//%2emirrorpy/./pool/{pool}",
        "/.mirrorpy/incoming/",
    ],
)
def test_nothing_private_is_served(web: tuple[Mirror, Server], path: str) -> None:
    """Although the server's user could read it."""
    mirror, server = web
    status, _, body = http_request(server, path.format(pool=min(mirror.pool())))
    assert status in {400, 403, 404}
    assert b"state.json" not in body.replace(path.encode(), b"")


def test_indexes_show_what_is_published(web: tuple[Mirror, Server]) -> None:
    """Neither .mirrorpy nor generations."""
    _, server = web
    status, _, root = http_request(server, "/")
    assert status == 200
    assert b"pub/" in root
    assert b".mirrorpy" not in root
    status, _, below = http_request(server, "/pub/")
    assert status == 200
    assert b"base/" in below
    assert b".base." not in below


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "MKCOL", "PATCH", "TRACE"])
def test_nothing_is_written(web: tuple[Mirror, Server], method: str) -> None:
    """Refused, and root is as it was."""
    mirror, server = web
    before = snapshot(mirror.root)
    for path in ("/new", "/new/", f"/pub/base/{REPOMD}", f"/pub/base/{PACKAGE}"):
        status, _, _ = http_request(server, path, method, None if method == "TRACE" else b"evil")
        assert status in {403, 404, 405}, path
    assert snapshot(mirror.root) == before


def test_the_next_generation_is_served_at_once() -> None:
    """The link is followed anew for each request; nothing is started again."""
    with open_folder() as folder, contextlib.ExitStack() as started:
        site = make_site(folder)
        servers = [
            started.enter_context(running(program, site.mirror, folder / program))
            for program in ("nginx", "apache", "vsftpd")
        ]
        for number in range(3):
            site.upstream.add(f"new{number}")
            site.upstream.publish()
            site.mirror.sync()
            for server in servers:
                assert fetch(server, f"base/{REPOMD}") == site.mirror.revision("base")


# The clients' file


def test_the_clients_file_names_a_root_with_an_odd_name(odd: tuple[str, Site], tmp_path: Path) -> None:
    """As a file:// URL that dnf takes."""
    _, site = odd
    dnf = Dnf(tmp_path / "dnf")
    text = emitted(site.mirror, "repo")
    (url,) = re.findall(r"^baseurl=(.*)$", text, re.MULTILINE)
    repos = tmp_path / "repos"
    repos.mkdir()
    (repos / "mirrorpy.repo").write_text(text)
    config = tmp_path / "dnf.conf"
    config.write_text(dnf.config.read_text().replace("reposdir=/none", f"reposdir={repos}"))
    done = subprocess.run(
        [dnf.program, "-c", str(config), f"--installroot={tmp_path / 'root'}", "--releasever=9", "repoquery", "one"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, url + done.stderr
    assert done.stdout.split() == ["one-0:1.0-1.noarch"]


@pytest.fixture
def matrix(tmp_path: Path) -> Mirror:
    """Two releases for two architectures, of which each has two repositories; and one repository by itself."""
    mirror = Mirror(tmp_path / "matrix")
    mirror.configure(
        {
            "id": "centos-$releasever-$repo-$basearch",
            "path": "centos/$releasever/$repo/$basearch",
            "baseurl": "https://mirror.example.org/$releasever/$repo/$basearch/",
            "vars": {"releasever": ["5.0", "6"], "repo": ["os", "updates"], "basearch": ["i386", "x86_64"]},
        },
        {"id": "extra", "path": "by/itself", "baseurl": "https://mirror.example.org/extra/"},
    )
    return mirror


def sections(text: str) -> dict[str, dict[str, str]]:
    """A .repo file, as yum reads it."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_a_matrix_is_one_section_for_each_repository(matrix: Mirror) -> None:
    """What the client fills in is for the client."""
    found = sections(emitted(matrix, "repo", "--base", "https://lan.example.org/pub"))
    assert {name: section["baseurl"] for name, section in found.items()} == {
        "centos-os": "https://lan.example.org/pub/centos/$releasever/os/$basearch/",
        "centos-updates": "https://lan.example.org/pub/centos/$releasever/updates/$basearch/",
        "extra": "https://lan.example.org/pub/by/itself/",
    }
    for section in found.values():
        assert section.keys() >= {"name", "baseurl", "enabled", "gpgcheck", "metadata_expire"}
        assert section["enabled"] == "1"


@pytest.mark.parametrize("base", ["http://h/p", "http://h/p/", "ftp://h:21/p/", "http://[::1]:80/p", "file:///p/"])
def test_a_base_ends_with_a_slash_or_not(matrix: Mirror, base: str) -> None:
    """The URL has one there."""
    found = sections(emitted(matrix, "repo", "--base", base, "extra"))
    assert [section["baseurl"] for section in found.values()] == [f"{base.rstrip('/')}/by/itself/"]


@pytest.mark.parametrize(
    "base", ["", "h/p", "gopher://h/", "http://", "http://h/p?q", "http://h/p\nenabled=0", "http://h/a b"]
)
def test_what_is_no_base_is_refused(matrix: Mirror, base: str) -> None:
    """Exit 2, one line, and nothing is printed."""
    done = matrix.run("emit", "repo", "--base", base, "--gpgkey", "https://lan.example.org/KEY")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_only_the_repositories_that_are_named(matrix: Mirror) -> None:
    """By id or glob; an unknown one is a usage error."""
    assert list(sections(emitted(matrix, "repo", "extra"))) == ["extra"]
    assert list(sections(emitted(matrix, "repo", "centos-*-os-*"))) == ["centos-os"]
    assert matrix.run("emit", "repo", "nothing").returncode == 2


def test_without_a_key_signatures_are_not_checked_and_that_is_said(matrix: Mirror) -> None:
    """In the file, and on standard error."""
    done = matrix.run("emit", "repo", "extra")
    assert done.returncode == 0
    assert "extra" in done.stderr
    (section,) = sections(done.stdout).values()
    assert section["gpgcheck"] == "0"
    assert "gpgkey" not in section


def test_with_a_key_signatures_are_checked(matrix: Mirror) -> None:
    """One or several."""
    keys = ["https://lan.example.org/KEY-1", "file:///etc/pki/KEY-2"]
    done = matrix.run("emit", "repo", *(f"--gpgkey={key}" for key in keys))
    assert (done.returncode, done.stderr) == (0, "")
    for section in sections(done.stdout).values():
        assert (section["gpgcheck"], section["gpgkey"].split()) == ("1", keys)


BEFORE = {
    "CentOS Base.repo": "[base]\nname=spaces\n",
    "-n.repo": "[dash]\nname=looks like an option\n",
    'it\'s "mine" $HOME.repo': "[quotes]\nname=quotes\n",
    "Köln.repo": "[letters]\nname=letters\n",
    "back\\slash.repo": "[backslash]\nname=backslash\n",
    "epel.repo": "[epel]\nname=epel\n",
    "disabled.repo.not": "[disabled]\nname=was so before\n",
    "notes.txt": "no .repo file\n",
    "old.repo.bak": "[old]\n",
}
"""A client's files before the script is run."""


class Client:
    """A folder of .repo files, and the emitted script that is run for it."""

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = folder / "yum repos.d"
        self.folder.mkdir()
        self.script = folder / "script.sh"
        self.script.write_text(script)
        for name, text in BEFORE.items():
            (self.folder / name).write_text(text)

    def run(self, *args: str, expect: int = 0) -> str:
        """Run the script, and return what it says."""
        done = subprocess.run(
            ["/bin/sh", str(self.script), *args],
            env={"PATH": "/usr/bin:/bin", "REPOSDIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == expect, done.stderr
        return done.stdout + done.stderr

    def enabled(self) -> set[str]:
        """The files that dnf would read."""
        return {path.name for path in self.folder.glob("*.repo")}

    def files(self) -> dict[str, str]:
        """All of them."""
        return {path.name: path.read_text() for path in self.folder.iterdir()}


@pytest.fixture
def client(site: Site, tmp_path: Path) -> Client:
    """One with an emitted script."""
    return Client(tmp_path, emitted(site.mirror, "repo", "--base", "http://mirror.example.org/pub", "--disable-others"))


def test_the_script_leaves_only_the_mirror(site: Site, client: Client) -> None:
    """All others are renamed, whatever their names, and keep their content; once or twice is the same."""
    for _ in range(2):
        client.run()
        assert client.enabled() == {"mirrorpy.repo"}
        files = client.files()
        for name, text in BEFORE.items():
            assert files[f"{name}.not" if name.endswith(".repo") else name] == text
        assert files["mirrorpy.repo"] == emitted(site.mirror, "repo", "--base", "http://mirror.example.org/pub")


def test_undo_brings_back_what_was(client: Client) -> None:
    """What was disabled before stays so; once or twice, after one run or two, is the same."""
    for runs in (1, 2):
        for _ in range(runs):
            client.run()
        for _ in range(2):
            client.run("undo")
            assert client.files() == BEFORE


def test_undo_brings_back_a_file_of_the_same_name(client: Client) -> None:
    """A mirrorpy.repo that somebody wrote before."""
    before = {**BEFORE, "mirrorpy.repo": "[mine]\n"}
    (client.folder / "mirrorpy.repo").write_text("[mine]\n")
    client.run()
    client.run("undo")
    assert client.files() == before


def test_undo_without_a_run_changes_nothing(client: Client) -> None:
    """Not even what ends in .repo.not."""
    client.run("undo")
    assert client.files() == BEFORE


def test_the_script_loses_no_file_that_is_there_already(client: Client) -> None:
    """epel.repo.not of somebody else's: it is said, and both are as they were after undo."""
    (client.folder / "epel.repo.not").write_text("[epel]\nname=an old one\n")
    before = client.files()
    assert "epel.repo" in client.run(expect=1)
    after = client.files()
    assert set(before.values()) <= set(after.values())
    client.run("undo")
    assert client.files() == before


def test_the_script_takes_a_file_that_came_after_it(client: Client) -> None:
    """As a package's update may bring it."""
    client.run()
    (client.folder / "new one.repo").write_text("[new]\n")
    client.run()
    assert client.enabled() == {"mirrorpy.repo"}
    client.run("undo")
    assert client.files() == {**BEFORE, "new one.repo": "[new]\n"}


def test_the_script_does_nothing_that_it_does_not_know(client: Client) -> None:
    """A usage error."""
    client.run("unod", expect=1)
    assert client.files() == BEFORE


# cron


@dataclass(frozen=True, slots=True)
class Job:
    """One line of a file in /etc/cron.d."""

    fields: str
    user: str
    command: str
    stdin: str


def parse_cron(text: str) -> tuple[dict[str, str], list[Job]]:
    """The environment and the jobs, as Debian's cron reads them."""
    environment, jobs = {}, []
    assert text.endswith("\n"), "cron ignores a last line that does not end"
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if match := re.fullmatch(r"\s*([A-Za-z_]\w*)\s*=\s*(.*)", line):
            value = match[2].strip()
            environment[match[1]] = value[1:-1] if value[:1] in {'"', "'"} and value[-1:] == value[:1] else value
            continue
        *fields, user, rest = line.split(None, 6)
        # A percent sign ends the command; after a backslash it is one, and a backslash after a backslash is one, too.
        command, stdin = re.fullmatch(r"((?:\\.|[^%\\])*)%?(.*)", rest).groups()
        jobs.append(Job(" ".join(fields), user, re.sub(r"\\([%\\])", r"\1", command), stdin))
    return environment, jobs


def run_job(text: str) -> "subprocess.CompletedProcess[str]":
    """Run the only job of a file as cron does: in an environment of a few names, by /bin/sh, from a home folder."""
    environment, (job,) = parse_cron(text)
    assert environment.get("SHELL", "/bin/sh") == "/bin/sh"
    return subprocess.run(
        ["/bin/sh", "-c", job.command],
        # PYTHONPATH stands for an installation.
        env={"HOME": "/", "LOGNAME": job.user, "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(TOP)}
        | environment,
        cwd="/",
        input=job.stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def check_crontab(text: str) -> None:
    """Let crontab(1) look at a user's table, without installing it: it has nothing to complain of."""
    done = subprocess.run([real_program("crontab"), "-n", "-"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def without_user(text: str) -> str:
    """A file for /etc/cron.d as a user's own table."""
    return re.sub(r"^([^#\s]+(?:[ \t]+\S+){4})[ \t]+\S+[ \t]+", r"\1 ", text, flags=re.MULTILINE)


def test_cron_takes_the_file(odd: tuple[str, Site]) -> None:
    """Its user's column aside, which crontab(1) does not know."""
    text = emitted(odd[1].mirror, "cron")
    assert without_user(text) != text
    check_crontab(without_user(text))


@pytest.mark.parametrize("at", ["0:00", "23:59", "1:17,13:17", "1:17,2:18,13:17", "17 */4 * * *", "5 4 * * mon-fri"])
def test_cron_takes_the_times(site: Site, at: str) -> None:
    """Any that `emit` takes."""
    check_crontab(without_user(emitted(site.mirror, "cron", "--at", at)))


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ([], ["17 1,13 * * *"]),
        (["--at", "1:17"], ["17 1 * * *"]),
        (["--at", "13:17,1:17"], ["17 1,13 * * *"]),
        (["--at", "1:17,2:30"], ["17 1 * * *", "30 2 * * *"]),
        (["--at", "17 */4 * * *"], ["17 */4 * * *"]),
    ],
)
def test_cron_runs_at_the_times_asked_for(site: Site, options: list[str], fields: list[str]) -> None:
    """Two times a day unless asked otherwise."""
    _, jobs = parse_cron(emitted(site.mirror, "cron", *options))
    assert sorted(job.fields for job in jobs) == fields


def test_cron_runs_for_the_user_and_mails_whom_asked_for(site: Site) -> None:
    """root and root unless asked otherwise."""
    environment, (job,) = parse_cron(emitted(site.mirror, "cron"))
    assert (environment["MAILTO"], job.user) == ("root", "root")
    text = emitted(site.mirror, "cron", "--user", "mirror", "--mailto", "ops@example.org")
    environment, (job,) = parse_cron(text)
    assert (environment["MAILTO"], job.user) == ("ops@example.org", "mirror")


@pytest.mark.parametrize(
    "options",
    [
        ["--at", "25:00"],
        ["--at", "1:60"],
        ["--at", "often"],
        ["--at", ""],
        ["--at", "60 25 * * *"],
        ["--at", "1:17\n* * * * * root evil"],
        ["--user", "a b"],
        ["--user", ""],
        ["--user", "root\nevil"],
        ["--mailto", "a\nb"],
    ],
)
def test_cron_gets_nothing_that_it_would_not_take(site: Site, options: list[str]) -> None:
    """Exit 2, one line, and nothing is printed."""
    done = site.mirror.run("emit", "cron", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_the_job_syncs_and_says_nothing(odd: tuple[str, Site]) -> None:
    """Run as cron runs it; a change upstream is published."""
    _, site = odd
    site.upstream.add("new")
    site.upstream.publish()
    done = run_job(emitted(site.mirror, "cron"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (site.mirror.published("base") / "Packages/new-1.0-1.noarch.rpm").is_file()
    assert faults(site.mirror.published("base")) == []


def test_the_job_says_one_line_when_upstream_is_gone() -> None:
    """That is what cron mails."""
    with open_folder() as folder:
        site = make_site(folder)
        shutil.rmtree(site.upstream.folder)
        done = run_job(emitted(site.mirror, "cron"))
        assert done.returncode == 3
        (line,) = (done.stdout + done.stderr).splitlines()
        assert "base" in line
        assert faults(site.mirror.published("base")) == []


# systemd


def units(text: str) -> dict[str, str]:
    """The units by name, as the comments above them say."""
    parts = re.split(r"^# /etc/systemd/system/(\S+)\n", text, flags=re.MULTILINE)
    assert parts[0] == ""
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def values(unit: str, key: str) -> list[str]:
    """All values of a key."""
    return re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)


def words(value: str) -> list[str]:
    """A command line or a list of paths, as systemd reads it: quotes, specifiers, variables."""
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(value)]


def verify(folder: Path, text: str) -> None:
    """Let systemd-analyze look at units: it has nothing to say."""
    files = []
    for name, unit in units(text).items():
        (folder / name).write_text(unit)
        files.append(str(folder / name))
    done = subprocess.run(
        [real_program("systemd-analyze"), "verify", "--man=no", *files],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "SYSTEMD_UNIT_PATH": f"{folder}:/lib/systemd/system"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_systemd_takes_the_units(odd: tuple[str, Site], tmp_path: Path) -> None:
    """systemd-analyze verify finds nothing."""
    text = emitted(odd[1].mirror, "systemd")
    assert list(units(text)) == ["mirrorpy.service", "mirrorpy.timer"]
    verify(tmp_path, text)


@pytest.mark.parametrize("options", [["--at", "0:00"], ["--at", "1:17,2:30,23:59"], ["--user", "daemon"]])
def test_systemd_takes_the_options(site: Site, tmp_path: Path, options: list[str]) -> None:
    """systemd-analyze verify finds nothing."""
    verify(tmp_path, emitted(site.mirror, "systemd", *options))


@pytest.mark.parametrize("unit", ["mirrorpy.service", "mirrorpy.timer"])
def test_one_unit_alone(site: Site, unit: str) -> None:
    """To be redirected into its file."""
    both = units(emitted(site.mirror, "systemd"))
    assert emitted(site.mirror, "systemd", unit).strip() == both[unit].strip()


def test_the_service_syncs_and_says_nothing(odd: tuple[str, Site]) -> None:
    """Its command, run from / in an empty environment; a change upstream is published."""
    _, site = odd
    site.upstream.add("newer")
    site.upstream.publish()
    (value,) = values(emitted(site.mirror, "systemd", "mirrorpy.service"), "ExecStart")
    done = subprocess.run(
        words(value),
        env={"PYTHONPATH": str(TOP)},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (site.mirror.published("base") / "Packages/newer-1.0-1.noarch.rpm").is_file()


def test_the_service_may_write_below_root_only(odd: tuple[str, Site]) -> None:
    """Everything else is read-only for it."""
    _, site = odd
    service = emitted(site.mirror, "systemd", "mirrorpy.service")
    (value,) = values(service, "ReadWritePaths")
    assert words(value) == [str(site.mirror.root)]
    assert values(service, "ProtectSystem") == ["strict"]
    assert values(service, "NoNewPrivileges")[0] in {"yes", "true"}


def test_the_service_is_hardened(site: Site, tmp_path: Path) -> None:
    """As systemd-analyze sees it, for root: less than medium exposure."""
    file = tmp_path / "mirrorpy.service"
    file.write_text(emitted(site.mirror, "systemd", "mirrorpy.service"))
    done = subprocess.run(
        [real_program("systemd-analyze"), "security", "--offline=true", "--no-pager", "--threshold=50", str(file)],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_runs_for_the_user_asked_for(site: Site) -> None:
    """root unless asked otherwise."""
    assert values(emitted(site.mirror, "systemd", "mirrorpy.service"), "User") in ([], ["root"])
    assert values(emitted(site.mirror, "systemd", "--user", "mirror", "mirrorpy.service"), "User") == ["mirror"]


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ([], ["01:17:00", "13:17:00"]),
        (["--at", "4:05"], ["04:05:00"]),
        (["--at", "4:05,23:59"], ["04:05:00", "23:59:00"]),
    ],
)
def test_the_timer_runs_at_the_times_asked_for(site: Site, options: list[str], times: list[str]) -> None:
    """As systemd-analyze reads them; each a little later than that, so that not all mirrors ask at once."""
    timer = emitted(site.mirror, "systemd", "mirrorpy.timer", *options)
    done = subprocess.run(
        [real_program("systemd-analyze"), "calendar", *values(timer, "OnCalendar")],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = [line.rpartition(" ")[2] for line in done.stdout.splitlines() if "Normalized form:" in line]
    assert found == times
    assert len(values(timer, "RandomizedDelaySec")) == 1


@pytest.mark.parametrize(
    "options", [["--at", "25:00"], ["--at", "often"], ["--user", "a b"], ["--user", "x\nExecStart=y"]]
)
def test_systemd_gets_nothing_that_it_would_not_take(site: Site, options: list[str]) -> None:
    """Exit 2, one line, and nothing is printed."""
    done = site.mirror.run("emit", "systemd", *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
