"""Fault 64: a primary of a million packages, in bounded memory."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from .catalogue import fault

PLANNED = 200_000
KIB, MIB = 1024, 1024**2
MEASURE = """
import itertools, json, os, sys
from mirrorpy.plan import Rules, collect, plan_sync
from mirrorpy.rpmmd.decode import open_decoded
from mirrorpy.rpmmd.primary import iter_primary

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

def packages():
    path = sys.argv[1]
    with open(path, "rb") as file:
        yield from iter_primary(open_decoded(file, size=os.path.getsize(path)))

warm = sum(1 for _ in itertools.islice(packages(), 10_000))
peaks = [peak()]
count = sum(1 for _ in packages())
peaks.append(peak())
planned = int(sys.argv[2])
plan = plan_sync(collect(itertools.islice(packages(), planned)), set(), (), Rules(), 0.0)
peaks.append(peak())
print(json.dumps([count, len(plan.fetch), peaks]))
"""

HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" packages="%d">\n'
)
PACKAGE = (
    b'<package type="rpm"><name>package-%d</name><arch>noarch</arch><version epoch="0" ver="1.0" rel="1.fc42"/>'
    b'<checksum type="sha256" pkgid="YES">%064x</checksum><summary/><description/><packager/><url/>'
    b'<time file="1700000000" build="1700000000"/><size package="%d" installed="1" archive="1"/>'
    b'<location href="Packages/p/package-%d-1.0-1.fc42.noarch.rpm"/></package>\n'
)


def _write(path: Path, count: int, comment: bytes) -> None:
    """Write a primary.xml.gz of so many packages, each with a name, a size and a checksum of its own."""
    with path.open("wb") as packed, gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(HEAD % count + comment)
        for first in range(0, count, 1000):
            file.write(b"".join(PACKAGE % ((number,) * 4) for number in range(first, first + 1000)))
        file.write(b"</metadata>\n")


@pytest.mark.parametrize(
    ("count", "comment"),
    [(1_000_000, b""), (200_000, b"<!-- by hand -->")],
    ids=["as createrepo_c writes it", "otherwise"],
)
@fault(64, "a primary of a million packages", "0; it is read in flat memory, the plan takes half a kB for each package")
def test_fault_064_many_packages(tmp_path: Path, count: int, comment: bytes) -> None:
    """In a process of its own, by the kernel's high-water mark."""
    path = tmp_path / "primary.xml.gz"
    _write(path, count, comment)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), str(PLANNED)], capture_output=True, text=True, check=True
    )
    found, fetched, (start, read, planned) = json.loads(done.stdout)
    assert (found, fetched) == (count, PLANNED)
    assert read - start < 4 * MIB
    assert planned - read < PLANNED * KIB // 2
