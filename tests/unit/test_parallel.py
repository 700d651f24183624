"""Work done by several threads: who draws the jobs, what an exception ends, what a caller who stops leaves."""

import threading
import time
from collections.abc import Sequence

import pytest

from mirrorpy.sync import parallel
from mirrorpy.sync.parallel import Drawer, Jobs, unordered, unordered_ahead


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

    left = []
    results = unordered_ahead(range(3000), work, 4, lambda drawn, _: len(drawn) < 5, lambda: left.append(True), None)
    assert sorted(results) == [*range(3000)]
    assert set(map(len, announced.values())) == {0}
    until = time.monotonic() + 5
    while len(left) < 4 and time.monotonic() < until:
        time.sleep(0.001)
    assert len(left) == 4


def test_draws_as_far_as_it_reaches_and_leaves_the_end_to_others() -> None:
    jobs: Jobs[int] = Jobs()
    for job in (1, 2, 3, 9, 5, 6, 7, None):
        jobs.put(job)
    drawer = Drawer(jobs, 2, lambda drawn, following: sum(drawn) < 5 and following < 9)
    assert (drawer.draw(), drawer.ahead) == (1, [2, 3])
    assert (drawer.draw(), drawer.ahead) == (2, [3])
    assert (drawer.draw(), drawer.ahead) == (3, [])
    assert (drawer.draw(), drawer.ahead) == (9, [])
    assert [jobs.get() for _ in range(4)] == [5, 6, 7, None]
    assert jobs.get_if(lambda _: True) is None
    jobs.put(None)
    assert jobs.get_if(lambda _: True) is None
    assert jobs.get() is None


def test_what_is_not_enough_for_all_is_not_drawn_ahead() -> None:
    jobs: Jobs[int] = Jobs()
    for job in range(6):
        jobs.put(job)
    drawer = Drawer(jobs, 3, lambda _, __: True)
    assert (drawer.draw(), drawer.ahead) == (0, [1])
    assert len(jobs) == 4


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
