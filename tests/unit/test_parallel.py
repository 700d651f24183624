"""Work done by several threads: who draws the jobs, what an exception ends, what a caller who stops leaves."""

import threading
import time
from collections.abc import Sequence

import pytest

from mirrorpy.sync import parallel
from mirrorpy.sync.parallel import BRISK, FEW, NAP, SHORT, STRETCH, Drawer, Jobs, Pace, unordered, unordered_ahead


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
        pace.count()


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


def test_nobody_rests_before_something_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel.time, "sleep", pytest.fail)
    Pace(lambda: SHORT / 2).rest()


def test_what_is_ahead_is_done_before_a_rest() -> None:
    """Somebody waits for it."""
    jobs, rests = Jobs[int](), list[int]()
    for job in (1, 2, 3, 4, None):
        jobs.put(job)
    drawer = Drawer(jobs, 1, lambda drawn, _: drawn[0] == 1 and len(drawn) < 3, lambda: rests.append(len(jobs)))
    assert [drawer.draw() for _ in range(4)] == [1, 2, 3, 4]
    assert rests == [5, 2]


def test_one_that_is_held_up_holds_up_nobody() -> None:
    """Where the few that work wait for something, the others go on."""
    held, width = threading.Event(), 4

    def work(job: int, _ahead: Sequence[int]) -> int:
        if job in range(500, 500 + FEW):
            held.wait(20)
        if job == 2999:
            held.set()
        return job

    began = time.monotonic()
    results = unordered_ahead(range(3000), work, width, lambda *_: False, lambda: None, Pace(lambda: SHORT / 2))
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
