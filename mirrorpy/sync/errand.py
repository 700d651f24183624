"""A process that brings files for a sync in another one; what it is to do comes on standard input.

Threads of one process take turns at Python's global lock, and with small files the turns cost more than the work. This
one has a lock of its own. It ends when its standard input does, so that it outlives no sync by more than a moment.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from mirrorpy.errors import MirrorError
from mirrorpy.sync.bring import Bringer, Failed
from mirrorpy.sync.parallel import Jobs, Pace, labour
from mirrorpy.upstream import Network, Upstream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorpy.config.model import Repository
    from mirrorpy.rpmmd.model import Checksum, RemoteFile, Repomd
    from mirrorpy.sync.bring import Landed
    from mirrorpy.upstream.network import Patience

    Job = tuple[int, RemoteFile]

TELL_EVERY = 0.1
"""Seconds between two pieces of news, at most."""
TELL_FILES = 32
"""Where more are waiting; the last ones are told of one by one, so that others come in time."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What a process is to do: bring files of this upstream, its mirrors in this order, into this folder."""

    repo: Repository
    order: tuple[str, ...]
    incoming: str
    width: int
    patience: Patience
    repomd: Repomd | None
    """What promises the records among the files, where there are any."""


class Come(NamedTuple):
    """A file that landed, by its number; the rest of it is known to who sent for it."""

    number: int
    size: int
    resumed: int
    key: Checksum | None
    """None where it is the checksum that was promised."""


@dataclass(slots=True)
class News:
    """What became of files, by their numbers, and what was counted since the last news."""

    done: list[Come | tuple[int, MirrorError]] = field(default_factory=list)
    received: int = 0
    requests: int = 0
    retries: int = 0
    error: MirrorError | None = None
    """What ended the errand before its time."""


class _Teller:
    """Writes news, one for many files."""

    def __init__(self, out: BinaryIO, upstream: Upstream) -> None:
        self._out, self._tally = out, upstream.tally
        self._news, self._told = News(), time.monotonic()
        self._requests = self._retries = 0
        self._received = 0
        self._lock = threading.Lock()

    def receive(self, size: int) -> None:
        """Count bytes, from any thread."""
        with self._lock:
            self._received += size
            due = time.monotonic() - self._told > TELL_EVERY
        if due:
            self.tell()

    def land(self, number: int, done: Landed | Failed, *, now: bool) -> None:
        """Tell what became of a file, now or together with what comes next."""
        told: Come | tuple[int, MirrorError]
        if isinstance(done, Failed):
            told = (number, done.error)
        else:
            key = None if done.key == done.file.checksum else done.key
            told = Come(number, done.size, done.resumed, key)
        with self._lock:
            self._news.done.append(told)
        self.tell(now=now)

    def tell(self, error: MirrorError | None = None, *, now: bool = True) -> None:
        """Say what happened, if there is enough of it or it should be said now."""
        with self._lock:
            if not now and len(self._news.done) < TELL_FILES:
                return
            news, self._news = self._news, News()
            requests, retries = self._tally.requests, self._tally.retries
            news.requests, self._requests = requests - self._requests, requests
            news.retries, self._retries = retries - self._retries, retries
            news.received, self._received, news.error = self._received, 0, error
            self._told = time.monotonic()
            # Whoever does not listen any more has closed our input too.
            with contextlib.suppress(BrokenPipeError):
                pickle.dump(news, self._out, pickle.HIGHEST_PROTOCOL)
                self._out.flush()


def _read(source: BinaryIO, jobs: Jobs[Job]) -> bool:
    """Hand on what is to be brought; False where the one who sent us is gone before saying that it is all."""
    try:
        while (batch := pickle.load(source)) is not None:  # noqa: S301  # our own process wrote it
            for job in batch:
                jobs.put(job)
    except (EOFError, OSError, pickle.UnpicklingError):
        return False
    jobs.put(None)
    return True


class _Labour:
    """What the threads of this process do."""

    def __init__(self, errand: Errand, out: BinaryIO) -> None:
        self._width = errand.width
        network = Network(max_parallel_downloads=errand.width, patience=errand.patience)
        upstream = Upstream(errand.repo, network, errand.order)
        self.teller = _Teller(out, upstream)
        self._bringer = Bringer(upstream, errand.incoming, self.teller.receive)
        self._bringer.repomd = errand.repomd
        self.jobs: Jobs[Job] = Jobs()
        self._pace = Pace(lambda: upstream.trip)

    def start(self) -> list[threading.Thread]:
        """Start the threads; daemons, which end with the process wherever they are."""
        threads = [threading.Thread(target=self._work, args=(each,), daemon=True) for each in range(self._width)]
        for thread in threads:
            thread.start()
        return threads

    def _work(self, thread: int) -> None:
        try:
            for (number, _), done in labour(self.jobs, self._width, self._do, self._reach, self._pace.rest_of(thread)):
                self.teller.land(number, done, now=len(self.jobs) < 2 * self._width)
            self.jobs.put(None)
        except MirrorError as error:
            self.teller.tell(error=error)
        except BaseException as error:  # noqa: BLE001  # told to who sent us, as they would tell their own
            cause = f"unexpected {type(error).__name__}: {error}"
            self.teller.tell(error=MirrorError(cause, hint="please report this, with -v"))

    def _reach(self, hand: Sequence[Job], following: Job, left: int) -> bool:
        return self._bringer.reaches([file for _, file in hand], following[1], left)

    def _do(self, hand: Sequence[Job]) -> list[Landed | Failed]:
        done = self._bringer.do([file for _, file in hand])
        self._pace.count(len(done))
        return done


def main() -> None:
    """Run the errand that standard input describes, and tell of it on standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    try:
        errand: Errand = pickle.load(source)  # noqa: S301  # our own process wrote it
    except EOFError:
        return
    work = _Labour(errand, out)
    threads = work.start()
    # Where it is gone who sent us, the threads end with this one.
    if _read(source, work.jobs):
        for thread in threads:
            thread.join()
        work.teller.tell()
