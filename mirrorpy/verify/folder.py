"""Verification of a folder: every promised file is there, is what was promised, and nothing else is."""

from __future__ import annotations

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
from mirrorpy.sync.parallel import unordered
from mirrorpy.sync.report import Failure
from mirrorpy.verify.orphans import iter_orphans
from mirrorpy.verify.promises import Promises, read_promises
from mirrorpy.verify.report import ALL_KINDS, FOREIGN_KINDS, Finding, FindingKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from mirrorpy.config import Repository
    from mirrorpy.plan import Entry
    from mirrorpy.rpmmd.model import Nevra, Record
    from mirrorpy.store.layout import Layout
    from mirrorpy.sync.report import Watch
    from mirrorpy.verify.report import Settings

BLOCK = 1024 * 1024
MAX_INDEX = 16 * 1024**2
ATTEMPTS = 3


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


@dataclass(frozen=True, slots=True)
class _Done:
    """What was found."""

    findings: list[Finding]
    hashed: int | None
    """Bytes; None where it was not hashed."""
    lacks_delta: str | None = None


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
            retired = [entry for entry in published.entries() if entry.retired is not None] if published.known else []
            _examine(Folder(published.folder), verdict, settings, watch, retired)
            if not verdict.findings or published_generation(place, own) == published:
                break
    except MirrorError as error:
        verdict.error = Failure.of(error)
    verdict.conclude(fail_on, time.monotonic() - began)
    return verdict


def verify_folder(path: str, settings: Settings, watch: Watch) -> Verdict:
    """Verify any folder that holds a repository."""
    began, verdict = time.monotonic(), Verdict(id=path, path=path)
    try:
        _examine(Folder(path), verdict, settings, watch, [])
    except MirrorError as error:
        verdict.error = Failure.of(error)
    verdict.conclude(FOREIGN_KINDS if settings.fail_on is None else settings.fail_on, time.monotonic() - began)
    return verdict


def _examine(folder: Folder, verdict: Verdict, settings: Settings, watch: Watch, retired: list[Entry]) -> None:
    name, verdict.retired = verdict.id, len(retired)
    watch.step(name, "reading metadata")
    promises = read_promises(folder, verdict)
    jobs = [_Job(file, promises.nevras.get(path)) for path, file in promises.files.items()]
    verdict.files, verdict.bytes = len(jobs), sum(job.file.size or 0 for job in jobs)
    jobs += [_Job(_as_promised(entry), None) for entry in retired if entry.promised is not None]
    watch.step(name, "looking at files" if settings.quick else "hashing")
    watch.expect(name, len(jobs), sum(job.file.size or 0 for job in jobs))
    for done in unordered(jobs, lambda job: _look(folder, job, settings, watch, name), settings.jobs):
        verdict.findings += done.findings
        watch.land(name)
        if done.hashed is not None:
            verdict.hashed.count(done.hashed)
        if done.lacks_delta:
            verdict.warnings.append(f"delta RPM {done.lacks_delta} is not there; clients do without")
    _find_orphans(folder, promises, retired, verdict)
    watch.step(name, None)


def _as_promised(entry: Entry) -> RemoteFile:
    assert entry.promised is not None
    return RemoteFile(entry.path, entry.promised, entry.size, entry.kind)


def _look(folder: Folder, job: _Job, settings: Settings, watch: Watch, name: str) -> _Done:
    """Look at one file: presence, size, then its bytes, then what it calls itself."""
    promised = job.file
    try:
        with folder.open(promised.path) as file:
            size = os.fstat(file.fileno()).st_size
            if promised.size not in (None, size):
                watch.receive(name, promised.size or 0)
                message = f"has {size} bytes instead of {promised.size}"
                return _Done([Finding(FindingKind.SIZE, promised.path, message)], None)
            if settings.quick:
                watch.receive(name, size)
                return _Done([], None)
            findings = list(_compare(file, job))
            watch.receive(name, size)
            return _Done(findings, size)
    except OSError as error:
        if promised.kind is Kind.DELTA and isinstance(error, FileNotFoundError):
            return _Done([], None, promised.path)
        reason = "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        return _Done([Finding(FindingKind.MISSING, promised.path, reason)], None)


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


def _find_orphans(folder: Folder, promises: Promises, retired: list[Entry], verdict: Verdict) -> None:
    """Name what nothing names; where metadata is unreadable, everything would be."""
    if not promises.complete:
        verdict.warnings.append("files that nothing names were not looked for: not all metadata could be read")
        return
    known = {*promises.files, *INDEX_FILES, *(entry.path for entry in retired)}
    try:
        for path in iter_orphans(folder.path, known):
            verdict.add(FindingKind.ORPHAN, path, "is named by nothing")
    except OSError as error:
        raise LocalError(f"{folder.path}: cannot be listed: {error.strerror}") from error
