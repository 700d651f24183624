"""What is known of the files that nobody promises: what each was when it was brought, and which are not there."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mirrorpy.store.durable import open_regular, translated, write_file

Size = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Witness(msgspec.Struct, array_like=True, frozen=True):
    """One file as its server described it; all of it can be wrong but for key and size, which are of what came."""

    key: Digest
    """Its SHA-256."""
    size: Size
    base: str
    """The base URL that answered, without secrets."""
    etag: str | None = None
    last_modified: str | None = None


class BesideState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The file `beside` of one repository; losing it costs a download of what it knew."""

    repomd_sha256: str = ""
    """The repomd.xml at whose time `absent` was found out."""
    absent: list[str] = []
    files: dict[str, Witness] = {}
    """By path."""


def read_beside(path: str) -> BesideState:
    """Read the file; an empty state where it is missing or damaged."""
    try:
        with open(open_regular(path), "rb") as file:
            return msgspec.json.decode(file.read(), type=BesideState)
    except (OSError, ValueError, RecursionError):
        return BesideState()


def write_beside(path: str, state: BesideState) -> None:
    """Write the file, durably and in one step.

    Raises:
        LocalError: This machine refuses.
    """
    with translated("cannot write"):
        write_file(path, msgspec.json.encode(state))
