"""How fast `mirrorpy verify` reads and hashes a repository, beside sha256sum, rpmkeys and openssl.

python -m tests.benchmarks.verifying [--runs 3] [--scale 1.0] [--cold]

2,500 packages of very different sizes, 1.7 GB, as a distribution's are. All take turns, in an order that is reversed
each round; the first round is to warm up. A Markdown table of medians, and of each round's ratio to openssl's speed on
one core times the cores. The files are in the page cache, so no disk is measured, unless that is emptied before each
(--cold, as root): then `cat` shows what the disk gives. Needs rpm-rs, createrepo_c, rpmkeys and openssl.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.machine import CORES, forget_files, sha256_speed
from tests.benchmarks.measure import Usage, measure
from tests.benchmarks.mirrorers import environment, install
from tests.benchmarks.results import OURS, Sample, spread
from tests.benchmarks.upstreams import SHAPES, Upstream, program

if TYPE_CHECKING:
    from collections.abc import Callable

OPENSSL = f"`openssl speed sha256`, {CORES} times"
LABELS = {OURS: "`mirrorpy verify`"}


def checksum_lists(folder: Path, packages: list[Path], number: int) -> list[Path]:
    """Write lists for `sha256sum -c`, of about the same size in bytes."""
    lists: list[list[Path]] = [[] for _ in range(number)]
    sizes = [0] * number
    for package in sorted(packages, key=lambda path: -path.stat().st_size):
        least = sizes.index(min(sizes))
        sizes[least] += package.stat().st_size
        lists[least].append(package)
    written = []
    for index, paths in enumerate(lists):
        path = folder / f"sums-{number}-{index}"
        names = "\0".join(map(str, paths)).encode()
        with path.open("wb") as stream:
            subprocess.run(["xargs", "-0", program("sha256sum")], input=names, stdout=stream, check=True)
        path.with_suffix(".names").write_bytes(names)
        written.append(path)
    return written


def contestants(folder: Path, repo: Path, python: Path) -> dict[str, Callable[[], Usage]]:
    """Return what reads and hashes all packages, by name."""
    packages = sorted(repo.glob("Packages/*/*.rpm"))
    size = sum(path.stat().st_size for path in packages) / 1e6

    def run(*command: str) -> Callable[[], Usage]:
        return lambda: measure(command, folder / "output", environment(folder))

    def speed(*options: str) -> Callable[[], Usage]:
        def seconds() -> Usage:
            wall = size / (sha256_speed(*options) * (1 if options else CORES))
            return Usage(wall, wall * CORES, 0, 0)

        return seconds

    check = ["sha256sum", "--check", "--status"]
    one, several = checksum_lists(folder, packages, 1), checksum_lists(folder, packages, CORES)
    reading = 'exec xargs -0 --arg-file "$0.names" cat >/dev/null'
    names = folder / "names"
    names.write_bytes("\0".join(map(str, packages)).encode())
    at_once = ["xargs", f"--max-procs={CORES}", "--max-args=1", "--arg-file", _listing(folder, several)]
    return {
        OPENSSL: speed(),
        f"`openssl speed -multi {CORES} sha256`": speed("-multi", str(CORES)),
        OURS: run(str(python), "-m", "mirrorpy", "verify", "--quiet", str(repo)),
        "`sha256sum -c`": run(*check, str(one[0])),
        f"`sha256sum -c`, {CORES} at a time": run(*at_once, *check),
        f"`openssl dgst -sha256`, {CORES} at a time": run(
            *at_once, "sh", "-c", 'exec xargs -0 --arg-file "$0.names" openssl dgst -sha256'
        ),
        f"`cat`, {CORES} at a time": run(*at_once, "sh", "-c", reading),
        "`rpmkeys -K`": run("xargs", "-0", "--arg-file", str(names), program("rpmkeys"), "-K", "--nosignature"),
    }


def measure_all(folder: Path, repo: Path, cell: str, runs: int, python: Path, *, cold: bool = False) -> list[Sample]:
    """Let all take turns, each with an empty page cache if cold."""
    samples = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        programs = contestants(Path(place), repo, python)
        for number in range(runs + 1):
            for name in list(programs) if number % 2 else list(programs)[::-1]:
                if cold:
                    forget_files()
                used = programs[name]()
                if number:
                    samples.append(Sample(cell, "verify", name, number, used.wall, used.cpu, used.peak, used.tree))
    return samples


def _listing(folder: Path, lists: list[Path]) -> str:
    path = folder / "lists"
    path.write_text("".join(f"{name}\n" for name in lists))
    return str(path)


def table(samples: list[Sample], size: int) -> list[str]:
    """Return the lines of a table: the fastest first, and each beside openssl's speed times the cores."""
    base = {sample.round: sample.wall for sample in samples if sample.program == OPENSSL}
    rows = []
    for name in dict.fromkeys(sample.program for sample in samples):
        mine = [sample for sample in samples if sample.program == name]
        wall = spread([sample.wall for sample in mine]).median
        ratio = spread([base[sample.round] / sample.wall for sample in mine])
        seconds = "" if "speed" in name else f"{wall:.2f}"
        rates = f"{size / 1e6 / wall:,.0f} | {seconds} | {ratio.median:.2f} ({ratio.least:.2f} to {ratio.greatest:.2f})"
        rows.append((wall, f"| {LABELS.get(name, name)} | {rates} |"))
    return ["| | MB/s | seconds | to `openssl speed` |", "|---|---|---|---|", *(row for _, row in sorted(rows))]


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of packages")
    parser.add_argument("--cold", action="store_true", help="empty the page cache before each")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mirrorpy-bench-") as place:
        folder = Path(place)
        upstream = Upstream(folder, "centos", max(1, int(SHAPES["centos"].packages * args.scale)))
        size = sum(path.stat().st_size for path in upstream["first"].glob("Packages/*/*.rpm"))
        load = os.getloadavg()[0]
        samples = measure_all(folder, upstream["first"], "centos", args.runs, install(folder / "venv"), cold=args.cold)
        print(f"{size / 1e9:.2f} GB, {CORES} cores, {args.runs} rounds, Python {sys.version.split()[0]}, ", end="")
        print(f"load before {load:.1f}\n")
        print(*table(samples, size), sep="\n")


if __name__ == "__main__":
    main()
