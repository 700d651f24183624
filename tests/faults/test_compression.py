"""Faults 66 to 72: compressed metadata that is damaged, a bomb, or packed in another way than its name says."""

import bz2
import functools
import gzip
import lzma
import zlib
from collections.abc import Callable

import pytest
import zstandard

from .catalogue import fault
from .cost import MIB, refused_cheaply
from .metadata import amend_repomd, primary_text, publish, rewritten
from .world import World

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
PACKINGS = pytest.mark.parametrize("packing", PACK)


def _primary(world: World) -> bytes:
    """What primary unpacks to."""
    return primary_text(world.base).encode()


def _publish_packed(world: World, packed: bytes) -> str:
    """Publish primary as these bytes, with its honest size and checksum when open; returns its href."""
    publish(world.base, {"primary": packed})
    return world.base.record("primary")


# Bombs


@functools.cache
def _spaces(packing: str) -> bytes:
    """16 MiB of them."""
    return PACK[packing](b" " * (16 * MIB))


def _bomb(packing: str, start: bytes, copies: int = 256) -> bytes:
    """A good start, then so many times 16 MiB of spaces: 4 GiB."""
    return PACK[packing](start) + _spaces(packing) * copies


@PACKINGS
@fault(66, "4 GiB in a record of which repomd.xml says 1.6 kB", "4; stopped at that size, within a second and 64 MiB")
def test_fault_066_bomb(world: World, packing: str) -> None:
    primary = _primary(world)
    href = _publish_packed(world, _bomb(packing, primary))
    refused_cheaply(world, href, f"unpacks to more than {len(primary)} bytes", seconds=1, mib=64)


@pytest.mark.parametrize("kind", ["filelists", "modules"])
@fault(
    66,
    "4 GiB in a record that mirrorpy only copies, of which repomd.xml says 6 bytes",
    "4; stopped at that size, within a second and 64 MiB",
)
def test_fault_066_bomb_to_copy(world: World, kind: str) -> None:
    publish(world.base, {kind: _bomb("zst", b"honest")}, **{kind: b"honest"})
    refused_cheaply(world, world.base.record(kind), "unpacks to more than 6 bytes", seconds=1, mib=64)


# gzip cannot do much better than 1,000 times, and is stopped even so.
@pytest.mark.parametrize(("packing", "copies"), [("gz", 16), ("bz2", 64), ("xz", 64), ("zst", 64)])
@fault(66, "a bomb of which repomd.xml says no size", "4; stopped at 1,000 times what was downloaded, or at 64 MiB")
def test_fault_066_bomb_without_size(world: World, packing: str, copies: int) -> None:
    packed = _bomb(packing, _primary(world), copies)
    href = _publish_packed(world, packed)
    amend_repomd(world.base, rewritten("<open-size>[0-9]*</open-size>", ""))
    cap = max(64 * MIB, 1000 * len(packed))
    refused_cheaply(world, href, f"unpacks to more than {cap} bytes", seconds=4, mib=64)


# Damage


