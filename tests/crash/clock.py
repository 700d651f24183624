"""A clock that tests set: files come due, and a killed run's successor starts an hour later, without waiting.

mirrorpy binds `time.time` when it is imported, so `settle` is called before that, in a process of its own.
"""

import sys
import time

HOUR = 3600.0


class Clock:
    """The machine's time, shifted."""

    def __init__(self) -> None:
        self._real = time.time
        self.shift = 0.0
        """Seconds that are added."""

    def __call__(self) -> float:
        return self._real() + self.shift


def settle() -> Clock:
    """Make time.time a clock that can be set."""
    assert "mirrorpy" not in sys.modules, "mirrorpy has bound the real clock already"
    clock = Clock()
    time.time = clock
    return clock
