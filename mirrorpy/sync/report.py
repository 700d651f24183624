"""What a sync is told, what it tells while it runs, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from mirrorpy.errors import redact
from mirrorpy.rpmmd.model import Kind

if TYPE_CHECKING:
    from mirrorpy.errors import MirrorError
    from mirrorpy.plan import Plan
    from mirrorpy.sync.snapshot import Snapshot

Outcome = Literal["updated", "unchanged", "planned", "failed"]


@dataclass(frozen=True, slots=True)
class OldTree:
    """A tree that some other program made, to be taken over."""

    path: str | None
    """None is the place that is to be published."""
    remove: bool = False
    """Whether what upstream does not promise is removed afterwards."""
    others: tuple[str, ...] = ()
    """Where other repositories are published, or will be, below root."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asks of one run."""

    dry_run: bool = False
    checksum: bool = False
    allow_shrink: bool = False
    allow_rollback: bool = False
    rebuild: bool = False
    """Publish a new generation even where nothing changed."""
    adopt: OldTree | None = None


class Watch(Protocol):
    """Somebody who wants to know how a run goes; called from many threads."""

    def step(self, repo_id: str, doing: str | None) -> None:
        """A repository's sync goes on to something else; None is its end."""

    def expect(self, repo_id: str, files: int, size: int) -> None:
        """So much more is to be downloaded."""

    def receive(self, repo_id: str, size: int) -> None:
        """So many bytes have come."""

    def land(self, repo_id: str) -> None:
        """One file is whole."""


@dataclass(slots=True)
class Moved:
    """Files and bytes that went one way."""

    files: int = 0
    bytes: int = 0

    def count(self, size: int) -> None:
        """Count one file."""
        self.files += 1
        self.bytes += size


@dataclass(slots=True)
class Downloaded(Moved):
    """Files whose body was fetched, repomd.xml and signatures aside."""

    metadata_bytes: int = 0
    """The part of `bytes` that is metadata."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a repository was not brought up to date."""

    kind: str
    message: str
    url: str | None
    href: str | None
    exit: int

    @classmethod
    def of(cls, error: MirrorError) -> Failure:
        """Describe an error."""
        return cls(type(error).__name__, error.message, error.url, error.href, error.exit_status)


@dataclass(slots=True, kw_only=True)
class RepoReport:
    """One repository's part of `sync --json`; docs/reference/json.md says what each key means."""

    id: str
    path: str
    outcome: Outcome = "failed"
    upstream: str | None = None
    revision: str | None = None
    repomd_sha256: str | None = None
    generation: str | None = None
    packages: int = 0
    bytes: int = 0
    downloaded: Downloaded = field(default_factory=Downloaded)
    reused: Moved = field(default_factory=Moved)
    retired: Moved = field(default_factory=Moved)
    pruned: Moved = field(default_factory=Moved)
    requests: int = 0
    retries: int = 0
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    error: Failure | None = None


def tell_followed(report: RepoReport, snapshot: Snapshot, max_age: float | None, now: float) -> None:
    """Report which state of upstream is followed, and that it is old where it is older than max_age seconds."""
    report.upstream, report.revision = redact(snapshot.base), snapshot.repomd.revision
    report.repomd_sha256 = None if snapshot.plain else snapshot.sha256
    report.warnings = list(snapshot.warnings)
    made = snapshot.repomd.timestamp
    if max_age and made and now - made > max_age:
        report.warnings.append(f"upstream has not changed for {(now - made) / 86400:.1f} days, longer than max_age")


def tell_unchanged(report: RepoReport, generation: str | None, packages: int, files: int, size: int) -> None:
    """Report that everything is here and as upstream has it."""
    report.outcome, report.generation = "unchanged", generation
    report.packages, report.bytes = packages, size
    report.reused = Moved(files - report.downloaded.files, max(0, size - report.downloaded.bytes))


def tell_planned(report: RepoReport, plan: Plan) -> None:
    """Report what a run would do."""
    report.outcome, report.packages = "planned", plan.packages
    for file in plan.fetch:
        report.downloaded.count(file.size or 0)
        report.downloaded.metadata_bytes += (file.size or 0) if file.kind is Kind.RECORD else 0
    tell_retired(report, plan)
    report.bytes = sum(file.size or 0 for file in plan.files.values())
    report.reused = Moved(len(plan.files) - report.downloaded.files, max(0, report.bytes - report.downloaded.bytes))


def tell_retired(report: RepoReport, plan: Plan) -> None:
    """Report what upstream dropped."""
    for entry in plan.retired:
        report.retired.count(entry.size)
