"""primary.xml: the packages of a repository, streamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import MirrorError, RepodataError
from mirrorpy.rpmmd.href import check_href
from mirrorpy.rpmmd.model import MAX_SIZE, Checksum, Kind, Nevra, RemoteFile
from mirrorpy.rpmmd.packages import iter_packages
from mirrorpy.rpmmd.xml import COMMON, check_root, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorpy.rpmmd.packages import Listed
    from mirrorpy.rpmmd.xml import Readable


@dataclass(slots=True)
class PrimaryCount:
    """What primary.xml says of its length, and what was read."""

    promised: str | None = None
    read: int = 0

    @property
    def warning(self) -> str | None:
        """A line where the two differ; real repositories occur whose `packages=` is wrong."""
        if self.promised is None or self.promised == str(self.read):
            return None
        return f"primary says packages={self.promised[:20]!r} but lists {self.read}"


def iter_primary(source: Readable, count: PrimaryCount | None = None) -> Iterator[RemoteFile]:
    """Yield each package of an unpacked primary.xml as the file it promises, in order.

    Raises:
        RepodataError: Malformed, or a package without a valid checksum.
        UnsafeHref: A package's location is missing or leaves the repository.
    """
    seen = count if count is not None else PrimaryCount()
    for listed in _iter_counted(source, seen):
        try:
            yield _promised(listed)
        except MirrorError as error:
            raise _named(error, listed, seen) from None


def iter_listed(source: Readable, count: PrimaryCount) -> Iterator[tuple[Nevra, RemoteFile | MirrorError]]:
    """Yield what each package is called, and the file it promises or what is wrong with that.

    Raises:
        RepodataError: The document is malformed.
    """
    for listed in _iter_counted(source, count):
        found: RemoteFile | MirrorError
        try:
            found = _promised(listed)
        except MirrorError as error:
            found = _named(error, listed, count)
        yield Nevra(listed.name, listed.epoch or "0", listed.version, listed.release, listed.arch), found


def _iter_counted(source: Readable, seen: PrimaryCount) -> Iterator[Listed]:
    def take_root(tag: str, promised: str | None) -> None:
        check_root(tag, "primary", f"{{{COMMON}}}metadata")
        seen.promised = promised

    for listed in iter_packages(source, take_root):
        seen.read += 1
        yield listed


def _named(error: MirrorError, listed: Listed, seen: PrimaryCount) -> MirrorError:
    name = listed.name or f"number {seen.read}"
    error.cause = f"primary: package {name}: {error.cause}"
    return error


def _promised(listed: Listed) -> RemoteFile:
    href = check_href(listed.href, Kind.PACKAGE)
    if listed.checksum is None:
        raise RepodataError("has no checksum", href=href)
    checksum = Checksum.parse(listed.algorithm, listed.checksum)
    return RemoteFile(href, checksum, whole_number(listed.size, "size", MAX_SIZE), Kind.PACKAGE, listed.base or None)
