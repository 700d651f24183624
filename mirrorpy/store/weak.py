"""Which SHA-256 a repository's md5 and sha1 checksums turned out to be; one line each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.model import Checksum
from mirrorpy.store.durable import open_regular, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_weak(path: str) -> dict[Checksum, Checksum]:
    """Read the file; what is missing or damaged costs a hashing of the published tree, no more."""
    weak: dict[Checksum, Checksum] = {}
    try:
        with open(open_regular(path), encoding="ascii", errors="replace") as file:
            for line in file:
                promised, _, key = line.strip().partition(" ")
                weak[_checksum(promised)] = _checksum(key)
    except (OSError, RepodataError):
        return weak
    return weak


def _checksum(text: str) -> Checksum:
    algorithm, _, value = text.partition(":")
    return Checksum.parse(algorithm, value)


def write_weak(path: str, weak: Mapping[Checksum, Checksum]) -> None:
    """Write the file durably, or drop it where there is nothing to remember."""
    if weak:
        write_file(path, "".join(f"{promised} {key}\n" for promised, key in weak.items()).encode())
    elif os.path.exists(path):
        os.unlink(path)
