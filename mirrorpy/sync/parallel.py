"""Work done by several threads, its jobs drawn and its results taken by one."""

from __future__ import annotations

import functools
import itertools
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

J = TypeVar("J")
R = TypeVar("R")
AHEAD = 1000
"""Jobs that wait for a thread, so that none is idle while the one who draws them is busy with results."""

FEW = 2
"""Threads that never rest."""
BRISK = 1_000
"""Jobs a second."""
SHORT = 0.0003
"""Seconds that a job may wait."""
STRETCH, NAP = 64, 0.05
"""Jobs, and seconds, after which their pace is measured."""


@dataclass(frozen=True, slots=True)
class _Job(Generic[J]):
    value: J


@dataclass(frozen=True, slots=True)
class _Result(Generic[R]):
    value: R


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

    def get_if(self, wanted: Callable[[J], bool]) -> J | None:
        """Return the next job if it is there and wanted; None if not."""
        with self._lock:
            job = self._jobs[0] if self._jobs else None
            if job is None or not wanted(job):
                return None
            try:
                self._there.get_nowait()
            except queue.Empty:
                return None
            return self._jobs.popleft()


class Pace:
    """Has all threads but a few rest while those do a job each millisecond: more would only wait for Python's lock.

    Not where a job waits longer for others than it keeps a processor busy; trip says how long, 0 where nobody knows.
    """

    def __init__(self, trip: Callable[[], float]) -> None:
        self._trip = trip
        self._done, self._since, self._brisk = 0, time.monotonic(), False

    def count(self) -> None:
        """Count a job that is done; one that is lost between threads makes no difference."""
        self._done += 1
        if not self._done % STRETCH:
            now = time.monotonic()
            self._brisk, self._since = now - self._since < STRETCH / BRISK, now

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


class Drawer(Generic[J]):
    """Draws jobs for one thread of several, and those that it is to do next.

    reach says of what is drawn and the next job whether that is to be drawn too. When there is not enough left for all
    threads, nothing is drawn ahead. A thread that has nothing ahead may rest first.
    """

    def __init__(
        self, jobs: Jobs[J], width: int, reach: Callable[[Sequence[J], J], bool], rest: Callable[[], None] | None = None
    ) -> None:
        self._jobs, self._width, self._reach, self._rest = jobs, width, reach, rest
        self.ahead: list[J] = []
        """What is drawn and not begun."""

    def draw(self) -> J | None:
        """Return the next job, waiting for one; None at the end."""
        if self._rest is not None and not self.ahead:
            self._rest()
        job = self.ahead.pop(0) if self.ahead else self._jobs.get()
        if job is None:
            return None
        while len(self._jobs) >= self._width * (1 + len(self.ahead)):
            further = self._jobs.get_if(functools.partial(self._reach, [job, *self.ahead]))
            if further is None:
                break
            self.ahead.append(further)
        return job


class _Crew(Generic[J, R]):
    """Threads that take jobs from a queue; daemons, so a signal's exit waits for none."""

    def __init__(
        self,
        work: Callable[[J, Sequence[J]], R],
        width: int,
        reach: Callable[[Sequence[J], J], bool],
        leave: Callable[[], None],
        pace: Pace | None,
    ) -> None:
        self._work, self._width, self._reach, self._leave, self._pace = work, width, reach, leave, pace
        self._jobs: Jobs[_Job[J]] = Jobs()
        self._results: queue.SimpleQueue[_Result[R] | BaseException] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._labour, args=(number,), daemon=True) for number in range(width)]
        for thread in self._threads:
            thread.start()

    def _labour(self, number: int) -> None:
        def reach(drawn: Sequence[_Job[J]], following: _Job[J]) -> bool:
            return self._reach([job.value for job in drawn], following.value)

        pace = self._pace
        drawer = Drawer(self._jobs, self._width, reach, None if pace is None else pace.rest_of(number))
        while (job := drawer.draw()) is not None and not self._stopped.is_set():
            try:
                self._results.put(_Result(self._work(job.value, [later.value for later in drawer.ahead])))
                if pace is not None:
                    pace.count()
            except BaseException as error:  # noqa: BLE001  # handed to the one who waits
                self._stopped.set()
                self._results.put(error)
        self._leave()

    def begin(self, job: J) -> None:
        """Hand a job to whoever is free."""
        self._jobs.put(_Job(job))

    def take(self) -> _Result[R] | BaseException:
        """Wait for what a job gave, or raised."""
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
    return unordered_ahead(jobs, lambda job, _: work(job), width, lambda _, __: False, lambda: None, None)


def unordered_ahead(
    jobs: Iterable[J],
    work: Callable[[J, Sequence[J]], R],
    width: int,
    reach: Callable[[Sequence[J], J], bool],
    leave: Callable[[], None],
    pace: Pace | None,
) -> Iterator[R]:
    """Do the same with work that is told which jobs its thread does next, as `Drawer` draws them.

    Each thread calls leave when it ends. Threads rest at this pace, if one is given.
    """
    crew, waiting, drawing = _Crew(work, width, reach, leave, pace), 0, iter(jobs)
    try:
        while True:
            for job in itertools.islice(drawing, AHEAD - waiting):
                crew.begin(job)
                waiting += 1
            if not waiting:
                return
            result = crew.take()
            waiting -= 1
            if isinstance(result, BaseException):
                break
            yield result.value
    finally:
        crew.end()
    crew.join()
    raise result
