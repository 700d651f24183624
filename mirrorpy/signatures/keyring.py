"""The user's own keys, out of files as rpm and gpg write them: binary or ASCII-armoured, several keys in one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_KEY_FILE = 16 * 1024**2
PUBLIC_KEY = 6
"""The packet that a key begins with (RFC 9580, 5.5.1.1)."""
_ARMOUR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
_BODY = re.compile(rb"[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys in one binary keyring."""

    data: bytes

    @property
    def id(self) -> str:
        """Changes when the keys change."""
        return hashlib.sha256(self.data).hexdigest()[:16]


def load_keyring(files: Sequence[str]) -> Keyring:
    """Read the keys of all files.

    Raises:
        ConfigError: A file cannot be read, or holds no key.
    """
    return Keyring(b"".join(_load(file) for file in files))


def _load(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_KEY_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"gpgkey {name}: cannot be read: {reason}") from error
    keys = data if data[:1] >= b"\x80" else b"".join(map(_dearmour, _ARMOUR.findall(data)))
    if len(data) > MAX_KEY_FILE or not keys or packet_type(keys[0]) != PUBLIC_KEY:
        raise ConfigError(f"gpgkey {name}: holds no public key")
    return keys


def _dearmour(block: bytes) -> bytes:
    """Return what an armoured block holds; the checksum at its end is optional and not looked at (RFC 9580, 6.1)."""
    lines = [line.strip() for line in block.strip(b"\r\n").splitlines()]
    # Headers such as `Version: GnuPG` end with an empty line, which some keys lack when they have none.
    start = next((number for number, line in enumerate(lines) if not line), -1) + 1
    body = b"".join(line for line in lines[start:] if not line.startswith(b"="))
    try:
        return base64.b64decode(body, validate=True) if _BODY.fullmatch(body) else b""
    except binascii.Error:
        return b""


def packet_type(first: int) -> int:
    """Return the type of the packet that begins with this byte (RFC 9580, 4.2)."""
    return first & 0x3F if first & 0x40 else (first & 0x3C) >> 2
