"""How fast primary.xml is read, and in how much memory, beside createrepo_c's parser, which is written in C.

python -m tests.benchmarks.parsing [--packages 10000,70000] [--runs 5]

Each run is a process of its own, which reads an unpacked primary.xml and says how long that alone took, and by how much
its peak of memory rose meanwhile. The two take turns. createrepo_c is its Python package from PyPI: each package is
parsed in C and handed to a Python function that counts it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import zstandard

from tests.benchmarks.results import OURS, Results, Sample
from tests.benchmarks.upstreams import Upstream

CREATEREPO = "createrepo_c"
TOP = Path(__file__).parents[2]
HEAD = 64 * 1024
"""Bytes in which the first package ends."""
END = b"</package>"
PROMISE = re.compile(rb'packages="\d+"')


class Reading(msgspec.Struct, frozen=True):
    """What one process says of itself."""

    packages: int
    wall: float
    cpu: float
    rise: float
    """MB by which the peak of memory rose above what was resident before."""


def read_mirrorpy(file: str) -> int:
    """Count the packages as a sync reads them."""
    from mirrorpy.rpmmd.primary import iter_primary

    with open(file, "rb") as source:
        return sum(1 for _ in iter_primary(source))


def read_createrepo(file: str) -> int:
    """Count the packages; without their lists of files, which mirrorpy does not read either."""
    import createrepo_c  # type: ignore[import-not-found, import-untyped, unused-ignore]

    count = 0

    def take(_: object) -> None:
        nonlocal count
        count += 1

    createrepo_c.xml_parse_primary(file, None, take, None, 0)
    return count


READERS = {OURS: read_mirrorpy, CREATEREPO: read_createrepo}


def read(name: str, file: str, tiny: str) -> Reading:
    """Read it in this process; a tiny one first, so that imports are not counted."""
    READERS[name](tiny)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _resident(b"VmRSS")
    began, cpu = time.perf_counter(), time.process_time()
    packages = READERS[name](file)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Reading(packages, wall, cpu, max(0.0, _resident(b"VmHWM") - before))


def measure_all(folder: Path, repo: Path, cell: str, runs: int) -> list[Sample]:
    """Let both take turns; the first round is to warm up."""
    samples = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        file, tiny = unpack(repo, Path(place))
        packages = sum(1 for _ in repo.glob("Packages/*/*.rpm"))
        for number in range(runs + 1):
            for name in list(READERS) if number % 2 else list(READERS)[::-1]:
                found = _read_apart(name, file, tiny)
                if found.packages != packages:
                    raise SystemExit(f"{name} found {found.packages} packages of {packages}")
                if number:
                    samples.append(Sample(cell, "parse", name, number, found.wall, found.cpu, found.rise, found.rise))
    return samples


def unpack(repo: Path, folder: Path) -> tuple[Path, Path]:
    """Write primary.xml, and the same with its first package alone."""
    (packed,) = repo.glob("repodata/*-primary.xml.zst")
    file, tiny = folder / "primary.xml", folder / "tiny.xml"
    with packed.open("rb") as source, file.open("wb") as target:
        zstandard.ZstdDecompressor().copy_stream(source, target)
    with file.open("rb") as source:
        first = source.read(HEAD).partition(END)[0] + END
    tiny.write_bytes(PROMISE.sub(b'packages="1"', first, count=1) + b"</metadata>")
    return file, tiny


def _read_apart(name: str, file: Path, tiny: Path) -> Reading:
    command = [sys.executable, "-m", "tests.benchmarks.parsing", "--read", name, str(file), str(tiny)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=TOP)
    return msgspec.json.decode(done.stdout, type=Reading)


def _resident(field: bytes) -> float:
    found = re.search(field + rb":\s+(\d+) kB", Path("/proc/self/status").read_bytes())
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", default="10000,70000")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        sys.stdout.buffer.write(msgspec.json.encode(read(*args.read)))
        return
    print("| packages | | seconds | to createrepo_c | MB more |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="mirrorpy-bench-") as place:
        for count in map(int, args.packages.split(",")):
            upstream = Upstream(Path(place), "many", count)
            results = Results(samples=measure_all(Path(place), upstream["first"], "cell", args.runs))
            for name in READERS:
                wall = results.range("cell", "parse", name, lambda sample: sample.wall)
                rise = results.range("cell", "parse", name, lambda sample: sample.peak)
                ratio = results.ratio("cell", "parse", CREATEREPO) if name == OURS else None
                shown = f"{ratio.median:.2f} ({ratio.least:.2f} to {ratio.greatest:.2f})" if ratio else ""
                if wall and rise:
                    print(f"| {count:,} | {name} | {wall.median:.2f} | {shown} | {rise.greatest:.1f} |", flush=True)


if __name__ == "__main__":
    main()
