"""When a signature was made, as it says itself; enough to see that it is older than what it should sign."""

from __future__ import annotations

import base64
import binascii
import re

from mirrorpy.signatures.keyring import packet_type

SIGNATURE = 2
CREATED = 2
"""The subpacket with the time (RFC 9580, 5.2.3.11)."""
_ARMOUR = re.compile(
    rb"-----BEGIN PGP SIGNATURE-----\r?\n(?:[^\r\n]+: [^\r\n]*\r?\n)*\r?\n"
    rb"([A-Za-z0-9+/=\s]*?)\s*(?:\n=[^\n]*)?\s*-----END"
)


def signed_at(signature: bytes) -> int | None:
    """Return seconds since the epoch; None of what is no OpenPGP signature."""
    armoured = _ARMOUR.search(signature)
    try:
        data = base64.b64decode(re.sub(rb"\s", b"", armoured[1])) if armoured else signature
        return _created(data)
    except (binascii.Error, IndexError):
        return None


def _created(data: bytes) -> int | None:
    if not data or data[0] < 0x80 or packet_type(data[0]) != SIGNATURE:
        return None
    body = data[_header_length(data) :]
    if body[0] in (2, 3):
        return int.from_bytes(body[3:7], "big")
    wide = 4 if body[0] == 6 else 2
    hashed = body[4 + wide : 4 + wide + int.from_bytes(body[4 : 4 + wide], "big")]
    while hashed:
        length, skip = (hashed[0], 1) if hashed[0] < 192 else ((hashed[0] - 192 << 8) + hashed[1] + 192, 2)
        if hashed[0] == 255:
            length, skip = int.from_bytes(hashed[1:5], "big"), 5
        if hashed[skip] & 0x7F == CREATED:
            return int.from_bytes(hashed[skip + 1 : skip + 5], "big")
        hashed = hashed[skip + length :]
    return None


def _header_length(data: bytes) -> int:
    """Return the bytes before a packet's body (RFC 9580, 4.2)."""
    if data[0] & 0x40:
        return 2 if data[1] < 192 else 3 if data[1] < 224 else 6
    return (2, 3, 5, 1)[data[0] & 3]
