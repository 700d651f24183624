"""What it means when files could not be had: start again, publish without them, or give up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import ChecksumMismatch, FetchError, MirrorError, NotFound, UpstreamError
from mirrorpy.rpmmd.model import Kind
from mirrorpy.sync.parallel import unordered
from mirrorpy.sync.snapshot import any_moved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorpy.config.model import Repository
    from mirrorpy.plan import Plan
    from mirrorpy.rpmmd.model import Checksum, RemoteFile
    from mirrorpy.sync.fill import Filler, Outcome
    from mirrorpy.sync.report import RepoReport
    from mirrorpy.sync.snapshot import Snapshot
    from mirrorpy.upstream import Upstream


WRONG_AGAIN = 7 * 86400
"""Seconds after which a wrong file of the tree is downloaded once more, looking as ever; it may be a large image."""


class Restart(Exception):
    """Upstream published something else meanwhile; a turn in the story, not an error."""


class Shortfall:
    """Judges the failures of one repository's run."""

    def __init__(self, repo: Repository, upstream: Upstream, report: RepoReport, width: int) -> None:
        self._repo, self._upstream, self._report, self._width = repo, upstream, report, width
        self.missing: set[str] = set()
        """Paths that are published without."""
        self.forgone: dict[str, str] = {}
        """Those of the tree among them, which may promise wrongly for years, and how they showed before."""
        self._shown: dict[str, str] = {}

    def clear(self) -> None:
        """Start from nothing."""
        self.missing.clear()
        self.forgone.clear()
        self._shown.clear()

    def still(self, forgone: Mapping[str, str], now: float) -> bool:
        """Ask after the files that an earlier run did without; tell whether they show as they did.

        One that came wrong did not show before it was asked for, so the next run asks for it once more.
        """

        def ask(path: str) -> tuple[str, str]:
            return path, self._show(path, forgone[path], int(now // WRONG_AGAIN))

        self._shown = dict(unordered(forgone, ask, max(1, min(self._width, len(forgone)))))
        return self._shown == forgone

    def _show(self, path: str, before: str, week: int) -> str:
        try:
            answer = self._upstream.probe(path)
        except NotFound:
            return ""
        except FetchError:
            return before
        # Mirrors of one file have ETags of their own.
        return f"{answer.size} {answer.last_modified or answer.etag} {week}"

    def keep(self, forgone: Mapping[str, str]) -> None:
        """Do without the same files as the earlier run."""
        self.forgone.update(forgone)
        why = "upstream does not have it as promised"
        self._report.warnings += [f"published without {path}: {why}" for path in forgone]

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
        of the tree, wrong ones too: .treeinfo is edited by hand, and clients of packages do without. With `tree: all`
        so is a package of a repository inside: one of a hundred may be broken for years.
        """
        if self._forgoes(file, error, snapshot):
            self.forgone[file.path] = self._shown.get(file.path, "")
            return self._publish_without(file, error)
        primary = any(record.type == "primary" and record.file is file for record in snapshot.whole.records)
        allowed = self._repo.allow_missing and not primary
        if not isinstance(error, NotFound) or not (allowed or file.kind is Kind.DELTA):
            return False
        return self._publish_without(file, error)

    def _forgoes(self, file: RemoteFile, error: MirrorError, snapshot: Snapshot) -> bool:
        if self._repo.strict_tree or not isinstance(error, (NotFound, ChecksumMismatch)):
            return False
        inside = file.kind is Kind.PACKAGE and any(file.path.startswith(prefix) for prefix in snapshot.nested)
        lacking = self._repo.tree == "all" and isinstance(error, NotFound)
        return file.kind is Kind.TREE or (lacking and inside)

    def _publish_without(self, file: RemoteFile, error: MirrorError) -> bool:
        self.missing.add(file.path)
        self._report.warnings.append(f"published without {file.href}: {error.message}")
        return True

    def leave_out(self, plan: Plan) -> None:
        """Take what no mirror has out of the plan, under every name."""
        gone = {plan.files[path].checksum: path for path in self.missing if path in plan.files}
        for path in [path for path, file in plan.files.items() if file.checksum in gone]:
            file = plan.files.pop(path)
            if path not in self.missing:
                self.missing.add(path)
                self._report.warnings.append(f"published without {path}: it is {gone[file.checksum]}")
            if gone[file.checksum] in self.forgone:
                self.forgone.setdefault(path, "")
            plan.packages -= file.kind is Kind.PACKAGE
            plan.new -= 1
        plan.fetch = [file for file in plan.fetch if file.checksum not in gone]


def fill_elsewhere(filler: Filler, plan: Plan, outcome: Outcome) -> None:
    """Ask for what was not there at the other paths of the same content; a failure stays that of the first."""
    failed = {file.checksum: file for file, error in outcome.failures if isinstance(error, NotFound)}
    copies: dict[Checksum, list[RemoteFile]] = {}
    for file in plan.files.values() if failed else ():
        if file.checksum in failed and file is not failed[file.checksum] and file.kind is not Kind.RECORD:
            copies.setdefault(file.checksum, []).append(file)
    while copies:
        lacking = {file.checksum for file, _ in filler.fill(files.pop() for files in copies.values()).failures}
        outcome.failures = [it for it in outcome.failures if it[0].checksum not in copies.keys() - lacking]
        copies = {checksum: files for checksum, files in copies.items() if files and checksum in lacking}
