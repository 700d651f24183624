"""The tutorial "Mirror CentOS for your LAN" does and prints what it says, with the fixtures in place of CentOS."""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.test_docs import TOP, blocks, plain, steps

from .programs import real_program
from .servers import LOOPBACK, free_port, nginx_command, open_folder, run_nginx, run_vsftpd
from .webserver import Nginx

PAGE = TOP / "docs/tutorial/mirror-centos-for-your-lan.md"
UPSTREAM = TOP / "fixtures" / "centos5" / "day1"
CLIENTS_OWN = ("CentOS-Base.repo", "CentOS-Media.repo")
RUN_SECONDS = 120
SHOWN_FOLDER = "centos/5.0/updates/i386/RPMS"

PROGRAMS = {
    "mirrorpy": '"{python}" -m mirrorpy "$@"',
    "sudo": '"$@"',
    "nginx": '"{nginx}" -p "{folder}" -c "{folder}/etc/nginx/nginx.conf" "$@"',
    "yum": '"{dnf}" -c "{folder}/etc/yum.conf" --releasever=5 --forcearch=i386 --installroot="{folder}/client" "$@"',
    "rpm": '"{rpm}" --root "{folder}/client" "$@"',
}
"""What stands in for the programs of two machines."""
CLIENT = """\
[main]
plugins=0
retries=1
skip_if_unavailable=0
reposdir={folder}/etc/yum.repos.d
varsdir=/none
cachedir=/cache
logdir=/log
persistdir=/persist
"""


