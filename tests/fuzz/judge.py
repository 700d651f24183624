"""One input at a time: what a target may raise passes, in one printable line; all else, and too much cost, fails."""

import re
import warnings
from collections import Counter

from mirrorpy.errors import MAX_MESSAGE, MirrorError
from tests.property.strategies import one_line

from .bounds import MIB, Cost, TooMuch, measured
from .target import Target

_PARTICULARS = re.compile(r"'.*'|\".*\"|\d+|package .*?:")
AGAIN = 2
"""Calls after one that costs too much before it counts: the first of all imports, and a busy machine stumbles."""
HOPELESS = 3
"""Times the seconds allowed, after which no other call is worth its time."""


class Judge:
    """Judges the inputs of one target, and remembers how it went."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.count = 0
        self.kinds: Counter[str] = Counter()
        """How often each exception came."""
        self.causes: set[str] = set()
        """What they said, without particulars: how far the inputs reach."""
        self.slowest = self.largest = Cost()

    def judge(self, data: bytes) -> None:
        """Raise what is no documented exception.

        Raises:
            TooMuch: It took too much time or memory, several times in a row.
        """
        self.count += 1
        cost, again = self._call(data), AGAIN
        while cost.seconds > self._target.seconds or cost.memory > self._target.memory * MIB:
            if not again or cost.seconds > HOPELESS * self._target.seconds:
                raise TooMuch(f"{len(data)} bytes took {cost.seconds:.1f} s and {cost.memory / MIB:.0f} MiB")
            cost, again = self._call(data), again - 1
        self.slowest = max(self.slowest, cost, key=lambda cost: cost.seconds)
        self.largest = max(self.largest, cost, key=lambda cost: cost.memory)

    def _call(self, data: bytes) -> Cost:
        said: Exception | None = None
        with measured() as cost, warnings.catch_warnings():
            # A warning is several lines for whoever reads cron's mail.
            warnings.simplefilter("error")
            try:
                self._target.call(data)
            except self._target.raises as error:
                said = error.with_traceback(None)
        kind = type(said).__name__ if said else "taken"
        self.kinds[kind] += 1
        if said is not None:
            self.causes.add(f"{kind}: {_PARTICULARS.sub('…', getattr(said, 'cause', str(said)))[-60:]}")
        if isinstance(said, MirrorError):
            one_line(said.message)
            assert len(said.message) <= 2 * MAX_MESSAGE
        return cost
