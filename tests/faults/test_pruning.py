"""Faults 96 to 100: what may be removed, when, and what never."""

import functools
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from mirrorpy.sync.story import sync_repository
from tests.integration.installation import Mirror
from tests.integration.listing import faults, files_below, listing_of, snapshot
from tests.integration.upstream import build_rpm, sha256

from .catalogue import fault
from .leftovers import unlinked
from .obstacles import bound
from .world import STATE, World

OWN, SHARED = "Packages/own.rpm", "Packages/shared.rpm"


@pytest.fixture
def aged(fresh: World) -> World:
    """A world with three generations of `base`, of which the next run is to keep one."""
    fresh.configure(keep=3)
    for _ in range(3):
        fresh.turn()
        assert fresh.run("sync", "--quiet").exit == 0
    fresh.configure(keep=1)
    fresh.server.taken()
    return fresh


def generations(world: World) -> list[Path]:
    """The generations of `base`, the oldest first."""
    return sorted(world.root.glob(".base.*Z"))


def bring_own(world: World) -> str:
    """Publish a package that no other repository has; returns its digest."""
    body = b"of base alone" * 100
    world.base.compose({**world.base.packages, world.base.put(OWN, body): body})
    return sha256(body)


@fault(
    96,
    "files and folders of others: beside what is published, in generations that are dropped, in .mirrorpy",
    "0; they are untouched, whatever they are called",
)
def test_fault_096_files_of_others(aged: World) -> None:
    oldest, published = generations(aged)[0], generations(aged)[-1]
    places = [
        aged.root / name for name in ("NOTES", ".base", ".base.backup/x", ".base.2020/x", "base.20200101T000000Z/x")
    ]
    places += [oldest / "NOTES", oldest / "Packages/mine.rpm", oldest / "mine/deep/x", published / "NOTES"]
    places += [aged.root / STATE / name for name in ("NOTES", "repos/base/NOTES", "repos/mine/x")]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("precious")
    (oldest / "link").symlink_to(aged.root / "NOTES")
    before = {place: place.stat().st_mtime_ns for place in places}
    assert aged.run("prune").exit == 0
    aged.turn()
    assert aged.sync().exit == 0
    assert {place: place.stat().st_mtime_ns for place in places if place.read_text() == "precious"} == before
    assert (oldest / "link").is_symlink()
    assert files_below(oldest) == {"NOTES", "Packages/mine.rpm", "mine/deep/x", "link"}
    assert unlinked(aged) == []
    assert faults(aged.root / "base") == []


@pytest.mark.parametrize("name", ["NOTES", "sha256/NOTES", "sha256/ab/NOTES"])
@fault(96, "a file of somebody else in the pool's folder", "0; it is untouched")
def test_fault_096_a_file_in_the_pool(aged: World, name: str) -> None:
    place = aged.root / STATE / "pool" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("precious")
    assert aged.run("prune").exit == 0
    assert place.read_text() == "precious"


@fault(
    96,
    "a folder of an old generation was moved to another disk, and a link to it left in its place",
    "0; the generation is dropped, what the link leads to is untouched",
)
def test_fault_096_a_folder_behind_a_link(aged: World) -> None:
    oldest, elsewhere = generations(aged)[0], aged.folder / "elsewhere"
    shutil.move(oldest / "Packages", elsewhere)
    (oldest / "Packages").symlink_to(elsewhere)
    before = snapshot(elsewhere)
    assert aged.run("prune").exit == 0
    assert not (oldest / "repodata").exists()
    assert snapshot(elsewhere).keys() == before.keys()


@pytest.mark.parametrize(
    ("name", "parameters", "status"), [("status", {"code": 404}, 3), ("reset", {"at": 5}, 3), ("wrong", {}, 4)]
)
@fault(97, "one file cannot be had, while older generations are to be dropped", "3 or 4; nothing is dropped")
def test_fault_097_a_failure_prunes_nothing(aged: World, name: str, parameters: dict[str, int], status: int) -> None:
    bring_own(aged)
    aged.server.fault(f"base/{OWN}", name, **parameters)
    before = generations(aged)
    aged.refused(status, OWN)
    assert generations(aged) == before
    assert len(before) == 3


def everything(folder: Path) -> dict[str, tuple[int, ...]]:
    """All that a write below a folder would change; {} where there is none."""
    paths = [folder, *folder.rglob("*")] if folder.exists() else []
    infos = {str(path): path.lstat() for path in paths}
    return {path: (info.st_ino, info.st_mode, info.st_nlink, info.st_ctime_ns) for path, info in infos.items()}


