"""The program itself under strace: killed at its system calls, or one of them fails; at all with MIRRORPY_SLOW=1."""

import os

import pytest

from tests.integration.programs import real_program

from .conftest import Tell
from .figures import Points, enumerate_points, output_of

MODULE = "tests.crash.straced"
SHARE = "0" if os.environ.get("MIRRORPY_SLOW") == "1" else "4"
"""How many points are tried; 0 is all."""

pytestmark = pytest.mark.timeout(1_800)


@pytest.fixture(autouse=True)
def strace() -> str:
    """The program that interrupts."""
    return real_program("strace")


def interrupted(how: str, tell: Tell) -> Points:
    """Interrupt a changing sync at system calls; nothing may be broken or lost by that."""
    points = enumerate_points(f"changing sync under strace, {how}", MODULE, how, SHARE)
    tell(str(points))
    if points.faults:
        pytest.fail(points.faults, pytrace=False)
    return points


def test_killed_at_system_calls(tell: Tell) -> None:
    """By SIGKILL: the old state is published or the new one, and the next run heals."""
    interrupted("kill", tell)


def test_system_calls_fail(tell: Tell) -> None:
    """With EIO or ENOSPC: exit 6 and one line; without a flush nothing is published; the next run heals."""
    points = interrupted("fail", tell)
    flushes = [point for point in points.found if point["operation"].startswith("syncfs")]
    assert flushes or SHARE != "0"
    assert {(point["exit"], point["state"]) for point in flushes} <= {(6, "old")}


def test_every_operation_is_a_point() -> None:
    """What the kernel sees is what the other crash tests interrupt: no operation goes by unnoticed."""
    (line,) = output_of(MODULE, "count", "0")
    counts = line.values()
    assert all(seen == points for seen, points in counts), line
    assert sum(points > 0 for _, points in counts) > 10, line
