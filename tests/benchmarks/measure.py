"""What one command takes: seconds, seconds of the processor, and memory, its child processes included.

Memory is read out of /proc fifty times a second. The system's own account of a child's peak will not do: it begins
with what the parent had before the child became another program.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERVAL = 0.02
LIMIT = 3_600.0
"""Seconds after which a command counts as hanging."""
PAGE = resource.getpagesize()
PR_SET_CHILD_SUBREAPER = 36
TAIL = 2_000
HIGH_WATER = re.compile(rb"VmHWM:\s+(\d+) kB")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run took."""

    wall: float
    """Seconds until the command ended."""
    cpu: float
    """Seconds, user and system, of all its processes."""
    peak: float
    """MB resident at once in the main process."""
    tree: float
    """MB resident at once in all its processes together, shared pages counted in each."""


class Failed(Exception):
    """A command did not end well."""


def measure(command: Sequence[str], log: Path, environment: dict[str, str]) -> Usage:
    """Run a command to its end.

    Raises:
        Failed: It did not succeed; the end of what it said is in the message.
    """
    # Processes that outlive their parent become children of this one, so that their time is found too.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with log.open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=log.parent,
            start_new_session=True,
        )
    memory = Memory(process.pid)
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        memory.stop()
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    with contextlib.suppress(ChildProcessError):
        while True:
            _, _, used = os.wait4(-process.pid, 0)
            cpu += used.ru_utime + used.ru_stime
    if process.returncode:
        said = log.read_text(errors="replace")[-TAIL:]
        raise Failed(f"exit {process.returncode}: {' '.join(command)[:TAIL]}\n{said}")
    return Usage(wall, cpu, memory.main / 1e6, memory.tree / 1e6)


class Memory:
    """Watches a process and those below it."""

    def __init__(self, pid: int) -> None:
        self.main = 0
        self.tree = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        until = time.monotonic() + LIMIT
        while True:
            with contextlib.suppress(OSError):
                self.main = max(self.main, _high_water(self._pid))
            self.tree = max(self.tree, self.main, sum(map(_resident, _family(self._pid))))
            if self._ended.wait(INTERVAL):
                return
            if time.monotonic() > until:
                os.killpg(self._pid, signal.SIGKILL)


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all below it; each thread lists the children that it started."""
    yield pid
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                for child in Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split():
                    yield from _family(int(child))


def _high_water(pid: int) -> int:
    found = HIGH_WATER.search(Path(f"/proc/{pid}/status").read_bytes())
    return int(found[1]) * 1024 if found else 0


def _resident(pid: int) -> int:
    """Return the bytes that are resident now; none where it has just ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0
