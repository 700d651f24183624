"""Verification of a repository on the web: walked as dnf would walk it, each package asked for and not fetched."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from mirrorpy.config.model import Repository
from mirrorpy.errors import FetchError, MirrorError, NotFound, RepodataError, SignatureError, UpstreamError, redact
from mirrorpy.rpmmd.href import INDEX_FILES, quote_href
from mirrorpy.rpmmd.model import Kind, RemoteFile
from mirrorpy.rpmmd.package import read_package
from mirrorpy.signatures import check_package
from mirrorpy.store.incoming import Partial
from mirrorpy.sync.parallel import unordered
from mirrorpy.sync.report import Failure
from mirrorpy.upstream import Network, Upstream
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
FRESH_SECONDS = 3600
"""A cache that keeps repomd.xml for longer serves old states beside new ones."""
_LISTS = re.compile(r"metalink|mirrorlist|\?")
_MAX_AGE = re.compile(r"max-age=(\d{1,12})")


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
    """Verify the repository at a URL, or the first one that answers of a mirrorlist or metalink."""
    name = redact(url)
    began, verdict = time.monotonic(), Verdict(id=name, path=name)
    network = Network(max_parallel_downloads=depth.requests)
    is_list = bool(_LISTS.search(url))
    repo = Repository(
        id=name, path=name, retries=RETRIES, mirrorlist=url if is_list else None, baseurls=() if is_list else (url,)
    )
    upstream = Upstream(repo, network)
    try:
        upstream.resolve()
        if depth.all_mirrors:
            compare_mirrors(upstream, verdict, depth.requests)
        with tempfile.TemporaryDirectory(prefix="mirrorpy-") as spool:
            _Walk(upstream, verdict, depth, demands, watch, spool).run()
    except MirrorError as error:
        verdict.error = Failure.of(error)
    finally:
        network.close()
    watch.step(name, None)
    verdict.conclude(settings.fail_on or FOREIGN_KINDS, time.monotonic() - began)
    return verdict


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

    def run(self) -> None:
        """Read the metadata, then ask for every package.

        Raises:
            FetchError: repomd.xml cannot be had for another reason than that it is not there.
        """
        name = self.verdict.id
        self.watch.step(name, "reading metadata")
        promises = read_promises(self, self.verdict)
        if not promises.complete and not promises.files:
            return
        self._look_at_caching()
        check_pairing(self, self.demands, self.verdict, required=False)
        self.verdict.files = len(promises.files)
        self.verdict.bytes = sum(file.size or 0 for file in promises.files.values())
        files = [
            file for path, file in promises.files.items() if file.kind is not Kind.RECORD or path in promises.others
        ]
        self.watch.step(name, "downloading" if self.depth.deep else "asking for files")
        self.watch.expect(name, len(files), sum(file.size or 0 for file in files))
        for file, findings in unordered(files, lambda file: self._look(file, promises), self.depth.requests):
            self.watch.land(name)
            if findings and file.kind is Kind.DELTA and findings[0].kind is FindingKind.MISSING:
                self.verdict.warnings.append(f"delta RPM {file.path} is not there; clients do without")
            else:
                self.verdict.findings += findings
            if (self.depth.deep or file.kind is Kind.RECORD) and not findings:
                self.verdict.hashed.count(file.size or 0)

    # The source of metadata

    def read_index(self, path: str) -> bytes | None:
        """Return repomd.xml or a companion of it."""
        try:
            return self.upstream.persist(lambda base: self.upstream.read(base, path)).data
        except NotFound:
            return None

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
        except (FetchError, UpstreamError) as error:
            yield Finding(FindingKind.MISSING, file.path, f"cannot be had: {error.cause}")
            return
        if answer.is_page and not file.path.endswith((".html", ".htm", ".xhtml")):
            yield Finding(FindingKind.MISSING, file.path, "is answered with a page, status 200 (a soft 404)")
        elif None not in (file.size, answer.size) and file.size != answer.size:
            yield Finding(FindingKind.SIZE, file.path, f"has {answer.size} bytes instead of {file.size}")

    def _ask_barely(self, file: RemoteFile) -> Iterator[Finding]:
        """Ask for a name with a plus sign as yum does, bare; some servers take it for a space."""
        if "+" in file.href and not file.location_base and not self.upstream.order[0].startswith("file:"):
            for finding in self._ask(file, quote_href(file.href).replace("%2B", "+")):
                yield Finding(finding.kind, file.path, f"asked for with a bare +, it {finding.message}")

    def _fetch(self, file: RemoteFile) -> tuple[str | None, list[Finding]]:
        """Return where a file lies for now, or what is wrong with it."""
        partial = Partial(self.spool, file)
        try:
            self.upstream.fetch(partial, lambda size: self.watch.receive(self.verdict.id, size))
        except NotFound as error:
            return None, [Finding(FindingKind.MISSING, file.path, f"is not there: {error.cause}")]
        except UpstreamError as error:
            return None, [Finding(FindingKind.CHECKSUM, file.path, error.cause)]
        except FetchError as error:
            return None, [Finding(FindingKind.MISSING, file.path, f"cannot be had: {error.cause}")]
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
        for href in INDEX_FILES[:2]:
            with contextlib.suppress(FetchError, UpstreamError):
                control = self.upstream.probe(href).cache_control
                age = _MAX_AGE.search(control)
                if "immutable" in control or (age and int(age[1]) > FRESH_SECONDS):
                    self.verdict.warnings.append(f"{href} may be kept by caches: Cache-Control: {control}")
