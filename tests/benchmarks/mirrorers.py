"""The programs that mirror, each as its documentation says for a mirror that is kept up to date."""

from __future__ import annotations

import compileall
import os
import shutil
import sysconfig
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import mirrorpy
from tests.benchmarks.results import OURS
from tests.benchmarks.upstreams import REPOMD, program, sizes_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.origin import Address

RSYNC, REPOSYNC, LFTP = "rsync", "dnf reposync", "lftp"
CURL, CURL_8 = "curl, 16 connections", "curl, 8 connections"
CONNECTIONS = {8: OURS, **{number: f"{OURS}, {number} connections" for number in (16, 32)}}
"""mirrorpy's names by max_parallel_downloads; 8 is the default."""
NAMED = (OURS, RSYNC, REPOSYNC, LFTP, CURL_8, CURL)
"""In the order of a table."""
ALL = frozenset({"first", "none", "1%", "10%"})
DNF = """[main]
gpgcheck=0
plugins=1
reposdir=/none
varsdir=/none
cachedir={folder}/cache
persistdir={folder}/persist
logdir={folder}/log
[bench]
name=bench
baseurl={url}
"""


class Mirrorer(Protocol):
    """One of them, with a folder of its own."""

    name: str
    works: frozenset[str]
    """What it can do; `first` at least."""

    def prepare(self, folder: Path, address: Address, files: Sequence[str]) -> None:
        """Write what it needs before it starts; its folder is empty."""

    def command(self, folder: Path, address: Address) -> list[str]:
        """Return the command line."""

    def mirror(self, folder: Path) -> Path:
        """Return where the mirrored repository is."""


class Mirrorpy:
    """`mirrorpy sync` as it is when installed: with compiled bytecode, in a virtual environment."""

    def __init__(self, python: Path, connections: int = 8) -> None:
        self.name = CONNECTIONS[connections]
        self.works = ALL if self.name == OURS else frozenset({"first"})
        self._python = python
        self._connections = connections

    def prepare(self, folder: Path, address: Address, files: Sequence[str]) -> None:
        option = "" if self.name == OURS else f"max_parallel_downloads: {self._connections}\n"
        (folder / "mirrorpy.yaml").write_text(
            f"root: {folder}/root\n{option}repos:\n  - id: bench\n    baseurl: {address.http}\n"
        )

    def command(self, folder: Path, address: Address) -> list[str]:
        return [str(self._python), "-m", "mirrorpy", "sync", "--config", str(folder / "mirrorpy.yaml")]

    def mirror(self, folder: Path) -> Path:
        return folder / "root" / "bench"


class Reposync:
    """`dnf reposync`, with its own number of connections."""

    name = REPOSYNC
    works = ALL

    def prepare(self, folder: Path, address: Address, files: Sequence[str]) -> None:
        (folder / "dnf.conf").write_text(DNF.format(folder=folder, url=address.http))

    def command(self, folder: Path, address: Address) -> list[str]:
        which = ["-c", str(folder / "dnf.conf"), "--releasever=9", "--repoid=bench", "-p", str(self.mirror(folder))]
        return [program("dnf"), "reposync", *which, "--norepopath", "--download-metadata", "--delete"]

    def mirror(self, folder: Path) -> Path:
        return folder / "mirror"


class Rsync:
    """`rsync` from a daemon."""

    name = RSYNC
    works = ALL

    def prepare(self, folder: Path, address: Address, files: Sequence[str]) -> None:
        pass

    def command(self, folder: Path, address: Address) -> list[str]:
        return [program("rsync"), "-a", "--delete", "--delay-updates", address.rsync, f"{self.mirror(folder)}/"]

    def mirror(self, folder: Path) -> Path:
        return folder / "mirror"


class Lftp:
    """`lftp mirror` of nginx's listings, with as many connections as mirrorpy."""

    name = LFTP
    works = ALL

    def prepare(self, folder: Path, address: Address, files: Sequence[str]) -> None:
        pass

    def command(self, folder: Path, address: Address) -> list[str]:
        return [program("lftp"), "-c", f"mirror --delete --parallel=8 {address.http} {self.mirror(folder)}"]

    def mirror(self, folder: Path) -> Path:
        return folder / "mirror"


class Curl:
    """`curl --parallel` of a list of all files, made beforehand: no more than the downloading of a first sync."""

    works = frozenset({"first"})

    def __init__(self, connections: int) -> None:
        self.name = {8: CURL_8, 16: CURL}[connections]
        self._connections = str(connections)

    def prepare(self, folder: Path, address: Address, files: Sequence[str]) -> None:
        lines = (f'url = "{address.http}{href}"\noutput = "{self.mirror(folder)}/{href}"\n' for href in files)
        (folder / "list").write_text("".join(lines))

    def command(self, folder: Path, address: Address) -> list[str]:
        options = ["--silent", "--show-error", "--fail", "--create-dirs", "--parallel", "--parallel-max"]
        return [program("curl"), *options, self._connections, "--config", str(folder / "list")]

    def mirror(self, folder: Path) -> Path:
        return folder / "mirror"


def check(mirror: Path, files: dict[str, int], state: Path) -> str | None:
    """Return what is wrong with a mirror: metadata is there, every package with its size, and no other package."""
    found = sizes_below(mirror)
    if wrong := [href for href, size in files.items() if found.get(href) != size]:
        return f"{len(wrong)} files are missing or have another size, {wrong[0]} for one"
    if stale := [href for href in found if href.endswith(".rpm") and href not in files]:
        return f"{len(stale)} packages are left over, {stale[0]} for one"
    if (mirror / REPOMD).read_bytes() != (state / REPOMD).read_bytes():
        return "repomd.xml is another"
    return None


def install(folder: Path) -> Path:
    """Install this checkout's mirrorpy into a virtual environment, and return its interpreter.

    What mirrorpy needs is taken from the environment that runs this; its start-up hooks are not.
    """
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    package = Path(mirrorpy.__file__).parent
    shutil.copytree(package, site / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    if not compileall.compile_dir(site / package.name, quiet=1):
        raise SystemExit("mirrorpy does not compile")
    return folder / "bin" / "python"


def environment(home: Path) -> dict[str, str]:
    """Return what all run with."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "TMPDIR": str(home)}


def every(python: Path, *, far: bool) -> list[Mirrorer]:
    """Return all that take part, near or through the relay."""
    near: list[Mirrorer] = [Mirrorpy(python), Rsync(), Reposync(), Lftp(), Curl(16)]
    return [*near, Curl(8), Mirrorpy(python, 16), Mirrorpy(python, 32)] if far else near
