"""Which request meets what."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .registry import Fault, FaultError, fault_named
from .request import Request

HONEST = "honest"
Step = str | tuple[str, Mapping[str, Any]]
"""A fault's name, its name and parameters, or "honest"."""


def matches(pattern: str, path: str) -> bool:
    """Whether a path below the folder is this path, or within this glob."""
    pattern = pattern.removeprefix("/")
    return path == pattern or fnmatchcase(path, pattern)


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault with its parameters, to be met; none is an honest answer."""

    fault: Fault | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Often:
    """One fault for the requests of a path: always, so many times, or so often."""

    pattern: str
    planned: Planned
    times: int | None = None
    after: int = 0
    chance: float = 1.0
    dice: random.Random = field(default_factory=random.Random)
    seen: int = 0

    def sees(self, request: Request) -> bool:
        """Count a request that could meet it, and say whether it may."""
        assert self.planned.fault
        base = self.planned.parameters.get("base")
        below = base is not None and request.path.startswith(f"{base.strip('/')}/".lstrip("/"))
        if not (below or matches(self.pattern, request.path)):
            return False
        if not _applies(self.planned, request):
            return False
        self.seen += 1
        return self.seen > self.after and self.times != 0

    def take(self) -> Planned | None:
        """Let a request meet it."""
        if self.chance < 1 and self.dice.random() >= self.chance:
            return None
        if self.times is not None:
            self.times -= 1
        return self.planned


@dataclass(slots=True)
class InOrder:
    """One step for each request of a path, as long as there are any."""

    pattern: str
    steps: list[Planned]

    def sees(self, request: Request) -> bool:
        return bool(self.steps) and matches(self.pattern, request.path)

    def take(self) -> Planned | None:
        return self.steps.pop(0)


@dataclass(slots=True)
class Moment:
    """What is to be done after the nth request of a path."""

    pattern: str
    action: Callable[[], object]
    nth: int

    def has_come(self, request: Request) -> bool:
        """Count a request that matches; true for the nth."""
        if matches(self.pattern, request.path):
            self.nth -= 1
            return self.nth == 0
        return False


def plan(name: str, parameters: Mapping[str, Any]) -> Planned:
    """A fault that is there, with parameters that it has.

    Raises:
        FaultError: It is not, or has not.
    """
    found = fault_named(name)
    found.check(dict(parameters))
    return Planned(found, parameters)


def plan_steps(steps: Sequence[Step]) -> list[Planned]:
    """The faults of a sequence.

    Raises:
        FaultError: One is not there, or has no such parameter.
    """
    planned = []
    for step in steps:
        name, parameters = (step, {}) if isinstance(step, str) else step
        if name == HONEST and parameters:
            raise FaultError("honest has no parameters")
        planned.append(Planned() if name == HONEST else plan(name, parameters))
    return planned


def choose(rules: Sequence[Often | InOrder], request: Request) -> Planned:
    """What a request meets: the first rule that has something for it; every rule counts it."""
    chosen: Planned | None = None
    for rule in rules:
        if rule.sees(request) and chosen is None:
            chosen = rule.take()
    return chosen if chosen and _applies(chosen, request) else Planned()


def _applies(planned: Planned, request: Request) -> bool:
    return planned.fault is None or planned.fault.applies(request, planned.parameters)
