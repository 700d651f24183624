"""What a verification is told, and what it says."""

from __future__ import annotations

import enum
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from mirrorpy.errors import MirrorError, UnsafeHref
from mirrorpy.sync.report import Failure, Moved

Outcome = Literal["whole", "damaged", "failed"]


class FindingKind(enum.StrEnum):
    """What can be wrong with one file."""

    MISSING = "missing"
    SIZE = "size"
    CHECKSUM = "checksum"
    ORPHAN = "orphan"
    """It is below the path, and nothing names it."""
    METADATA = "metadata"
    """It is malformed, or does not unpack to what is promised."""
    SIGNATURE = "signature"
    HEADER = "header"
    """An RPM that calls itself something else than primary does, or is none."""
    UNSAFE_HREF = "unsafe-href"
    DUPLICATE = "duplicate"
    """One path is promised with two contents."""


ALL_KINDS = frozenset(FindingKind)
FOREIGN_KINDS = ALL_KINDS - {FindingKind.ORPHAN}
"""What is wrong with any repository; people keep notes and older packages beside theirs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: FindingKind
    path: str
    """Below the repository."""
    message: str

    @classmethod
    def of(cls, error: MirrorError, path: str) -> Finding:
        """Return what an error in metadata means."""
        kind = FindingKind.UNSAFE_HREF if isinstance(error, UnsafeHref) else FindingKind.METADATA
        return cls(kind, error.href or path, error.cause)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asks of one verification."""

    quick: bool = False
    """Presence and size only."""
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    since: float | None = None
    """Hash only what was not hashed for so many seconds, oldest first."""
    deadline: float | None = None
    """When to stop hashing, on the monotonic clock; the rest is looked at as if quick."""
    fail_on: frozenset[FindingKind] | None = None
    """What makes a repository damaged; None is everything, but orphans only where mirrorpy made the folder."""


@dataclass(slots=True, kw_only=True)
class Verdict:
    """One repository's part of the report."""

    id: str
    path: str
    """Folder or URL."""
    outcome: Outcome = "whole"
    packages: int = 0
    files: int = 0
    """Promised files."""
    bytes: int = 0
    hashed: Moved = field(default_factory=Moved)
    postponed: Moved = field(default_factory=Moved)
    """Files that are due to be hashed and were not, for want of time."""
    retired: int = 0
    """Files that upstream dropped and that are kept for grace; no finding."""
    fail_on: list[FindingKind] = field(default_factory=list)
    """The kinds that make it damaged."""
    findings: list[Finding] = field(default_factory=list)
    repaired: list[Finding] = field(default_factory=list)
    """What was found at first and is mended."""
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    error: Failure | None = None

    def add(self, kind: FindingKind, path: str, message: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(kind, path, message))

    def conclude(self, fail_on: frozenset[FindingKind], seconds: float) -> None:
        """Order the findings and decide."""
        self.findings = sorted(set(self.findings), key=lambda finding: (finding.path, finding.kind))
        self.fail_on = sorted(fail_on)
        damaged = any(finding.kind in fail_on for finding in self.findings)
        self.outcome = "failed" if self.error else "damaged" if damaged else "whole"
        self.seconds = round(seconds, 3)

    def counts(self) -> Counter[FindingKind]:
        """Return how many there are of each kind."""
        return Counter(finding.kind for finding in self.findings)
