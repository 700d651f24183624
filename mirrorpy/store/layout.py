"""Where everything lies below root; names only, nothing is touched.

root/PATH -> .NAME.STAMP          the published link, and the generation beside it
root/.mirrorpy/pool/ALGORITHM/AB/CHECKSUM
root/.mirrorpy/repos/ID/          lock, state.json, weak, hashed, signed, beside, STAMP.files (manifests), staged/
root/.mirrorpy/incoming/ID/       downloads under way
root/.mirrorpy/set-aside/ID.STAMP/   a folder of the user's whose place a published link took
"""

from __future__ import annotations

import calendar
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mirrorpy.rpmmd.model import Checksum

STATE = ".mirrorpy"
_FORMAT = "%Y%m%dT%H%M%SZ"
_STAMP = re.compile(r"\d{8}T\d{6}Z")
_GENERATION = re.compile(rf"\..+\.({_STAMP.pattern})", re.DOTALL)


def stamp_of(seconds: int) -> str:
    """Return a generation's stamp for a time in seconds since the epoch."""
    return time.strftime(_FORMAT, time.gmtime(seconds))


def seconds_of(stamp: str) -> int | None:
    """Return a stamp's time in seconds since the epoch; None of what is no time."""
    try:
        return calendar.timegm(time.strptime(stamp, _FORMAT))
    except ValueError:
        return None


def names_generation(name: str) -> bool:
    """Tell whether a folder is called as some path's generation is."""
    match = _GENERATION.fullmatch(name)
    return match is not None and seconds_of(match[1]) is not None


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one root."""

    root: str

    @classmethod
    def of(cls, root: Path) -> Layout:
        """Return the layout below a folder."""
        return cls(str(root))

    @property
    def state(self) -> str:
        return f"{self.root}/{STATE}"

    @property
    def pool(self) -> str:
        return f"{self.state}/pool"

    @property
    def repos(self) -> str:
        return f"{self.state}/repos"

    @property
    def set_aside(self) -> str:
        """Where folders go whose place a published link takes; what is in them is the user's."""
        return f"{self.state}/set-aside"

    def pool_object(self, key: Checksum) -> str:
        """Return the path of a file in the pool."""
        return f"{self.pool}/{key.algorithm}/{key.value[:2]}/{key.value}"

    def repo(self, repo_id: str) -> RepoLayout:
        """Return the places of one repository's own state."""
        return RepoLayout(f"{self.repos}/{repo_id}", f"{self.state}/incoming/{repo_id}")

    def place(self, path: str) -> Place:
        """Return the places of a published path."""
        return Place(*os.path.split(f"{self.root}/{path}"))


@dataclass(frozen=True, slots=True)
class RepoLayout:
    """Where one repository's state lies."""

    folder: str
    incoming: str

    @property
    def lock(self) -> str:
        return f"{self.folder}/lock"

    @property
    def state(self) -> str:
        return f"{self.folder}/state.json"

    @property
    def weak(self) -> str:
        return f"{self.folder}/weak"

    @property
    def proofs(self) -> str:
        return f"{self.folder}/hashed"

    @property
    def verdicts(self) -> str:
        return f"{self.folder}/signed"

    @property
    def beside(self) -> str:
        return f"{self.folder}/beside"

    @property
    def adopting(self) -> str:
        """The journal of an adoption under way."""
        return f"{self.folder}/adopting"

    @property
    def adopted(self) -> str:
        """The files of the old tree that are the pool's too."""
        return f"{self.folder}/adopted"

    @property
    def staged(self) -> str:
        return f"{self.folder}/staged"

    @property
    def link(self) -> str:
        """The new link, before it is renamed over the published one."""
        return f"{self.folder}/link"

    def manifest(self, stamp: str) -> str:
        return f"{self.folder}/{stamp}.files"


@dataclass(frozen=True, slots=True)
class Place:
    """A published path: its folder and its name."""

    folder: str
    name: str

    @property
    def link(self) -> str:
        return f"{self.folder}/{self.name}"

    def generation(self, stamp: str) -> str:
        """Return the name of a generation, beside the link."""
        return f".{self.name}.{stamp}"

    def stamp(self, name: str) -> str | None:
        """Return the stamp of a generation of this path; None if the name is none."""
        prefix = f".{self.name}."
        stamp = name[len(prefix) :] if name.startswith(prefix) else ""
        return stamp if _STAMP.fullmatch(stamp) and seconds_of(stamp) is not None else None
