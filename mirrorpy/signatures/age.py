"""When a signature was made, as it says itself; enough to see that it is older than what it should sign."""

from __future__ import annotations

from mirrorpy.signatures.armour import iter_blocks, packet_type

SIGNATURE = 2
CREATED = 2
"""The subpacket with the time (RFC 9580, 5.2.3.11)."""


def signed_at(signature: bytes) -> int | None:
    """Return seconds since the epoch; None of what is no OpenPGP signature."""
    data = signature if signature[:1] >= b"\x80" else next(iter_blocks(signature, b"SIGNATURE"), b"")
    try:
        return _created(data)
    except IndexError:
        return None


def _created(data: bytes) -> int | None:
    if not data or data[0] < 0x80 or packet_type(data[0]) != SIGNATURE:
        return None
    body = data[_header_length(data) :]
    if body[0] in (2, 3):
        return _number(body, 3)
    wide = 4 if body[0] == 6 else 2
    at = 4 + wide
    end = at + int.from_bytes(body[4:at], "big")
    while at < end:
        length, skip = (body[at], 1) if body[at] < 192 else ((body[at] - 192 << 8) + body[at + 1] + 192, 2)
        if body[at] == 255:
            length, skip = _number(body, at + 1), 5
        if length == 0:
            return None
        if body[at + skip] & 0x7F == CREATED:
            return _number(body, at + skip + 1)
        at += skip + length
    return None


def _number(body: bytes, at: int) -> int:
    """Return a number of four bytes.

    Raises:
        IndexError: There are fewer.
    """
    if len(body) < at + 4:
        raise IndexError
    return int.from_bytes(body[at : at + 4], "big")


def _header_length(data: bytes) -> int:
    """Return the bytes before a packet's body (RFC 9580, 4.2)."""
    if data[0] & 0x40:
        return 2 if data[1] < 192 else 3 if data[1] < 224 else 6
    return (2, 3, 5, 1)[data[0] & 3]
