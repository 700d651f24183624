"""Faults 86 to 88, 90 and 93: a run that ends in the middle, and the one after it.

`tests/crash` does 86 and 87 whole: at every operation on the filesystem, and for every disk that a power cut can leave.
"""

import functools
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mirrorpy.store import durable
from mirrorpy.sync.story import sync_repository
from tests.integration.installation import Mirror
from tests.integration.listing import files_below, snapshot

from .catalogue import fault
from .leftovers import nothing_is_left
from .world import STATE, World

KILLER = """
import os, re, signal, sys

patterns = sys.argv.pop(1).split(" then ")

def hear(event, args):
    if patterns and re.search(patterns[0], " ".join(map(str, (event, *args)))):
        del patterns[0]
        if not patterns:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hear)
from mirrorpy.__main__ import run
run()
"""
"""Is killed by its own hand just before what the last of its patterns matches; they are met in order."""
SWITCH = r"os\.rename .*/link .*/root/base "
STALLED_AT = 1000


def child_of(world: World) -> Mirror:
    """Another process, with this world's configuration."""
    child = Mirror(world.folder / "child")
    child.config = world.file
    return child


def kill(world: World, pattern: str, *repos: str) -> None:
    """Sync in a process that is killed just before the operation that a pattern matches."""
    child = child_of(world)
    done = subprocess.run(
        [sys.executable, "-c", KILLER, pattern, "sync", "--quiet", "--config", str(world.file), *repos],
        env=child.environment,
        cwd=child.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, f"{done.returncode}: {done.stderr}"


@pytest.mark.parametrize(
    ("pattern", "new"),
    [
        ("open .*/incoming/base/ then open .*/incoming/base/", False),
        (r"os\.link .*/incoming/base/.* .*/pool/", False),
        (r"os\.link .*/pool/.* .*/staged/Packages/kept", False),
        (SWITCH, False),
        (f"{SWITCH} then .", True),
    ],
    ids=["downloading", "filling the pool", "staging", "before the switch", "after the switch"],
)
@fault(
    86,
    "SIGKILL while downloading, while staging, just before the switch, just after it; `tests/crash` kills at every "
    "operation on the filesystem",
    "137; the old generation is published, or the new one, whole; the next run succeeds",
)
def test_fault_086_killed(world: World, pattern: str, new: bool) -> None:
    published = world.root / "base"
    before = os.readlink(published), snapshot(published)
    kill(world, pattern, "base")
    if new:
        world.is_mirrored("base")
    else:
        assert (os.readlink(published), snapshot(published)) == before
    world.nothing_temporary()
    run = world.sync()
    assert run.exit == 0, run.stderr
    world.is_mirrored("base")
    nothing_is_left(world)


@pytest.mark.parametrize("switched", [False, True], ids=["before", "after"])
@fault(
    87,
    "the power fails around the switch, and nothing else is on the disk than what was flushed; `tests/crash` lets it "
    "fail at every operation",
    "none; the old generation is published, or the new one, whole; the next run succeeds",
)
def test_fault_087_power_cut(world: World, switched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What root holds at the last flush before the switch is what the disk holds for certain."""
    published, disk, rename = world.root / "base", world.folder / "disk", os.rename
    before = os.readlink(published), {path: entry[3] for path, entry in snapshot(published).items()}

    def flush(_descriptor: int) -> int:
        if os.readlink(published) == before[0]:
            shutil.rmtree(disk, ignore_errors=True)
            subprocess.run(["cp", "-a", str(world.root), str(disk)], check=True)
        return 0

    def switch(source: str, target: str) -> None:
        rename(source, target)
        if switched and target == str(published):
            (disk / "base").unlink()
            (disk / "base").symlink_to(os.readlink(target))

    with monkeypatch.context() as patch:
        patch.setattr(durable, "_syncfs", lambda: flush)
        patch.setattr("os.rename", switch)
        assert world.run("sync", "base", "--quiet").exit == 0
    shutil.rmtree(world.root)
    disk.rename(world.root)
    if switched:
        world.is_mirrored("base")
    else:
        assert (os.readlink(published), {path: entry[3] for path, entry in snapshot(published).items()}) == before
    assert world.sync().exit == 0
    world.is_mirrored("base")
    nothing_is_left(world)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@fault(
    88,
    "SIGTERM, SIGINT or SIGHUP while a package is downloaded",
    "128 + the signal's number; the next run asks for the rest of it by a range",
)
def test_fault_088_ended_by_a_signal(world: World, number: signal.Signals) -> None:
    world.configure(timeout=30)
    body = os.urandom(2 * STALLED_AT)
    href = world.base.put("Packages/own.rpm", body)
    world.base.compose({**world.base.packages, href: body})
    world.server.fault(f"base/{href}", "stall", at=STALLED_AT)
    before = world.served("base")
    run = child_of(world).start("sync", "--quiet")
    until = time.monotonic() + 30
    while not any(size == STALLED_AT for size in incoming(world).values()):
        assert time.monotonic() < until
        assert run.poll() is None
        time.sleep(0.005)
    run.send_signal(number)
    _, said = run.communicate(timeout=10)
    assert run.returncode == 128 + number
    assert said == f"mirrorpy: ended by {number.name}; what was downloaded is kept for the next run\n"
    assert world.served("base") == before
    assert STALLED_AT in incoming(world).values()

    world.server.clear()
    world.server.taken()
    assert world.sync().exit == 0
    (asked,) = (request for request in list(world.server.requests) if request.path == f"base/{href}")
    assert asked.headers["range"] == f"bytes={STALLED_AT}-"
    assert (asked.status, asked.sent) == (206, len(body) - STALLED_AT)
    world.is_mirrored("base")
    nothing_is_left(world)


def incoming(world: World) -> dict[str, int]:
    """The downloads that are under way or left over, and their sizes."""
    folder = world.root / STATE / "incoming/base"
    return {path.name: path.stat().st_size for path in folder.iterdir()}


@fault(
    90,
    "killed runs left downloads, a staged and an unpublished generation, a link, unfinished files of the state and of "
    "the pool",
    "0; all of it is removed",
)
def test_fault_090_stale_temporaries(world: World) -> None:
    own, pool = world.root / STATE / "repos/base", world.root / STATE / "pool"
    some = pool / min(files_below(pool))
    names = ["state.json.new", "staged/Packages/half.rpm", "staged/repodata/repomd.xml", "20370101T000000Z.files"]
    for place in [own / name for name in names] + [world.root / STATE / "incoming/base/sha256-00"]:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"half")
    (own / "link").symlink_to("nowhere")
    shutil.copytree(world.root / "base", world.root / ".base.20370101T000000Z", copy_function=os.link)
    os.link(some, f"{some}.new-1-1")
    (some.parent / f"{some.name}.new-2-2").write_bytes(b"half")
    world.accepted()
    nothing_is_left(world)


@fault(90, "a run was killed between writing a manifest and naming its generation", "0; the manifest is removed")
def test_fault_090_stale_manifest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(world, r"os\.rename .*/staged .*/\.base\.", "base")
    later = time.time() + 3600
    monkeypatch.setattr("mirrorpy.mirror.sync_repository", functools.partial(sync_repository, clock=lambda: later))
    world.accepted()
    nothing_is_left(world)


@pytest.mark.parametrize("names", [["probe"], ["probe", "probe.hard"], ["probe", "probe.hard", "probe.soft"]])
@fault(90, "a run was killed while it probed the filesystem", "0; what it left is removed")
def test_fault_090_stale_probes(world: World, names: list[str]) -> None:
    for name in names:
        (world.root / STATE / "repos/base" / name).write_bytes(b"")
    world.accepted()
    nothing_is_left(world)


@pytest.mark.parametrize(
    "pattern",
    [f"{SWITCH} then .", r"open .*/sweep-owed", r"os\.remove .*/\.base\..*/Packages/", r"os\.remove .*/pool/"],
    ids=["after the switch", "before dropping", "while dropping", "while sweeping"],
)
@fault(
    93,
    "killed between publication and pruning, or while pruning",
    "137; the next run prunes to the end, though upstream did not change",
)
def test_fault_093_killed_before_pruning(world: World, pattern: str) -> None:
    world.configure(top={"keep": 1, "max_parallel_repos": 1})
    kill(world, pattern)
    world.is_mirrored("base")
    run = world.sync()
    assert run.exit == 0, run.stderr
    assert run.repos["base"]["outcome"] == "unchanged"
    (generation,) = world.root.glob(".base.*")
    assert generation.name == os.readlink(world.root / "base")
    world.is_mirrored("base")
    nothing_is_left(world)
