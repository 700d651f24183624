"""Faults 37, 42 to 45, 54 and 55: an upstream that changes meanwhile, goes back, stands still, or lacks files."""

import json
import time
from collections.abc import Callable

import pytest

from tests.integration.listing import REPOMD, faults
from tests.integration.upstream import FIRST_REVISION, SECONDS_BETWEEN, build_rpm

from .catalogue import fault
from .metadata import PRIMARY_PATH, REPOMD_PATH, amend_repomd, replaced, rewritten, show
from .world import World

YEAR = 365 * 86400


@fault(37, "primary is 404", "3; repomd.xml was read once more, and is the same")
def test_fault_037_primary_is_gone(world: World) -> None:
    href = world.base.record("primary")
    world.server.fault(f"base/{href}", "status", code=404)
    world.refused(3, f"{world.server.url}base/{href}", "HTTP 404")
    assert world.server.taken().count(REPOMD_PATH) == 2


@fault(42, "upstream publishes during the run, and a package is gone", "0; started again, with what came kept")
def test_fault_042_keeps_what_came(world: World) -> None:
    steady, going, coming = (f"Packages/{name}.rpm" for name in ("steady", "going", "coming"))
    world.configure(top={"max_parallel_downloads": 1})
    show(world.base, _packages("kept", "steady", "going"))

    def publish() -> None:
        world.base.remove(going)
        show(world.base, _packages("kept", "steady", "coming"))

    world.server.when(f"base/{steady}", publish)
    world.accepted()
    asked = world.server.taken()
    assert asked.index(f"base/{steady}") < asked.index(f"base/{going}") < asked.index(f"base/{coming}")
    assert asked.count(f"base/{steady}") == 1


@pytest.mark.parametrize("times", [1, 2, 3])
@fault(42, "upstream publishes up to three times during the run, and files are gone", "0; the last state is published")
def test_fault_042_three_restarts(world: World, times: int) -> None:
    for nth in range(1, times + 1):
        world.server.when(PRIMARY_PATH, world.base.turn, nth)
    world.accepted()
    assert world.base.publications == 2 + times


@fault(
    42, "upstream publishes during each of four attempts, and files are gone", "3; says that upstream keeps changing"
)
def test_fault_042_never_still(world: World) -> None:
    for nth in range(1, 5):
        world.server.when(PRIMARY_PATH, world.base.turn, nth)
    world.refused(3, f"{world.server.url}base/", "upstream changed under 4 attempts", "run again")
    assert world.base.publications == 6


@fault(
    42, "upstream publishes during the run, and nothing is gone", "0; the state that the run began with is published"
)
def test_fault_042_nothing_is_gone(world: World) -> None:
    repodata = world.base.folder / "repodata"
    records = {path.name: path.read_bytes() for path in repodata.iterdir()}
    began = records["repomd.xml"]
    later = {"Packages/later.rpm": build_rpm("later")}

    def publish() -> None:
        show(world.base, world.base.packages | later)
        for name in records.keys() - {path.name for path in repodata.iterdir()}:
            (repodata / name).write_bytes(records[name])

    world.server.when(f"base/{world.base.new()}", publish)
    run = world.sync()
    assert (run.exit, run.stderr, run.repos["base"]["outcome"]) == (0, "", "updated")
    assert (world.root / "base" / REPOMD).read_bytes() == began
    assert faults(world.root / "base") == []
    world.accepted()
    assert (world.root / "base/Packages/later.rpm").is_file()


@fault(43, "a repomd.xml older than the published one", "0; not taken: unchanged, with a warning")
def test_fault_043_goes_backwards(world: World) -> None:
    _go_to(world, FIRST_REVISION)
    before = world.served("base")
    world.accepted("is older than what is published", f"{world.server.url}base/", outcome="unchanged")
    assert world.served("base") == before
    world.is_mirrored("other")


