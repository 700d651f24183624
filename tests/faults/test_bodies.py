"""Faults 9 to 14: bodies too short, too long, of another length than promised, and badly chunked."""

import pytest

from tests.integration.listing import REPOMD
from tests.integration.upstream import sha256

from .catalogue import fault
from .wire import FILES, SIGNATURE, TARGETS, apart, asked, href_of, size_of, within
from .world import RETRIES, STATE, World

__all__ = ["apart"]
MIB = 1 << 20
BUFFERS = 12 * MIB
"""What the two systems may hold of a body that the client does not read."""


def is_resumed(world: World, href: str, at: int) -> None:
    """Prove that a body that broke after so many bytes went on there, with a range."""
    first, second = asked(world.server, href)
    assert (first.status, first.sent) == (200, at)
    assert (second.status, second.headers["range"]) == (206, f"bytes={at}-")
    assert first.sent + second.sent == size_of(world, href)


def nothing_is_kept(world: World, href: str) -> None:
    """Prove that nothing of a file was kept for resuming."""
    incoming = world.root / STATE / "incoming/base"
    digest = sha256((world.base.folder / href).read_bytes())
    assert not [path for path in incoming.iterdir() if digest in path.name]


# Too short


@pytest.mark.parametrize("target", FILES)
@fault(9, "a package or record ends before its Content-Length, once", "0; resumed where it ended")
def test_fault_009_short_body(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "short", at=200, times=1)
    world.accepted()
    is_resumed(world, href, 200)


@fault(9, "repomd.xml ends before its Content-Length, once", "0; asked again")
def test_fault_009_short_repomd(world: World) -> None:
    world.server.fault(f"base/{REPOMD}", "short", at=200, times=1)
    world.accepted()
    assert [request.status for request in asked(world.server, REPOMD)][:2] == [200, 200]


@pytest.mark.parametrize("target", TARGETS)
@fault(9, "a body ends before its Content-Length, each time", "3; after `retries`")
def test_fault_009_always_short(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "short", at=20)
    world.refused(3, f"base/{href}", "closed")
    assert len(asked(world.server, href)) == 1 + RETRIES


@pytest.mark.parametrize("target", FILES)
@fault(10, "no Content-Length, and the connection is closed too early, once", "0; told by the size, and resumed")
def test_fault_010_cut(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "cut", at=200, times=1)
    world.accepted()
    is_resumed(world, href, 200)


@pytest.mark.parametrize("target", FILES)
@fault(10, "no Content-Length, and the connection is closed too early, each time", "3; told by the size")
def test_fault_010_always_cut(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "cut", at=20)
    world.refused(3, f"base/{href}", f"60 of {size_of(world, href)} bytes")


@fault(10, "repomd.xml without Content-Length, closed too early", "4; it is no XML")
def test_fault_010_cut_repomd(world: World) -> None:
    world.server.fault(f"base/{REPOMD}", "cut", at=200)
    world.refused(4, f"base/{REPOMD}", "line 2")


# Too long


@pytest.mark.parametrize("target", FILES)
@fault(11, "a package or record without Content-Length has bytes too many", "4; stopped at the promised size")
def test_fault_011_too_long(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "long", extra=1, without_length=True)
    world.refused(4, f"base/{href}", f"longer than the promised {size_of(world, href)} bytes")
    nothing_is_kept(world, href)
    assert len(asked(world.server, href)) == 1


@pytest.mark.parametrize("target", FILES)
@fault(11, "the body of a package or record never ends", "4; stopped at the promised size")
def test_fault_011_endless(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "endless")
    with within(5):
        world.refused(4, f"base/{href}", f"longer than the promised {size_of(world, href)} bytes")
    nothing_is_kept(world, href)
    (request,) = asked(world.server, href)
    assert request.sent < BUFFERS


@pytest.mark.parametrize("target", TARGETS)
@fault(11, "bytes follow after the Content-Length", "0; they are not read")
def test_fault_011_beyond_content_length(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "long", extra=1000, times=1)
    world.accepted()


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("target", FILES)
@fault(12, "Content-Length is not the size that the metadata promises", "4; not tried again")
def test_fault_012_other_length(world: World, target: str, by: int) -> None:
    href = href_of(world, target)
    size = size_of(world, href)
    world.server.fault(f"base/{href}", "wrong-length", by=by)
    world.refused(4, f"base/{href}", f"{size + by} bytes", f"promised {size}")
    assert len(asked(world.server, href)) == 1


@fault(12, "Content-Length is much more than the metadata promises", "4; its body is not read")
def test_fault_012_large(world: World) -> None:
    href = world.base.new()
    world.server.fault(f"base/{href}", "content", data=bytes(4 * BUFFERS))
    with within(5):
        world.refused(4, f"base/{href}", f"{4 * BUFFERS} bytes", f"promised {size_of(world, href)}")
    nothing_is_kept(world, href)
    (request,) = asked(world.server, href)
    assert request.sent < BUFFERS


@fault(13, "repomd.xml never ends", "4; stopped at 16 MiB")
def test_fault_013_endless_repomd(world: World) -> None:
    world.server.fault(f"base/{REPOMD}", "endless")
    with within(5):
        world.refused(4, f"base/{REPOMD}", f"larger than {16 * MIB} bytes")
    (request,) = asked(world.server, REPOMD)
    assert 16 * MIB < request.sent < 16 * MIB + BUFFERS


@pytest.mark.parametrize("href", [SIGNATURE, f"{REPOMD}.key"])
@fault(13, "repomd.xml.asc or .key never ends", "4; stopped at 64 KiB")
def test_fault_013_endless_signature(world: World, href: str) -> None:
    for name in (SIGNATURE, f"{REPOMD}.key"):
        world.base.put(name, b"-----BEGIN PGP")
    world.server.fault(f"base/{href}", "endless")
    with within(5):
        world.refused(4, f"base/{href}", "larger than 65536 bytes")
    (request,) = asked(world.server, href)
    assert request.sent < BUFFERS


# Chunks


@pytest.mark.parametrize("name", ["bad-chunk", "truncated-chunk"])
@pytest.mark.parametrize("target", FILES)
@fault(14, "chunks of a package or record are garbage, or end too early, once", "0; resumed")
def test_fault_014_bad_chunks(world: World, target: str, name: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", name, at=200, times=1)
    world.accepted()
    is_resumed(world, href, 200)


@pytest.mark.parametrize("name", ["bad-chunk", "truncated-chunk"])
@fault(14, "chunks of repomd.xml are garbage, or end too early, once", "0; asked again")
def test_fault_014_bad_chunks_of_repomd(world: World, name: str) -> None:
    world.server.fault(f"base/{REPOMD}", name, times=1)
    world.accepted()
    assert len(asked(world.server, REPOMD)) >= 2


@pytest.mark.parametrize("name", ["bad-chunk", "truncated-chunk"])
@pytest.mark.parametrize("target", TARGETS)
@fault(14, "chunks are garbage, or end too early, each time", "3; after `retries`")
def test_fault_014_always_bad_chunks(world: World, target: str, name: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", name, at=20)
    world.refused(3, f"base/{href}", "connection failed")
    assert len(asked(world.server, href)) == 1 + RETRIES
