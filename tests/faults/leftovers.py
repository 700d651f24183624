"""What a run may leave behind, and what not."""

from tests.integration.listing import files_below

from .world import STATE, World


def unlinked(world: World) -> list[str]:
    """The pool's files that nothing else is linked to."""
    pool = world.root / STATE / "pool"
    return [name for name in files_below(pool) if (pool / name).stat().st_nlink == 1]


def nothing_is_left(world: World) -> None:
    """Prove that nothing waits to be removed, and that nothing half done is there."""
    state = world.root / STATE
    assert files_below(state / "incoming") == set()
    assert unlinked(world) == []
    assert [name for name in files_below(state / "pool") if ".new-" in name] == []
    manifests = {f"{path.name.removeprefix('.base.')}.files" for path in world.root.glob(".base.*")}
    present = {path.name for path in (state / "repos/base").iterdir()}
    expected = {"lock", "state.json", "beside", *manifests}
    assert present == expected, present ^ expected
    assert {path.name for path in state.iterdir()} == {"pool", "incoming", "repos", "lock"}
    world.nothing_temporary()
