"""Seventeen true successive states of one upstream, mirrored one after the other from one URL."""

import os
import re
import shutil
from pathlib import Path

import pytest

from .installation import Mirror
from .listing import REPOMD, differing, files_below, listing_of, parse_repomd
from .programs import NO_DATA, real_data
from .webserver import Serve

CHECKSUM = re.compile(r"[0-9a-f]{40,128}-")


def steps() -> list[Path]:
    """The states, oldest first."""
    found = sorted(path for path in real_data("repos/yumrepos").iterdir() if path.is_dir())
    if not found:
        pytest.skip(f"{NO_DATA}: the collection has no steps")
    return found


def show(step: Path, folder: Path) -> None:
    """Make the folder that step's tree, at its own time: nginx tells versions of a file apart by seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(step, folder, copy_function=shutil.copyfile)
    revision, _ = parse_repomd((step / REPOMD).read_bytes())
    os.utime(folder / REPOMD, (int(revision), int(revision)))


@pytest.mark.parametrize("transport", ["http", "file"])
def test_each_step_ends_as_that_steps_tree(tmp_path: Path, nginx: Serve, mirror: Mirror, transport: str) -> None:
    """Listed files identical, dropped packages gone; of earlier steps only records named by checksums."""
    current = tmp_path / "served" / "current"
    current.parent.mkdir()
    baseurl = current.as_uri() if transport == "file" else f"{nginx(current.parent).url}current"
    mirror.configure({"id": "steps", "baseurl": baseurl}, keep=1)
    retired: set[str] = set()
    for step in steps():
        show(step, current)
        outcome = mirror.sync().repos["steps"]
        assert outcome["outcome"] == "updated", step.name
        listing = listing_of(step)
        published = mirror.published("steps")
        assert differing(listing.hrefs | {REPOMD}, step, published) == [], step.name
        surplus = files_below(published) - listing.hrefs - {REPOMD}
        assert surplus <= retired, f"{step.name}: {sorted(surplus - retired)}"
        retired |= {promise.href for promise in listing.records if CHECKSUM.search(promise.href)}
    assert mirror.sync().repos["steps"]["outcome"] == "unchanged"
