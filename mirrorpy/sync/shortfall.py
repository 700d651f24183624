"""What it means when files could not be had: start again, publish without them, or give up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import ChecksumMismatch, MirrorError, NotFound, UpstreamError
from mirrorpy.rpmmd.model import Kind
from mirrorpy.sync.snapshot import any_moved

if TYPE_CHECKING:
    from mirrorpy.config.model import Repository
    from mirrorpy.plan import Plan
    from mirrorpy.rpmmd.model import RemoteFile
    from mirrorpy.sync.fill import Outcome
    from mirrorpy.sync.report import RepoReport
    from mirrorpy.sync.snapshot import Snapshot
    from mirrorpy.upstream import Upstream


class Restart(Exception):
    """Upstream published something else meanwhile; a turn in the story, not an error."""


class Shortfall:
    """Judges the failures of one repository's run."""

    def __init__(self, repo: Repository, upstream: Upstream, report: RepoReport) -> None:
        self._repo, self._upstream, self._report = repo, upstream, report
        self.missing: set[str] = set()
        """Paths that are published without."""
        self.forgone: set[str] = set()
        """Those of the tree among them: it may promise wrongly for years."""

    def clear(self) -> None:
        """Start from nothing."""
        self.missing.clear()
        self.forgone.clear()

    def judge(self, outcome: Outcome, snapshot: Snapshot) -> None:
        """Decide what failures mean.

        Raises:
            Restart: Upstream has moved on.
            MirrorError: The worst failure, with the number of the others.
        """
        if not outcome.failures:
            return
        if any_moved(self._upstream, snapshot):
            raise Restart
        fatal = [error for file, error in outcome.failures if not self._does_without(file, error, snapshot)]
        if fatal:
            worst = next((error for error in fatal if isinstance(error, UpstreamError)), fatal[0])
            if len(fatal) > 1:
                worst.cause += f" (and {len(fatal) - 1} more files failed; -v names them)"
            raise worst

    def _does_without(self, file: RemoteFile, error: MirrorError, snapshot: Snapshot) -> bool:
        """Publish without a file that no mirror has, where that is allowed.

        A delta RPM always is: clients do without, and real repositories list ones that they do not have. So is a file
        of the tree, wrong ones too: .treeinfo is edited by hand, and clients of packages do without.
        """
        if file.kind is Kind.TREE and not self._repo.strict_tree and isinstance(error, (NotFound, ChecksumMismatch)):
            self.forgone.add(file.path)
            return self._publish_without(file, error)
        primary = any(record.type == "primary" and record.file is file for record in snapshot.whole.records)
        allowed = self._repo.allow_missing and not primary
        if not isinstance(error, NotFound) or not (allowed or file.kind is Kind.DELTA):
            return False
        return self._publish_without(file, error)

    def _publish_without(self, file: RemoteFile, error: MirrorError) -> bool:
        self.missing.add(file.path)
        self._report.warnings.append(f"published without {file.href}: {error.message}")
        return True

    def leave_out(self, plan: Plan) -> None:
        """Take what no mirror has out of the plan, under every name."""
        gone = {plan.files[path].checksum for path in self.missing if path in plan.files}
        for path in [path for path, file in plan.files.items() if file.checksum in gone]:
            file = plan.files.pop(path)
            plan.packages -= file.kind is Kind.PACKAGE
            plan.new -= 1
        plan.fetch = [file for file in plan.fetch if file.checksum not in gone]
