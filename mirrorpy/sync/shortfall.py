"""What it means when files could not be had: start again, publish without them, or give up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import MirrorError, NotFound, UpstreamError
from mirrorpy.rpmmd.model import Kind
from mirrorpy.sync.snapshot import has_moved

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

    def judge(self, outcome: Outcome, snapshot: Snapshot) -> None:
        """Decide what failures mean.

        Raises:
            Restart: Upstream has moved on.
            MirrorError: The worst failure, with the number of the others.
        """
        if not outcome.failures:
            return
        if has_moved(self._upstream, snapshot.base, snapshot.data):
            raise Restart
        fatal = [error for file, error in outcome.failures if not self._does_without(file, error, snapshot)]
        if fatal:
            worst = next((error for error in fatal if isinstance(error, UpstreamError)), fatal[0])
            if len(fatal) > 1:
                worst.cause += f" (and {len(fatal) - 1} more files failed; -v names them)"
            raise worst

    def _does_without(self, file: RemoteFile, error: MirrorError, snapshot: Snapshot) -> bool:
        """Publish without a file that no mirror has, where that is allowed.

        A delta RPM always is: clients do without, and real repositories list ones that they do not have.
        """
        primary = snapshot.repomd.record("primary")
        allowed = self._repo.allow_missing and (primary is None or file is not primary.file)
        if not isinstance(error, NotFound) or not (allowed or file.kind is Kind.DELTA):
            return False
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
