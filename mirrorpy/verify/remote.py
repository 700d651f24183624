"""Verification of a repository on the web: walked as dnf would walk it, each package asked for and not fetched."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit

from mirrorpy.config.model import Repository
from mirrorpy.errors import (
    ChecksumMismatch,
    FetchError,
    MirrorError,
    NotFound,
    RepodataError,
    SignatureError,
    UnsafeHref,
    UpstreamError,
    UpstreamMoving,
    redact,
)
from mirrorpy.rpmmd.href import INDEX_FILES, SIGNATURE_HREF, quote_href
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.model import Kind, RemoteFile
from mirrorpy.rpmmd.package import read_package
from mirrorpy.signatures import check_package
from mirrorpy.store.incoming import Partial
from mirrorpy.sync.bring import GIVE_UP_AFTER
from mirrorpy.sync.parallel import unordered
from mirrorpy.sync.report import Failure
from mirrorpy.sync.snapshot import has_moved
from mirrorpy.upstream import Network, Upstream
from mirrorpy.upstream.document import DOCUMENT_CAP, SIGNATURE_CAP
from mirrorpy.verify.mirrors import compare_mirrors
from mirrorpy.verify.pairing import check_pairing
from mirrorpy.verify.promises import Promises, check_content, read_promises
from mirrorpy.verify.report import FOREIGN_KINDS, Finding, FindingKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorpy.rpmmd.model import Record
    from mirrorpy.signatures import Demands
    from mirrorpy.sync.report import Watch
    from mirrorpy.verify.report import Settings

RETRIES = 2
ATTEMPTS = 3
FRESH_SECONDS = 3600
"""A cache that keeps repomd.xml for longer serves old states beside new ones."""
_LIST = re.compile(r"metalink|mirrorlist")
_MAX_AGE = re.compile(r"(?:s-maxage|max-age)=(\d{1,12})")


@dataclass(frozen=True, slots=True)
class Depth:
    """How far a verification of a URL goes."""

    deep: bool = False
    """Download every package, hash it, and drop it."""
    all_mirrors: bool = False
    """Compare the mirrors of a list."""
    requests: int = 8
    """At a time, to one host."""


def verify_url(url: str, settings: Settings, depth: Depth, demands: Demands, watch: Watch) -> Verdict:
    """Verify the repository at a URL, or the first good one of a mirrorlist or metalink."""
    name = redact(url)
    began, verdict = time.monotonic(), Verdict(id=name, path=name)
    network = Network(max_parallel_downloads=depth.requests)
    is_list = _is_list(url)
    repo = Repository(
        id=name, path=name, retries=RETRIES, mirrorlist=url if is_list else None, baseurls=() if is_list else (url,)
    )
    upstream = Upstream(repo, network)
    try:
        for _ in range(ATTEMPTS):
            verdict = Verdict(id=name, path=name)
            upstream.resolve()
            if depth.all_mirrors:
                compare_mirrors(upstream, verdict, depth.requests)
            with tempfile.TemporaryDirectory(prefix="mirrorpy-") as spool:
                walk = _Walk(upstream, verdict, depth, demands, watch, spool)
                walk.run()
            if not verdict.findings or not has_moved(upstream, walk.base, walk.data):
                break
        else:
            verdict = Verdict(id=name, path=name)
            raise UpstreamMoving(
                f"it changed under {ATTEMPTS} attempts", url=name, hint="run again when it has settled"
            )
    except MirrorError as error:
        verdict.error = Failure.of(error)
    finally:
        network.close()
    watch.step(name, None)
    verdict.conclude(settings.fail_on or FOREIGN_KINDS, time.monotonic() - began)
    return verdict


def _is_list(url: str) -> bool:
    """Tell a mirrorlist or metalink from a base URL, by its query or what it is called."""
    parts = urlsplit(url)
    return bool(parts.query or _LIST.search(parts.path.rpartition("/")[2]))


def _content(record: Record, path: str) -> Iterator[Finding]:
    with open(path, "rb") as file:
        yield from check_content(record, file)


@dataclass
class _Walk:
    """One walk over one repository; also the source of its metadata."""

    upstream: Upstream
    verdict: Verdict
    depth: Depth
    demands: Demands
    watch: Watch
    spool: str

    base: str = ""
    """The mirror that is walked."""
    data: bytes | None = None
    """Its repomd.xml."""
    _unreached: int = 0
    """Files in a row that no answer came for."""

    def run(self) -> None:
        """Read the metadata, then ask for every package.

        Raises:
            FetchError: repomd.xml cannot be had for another reason than that it is not there.
        """
        name = self.verdict.id
        self.watch.step(name, "reading metadata")
        if not self._choose():
            return
        promises = read_promises(self, self.verdict)
        if not promises.files:
            return
        self._look_at_caching()
        for prefix in ("", *promises.nested):
            check_pairing(self, self.demands, self.verdict, required=False, prefix=prefix)
        self.verdict.files = len(promises.files)
        self.verdict.bytes = sum(file.size or 0 for file in promises.files.values())
        files = [
            file for path, file in promises.files.items() if file.kind is not Kind.RECORD or path in promises.others
        ]
        self.watch.step(name, "downloading" if self.depth.deep else "asking for files")
        self.watch.expect(name, len(files), sum(file.size or 0 for file in files))
        for file, findings in unordered(files, lambda file: self._look(file, promises), self.depth.requests):
            self._count(file, findings)

    def _count(self, file: RemoteFile, findings: list[Finding]) -> None:
        self.watch.land(self.verdict.id)
        if findings and file.kind is Kind.DELTA and findings[0].kind is FindingKind.MISSING:
            self.verdict.warnings.append(f"delta RPM {file.path} is not there; clients do without")
            return
        self.verdict.findings += findings
        if (self.depth.deep or file.kind is Kind.RECORD) and not findings:
            self.verdict.hashed.count(file.size or 0)

    def _choose(self) -> bool:
        """Find the mirror to walk: the first with a repomd.xml that a metalink, where there is one, vouches for."""
        pins = self.upstream.mirrors.pins

        def ask(base: str) -> tuple[str, bytes]:
            data = self.upstream.read(base, REPOMD_HREF).data or b""
            if pins and not any(pin.matches(data) for pin in pins):
                raise ChecksumMismatch("is not a repomd.xml that the metalink vouches for")
            return base, data

        try:
            self.base, self.data = self.upstream.persist(ask)
        except NotFound:
            self.verdict.add(FindingKind.MISSING, REPOMD_HREF, "is not there")
            return False
        except UpstreamError as error:
            self.verdict.add(FindingKind.METADATA, REPOMD_HREF, error.cause)
            return False
        self.upstream.prefer(self.base)
        return True

    # The source of metadata

    def read_index(self, path: str) -> bytes | None:
        """Return repomd.xml, or what lies beside it on the same mirror."""
        if path == REPOMD_HREF:
            return self.data
        companion = path.endswith(INDEX_FILES[1:])
        cap = SIGNATURE_CAP if companion else DOCUMENT_CAP
        try:
            data = self.upstream.persist(lambda base: self.upstream.read(base, path, cap=cap).data or b"", [self.base])
        except NotFound:
            return None
        except UpstreamError as error:
            self.verdict.add(FindingKind.SIGNATURE if companion else FindingKind.METADATA, path, error.cause)
            return None
        except FetchError as error:
            self.verdict.warnings.append(f"{path} cannot be had: {error.cause}")
            return None
        # Some servers answer everything with a page.
        return None if data.lstrip()[:1] == b"<" and self._is_page(path) else data

    def _is_page(self, path: str) -> bool:
        with contextlib.suppress(FetchError):
            return self.upstream.probe(path).is_page
        return False

    def open_record(self, record: Record) -> BinaryIO | None:
        """Return a record, proved; what is wrong with it is a finding."""
        findings = list(self._ask(record.file))
        if not findings:
            path, findings = self._fetch(record.file)
            if path is not None:
                self.verdict.hashed.count(os.path.getsize(path))
                return open(path, "rb")
        self.verdict.findings += findings
        return None

    # Files

    def _look(self, file: RemoteFile, promises: Promises) -> tuple[RemoteFile, list[Finding]]:
        findings = list(self._ask(file)) or list(self._ask_barely(file))
        record = promises.others.get(file.path)
        if not findings and (self.depth.deep or record is not None):
            path, findings = self._fetch(file)
            if path is not None:
                findings = list(self._inspect(file, path, promises) if record is None else _content(record, path))
                os.unlink(path)
        return file, findings

    def _ask(self, file: RemoteFile, href: str | None = None) -> Iterator[Finding]:
        """Ask whether a file is there, is no page that says that it is not, and has its size."""
        try:
            answer = self.upstream.probe(
                href or file.href, None if href else file.location_base, quoted=href is not None
            )
        except NotFound as error:
            yield Finding(FindingKind.MISSING, file.path, f"is not there: {error.cause}")
            return
        except UnsafeHref as error:
            yield Finding(FindingKind.UNSAFE_HREF, file.path, error.cause)
            return
        except (FetchError, UpstreamError) as error:
            self._endure(error)
            yield Finding(FindingKind.MISSING, file.path, f"cannot be had: {error.cause}")
            return
        self._unreached = 0
        if answer.is_page and not file.path.endswith((".html", ".htm", ".xhtml")):
            yield Finding(FindingKind.MISSING, file.path, "is answered with a page, status 200 (a soft 404)")
        elif None not in (file.size, answer.size) and file.size != answer.size:
            yield Finding(FindingKind.SIZE, file.path, f"has {answer.size} bytes instead of {file.size}")

    def _endure(self, error: MirrorError) -> None:
        """Bear with a server that gives no answer, but not for hours, file by file.

        Raises:
            FetchError: It gave none for a while.
        """
        if isinstance(error, FetchError) and error.retryable:
            self._unreached += 1
            if self._unreached >= GIVE_UP_AFTER:
                cause = f"stopped answering: {error.cause}"
                raise FetchError(cause, url=error.url, hint="run again when it answers") from error

    def _ask_barely(self, file: RemoteFile) -> Iterator[Finding]:
        """Ask for a name with a plus sign as yum does, bare; some servers take it for a space."""
        if "+" in file.href and not file.location_base and not self.upstream.order[0].startswith("file:"):
            for finding in self._ask(file, quote_href(file.href).replace("%2B", "+")):
                yield Finding(finding.kind, file.path, f"asked for with a bare +, it {finding.message}")

    def _fetch(self, file: RemoteFile) -> tuple[str | None, list[Finding]]:
        """Return where a file lies for now, or what is wrong with it."""
        # A folder of its own: two names of one content would have one place.
        partial = Partial(tempfile.mkdtemp(dir=self.spool), file)
        try:
            self.upstream.fetch(partial, lambda size: self.watch.receive(self.verdict.id, size))
        except NotFound as error:
            return None, [Finding(FindingKind.MISSING, file.path, f"is not there: {error.cause}")]
        except UpstreamError as error:
            return None, [Finding(FindingKind.CHECKSUM, file.path, error.cause)]
        except FetchError as error:
            kind = FindingKind.SIZE if error.cause.startswith("ended after") else FindingKind.MISSING
            return None, [Finding(kind, file.path, f"cannot be had: {error.cause}")]
        finally:
            partial.close()
        return partial.path, []

    def _inspect(self, file: RemoteFile, path: str, promises: Promises) -> Iterator[Finding]:
        nevra = promises.nevras.get(file.path)
        with open(path, "rb") as stream:
            try:
                found = read_package(stream).nevra if nevra else None
            except RepodataError as error:
                yield Finding(FindingKind.HEADER, file.path, error.cause)
                return
        if found != nevra:
            yield Finding(FindingKind.HEADER, file.path, f"is {found} and not {nevra}, as primary says")
        if self.demands.packages is not None and nevra is not None:
            try:
                check_package(path, self.demands.packages)
            except SignatureError as error:
                yield Finding(FindingKind.SIGNATURE, file.path, error.cause)

    def _look_at_caching(self) -> None:
        """Warn where caches may keep repomd.xml and its signature beside each other's successors."""
        for href in (REPOMD_HREF, SIGNATURE_HREF):
            with contextlib.suppress(FetchError, UpstreamError):
                control = self.upstream.probe(href).cache_control
                ages = [int(age) for age in _MAX_AGE.findall(control)]
                kept = "immutable" in control or max(ages, default=0) > FRESH_SECONDS
                if kept and "no-cache" not in control and "no-store" not in control:
                    self.verdict.warnings.append(f"{href} may be kept by caches: Cache-Control: {control}")
