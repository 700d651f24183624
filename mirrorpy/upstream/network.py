"""What all repositories of one run share: connections, lanes to each host, the throttle, and the patience."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.upstream.session import Session
from mirrorpy.upstream.url import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from mirrorpy.config.model import Connection, Repository


class _Lane:
    """One of the lanes to a host, for a thread; written as a class, as each small file enters one."""

    def __init__(
        self,
        lane: threading.BoundedSemaphore,
        held: dict[int, threading.BoundedSemaphore],
        stays: Callable[[], bool],
        leave: Callable[[], None],
    ) -> None:
        self._lane, self._held, self._stays, self._leave = lane, held, stays, leave

    def __enter__(self) -> None:
        if self._held:
            if self._held.get(threading.get_ident(), self._lane) is not self._lane:
                self._leave()
            if self._held.pop(threading.get_ident(), None) is not None:
                return
        self._lane.acquire()

    def __exit__(self, *_: object) -> None:
        if self._stays():
            self._held[threading.get_ident()] = self._lane
        else:
            self._lane.release()


class Lanes:
    """At most so many requests to one host at a time, over the whole run."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lock = threading.Lock()
        self._hosts: dict[tuple[str, int | None] | None, threading.BoundedSemaphore] = {}
        self._held: dict[int, threading.BoundedSemaphore] = {}
        """Lanes that a thread has between two requests, as answers are on their way."""

    def enter(self, url: str, stays: Callable[[], bool], leave: Callable[[], None]) -> _Lane:
        """Return what waits for a lane to a URL's host, and holds it; afterwards too if the thread stays."""
        host = origin(url)
        with self._lock:
            lane = self._hosts.get(host)
            if lane is None:
                lane = self._hosts[host] = threading.BoundedSemaphore(self._width)
        return _Lane(lane, self._held, stays, leave)

    def leave(self) -> None:
        """Give back the lane that this thread has between two requests."""
        lane = self._held.pop(threading.get_ident(), None)
        if lane is not None:
            lane.release()


class Throttle:
    """Bytes a second that all who share this may take together; 0 is no limit."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, count: int) -> float:
        """Wait until count bytes more are within the rate; return the seconds waited."""
        if not self.rate:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 1) + count / self.rate
            wait = self._free_at - now
        if wait <= 0:
            return 0.0
        time.sleep(wait)
        return wait


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between attempts, in seconds."""

    first: float = 0.5
    most: float = 60.0
    retry_after_most: float = 120.0
    """A server may ask for more (Retry-After: 10⁹ occurs)."""


class Network:
    """Everything of the network that is one for the whole run."""

    def __init__(
        self,
        *,
        max_parallel_downloads: int = 8,
        throttle: int = 0,
        patience: Patience | None = None,
        transport: httpx.BaseTransport | None = None,
        alone: bool = False,
    ) -> None:
        self.width = max_parallel_downloads
        self.alone = alone
        """Whether one repository at a time uses it."""
        self.throttle = Throttle(throttle)
        self.patience = patience or Patience()
        self._transport = transport
        self._lanes = Lanes(max_parallel_downloads)
        self._sessions: dict[Connection, Session] = {}
        self._lock = threading.Lock()

    def may_be_divided(self, repo: Repository) -> bool:
        """Tell whether processes may share the connections out: nobody else uses them, nothing is rationed."""
        return self.alone and not self.throttle.rate and not repo.throttle and self._transport is None

    def session(self, connection: Connection) -> Session:
        """Return the connections for these settings, made once."""
        with self._lock:
            if connection not in self._sessions:
                self._sessions[connection] = Session(connection, self._lanes, self._transport)
            return self._sessions[connection]

    def close(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            session.close()
