"""Fault 91: filesystems on which generations cannot be made of hard links and switched by a symbolic one."""

import errno
import os

import pytest

from tests.integration.listing import faults

from .catalogue import fault
from .obstacles import elsewhere, stopped
from .world import STATE, World


@pytest.mark.parametrize("how", ["mount", "link", "volume"])
@pytest.mark.parametrize("below", ["", "pool", "incoming", "repos"])
@fault(
    91,
    "mirrorpy's state, or a part of it, is on another filesystem than root, or is a volume of its own",
    "6; told before anything is asked",
)
def test_fault_091_pool_on_another_filesystem(fresh: World, below: str, how: str) -> None:
    fresh.turn()
    with elsewhere(how, fresh.root / STATE / below, fresh.folder / "disk"):
        stopped(fresh, f"{fresh.root / STATE / below}", "hard links cannot cross", all_of=True)
    fresh.heal = fresh.server.clear


@pytest.mark.parametrize("how", ["mount", "volume"])
@fault(
    91,
    "a published path's folder is on another filesystem than root, or is a volume of its own",
    "6; told before anything is asked",
)
def test_fault_091_path_on_another_filesystem(fresh: World, how: str) -> None:
    fresh.turn()
    fresh.configure(path="pub/base")
    place = fresh.root / "pub"
    with elsewhere(how, place, fresh.folder / "disk"):
        stopped(fresh, str(place), "hard links cannot cross", "one root is one filesystem")
        assert list(place.iterdir()) == []
    assert fresh.sync().exit == 0
    assert faults(fresh.root / "pub/base") == []


@pytest.mark.parametrize(("call", "words"), [("link", "hard links"), ("symlink", "symbolic links")])
@fault(91, "a filesystem without hard links, or without symbolic links", "6; told before anything is asked")
def test_fault_091_no_links(fresh: World, call: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel here has no filesystem without links, as vfat is, so the calls refuse as they would there."""

    def refuse(source: str, target: str, **_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    fresh.turn()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        message = stopped(fresh, str(fresh.root), words, os.strerror(errno.EPERM), all_of=True)
    assert "run as the user" not in message, "no user can link there"
    fresh.heal = fresh.server.clear
