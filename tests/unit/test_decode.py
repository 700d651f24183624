"""Compressed metadata: every compression, every way of being damaged, and bombs that are stopped in bounded memory."""

import bz2
import gzip
import io
import lzma
import tracemalloc
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zstandard

from mirrorpy.errors import ChecksumMismatch, RepodataError
from mirrorpy.rpmmd.decode import BLOCK, MAX_RATIO, RATIO_FLOOR, Decoded, open_decoded, verify_open
from mirrorpy.rpmmd.model import Checksum, Kind, Record, RemoteFile

from .documents import sha256

TEXT = b"".join(b"<package>%d</package>\n" % number for number in range(3000))
LONG = TEXT * 12  # several blocks, unpacked
NOISE = b"".join(zlib.crc32(b"%d" % number).to_bytes(4, "big") for number in range(150_000))  # several blocks, packed


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def streamed_zst(data: bytes) -> bytes:
    """A frame that does not say how long its content is."""
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return packer.compress(data) + packer.flush()


PACK = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zst,
    "zst streamed": streamed_zst,
}
MIB = 1024**2


def decode(data: bytes, *, size: int | None = None, open_size: int | None = None, step: int = 8192) -> bytes:
    stream = open_decoded(io.BytesIO(data), size=len(data) if size is None else size, open_size=open_size)
    return drained(stream, step)


def drained(stream: Decoded, step: int = 8192) -> bytes:
    """Everything that a stream gives."""
    return b"".join(iter(lambda: stream.read(step), b""))


@pytest.mark.parametrize("content", [b"", b"x", TEXT, LONG, NOISE], ids=["empty", "one", "text", "long", "noise"])
@pytest.mark.parametrize("name", PACK)
def test_every_compression(name, content):
    assert decode(PACK[name](content)) == content
    assert decode(PACK[name](content), open_size=len(content)) == content


@pytest.mark.parametrize("content", [b"", b"<", TEXT, LONG, b"\x1f", b"BZ", b"\xfd7zXZ", b"\x28\xb5\x2f"])
def test_none_at_all(content):
    assert decode(content) == content


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("count", [2, 3, 50])
def test_members_and_frames_one_after_another(name, count):
    data = b"".join(PACK[name](b"%d," % number) for number in range(count))
    assert decode(data) == b"".join(b"%d," % number for number in range(count))


class Pieces:
    """A source whose reads end where a test wants them to."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)

    def read(self, _size: int) -> bytes:
        return next(self._pieces, b"")


@pytest.mark.parametrize("name", PACK)
def test_members_that_end_anywhere_in_a_read(name):
    first, second = PACK[name](LONG), PACK[name](b"second")
    for cut in (len(first) - 1, len(first), len(first) + 1, len(first) - 8, 4100, 6):
        whole = first + second
        assert drained(open_decoded(Pieces(whole[:cut], whole[cut:]), size=len(whole))) == LONG + b"second"


def test_skippable_zst_frames():
    skipped = b"\x5a\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
    assert decode(skipped + zst(TEXT) + skipped + zst(TEXT)) == TEXT * 2


@pytest.mark.parametrize("step", [1, 7, BLOCK + 1])
def test_any_step_of_reading(step):
    assert decode(gzip.compress(TEXT[:5000]), step=step) == TEXT[:5000]


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("content", [TEXT, NOISE], ids=["text", "noise"])
def test_truncated_anywhere(name, content):
    data = PACK[name](content)
    for keep in (len(data) - 1, len(data) - 4, len(data) - 9, len(data) // 2, 20):
        with pytest.raises(RepodataError):
            decode(data[:keep])


@pytest.mark.parametrize("name", PACK)
def test_a_second_member_that_is_truncated(name):
    with pytest.raises(RepodataError):
        decode(PACK[name](TEXT) + PACK[name](TEXT)[:-3])


@pytest.mark.parametrize("name", ["gz", "bz2", "xz", "zst", "zst streamed"])
def test_one_flipped_bit_is_noticed(name):
    """Every format has a check of its own content."""
    packed = PACK[name](TEXT)
    start = len(packed) // 2
    for place in range(start, start + 40):
        data = bytearray(packed)
        data[place] ^= 0x10
        with pytest.raises(RepodataError):
            decode(bytes(data))


def test_a_wrong_crc():
    data = bytearray(gzip.compress(TEXT))
    data[-8] ^= 1
    with pytest.raises(RepodataError, match="damaged"):
        decode(bytes(data))


def test_a_wrong_length_in_gzips_trailer():
    data = bytearray(gzip.compress(TEXT))
    data[-1] ^= 1
    with pytest.raises(RepodataError, match="damaged"):
        decode(bytes(data))


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("garbage", [b"\0", b"garbage", b"<html></html>" * 100])
def test_trailing_garbage(name, garbage):
    with pytest.raises(RepodataError):
        decode(PACK[name](TEXT) + garbage)


def test_the_magic_counts_and_not_the_name():
    """Nothing here knows a name; this states it, for a `.gz` that is zst, and one that is not compressed."""
    for data in (zst(TEXT), TEXT, lzma.compress(TEXT)):
        record = Record("primary", RemoteFile("primary.xml.gz", sha256(data), None, Kind.RECORD), sha256(TEXT), None, 0)
        verify_open(record, io.BytesIO(data), len(data))


def test_zchunk_is_copied_and_never_read():
    with pytest.raises(RepodataError, match="zchunk"):
        decode(b"\0ZCK1" + b"x" * 100)
    record = Record("primary_zck", RemoteFile("p.zck", sha256(b""), None, Kind.RECORD), sha256(b"other"), 99, 0)
    verify_open(record, io.BytesIO(b"\0ZCK1" + b"x" * 100), 105)


# Bombs


@contextmanager
def bounded(mib: int) -> Iterator[None]:
    """Hold the block to so much memory."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < mib * MIB, f"took {peak / MIB:.0f} MiB"


