"""Processes that bring a sync's files beside each other, where there are many files and more than one core."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError
from mirrorpy.store.incoming import place_in
from mirrorpy.sync.bring import Failed, Landed
from mirrorpy.sync.errand import Come, Errand, News

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirrorpy.config.model import Repository
    from mirrorpy.errors import MirrorError
    from mirrorpy.rpmmd.model import RemoteFile, Repomd
    from mirrorpy.upstream import Network, Upstream

WORTH = 1_000
"""Files from which on two interpreters more are started; that takes a tenth of a second."""
AT_ONCE = (6, 64)
"""Files that a process has before it, for each of its connections: few in the end, so that all are done together."""
_RUN = "import sys; sys.path[:] = {path!r}; from mirrorpy.sync.errand import main; main()"


@dataclass(slots=True, eq=False)
class _Process:
    child: subprocess.Popen[bytes]
    waiting: int = 0
    """Files that it was given and did not tell of."""

    def send(self, what: object) -> None:
        """Write to it; one that is gone is found out by its silence."""
        assert self.child.stdin is not None
        with contextlib.suppress(OSError):
            pickle.dump(what, self.child.stdin, pickle.HIGHEST_PROTOCOL)
            self.child.stdin.flush()

    def end(self) -> None:
        """Kill it, if it still runs, and forget it."""
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


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
    _processes: list[_Process] = field(default_factory=list)
    _news: queue.SimpleQueue[tuple[_Process, News | None]] = field(default_factory=queue.SimpleQueue)

    def suits(self, count: int) -> bool:
        """Tell whether processes beat threads: many files, more than one core, and nothing to share but connections."""
        return count >= WORTH and self._count() > 1 and self.network.may_be_divided(self.repo)

    def _count(self) -> int:
        return min(len(os.sched_getaffinity(0)), self.network.width)

    def bring(self, files: Sequence[RemoteFile], repomd: Repomd | None) -> Iterator[Landed | Failed]:
        """Yield what becomes of each file, as they come; repomd is what promises the records among them.

        Raises:
            LocalError: This machine cannot take them, or lost a process.
        """
        self.start()
        width, count = self.network.width, len(self._processes)
        order, patience = tuple(self.upstream.order), self.network.patience
        for number, process in enumerate(self._processes):
            part = width // count + (number < width % count)
            process.send(Errand(self.repo, order, self.incoming, part, patience, repomd))
        try:
            yield from self._feed(files)
        finally:
            self.end()

    def start(self) -> None:
        """Start the processes, if they are not waiting already; that may be done while there is time.

        Raises:
            LocalError: This machine does not start any more.
        """
        if not self._processes:
            self._processes += [self._start() for _ in range(self._count())]

    def end(self) -> None:
        """End the processes that there are."""
        for process in self._processes:
            process.end()
        self._processes.clear()

    def _start(self) -> _Process:
        run = _RUN.format(path=sys.path)
        try:
            child = subprocess.Popen(  # noqa: S603  # ourselves
                [sys.executable, "-c", run],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[self.lock],
            )
        except OSError as error:
            raise LocalError(f"cannot start a process: {error.strerror}", hint="run again") from error
        process = _Process(child)
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: _Process) -> None:
        assert process.child.stdout is not None
        with contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            while True:
                self._news.put((process, pickle.load(process.child.stdout)))  # noqa: S301  # our own process wrote it
        self._news.put((process, None))

    def _feed(self, files: Sequence[RemoteFile]) -> Iterator[Landed | Failed]:
        jobs = list(enumerate(files))
        left, given = len(files), 0
        for process in self._processes:
            given += self._give(process, jobs[given : given + self._share(left)])
        while left and not self.halted:
            process, news = self._news.get()
            if process not in self._processes:
                continue
            if news is None:
                raise LocalError("a process that downloads ended unexpectedly", hint="run again")
            self.received(news.received)
            self.upstream.tally.count_others(news.requests, news.retries)
            if news.error is not None:
                raise news.error
            left -= len(news.done)
            process.waiting -= len(news.done)
            share = self._share(len(jobs) - given)
            if process.waiting <= share // 2:
                given += self._give(process, jobs[given : given + share - process.waiting])
            for done in news.done:
                yield self._result(files[done[0]], done)

    def _share(self, left: int) -> int:
        """Return how many files a process may have before it, where so many are not given to any yet."""
        fewest, most = AT_ONCE
        connections = max(1, self.network.width // len(self._processes))
        return connections * max(fewest, min(most, left // (16 * self.network.width)))

    def _result(self, file: RemoteFile, done: Come | tuple[int, MirrorError]) -> Landed | Failed:
        if isinstance(done, Come):
            path = place_in(self.incoming, file)
            return Landed(file, path, done.size, done.resumed, done.key or file.checksum)
        return Failed(file, done[1])

    @staticmethod
    def _give(process: _Process, jobs: list[tuple[int, RemoteFile]]) -> int:
        if jobs:
            process.send(jobs)
            process.waiting += len(jobs)
        return len(jobs)
