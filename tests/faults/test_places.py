"""Faults 83 to 85: links, FIFOs, devices and folders of others in the way; paths and ids of the configuration."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.listing import faults, snapshot
from tests.integration.test_independent import small_disk
from tests.integration.upstream import sha256

from .catalogue import fault
from .obstacles import make_device, make_fifo, not_hanging, stopped
from .world import STATE, World

# 83: symbolic links


@pytest.mark.parametrize("link", ["Packages", "Packages/kept.rpm", "repodata", "repodata/repomd.xml"])
@fault(83, "a symbolic link appears in the generation that is being staged", "6; it is not followed")
def test_fault_083_link_in_a_stage(world: World, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outside, mkdir = world.folder / "outside", os.mkdir
    outside.mkdir()
    place = world.root / STATE / "repos/base/staged" / link

    def make_and_plant(path: str, mode: int = 0o777) -> None:
        mkdir(path, mode)
        if path == str(place.parent):
            place.symlink_to(outside if place.suffix == "" else outside / "target")

    with monkeypatch.context() as patch:
        patch.setattr("os.mkdir", make_and_plant)
        world.refused(6, link, "File exists")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("link", ["staged", "staged/Packages", "staged/repodata"])
@fault(83, "a symbolic link in a generation that a killed run left unfinished", "0; it is removed and not followed")
def test_fault_083_link_in_a_leftover(world: World, link: str) -> None:
    outside = world.folder / "outside"
    for name in ("Packages", "repodata"):
        (outside / name).mkdir(parents=True)
        (outside / name / "precious").write_text("precious")
    place = world.root / STATE / "repos/base" / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside)
    before = snapshot(outside)
    world.accepted()
    assert snapshot(outside) == before


@fault(83, "a folder above the published path is a link to another disk", "6; it says why, and what to do")
def test_fault_083_parent_on_another_disk(fresh: World) -> None:
    fresh.turn()
    fresh.configure(path="pub/base")
    fresh.root.mkdir()
    with small_disk(fresh.folder / "disk") as disk:
        (fresh.root / "pub").symlink_to(disk)
        stopped(fresh, f"{fresh.root}/pub", "is a symbolic link", "make it a real folder")
        assert list(disk.iterdir()) == []

    (fresh.root / "pub").unlink()
    (fresh.root / "pub").mkdir()
    assert fresh.sync().exit == 0
    assert faults(fresh.root / "pub/base") == []


@fault(83, "root itself is a link to another disk", "0")
def test_fault_083_root_on_another_disk(fresh: World) -> None:
    fresh.turn()
    with small_disk(fresh.folder / "disk") as disk:
        fresh.root.symlink_to(disk)
        fresh.accepted()
        assert (disk / "base").is_symlink()


# 84: FIFOs and devices


@pytest.mark.parametrize("make", [make_fifo, make_device])
@fault(84, "a FIFO or a device at the published path", "6; no hang, and it stays as it is")
def test_fault_084_at_the_published_path(fresh: World, make: Callable[[Path], None]) -> None:
    fresh.turn()
    fresh.root.mkdir()
    make(fresh.root / "base")
    with not_hanging(fresh.root / "base"):
        stopped(fresh, f"{fresh.root}/base is no link of mirrorpy's", "move it away")
    fresh.heal = (fresh.root / "base").unlink


@pytest.mark.parametrize("make", [make_fifo, make_device])
@fault(84, "a FIFO or a device where a download is to be written", "6; no hang, and nothing is written to it")
def test_fault_084_at_a_download(world: World, make: Callable[[Path], None]) -> None:
    body = b"of base alone"
    world.base.compose({**world.base.packages, world.base.put("Packages/own.rpm", body): body})
    place = world.root / STATE / "incoming/base" / f"sha256-{sha256(body)}"
    make(place)
    with not_hanging(place):
        world.refused(6, str(place), "is no regular file")
    place.unlink()


@pytest.mark.parametrize("name", ["state.json", "state.json.new", "weak", "lock", "probe", "*.files"])
@fault(84, "a FIFO in the place of a file of mirrorpy's own state", "0 or 6; no hang")
def test_fault_084_in_the_state(world: World, name: str) -> None:
    folder = world.root / STATE / "repos/base"
    place = next(folder.glob(name), folder / name)
    place.unlink(missing_ok=True)
    make_fifo(place)
    with not_hanging(place):
        run = world.sync()
    assert run.exit in (0, 6), run.stderr
    assert run.exit == 0 or str(place) in world.one_line(run)
    world.is_mirrored("other")
    assert faults(world.root / "base") == []
    place.unlink(missing_ok=True)
    world.heal = world.server.clear


@pytest.mark.parametrize("make", [make_fifo, make_device])
@fault(84, "a FIFO or a device in the place of a published file, or of the pool's", "0; it is replaced")
def test_fault_084_in_the_published_tree(world: World, make: Callable[[Path], None]) -> None:
    published = world.root / "base/Packages/kept.rpm"
    for path in (published, *(world.root / STATE / "pool").rglob(sha256(published.read_bytes()))):
        path.unlink()
        make(path)
    world.accepted()


# 85: what the configuration says


@pytest.mark.parametrize(
    "path", ["../evil", "a/../../evil", "a/..", "/srv/evil", "", ".", "a//b", f"{STATE}/pool", "a/.evil", "a\nb"]
)
@fault(85, "a path with `..`, an absolute, an empty or a hidden one", "2; it names the line, and nothing is done")
def test_fault_085_path(world: World, path: str) -> None:
    misconfigured(world, {"path": path}, "path", repr(path))


@pytest.mark.parametrize("name", ["../evil", "a/b", "/evil", ".evil", "-evil", "evil id", "évil", "ev\nil", ""])
@fault(85, "an id of other characters than `[A-Za-z0-9._:+-]`", "2; it names the line, and nothing is done")
def test_fault_085_id(world: World, name: str) -> None:
    misconfigured(world, {"id": name, "path": "base"}, "id", repr(name))


def misconfigured(world: World, settings: dict[str, Any], key: str, shown: str) -> None:
    """Run everything that needs a configuration, which has to refuse it with file, line and the key's path."""
    before, beside = snapshot(world.root), sorted(world.folder.iterdir())
    world.configure(**settings)
    for command in ("sync", "prune", "status"):
        run = world.run(command)
        assert run.exit == 2
        (line,) = run.stderr.splitlines()
        assert line.isprintable()
        for words in (f"{world.file}:", f"repos[0].{key}", shown):
            assert words in line, line
    assert world.server.taken() == []
    assert snapshot(world.root) == before
    assert sorted(world.folder.iterdir()) == beside
    world.heal = world.configure


@fault(85, "a real folder at the published path", "6; it says `adopt`, and the folder stays as it is")
def test_fault_085_a_real_folder(fresh: World) -> None:
    fresh.turn()
    folder = fresh.root / "base"
    (folder / "Packages").mkdir(parents=True)
    (folder / "Packages/precious.rpm").write_text("precious")
    stopped(fresh, f"{folder} is a real folder", "adopt")
    fresh.heal = lambda: shutil.rmtree(folder)
