"""Lines on standard error that never hold up the one who writes them: what cannot be written in time is dropped."""

from __future__ import annotations

import queue
import sys
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

MAX_WAITING = 10_000
LEAVE_SECONDS = 1.0


class Lines:
    """A thread that writes; the number of lines that were dropped is written in their place."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[str | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, daemon=True)

    def say(self, line: str) -> None:
        """Write a line as soon as may be."""
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def _write(self) -> None:
        while (line := self._waiting.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            if dropped:
                print(f"mirrorpy: warning: {dropped} lines were not written in time", file=sys.stderr)
            print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(LEAVE_SECONDS)
