"""Work done by several threads: who draws the jobs, what an exception ends, what a caller who stops leaves."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mirrorpy.sync import parallel
from mirrorpy.sync.parallel import (
    BRISK,
    FEW,
    NAP,
    PLENTY,
    SHORT,
    STRETCH,
    Jobs,
    Pace,
    labour,
    unordered,
    unordered_ahead,
)


def test_every_job_once() -> None:
    assert sorted(unordered(range(3000), lambda job: job * 2, 4)) == [job * 2 for job in range(3000)]


def test_every_job_once_where_threads_draw_ahead() -> None:
    """Each thread does next what it has in hand, one or more at a time."""
    announced: dict[int, list[int]] = {}

    def do(hand: Sequence[int]) -> list[int]:
        before = announced.get(threading.get_ident(), [])
        assert list(hand[: len(before)]) == before
        done = list(hand[: 1 + hand[0] % 3])
        announced[threading.get_ident()] = [*hand[len(done) :]]
        return done

    left = []
    results = unordered_ahead(range(3000), do, 4, lambda hand, *_: len(hand) < 5, lambda: left.append(True), None)
    assert sorted(results) == [*range(3000)]
    assert set(map(len, announced.values())) == {0}
    until = time.monotonic() + 5
    while len(left) < 4 and time.monotonic() < until:
        time.sleep(0.001)
    assert len(left) == 4


def hands(
    jobs: Jobs[int], width: int, reach: Callable[[Sequence[int], int, int], bool], **options: Any
) -> list[list[int]]:
    """What one thread has in hand each time, if it does one at a time."""
    seen = list[list[int]]()

    def do(hand: Sequence[int]) -> list[int]:
        seen.append([*hand])
        return [*hand[:1]]

    assert [*labour(jobs, width, do, reach, **options)] == [(hand[0], hand[0]) for hand in seen]
    return seen


def queued(*jobs: int | None) -> Jobs[int]:
    queue: Jobs[int] = Jobs()
    for job in jobs:
        queue.put(job)
    return queue


def test_draws_as_far_as_it_reaches_and_leaves_the_end_to_others() -> None:
    jobs = queued(1, 2, 3, 9, 5, 6, 7, None, None)
    seen = hands(jobs, 2, lambda hand, following, _: sum(hand) < 5 and following < 9)
    assert seen == [[1, 2, 3], [2, 3], [3], [9], [5], [6], [7]]
    assert jobs.get() is None


def test_what_is_not_enough_for_all_is_not_drawn_ahead() -> None:
    jobs, hand = queued(1, 2, 3, 4, 5), [0]
    jobs.draw(hand, 3, lambda *_: True)
    assert (hand, len(jobs)) == ([0, 1], 4)


def test_the_end_is_no_job_and_none_is_waited_for() -> None:
    jobs, hand = queued(None), [0]
    jobs.draw(hand, 1, lambda *_: True)
    assert (hand, jobs.get()) == ([0], None)
    jobs.draw(hand, 1, lambda *_: True)
    assert hand == [0]


def test_doing_nothing_ends_it() -> None:
    jobs = queued(1, 2)
    assert [*labour(jobs, 1, lambda _: [], lambda *_: False)] == []
    assert jobs.get() == 2


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which is ours, and how long each nap was."""
    now = [100.0]
    monkeypatch.setattr(parallel.time, "monotonic", lambda: now[0])
    return now


def run(pace: Pace, clock: list[float], jobs: int, seconds: float) -> None:
    """Do so many jobs, evenly."""
    for _ in range(jobs):
        clock[0] += seconds / jobs
        pace.count(1)


@pytest.mark.parametrize(("rate", "brisk"), [(BRISK * 1.1, True), (BRISK * 0.9, False)])
def test_who_rests_and_who_does_not(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], rate: float, brisk: bool
) -> None:
    """As long as the others do a job a millisecond, as they do for two naps here; then they are held up."""
    pace, naps = Pace(lambda: SHORT / 2), list[float]()

    def nap(seconds: float) -> None:
        naps.append(seconds)
        run(pace, clock, int(rate * seconds) if len(naps) <= 2 else 3, seconds)

    monkeypatch.setattr(parallel.time, "sleep", nap)
    run(pace, clock, STRETCH, STRETCH / rate)
    pace.rest()
    assert naps == ([NAP] * 3 if brisk else [])
    pace.rest()
    assert len(naps) == (3 if brisk else 0), "nobody else is brisk now"


@pytest.mark.parametrize("trip", [0.0, SHORT, 1.0])
def test_nobody_rests_who_waits_for_others(monkeypatch: pytest.MonkeyPatch, clock: list[float], trip: float) -> None:
    """More threads are faster then, whatever the pace."""
    monkeypatch.setattr(parallel.time, "sleep", pytest.fail)
    pace = Pace(lambda: trip)
    run(pace, clock, STRETCH, STRETCH / BRISK / 2)
    pace.rest()


def test_the_few_begin_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is known how quick they are."""
    naps = list[float]()
    monkeypatch.setattr(parallel.time, "sleep", naps.append)
    Pace(lambda: SHORT / 2).rest()
    assert naps == [NAP]


def test_what_is_ahead_is_done_before_a_rest() -> None:
    """Somebody waits for it. Nor does anybody rest who could do the last ones."""
    rests, jobs = list[int](), queued(*range(PLENTY + 4), None)
    hands(jobs, 1, lambda hand, *_: hand[0] == 0 and len(hand) < 3, rest=lambda: rests.append(len(jobs)))
    assert rests == [PLENTY + 5, PLENTY + 2, PLENTY + 1, PLENTY]


def test_one_that_is_held_up_holds_up_nobody() -> None:
    """Where the few that work wait for something, the others go on."""
    held, width = threading.Event(), 4

    def do(hand: Sequence[int]) -> list[int]:
        job = hand[0]
        if job in range(500, 500 + FEW):
            held.wait(20)
        if job == 2999:
            held.set()
        return [job]

    began = time.monotonic()
    results = unordered_ahead(range(3000), do, width, lambda *_: False, lambda: None, Pace(lambda: SHORT / 2))
    assert sorted(results) == [*range(3000)]
    assert held.is_set()
    assert time.monotonic() - began < 15


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
