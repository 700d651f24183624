"""Faults 89, 92, 94 and 95: what is published is durable, whole, and of one state, for every reader at every moment."""

import errno
import os
from collections.abc import Callable

import pytest

from tests.integration.installation import Mirror
from tests.integration.listing import REPOMD, snapshot
from tests.integration.test_publication import Churn, Reader, publisher, running
from tests.integration.upstream import Upstream, build_rpm
from tests.integration.webserver import Serve

from .catalogue import fault
from .world import STATE, World

ASC = f"{REPOMD}.asc"
SHARED = "Packages/shared.rpm"
READERS, PUBLICATIONS = 4, 30
PAUSE = 0.05
"""Seconds at most between a reader's steps: it begins with one generation and often ends with the next."""


# 89: a disk that cannot flush


def fail_to_flush(world: World, folder: str, times: int) -> Callable[[int], int]:
    """Return a syncfs(2) that fails when it is called for a folder this time."""
    flushed: list[str] = []

    def syncfs(descriptor: int) -> int:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        failing = flushed[-1] == str(world.root / folder) and flushed.count(flushed[-1]) == times
        return -1 if failing else 0

    world.configure(top={"max_parallel_repos": 1})
    return syncfs


@pytest.mark.parametrize("times", [1, 2], ids=["metadata", "packages"])
@fault(89, "the disk cannot flush what was downloaded", "6; nothing is published")
def test_fault_089_flush_of_downloads_fails(world: World, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"of base alone"
    world.base.compose({**world.base.packages, world.base.put("Packages/own.rpm", body): body})
    syncfs = fail_to_flush(world, f"{STATE}/repos/base", times)
    with monkeypatch.context() as patch:
        patch.setattr("mirrorpy.store.durable._syncfs", lambda: syncfs)
        patch.setattr("ctypes.get_errno", lambda: errno.EIO)
        world.refused(6, f"{STATE}/repos/base", os.strerror(errno.EIO))


@fault(89, "the disk cannot flush the new generation's names", "6; the published link stays; the next run succeeds")
def test_fault_089_flush_of_names_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    published = world.root / "base"
    before = os.readlink(published), snapshot(published)
    syncfs = fail_to_flush(world, STATE, 1)
    with monkeypatch.context() as patch:
        patch.setattr("mirrorpy.store.durable._syncfs", lambda: syncfs)
        patch.setattr("ctypes.get_errno", lambda: errno.EIO)
        run = world.sync()
    assert run.exit == 6
    world.one_line(run, str(world.root / STATE), os.strerror(errno.EIO))
    assert (os.readlink(published), snapshot(published)) == before
    world.is_mirrored("other")
    world.nothing_temporary()
    assert world.sync().exit == 0
    world.is_mirrored("base")
    assert sorted(path.name for path in world.root.glob(".base.*")) == [before[0], os.readlink(published)]


@fault(
    89,
    "the folder of the published link cannot be flushed after the switch",
    "6; the new generation is there, whole; the next run goes on from it",
)
def test_fault_089_fsync_of_the_link_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    published = world.root / "base"
    before = os.readlink(published)

    def fsync(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(world.root) and os.readlink(published) != before:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fsync)
        run = world.sync("base")
    assert run.exit == 6
    world.one_line(run, str(world.root), os.strerror(errno.EIO))
    world.is_mirrored("base")
    world.nothing_temporary()
    world.heal = world.server.clear


# 92: readers


@fault(
    92,
    f"{READERS} clients read repomd.xml, then its records, then packages through nginx during {PUBLICATIONS} "
    "publications with grace; 1,000 in `make test-slow`",
    "0; no answer but 200, no byte that is not what the repomd.xml in hand promises",
)
@pytest.mark.usefixtures("as_it_was", "no_waiting_for_disks")
def test_fault_092_readers(
    upstream: Callable[[str], Upstream], nginx: Serve, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.integration.test_publication.PAUSE", PAUSE)
    churn = Churn(upstream("busy"))
    mirror.configure({"id": "busy", "baseurl": churn.upstream.url}, keep=2, grace="1h")
    sync, published = publisher(mirror), mirror.published("busy")
    assert sync() == 0
    server = nginx(mirror.root)
    readers = [Reader(server, published, seed) for seed in range(READERS)]
    with running([*readers]):
        for _ in range(PUBLICATIONS):
            before = published.readlink()
            churn.turn()
            assert sync() == 0
            assert published.readlink() != before
    assert [failure for reader in readers for failure in reader.failures] == []
    assert {request.status for request in server.requests()} == {200}
    assert sum(reader.overtaken for reader in readers) >= PUBLICATIONS // 3, "hardly any reader was in the middle"


# 94: bit rot


@pytest.fixture
def first(fresh: World) -> World:
    """A world whose upstreams have a package in common, and are mirrored."""
    for source in (fresh.base, fresh.other):
        bodies = {f"Packages/{name}.rpm": build_rpm(name) for name in ("shared", source.folder.name)}
        source.packages = {source.put(href, body): body for href, body in bodies.items()}
        source.compose(bodies)
    assert fresh.sync().exit == 0
    assert fresh.run("verify").exit == 0
    fresh.server.taken()
    return fresh


def rot(world: World, href: str) -> bytes:
    """Flip a bit of a file that `base` has published; its size and its time stay. Returns what it holds now."""
    path = world.root / "base" / href
    info, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (info.st_size, info.st_mtime_ns)
    return bytes(content)


@pytest.mark.parametrize("named", [[], ["base"], ["other"]], ids=["all", "base", "other"])
@fault(
    94,
    "a bit of a published file flips, its size and time stay; two repositories have that file",
    "1 by `verify`, which names it in both; `verify --repair` fetches it once, and publishes both anew",
)
def test_fault_094_bit_rot(first: World, named: list[str]) -> None:
    world = first
    damaged = world.root / "base" / SHARED
    assert os.path.samefile(damaged, world.root / "other" / SHARED)
    rotten = rot(world, SHARED)
    found = world.run("verify")
    assert found.exit == 1
    lines = [line for line in found.stdout.splitlines() if SHARED in line]
    assert [line.partition(": checksum: ")[0] for line in lines] == ["base", "other"]
    world.server.taken()

    with damaged.open("rb") as client:
        assert world.run("verify", "--repair", *named).exit == 0
        assert client.read() == rotten, "a file that a client is reading was changed under it"
    assert len([path for path in world.server.taken() if path.endswith(SHARED)]) == 1
    for name in ("base", "other"):
        world.is_mirrored(name)
    assert world.run("verify").exit == 0
    assert os.path.samefile(damaged, world.root / "other" / SHARED)
    world.heal = world.server.clear


@fault(94, "a bit of a published record flips", "1 by `verify`; `verify --repair` fetches it again")
def test_fault_094_bit_rot_of_a_record(first: World) -> None:
    world = first
    record = world.base.record("primary")
    rot(world, record)
    found = world.run("verify")
    assert found.exit == 1
    assert f"base: checksum: {record}" in found.stdout
    assert world.run("verify", "--repair").exit == 0
    world.is_mirrored("base")
    world.heal = world.server.clear


# 95: repomd.xml and its signature


@pytest.mark.parametrize("times", [1, 2])
@fault(
    95,
    "upstream publishes between the requests for repomd.xml and for its signature",
    "0; both are fetched again, and what is published is of one state",
)
def test_fault_095_skew(world: World, times: int) -> None:
    def publish() -> None:
        """Publish other metadata; what was there stays, so that nothing else but the signature tells of it."""
        repodata = world.base.folder / "repodata"
        before = {path.name: path.read_bytes() for path in repodata.iterdir()}
        world.base.compose(world.base.packages, comps=b"<comps>%d</comps>" % world.base.publications)
        for name in before.keys() - {path.name for path in repodata.iterdir()}:
            (repodata / name).write_bytes(before[name])
        world.base.put(ASC, b"signature of " + (world.base.folder / REPOMD).read_bytes())

    publish()
    for nth in range(times):
        world.server.when(f"base/{REPOMD}", publish, nth=2 * nth + 1)
    world.accepted()
    published = world.root / "base"
    assert (published / ASC).read_bytes() == b"signature of " + (published / REPOMD).read_bytes()
    asked = [path.removeprefix("base/repodata/") for path in world.server.taken() if path.startswith(f"base/{REPOMD}")]
    assert asked.count("repomd.xml.asc") == times + 1
