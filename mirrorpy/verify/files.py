"""One file of a folder: is it there, has it its size, are its bytes what was promised, is it what it is called."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import RepodataError, SignatureError
from mirrorpy.rpmmd.digest import hash_from
from mirrorpy.rpmmd.model import Kind
from mirrorpy.rpmmd.package import read_package
from mirrorpy.signatures import check_open_package
from mirrorpy.verify.promises import check_content
from mirrorpy.verify.report import Finding, FindingKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from mirrorpy.rpmmd.model import Nevra, Record, RemoteFile
    from mirrorpy.signatures import Gpgv
    from mirrorpy.verify.report import Settings

MAX_INDEX = 16 * 1024**2


@dataclass(frozen=True)
class Folder:
    """A repository on disk."""

    path: str
    ours: bool = False
    """Whether mirrorpy published it: then nothing in it is a link, and no repository lies within another."""

    def open(self, name: str) -> BinaryIO:
        """Open a regular file; nothing else is waited for.

        Raises:
            OSError: It is not there, cannot be read, or is no regular file.
        """
        descriptor = os.open(
            f"{self.path}/{name}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_NOFOLLOW if self.ours else 0)
        )
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
class Job:
    """One file to be looked at."""

    file: RemoteFile
    nevra: Nevra | None = None
    record: Record | None = None
    """Where it is metadata whose content is still to be proved."""
    due: bool = True
    """Whether it is to be hashed."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was found."""

    job: Job
    findings: list[Finding]
    size: int = 0
    hashed: bool = False
    lacks_delta: bool = False


@dataclass(frozen=True, slots=True)
class Inspector:
    """Looks at files; may be used by several threads."""

    folder: Folder
    settings: Settings
    gpgv: Gpgv | None
    """Where packages have to be signed."""
    received: Callable[[int], None]

    def look(self, job: Job) -> Done:
        """Look at one file: presence, size, then its bytes, then what it calls itself."""
        promised = job.file
        try:
            with self.folder.open(promised.path) as file:
                size = os.fstat(file.fileno()).st_size
                self.received(size)
                if promised.size not in (None, size):
                    message = f"has {size} bytes instead of {promised.size}"
                    findings = [Finding(FindingKind.SIZE, promised.path, message)]
                    if job.record is not None and not self.settings.quick:
                        findings += check_content(job.record, file)
                    return Done(job, findings, size)
                deadline = self.settings.deadline
                late = deadline is not None and time.monotonic() > deadline
                if self.settings.quick or late or not job.due:
                    return Done(job, [], size)
                return Done(job, list(self._compare(file, job)), size, hashed=True)
        except OSError as error:
            gone = isinstance(error, FileNotFoundError)
            if promised.kind is Kind.DELTA and gone:
                return Done(job, [], lacks_delta=True)
            reason = "is not there" if gone else f"cannot be read: {error.strerror}"
            return Done(job, [Finding(FindingKind.MISSING, promised.path, reason)])

    def _compare(self, file: BinaryIO, job: Job) -> Iterator[Finding]:
        promised = job.file
        (digest,) = hash_from(file.fileno(), 0, promised.checksum.algorithm)
        if job.record is not None:
            yield from check_content(job.record, file)
        if digest != promised.checksum.value:
            message = f"has {promised.checksum.algorithm} {digest} instead of {promised.checksum.value}"
            yield Finding(FindingKind.CHECKSUM, promised.path, message)
        elif promised.kind is Kind.PACKAGE or promised.path.endswith(".rpm"):
            yield from _name(file, job)
            yield from self._signature(file, job)

    def _signature(self, file: BinaryIO, job: Job) -> Iterator[Finding]:
        if self.gpgv is not None:
            try:
                check_open_package(file, self.gpgv)
            except SignatureError as error:
                yield Finding(FindingKind.SIGNATURE, job.file.path, error.cause)


def _name(file: BinaryIO, job: Job) -> Iterator[Finding]:
    """Compare what a package calls itself with what primary says; of a retired one nothing is said any more."""
    if job.nevra is None:
        return
    file.seek(0)
    try:
        nevra = read_package(file, strict=False).nevra
    except RepodataError as error:
        yield Finding(FindingKind.HEADER, job.file.path, error.cause)
        return
    if nevra != job.nevra:
        yield Finding(FindingKind.HEADER, job.file.path, f"is {nevra} and not {job.nevra}, as primary says")
