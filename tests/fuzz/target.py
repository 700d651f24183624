"""What a row of the table says."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from .mutations import Mutation, mutated
from .mutations_text import TEXT

Inputs = st.SearchStrategy[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing that reads what others wrote."""

    name: str
    call: Callable[[bytes], object]
    """Calls it, and fails where what it gives is not what it promises."""
    of: tuple[Callable[..., object], ...]
    """Whose docstrings say what may be raised."""
    raises: tuple[type[Exception], ...] = ()
    seeds: Sequence[bytes]
    good: int = 1
    """How many of the first seeds are read without a complaint: damage to what is refused anyway proves nothing."""
    family: Sequence[Mutation] = TEXT
    drawn: Inputs | None = None
    examples: int = 150
    """Of the short run."""
    seconds: float = 2.0
    """Of this process, for one input."""
    memory: int = 96
    """MiB, beyond what the process had."""

    @property
    def inputs(self) -> Inputs:
        return mutated(self.seeds, self.family, self.drawn)


def documented(function: Callable[..., object]) -> set[str]:
    """Return the names of the exceptions that a docstring says are raised."""
    section = re.split(r"\n *Raises:\n", function.__doc__ or "")[1:]
    return set(re.findall(r"^ +(\w+): ", section[0], re.MULTILINE)) if section else set()
