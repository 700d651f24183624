"""The faults by name, with their parameters."""

import base64
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .request import Request

Meet = Callable[..., None]
"""Answers an exchange in a faulty way: `meet(exchange, **parameters)`."""
Applies = Callable[[Request, Mapping[str, Any]], bool]
"""Whether a request can meet a fault with these parameters; others pass it by, uncounted."""


class FaultError(ValueError):
    """No fault has that name, or it has no such parameter."""


def any_request(request: Request, given: Mapping[str, Any]) -> bool:
    return True


def asks_for_body(request: Request, given: Mapping[str, Any]) -> bool:
    return request.method == "GET"


def asks_for_head(request: Request, given: Mapping[str, Any]) -> bool:
    return request.method == "HEAD"


def asks_for_whole(request: Request, given: Mapping[str, Any]) -> bool:
    return request.method == "GET" and "range" not in request.headers


def lacks_password(request: Request, given: Mapping[str, Any]) -> bool:
    told = base64.b64encode(f"{given['user']}:{given['password']}".encode()).decode()
    return request.headers.get("authorization") != f"Basic {told}"


def lacks_cookie(request: Request, given: Mapping[str, Any]) -> bool:
    wanted = f"{given.get('name', 'token')}={given.get('value', '1')}"
    return wanted not in [told.strip() for told in request.headers.get("cookie", "").split(";")]


def asks_for_range(request: Request, given: Mapping[str, Any]) -> bool:
    return request.method == "GET" and "range" in request.headers


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to answer wrongly."""

    name: str
    meet: Meet
    applies: Applies
    waits: bool
    """Whether its answer takes as long as the client or a parameter says."""

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        return (inspect.getdoc(self.meet) or "").partition("\n")[0]

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """By name, the exchange aside."""
        return dict(list(inspect.signature(self.meet).parameters.items())[1:])

    def check(self, given: dict[str, Any]) -> None:
        """See that the parameters are its own and that none is missing.

        Raises:
            FaultError: They are not.
        """
        known = self.parameters
        kinds = typing.get_type_hints(self.meet)
        for name, value in given.items():
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise FaultError(f"the fault {self.name} has no parameter {name}: {has}")
            if typing.get_origin(kinds[name]) is typing.Literal and value not in typing.get_args(kinds[name]):
                raise FaultError(f"{name} of {self.name} is one of {', '.join(typing.get_args(kinds[name]))}")
        for name, parameter in known.items():
            if parameter.default is parameter.empty and name not in given:
                raise FaultError(f"the fault {self.name} needs {name}=")


REGISTRY: dict[str, Fault] = {}
"""Every fault there is."""


def fault(name: str, applies: Applies = any_request, *, waits: bool = False) -> Callable[[Meet], Meet]:
    """Put a function into the registry."""

    def enter(meet: Meet) -> Meet:
        REGISTRY[name] = Fault(name, meet, applies, waits)
        return meet

    return enter


def fault_named(name: str) -> Fault:
    """The fault of that name.

    Raises:
        FaultError: There is none.
    """
    if name not in REGISTRY:
        raise FaultError(f"there is no fault {name!r}: see --list")
    return REGISTRY[name]
