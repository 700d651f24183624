"""What is remembered of a repository between runs; all of it can be lost without losing data."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from mirrorpy.figures import LAST_DATE
from mirrorpy.store.durable import is_there, open_regular, translated, write_file

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Time = Annotated[float, msgspec.Meta(ge=0, le=LAST_DATE)]


class RepoState(msgspec.Struct, kw_only=True, omit_defaults=True):
    """state.json of one repository. Times are seconds since the epoch."""

    path: str = ""
    former_paths: list[str] = []
    """Where it was published before its path was changed."""
    fingerprint: str = ""
    upstream: str | None = None
    """The base URL that the published repomd.xml came from."""
    etag: str | None = None
    last_modified: str | None = None
    repomd_sha256: str | None = None
    generation: str | None = None
    revision: str | None = None
    timestamp: Count = 0
    """When upstream made what is published; 0 where that is not known, or lies in the future."""
    trust: str = ""
    """Under which demands of signatures it was published."""
    packages: Count = 0
    bytes: Count = 0
    missing: list[str] = []
    """What upstream promises and does not have, published without it (allow_missing)."""
    forgone: dict[str, str] = {}
    """Files of the tree that upstream does not have, or has otherwise than promised, and how they showed then."""
    signature_due: Time = 0.0
    """Until when a signature that seems not to be made yet is asked for again."""
    last_run: Time = 0.0
    last_success: Time = 0.0
    warnings: list[str] = []
    error: str | None = None


def read_state(path: str) -> RepoState:
    """Read state.json; an empty state where it is missing or damaged."""
    try:
        with open(open_regular(path), "rb") as file:
            return msgspec.json.decode(file.read(), type=RepoState)
    except (OSError, ValueError, RecursionError):
        return RepoState()


def write_state(path: str, state: RepoState) -> None:
    """Write state.json, durably and in one step."""
    write_file(path, msgspec.json.format(msgspec.json.encode(state), indent=1) + b"\n")


def known_repositories(repos: str) -> list[str]:
    """Return the ids of all repositories that have a state here."""
    if not is_there(repos):
        return []
    with translated("cannot list the repositories"):
        return sorted(name for name in os.listdir(repos) if is_there(f"{repos}/{name}/state.json"))
