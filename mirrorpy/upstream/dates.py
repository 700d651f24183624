"""Dates in header fields: in seconds since the epoch, or None where nobody can tell."""

from __future__ import annotations

import contextlib
import functools
import re
import time
from datetime import UTC, datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_USUAL = re.compile(rf"[A-Z][a-z]{{2}}, (\d\d) ({'|'.join(_MONTHS)}) ([1-9]\d{{3}}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
"""How every server should write it (RFC 9110, 5.6.7)."""


@functools.lru_cache
def parse_date(text: str | None) -> float | None:
    """Return an HTTP date in seconds since the epoch; of the obsolete forms too."""
    if (match := _USUAL.fullmatch(text or "")) is not None:
        day, month, year, hour, minute, second = match.groups()
        with contextlib.suppress(ValueError):
            moment = datetime(
                int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC
            )
            return moment.timestamp()
    # Takes a hundredth of a second to import.
    import email.utils  # noqa: PLC0415

    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def retry_after(value: str | None) -> float:
    """Return the seconds that a Retry-After asks for; 0 where it says nothing that can be read."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    return max(0.0, (parse_date(text) or 0.0) - time.time())
