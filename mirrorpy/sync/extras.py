"""Files that nobody promises: asked for, brought where they changed, and kept under the checksum that they have."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from mirrorpy.errors import FetchError, MirrorError, NotFound, RepodataError, UpstreamError, redact
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store.durable import translated
from mirrorpy.store.incoming import UNKNOWN_SIZE_CAP
from mirrorpy.store.pool import KEY_ALGORITHM
from mirrorpy.store.probe import check_space
from mirrorpy.store.unproved import Unproved, clear_abandoned, stand_in
from mirrorpy.sync.fill import COMMIT_BYTES, COMMIT_FILES
from mirrorpy.sync.pages import PAGE, is_html, is_page, may_be_page
from mirrorpy.sync.parallel import unordered
from mirrorpy.sync.witnesses import Witnesses, is_same, key_of
from mirrorpy.upstream.dates import parse_date
from mirrorpy.upstream.document import DOCUMENT_CAP, SIGNATURE_CAP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from mirrorpy.store.beside import Witness
    from mirrorpy.store.layout import Layout, RepoLayout
    from mirrorpy.store.pool import Pool
    from mirrorpy.sync.fill import Filler
    from mirrorpy.upstream import Upstream
    from mirrorpy.upstream.document import Answer, Document

READ_CAP = 256 * 1024**2
"""Bytes of all the small files that are in memory at once."""
logger = logging.getLogger(__name__)


class Extras:
    """One repository's files without a promise, in one run; `files` is what is known of them so far."""

    def __init__(
        self,
        upstream: Upstream,
        pool: Pool,
        layout: Layout,
        own: RepoLayout,
        filler: Filler,
        *,
        width: int,
        dry_run: bool,
    ) -> None:
        self._upstream, self._pool, self._layout, self._own, self._filler = upstream, pool, layout, own, filler
        self._width, self._dry_run = width, dry_run
        self._known = Witnesses(pool, own, filler, dry_run=dry_run)
        self._due: dict[str, Answer] = {}
        self._asked: set[str] = set()
        self._listed: Collection[str] = ()
        self._bytes_read, self._lock = 0, threading.Lock()
        self._base = ""
        self.files, self.absent = self._known.files, self._known.absent
        self.warnings: list[str] = []

    def begin(self, base: str, repomd_sha256: str) -> None:
        """Start from nothing, for one state of one mirror; where that has no repomd.xml, nothing is known absent."""
        self._base = base
        self._known.begin(base, repomd_sha256)
        self._listed, self._bytes_read = (), 0
        for found in (self._due, self._asked, self.warnings):
            found.clear()

    @property
    def remembered(self) -> AbstractSet[str]:
        """The paths that were there in the last run."""
        return self._known.remembered

    def believe(self, listed: Collection[str]) -> None:
        """Take files as they are, pages too: a listing shows them."""
        self._listed = listed

    def keep(self, published: Iterable[RemoteFile]) -> None:
        """Take published files as they are, with what is known of them, without asking."""
        self._known.keep_published(published)

    def read(self, hrefs: Iterable[str]) -> dict[str, bytes]:
        """Read small files, those that are here with a conditional request; what upstream has not is left out.

        What was not there is asked for again where repomd.xml changed.

        Raises:
            FetchError: Upstream neither gives one nor says that it does not have it.
            UpstreamError: One is absurdly large, or all of them are.
        """
        due = sorted(set(hrefs))
        wanted = [href for href in due if not self._known.known_absent(href)]
        self.absent.update(set(due) - set(wanted))
        found: dict[str, bytes] = {}
        for href, document in unordered(wanted, self._read, max(1, min(self._width, len(wanted)))):
            data = None if document is None else self._take(href, document)
            if data is None:
                self.absent.add(href)
            else:
                found[href] = data
        return found

    def _read(self, href: str) -> tuple[str, Document | None]:
        witness = self._known.here(href)
        cap = SIGNATURE_CAP if href.endswith((".asc", ".key")) else DOCUMENT_CAP

        def ask(base: str) -> Document:
            if witness is None or base != self._base or witness.base != redact(base):
                document = self._upstream.read(base, href, cap=cap)
            else:
                etag, modified = witness.etag, witness.last_modified
                document = self._upstream.read(base, href, cap=cap, etag=etag, last_modified=modified)
            if witness is not None and document.data is not None and is_page(document.data, href):
                hint = "if upstream has it no longer, sync once without it, as with `tree: false`"
                raise FetchError(PAGE, url=document.url, hint=hint)
            # What another mirror calls this version means nothing to the one that is followed.
            return document if base == self._base else replace(document, etag=None, last_modified=None)

        try:
            document = self._upstream.persist(ask, self._bases(witness))
        except FetchError as error:
            # Some servers forbid what they do not have; but what was there does not go that way.
            if error.retryable or (witness is not None and not isinstance(error, NotFound)):
                error.href = href
                raise
            return href, None
        with self._lock:
            self._bytes_read += len(document.data or b"")
            if self._bytes_read > READ_CAP:
                raise RepodataError(f"more than {READ_CAP} bytes promise files beside it", url=redact(self._base))
        return href, document

    def _bases(self, witness: Witness | None) -> list[str]:
        """Return whom to ask: for what is here all mirrors, before it is believed that it is gone."""
        others = [] if witness is None else [base for base in self._upstream.order if base != self._base]
        return [self._base, *others]

    def _take(self, href: str, document: Document) -> bytes | None:
        """Keep a small file that is in memory; None where it is a page in its place."""
        data = document.data
        if data is None:
            witness = self._known.last(href)
            self._known.keep(href, witness)
            with translated("cannot read"), open(self._pool.path(key_of(witness)), "rb") as file:
                return file.read()
        if is_page(data, href):
            return None
        if self._dry_run:
            checksum = Checksum.of(KEY_ALGORITHM, data)
            self.files[href] = RemoteFile(href, checksum, len(data), Kind.EXTRA)
            return data
        unproved = Unproved(self._own.incoming, href)
        unproved.write(data)
        unproved.finish(parse_date(document.last_modified))
        validators = (None, None) if document.racy else (document.etag, document.last_modified)
        self._known.land(unproved, *validators)
        return data

    # Files of any size

    def ask(self, hrefs: Iterable[str]) -> None:
        """Ask upstream whether files are there, and what changed.

        Raises:
            FetchError: It does not answer.
        """
        wanted = sorted(set(hrefs) - self._asked - self.files.keys())
        self._asked.update(wanted)
        for href, answer in unordered(wanted, self._probe, max(1, min(self._width, len(wanted)))):
            witness = self._known.here(href)
            if isinstance(answer, MirrorError):
                self._warn(href, witness, answer)
            elif answer is None:
                self.absent.add(href)
                continue
            elif witness is None or not is_same(witness, answer, redact(self._base)):
                self._due[href] = answer
                self.files[href] = stand_in(href, answer.size)
                continue
            if witness is not None:
                self._known.keep(href, witness)

    def _warn(self, href: str, witness: Witness | None, error: MirrorError) -> None:
        what = "is not brought up to date" if witness else "is left out"
        self.warnings.append(f"{href} {what}: {error.cause}")

    def _probe(self, href: str) -> tuple[str, Answer | MirrorError | None]:
        witness = self._known.here(href)
        try:
            answer = self._ask(href, [self._base])
        except NotFound:
            if len(bases := self._bases(witness)) == 1:
                return href, None
            try:
                answer = self._ask(href, bases[1:])
            except FetchError as error:
                return href, None if isinstance(error, NotFound) else error
        except FetchError as error:
            if error.retryable:
                raise
            return href, error
        if answer.is_page and not self._may_be_page(href):
            return href, FetchError(PAGE) if witness else None
        if (answer.size or 0) > UNKNOWN_SIZE_CAP:
            return href, UpstreamError(f"is said to have {answer.size} bytes, more than {UNKNOWN_SIZE_CAP}")
        return href, answer

    def _ask(self, href: str, bases: Sequence[str]) -> Answer:
        return self._upstream.probe(href, mirrors=bases, shown=href in self._listed)

    def _may_be_page(self, href: str) -> bool:
        return href in self._listed or may_be_page(href)

    def bring(self) -> None:
        """Download what changed.

        Raises:
            MirrorError: One of them cannot be had; what came is kept.
        """
        if self._dry_run:
            return
        self._known.commit()
        clear_abandoned(self._own.incoming)
        check_space(self._layout, sum(answer.size or 0 for answer in self._due.values()))
        failed: MirrorError | None = None
        pending = files = 0
        try:
            for href, result in unordered(sorted(self._due), self._fetch, max(1, min(self._width, len(self._due)))):
                if isinstance(result, NotFound):
                    del self.files[href]
                    self.absent.add(href)
                elif isinstance(result, FetchError) and result.status is not None and not result.retryable:
                    self._leave(href, result)
                elif isinstance(result, MirrorError):
                    failed = failed or result
                else:
                    answer = self._due[href]
                    # What is not as it was described has changed meanwhile, and has to be asked for again.
                    sure = not (answer.racy and answer.last_modified) and answer.size in (None, result.size)
                    self._known.land(result, *((answer.etag, answer.last_modified) if sure else (None, None)))
                    pending, files = pending + result.size, files + 1
                if pending >= COMMIT_BYTES or files >= COMMIT_FILES:
                    self._known.commit()
                    pending = files = 0
        finally:
            self._known.commit()
            self._due.clear()
        if failed is not None:
            raise failed

    def _leave(self, href: str, error: MirrorError) -> None:
        """Go on with one file as it was, or without it."""
        witness = self._known.here(href)
        self._warn(href, witness, error)
        if witness is None:
            del self.files[href]
        else:
            self._known.keep(href, witness)

    def _fetch(self, href: str, *, again: bool = True) -> tuple[str, Unproved | MirrorError]:
        """Download a file, once more where it is not as long as the server says, even when asked anew."""
        unproved = Unproved(self._own.incoming, href)
        try:
            self._upstream.fetch(unproved, self._filler.received)
            if not self._may_be_page(href) and is_html(unproved.path):
                raise FetchError(PAGE, status=200)
            if self._due[href].size not in (None, unproved.size):
                said = self._ask(href, [self._base]).size
                if said not in (None, unproved.size):
                    if again:
                        unproved.discard()
                        return self._fetch(href, again=False)
                    raise FetchError(f"came with {unproved.size} bytes, and should have {said}", status=200)
        except (FetchError, UpstreamError) as error:
            logger.info("%s", error.message)
            unproved.discard()
            return href, error
        finally:
            unproved.close()
        return href, unproved

    def remember(self) -> None:
        """Keep what is known for the next run."""
        self._known.remember()
