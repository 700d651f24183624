"""Attempts: every mirror in a round, rounds for what may get better, and which error is the answer."""

import pytest

from mirrorpy.errors import (
    ChecksumMismatch,
    FetchError,
    LocalError,
    MirrorError,
    NotFound,
    RepodataError,
    UpstreamError,
)
from mirrorpy.upstream import failover
from mirrorpy.upstream.failover import MAX_MIRRORS_TRIED, try_mirrors
from mirrorpy.upstream.network import Patience

FAST = Patience(first=0.0, most=0.0, retry_after_most=0.0)


def busy(url: str = "", after: float = 0.0) -> FetchError:
    return FetchError("HTTP 503", url=url, retryable=True, retry_after=after)


def denied(url: str = "") -> FetchError:
    return FetchError("HTTP 403", url=url)


def absent(url: str = "") -> NotFound:
    return NotFound("HTTP 404", url=url)


def wrong(url: str = "") -> ChecksumMismatch:
    return ChecksumMismatch("has another checksum", url=url)


class Mirrors:
    """Mirrors with a script each: errors in turn, then an answer; what was asked is written down."""

    def __init__(self, **scripts: list) -> None:
        self.scripts = scripts
        self.asked: list[str] = []
        self.failed: list[str] = []
        self.rounds = 0

    def act(self, base: str) -> str:
        self.asked.append(base)
        script = self.scripts[base]
        step = script.pop(0) if len(script) > 1 else script[0]
        if callable(step):
            raise step(base)
        return step

    def run(self, retries: int = 3, patience: Patience = FAST) -> str:
        def count() -> None:
            self.rounds += 1

        def note(base: str, error: MirrorError) -> None:
            assert isinstance(error, MirrorError)
            self.failed.append(base)

        return try_mirrors(list(self.scripts), self.act, retries=retries, patience=patience, retried=count, failed=note)


def test_the_first_that_gives_it():
    mirrors = Mirrors(a=["A"], b=["B"])
    assert mirrors.run() == "A"
    assert (mirrors.asked, mirrors.rounds, mirrors.failed) == (["a"], 0, [])


@pytest.mark.parametrize("error", [busy, denied, absent, wrong, lambda _: RepodataError("bad")])
def test_every_failure_goes_on_to_the_next(error):
    mirrors = Mirrors(a=[error], b=["B"])
    assert mirrors.run() == "B"
    assert (mirrors.asked, mirrors.rounds, mirrors.failed) == (["a", "b"], 0, ["a"])


def test_rounds_for_what_may_get_better():
    mirrors = Mirrors(a=[busy, busy, "A"], b=[busy])
    assert mirrors.run() == "A"
    assert (mirrors.asked, mirrors.rounds) == (["a", "b", "a", "b", "a"], 2)


def test_who_says_no_is_not_asked_again():
    mirrors = Mirrors(a=[absent], b=[busy, "B"], c=[wrong], d=[denied])
    assert mirrors.run() == "B"
    assert mirrors.asked == ["a", "b", "c", "d", "b"]


def test_retries_are_rounds_after_the_first():
    for retries in (0, 1, 4):
        mirrors = Mirrors(a=[busy], b=[busy])
        with pytest.raises(FetchError):
            mirrors.run(retries)
        assert mirrors.asked == ["a", "b"] * (retries + 1)
        assert mirrors.rounds == retries


@pytest.mark.parametrize("error", [absent, denied, wrong])
def test_one_mirror_that_says_no_ends_it(error):
    mirrors = Mirrors(a=[error])
    with pytest.raises(type(error())) as raised:
        mirrors.run()
    assert (mirrors.asked, mirrors.rounds) == (["a"], 0)
    assert "every mirror" not in raised.value.message


ANSWERS = [
    ([absent, absent], NotFound, 3),
    ([absent, denied], FetchError, 3),
    ([absent, busy], FetchError, 3),
    ([busy, busy], FetchError, 3),
    ([wrong, absent], UpstreamError, 4),
    ([busy, wrong], UpstreamError, 4),
    ([denied, wrong, absent], UpstreamError, 4),
    ([lambda url: RepodataError("bad", url=url), absent], UpstreamError, 4),
]


@pytest.mark.parametrize(("errors", "kind", "status"), ANSWERS)
def test_which_error_when_all_fail(errors, kind, status):
    mirrors = Mirrors(**{f"http://{letter}/": [error] for letter, error in zip("abc", errors, strict=False)})
    with pytest.raises(kind) as raised:
        mirrors.run(retries=1)
    assert raised.value.exit_status == status
    assert (type(raised.value) is NotFound) is (kind is NotFound)
    for base in mirrors.scripts:
        assert base in raised.value.message
    assert raised.value.message.isprintable()


def test_the_answer_is_about_what_each_said_last():
    mirrors = Mirrors(a=[busy, absent], b=[absent])
    with pytest.raises(NotFound):
        mirrors.run()
    assert mirrors.asked == ["a", "b", "a"]


@pytest.mark.parametrize("error", [LocalError("disk full"), ZeroDivisionError(), MirrorError("x")])
def test_what_is_not_the_mirrors_fault_ends_it(error):
    mirrors = Mirrors(a=[lambda _: error], b=["B"])
    with pytest.raises(type(error)):
        mirrors.run()
    assert mirrors.asked == ["a"]


def test_a_long_list_is_not_asked_to_its_end():
    mirrors = Mirrors(**{f"m{number}": [absent] for number in range(200)})
    with pytest.raises(NotFound):
        mirrors.run()
    assert len(mirrors.asked) == MAX_MIRRORS_TRIED


@pytest.fixture
def slept(monkeypatch):
    """The seconds that would have been waited."""
    waits = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    monkeypatch.setattr(failover.random, "uniform", lambda _low, high: high)
    return waits


def test_waiting_doubles_to_a_bound(slept):
    with pytest.raises(FetchError):
        Mirrors(a=[busy]).run(6, Patience(first=1.0, most=10.0))
    assert slept == [1, 2, 4, 8, 10, 10]


def test_many_retries_do_not_overflow(slept):
    with pytest.raises(FetchError):
        Mirrors(a=[busy]).run(100, Patience(first=1.0, most=10.0))
    assert len(slept) == 100
    assert max(slept) == 10


@pytest.mark.parametrize(("asked", "waited"), [(0, 1), (0.2, 1), (30, 30), (10**9, 120)])
def test_retry_after_is_honoured_to_a_cap(slept, asked, waited):
    mirrors = Mirrors(a=[lambda url: busy(url, asked), "A"])
    assert mirrors.run(3, Patience(first=1.0, most=10.0)) == "A"
    assert slept == [waited]


def test_no_waiting_after_the_last_attempt_nor_when_nobody_is_left(slept):
    for script in ([busy], [absent]):
        with pytest.raises(FetchError):
            Mirrors(a=script).run(0)
    assert slept == []


def test_one_who_answers_retry_after_and_is_gone_makes_nobody_wait(slept):
    """`a` asks for 100 s and then says 404: only `b`, which asks for nothing, is waited for."""
    mirrors = Mirrors(a=[lambda url: busy(url, 100), absent], b=[busy, busy, "B"])
    assert mirrors.run(3, Patience(first=1.0, most=10.0)) == "B"
    assert slept == [100, 2]
