"""Work done by several threads, its results taken by one."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Result(Generic[R]):
    value: R


class _Crew(Generic[J, R]):
    """Threads that draw jobs from one iterator; daemons, so a signal's exit waits for none."""

    def __init__(self, jobs: Iterable[J], work: Callable[[J], R]) -> None:
        self._jobs, self._work = iter(jobs), work
        self._drawing = threading.Lock()
        self.stop = threading.Event()
        self.results: queue.SimpleQueue[_Result[R] | BaseException | None] = queue.SimpleQueue()
        """A result, an exception, or None when a thread ends."""

    def start(self, width: int) -> None:
        for _ in range(width):
            threading.Thread(target=self._labour, daemon=True).start()

    def _draw(self) -> Iterator[J]:
        while not self.stop.is_set():
            with self._drawing:
                job = next(self._jobs, None)
            if job is None:
                return
            yield job

    def _labour(self) -> None:
        try:
            for job in self._draw():
                self.results.put(_Result(self._work(job)))
        except BaseException as error:  # noqa: BLE001  # handed to the one who waits
            self.stop.set()
            self.results.put(error)
        finally:
            self.results.put(None)


def unordered(jobs: Iterable[J], work: Callable[[J], R], width: int) -> Iterator[R]:
    """Yield work's result for each job, as they come; a job is drawn only when a thread is free for it.

    The first exception ends it: no job is begun after it, and it is raised once the running ones are done.
    """
    crew = _Crew(jobs, work)
    crew.start(width)
    failure, running = None, width
    try:
        while running:
            match crew.results.get():
                case None:
                    running -= 1
                case _Result(value):
                    yield value
                case error:
                    failure = failure or error
    finally:
        crew.stop.set()
    if failure is not None:
        raise failure
