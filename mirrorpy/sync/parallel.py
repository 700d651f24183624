"""Work done by several threads, its jobs drawn and its results taken by one."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

J = TypeVar("J")
J_contra = TypeVar("J_contra", contravariant=True)
R = TypeVar("R")
AHEAD = 1000
"""Jobs that wait for a thread, so that none is idle while the one who draws them is busy with results."""

FEW = 2
"""Threads that never rest."""
PLENTY = 32
"""Jobs that are left, so that it is worth a rest."""
BRISK = 1_000
"""Jobs a second."""
SHORT = 0.0003
"""Seconds that a job may wait."""
STRETCH, NAP = 64, 0.05
"""Jobs, and seconds, after which their pace is measured."""


class Reach(Protocol[J_contra]):
    """Says of what is in hand, and the next job, of so many that are left, whether that is to be drawn too."""

    def __call__(self, hand: Sequence[J_contra], following: J_contra, left: int, /) -> bool: ...


class Jobs(Generic[J]):
    """A queue whose next job can be looked at; None is the end, for all who draw."""

    def __init__(self) -> None:
        self._jobs: deque[J | None] = deque()
        self._there: queue.SimpleQueue[None] = queue.SimpleQueue()
        """As many as there are jobs."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: J | None) -> None:
        """Add a job, or the end."""
        self._jobs.append(job)
        self._there.put(None)

    def get(self) -> J | None:
        """Return the next job, waiting for one."""
        self._there.get()
        with self._lock:
            return self._jobs.popleft()

    def draw(self, hand: list[J], width: int, reach: Reach[J]) -> None:
        """Add the next jobs to a hand that reaches them, as long as others can draw as many, width in all."""
        with self._lock:
            while (left := len(self._jobs)) >= width * len(hand):
                job = self._jobs[0]
                if job is None or not reach(hand, job, left):
                    return
                try:
                    self._there.get_nowait()
                except queue.Empty:
                    return
                hand.append(job)
                self._jobs.popleft()


class Pace:
    """Has all threads but a few rest while those do a job each millisecond: more would only wait for Python's lock.

    Not where a job waits longer for others than it keeps a processor busy; trip says how long, 0 where nobody knows.
    """

    def __init__(self, trip: Callable[[], float]) -> None:
        self._trip = trip
        self._done, self._counted, self._since, self._brisk = 0, 0, time.monotonic(), True

    def count(self, jobs: int) -> None:
        """Count jobs that are done; one that is lost between threads makes no difference."""
        self._done += jobs
        if self._done - self._counted >= STRETCH:
            now, counted = time.monotonic(), self._done - self._counted
            self._brisk, self._since, self._counted = now - self._since < counted / BRISK, now, self._done

    def rest_of(self, thread: int) -> Callable[[], None] | None:
        """Return how a thread, by its number, rests; None for the few that never do."""
        return self.rest if thread >= FEW else None

    def rest(self) -> None:
        """Wait as long as the others are brisk without this thread."""
        while self._brisk and 0.0 < self._trip() < SHORT:
            done = self._done
            time.sleep(NAP)
            if self._done - done < NAP * BRISK:
                self._brisk = False


def labour(
    jobs: Jobs[J],
    width: int,
    do: Callable[[Sequence[J]], Sequence[R]],
    reach: Reach[J],
    rest: Callable[[], None] | None = None,
) -> Iterator[tuple[J, R]]:
    """Do what one thread of several draws; yield each job and what it gave.

    When there is not enough left for all threads, nothing is drawn ahead. do is told all that is in hand, and does one
    or more of it, from the first on; none ends it. A thread that has nothing in hand may rest first.
    """
    hand: list[J] = []
    while True:
        if not hand:
            if rest is not None and len(jobs) >= PLENTY:
                rest()
            job = jobs.get()
            if job is None:
                return
            hand.append(job)
        jobs.draw(hand, width, reach)
        done = do(hand)
        if not done:
            return
        yield from zip(hand, done, strict=False)
        del hand[: len(done)]


class _Crew(Generic[J, R]):
    """Threads that take jobs from a queue; daemons, so a signal's exit waits for none."""

    def __init__(
        self,
        do: Callable[[Sequence[J]], Sequence[R]],
        width: int,
        reach: Reach[J],
        leave: Callable[[], None],
        pace: Pace | None,
    ) -> None:
        self._do, self._width, self._reach, self._leave, self._pace = do, width, reach, leave, pace
        self._jobs: Jobs[J] = Jobs()
        self._results: queue.SimpleQueue[Sequence[R] | BaseException] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._labour, args=(number,), daemon=True) for number in range(width)]
        for thread in self._threads:
            thread.start()

    def _labour(self, number: int) -> None:
        rest = None if self._pace is None else self._pace.rest_of(number)
        try:
            for _ in labour(self._jobs, self._width, self._do_unless_stopped, self._reach, rest):
                pass
        except BaseException as error:  # noqa: BLE001  # handed to the one who waits
            self._stopped.set()
            self._results.put(error)
        self._leave()

    def _do_unless_stopped(self, hand: Sequence[J]) -> Sequence[R]:
        if self._stopped.is_set():
            return ()
        done = self._do(hand)
        self._results.put(done)
        if self._pace is not None:
            self._pace.count(len(done))
        return done

    def begin(self, job: J) -> None:
        """Hand a job to whoever is free."""
        self._jobs.put(job)

    def take(self) -> Sequence[R] | BaseException:
        """Wait for what jobs gave, or one raised."""
        return self._results.get()

    def end(self) -> None:
        """Let the threads end; jobs that wait are not begun any more."""
        self._stopped.set()
        for _ in self._threads:
            self._jobs.put(None)

    def join(self) -> None:
        """Wait for what is being done."""
        for thread in self._threads:
            thread.join()


def unordered(jobs: Iterable[J], work: Callable[[J], R], width: int) -> Iterator[R]:
    """Yield work's result for each job, as they come; jobs are drawn in the caller's thread, up to AHEAD in advance.

    The first exception ends it: no job is begun after it, and it is raised once the running ones are done.
    """
    return unordered_ahead(jobs, lambda hand: [work(hand[0])], width, lambda *_: False, lambda: None, None)


def unordered_ahead(
    jobs: Iterable[J],
    do: Callable[[Sequence[J]], Sequence[R]],
    width: int,
    reach: Reach[J],
    leave: Callable[[], None],
    pace: Pace | None,
) -> Iterator[R]:
    """Do the same where a thread draws several jobs, and does one or more of them at a time, as `labour` says.

    Each thread calls leave when it ends. Threads rest at this pace, if one is given.
    """
    crew, waiting, drawing = _Crew(do, width, reach, leave, pace), 0, iter(jobs)
    try:
        while True:
            for job in itertools.islice(drawing, AHEAD - waiting):
                crew.begin(job)
                waiting += 1
            if not waiting:
                return
            results = crew.take()
            if isinstance(results, BaseException):
                break
            waiting -= len(results)
            yield from results
    finally:
        crew.end()
    crew.join()
    raise results
