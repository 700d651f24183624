"""Everything that a state of upstream promises: packages, records and deltas, those of repositories inside too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import RepodataError, UpstreamError
from mirrorpy.rpmmd.decode import open_decoded
from mirrorpy.rpmmd.delta import RECORD_TYPES, iter_deltas
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.primary import PrimaryCount, iter_primary
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.sync.snapshot import known_timestamp
from mirrorpy.sync.tree import placed, read_nested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from mirrorpy.rpmmd.model import Record, RemoteFile, Repomd
    from mirrorpy.store.generation import Generation
    from mirrorpy.sync.snapshot import Snapshot


def promised_files(
    repomd: Repomd, open_record: Callable[[Record], BinaryIO | None], warnings: list[str]
) -> Iterator[RemoteFile]:
    """Yield everything that a repository promises: records, packages, delta RPMs.

    open_record returns None for a record that is published without (allow_missing).

    Raises:
        UpstreamError: Metadata is malformed.
    """
    for record in repomd.records:
        yield record.file
    primary = repomd.record("primary")
    for record in repomd.records:
        if record is not primary and record.type not in RECORD_TYPES:
            continue
        source = open_record(record)
        if source is None:
            continue
        with source:
            stream = open_decoded(source, size=record.file.size or 0, open_size=record.open_size)
            try:
                if record is primary:
                    count = PrimaryCount()
                    yield from iter_primary(stream, count)
                    warnings.extend([count.warning] if count.warning else [])
                else:
                    yield from iter_deltas(stream, record.type)
            except UpstreamError as error:
                error.href = error.href or record.file.href
                raise


def tree_files(
    snapshot: Snapshot, open_record: Callable[[Record], BinaryIO | None], warnings: list[str]
) -> Iterator[RemoteFile]:
    """Yield everything that a snapshot's repositories promise, by its path in the whole tree.

    A repository and one inside it may promise a file with two algorithms; the outer one's holds.

    Raises:
        UpstreamError: Metadata is malformed.
    """
    outer: dict[str, str] = {}
    for file in () if snapshot.plain else promised_files(snapshot.repomd, open_record, warnings):
        if snapshot.nested:
            outer[file.path] = file.checksum.algorithm
        yield file
    for prefix, repomd in snapshot.nested.items():
        records = {record.file for record in repomd.records}
        for found in promised_files(repomd, open_record, warnings):
            file = found if found in records else placed(found, prefix)
            if outer.setdefault(file.path, file.checksum.algorithm) == file.checksum.algorithm:
                yield file


def doubt_nested(
    snapshot: Snapshot, published: Generation | None, now: float, *, lenient: bool, allow_rollback: bool
) -> Iterator[str]:
    """Compare the repositories inside with the published ones; yield what is wrong with one, where that is let pass.

    A malformed one promises nothing then: its files are mirrored as they are.

    Raises:
        UpstreamError: One is malformed, or older than what is published of it.
    """
    for path in sorted(path for path in snapshot.documents if path.endswith(f"/{REPOMD_HREF}")):
        try:
            _, repomd = read_nested(path, snapshot.documents[path])
        except UpstreamError as error:
            if not lenient:
                raise
            del snapshot.documents[path]
            yield f"{path}: {error.cause}: what it promises is mirrored unproved"
            continue
        newest = _published_timestamp(published, path, now)
        if 0 < repomd.timestamp < newest and not allow_rollback:
            if not lenient:
                hint = "run with --allow-rollback if it is meant to be"
                raise RepodataError("is older than what is published", href=path, hint=hint)
            yield f"{path}: is older than what was published"


def _published_timestamp(published: Generation | None, path: str, now: float) -> int:
    data = published.read(path) if published else None
    try:
        return known_timestamp(parse_repomd(data), now) if data else 0
    except UpstreamError:
        return 0
