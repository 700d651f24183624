"""Verification of a folder: every promised file is there, is what was promised, and nothing else is."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import time
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError, MirrorError
from mirrorpy.rpmmd.href import INDEX_FILES
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.model import Kind, RemoteFile
from mirrorpy.signatures import Demands
from mirrorpy.store.generation import published_generation
from mirrorpy.store.proofs import read_proofs, write_proofs
from mirrorpy.store.state import read_state
from mirrorpy.sync.parallel import unordered
from mirrorpy.sync.report import Failure
from mirrorpy.verify.files import Done, Folder, Inspector, Job
from mirrorpy.verify.orphans import iter_orphans
from mirrorpy.verify.pairing import check_pairing
from mirrorpy.verify.promises import Promises, iter_promised
from mirrorpy.verify.report import ALL_KINDS, FOREIGN_KINDS, FindingKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from mirrorpy.config.model import Repository
    from mirrorpy.plan import Entry
    from mirrorpy.store.generation import Generation
    from mirrorpy.store.layout import Layout, RepoLayout
    from mirrorpy.sync.report import Watch
    from mirrorpy.verify.report import Settings

ATTEMPTS = 5
logger = logging.getLogger(__name__)


def verify_repository(repo: Repository, layout: Layout, settings: Settings, watch: Watch) -> Verdict:
    """Verify what is published of a repository; a sync that publishes meanwhile makes it start again."""
    began, verdict = time.monotonic(), Verdict(id=repo.id, path=repo.path)
    try:
        demands = Demands.of(repo)
        for _ in range(ATTEMPTS):
            verdict, still = _attempt(repo, layout, settings, watch, demands)
            if still:
                break
        else:
            verdict = Verdict(id=repo.id, path=repo.path)
            raise LocalError("is published faster than it can be verified", hint="verify it when no sync runs")
    except MirrorError as error:
        verdict.error = Failure.of(error)
    watch.step(repo.id, None)
    verdict.conclude(settings.fail_on or ALL_KINDS, time.monotonic() - began)
    return verdict


def _attempt(
    repo: Repository, layout: Layout, settings: Settings, watch: Watch, demands: Demands
) -> tuple[Verdict, bool]:
    """Examine what is published now; tell too whether that still is, or nothing was found anyhow."""
    place, own = layout.place(repo.path), layout.repo(repo.id)
    verdict = Verdict(id=repo.id, path=repo.path)
    published = published_generation(place, own)
    if published is None:
        verdict.add(FindingKind.MISSING, "", "nothing is published")
        return verdict, True
    if not published.known:
        verdict.warnings.append(
            "its list of files is lost or damaged: retired ones cannot be told; a sync makes it anew"
        )
    remembered = _proofs_file(own, demands)
    proofs = read_proofs(remembered)
    try:
        folder, beside = Folder(published.folder, ours=True), _beside(published)
        _examine(folder, verdict, settings, watch, demands, beside, proofs, tree=bool(repo.tree))
    except LocalError:
        if published_generation(place, own) == published:
            raise
        return verdict, False
    state = read_state(own.state)
    _forgive(verdict, {*state.missing, *state.forgone})
    if verdict.findings and published_generation(place, own) != published:
        return verdict, False
    _keep_proofs(remembered, proofs, verdict)
    return verdict, True


def _proofs_file(own: RepoLayout, demands: Demands) -> str:
    """Return where proofs are kept: what was proved without these demands is not proved with them."""
    return f"{own.proofs}-{hashlib.sha256(demands.trust.encode()).hexdigest()[:8]}" if demands.trust else own.proofs


def _forgive(verdict: Verdict, missing: Collection[str]) -> None:
    """Turn what was published without, as `allow_missing` has it, or a tree that is wrong, into warnings."""
    found, verdict.findings = verdict.findings, []
    for finding in found:
        if finding.kind is FindingKind.MISSING and finding.path in missing:
            verdict.warnings.append(f"published without {finding.path}: upstream did not have it as promised")
        else:
            verdict.findings.append(finding)


def _beside(published: Generation) -> list[Entry]:
    """Return what a generation holds besides what its repomd.xml promises, that itself among it."""
    if not published.known:
        return []
    kinds = (Kind.INDEX, Kind.TREE, Kind.EXTRA)
    return [entry for entry in published.entries() if entry.retired is not None or entry.kind in kinds]


def verify_folder(path: str, settings: Settings, demands: Demands, watch: Watch) -> Verdict:
    """Verify any folder that holds a repository."""
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    began, verdict = time.monotonic(), Verdict(id=shown, path=shown)
    try:
        _examine(Folder(path), verdict, settings, watch, demands, [], {})
    except MirrorError as error:
        verdict.error = Failure.of(error)
    watch.step(shown, None)
    verdict.conclude(settings.fail_on or FOREIGN_KINDS, time.monotonic() - began)
    return verdict


def _examine(
    folder: Folder,
    verdict: Verdict,
    settings: Settings,
    watch: Watch,
    demands: Demands,
    beside: list[Entry],
    proofs: dict[str, int],
    *,
    tree: bool = True,
) -> None:
    """Look at everything; proofs, when each file was hashed last, are brought up to date.

    Without tree nothing but repomd.xml counts as a promise, as the sync that published had it.
    """
    name, now = verdict.id, time.time()
    watch.step(name, "reading metadata")
    verdict.retired = sum(entry.retired is not None for entry in beside)
    promises = Promises()
    plain = bool(beside) and not any(entry.kind is Kind.INDEX for entry in beside)
    inside = [
        entry.path.removesuffix(f"/{REPOMD_HREF}")
        for entry in beside
        if tree and entry.path.endswith(f"/{REPOMD_HREF}") and entry.retired is None
    ]
    files = itertools.chain(
        iter_promised(folder, promises, verdict, plain=plain, inside=inside, tree=tree), _files_beside(beside, promises)
    )
    jobs = _jobs(files, promises, proofs, settings, now, watch=lambda size: watch.expect(name, 1, size))
    watch.step(name, "looking at files" if settings.quick else "hashing")
    inspector = Inspector(folder, settings, demands.packages, lambda size: watch.receive(name, size))
    seen: dict[str, int] = {}
    bad: set[str] = set()
    for done in unordered(jobs, inspector.look, settings.jobs):
        watch.land(name)
        _count(done, verdict, settings)
        checksum = str(done.job.file.checksum)
        if done.findings:
            bad.add(checksum)
        if done.hashed and not done.findings:
            seen[checksum] = int(now)
        elif not done.findings and checksum in proofs:
            seen.setdefault(checksum, proofs[checksum])
    for prefix in ("", *promises.nested):
        check_pairing(folder, demands, verdict, required=folder.ours, prefix=prefix)
    verdict.files, verdict.bytes = len(promises.files), sum(file.size or 0 for file in promises.files.values())
    proofs.clear()
    # One checksum may stand for several files.
    proofs.update((checksum, at) for checksum, at in seen.items() if checksum not in bad)
    _find_orphans(folder, promises, beside, verdict)


def _files_beside(beside: list[Entry], promises: Promises) -> Iterator[RemoteFile]:
    """Yield what the metadata does not promise, as it was published; read when the metadata was."""
    for entry in beside:
        if entry.promised and entry.path not in promises.files:
            file = RemoteFile(entry.path, entry.promised, entry.size, entry.kind)
            if entry.retired is None and entry.kind is not Kind.INDEX:
                promises.files[entry.path] = file
            yield file


def _jobs(
    files: Iterable[RemoteFile],
    promises: Promises,
    proofs: Mapping[str, int],
    settings: Settings,
    now: float,
    watch: Callable[[int], None],
) -> Iterator[Job]:
    """Yield the files to look at, while their list is still read; or those that were not hashed for longest first."""

    def hashed(file: RemoteFile) -> int:
        at = proofs.get(str(file.checksum), 0)
        # A clock that was wrong once must not spare a file until then.
        return at if at <= now else 0

    due = None if settings.since is None else now - settings.since
    for file in files if due is None else sorted(files, key=hashed):
        watch(file.size or 0)
        path = file.path
        yield Job(file, promises.nevras.get(path), promises.others.get(path), due is None or hashed(file) <= due)


def _count(done: Done, verdict: Verdict, settings: Settings) -> None:
    verdict.findings += done.findings
    if done.hashed:
        verdict.hashed.count(done.size)
    elif done.job.due and not settings.quick and not done.findings and not done.lacks_delta:
        verdict.postponed.count(done.size)
    if done.lacks_delta:
        verdict.warnings.append(f"delta RPM {done.job.file.path} is not there; clients do without")


def _keep_proofs(path: str, proofs: dict[str, int], verdict: Verdict) -> None:
    """Remember, as far as the user who verifies may; it costs a hashing otherwise."""
    if verdict.hashed.files:
        try:
            write_proofs(path, proofs)
        except LocalError as error:
            logger.info("%s: what was hashed is not remembered: %s", verdict.id, error.message)


def _find_orphans(folder: Folder, promises: Promises, beside: list[Entry], verdict: Verdict) -> None:
    """Name what nothing names; where metadata is unreadable, everything would be."""
    if not promises.complete:
        verdict.warnings.append("files that nothing names were not looked for: not all metadata could be read")
        return
    indexes = (prefix + name for prefix in ("", *promises.nested) for name in INDEX_FILES)
    known = {*promises.files, *promises.documents, *indexes, *(entry.path for entry in beside)}
    try:
        for path in iter_orphans(folder.path, known, skip_repositories=not folder.ours):
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            verdict.add(FindingKind.ORPHAN, shown, "is named by nothing")
    except OSError as error:
        raise LocalError(f"{folder.path}: cannot be listed: {error.strerror}") from error
