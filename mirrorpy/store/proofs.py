"""When each file of a repository was hashed last and found whole; one line each, in whole seconds since the epoch."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from mirrorpy.store.durable import open_regular, translated, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINE = re.compile(r"(\w+:[0-9a-f]+) (\d{1,12})\n", re.ASCII)


def read_proofs(path: str) -> dict[str, int]:
    """Return times by checksum; what is missing or damaged costs a hashing, no more."""
    try:
        with open(open_regular(path), encoding="ascii", errors="replace") as file:
            return {match[1]: int(match[2]) for line in file if (match := _LINE.fullmatch(line))}
    except OSError:
        return {}


def write_proofs(path: str, proofs: Mapping[str, int]) -> None:
    """Write the file durably, unless a sync or another verify beside us takes it away: it only saves work."""
    beside = (
        contextlib.suppress(FileNotFoundError) if os.path.isdir(os.path.dirname(path)) else contextlib.nullcontext()
    )
    with translated("cannot write"), beside:
        write_file(path, "".join(f"{checksum} {seconds}\n" for checksum, seconds in proofs.items()).encode())
