"""How fast `mirrorpy verify` reads and hashes a repository, beside sha256sum, rpmkeys and openssl.

python -m tests.benchmarks.verifying [--rounds 3] [--scale 1.0]

2,500 packages of very different sizes, 1.7 GB, as a distribution's are. All take turns, in an order that is reversed
each round; the first round is to warm up. A Markdown table of medians, and of each round's ratio to openssl's speed on
one core times the cores. The files are in the page cache, so no disk is measured. Needs rpm-rs, createrepo_c, rpmkeys
and openssl.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import rpm_rs  # type: ignore[import-untyped, unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = 2_500
LARGEST = 150e6
CORES = len(os.sched_getaffinity(0))
OPENSSL_SECONDS = 3


def build(job: tuple[str, int, int]) -> None:
    """Write one package with one large file and a few dependencies."""
    folder, number, size = job
    rng = random.Random(number)
    builder = rpm_rs.PackageBuilder(f"pkg{number:05d}", "1.0", "MIT", "x86_64", "A package to verify")
    builder.using_config(
        rpm_rs.BuildConfig(
            format=rpm_rs.RpmFormat.V4,
            compression=getattr(rpm_rs.CompressionType, "NONE"),  # noqa: B009 - it has no stub
            reserved_space=0,
            source_date=1_700_000_000,
        )
    )
    builder.release("1.el9")
    for other in range(rng.randint(2, 12)):
        builder.requires(f"lib{rng.randint(0, 9999)}.so.{other}()(64bit)")
    builder.with_file_contents(rng.randbytes(size), rpm_rs.FileOptions.new(f"/usr/lib/pkg{number:05d}.bin"))
    target = pathlib.Path(folder, "Packages", f"{number % 26:02d}")
    target.mkdir(parents=True, exist_ok=True)
    builder.build().write_file(str(target / f"pkg{number:05d}-1.0-1.el9.x86_64.rpm"))


def build_all(folder: pathlib.Path, count: int) -> None:
    """Write the repository."""
    rng = random.Random(7)
    jobs = [(str(folder), number, int(min(LARGEST, rng.lognormvariate(11.8, 1.9)))) for number in range(count)]
    with concurrent.futures.ProcessPoolExecutor(CORES) as pool:
        list(pool.map(build, jobs, chunksize=8))
    subprocess.run(["createrepo_c", "-q", str(folder)], check=True, stdout=subprocess.DEVNULL)


def checksum_lists(folder: pathlib.Path, packages: list[pathlib.Path], number: int) -> list[pathlib.Path]:
    """Lists for `sha256sum -c`, of about the same size in bytes."""
    lists: list[list[str]] = [[] for _ in range(number)]
    sizes = [0] * number
    for package in sorted(packages, key=lambda path: -path.stat().st_size):
        least = sizes.index(min(sizes))
        sizes[least] += package.stat().st_size
        lists[least].append(str(package))
    written = []
    for index, names in enumerate(lists):
        path = folder / f"sums-{number}-{index}"
        with path.open("wb") as stream:
            subprocess.run(["xargs", "-0", "sha256sum"], input="\0".join(names).encode(), stdout=stream, check=True)
        written.append(path)
    return written


def names_in(checksums: pathlib.Path) -> list[str]:
    """Return the files of one list."""
    return [line[66:] for line in checksums.read_text().splitlines()]


def run_all(commands: list[list[str]]) -> float:
    """Run commands beside each other and return the seconds; all have to succeed."""
    began = time.monotonic()
    processes = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for command in commands]
    codes = [process.wait() for process in processes]
    seconds = time.monotonic() - began
    if any(codes):
        raise SystemExit(f"exit {codes}: {commands[0][:4]}")
    return seconds


def openssl(*options: str) -> float:
    """Return MB/s of SHA-256 as `openssl speed` measures it on large blocks."""
    said = subprocess.run(
        ["openssl", "speed", "-mr", "-seconds", str(OPENSSL_SECONDS), "-bytes", "1048576", *options, "-evp", "sha256"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return float(re.findall(r"^\+F:\d+:[^:]*:([\d.]+)$", said, re.MULTILINE)[-1]) / 1e6


def contestants(folder: pathlib.Path, repo: pathlib.Path) -> tuple[int, dict[str, Callable[[], float]]]:
    """Return the bytes of all packages, and by name what gives MB/s."""
    packages = sorted(repo.glob("Packages/*/*.rpm"))
    size = sum(path.stat().st_size for path in packages)

    def speed(*commands: list[str]) -> Callable[[], float]:
        return lambda: size / 1e6 / run_all(list(commands))

    check = ["sha256sum", "--check", "--status"]
    one, several = checksum_lists(folder, packages, 1), checksum_lists(folder, packages, CORES)
    return size, {
        f"`openssl speed sha256`, {CORES} times": lambda: openssl() * CORES,
        f"`openssl speed -multi {CORES} sha256`": lambda: openssl("-multi", str(CORES)),
        "`mirrorpy verify`": speed([sys.executable, "-m", "mirrorpy", "verify", "--quiet", str(repo)]),
        "`sha256sum -c`": speed([*check, str(one[0])]),
        f"`sha256sum -c`, {CORES} at a time": speed(*([*check, str(path)] for path in several)),
        f"`openssl dgst -sha256`, {CORES} at a time": speed(
            *(["openssl", "dgst", "-sha256", *names] for names in map(names_in, several))
        ),
        "`rpmkeys -K`": speed(["rpmkeys", "-K", "--nosignature", *map(str, packages)]),
    }


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of packages")
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mirrorpy-bench-"))
    try:
        repo = folder / "repo"
        build_all(repo, max(1, int(PACKAGES * args.scale)))
        size, runs = contestants(folder, repo)
        results: dict[str, list[float]] = {name: [] for name in runs}
        loads = []
        for number in range(args.rounds + 1):
            loads.append(os.getloadavg()[0])
            for name in list(runs) if number % 2 else list(runs)[::-1]:
                speed = runs[name]()
                if number:
                    results[name].append(speed)
        base = next(iter(results.values()))
        print(f"{size / 1e9:.2f} GB, {CORES} cores, {args.rounds} rounds, Python {sys.version.split()[0]}, ", end="")
        print(f"load before each round {' '.join(f'{load:.1f}' for load in loads)}\n")
        print("| | MB/s | seconds | to openssl |")
        print("|---|---|---|---|")
        for name, speeds in results.items():
            ratios = sorted(speed / best for speed, best in zip(speeds, base, strict=True))
            median = statistics.median(speeds)
            seconds = "" if "speed" in name else f"{size / 1e6 / median:.2f}"
            print(
                f"| {name} | {median:,.0f} | {seconds}"
                f" | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |"
            )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
