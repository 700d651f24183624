"""The real programs and the real data that these tests need, and what happens where they are not there."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
"""The checkout whose mirrorpy is tested."""

SYSTEM_FOLDERS = ["/usr/sbin", "/sbin"]
"""Where nginx and mount are, which an ordinary user's PATH lacks."""

NO_DATA = "no real repositories here"

QUERY = "%{name} %{epoch} %{version} %{release} %{arch} %{downloadsize} %{buildtime} %{sourcerpm} %{summary}"


def real_program(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails where MIRRORPY_REQUIRE_REAL=1."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS]))
    if path is None:
        reason = f"the program {name} is not installed"
        if os.environ.get("MIRRORPY_REQUIRE_REAL") == "1":
            pytest.fail(f"{reason}, and MIRRORPY_REQUIRE_REAL=1 demands it")
        pytest.skip(reason)
    return path


def data_folder() -> Path:
    """Where the collection of real repositories would be: $MIRRORPY_DATA, else beside the checkout."""
    return Path(os.environ.get("MIRRORPY_DATA") or TOP.parent / "shared" / "data")


def real_data(name: str) -> Path:
    """A folder of the collection of real repositories; the test is skipped where there is none."""
    folder = data_folder() / name
    if not folder.is_dir():
        pytest.skip(f"{NO_DATA}: {folder} is not there (set MIRRORPY_DATA)")
    return folder


def repositories_below(name: str) -> list[str]:
    """The repositories of one folder of the collection, as relative paths; none where it is absent."""
    folder = data_folder() / name
    return sorted(str(path.parent.parent.relative_to(folder)) for path in folder.rglob("repodata/repomd.xml"))


@dataclass(frozen=True, slots=True)
class View:
    """What dnf makes of one repository."""

    exit: int
    metadata: dict[str, str]
    """What makecache kept: file names and digests."""
    packages: list[str]


class Dnf:
    """dnf as a client with an installation root, a cache and a configuration of its own."""

    def __init__(self, folder: Path) -> None:
        self.program = real_program("dnf")
        self.folder = folder
        self.config = folder / "dnf.conf"
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            "[main]\ngpgcheck=0\nplugins=0\nkeepcache=1\nskip_if_unavailable=0\nretries=1\n"
            "cachedir=/cache\nlogdir=/log\npersistdir=/persist\nreposdir=/none\nvarsdir=/none\n"
        )

    def run(self, url: str, *args: str) -> subprocess.CompletedProcess[str]:
        """One dnf command with one repository, whose id is `t`."""
        return subprocess.run(
            [
                self.program,
                "-c",
                str(self.config),
                "--releasever=9",
                "--forcearch=x86_64",
                f"--installroot={self.folder / 'root'}",
                f"--repofrompath=t,{url}",
                "--repo=t",
                "--setopt=gpgcheck=0",
                *args,
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def view(self, url: str) -> View:
        """What `makecache` takes from there and what `repoquery` then knows."""
        made = self.run(url, "--refresh", "makecache")
        queried = self.run(url, "-C", "repoquery", "--qf", QUERY)
        return View(
            exit=made.returncode or queried.returncode,
            metadata={
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(self.folder.glob("**/t-*/repodata/*"))
            },
            packages=sorted(queried.stdout.splitlines()),
        )
