"""Sizes, durations and shares as dnf.conf(5) and rsync(1) write them: 1k, 48h, 50%."""

from __future__ import annotations

import re
from typing import Self

_SIZE = re.compile(r"(\d{1,15}(?:\.\d+)?)\s*([kKmMgGtT]?)[bB]?")
_DURATION = re.compile(r"(\d{1,12}(?:\.\d+)?)\s*([smhdw]?)")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")
_SIZE_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_DURATION_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Size(int):
    """Bytes; k, M, G, T are powers of 1024, as in dnf.conf."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a size.

        Raises:
            ValueError: It is none.
        """
        match = _SIZE.fullmatch(_text(value))
        if not match:
            raise ValueError("expected a size such as 0, 500k or 2M")
        return cls(float(match[1]) * _SIZE_UNITS[match[2].lower()])


class Duration(float):
    """Seconds; s, m, h, d, w."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a duration.

        Raises:
            ValueError: It is none.
        """
        match = _DURATION.fullmatch(_text(value))
        if not match:
            raise ValueError("expected a duration such as 90s, 48h or 7d")
        return cls(float(match[1]) * _DURATION_UNITS[match[2]])


class Share(float):
    """A part of a whole, 0 to 1; written in percent."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read a percentage.

        Raises:
            ValueError: It is none.
        """
        match = _SHARE.fullmatch(_text(value))
        if not match or float(match[1]) > 100:
            raise ValueError("expected a percentage such as 50%")
        return cls(float(match[1]) / 100)


def _text(value: object) -> str:
    return "" if isinstance(value, bool) or not isinstance(value, (str, int, float)) else str(value).strip()
