"""What a repository's metadata promises, and everything that is wrong with the metadata itself.

Unlike a sync, which stops at the first fault, this goes on as far as the documents can be read at all.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy.errors import ChecksumMismatch, MirrorError, RepodataError, UpstreamError
from mirrorpy.plan import conflict
from mirrorpy.rpmmd.decode import Proof, verify_open
from mirrorpy.rpmmd.delta import RECORD_TYPES, iter_deltas
from mirrorpy.rpmmd.href import check_tree
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.model import Kind, Repomd
from mirrorpy.rpmmd.primary import PrimaryCount, iter_listed
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.sync.tree import Tree, placed
from mirrorpy.verify.report import Finding, FindingKind
from mirrorpy.verify.tree import iter_nested, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO, Protocol

    from mirrorpy.rpmmd.model import Nevra, Record, RemoteFile
    from mirrorpy.verify.report import Verdict

    class Source(Protocol):
        """Where the files of a repository are."""

        def read_index(self, path: str) -> bytes | None:
            """Return repomd.xml or a companion of it; None where there is none."""

        def open_record(self, record: Record) -> BinaryIO | None:
            """Return a record, whatever it holds; None where it cannot be had."""


@dataclass(slots=True)
class Promises:
    """What is promised, by path."""

    files: dict[str, RemoteFile] = field(default_factory=dict)
    nevras: dict[str, Nevra] = field(default_factory=dict)
    others: dict[str, Record] = field(default_factory=dict)
    """Records that list nothing: what they unpack to is still to be proved."""
    nested: set[str] = field(default_factory=set)
    """Folders of repositories inside the tree, with a slash."""
    documents: set[str] = field(default_factory=set)
    """What nobody promises and promises others, beside repomd.xml: .treeinfo."""
    complete: bool = False
    """Whether all metadata could be read; only then is anything else an orphan."""


def read_promises(source: Source, verdict: Verdict) -> Promises:
    """Read repomd.xml and what it lists; faults become findings."""
    promises = Promises()
    for _ in iter_promised(source, promises, verdict):
        pass
    return promises


def iter_promised(
    source: Source,
    promises: Promises,
    verdict: Verdict,
    *,
    plain: bool = False,
    inside: Iterable[str] = (),
    tree: bool = True,
) -> Iterator[RemoteFile]:
    """Read repomd.xml and what it lists, and yield each file once as soon as it is known; faults become findings.

    What else is known of a file stands in promises before it is yielded. A plain folder needs no repomd.xml. inside are
    folders of repositories besides those that .treeinfo names; a malformed one was published as it is, with a warning.
    Without tree .treeinfo is a file like any other.
    """
    repomd = Repomd(None, ()) if plain else _read_repomd(source, verdict)
    if repomd is None:
        return
    promises.complete = True
    yield from _read_repository(source, repomd, "", promises, verdict)
    found, promises.documents = read_tree(source, verdict) if tree else (Tree(), set())
    for prefix, nested in iter_nested(source, found.folders, set(inside), verdict):
        promises.nested.add(prefix)
        yield from _read_repository(source, nested, prefix, promises, verdict)
    for path, file in found.files.items():
        if path not in promises.files and _promise(promises, file, verdict):
            yield file
    try:
        check_tree(promises.files)
    except RepodataError as error:
        verdict.add(FindingKind.DUPLICATE, error.href or "", error.cause)


def _read_repository(
    source: Source, repomd: Repomd, prefix: str, promises: Promises, verdict: Verdict
) -> Iterator[RemoteFile]:
    listing = [record for record in repomd.records if _lists_files(record, repomd)]
    for record in repomd.records:
        if record not in listing:
            promises.others[record.file.path] = record
        if _promise(promises, record.file, verdict, inside=bool(prefix)):
            yield record.file
    for record in listing:
        yield from _read_record(source, record, prefix, promises, verdict)


def _read_repomd(source: Source, verdict: Verdict) -> Repomd | None:
    data = source.read_index(REPOMD_HREF)
    if data is None:
        verdict.add(FindingKind.MISSING, REPOMD_HREF, "is not there")
        return None
    try:
        return parse_repomd(data)
    except UpstreamError as error:
        verdict.findings.append(Finding.of(error, REPOMD_HREF))
        return None


def _lists_files(record: Record, repomd: Repomd) -> bool:
    return record is repomd.record("primary") or record.type in RECORD_TYPES


def check_content(record: Record, file: BinaryIO) -> Iterator[Finding]:
    """Prove what a record unpacks to."""
    size = file.seek(0, 2)
    file.seek(0)
    try:
        verify_open(record, file, size)
    except UpstreamError as error:
        yield Finding(FindingKind.METADATA, record.file.path, error.cause)


def _read_record(
    source: Source, record: Record, prefix: str, promises: Promises, verdict: Verdict
) -> Iterator[RemoteFile]:
    """Take what a record lists, and prove what it unpacks to; even the wrong bytes are read, to say more of them."""
    file = source.open_record(record)
    if file is None:
        promises.complete = False
        return
    with file:
        size = file.seek(0, 2)
        file.seek(0)
        proof = Proof(record, file, size=size)
        try:
            yield from _take(_listed(record, proof, verdict), prefix, promises, verdict)
        except UpstreamError as error:
            promises.complete = False
            verdict.findings.append(Finding.of(error, record.file.path))
        try:
            proof.conclude()
        except UpstreamError as error:
            # What does not unpack was said above.
            if isinstance(error, ChecksumMismatch):
                verdict.add(FindingKind.METADATA, record.file.path, error.cause)


def _listed(record: Record, stream: Proof, verdict: Verdict) -> Iterator[tuple[Nevra | None, RemoteFile | MirrorError]]:
    if record.type in RECORD_TYPES:
        yield from zip(itertools.repeat(None), iter_deltas(stream, record.type), strict=False)
        return
    count = PrimaryCount()
    yield from iter_listed(stream, count)
    verdict.warnings.extend([count.warning] if count.warning else [])


def _take(
    listed: Iterable[tuple[Nevra | None, RemoteFile | MirrorError]], prefix: str, promises: Promises, verdict: Verdict
) -> Iterator[RemoteFile]:
    for nevra, found in listed:
        file = found
        if prefix and not isinstance(file, MirrorError):
            try:
                file = placed(file, prefix)
            except UpstreamError as error:
                file = error
        if isinstance(file, MirrorError):
            verdict.findings.append(Finding.of(file, ""))
            continue
        if nevra is not None:
            promises.nevras.setdefault(file.path, nevra)
        if _promise(promises, file, verdict, inside=bool(prefix)):
            verdict.packages += file.kind is Kind.PACKAGE
            yield file


def _promise(promises: Promises, file: RemoteFile, verdict: Verdict, *, inside: bool = False) -> bool:
    """Take a promise; tell whether it is the first for its path. The same again is none, another is a finding.

    A repository inside another may promise a file with an algorithm of its own; then both are to be proved.
    """
    other = promises.files.setdefault(file.path, file)
    if other is file or (inside and other.checksum.algorithm != file.checksum.algorithm):
        return True
    why = conflict(other, file)
    if why is not None:
        verdict.add(FindingKind.DUPLICATE, file.path, why)
    return False
