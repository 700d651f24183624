"""Messages on standard error, as text or as JSON lines."""

from __future__ import annotations

import logging
import sys

from mirrorpy.figures import utc_text


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Prefix the program's name, as syslog and cron mail expect."""
        level = "" if record.levelno in (logging.ERROR, logging.INFO) else f"{record.levelname.lower()}: "
        text = f"mirrorpy: {level}{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One object a line."""
        import msgspec  # noqa: PLC0415  # only for this format

        line = {
            "time": utc_text(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        return msgspec.json.encode(line).decode()


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]  # not generic at run time
    """Writes to whatever standard error is now."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.stream = sys.stderr
        super().emit(record)


def set_up_logs(log_format: str, *, verbose: bool, quiet: bool) -> None:
    """Send mirrorpy's messages to standard error."""
    handler = _Stderr(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    root = logging.getLogger("mirrorpy")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)