def rehearse(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Run `sync --dry-run`, which has to go well and to leave nothing anywhere; returns the report of `base`."""
    spool = world.folder / "spool"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    before = everything(world.root)
    run = world.sync("--dry-run")
    assert run.exit == 0, run.stderr
    assert everything(world.root) == before
    assert list(spool.iterdir()) == []
    assert [path for path in world.server.taken() if path.endswith(".rpm")] == []
    assert run.repos["base"]["outcome"] == "planned"
    return run.repos["base"]


@fault(98, "`sync --dry-run`, while there is much to download, to retire and to prune", "0; nothing at all is written")
def test_fault_098_a_dry_run_writes_nothing(aged: World, monkeypatch: pytest.MonkeyPatch) -> None:
    aged.turn()
    bring_own(aged)
    report = rehearse(aged, monkeypatch)
    assert report["downloaded"] != {"files": 0, "bytes": 0, "metadata_bytes": 0}
    assert report["retired"] != {"files": 0, "bytes": 0}
    assert report["pruned"] != {"files": 0, "bytes": 0}
    aged.heal = aged.server.clear


@fault(98, "`sync --dry-run` with a read-only root", "0")
def test_fault_098_a_dry_run_may_be_read_only(aged: World, monkeypatch: pytest.MonkeyPatch) -> None:
    aged.turn()
    with bound(aged.root, aged.root, "-o", "ro"):
        with pytest.raises(OSError, match="Read-only"):
            (aged.root / "NOTES").touch()
        rehearse(aged, monkeypatch)


@fault(98, "`sync --dry-run` before anything was mirrored", "0; root is not made")
def test_fault_098_a_dry_run_makes_no_root(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh.turn()
    rehearse(fresh, monkeypatch)
    assert not fresh.root.exists()


def publish_in_the_past(world: World, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let upstream change and be mirrored so many hours ago."""
    then = time.time() - hours * 3600
    with monkeypatch.context() as patch:
        patch.setattr("mirrorpy.mirror.sync_repository", functools.partial(sync_repository, clock=lambda: then))
        world.turn()
        assert world.sync().exit == 0


@pytest.mark.parametrize("command", ["prune", "sync"])
@pytest.mark.parametrize(
    ("grace", "hours", "packages", "records"),
    [("48h", 47, True, True), ("48h", 49, False, True), ("0h", 1, False, True), ("48h", 73, False, False)],
)
@fault(
    99,
    "a client holds the metadata of a state that upstream has replaced",
    "0; the packages that it names are there until `grace` is over, its records for 72 hours",
)
def test_fault_099_a_client_with_old_metadata(
    fresh: World, command: str, grace: str, hours: int, packages: bool, records: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = fresh.root / "base"
    fresh.configure(grace=grace, keep=1)
    publish_in_the_past(fresh, hours + 1, monkeypatch)
    held = listing_of(published)
    publish_in_the_past(fresh, hours, monkeypatch)
    assert fresh.run(command).exit == 0
    present = listing_of(published).hrefs
    for promises, kept in ((held.packages, packages), (held.records, records)):
        dropped = [promise for promise in promises if promise.href not in present]
        assert dropped
        for promise in dropped:
            file = published / promise.href
            assert file.exists() == kept, promise
            assert not kept or promise.fault(file.read_bytes()) is None


@fault(100, "two repositories have the same file, and one drops it", "0; it stays until the other drops it too")
def test_fault_100_a_shared_file(fresh: World) -> None:
    fresh.configure(top={"keep": 1})
    body = build_rpm("shared")
    fresh.turn()
    for source in (fresh.base, fresh.other):
        source.compose({**source.packages, source.put(SHARED, body): body})
    assert fresh.sync().exit == 0
    assert os.path.samefile(fresh.root / "base" / SHARED, fresh.root / "other" / SHARED)
    for source, stays in ((fresh.base, True), (fresh.other, False)):
        source.compose(source.packages)
        assert fresh.sync().exit == 0
        assert fresh.run("prune").exit == 0
        assert any(name.endswith(sha256(body)) for name in fresh.pool()) == stays
        assert (fresh.root / "other" / SHARED).exists() == stays
        assert faults(fresh.root / "base") == faults(fresh.root / "other") == []
    assert unlinked(fresh) == []


@fault(
    100,
    "`prune` beside a sync that is about to use a file of the pool which no generation has",
    "0; it leaves the pool alone and says so; the sync does not miss the file",
)
def test_fault_100_prune_beside_a_sync(aged: World) -> None:
    body = build_rpm("orphan")
    orphan = aged.root / STATE / "pool/sha256" / sha256(body)[:2] / sha256(body)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(body)
    aged.turn()
    aged.base.packages["Packages/orphan.rpm"] = body
    bring_own(aged)
    pruning = Mirror(aged.folder / "pruning")
    pruning.config = aged.file
    said = []
    aged.configure(keep=1, timeout=30)
    aged.server.when(f"base/{aged.base.record('primary')}", lambda: said.append(pruning.run("prune", "--json")))
    aged.accepted()
    (done,) = said
    assert done.returncode == 0, done.stderr
    left = json.loads(done.stdout)["left"]
    assert any(line.startswith("the pool: a sync is under way") for line in left)
    assert "left alone: the pool" in done.stderr
    assert "base/Packages/orphan.rpm" not in aged.server.taken()
    assert (aged.root / "base/Packages/orphan.rpm").read_bytes() == body
