"""What was measured on: the machine, and the versions of all programs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from pathlib import Path

from mirrorpy import __version__
from tests.benchmarks.upstreams import program

CORES = len(os.sched_getaffinity(0))
VERSIONS = {
    "dnf": ["--version"],
    "rsync": ["--version"],
    "curl": ["--version"],
    "lftp": ["--version"],
    "nginx": ["-v"],
    "createrepo_c": ["--version"],
    "rpmkeys": ["--version"],
    "openssl": ["version"],
}
VERSION = re.compile(r"\d+(?:\.\d+)+")
SPEED = re.compile(r"^\+F:\d+:[^:]*:([\d.]+)$", re.MULTILINE)


def describe(folder: Path) -> dict[str, str]:
    """Return what a reader has to know of the machine; the folder is where all is written."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": f"{CORES} cores, {_processor()}",
        "memory": f"{memory:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "mirrorpy": f"{__version__} with Python {platform.python_version()}",
        **{name: _version(name, options) for name, options in VERSIONS.items()},
    }


def flush() -> float:
    """Write everything to disk that waits for it, and return the seconds that took."""
    began = time.monotonic()
    os.sync()
    return time.monotonic() - began


def forget_files() -> None:
    """Empty the page cache, so that files are read from the disk; only root may."""
    flush()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def sha256_speed(*options: str, seconds: int = 2) -> float:
    """Return MB/s of SHA-256 as `openssl speed` measures it on large blocks."""
    command = [program("openssl"), "speed", "-mr", "-seconds", str(seconds), "-bytes", "1048576", *options]
    done = subprocess.run([*command, "-evp", "sha256"], capture_output=True, text=True, check=True)
    return float(SPEED.findall(done.stdout)[-1]) / 1e6


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _file_system(folder: Path) -> str:
    """Return the type of what is mounted there: the longest mount point above it wins."""
    above = {str(path) for path in (folder.resolve(), *folder.resolve().parents)}
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    return max(((point, kind) for point, kind in mounts if point in above), key=lambda mount: len(mount[0]))[1]


def _version(name: str, options: list[str]) -> str:
    done = subprocess.run([program(name), *options], capture_output=True, text=True, check=False)
    found = VERSION.search(done.stdout + done.stderr)
    return found[0] if found else "unknown"
