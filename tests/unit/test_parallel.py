"""Work done by several threads: who draws the jobs, what an exception ends, what a caller who stops leaves."""

import queue
import threading
import time
from collections.abc import Sequence

import pytest

from mirrorpy.sync import parallel
from mirrorpy.sync.parallel import Drawer, unordered, unordered_ahead


def test_every_job_once() -> None:
    assert sorted(unordered(range(3000), lambda job: job * 2, 4)) == [job * 2 for job in range(3000)]


def test_every_job_once_where_threads_draw_ahead() -> None:
    """Each thread does next what it said it would."""
    announced: dict[int, list[int]] = {}

    def work(job: int, ahead: Sequence[int]) -> int:
        mine = announced.setdefault(threading.get_ident(), [])
        assert mine[:1] in ([], [job])
        announced[threading.get_ident()] = [*ahead]
        return job

    assert sorted(unordered_ahead(range(3000), work, 4, lambda jobs: len(jobs) < 5)) == [*range(3000)]
    assert set(map(len, announced.values())) == {0}


def test_draws_as_far_as_it_reaches_and_leaves_the_end_to_others() -> None:
    jobs: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    for job in (1, 2, 3, 4, None):
        jobs.put(job)
    drawer = Drawer(jobs, lambda drawn: sum(drawn) < 5)
    assert (drawer.draw(), drawer.ahead) == (1, [2, 3])
    assert (drawer.draw(), drawer.ahead) == (2, [3])
    assert (drawer.draw(), drawer.ahead) == (3, [4])
    assert (drawer.draw(), drawer.ahead) == (4, [])
    assert jobs.get_nowait() is None


def test_jobs_are_drawn_in_the_callers_thread() -> None:
    """Some jobs come out of an XML parser, which belongs to one thread."""
    drawn, worked = set(), set()

    def jobs():
        for job in range(50):
            drawn.add(threading.get_ident())
            yield job

    for _ in unordered(jobs(), lambda _job: worked.add(threading.get_ident()), 3):
        pass
    assert drawn == {threading.get_ident()}
    assert threading.get_ident() not in worked


def test_no_more_are_drawn_than_wait(monkeypatch) -> None:
    monkeypatch.setattr(parallel, "AHEAD", 5)
    drawn = []
    results = unordered((drawn.append(job) or job for job in range(100)), lambda job: job, 2)
    for taken in range(1, 20):
        next(results)
        assert len(drawn) <= taken + 5


def test_an_exception_ends_it_once_the_running_ones_are_done() -> None:
    begun, done = [], []

    def work(job):
        begun.append(job)
        if job == 3:
            raise ValueError(job)
        time.sleep(0.01)
        done.append(job)

    with pytest.raises(ValueError, match="3"):
        list(unordered(range(1000), work, 2))
    assert len(begun) < 20
    assert len(done) == len(begun) - 1


def test_a_fault_of_the_jobs_is_raised() -> None:
    def jobs():
        yield 1
        raise KeyError("jobs")

    with pytest.raises(KeyError):
        list(unordered(jobs(), lambda job: job, 2))


def test_a_caller_who_stops_waits_for_nobody() -> None:
    """A signal's exit must not wait for a download."""
    released = threading.Event()
    results = unordered(range(10), lambda job: job if job == 0 else released.wait(20), 2)
    assert next(results) == 0
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 5
    released.set()
