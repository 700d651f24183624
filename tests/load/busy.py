"""An upstream that publishes every second, on several mirrors of which some lag behind."""

import itertools
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.faultserver import FaultServer
from tests.integration.upstream import Upstream, payload

SECONDS_BETWEEN = 1.0
"""Between two publications."""
KEPT = 8
"""States that may still be read by somebody."""


class Turnover:
    """A repository in which every publication replaces the oldest package and removes it."""

    def __init__(self, upstream: Upstream, names: Sequence[str]) -> None:
        self.upstream = upstream
        self.payloads: dict[str, set[bytes]] = {name: set() for name in names}
        """What each package ever installed."""
        self._names = itertools.cycle(names)
        self._releases = itertools.count(1)
        self._hrefs: dict[str, str] = {}
        for _ in names:
            self._replace()
        upstream.publish()

    def turn(self) -> None:
        """Publish the next state."""
        self._replace()
        self.upstream.publish()

    def _replace(self) -> None:
        name, release = next(self._names), str(next(self._releases))
        if name in self._hrefs:
            self.upstream.remove(self._hrefs[name])
        self._hrefs[name] = self.upstream.add(name, "1.0", release)
        self.payloads[name].add(payload(name, "1.0", release))


class Busy(threading.Thread):
    """It publishes during the block; each state is there at once, as a folder that does not change any more."""

    def __init__(self, folder: Path, turn: Callable[[], object], lags: Sequence[int]) -> None:
        """Start a mirror for each lag, which is so many publications behind.

        Args:
            folder: Where `turn` publishes.
            turn: Publishes the next state.
            lags: 0 is a mirror that is up to date.
        """
        super().__init__(name="upstream")
        self.publications = 0
        self.failure: Exception | None = None
        self.news = threading.Event()
        """Set by each publication."""
        self._folder, self._turn, self._lags = folder, turn, lags
        self._ended = threading.Event()
        self._states: list[Path] = []
        self._show()
        self.mirrors = [FaultServer(self._states[0]) for _ in lags]

    def run(self) -> None:
        """Publish until the end."""
        while not self._ended.wait(SECONDS_BETWEEN):
            try:
                self._turn()
                self.publications += 1
                self._show()
            except Exception as error:
                self.failure = error
                return
            self.news.set()

    def _show(self) -> None:
        state = self._folder.with_name(f"{self._folder.name}-{self.publications}")
        shutil.copytree(self._folder, state, copy_function=os.link)
        self._states.append(state)
        if self.publications:
            for server, lag in zip(self.mirrors, self._lags, strict=True):
                server.folder = self._states[max(-len(self._states), -1 - lag)]
        if len(self._states) > KEPT:
            shutil.rmtree(self._states.pop(0))

    def end(self) -> None:
        """Let it finish what it is at."""
        self._ended.set()
        self.join()
        if self.failure:
            raise self.failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            for server in self.mirrors:
                stack.callback(server.close)
            self.end()
