"""Manifests: what a generation holds, one line a file, read as a stream.

KIND, RETIRED, SIZE, PROMISED, KEY and PATH, tab-separated; `-` is none. It is an index and no more: a generation
without one is read from its own folder (`tree_entries`).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from typing import TYPE_CHECKING

from mirrorpy.plan import Entry
from mirrorpy.rpmmd.href import INDEX_FILES
from mirrorpy.rpmmd.model import Checksum, Kind
from mirrorpy.store.durable import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEADER = "mirrorpy-files 1\n"
FOOTER = "sha256\t"
"""The last line holds the digest of all before it."""


def write_manifest(path: str, entries: Iterable[Entry]) -> None:
    """Write a manifest; the caller makes it durable with the generation."""
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for line in itertools.chain([HEADER], map(_line, entries)):
            data = line.encode()
            digest.update(data)
            file.write(data)
        file.write(f"{FOOTER}{digest.hexdigest()}\n".encode())


def is_whole(path: str) -> bool:
    """Tell whether a manifest is there, byte for byte as it was written."""
    digest, length = hashlib.sha256(), len(FOOTER) + 65
    try:
        with open(open_regular(path), "rb") as file:
            left = os.fstat(file.fileno()).st_size - length
            while left > 0 and (block := file.read(min(left, 1024 * 1024))):
                digest.update(block)
                left -= len(block)
            return left == 0 and file.read() == f"{FOOTER}{digest.hexdigest()}\n".encode()
    except OSError:
        return False


def _line(entry: Entry) -> str:
    retired = "-" if entry.retired is None else entry.retired
    return f"{entry.kind.value}\t{retired}\t{entry.size}\t{entry.promised or '-'}\t{entry.key or '-'}\t{entry.path}\n"


def read_manifest(path: str) -> Iterator[Entry]:
    """Yield a manifest's entries.

    Raises:
        ValueError: It is not one, or is cut short.
        OSError: It cannot be read.
    """
    kinds = {kind.value: kind for kind in Kind}
    with open(path, encoding="utf-8", newline="\n") as file:
        if file.readline() != HEADER:
            raise ValueError(f"{path} is no manifest")
        for line in file:
            if line.startswith(FOOTER):
                return
            kind, retired, size, promised, key, name = line[:-1].split("\t")
            checksum = _checksum(promised)
            yield Entry(
                name,
                int(size),
                kinds.get(kind) or Kind(kind),
                checksum,
                checksum if key == promised else _checksum(key),
                None if retired == "-" else int(retired),
            )
    raise ValueError(f"{path} is cut short")


def _checksum(text: str) -> Checksum | None:
    algorithm, _, value = text.partition(":")
    return Checksum(algorithm, value) if value else None


def tree_entries(folder: str) -> Iterator[Entry]:
    """Yield the files of a generation whose manifest is lost, as far as the folder itself tells.

    What is ours is linked from the pool too, or is an index file; other files are somebody else's.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            full = os.path.join(parent, name)
            info = os.lstat(full)
            path = os.path.relpath(full, folder)
            index = path in INDEX_FILES
            if stat.S_ISREG(info.st_mode) and (index or info.st_nlink > 1):
                yield Entry(path, info.st_size, Kind.INDEX if index else _guess(path), None, None)


def _guess(path: str) -> Kind:
    if path.startswith("repodata/"):
        return Kind.RECORD
    return Kind.DELTA if path.endswith(".drpm") else Kind.PACKAGE