def zeros(pack: str, mib: int) -> bytes:
    """So many MiB of zeros, packed without holding them."""
    if pack == "gz":
        packer = zlib.compressobj(9, wbits=31)
    elif pack == "bz2":
        packer = bz2.BZ2Compressor()
    elif pack == "xz":
        packer = lzma.LZMACompressor(preset=1)
    else:
        packer = zstandard.ZstdCompressor().compressobj()
    block = bytes(MIB)
    return b"".join([packer.compress(block) for _ in range(mib)] + [packer.flush()])


def rle_frame(blocks: int) -> bytes:
    """A zst frame of run-length blocks: 4 bytes each, for 128 KiB; no honest packer writes it."""
    block = ((131072 << 3) | 2).to_bytes(3, "little") + b"a"
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * blocks + (1).to_bytes(3, "little")


BOMBS = {
    "gz": lambda: zeros("gz", 200),
    "bz2": lambda: zeros("bz2", 100),
    "xz": lambda: zeros("xz", 100),
    "zst": lambda: zeros("zst", 300),
    "zst run-length": lambda: rle_frame(8000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_stopped_at_open_size(name):
    data = BOMBS[name]()
    with bounded(64), pytest.raises(RepodataError, match="more than 100000 bytes"):
        decode(data, open_size=100_000)


@pytest.mark.parametrize("name", [name for name in BOMBS if name != "bz2"])
def test_bombs_are_stopped_where_open_size_is_not_known(name):
    """Not bz2's 100 MiB of zeros in 100 bytes a MiB, which a ratio cannot tell from 64 MiB of something honest."""
    data = BOMBS[name]()
    stream = open_decoded(io.BytesIO(data), size=len(data))
    with bounded(64), pytest.raises(RepodataError, match="more than"):
        deque(iter(lambda: stream.read(BLOCK), b""), maxlen=0)
    assert stream.position - max(RATIO_FLOOR, MAX_RATIO * len(data)) < 64 * MIB


def test_honest_ratios_are_not_bombs():
    content = bytes(60 * MIB)
    assert len(decode(gzip.compress(content, 9))) == len(content)


def test_one_byte_more_than_open_size_is_too_much():
    assert decode(gzip.compress(b"abc"), open_size=3) == b"abc"
    with pytest.raises(RepodataError, match="more than 2 bytes"):
        decode(gzip.compress(b"abc"), open_size=2)
    with pytest.raises(RepodataError, match="more than 0 bytes"):
        decode(b"abc", open_size=0)


def test_a_huge_zst_window():
    data = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + (1 | 8 << 3).to_bytes(3, "little") + b"x"
    with bounded(64), pytest.raises(RepodataError, match="needs more than 256 MiB of memory"):
        decode(data)


def test_a_huge_xz_dictionary():
    packed = _xz_with_dictionary(40)
    with bounded(64), pytest.raises(RepodataError, match="needs more than 256 MiB of memory"):
        decode(packed)


def _xz_with_dictionary(bits: int) -> bytes:
    """An xz file whose block header asks for the dictionary of this code (40 is 4 GiB - 1)."""
    packed = bytearray(lzma.compress(b"x" * 1000))
    # Stream header 12 bytes; block header: size, flags, filter id 0x21, length 1, dictionary code, padding, CRC-32.
    assert packed[14] == 0x21
    packed[16] = bits
    length = (packed[12] + 1) * 4
    packed[12 + length - 4 : 12 + length] = zlib.crc32(packed[12 : 12 + length - 4]).to_bytes(4, "little")
    return bytes(packed)


def test_the_largest_ordinary_settings_are_taken():
    assert decode(lzma.compress(TEXT, preset=9 | lzma.PRESET_EXTREME)) == TEXT
    assert decode(zstandard.ZstdCompressor(level=22).compress(TEXT)) == TEXT
    assert decode(_xz_with_dictionary(28)) == b"x" * 1000  # 64 MiB


# open-checksum and open-size


def promise(content: bytes, open_checksum: Checksum | None, open_size: int | None) -> Record:
    return Record("primary", RemoteFile("p", sha256(content), None, Kind.RECORD), open_checksum, open_size, 0)


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize(
    ("open_checksum", "open_size"), [(sha256(TEXT), len(TEXT)), (None, len(TEXT)), (sha256(TEXT), None), (None, None)]
)
def test_verify_open_passes(name, open_checksum, open_size):
    data = PACK[name](TEXT)
    verify_open(promise(data, open_checksum, open_size), io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    ("open_checksum", "open_size", "error", "said"),
    [
        (sha256(b"other"), len(TEXT), ChecksumMismatch, "open-checksum"),
        (sha256(b"other"), None, ChecksumMismatch, "open-checksum"),
        (sha256(TEXT), len(TEXT) + 1, ChecksumMismatch, f"{len(TEXT)} bytes instead of"),
        (None, len(TEXT) + 1, ChecksumMismatch, "bytes instead of"),
        (sha256(TEXT), len(TEXT) - 1, RepodataError, "more than"),
    ],
)
def test_verify_open_refuses(open_checksum, open_size, error, said):
    data = gzip.compress(TEXT)
    with pytest.raises(error, match=said) as raised:
        verify_open(promise(data, open_checksum, open_size), io.BytesIO(data), len(data))
    assert raised.value.exit_status == 4


def test_without_a_promise_nothing_is_unpacked():
    verify_open(promise(b"", None, None), io.BytesIO(b"\x1f\x8bgarbage"), 9)
