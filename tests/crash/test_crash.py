"""Killed at every operation on the filesystem: the old state is published or the new one, whole; the next run heals."""

import pytest

from .conftest import Tell
from .figures import Points, enumerate_points
from .scenes import SCENES

MODULE = "tests.crash"
CHANGING = "changing sync"
KINDS = {
    *("open", "write", "half a write", "fsync", "syncfs", "os.link", "os.symlink", "os.rename"),
    *("os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.utime"),
}
"""What a sync that changes everything does; were one not watched any more, its points would be missing."""

pytestmark = pytest.mark.timeout(900)


def whole(points: Points, tell: Tell) -> None:
    """Tell the figure, which has to be one without faults."""
    tell(str(points))
    if points.faults:
        pytest.fail(points.faults, pytrace=False)


@pytest.mark.parametrize("scene", SCENES)
def test_killed_at_every_operation(scene: str, tell: Tell) -> None:
    """By SIGKILL, just before each of them, in a run that does one thing at a time."""
    points = enumerate_points(scene, MODULE, "kill", scene)
    numbers = [point["point"] for point in points.found]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert {point["state"] for point in points.found} >= {"old", "new"}
    assert scene != CHANGING or points.operations == KINDS
    whole(points, tell)


def test_killed_while_threads_work(tell: Tell) -> None:
    """Two repositories with four downloads at a time; what a thread is at when another one is killed differs."""
    whole(enumerate_points(f"{CHANGING}, with threads", MODULE, "threads", CHANGING), tell)


def test_every_operation_fails(tell: Tell) -> None:
    """Each once, with EIO or ENOSPC: exit 6 and one line, the other repository goes on, and the next run heals.

    Without a flush nothing is published. Only what is remembered for the next run may be lost: state.json, which is
    flushed twice, with its folder.
    """
    points = enumerate_points(f"{CHANGING}, failing", MODULE, "fail", CHANGING)
    flushes = [point for point in points.found if point["operation"] == "syncfs"]
    assert flushes
    assert {(point["exit"], point["state"]) for point in flushes} == {(6, "old")}
    ignored = [point for point in points.found if point["operation"] == "fsync" and not point["exit"]]
    assert len(ignored) == 2 * len(SCENES[CHANGING].repos), ignored
    whole(points, tell)
