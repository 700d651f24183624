"""Verification of a folder: every promised file is there, is what was promised, and nothing else is."""

from __future__ import annotations

import logging
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError, MirrorError, RepodataError
from mirrorpy.rpmmd.href import INDEX_FILES
from mirrorpy.rpmmd.model import Kind, RemoteFile, new_hash
from mirrorpy.rpmmd.package import read_package
from mirrorpy.store.generation import published_generation
from mirrorpy.store.proofs import read_proofs, write_proofs
from mirrorpy.sync.parallel import unordered
from mirrorpy.sync.report import Failure
from mirrorpy.verify.orphans import iter_orphans
from mirrorpy.verify.promises import Promises, read_promises
from mirrorpy.verify.report import ALL_KINDS, FOREIGN_KINDS, Finding, FindingKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from mirrorpy.config import Repository
    from mirrorpy.plan import Entry
    from mirrorpy.rpmmd.model import Nevra, Record
    from mirrorpy.store.generation import Generation
    from mirrorpy.store.layout import Layout, RepoLayout
    from mirrorpy.sync.report import Watch
    from mirrorpy.verify.report import Settings

BLOCK = 1024 * 1024
MAX_INDEX = 16 * 1024**2
ATTEMPTS = 3
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Folder:
    """A repository on disk."""

    path: str

    def open(self, name: str) -> BinaryIO:
        """Open a regular file; nothing else is waited for.

        Raises:
            OSError: It is not there, cannot be read, or is no regular file.
        """
        descriptor = os.open(f"{self.path}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(0, "is no regular file")
        return open(descriptor, "rb")

    def read_index(self, path: str) -> bytes | None:
        """Return repomd.xml or a companion of it."""
        try:
            with self.open(path) as file:
                return file.read(MAX_INDEX)
        except OSError:
            return None

    def open_record(self, record: Record) -> BinaryIO | None:
        """Return a record."""
        try:
            return self.open(record.file.path)
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class _Job:
    """One file to be looked at."""

    file: RemoteFile
    nevra: Nevra | None
    due: bool = True
    """Whether it is to be hashed."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What was found."""

    job: _Job
    findings: list[Finding]
    size: int = 0
    hashed: bool = False
    lacks_delta: bool = False


def verify_repository(repo: Repository, layout: Layout, settings: Settings, watch: Watch) -> Verdict:
    """Verify what is published of a repository; a sync that publishes meanwhile makes it start again."""
    place, own = layout.place(repo.path), layout.repo(repo.id)
    verdict = Verdict(id=repo.id, path=repo.path)
    fail_on = ALL_KINDS if settings.fail_on is None else settings.fail_on
    began = time.monotonic()
    try:
        for _ in range(ATTEMPTS):
            verdict = Verdict(id=repo.id, path=repo.path)
            published = published_generation(place, own)
            if published is None:
                verdict.add(FindingKind.MISSING, "", "nothing is published")
                break
            proofs = read_proofs(own.proofs)
            _examine(Folder(published.folder), verdict, settings, watch, _beside(published), proofs)
            _keep_proofs(own, proofs, verdict)
            if not verdict.findings or published_generation(place, own) == published:
                break
    except MirrorError as error:
        verdict.error = Failure.of(error)
    verdict.conclude(fail_on, time.monotonic() - began)
    return verdict


def _beside(published: Generation) -> list[Entry]:
    """Return what a generation holds besides what its repomd.xml promises: retired files, and repomd.xml itself."""
    if not published.known:
        return []
    return [entry for entry in published.entries() if entry.retired is not None or entry.kind is Kind.INDEX]


def verify_folder(path: str, settings: Settings, watch: Watch) -> Verdict:
    """Verify any folder that holds a repository."""
    began, verdict = time.monotonic(), Verdict(id=path, path=path)
    try:
        _examine(Folder(path), verdict, settings, watch, [], {})
    except MirrorError as error:
        verdict.error = Failure.of(error)
    verdict.conclude(FOREIGN_KINDS if settings.fail_on is None else settings.fail_on, time.monotonic() - began)
    return verdict


def _examine(
    folder: Folder, verdict: Verdict, settings: Settings, watch: Watch, beside: list[Entry], proofs: dict[str, int]
) -> None:
    """Look at everything; proofs, when each file was hashed last, are brought up to date."""
    name, now = verdict.id, time.time()
    verdict.retired = sum(entry.retired is not None for entry in beside)
    watch.step(name, "reading metadata")
    promises = read_promises(folder, verdict)
    verdict.files, verdict.bytes = len(promises.files), sum(file.size or 0 for file in promises.files.values())
    jobs = _jobs(promises, beside, proofs, settings, now)
    watch.step(name, "looking at files" if settings.quick else "hashing")
    watch.expect(name, len(jobs), sum(job.file.size or 0 for job in jobs))
    seen: dict[str, int] = {}
    for done in unordered(jobs, lambda job: _look(folder, job, settings, watch, name), settings.jobs):
        watch.land(name)
        _count(done, verdict, settings)
        checksum = str(done.job.file.checksum)
        if done.hashed and not done.findings:
            seen[checksum] = int(now)
        elif not done.findings and checksum in proofs:
            seen.setdefault(checksum, proofs[checksum])
    proofs.clear()
    proofs.update(seen)
    _find_orphans(folder, promises, beside, verdict)
    watch.step(name, None)


def _jobs(
    promises: Promises, beside: list[Entry], proofs: Mapping[str, int], settings: Settings, now: float
) -> list[_Job]:
    """Return the files to look at, those that were not hashed for longest first."""
    files = list(promises.files.values())
    files += [RemoteFile(entry.path, entry.promised, entry.size, entry.kind) for entry in beside if entry.promised]
    due = now - settings.since if settings.since is not None else None
    jobs = [
        _Job(file, promises.nevras.get(file.path), due is None or proofs.get(str(file.checksum), 0) <= due)
        for file in files
    ]
    return jobs if due is None else sorted(jobs, key=lambda job: proofs.get(str(job.file.checksum), 0))


def _count(done: _Done, verdict: Verdict, settings: Settings) -> None:
    verdict.findings += done.findings
    if done.hashed:
        verdict.hashed.count(done.size)
    elif done.job.due and not settings.quick and not done.findings and not done.lacks_delta:
        verdict.postponed.count(done.size)
    if done.lacks_delta:
        verdict.warnings.append(f"delta RPM {done.job.file.path} is not there; clients do without")


def _keep_proofs(own: RepoLayout, proofs: dict[str, int], verdict: Verdict) -> None:
    """Remember, as far as the user who verifies may; it costs a hashing otherwise."""
    if verdict.hashed.files:
        try:
            write_proofs(own.proofs, proofs)
        except LocalError as error:
            logger.info("%s: what was hashed is not remembered: %s", verdict.id, error.message)


def _look(folder: Folder, job: _Job, settings: Settings, watch: Watch, name: str) -> _Done:
    """Look at one file: presence, size, then its bytes, then what it calls itself."""
    promised = job.file
    try:
        with folder.open(promised.path) as file:
            size = os.fstat(file.fileno()).st_size
            watch.receive(name, size)
            if promised.size not in (None, size):
                message = f"has {size} bytes instead of {promised.size}"
                return _Done(job, [Finding(FindingKind.SIZE, promised.path, message)], size)
            late = settings.deadline is not None and time.monotonic() > settings.deadline
            if settings.quick or late or not job.due:
                return _Done(job, [], size)
            return _Done(job, list(_compare(file, job)), size, hashed=True)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        if promised.kind is Kind.DELTA and gone:
            return _Done(job, [], lacks_delta=True)
        reason = "is not there" if gone else f"cannot be read: {error.strerror}"
        return _Done(job, [Finding(FindingKind.MISSING, promised.path, reason)])


def _compare(file: BinaryIO, job: _Job) -> Iterator[Finding]:
    promised = job.file
    digest, buffer = new_hash(promised.checksum.algorithm), bytearray(BLOCK)
    view = memoryview(buffer)
    while count := file.readinto(buffer):  # type: ignore[attr-defined]  # a BufferedReader has it
        digest.update(view[:count])
    if digest.hexdigest() != promised.checksum.value:
        message = f"has {promised.checksum.algorithm} {digest.hexdigest()} instead of {promised.checksum.value}"
        yield Finding(FindingKind.CHECKSUM, promised.path, message)
        return
    if job.nevra is None:
        return
    file.seek(0)
    try:
        nevra = read_package(file).nevra
    except RepodataError as error:
        yield Finding(FindingKind.HEADER, promised.path, error.cause)
        return
    if nevra != job.nevra:
        yield Finding(FindingKind.HEADER, promised.path, f"is {nevra} and not {job.nevra}, as primary says")


def _find_orphans(folder: Folder, promises: Promises, beside: list[Entry], verdict: Verdict) -> None:
    """Name what nothing names; where metadata is unreadable, everything would be."""
    if not promises.complete:
        verdict.warnings.append("files that nothing names were not looked for: not all metadata could be read")
        return
    known = {*promises.files, *INDEX_FILES, *(entry.path for entry in beside)}
    try:
        for path in iter_orphans(folder.path, known):
            verdict.add(FindingKind.ORPHAN, path, "is named by nothing")
    except OSError as error:
        raise LocalError(f"{folder.path}: cannot be listed: {error.strerror}") from error
