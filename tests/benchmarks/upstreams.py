"""Upstreams of four shapes, each as it is first, after a day that changed 1 %, and after one that changed 10 %.

Packages are real RPMs, built with rpm-rs and described by createrepo_c; the same shape and number are always the same
packages. A later state holds hard links to what did not change.
"""

from __future__ import annotations

import concurrent.futures
import os
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import rpm_rs  # type: ignore[import-untyped, unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Callable

BUILD = "1"
"""Counts up when the same shape and number become other packages."""
FIRST = 1_700_000_000
DAY = 86_400
SUFFIXES = ("libs", "devel", "common", "utils", "core", "data")
REPOMD = "repodata/repomd.xml"


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of repository."""

    packages: int
    size: Callable[[random.Random], int]
    """Draws the bytes that one package carries."""


SHAPES = {
    "small": Shape(10_000, lambda rng: int(min(200e3, rng.lognormvariate(9.2, 0.8)))),
    "centos": Shape(2_500, lambda rng: int(min(150e6, rng.lognormvariate(11.8, 1.9)))),
    "large": Shape(20, lambda _: 100_000_000),
    "many": Shape(70_000, lambda rng: rng.randint(200, 2_000)),
}
DAYS = {"first": 0.0, "1%": 0.01, "10%": 0.1}
"""The states in order, and the share of packages that each day changes."""


@dataclass(frozen=True, slots=True)
class Package:
    """What decides every byte of one package."""

    number: int
    size: int
    release: int = 1

    def build(self, folder: Path) -> None:
        """Write it below Packages/."""
        rng = random.Random(self.number)
        name = f"pkg{self.number:05d}-{rng.choice(SUFFIXES)}"
        arch = rng.choice(("x86_64", "x86_64", "noarch", "i686"))
        version = f"{rng.randint(0, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 9)}"
        builder = rpm_rs.PackageBuilder(name, version, "MIT", arch, "A package to mirror")
        builder.using_config(
            rpm_rs.BuildConfig(
                format=rpm_rs.RpmFormat.V4,
                compression=getattr(rpm_rs.CompressionType, "NONE"),  # noqa: B009 - it has no stub
                reserved_space=0,
                source_date=FIRST,
            )
        )
        builder.release(f"{self.release}.el9")
        builder.description("A package to mirror. " * 30)
        for k in range(rng.randint(2, 12)):
            builder.requires(f"lib{rng.randint(0, 9999)}.so.{k}()(64bit)")
        for k in range(rng.randint(1, 6)):
            builder.provides(f"lib{rng.randint(0, 9999)}.so.{k}()(64bit)")
        content = rng.randbytes(self.size) + self.release.to_bytes(4, "big")
        builder.with_file_contents(content, rpm_rs.FileOptions.new(f"/usr/lib/{name}.bin"))
        for k in range(rng.randint(1, 8)):
            builder.with_file_contents(b"x", rpm_rs.FileOptions.new(f"/usr/bin/{name}-{k}"))
        target = folder / "Packages" / f"{self.number % 26:02d}"
        target.mkdir(parents=True, exist_ok=True)
        builder.build().write_file(str(target / f"{name}-{version}-{self.release}.el9.{arch}.rpm"))


def first_packages(shape: str, count: int) -> list[Package]:
    """Return the packages of a shape's first state."""
    rng = random.Random(7)
    return [Package(number, SHAPES[shape].size(rng)) for number in range(count)]


def after_a_day(packages: list[Package], share: float) -> list[Package]:
    """Change a share, four packages at least: half get a newer release, a quarter goes, a quarter is new."""
    rng = random.Random(len(packages))
    chosen = rng.sample(packages, min(len(packages), max(4, round(len(packages) * share))))
    quarter = len(chosen) // 4
    gone = {package.number for package in chosen[: 3 * quarter]}
    newer = [replace(package, release=package.release + 1) for package in chosen[: 2 * quarter]]
    following = max(package.number for package in packages) + 1
    new = [Package(following + i, package.size) for i, package in enumerate(chosen[3 * quarter :])]
    kept = [package for package in packages if package.number not in gone]
    return sorted([*kept, *newer, *new], key=lambda package: package.number)


class Upstream:
    """The states of one shape, each a folder."""

    def __init__(self, folder: Path, shape: str, count: int) -> None:
        """Build them, unless an earlier run left them there."""
        self.folder = folder / f"{shape}-{count}"
        self._files: dict[str, dict[str, int]] = {}
        done = self.folder / f"built-{BUILD}"
        if done.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        packages: list[Package] = []
        before: Path | None = None
        for number, (state, share) in enumerate(DAYS.items()):
            following = after_a_day(packages, share) if before else first_packages(shape, count)
            _publish(self[state], following, before, set(packages), FIRST + DAY * number)
            before, packages = self[state], following
        done.touch()

    def __getitem__(self, state: str) -> Path:
        return self.folder / state

    def files(self, state: str) -> dict[str, int]:
        """Return each file's size by its href."""
        if state not in self._files:
            self._files[state] = sizes_below(self[state])
        return self._files[state]


def sizes_below(folder: Path) -> dict[str, int]:
    """Return each file's size by its path below a folder."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            found[os.path.relpath(path, folder)] = os.stat(path).st_size
    return found


def program(name: str) -> str:
    """Find a program: what pip installed first, then the system's."""
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise SystemExit(f"the program {name} is not installed")
    return found


def _publish(folder: Path, packages: list[Package], before: Path | None, known: set[Package], revision: int) -> None:
    """Build what is not known, link the rest from the state before, and describe the whole."""
    folder.mkdir(parents=True)
    if before:
        subprocess.run(["cp", "--archive", "--link", str(before / "Packages"), str(folder)], check=True)
        shutil.copytree(before / "repodata", folder / "repodata")
        for package in known - set(packages):
            (old,) = (folder / "Packages" / f"{package.number % 26:02d}").glob(
                f"pkg{package.number:05d}-*-{package.release}.el9.*.rpm"
            )
            old.unlink()
    with concurrent.futures.ProcessPoolExecutor() as crew:
        for job in [crew.submit(package.build, folder) for package in packages if package not in known]:
            job.result()
    subprocess.run(
        [
            program("createrepo_c"),
            *("--quiet", "--update", "--no-database", "--general-compress-type=zstd", f"--revision={revision}"),
            *("--set-timestamp-to-revision", str(folder)),
        ],
        check=True,
        capture_output=True,
    )
    # Every server tells the states apart by whole seconds.
    os.utime(folder / REPOMD, (revision, revision))