@fault(43, "a repomd.xml older than the published one, with --allow-rollback", "0; the older state is published")
def test_fault_043_allowed(world: World) -> None:
    _go_to(world, FIRST_REVISION)
    world.accepted(args=("--allow-rollback",))
    world.accepted(outcome="unchanged")


@fault(
    44, "an upstream that has not changed for longer than max_age", "0; a warning, also in `status`, until it changes"
)
def test_fault_044_too_old(world: World) -> None:
    world.configure(max_age="7d")
    age = "upstream has not changed for"
    world.accepted(age, "days, longer than max_age")
    for _ in range(2):
        assert age in world.run("status", "base").stdout
        assert age in json.loads(world.run("status", "base", "--json").stdout)["repos"][0]["warnings"][0]
        world.accepted(age, outcome="unchanged")
    _go_to(world, time.time() - 86400)
    world.accepted()
    assert age not in world.run("status", "base").stdout


@pytest.mark.parametrize(
    "lie",
    [
        lambda world: _go_to(world, time.time() + 10 * YEAR),
        lambda world: _say(world, str(10**11 - 1)),
        lambda world: _say(world, str(10**30)),
    ],
    ids=["in ten years", "in the year 5138", "at the end of time"],
)
@fault(
    45, "a timestamp in the future, then an honest one", "0; both are published: the first is not taken for the newest"
)
def test_fault_045_future(world: World, lie: Callable[[World], None]) -> None:
    honest = world.base.revision
    lie(world)
    world.accepted()
    _go_to(world, honest + SECONDS_BETWEEN)
    world.accepted()


@fault(54, "an updateinfo that repomd.xml lists is 404", "3; repomd.xml was read once more, and is the same")
def test_fault_054_record_is_gone(world: World) -> None:
    world.base.turn(updateinfo=b"<updates/>")
    href = world.base.record("updateinfo")
    world.server.fault(f"base/{href}", "status", code=404)
    world.refused(3, f"{world.server.url}base/{href}", "HTTP 404")
    assert world.server.taken().count(REPOMD_PATH) == 2


@fault(55, "a package of the same name with another checksum", "0; the new one comes with its repomd.xml, not before")
def test_fault_055_package_is_swapped(world: World) -> None:
    published, generation = world.root / "base", (world.root / "base").resolve()
    hrefs = ("Packages/changed.rpm", REPOMD)
    before, after = ([(folder / href).read_bytes() for href in hrefs] for folder in (published, world.base.folder))
    seen: list[list[bytes]] = []
    world.server.when(f"base/{hrefs[0]}", lambda: seen.append([(published / href).read_bytes() for href in hrefs]))
    world.accepted()
    assert seen == [before]
    assert [(published / href).read_bytes() for href in hrefs] == after
    assert [(generation / href).read_bytes() for href in hrefs] == before, "for who still reads there"


@fault(55, "records whose names hold no checksum, changed under their names", "0; they come with their repomd.xml")
def test_fault_055_unnamed_records_are_swapped(world: World) -> None:
    for _ in range(2):
        world.base.turn()
        for path in (world.base.folder / "repodata").glob("*-*.xml.gz"):
            path.rename(path.with_name(path.name.partition("-")[2]))
        amend_repomd(world.base, rewritten('href="repodata/[0-9a-f]{64}-', 'href="repodata/'))
        world.accepted()
    names = {path.name for path in (world.root / "base/repodata").iterdir()}
    assert {"primary.xml.gz", "filelists.xml.gz", "other.xml.gz", "repomd.xml"} <= names


def _packages(*names: str) -> dict[str, bytes]:
    return {f"Packages/{name}.rpm": build_rpm(name) for name in names}


def _go_to(world: World, revision: float) -> None:
    """Let base publish as if it were some time; the publication counts the minutes."""
    world.base.publications = int(revision - FIRST_REVISION) // SECONDS_BETWEEN - 1
    world.base.turn()


def _say(world: World, when: str) -> None:
    """Let base give its newest state another time."""
    honest = str(world.base.revision)
    amend_repomd(world.base, replaced(honest, when))
