"""Work done by several threads, its jobs drawn and its results taken by one."""

from __future__ import annotations

import itertools
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

J = TypeVar("J")
R = TypeVar("R")
AHEAD = 1000
"""Jobs that wait for a thread, so that none is idle while the one who draws them is busy with results."""


@dataclass(frozen=True, slots=True)
class _Job(Generic[J]):
    value: J


@dataclass(frozen=True, slots=True)
class _Result(Generic[R]):
    value: R


class _Crew(Generic[J, R]):
    """Threads that take jobs from a queue; daemons, so a signal's exit waits for none."""

    def __init__(self, work: Callable[[J], R], width: int) -> None:
        self._work = work
        self._jobs: queue.SimpleQueue[_Job[J] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[_Result[R] | BaseException] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._labour, daemon=True) for _ in range(width)]
        for thread in self._threads:
            thread.start()

    def _labour(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stopped.is_set():
            try:
                self._results.put(_Result(self._work(job.value)))
            except BaseException as error:  # noqa: BLE001  # handed to the one who waits
                self._stopped.set()
                self._results.put(error)

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
    crew, waiting, drawing = _Crew(work, width), 0, iter(jobs)
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
