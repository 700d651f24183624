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


def unordered(jobs: Iterable[J], work: Callable[[J], R], width: int) -> Iterator[R]:
    """Yield work's result for each job, as they come; jobs are drawn only when a thread is free.

    The first exception ends it: no job is begun after it, and it is raised once the running ones are done. The threads
    are daemons, so a signal's exit waits for none.
    """
    source, drawing = iter(jobs), threading.Lock()
    results: queue.SimpleQueue[_Result[R] | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def draw() -> Iterator[J]:
        while not stop.is_set():
            with drawing:
                job = next(source, None)
            if job is None:
                return
            yield job

    def labour() -> None:
        try:
            for job in draw():
                results.put(_Result(work(job)))
        except BaseException as error:  # noqa: BLE001  # handed to the one who waits
            stop.set()
            results.put(error)
        finally:
            results.put(None)

    for _ in range(width):
        threading.Thread(target=labour, daemon=True).start()
    failure, running = None, width
    try:
        while running:
            match results.get():
                case None:
                    running -= 1
                case _Result(value):
                    yield value
                case error:
                    failure = failure or error
    finally:
        stop.set()
    if failure is not None:
        raise failure
