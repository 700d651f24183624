"""Files that nobody promises: asked for, brought where they changed, and kept under the checksum that they have."""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from mirrorpy.errors import FetchError, MirrorError, NotFound, RepodataError, UpstreamError, redact
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store.beside import BesideState, Witness, read_beside, write_beside
from mirrorpy.store.durable import translated
from mirrorpy.store.incoming import UNKNOWN_SIZE_CAP
from mirrorpy.store.pool import KEY_ALGORITHM
from mirrorpy.store.probe import check_space
from mirrorpy.store.unproved import Unproved, clear_abandoned, stand_in
from mirrorpy.sync.fill import COMMIT_BYTES, COMMIT_FILES
from mirrorpy.sync.parallel import unordered
from mirrorpy.upstream.transfer import parse_date
from mirrorpy.upstream.upstream import DOCUMENT_CAP, SIGNATURE_CAP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from mirrorpy.store.layout import Layout, RepoLayout
    from mirrorpy.store.pool import Pool
    from mirrorpy.sync.fill import Filler
    from mirrorpy.upstream import Upstream
    from mirrorpy.upstream.upstream import Answer, Document

PAGES = frozenset({"html", "htm", "xhtml", "shtml"})
"""Any suffix of what may be HTML; anything else that is, is a server's way to say that it has no such file."""
READ_CAP = 256 * 1024**2
"""Bytes of all the small files that are in memory at once."""
_PAGE = "is a page in place of the file"
_START = 1024
"""Bytes that tell a page."""
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
        self._state = read_beside(own.beside)
        self._witnesses: dict[str, Witness] = {}
        """What the state is to be after this run."""
        self._due: dict[str, Answer] = {}
        self._asked: set[str] = set()
        self._listed: Collection[str] = ()
        self._bytes_read, self._lock = 0, threading.Lock()
        self._base = self._repomd = ""
        self.files: dict[str, RemoteFile] = {}
        """What is there, by path; under a stand-in's checksum until it is brought."""
        self.absent: set[str] = set()
        self.warnings: list[str] = []

    def begin(self, base: str, repomd_sha256: str) -> None:
        """Start from nothing, for one state of one mirror; where that has no repomd.xml, nothing is known absent."""
        self._base, self._repomd = base, repomd_sha256
        self._listed, self._bytes_read = (), 0
        for found in (self._witnesses, self._due, self._asked, self.files, self.absent, self.warnings):
            found.clear()

    @property
    def remembered(self) -> AbstractSet[str]:
        """The paths that were there in the last run."""
        return self._state.files.keys()

    def believe(self, listed: Collection[str]) -> None:
        """Take files as they are, pages too: a listing shows them."""
        self._listed = listed

    def keep(self, published: Iterable[RemoteFile]) -> None:
        """Take published files as they are, with what is known of them, without asking."""
        for file in published:
            witness = self._here(file.path)
            if witness is not None and _key(witness) == file.checksum:
                self._witnesses[file.path] = witness
            self.files[file.path] = file

    def _known_absent(self, href: str) -> bool:
        """Tell whether a file was not there when this repomd.xml was followed before."""
        return self._state.repomd_sha256 == self._repomd != "" and href in self._state.absent

    # Small files that promise others

    def read(self, hrefs: Iterable[str]) -> dict[str, bytes]:
        """Read small files, those that are here with a conditional request; what upstream has not is left out.

        What was not there is asked for again where repomd.xml changed.

        Raises:
            FetchError: Upstream neither gives one nor says that it does not have it.
            UpstreamError: One is absurdly large, or all of them are.
        """
        due = sorted(set(hrefs))
        wanted = [href for href in due if not self._known_absent(href)]
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
        witness = self._here(href)
        cap = SIGNATURE_CAP if href.endswith((".asc", ".key")) else DOCUMENT_CAP

        def ask(base: str) -> Document:
            if witness is None or base != self._base or witness.base != redact(base):
                document = self._upstream.read(base, href, cap=cap)
            else:
                etag, modified = witness.etag, witness.last_modified
                document = self._upstream.read(base, href, cap=cap, etag=etag, last_modified=modified)
            if witness is not None and document.data is not None and _is_page(document.data, href):
                hint = "if upstream has it no longer, sync once without it, as with `tree: false`"
                raise FetchError(_PAGE, url=document.url, hint=hint)
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
            witness = self._state.files[href]
            self._keep(href, witness)
            with translated("cannot read"), open(self._pool.path(_key(witness)), "rb") as file:
                return file.read()
        if _is_page(data, href):
            return None
        if self._dry_run:
            checksum = Checksum(KEY_ALGORITHM, hashlib.sha256(data).hexdigest())
            self.files[href] = RemoteFile(href, checksum, len(data), Kind.EXTRA)
            return data
        unproved = Unproved(self._own.incoming, href)
        unproved.write(data)
        unproved.finish(parse_date(document.last_modified))
        validators = (None, None) if document.racy else (document.etag, document.last_modified)
        self._land(unproved, *validators)
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
            witness = self._here(href)
            if isinstance(answer, MirrorError):
                self._warn(href, witness, answer)
            elif answer is None:
                self.absent.add(href)
                continue
            elif witness is None or not _is_same(witness, answer, redact(self._base)):
                self._due[href] = answer
                self.files[href] = stand_in(href, answer.size)
                continue
            if witness is not None:
                self._keep(href, witness)

    def _warn(self, href: str, witness: Witness | None, error: MirrorError) -> None:
        what = "is not brought up to date" if witness else "is left out"
        self.warnings.append(f"{href} {what}: {error.cause}")

    def _probe(self, href: str) -> tuple[str, Answer | MirrorError | None]:
        witness = self._here(href)
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
            return href, FetchError(_PAGE) if witness else None
        if (answer.size or 0) > UNKNOWN_SIZE_CAP:
            return href, UpstreamError(f"is said to have {answer.size} bytes, more than {UNKNOWN_SIZE_CAP}")
        return href, answer

    def _ask(self, href: str, bases: Sequence[str]) -> Answer:
        return self._upstream.probe(href, mirrors=bases, shown=href in self._listed)

    def _may_be_page(self, href: str) -> bool:
        suffixes = href.rpartition("/")[2].lower().split(".")[1:]
        return href in self._listed or not PAGES.isdisjoint(suffixes)

    def bring(self) -> None:
        """Download what changed.

        Raises:
            MirrorError: One of them cannot be had; what came is kept.
        """
        if self._dry_run:
            return
        self.commit()
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
                    self._land(result, *((answer.etag, answer.last_modified) if sure else (None, None)))
                    pending, files = pending + result.size, files + 1
                if pending >= COMMIT_BYTES or files >= COMMIT_FILES:
                    self.commit()
                    pending = files = 0
        finally:
            self.commit()
            self._due.clear()
        if failed is not None:
            raise failed

    def _leave(self, href: str, error: MirrorError) -> None:
        """Go on with one file as it was, or without it."""
        witness = self._here(href)
        self._warn(href, witness, error)
        if witness is None:
            del self.files[href]
        else:
            self._keep(href, witness)

    def _fetch(self, href: str, *, again: bool = True) -> tuple[str, Unproved | MirrorError]:
        """Download a file, once more where it is not as long as the server says, even when asked anew."""
        unproved = Unproved(self._own.incoming, href)
        try:
            self._upstream.fetch(unproved, self._filler.received)
            if not self._may_be_page(href) and _is_html(unproved.path):
                raise FetchError(_PAGE, status=200)
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

    # What is here

    def _here(self, href: str) -> Witness | None:
        witness = self._state.files.get(href)
        return witness if witness is not None and self._pool.holds(_key(witness), witness.size) else None

    def _keep(self, href: str, witness: Witness) -> None:
        self._witnesses[href] = witness
        self.files[href] = RemoteFile(href, _key(witness), witness.size, Kind.EXTRA)

    def _land(self, unproved: Unproved, etag: str | None, last_modified: str | None) -> None:
        """Hand a file to the pool, unless the pool has it: a published file stays the pool's own."""
        base = redact(self._base)
        self._keep(unproved.file.href, Witness(unproved.key.value, unproved.size, base, etag, last_modified))
        if self._pool.holds(unproved.key, unproved.size):
            unproved.discard()
        else:
            self._filler.take(unproved)

    def commit(self) -> None:
        """Make durable what came, and what is known of it, so that a killed run does not bring it once more."""
        if self._dry_run or not self._witnesses:
            return
        self._filler.commit()
        self._state.files.update(self._witnesses)
        write_beside(self._own.beside, self._state)

    def remember(self) -> None:
        """Write down what is known of all files that are there, and of nothing else."""
        state = BesideState(repomd_sha256=self._repomd, absent=sorted(self.absent), files=dict(self._witnesses))
        if state != read_beside(self._own.beside):
            write_beside(self._own.beside, state)


def _key(witness: Witness) -> Checksum:
    return Checksum(KEY_ALGORITHM, witness.key)


def _is_same(witness: Witness, answer: Answer, base: str) -> bool:
    """Tell whether a file is the one that came: by its ETag, or else by size and time, as rsync does.

    Mirrors of one file call its versions by different ETags; one server does not.
    """
    if witness.etag and answer.etag and witness.base == base:
        return witness.etag == answer.etag
    timed = witness.last_modified is not None and witness.last_modified == answer.last_modified
    return timed and witness.size == answer.size


def _is_html(path: str) -> bool:
    with translated("cannot read a download"), open(path, "rb") as file:
        return file.read(_START).lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _is_page(data: bytes, href: str) -> bool:
    """Tell whether what came is a page that says that the file is not there."""
    start = data[:_START].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html") if href.endswith(".xml") else b"<")
