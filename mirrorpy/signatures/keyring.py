"""The user's own keys, out of files as rpm and gpg write them: binary or ASCII-armoured, several keys in one."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import ConfigError
from mirrorpy.signatures.armour import iter_blocks, packet_length, packet_type

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_KEY_FILE = 16 * 1024**2
PUBLIC_KEY = 6
"""The packet that a key begins with (RFC 9580, 5.5.1.1)."""


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
    binary = data[:1] >= b"\x80" and not data.startswith(codecs.BOM_UTF8)
    keys = [data] if binary else list(iter_blocks(data, b"PUBLIC KEY BLOCK"))
    if len(data) > MAX_KEY_FILE or not keys or not all(map(_is_key, keys)):
        raise ConfigError(f"gpgkey {name}: holds no public key, or a damaged one")
    return b"".join(keys)


def _is_key(data: bytes) -> bool:
    """Tell whether these are whole packets, a key's first: gpgv would read a cut one on into the next."""
    at = 0
    while at < len(data):
        at += packet_length(data, at)
    return at == len(data) > 0 and packet_type(data[0]) == PUBLIC_KEY
