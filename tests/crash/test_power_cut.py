"""The power is cut at every operation: what the disk has then is the old state or the new one, whole.

A disk keeps what it was told to keep, and of the rest anything. So there are two worlds: nothing is on it but what was
flushed; and the journal was written just now, without the data. Disks that lose what they confirmed are not looked at.
"""

import itertools
import os

import pytest

from tests.integration.programs import real_program

from .conftest import Tell
from .disk import why_not
from .figures import enumerate_points
from .scenes import FORGET, SCENES

PROGRAMS = ("mkfs.ext4", "mount", "umount", "losetup")
DATA = ("ordered", "writeback")
"""ext4's modes: whether data is written before the journal names it."""
WHEN = {"asked": "only what was flushed", "any": "journal written"}
CHANGING = "changing sync"
CASES = list(itertools.product(DATA, WHEN, SCENES))
if os.environ.get("MIRRORPY_SLOW") != "1":
    CASES = [case for case in CASES if case[2] == CHANGING or case[:2] == ("ordered", "asked")]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True)
def loop_devices() -> None:
    """Where there are none for us, there is no disk whose power could be cut."""
    for name in PROGRAMS:
        real_program(name)
    if reason := why_not():
        pytest.skip(reason)


@pytest.mark.parametrize(("data", "when", "scene"), CASES)
def test_power_cut(data: str, when: str, scene: str, tell: Tell) -> None:
    """When a command that publishes says that it is done, the new state is on the disk."""
    name = f"{scene}, power cut, data={data}, {WHEN[when]}"
    points = enumerate_points(name, "tests.crash.power", data, when, scene)
    tell(str(points))
    assert points.found[0]["state"] == "old"
    # What is forgotten may come back, whole.
    assert points.found[-1]["state"] == "new" or SCENES[scene].command == FORGET
    if points.faults:
        pytest.fail(points.faults, pytrace=False)
