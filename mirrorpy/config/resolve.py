"""From the file's options to repositories: inheritance, the `vars` matrix, and rules between entries."""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from mirrorpy.config.connection import Wrong, resolve_connection
from mirrorpy.config.model import Connection, FileOptions, RepoOptions, Repository
from mirrorpy.errors import UnsafeHref, redact
from mirrorpy.rpmmd.href import check_href
from mirrorpy.rpmmd.mirrors import SCHEMES, expand
from mirrorpy.rpmmd.model import Kind, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrorpy.config.document import Document

T = TypeVar("T")
REPO_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]*")
MAX_NAME = 200
"""Bytes of a path's segment; a generation's name adds its time, and 255 is the filesystem's bound."""
MAX_MATRIX = 10_000


def resolve_repositories(
    options: FileOptions, document: Document, environ: Mapping[str, str] | None, problems: list[str]
) -> list[Repository]:
    """Return every repository that the file means, adding each problem with its place."""
    repos: list[Repository] = []
    places: dict[str, str] = {}
    folder = os.path.abspath(document.file.parent)
    for index, entry in enumerate(options.repos):
        place = f"repos[{index}]"
        try:
            for repo in _expand_entry(entry, options, environ, folder):
                if repo.id in places:
                    raise Wrong("id", f"{repo.id!r} is taken by {places[repo.id]} already")
                places[repo.id] = place
                repos.append(repo)
        except Wrong as wrong:
            problems.append(f"{document.place(f'{place}.{wrong.key}')}: {wrong.problem}")
    problems.extend(
        f"{document.place(f'{places[inner.id]}.path')}: {inner.path!r} lies inside {outer.path!r} of {outer.id!r}"
        for outer, inner in _nested(repos)
    )
    return repos


def _expand_entry(
    entry: RepoOptions, top: FileOptions, environ: Mapping[str, str] | None, folder: str
) -> Iterator[Repository]:
    names = list(entry.vars)
    choices = [_texts(entry.vars[name]) for name in names]
    if any(not choice for choice in choices):
        raise Wrong("vars", "a variable has no value")
    size = 1
    for choice in choices:
        size *= len(choice)
    if size > MAX_MATRIX:
        raise Wrong("vars", f"multiplies to {size} repositories")
    connection = Connection() if environ is None else resolve_connection(entry, top, environ, folder)
    for values in itertools.product(*choices):
        yield _repository(entry, top, dict(zip(names, values, strict=True)), connection, folder)


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _repository(
    entry: RepoOptions, top: FileOptions, variables: Mapping[str, str], connection: Connection, folder: str
) -> Repository:
    repo_id = expand(entry.id, variables)
    if not REPO_ID.fullmatch(repo_id) or len(repo_id) > MAX_NAME:
        raise Wrong("id", f"{repo_id!r} is not of the form [A-Za-z0-9][A-Za-z0-9._:+-]*")
    sources = [key for key in ("baseurl", "mirrorlist", "metalink") if getattr(entry, key)]
    if len(sources) != 1:
        raise Wrong("id" if not sources else sources[1], "needs one of baseurl, mirrorlist and metalink")
    urls = [check_url(expand(url, variables), sources[0]) for url in dict.fromkeys(_texts(getattr(entry, sources[0])))]
    defaults = Repository(id=repo_id, path=repo_id)
    path = entry.id if entry.path is None else entry.path

    def pick(key: str, default: T) -> T:
        own = getattr(entry, key)
        value = own if own is not None else getattr(top, key)
        return default if value is None else value

    keys = tuple(_key_file(expand(key, variables), folder) for key in _texts(pick("gpgkey", [])))
    for check in ("repo_gpgcheck", "gpgcheck"):
        if pick(check, default=False) and not keys:
            raise Wrong(check, "needs gpgkey: no key is trusted but those that it names")
    return Repository(
        id=repo_id,
        path=_check_path(expand(path, variables)),
        baseurls=tuple(urls) if entry.baseurl else (),
        mirrorlist=urls[0] if entry.mirrorlist else None,
        metalink=urls[0] if entry.metalink else None,
        vars=tuple(variables.items()),
        keep=pick("keep", defaults.keep),
        grace=float(pick("grace", defaults.grace)),
        max_shrink=float(pick("max_shrink", defaults.max_shrink)),
        max_age=pick("max_age", defaults.max_age),
        retries=pick("retries", defaults.retries),
        minrate=int(pick("minrate", defaults.minrate)),
        throttle=int(entry.throttle or 0),
        allow_missing=pick("allow_missing", defaults.allow_missing),
        repo_gpgcheck=pick("repo_gpgcheck", default=False),
        gpgcheck=pick("gpgcheck", default=False),
        allow_sha1=pick("allow_sha1", default=False),
        gpgkey=keys,
        tree=pick("tree", defaults.tree),
        strict_tree=pick("strict_tree", default=False),
        extras=tuple(dict.fromkeys(_check_extra(expand(name, variables)) for name in _texts(pick("extras", [])))),
        include=tuple(_texts(pick("include", []))),
        exclude=tuple(_texts(pick("exclude", []))),
        connection=connection,
        id_template=entry.id,
        path_template=path,
    )


def _key_file(key: str, folder: str) -> str:
    """Return the file that a gpgkey names, by its path or, as in yum's own files, by a file:// URL."""
    if key.lower().startswith("file://"):
        return unquote(key[len("file://") :])
    if "://" in key:
        raise Wrong("gpgkey", f"{redact(key)!r} is no file here; a key that the network offers is not trusted")
    return os.path.join(folder, os.path.expanduser(key))


def _check_extra(name: str) -> str:
    try:
        return plain(check_href(name, Kind.EXTRA))
    except UnsafeHref as error:
        raise Wrong("extras", f"{name!r} is no file below the repository: {error.cause}") from error


def check_url(url: str, key: str) -> str:
    """Return a URL of upstream, with every variable put in.

    Raises:
        Wrong: It is none, or none of this key.
    """
    if not url.lower().startswith(SCHEMES) or not url.isprintable() or " " in url or not _has_host(url):
        raise Wrong(key, f"{redact(url)!r} is no http://, https:// or file:// URL")
    if key == "baseurl" and ("?" in url or "#" in url):
        raise Wrong(key, f"{redact(url)!r} has a query or a fragment, below which nothing can lie")
    if unknown := re.search(r"\$\{?(\w+)", url):
        raise Wrong(key, f"{redact(url)!r} has the variable {unknown[1]!r}, which `vars` does not give")
    return url


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "file" or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


def _check_path(path: str) -> str:
    parts = path.rstrip("/").split("/")
    if path.startswith("/") or not path.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise Wrong("path", f"{path!r} is no path below root")
    if any(part.startswith(".") or len(part.encode()) > MAX_NAME for part in parts):
        raise Wrong("path", f"{path!r} has a name that is hidden or longer than {MAX_NAME} bytes")
    if "$" in path:
        raise Wrong("path", f"{path!r} has a variable that `vars` does not give")
    return "/".join(parts)


def _nested(repos: list[Repository]) -> Iterator[tuple[Repository, Repository]]:
    """Yield pairs of which the second is published inside, or at, the first's path."""
    by_path: dict[str, Repository] = {}
    for repo in repos:
        if repo.path in by_path:
            yield by_path[repo.path], repo
        by_path.setdefault(repo.path, repo)
    for repo in repos:
        for folder in folders_above(repo.path):
            if outer := by_path.get(folder):
                yield outer, repo


def folders_above(path: str) -> list[str]:
    """Return every folder that a path lies in, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]
