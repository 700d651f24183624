"""The delta: what upstream promises, against what is here. Pure; carrying a plan out is `sync`'s work."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from mirrorpy.errors import GuardError, RepodataError
from mirrorpy.rpmmd.href import check_tree
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

_DIGEST = re.compile(r"[0-9a-f]{32}")
RECORD_GRACE = 72 * 3600
"""Seconds that a record stays reachable after upstream dropped it: longer than dnf's metadata_expire of 48 hours."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One file of a generation."""

    path: str
    """Below the published path."""
    size: int
    kind: Kind
    promised: Checksum | None
    """What the metadata says; None for repomd.xml, and where only the tree is known."""
    key: Checksum | None
    """Its name in the pool; None for what is written anew for each generation."""
    retired: int | None = None
    """When the generation without it was published, in seconds since the epoch; None while upstream has it."""

    def due(self, grace: float) -> float:
        """When a retired file may go; zero or less is at once."""
        if self.kind is Kind.RECORD:
            named = self.promised.value in self.path if self.promised else bool(_DIGEST.search(self.path))
            kept: float = RECORD_GRACE if named else 0
        else:
            kept = 0 if self.kind is Kind.INDEX else grace
        return (self.retired or 0) + kept if kept else 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user allows a sync to do."""

    grace: float = 0.0
    max_shrink: float = 0.5
    allow_shrink: bool = False
    count_all: bool = False
    """Whether every file counts as packages do: where a listing decides what there is, an empty one must not."""

    def counts(self, kind: Kind) -> bool:
        """Tell whether files of a kind are those that must not shrink."""
        return kind is Kind.PACKAGE or (self.count_all and kind not in (Kind.RECORD, Kind.INDEX))


@dataclass(slots=True)
class Plan:
    """What the next generation holds, and what is to be done for it."""

    files: dict[str, RemoteFile]
    """Everything that upstream promises, by path."""
    fetch: list[RemoteFile] = field(default_factory=list)
    """What is not here, one for each checksum."""
    carried: list[Entry] = field(default_factory=list)
    """Retired files that stay reachable."""
    retired: list[Entry] = field(default_factory=list)
    """What upstream dropped since the last generation, whether carried or not."""
    expired: list[Entry] = field(default_factory=list)
    """What was carried until now and is due."""
    new: int = 0
    """Paths that the last generation does not have, or has with another content."""
    packages: int = 0

    @property
    def changes(self) -> bool:
        """Whether the next generation differs from the last."""
        return bool(self.fetch or self.new or self.retired or self.expired)

    @property
    def fetch_bytes(self) -> int:
        """Bytes to download, as far as the metadata says."""
        return sum(file.size or 0 for file in self.fetch)


def conflict(one: RemoteFile, other: RemoteFile) -> str | None:
    """Say why one path cannot be both; None if it can."""
    if one.checksum != other.checksum:
        return f"is promised as {one.checksum} and as {other.checksum}"
    if one.kind is not other.kind:
        return f"is promised as a {one.kind.name.lower()} and as a {other.kind.name.lower()}"
    return None


def collect(promised: Iterable[RemoteFile]) -> dict[str, RemoteFile]:
    """Arrange promised files by path.

    Raises:
        RepodataError: One path is promised with two contents, or as a file and a folder.
    """
    files: dict[str, RemoteFile] = {}
    for file in promised:
        path = file.path
        other = files.setdefault(path, file)
        if other is not file and (why := conflict(other, file)):
            raise RepodataError(why, href=path)
    check_tree(files)
    return files


def add_unpromised(files: dict[str, RemoteFile], others: Iterable[RemoteFile]) -> list[str]:
    """Add files whose place is free; return the paths of those that would be a file and a folder at once."""
    added, left = sorted(others, key=lambda file: file.path, reverse=True), list[str]()
    folders = _folders(files) if added else set()
    for file in added:
        path = file.path
        if path in files:
            continue
        if path in folders or _in_the_way(path, files):
            left.append(path)
            continue
        files[path] = file
        folders |= _folders({path: file})
    return left


def plan_sync(
    files: dict[str, RemoteFile],
    have: Container[RemoteFile],
    previous: Iterable[Entry],
    rules: Rules,
    now: float,
    served: Iterable[Entry] = (),
) -> Plan:
    """Compare what upstream promises with what the pool and the last generation hold.

    served is what later generations hold, where the last was made the published one again by hand: it is carried too.

    Raises:
        GuardError: Packages would shrink past max_shrink, or to none.
    """
    plan = Plan(files)
    wanted: set[Checksum] = set()
    after = 0
    for file in files.values():
        plan.packages += file.kind is Kind.PACKAGE
        after += rules.counts(file.kind)
        if file not in have and file.checksum not in wanted:
            wanted.add(file.checksum)
            plan.fetch.append(file)
    before = _retire(plan, previous, rules, now)
    _carry_served(plan, served, rules, now)
    folders = _folders(plan.files) if plan.carried else set()
    plan.carried = [entry for entry in plan.carried if entry.path not in folders]
    _guard_shrink(before, after, rules)
    return plan


def _retire(plan: Plan, previous: Iterable[Entry], rules: Rules, now: float) -> int:
    """Sort the last generation's files into kept, carried and dropped; return how many of them must not shrink."""
    counted = kept = 0
    for entry in previous:
        # Where the manifest is lost, what was carried cannot be told from what was promised.
        counted += rules.counts(entry.kind) and entry.retired is None and entry.promised is not None
        if entry.kind is Kind.INDEX:
            continue
        file = plan.files.get(entry.path)
        if file is not None:
            kept += entry.promised == file.checksum and entry.retired is None
            continue
        if entry.retired is None:
            plan.retired.append(entry)
        if (retired := _carry(entry, plan, rules, now)) is not None:
            plan.carried.append(retired)
        elif entry.retired is not None:
            plan.expired.append(entry)
    plan.new = len(plan.files) - kept
    return counted


def _carry_served(plan: Plan, served: Iterable[Entry], rules: Rules, now: float) -> None:
    carried = {entry.path for entry in plan.carried}
    for entry in served:
        if entry.kind is Kind.INDEX or entry.path in carried or entry.path in plan.files:
            continue
        if (retired := _carry(entry, plan, rules, now)) is not None:
            carried.add(entry.path)
            plan.carried.append(retired)


def _carry(entry: Entry, plan: Plan, rules: Rules, now: float) -> Entry | None:
    """Return what upstream dropped as the next generation holds it; None where its time is up or its place is taken."""
    retired = msgspec.structs.replace(entry, retired=entry.retired or max(1, int(now)))
    return retired if retired.due(rules.grace) > now and not _in_the_way(entry.path, plan.files) else None


def _in_the_way(path: str, files: dict[str, RemoteFile]) -> bool:
    """Tell whether a folder of this path is a file now."""
    while path := path.rpartition("/")[0]:
        if path in files:
            return True
    return False


def _folders(files: dict[str, RemoteFile]) -> set[str]:
    folders: set[str] = set()
    for path in files:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def _guard_shrink(before: int, after: int, rules: Rules) -> None:
    if rules.allow_shrink or after >= before:
        return
    if after == 0 or (before - after) / before > rules.max_shrink:
        what = "files" if rules.count_all else "packages"
        bound = f"past max_shrink of {rules.max_shrink:.0%}" if after else "and no max_shrink allows that"
        raise GuardError(
            f"{what} would shrink from {before} to {after}, {bound}",
            hint="if upstream means it, run once with --allow-shrink",
        )
