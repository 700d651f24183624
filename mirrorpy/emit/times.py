"""Times of day at which a mirror is brought up to date."""

from __future__ import annotations

import re
from collections import defaultdict

from mirrorpy.errors import ConfigError

DEFAULT = "1:17,13:17"
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_FIELDS = re.compile(r"[0-9A-Za-z*,/-]+(?: +[0-9A-Za-z*,/-]+){4}", re.ASCII)


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
    if _FIELDS.fullmatch(text):
        return [text]
    hours: dict[int, list[int]] = defaultdict(list)
    for hour, minute in parse_times(text):
        hours[minute].append(hour)
    return [f"{minute} {','.join(map(str, at))} * * *" for minute, at in hours.items()]
