"""Compressed metadata as a bounded stream of what it unpacks to: gz, bz2, xz, zst, or none, told by magic."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING

import zstandard

from mirrorpy.errors import ChecksumMismatch, RepodataError
from mirrorpy.rpmmd.model import MAX_SIZE, Record, new_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

BLOCK = 256 * 1024
MEMORY_LIMIT = 256 * 1024**2
"""Bytes that a decoder may take for its window or dictionary; `xz -9` takes 65 MiB, `zstd --ultra` 128."""
ZSTD_PIECE = 512
MAX_RATIO = 1000
RATIO_FLOOR = 64 * 1024**2
ZCK_MAGIC = b"\0ZCK1"


class _Gzip:
    """A zlib stream with gzip's frame, giving at most a block at a time."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY_LIMIT)


_Decoder = _Gzip | bz2.BZ2Decompressor | lzma.LZMADecompressor
_MEMBERS: tuple[tuple[bytes, Callable[[], _Decoder]], ...] = (
    (b"\x1f\x8b", _Gzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", _xz),
)


def _iter_members(source: BinaryIO, head: bytes, new: Callable[[], _Decoder]) -> Iterator[bytes]:
    """Unpack one member after another; whatever follows the last must be a member too."""
    data = head
    while data:
        member = new()
        while not member.eof:
            if not data and member.needs_input:
                data = source.read(BLOCK)
                if not data:
                    raise RepodataError("compressed metadata ends in the middle")
            yield member.decompress(data, BLOCK)
            data = b""
        data = member.unused_data or source.read(BLOCK)


def _iter_zstd(source: BinaryIO, head: bytes) -> Iterator[bytes]:
    context = zstandard.ZstdDecompressor(max_window_size=MEMORY_LIMIT)
    data = head
    while data:
        frame = context.decompressobj(read_across_frames=False)
        while not frame.eof:
            if not data:
                data = source.read(BLOCK)
                if not data:
                    raise RepodataError("compressed metadata ends in the middle")
            # Four bytes can unpack to 128 KiB, so the piece bounds what one call does.
            piece, data = data[:ZSTD_PIECE], data[ZSTD_PIECE:]
            yield frame.decompress(piece)
        data = frame.unused_data + data or source.read(BLOCK)


def _iter_plain(source: BinaryIO, head: bytes) -> Iterator[bytes]:
    while head:
        yield head
        head = source.read(BLOCK)


def _iter_blocks(source: BinaryIO) -> Iterator[bytes]:
    head = source.read(BLOCK)
    if head.startswith(ZCK_MAGIC):
        raise RepodataError("is zchunk, which is copied but never read")
    try:
        for magic, new in _MEMBERS:
            if head.startswith(magic):
                yield from _iter_members(source, head, new)
                return
        if head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5):
            yield from _iter_zstd(source, head)
        else:
            yield from _iter_plain(source, head)
    except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError, zstandard.ZstdError, MemoryError) as error:
        if "memory" in str(error).lower():
            raise RepodataError(
                f"needs more than {MEMORY_LIMIT // 1024**2} MiB of memory to unpack: {error}"
            ) from error
        raise RepodataError(f"compressed metadata is damaged: {error}") from error


class Decoded:
    """What compressed metadata unpacks to, as a readable stream that stops at its limit.

    Reading raises RepodataError where the data is damaged, cut short, followed by something else, or unpacks to more
    than the limit.
    """

    def __init__(self, source: BinaryIO, limit: int) -> None:
        self._blocks = _iter_blocks(source)
        self._limit = limit
        self._rest = memoryview(b"")
        self.position = 0

    def _next(self) -> memoryview:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                break
            self.position += len(block)
            if self.position > self._limit:
                raise RepodataError(f"unpacks to more than {self._limit} bytes")
            self._rest = memoryview(block)
        return self._rest

    def read(self, size: int, /) -> bytes:
        """Return up to size bytes, fewer where a block ends; none at the end."""
        rest = self._next()
        piece, self._rest = rest[:size], rest[size:]
        return bytes(piece)


def open_decoded(source: BinaryIO, *, size: int, open_size: int | None = None) -> Decoded:
    """Return a stream of what source unpacks to.

    It gives no more than open_size, nor than metadata of this size can hold.
    """
    limit = max(RATIO_FLOOR, min(MAX_SIZE, MAX_RATIO * size))
    return Decoded(source, limit if open_size is None else min(limit, open_size))


class Proof:
    """What a record unpacks to, compared with what repomd promises while somebody reads it."""

    def __init__(self, record: Record, source: BinaryIO, *, size: int, open_size: int | None = None) -> None:
        self._record = record
        self._stream = open_decoded(source, size=size, open_size=open_size)
        self._digest = new_hash(record.open_checksum.algorithm if record.open_checksum else "sha256")
        self._failure: RepodataError | None = None

    def read(self, size: int, /) -> bytes:
        """Return up to size bytes, fewer where a block ends; none at the end."""
        try:
            block = self._stream.read(size)
        except RepodataError as error:
            self._failure = error
            raise
        self._digest.update(block)
        return block

    def conclude(self) -> None:
        """Read to the end, and compare.

        Raises:
            RepodataError: It does not unpack.
            ChecksumMismatch: It unpacks to other bytes.
        """
        if self._failure is not None:
            raise self._failure
        while self.read(BLOCK):
            pass
        record, size = self._record, self._stream.position
        if record.open_size not in (None, size):
            cause = f"unpacks to {size} bytes instead of {record.open_size}"
            raise ChecksumMismatch(cause, href=record.file.href)
        if record.open_checksum is not None and self._digest.hexdigest() != record.open_checksum.value:
            cause = f"unpacks to other bytes than its open-checksum {record.open_checksum} says"
            raise ChecksumMismatch(cause, href=record.file.href)


def verify_open(record: Record, source: BinaryIO, size: int) -> None:
    """Prove that a record unpacks to what repomd promises.

    zchunk is left alone: its plain twin is always there, and its own header says what it holds.

    Raises:
        RepodataError: It does not unpack.
        ChecksumMismatch: It unpacks to other bytes.
    """
    if record.open_checksum is None and record.open_size is None:
        return
    if source.read(len(ZCK_MAGIC)) == ZCK_MAGIC:
        return
    source.seek(0)
    Proof(record, source, size=size, open_size=record.open_size).conclude()
