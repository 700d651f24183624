"""Whether a document is well-formed: libxml2 reads it in a thread of its own, and builds nothing.

That takes no lock of Python's, so that others can work on the same bytes meanwhile.
"""

from __future__ import annotations

import queue
import threading

from lxml import etree

from mirrorpy.rpmmd.xml import translated


class _Deaf:
    """A parser's target that wants to hear of nothing: the parser checks, and builds nothing."""

    def close(self) -> None:
        """Have no result."""


class Checker:
    """Reads a document part by part, beside whoever begins a part and then waits for what is to be said of it."""

    def __init__(self) -> None:
        self._parser = etree.XMLParser(
            target=_Deaf(),  # type: ignore[arg-type]  # need not have every method
            resolve_entities=False,
            no_network=True,
            huge_tree=False,
        )
        self._parts: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._verdicts: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, part: bytes, *, more: bool) -> None:
        """Have the next part read; more is that others will follow, which is worth a thread."""
        if self._thread is not None or (more and self._start()):
            self._parts.put(part)
        else:
            self._read(part)

    def _start(self) -> bool:
        thread = threading.Thread(target=self._read_all, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _read_all(self) -> None:
        while (part := self._parts.get()) is not None:
            self._read(part)

    def _read(self, part: bytes) -> None:
        try:
            self._parser.feed(part)
        except Exception as error:  # noqa: BLE001  # raised by the one who waits
            self._verdicts.put(error)
        else:
            self._verdicts.put(None)

    def passes(self) -> bool:
        """Wait for what was begun; False where it has something that a parser forgives.

        Raises:
            RepodataError: It is not well-formed.
        """
        with translated("primary"):
            if error := self._verdicts.get():
                raise error
        return not self._parser.feed_error_log

    def close(self) -> None:
        """Say that this was all.

        Raises:
            RepodataError: Something is missing.
        """
        with translated("primary"):
            self._parser.close()

    def end(self) -> None:
        """Have nothing more read."""
        if self._thread is not None:
            self._parts.put(None)
            self._thread.join()
            self._thread = None
