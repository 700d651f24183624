"""One state of upstream: which repomd.xml to follow, and from which mirror."""

from __future__ import annotations

import hashlib
import itertools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy.errors import (
    ChecksumMismatch,
    FetchError,
    MirrorError,
    NotFound,
    RepodataError,
    SignatureError,
    UpstreamError,
    redact,
)
from mirrorpy.rpmmd.href import INDEX_FILES, SIGNATURE_HREF
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.model import Repomd
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.upstream.dates import parse_date
from mirrorpy.upstream.document import SIGNATURE_CAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirrorpy.upstream import Document, Upstream

CLOCK_SLACK = 86400
"""Seconds that upstream's clock may be ahead; a time further off is not remembered as the newest seen."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """The published state, and what lets a server say that it did not change; the base URL is without secrets."""

    data: bytes | None = None
    timestamp: int = 0
    base: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    signed: bool = False
    """Whether a signature is published with it."""


@dataclass(slots=True)
class Snapshot:
    """One repomd.xml that is to be followed."""

    base: str
    data: bytes
    repomd: Repomd
    changed: bool
    """Whether it differs from the published one."""
    document: Document | None = None
    """The server's answer, for its validators."""
    indexes: dict[str, bytes] = field(default_factory=dict)
    """repomd.xml's signature and key, by path, where upstream has them."""
    warnings: list[str] = field(default_factory=list)
    documents: dict[str, bytes] = field(default_factory=dict)
    """What else promises files, by path: .treeinfo, the repomd.xml of a repository inside the tree."""
    nested: dict[str, Repomd] = field(default_factory=dict)
    """Repositories inside the tree, by folder, their records' paths as of the whole tree."""
    unsigned_yet: bool = False
    """Whether its signature seems to be still to come: older than repomd.xml, or gone where there was one."""

    @property
    def sha256(self) -> str:
        """The digest of repomd.xml."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def plain(self) -> bool:
        """Whether it is a folder of which only a listing tells, without a repomd.xml of its own."""
        return not self.data

    @property
    def lagging(self) -> bool:
        """Whether it is the published state, because every mirror is older."""
        return self.document is None and not self.plain

    @property
    def published_indexes(self) -> dict[str, bytes]:
        """The files that a generation has of its own."""
        return {} if self.plain else {REPOMD_HREF: self.data, **self.indexes}

    @property
    def whole(self) -> Repomd:
        """The records of all its repositories, as if they were one."""
        records = itertools.chain(self.repomd.records, *(repomd.records for repomd in self.nested.values()))
        return Repomd(self.repomd.revision, tuple(records))


def known_timestamp(repomd: Repomd, now: float) -> int:
    """Return when upstream made a state; 0 where it does not say, or says a time in the future."""
    return repomd.timestamp if repomd.timestamp <= now + CLOCK_SLACK else 0


def read_snapshot(
    upstream: Upstream,
    known: Known,
    check: Callable[[Snapshot], None],
    *,
    allow_rollback: bool,
    with_indexes: bool,
    or_plain: bool = False,
) -> Snapshot:
    """Find the state of upstream to follow, mirror by mirror.

    A mirror whose repomd.xml is older than the published one, or not one that the metalink vouches for, is passed over.
    Where all are older, the answer is the published state itself, with a warning. The signature of a new state comes
    from the same mirror, at once: a moment later it may be another state's. check may refuse it. or_plain takes a
    folder without a repomd.xml, if none is published either.

    Raises:
        FetchError: No mirror gave a repomd.xml.
        UpstreamError: Those that gave one gave a bad one.
        SignatureError: check refused what they gave.
    """
    lagging: list[str] = []

    def ask(base: str) -> Snapshot:
        same = known.data is not None and redact(base) == known.base
        document = upstream.read(
            base,
            REPOMD_HREF,
            etag=known.etag if same else None,
            last_modified=known.last_modified if same else None,
        )
        data = known.data if document.data is None else document.data
        if data is None:
            raise FetchError("says `not modified` to a first question", url=document.url)
        try:
            snapshot = Snapshot(base, data, parse_repomd(data), data != known.data, document)
            _check_mirror(snapshot, upstream, known, lagging, allow_rollback=allow_rollback)
        except UpstreamError as error:
            error.url = error.url or document.url
            raise
        if with_indexes and snapshot.changed:
            read_indexes(upstream, snapshot)
            snapshot.unsigned_yet = snapshot.unsigned_yet or (known.signed and not snapshot.indexes)
            check(snapshot)
        return snapshot

    try:
        snapshot = upstream.persist(ask)
    except (FetchError, UpstreamError, SignatureError) as error:
        if or_plain and known.data is None and isinstance(error, NotFound):
            return Snapshot(upstream.order[0], b"", Repomd(None, ()), changed=False)
        if not lagging or known.data is None:
            raise
        warning = f"upstream is older than what is published and is not taken: {'; '.join(dict.fromkeys(lagging))}"
        published = parse_repomd(known.data)
        return Snapshot(known.base or lagging[0], known.data, published, changed=False, warnings=[warning])
    upstream.prefer(snapshot.base)
    return snapshot


def _check_mirror(
    snapshot: Snapshot, upstream: Upstream, known: Known, lagging: list[str], *, allow_rollback: bool
) -> None:
    """Refuse a mirror that is behind."""
    pins = upstream.mirrors.pins
    behind = bool(known.timestamp) and snapshot.repomd.timestamp < known.timestamp and bool(snapshot.repomd.timestamp)
    vouched = not pins or any(pin.matches(snapshot.data) for pin in pins)
    if vouched and (not behind or allow_rollback):
        return
    if known.data is not None and (behind or not snapshot.changed):
        lagging.append(redact(snapshot.base))
    if vouched:
        raise RepodataError("is older than what is published")
    raise ChecksumMismatch("is not a repomd.xml that the metalink vouches for")


def read_indexes(upstream: Upstream, snapshot: Snapshot) -> None:
    """Fetch repomd.xml's signature, and its key if it has one; many repositories have neither.

    Raises:
        FetchError: The server neither gives them nor says that it does not have them.
        UpstreamError: One is absurdly large.
    """
    for href in INDEX_FILES[1:]:
        document = _optional(upstream, snapshot.base, href)
        if document is None or document.data is None:
            return
        snapshot.indexes[href] = document.data
        if href == SIGNATURE_HREF and snapshot.document is not None:
            snapshot.unsigned_yet = _older(document, snapshot.document)


def _older(signature: Document, signed: Document) -> bool:
    """Tell whether a signature was made before what it signs, as its publisher tells it."""
    one, other = parse_date(signature.last_modified), parse_date(signed.last_modified)
    return one is not None and other is not None and one < other


def _optional(upstream: Upstream, base: str, href: str) -> Document | None:
    try:
        document = upstream.read(base, href, cap=SIGNATURE_CAP)
    except FetchError as error:
        if error.retryable:
            raise
        return None
    data = document.data or b""
    # Some servers answer everything with a page.
    return None if not data or data.lstrip()[:1] == b"<" else document


def any_moved(upstream: Upstream, snapshot: Snapshot) -> bool:
    """Tell whether any document that promises files is another one by now."""
    documents = snapshot.documents if snapshot.plain else {REPOMD_HREF: snapshot.data, **snapshot.documents}
    return any(has_moved(upstream, snapshot.base, data, href) for href, data in documents.items())


def has_moved(upstream: Upstream, base: str, data: bytes | None, href: str = REPOMD_HREF) -> bool:
    """Tell whether a mirror's repomd.xml, or another document, is another one by now; no answer is no."""
    try:
        document = upstream.persist(lambda mirror: upstream.read(mirror, href), [base])
    except MirrorError as error:
        logger.debug("%s", error)
        return False
    return document.data is not None and document.data != data
