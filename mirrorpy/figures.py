"""Numbers and times as text."""

from __future__ import annotations

import time

LAST_DATE = 253_402_300_799
"""The last second of the year 9999: no later one can be written."""


def size_text(size: float) -> str:
    """Return bytes in the unit that leaves a short number; powers of 1000, as disks and networks count."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def age_text(seconds: float) -> str:
    """Return a duration in its largest unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def files_text(count: int) -> str:
    """Return a count of files."""
    return f"{count:,} file{'' if count == 1 else 's'}"


def utc_text(seconds: float) -> str:
    """Return a time since the epoch as machines read it (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(seconds, LAST_DATE)))
