"""Results as they come, until a moment: whoever is still at work then is left behind."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

R = TypeVar("R")


def in_time(results: Iterator[R], until: float) -> Iterator[R]:
    """Yield results until this moment of the monotonic clock.

    They are drawn in a daemon thread, so that what does not end, such as a page that comes a byte at a time, is not
    waited for.
    """
    came: queue.SimpleQueue[tuple[R] | BaseException | None] = queue.SimpleQueue()

    def draw() -> None:
        try:
            for result in results:
                came.put((result,))
            came.put(None)
        except BaseException as error:  # noqa: BLE001  # handed to the one who waits
            came.put(error)

    threading.Thread(target=draw, daemon=True).start()
    with contextlib.suppress(queue.Empty):
        while one := came.get(timeout=max(0.0, until - time.monotonic())):
            if isinstance(one, BaseException):
                raise one
            yield one[0]