class Machines:
    """The mirror and the client of the page: one folder, programs of its own, free ports."""

    def __init__(self, folder: Path, upstream: str, started: ExitStack) -> None:
        self.folder = folder
        self._started = started
        trial, self._http, self._ftp = free_port(), free_port(), free_port()
        self._replaced = {
            "https://vault.centos.org/": upstream,
            "0.0.0.0": LOOPBACK,
            "mirror.example.org:8080/": f"{LOOPBACK}:{trial}/",
            f"{LOOPBACK}:8080/": f"{LOOPBACK}:{trial}/",
            "--port 8080": f"--port {trial}",
            "http://mirror.example.org/": f"http://{LOOPBACK}:{self._http}/",
            "ftp://mirror.example.org/": f"ftp://{LOOPBACK}:{self._ftp}/",
            "emit nginx": f"emit nginx --bind {LOOPBACK} --port {self._http}",
            "emit vsftpd": f"emit vsftpd --bind {LOOPBACK} --port {self._ftp}",
            "--server-name mirror.example.org": f"--server-name {LOOPBACK}",
            "/etc/": f"{folder}/etc/",
            "/pub": f"{folder}/pub",
        }
        self.trial = f"http://{LOOPBACK}:{trial}/"
        for name in ("bin", "home", "etc/nginx/conf.d", "etc/cron.d", "etc/yum.repos.d", "client"):
            (folder / name).mkdir(parents=True)
        for name in CLIENTS_OWN:
            (folder / "etc/yum.repos.d" / name).write_text("[base]\nname=base\nbaseurl=http://localhost:1/\n")
        (folder / "etc/yum.conf").write_text(CLIENT.format(folder=folder))
        nginx_command(folder / "etc/nginx", f"include {folder}/etc/nginx/conf.d/*.conf;")
        for name, line in PROGRAMS.items():
            self._write_program(name, line)
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MIRRORPY_") and not name.lower().endswith("_proxy")
        }
        self._environment = {
            **kept,
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(TOP), os.environ.get("PYTHONPATH")])),
            "HOME": str(folder / "home"),
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "MIRRORPY_CONFIG": str(folder / "etc/mirrorpy.yaml"),
            "REPOSDIR": str(folder / "etc/yum.repos.d"),
        }

    def _write_program(self, name: str, line: str) -> None:
        real = {program: real_program(program) for program in ("nginx", "dnf", "rpm") if f"{{{program}}}" in line}
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\nexec {line.format(folder=self.folder, python=sys.executable, **real)}\n")
        file.chmod(0o755)

    def here(self, text: str) -> str:
        """The page's text with addresses and paths of this test."""
        for shown, real in self._replaced.items():
            text = text.replace(shown, real)
        return text

    def run(self, command: str) -> str:
        """What a command of the page prints; services are started, what does not end is left running."""
        if command == "sudo systemctl reload nginx":
            text = (self.folder / "etc/nginx/conf.d/mirrorpy.conf").read_text()
            self._started.enter_context(run_nginx(self.folder / "nginx", text, self._http))
            return ""
        if command == "sudo systemctl restart vsftpd":
            text = (self.folder / "etc/vsftpd.conf").read_text()
            self._started.enter_context(run_vsftpd(self.folder / "vsftpd", text, self._ftp))
            return ""
        if command.startswith("mirrorpy serve"):
            return self._serve(command)
        return self.shell(self.here(command))

    def shell(self, command: str) -> str:
        """What a command prints that goes well."""
        done = self._start(f"set -eu\n{command}")
        output, _ = done.communicate(timeout=RUN_SECONDS)
        assert done.returncode == 0, f"{command}: {output}"
        return output

    def _serve(self, command: str) -> str:
        process = self._start(f"exec {self.here(command)}")
        self._started.callback(process.communicate, timeout=20)
        self._started.callback(process.terminate)
        assert process.stdout
        return process.stdout.readline()

    def _start(self, script: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["/bin/sh", "-c", script],
            cwd=self.folder / "home",
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def write_configuration(self) -> None:
        """Do what the page says to do with the file that init wrote: other repositories, and no other change."""
        file = self.folder / "etc/mirrorpy.yaml"
        shown = self.here(blocks(PAGE, "yaml")[0])
        head = file.read_text().partition("\nrepos:")[0]
        edited = head + "\nrepos:" + shown.partition("\nrepos:")[2]
        assert yaml.safe_load(edited) == yaml.safe_load(shown)
        file.write_text(edited)


@pytest.fixture
def machines() -> Iterator[Machines]:
    """Both, and an upstream."""
    if os.geteuid() != 0:
        pytest.skip("installing into a root needs to be root")
    for program in ("curl", "vsftpd"):
        real_program(program)
    with (
        open_folder() as folder,
        Nginx(real_program("nginx"), folder / "upstream", UPSTREAM) as upstream,
        ExitStack() as started,
    ):
        yield Machines(folder, upstream.url, started)


def told(text: str, folder: Path) -> str:
    """Output without what differs from run to run, and from the page's mirrorpy and paths to those of this test."""
    text = re.sub(r"\S+/python\S* -m mirrorpy\b|/\S+/bin/mirrorpy\b", "MIRRORPY", text)
    return plain(text.replace(str(folder), ""))


def test_the_page_prints_what_it_says(machines: Machines) -> None:
    """From an empty machine to installed packages, over HTTP and FTP."""
    promised = steps(PAGE)
    assert len(promised) > 25
    for command, output in promised:
        said = machines.run(command)
        assert told(said, machines.folder) == told(machines.here(output), machines.folder), command
        if command.startswith("mirrorpy init"):
            machines.write_configuration()
        if command.startswith("mirrorpy serve"):
            with urllib.request.urlopen(f"{machines.trial}{SHOWN_FOLDER}/", timeout=20) as answer:
                page = answer.read().decode()
            names = sorted(file.name for file in (UPSTREAM / "5.0/updates/i386/RPMS").iterdir())
            assert re.findall(r'<a href="([^"]+[.]rpm)">', page) == names
    job = (machines.folder / "etc/cron.d/mirrorpy").read_text().splitlines()[-1]
    assert machines.shell(job.split(" ", 6)[6]) == "", "cron would mail this"
