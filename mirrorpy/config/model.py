"""What the configuration can say: the options of the file, and the resolved value of one repository."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mirrorpy.config.quantity import Duration, Share, Size

Count = Annotated[int, msgspec.Meta(ge=1, le=256)]
Strings = str | list[str]
Tree = bool | Literal["auto", "all"]
"""Whether installer trees are mirrored: True demands one, `all` takes whatever a listing shows."""


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Options that may stand at the top or in one repository; None is `not given here`."""

    keep: Count | None = None
    grace: Duration | None = None
    max_shrink: Share | None = None
    max_age: Duration | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    timeout: Duration | None = None
    minrate: Size | None = None
    throttle: Size | None = None
    allow_missing: bool | None = None
    proxy: str | None = None
    username: str | None = None
    password: str | None = None
    sslverify: bool | None = None
    sslcacert: str | None = None
    sslclientcert: str | None = None
    sslclientkey: str | None = None
    user_agent: str | None = None
    headers: dict[str, str] | None = None
    repo_gpgcheck: bool | None = None
    gpgcheck: bool | None = None
    gpgkey: Strings | None = None
    allow_sha1: bool | None = None
    tree: Tree | None = None
    strict_tree: bool | None = None
    extras: Strings | None = None
    include: Strings | None = None
    exclude: Strings | None = None


class RepoOptions(Options, kw_only=True, forbid_unknown_fields=True):
    """One entry of `repos`, before its `vars` are multiplied out."""

    id: str
    path: str | None = None
    baseurl: Strings | None = None
    mirrorlist: str | None = None
    metalink: str | None = None
    vars: dict[str, Strings] = {}


class FileOptions(Options, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    root: str
    max_parallel_repos: Count = 2
    max_parallel_downloads: Count = 8
    repos: Annotated[list[RepoOptions], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Connection:
    """How to speak to an upstream; repositories with equal values share their connections."""

    timeout: float = 30.0
    proxy: str | None = None
    username: str | None = None
    password: str | None = None
    sslverify: bool = True
    sslcacert: str | None = None
    sslclientcert: str | None = None
    sslclientkey: str | None = None
    user_agent: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"<Connection timeout={self.timeout:g}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One repository, with every option resolved."""

    id: str
    path: str
    """Below root; `/` between names."""
    baseurls: tuple[str, ...] = ()
    mirrorlist: str | None = None
    metalink: str | None = None
    vars: tuple[tuple[str, str], ...] = ()
    keep: int = 2
    grace: float = 0.0
    max_shrink: float = 0.5
    max_age: float | None = None
    retries: int = 5
    minrate: int = 1024
    """Bytes a second."""
    throttle: int = 0
    """Bytes a second; 0 is no limit."""
    allow_missing: bool = False
    repo_gpgcheck: bool = False
    gpgcheck: bool = False
    allow_sha1: bool = False
    gpgkey: tuple[str, ...] = ()
    """Files of keys, absolute."""
    tree: Tree = "auto"
    strict_tree: bool = False
    extras: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    """Globs; of what only a listing shows, nothing else is mirrored. None of them is all."""
    exclude: tuple[str, ...] = ()
    """Globs of what is not mirrored, of what only a listing shows."""
    connection: Connection = Connection()
    id_template: str = ""
    """The id before `vars` were put in."""
    path_template: str = ""

    @property
    def fingerprint(self) -> str:
        """Changes when what is to be mirrored, or from where, changes."""
        what = (
            *(self.path, self.baseurls, self.mirrorlist, self.metalink, self.vars, self.allow_missing),
            *(self.tree, self.strict_tree, self.extras, self.include, self.exclude),
        )
        return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration, valid."""

    file: Path
    root: Path
    repos: tuple[Repository, ...]
    max_parallel_repos: int = 2
    max_parallel_downloads: int = 8
    throttle: int = 0
    """Bytes a second for the whole run; 0 is no limit."""
