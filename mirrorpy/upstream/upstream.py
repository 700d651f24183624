"""The upstream of one repository: where it is, its documents, and its files."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, TypeVar

from mirrorpy.errors import FetchError, MirrorError, NotFound, UpstreamError, redact
from mirrorpy.rpmmd.model import MirrorList
from mirrorpy.upstream.dates import parse_date
from mirrorpy.upstream.document import DOCUMENT_CAP, Answer, Document, answer_of, document_of
from mirrorpy.upstream.failover import try_mirrors
from mirrorpy.upstream.network import Throttle
from mirrorpy.upstream.session import Tally
from mirrorpy.upstream.transfer import Floor, Transfer
from mirrorpy.upstream.url import file_url, usable_mirrors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorpy.config.model import Repository
    from mirrorpy.rpmmd.listing import Listing
    from mirrorpy.rpmmd.model import RemoteFile
    from mirrorpy.upstream.network import Network
    from mirrorpy.upstream.request import Route
    from mirrorpy.upstream.transfer import Sink

T = TypeVar("T")
WHOLE = 128 * 1024
"""Bytes of a file that fits into one buffer, with its header."""

_HEAD_REFUSED = (400, 403, 405, 501)
_PAGE_ENDS = (b"</html>", b"</body>", b"</pre>")


class Upstream:
    """One repository's upstream; its mirrors are in this order, where that is known already."""

    def __init__(self, repo: Repository, network: Network, order: Sequence[str] | None = None) -> None:
        self._repo, self._network = repo, network
        self._session = network.session(repo.connection)
        self._named = repo.baseurls or tuple(url for url in (repo.metalink, repo.mirrorlist) if url)
        """What the configuration names: the secrets are for these hosts alone, not for those that upstream names."""
        self._throttles = [network.throttle, Throttle(repo.throttle)]
        self._rationed = any(throttle.rate for throttle in self._throttles)
        self._routes: dict[str, Route | None] = {}
        self._lock = threading.Lock()
        self.tally = Tally()
        self.mirrors = MirrorList(repo.baseurls)
        self._order = list(repo.baseurls if order is None else order)

    def resolve(self) -> None:
        """Find the mirrors, where the configuration names a list of them.

        Raises:
            FetchError: The list cannot be had.
            RepodataError: It is none, or names no mirror.
        """
        url = self._repo.metalink or self._repo.mirrorlist
        if url is None:
            return
        # Where the mirrors are known, nothing here needs lxml.
        from mirrorpy.rpmmd.mirrors import parse_mirrors  # noqa: PLC0415

        document = self.persist(lambda base: self._get(base, DOCUMENT_CAP, {}), [url])
        try:
            listed = parse_mirrors(document.data or b"", dict(self._repo.vars))
            self.mirrors = MirrorList(usable_mirrors(url, listed.baseurls), listed.pins)
        except UpstreamError as error:
            error.url = error.url or redact(url)
            raise
        self._order = list(self.mirrors.baseurls)

    @property
    def order(self) -> list[str]:
        """The base URLs, best first as far as this run knows."""
        with self._lock:
            return list(self._order)

    def prefer(self, base: str) -> None:
        """Ask this mirror first from now on."""
        with self._lock:
            self._order.sort(key=lambda other: other != base)

    def _demote(self, base: str, error: MirrorError) -> None:
        """Ask this mirror last from now on, if it is in trouble; one that lacks a file may have all others."""
        with self._lock:
            if len(self._order) > 1 and isinstance(error, FetchError) and error.retryable:
                self._order.sort(key=lambda other: other == base)

    def read(
        self,
        base: str,
        href: str,
        *,
        cap: int = DOCUMENT_CAP,
        etag: str | None = None,
        last_modified: str | None = None,
    ) -> Document:
        """Read a small file of one mirror, in one attempt; with a validator the answer may be `not modified`.

        Raises:
            FetchError: It cannot be had.
            UpstreamError: It is larger than cap.
        """
        conditions = {}
        if etag and etag.isascii():
            conditions["If-None-Match"] = etag
        if last_modified and last_modified.isascii():
            conditions["If-Modified-Since"] = last_modified
        return self._get(file_url(base, href), cap, conditions)

    def listing(self, base: str, href: str, *, cap: int | None = None) -> Listing:
        """Read what a mirror shows of one of its folders, in one attempt; the href of the base itself is empty.

        Raises:
            FetchError: It cannot be had, or not to its end.
            RepodataError: What comes is no listing, or has more entries than any folder.
            UpstreamError: It is larger than any listing.
        """
        # Few runs need it: they need not wait for another module of lxml's.
        from mirrorpy.rpmmd.listing import MAX_LISTING, Listing, parse_listing  # noqa: PLC0415
        from mirrorpy.upstream.folder import list_folder  # noqa: PLC0415

        url = file_url(base, f"{href}/" if href else "")
        if url.lower().startswith("file:"):
            self.tally.count_request()
            return Listing(list_folder(url))
        document = self._get(url, cap or MAX_LISTING, {})
        page = document.data or b""
        if not document.framed and not page.rstrip().lower().endswith(_PAGE_ENDS):
            raise FetchError("the listing has no end: it may have been cut", url=redact(url), retryable=True)
        return parse_listing(page, redact(url))

    def probe(
        self,
        href: str,
        location_base: str | None = None,
        *,
        quoted: bool = False,
        mirrors: Sequence[str] | None = None,
        shown: bool = False,
    ) -> Answer:
        """Ask after a file by HEAD, or by a range of one byte where HEAD is refused; a quoted href is sent as it is.

        Every mirror is asked until one has it, or just those that are given. Of a file that a listing shows, HEAD alone
        is not believed that it is not there.

        Raises:
            NotFound: No mirror has it.
            FetchError: No mirror answers.
        """

        def ask(base: str) -> Answer:
            url = f"{base.rstrip('/')}/{href}" if quoted else file_url(base, href, location_base)
            try:
                answer = self._ask(url, "HEAD", {})
            except FetchError as error:
                if error.status not in _HEAD_REFUSED and not (shown and isinstance(error, NotFound)):
                    raise
            else:
                if answer.size is not None:
                    return answer
            return self._ask(url, "GET", {"Range": "bytes=0-0"})

        return self.persist(ask, mirrors)

    def _ask(self, url: str, method: str, headers: dict[str, str]) -> Answer:
        with self._session.open(url, headers, named=self._named, tally=self.tally, method=method) as response:
            return answer_of(response.headers)

    @property
    def _route(self) -> Route | None:
        """How files are requested straight from the best mirror."""
        with self._lock:
            base = self._order[0] if self._order else ""
        if base not in self._routes:
            self._routes[base] = self._session.route(base, self._named)
        return self._routes[base]

    @property
    def far(self) -> bool:
        """Whether upstream is so far away that it pays to say which files are fetched next."""
        return (route := self._route) is not None and self._session.far(route)

    @property
    def trip(self) -> float:
        """How long upstream's answers took, at best, in seconds; 0 where that is not known."""
        return 0.0 if (route := self._route) is None else self._session.trip(route)

    def settle(self, *, last: bool) -> None:
        """Say that this thread does not fetch the file that did not come `whole`; last is, nor any other for now."""
        self._session.settle(last=last)

    def leave(self) -> None:
        """Say that this thread fetches nothing more for now; what it was to fetch next is not waited for."""
        self._session.leave()

    @property
    def near(self) -> bool:
        """Whether upstream is so near that small files may come `whole`."""
        return not self._rationed and (route := self._route) is not None and self._session.near(route)

    def whole(self, files: Sequence[RemoteFile], take: Callable[[RemoteFile, memoryview, float | None], bool]) -> None:
        """Bring small files, as long as they come at once: take gets each one's bytes, valid in there alone, and time.

        Ends at the first that is to be fetched with more care: it does not come so, take refuses it, or nothing is
        known of its mirror.
        """
        route, small = self._route, list(itertools.takewhile(is_small, files))
        if route is None or not small or self._rationed:
            return
        turn = iter(small)

        def given(body: memoryview, modified: str) -> bool:
            taken = take(next(turn), body, parse_date(modified))
            if taken:
                self.tally.count_request()
            return taken

        self._session.whole(route, [file.href for file in small], [file.size or 0 for file in small], given)

    def fetch(self, sink: Sink, received: Callable[[int], None], ahead: Sequence[RemoteFile] = ()) -> None:
        """Bring a file into its sink, from whichever mirror has it; those ahead are what this thread will fetch next.

        Raises:
            NotFound: No mirror has it.
            FetchError: It cannot be had.
            ChecksumMismatch: What can be had is something else.
            UnsafeHref: Its `xml:base` leads to no place that may be asked.
        """
        file = sink.file
        transfer = Transfer(
            self._session,
            self.tally,
            sink,
            named=self._named,
            minrate=self._repo.minrate,
            throttles=self._throttles,
            received=received,
        )
        following = [other.href for other in ahead if other.location_base is None and file.location_base is None]

        def attempt(base: str) -> None:
            url = file_url(base, file.href, file.location_base)
            transfer.attempt(url, [file_url(base, href) for href in following])

        try:
            self.persist(attempt)
        except MirrorError as error:
            error.href = file.href
            raise

    def persist(self, action: Callable[[str], T], baseurls: Sequence[str] | None = None) -> T:
        """Try an action with each mirror's base URL, with retries, as `try_mirrors` does."""
        return try_mirrors(
            self.order if baseurls is None else baseurls,
            action,
            retries=self._repo.retries,
            patience=self._network.patience,
            retried=self.tally.count_retry,
            failed=self._demote,
        )

    def _get(self, url: str, cap: int, conditions: dict[str, str]) -> Document:
        with self._session.open(url, conditions, named=self._named, tally=self.tally) as response:
            return document_of(response, url, cap, Floor(self._repo.minrate, redact(url)), conditional=bool(conditions))


def is_small(file: RemoteFile) -> bool:
    """Whether a file may come `whole`."""
    return file.size is not None and 0 < file.size <= WHOLE and file.location_base is None