@PACKINGS
@pytest.mark.parametrize("left", [0.5, -1, -9], ids=["half", "without the last byte", "without the last 9 bytes"])
@fault(67, "a record that is cut short, as repomd.xml lists it", "4")
def test_fault_067_truncated(world: World, packing: str, left: float) -> None:
    packed = PACK[packing](_primary(world))
    href = _publish_packed(world, packed[: len(packed) // 2 if left == 0.5 else int(left)])
    world.refused(4, href, "compressed metadata")


def _place_of_check(packing: str, packed: bytes) -> int:
    """Where the packed bytes hold a checksum of what they unpack to."""
    if packing == "xz":
        # Before index and footer, whose size the footer tells in words of 4 bytes.
        return len(packed) - 12 - 4 * (int.from_bytes(packed[-8:-4], "little") + 1) - 8
    return {"gz": len(packed) - 8, "bz2": 10, "zst": len(packed) - 4}[packing]


@PACKINGS
@fault(68, "a record with a wrong checksum of its own inside", "4, though all else is right")
def test_fault_068_bad_crc(world: World, packing: str) -> None:
    packed = PACK[packing](_primary(world))
    at = _place_of_check(packing, packed)
    href = _publish_packed(world, packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :])
    world.refused(4, href, "compressed metadata is damaged")


@PACKINGS
@pytest.mark.parametrize("garbage", [b"\0", b"garbage", b"<html></html>" * 100], ids=["NUL", "word", "page"])
@fault(69, "a record with something after its compressed end", "4")
def test_fault_069_trailing_garbage(world: World, packing: str, garbage: bytes) -> None:
    href = _publish_packed(world, PACK[packing](_primary(world)) + garbage)
    world.refused(4, href, "compressed metadata")


# What is right


@PACKINGS
@fault(70, "a record of several gzip members, bzip2 or xz streams, or zstd frames", "0")
def test_fault_070_members(world: World, packing: str) -> None:
    primary = _primary(world)
    parts = [primary[at : at + 500] for at in range(0, len(primary), 500)]
    assert len(parts) > 2
    _publish_packed(world, b"".join(map(PACK[packing], parts)))
    world.accepted()


@pytest.mark.parametrize("packing", ["bz2", "xz", "zst", "none"])
@fault(71, "a `.gz` that is bzip2, xz, zstd, or not compressed", "0; it is read as what it is")
def test_fault_071_magic(world: World, packing: str) -> None:
    primary = _primary(world)
    href = _publish_packed(world, primary if packing == "none" else PACK[packing](primary))
    assert href.endswith(".gz")
    world.accepted()


# Memory


def _zst_with_window(content: bytes, exponent: int) -> bytes:
    """A good frame of one raw block (RFC 8878) that asks for a window of 2 to the power of this many bytes."""
    return (
        b"\x28\xb5\x2f\xfd" + bytes([0, exponent - 10 << 3]) + (1 | len(content) << 3).to_bytes(3, "little") + content
    )


def _xz_with_dictionary(content: bytes, code: int) -> bytes:
    """A good file that asks for the dictionary of this code: 38 is 2 GiB, 40 is 4 GiB."""
    packed = bytearray(lzma.compress(content))
    # Stream header 12 bytes; block header: size, flags, filter id 0x21, length 1, dictionary code, padding, CRC-32.
    assert packed[14] == 0x21
    packed[16] = code
    end = 12 + (packed[12] + 1) * 4 - 4
    packed[end : end + 4] = zlib.crc32(packed[12:end]).to_bytes(4, "little")
    return bytes(packed)


@pytest.mark.parametrize("exponent", [29, 31, 41])
@fault(72, "zstd that asks for a window of 512 MiB, 2 GiB or 2 TiB", "4, within 32 MiB")
def test_fault_072_zst_window(world: World, exponent: int) -> None:
    href = _publish_packed(world, _zst_with_window(_primary(world), exponent))
    refused_cheaply(world, href, "emory", seconds=1, mib=32)


@pytest.mark.parametrize("code", [36, 38, 40])
@fault(72, "xz that asks for a dictionary of 1, 2 or 4 GiB", "4, within 32 MiB")
def test_fault_072_xz_dictionary(world: World, code: int) -> None:
    href = _publish_packed(world, _xz_with_dictionary(_primary(world), code))
    refused_cheaply(world, href, "emory", seconds=1, mib=32)


@pytest.mark.parametrize(
    "packed", [lambda body: _zst_with_window(body, 27), lambda body: _xz_with_dictionary(body, 28)]
)
@fault(72, "what `zstd --long` and `xz -9` ask for, 128 and 64 MiB", "0")
def test_fault_072_ordinary_limits(world: World, packed: Callable[[bytes], bytes]) -> None:
    _publish_packed(world, packed(_primary(world)))
    world.accepted()
