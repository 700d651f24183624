"""Processes that bring a sync's files beside each other, where there are many files and more than one core."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import queue
import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError
from mirrorpy.store.incoming import place_in
from mirrorpy.store.process import Process
from mirrorpy.sync.bring import Failed, Landed
from mirrorpy.sync.errand import Come, Errand, News

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirrorpy.config.model import Repository
    from mirrorpy.errors import MirrorError
    from mirrorpy.rpmmd.model import RemoteFile, Repomd
    from mirrorpy.upstream import Network, Upstream

WORTH = 1_000
"""Files from which on interpreters more are started; that takes a tenth of a second."""
MOST = 4
"""Of them; nginx and the disk want cores too."""
FEWEST, FEWEST_SMALL, MOST_FILES = 6, 48, 256
"""Files that a process has before it, for each of its connections: few in the end, so that all are done together."""
SMALL = 64 * 1024
"""Bytes, on average, of files of which more may be left: a far server is asked for many of them ahead."""
logger = logging.getLogger(__name__)
_RUN = """\
import gc, sys
gc.set_threshold(*{threshold!r})
sys.path[:] = {path!r}
from mirrorpy.sync.errand import main
main()
"""


class _Process(Process):
    """One that downloads."""

    def __init__(self, lock: int) -> None:
        # It looks for garbage as seldom as we do.
        super().__init__(["-c", _RUN.format(threshold=gc.get_threshold(), path=sys.path)], lock)
        self.given: dict[int, RemoteFile] = {}
        """Files that it did not tell of yet."""

    def send(self, what: object) -> None:
        """Hand it an errand, or files."""
        self.tell(pickle.dumps(what, pickle.HIGHEST_PROTOCOL))


@dataclass
class Crew:
    """What it takes to send for one repository's files; lock is the open file whose lock they keep with us."""

    repo: Repository
    network: Network
    upstream: Upstream
    incoming: str
    lock: int
    received: Callable[[int], None]
    halted: bool = False
    """Whether nothing more is to be tried."""
    _fewest: int = FEWEST
    _processes: list[_Process] = field(default_factory=list)
    _news: queue.SimpleQueue[tuple[_Process, News | None]] = field(default_factory=queue.SimpleQueue)

    def suits(self, count: int) -> bool:
        """Tell whether processes beat threads: many files, more than one core, and nothing to share but connections."""
        return count >= WORTH and self._count() > 1 and self.network.may_be_divided(self.repo)

    def _count(self) -> int:
        return min(len(os.sched_getaffinity(0)), self.network.width, MOST)

    def bring(self, files: Sequence[RemoteFile], repomd: Repomd | None) -> Iterator[Landed | Failed]:
        """Yield what becomes of each file, as they come; repomd is what promises the records among them.

        Raises:
            LocalError: This machine cannot take them, or lost a process.
        """
        width, count = self.network.width, len(self._processes)
        order, patience = tuple(self.upstream.order), self.network.patience
        for number, process in enumerate(self._processes):
            part = width // count + (number < width % count)
            process.send(Errand(self.repo, order, self.incoming, part, patience, repomd))
        try:
            yield from self._feed(files)
        finally:
            self.end()

    def start(self) -> bool:
        """Start the processes, if they are not waiting already; False where this machine starts none."""
        wanted = 0 if self._processes else self._count()
        for _ in range(wanted):
            try:
                self._processes.append(self._start())
            except (OSError, RuntimeError) as error:
                logger.info("%s: cannot start a process: %s", self.repo.id, error)
                break
        return bool(self._processes)

    def end(self) -> None:
        """End the processes that there are."""
        for process in self._processes:
            process.end()
        self._processes.clear()

    def _start(self) -> _Process:
        process = _Process(self.lock)
        try:
            threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        except RuntimeError:
            process.end()
            raise
        return process

    def _listen(self, process: _Process) -> None:
        try:
            while True:
                self._news.put((process, pickle.load(process.answers)))  # noqa: S301  # our own process wrote it
        except Exception as error:  # noqa: BLE001  # whatever ends it, it is gone
            logger.debug("%s: a process ended: %r", self.repo.id, error)
        finally:
            self._news.put((process, None))

    def _feed(self, files: Sequence[RemoteFile]) -> Iterator[Landed | Failed]:
        left, jobs = len(files), deque(enumerate(files))
        small = sum(file.size or SMALL for file in files) < SMALL * len(files)
        self._fewest = FEWEST_SMALL if small else FEWEST
        for process in self._processes:
            self._give(process, jobs)
        while left and not self.halted:
            process, news = self._news.get()
            if process not in self._processes:
                continue
            if news is None:
                self._lose(process, jobs)
                continue
            self.received(news.received)
            self.upstream.tally.count_others(news.requests, news.retries)
            if news.error is not None:
                raise news.error
            left -= len(news.done)
            for number, *_ in news.done:
                del process.given[number]
            self._give(process, jobs)
            for done in news.done:
                yield self._result(files[done[0]], done)

    def _give(self, process: _Process, jobs: deque[tuple[int, RemoteFile]]) -> None:
        """Give a process its share of what is to be done, once it has little left."""
        share = self._share(len(jobs))
        if jobs and len(process.given) <= share // 2:
            batch = [jobs.popleft() for _ in range(min(len(jobs), share - len(process.given)))]
            process.given.update(batch)
            process.send(batch)

    def _lose(self, process: _Process, jobs: deque[tuple[int, RemoteFile]]) -> None:
        """Let the others do what one did not that is gone: killed, perhaps, for want of memory."""
        self._processes.remove(process)
        process.end()
        if not self._processes:
            raise LocalError("the processes that download ended unexpectedly", hint="run again")
        jobs.extendleft(process.given.items())
        for other in self._processes:
            self._give(other, jobs)

    def _share(self, left: int) -> int:
        """Return how many files a process may have before it, where so many are not given to any yet."""
        connections = max(1, self.network.width // len(self._processes))
        return connections * max(self._fewest, min(MOST_FILES, left // (4 * self.network.width)))

    def _result(self, file: RemoteFile, done: Come | tuple[int, MirrorError]) -> Landed | Failed:
        if isinstance(done, Come):
            path = place_in(self.incoming, file)
            return Landed(file, path, done.size, done.resumed, done.key or file.checksum)
        return Failed(file, done[1])
