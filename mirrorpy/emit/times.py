"""Times of day at which a mirror is brought up to date."""

from __future__ import annotations

import re
from collections import defaultdict

from mirrorpy.errors import ConfigError

DEFAULT = "1:17,13:17"
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_FIELDS = (
    (0, 59, ""),
    (0, 23, ""),
    (1, 31, ""),
    (1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"),
    (0, 7, "sunmontuewedthufrisat"),
)
"""First and last value of each field, and its names from the first on: crontab(5)."""
_VALUE = r"(\d{1,2}|[A-Za-z]{3})"
_ITEM = re.compile(rf"{_VALUE}|(?:\*|{_VALUE}-{_VALUE})(?:/[1-9]\d?)?", re.ASCII)


def parse_times(text: str) -> list[tuple[int, int]]:
    """Read `1:17,13:17` into hours and minutes.

    Raises:
        ConfigError: It is not that.
    """
    matches = [_CLOCK.fullmatch(part.strip()) for part in text.split(",")]
    times = [(int(match[1]), int(match[2])) for match in matches if match]
    if len(times) < len(matches) or any(hour > 23 or minute > 59 for hour, minute in times):
        raise ConfigError(f"--at {text!r} is no list of times such as {DEFAULT}")
    return sorted(set(times))


def crontab_fields(text: str) -> list[str]:
    """Return the five fields of crontab(5) for times, or those that the text is itself.

    Raises:
        ConfigError: It is neither.
    """
    fields = text.split()
    if len(fields) == len(_FIELDS) and all(
        _is_field(field, *rule) for field, rule in zip(fields, _FIELDS, strict=True)
    ):
        return [" ".join(fields)]
    hours: dict[int, list[int]] = defaultdict(list)
    for hour, minute in parse_times(text):
        hours[minute].append(hour)
    return [f"{minute} {','.join(map(str, at))} * * *" for minute, at in hours.items()]


def _is_field(field: str, first: int, last: int, names: str) -> bool:
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if not match:
            return False
        values = [_value(text, first, names) for text in match.groups() if text]
        if any(not first <= value <= last for value in values) or values != sorted(values):
            return False
    return True


def _value(text: str, first: int, names: str) -> int:
    if text.isdigit():
        return int(text)
    place = names.find(text.lower())
    return first + place // 3 if place >= 0 and place % 3 == 0 else -1
