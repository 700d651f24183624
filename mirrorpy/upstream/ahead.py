"""Lines: a connection for each thread, on which its next requests are sent before their turn (RFC 9112, 9.3.2; ADR 12).

Answers may be mixed up by a server that does not bear that. So a line is for files alone that a checksum proves, an
answer other than 200 is not believed, and nobody else gets the connection afterwards, unless every answer was proved.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Generic, TypeVar

from mirrorpy.upstream.answer import Unusual
from mirrorpy.upstream.body import Broken
from mirrorpy.upstream.wire import Stale

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorpy.upstream.answer import Answer
    from mirrorpy.upstream.wire import Take, Wire

S = TypeVar("S")
FAR = 0.005
"""Seconds from a request to its answer's first byte, from which on waiting for each costs more than small files do."""
NOT_THERE = (404, 410)
STRIKES = 2
"""Connections that a server may lose."""


class Lines(Generic[S]):
    """The lines of all threads; S is what tells servers apart."""

    def __init__(self) -> None:
        self._lines: dict[int, tuple[S, Wire]] = {}
        self._trips: dict[S, float] = {}
        self._doubtful: set[int] = set()
        """Threads whose last answer came over a line."""
        self._refused: set[S] = set()
        self._strikes: Counter[S] = Counter()

    def measure(self, server: S, trip: float) -> None:
        """Note how long a server's answer took, at best."""
        if trip:
            self._trips[server] = min(self._trips.get(server, trip), trip)

    def far(self, server: S) -> bool:
        """Whether it pays to ask a server ahead, as far as it bears that."""
        return self.trip(server) >= FAR and self.bears(server)

    def trip(self, server: S) -> float:
        """Return how long a server's answer took, at best; 0 where that is not known."""
        return self._trips.get(server, 0.0)

    def near(self, server: S) -> bool:
        """Whether a server is known to be so near that waiting for its answers costs less than reading them."""
        return 0.0 < self.trip(server) < FAR

    def bears(self, server: S) -> bool:
        """Whether a server may be asked ahead, as far as is known."""
        return server not in self._refused

    def trust(self) -> None:
        """Say that this thread asks for one thing alone."""
        self._doubtful.discard(threading.get_ident())

    def doubt(self, server: S) -> bool:
        """Ask a server one thing at a time from now on, if this thread's last answer may have been another's."""
        doubtful = threading.get_ident() in self._doubtful
        if doubtful:
            self._refused.add(server)
        return doubtful

    @property
    def busy(self) -> bool:
        """Whether this thread waits for answers."""
        line = self._lines.get(threading.get_ident())
        return line is not None and line[1].waiting > 0

    def ask(
        self, server: S, request: bytes, following: Sequence[bytes], connection: Callable[[], Wire]
    ) -> Answer | None:
        """Return a good answer that came over this thread's line; None where it has to be asked for alone.

        Raises:
            Broken: No connection can be made.
            LocalError: This machine has no descriptor left for one.
        """
        wire = self._line(server, request)
        if wire is None:
            if not following or not self.far(server):
                return None
            wire = connection()
            self._lines[threading.get_ident()] = server, wire
        try:
            answer = wire.ask(request, bodiless=False, ahead=following if self.far(server) else ())
        except (Stale, Broken) as error:
            self._lose(server, wire, hopeless=isinstance(error, Broken))
            return None
        except BaseException as error:
            self.leave()
            if isinstance(error, Unusual):
                self._refused.add(server)
                return None
            raise
        if answer.status_code == 200:
            self._doubtful.add(threading.get_ident())
            return answer
        self.leave()
        if answer.status_code not in NOT_THERE:
            self._refused.add(server)
        return None

    def run(self, server: S, wire: Wire, requests: Sequence[bytes], sizes: Sequence[int], take: Take) -> bool:
        """Ask for files over a connection that is this thread's line from now on; whether it can be anybody's again."""
        self.leave()
        self._lines[threading.get_ident()] = server, wire
        try:
            reusable = wire.run(requests, sizes, take)
        except Stale:
            self._lose(server, wire, hopeless=False)
            return False
        except BaseException:
            self.leave()
            raise
        if reusable:
            del self._lines[threading.get_ident()]
        elif not wire.waiting:
            self.leave()
        return reusable

    def _line(self, server: S, request: bytes) -> Wire | None:
        """Return this thread's line if this is what it expects next; any other is closed."""
        known, wire = self._lines.get(threading.get_ident(), (server, None))
        if wire is None or (known == server and self.bears(server) and (wire.expects(request) or not wire.waiting)):
            return wire
        self.leave()
        return None

    def finish(self, *, keep: bool, more: bool, ours: bool) -> None:
        """Leave the line where no further answer can come, or nobody will ask for it; ours is that we broke it off."""
        server, wire = self._lines[threading.get_ident()]
        if not keep and not ours:
            self._lose(server, wire, hopeless=False)
        elif not keep or (wire.waiting and not more) or not (wire.waiting or self.far(server)):
            # A near server's line is what a run left unread.
            self.leave()

    def _lose(self, server: S, wire: Wire, *, hopeless: bool) -> None:
        """Note that a server gave less than it lost of what it was asked ahead, so that it is spared."""
        if wire.waiting > wire.answered_ahead:
            self._strikes[server] += STRIKES if hopeless else 1
        if self._strikes[server] >= STRIKES:
            self._refused.add(server)
        self.leave()

    def leave(self) -> None:
        """Close this thread's line."""
        _, wire = self._lines.pop(threading.get_ident(), (None, None))
        if wire is not None:
            wire.close()

    def close(self) -> None:
        """Close all lines."""
        for thread in list(self._lines):
            _, wire = self._lines.pop(thread, (None, None))
            if wire is not None:
                wire.close()
