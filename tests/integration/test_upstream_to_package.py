"""From upstream to installed package: nginx, sync, each way of serving with what `emit` prints, dnf and rpm."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from .installation import Mirror
from .programs import TOP, real_program
from .servers import (
    LOOPBACK,
    Server,
    emitted,
    free_port,
    open_folder,
    run_apache,
    run_nginx,
    run_serve,
    run_vsftpd,
)
from .webserver import Nginx

UPSTREAM = TOP / "fixtures" / "centos5" / "day1"


def vsftpd(mirror: Mirror) -> AbstractContextManager[Server]:
    """Over FTP."""
    port = free_port()
    text = emitted(mirror, "vsftpd", "--bind", LOOPBACK, "--port", str(port))
    return run_vsftpd(mirror.folder / "vsftpd", text, port)


def nginx(mirror: Mirror) -> AbstractContextManager[Server]:
    """Over HTTP."""
    port = free_port()
    text = emitted(mirror, "nginx", "--bind", LOOPBACK, "--port", str(port))
    return run_nginx(mirror.folder / "nginx", text, port)


def apache(mirror: Mirror) -> AbstractContextManager[Server]:
    """Over HTTP."""
    port = free_port()
    text = emitted(mirror, "apache", "--bind", LOOPBACK, "--port", str(port))
    return run_apache(mirror.folder / "apache", text, port)


def local(mirror: Mirror) -> AbstractContextManager[Server]:
    """Root itself, as an NFS client sees it."""
    return nullcontext(Server(f"{mirror.root.as_uri()}/", 0))


SERVERS: dict[str, Callable[[Mirror], AbstractContextManager[Server]]] = {
    "vsftpd": vsftpd,
    "nginx": nginx,
    "apache": apache,
    "serve": run_serve,
    "file": local,
}


@pytest.fixture
def site() -> Iterator[Mirror]:
    """A mirror that is empty, where servers can read it; its configuration takes CentOS 5 from an nginx."""
    with open_folder() as folder, Nginx(real_program("nginx"), folder / "upstream", UPSTREAM) as upstream:
        mirror = Mirror(folder / "mirror")
        mirror.configure(
            {
                "id": "centos-$releasever-$repo-$basearch",
                "path": "centos/$releasever/$repo/$basearch",
                "baseurl": f"{upstream.url}$releasever/$repo/$basearch/",
                "vars": {"releasever": ["5.0"], "repo": ["os", "updates"], "basearch": ["i386"]},
            }
        )
        yield mirror


class Client:
    """A machine that has nothing but a folder of .repo files."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.repos = folder / "yum.repos.d"
        self.repos.mkdir(parents=True)
        self.config = folder / "dnf.conf"
        self.config.write_text(
            f"[main]\nplugins=0\nretries=1\nskip_if_unavailable=0\nreposdir={self.repos}\nvarsdir=/none\n"
            "cachedir=/cache\nlogdir=/log\npersistdir=/persist\n"
        )
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}

    def dnf(self, *args: str) -> "subprocess.CompletedProcess[str]":
        """One command, as on CentOS 5 for i386."""
        return self._run(
            [
                real_program("dnf"),
                "-c",
                str(self.config),
                "--releasever=5.0",
                "--forcearch=i386",
                f"--installroot={self.root}",
                *args,
            ]
        )

    def installed(self) -> list[str]:
        """What rpm says is there."""
        done = self._run([real_program("rpm"), "--root", str(self.root), "-qa"])
        return sorted(done.stdout.split())

    def _run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def client(site: Mirror) -> Client:
    """One that has nothing yet; the mirror is up to date."""
    if os.geteuid() != 0:
        pytest.skip("installing into a root needs to be root")
    site.sync()
    return Client(site.folder / "client")


INSTALLED = ["greeting-1.0-2.el5.noarch", "hello-2.1.1-3.el5.noarch"]
"""A package, and what it requires."""


@pytest.mark.parametrize("way", SERVERS)
def test_from_upstream_to_an_installed_package(site: Mirror, client: Client, way: str) -> None:
    """With the emitted .repo file, whatever serves."""
    with SERVERS[way](site) as server:
        text = emitted(site, "repo", "--base", server.url)
        assert f"baseurl={server.url}centos/$releasever/os/$basearch/\n" in text
        (client.repos / "mirrorpy.repo").write_text(text)
        done = client.dnf("-y", "install", "hello")
    assert done.returncode == 0, done.stdout + done.stderr
    assert client.installed() == INSTALLED


def test_a_client_that_the_script_has_set_up_installs_from_the_mirror_alone(site: Mirror, client: Client) -> None:
    """Its distribution's own repositories cannot be reached, and are asked again after undo."""
    (client.repos / "CentOS-Base.repo").write_text("[base]\nname=base\nbaseurl=http://127.0.0.1:1/\ngpgcheck=0\n")
    with nginx(site) as server:
        script = site.folder / "script.sh"
        script.write_text(emitted(site, "repo", "--base", server.url, "--disable-others"))
        environment = {**os.environ, "REPOSDIR": str(client.repos)}
        subprocess.run(["/bin/sh", str(script)], env=environment, check=True)
        done = client.dnf("-y", "install", "hello")
        assert done.returncode == 0, done.stdout + done.stderr
        assert client.installed() == INSTALLED
        subprocess.run(["/bin/sh", str(script), "undo"], env=environment, check=True)
        assert client.dnf("--refresh", "makecache").returncode != 0
