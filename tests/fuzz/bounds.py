"""What one call may cost: time of this process, and memory, by the kernel's own high-water mark."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

MIB = 1024 * 1024


class TooMuch(AssertionError):
    """A call took more time or memory than its target may."""


@dataclass(slots=True)
class Cost:
    """Of one call."""

    seconds: float = 0.0
    memory: int = 0
    """Bytes, at the peak, beyond what the process had."""


@contextlib.contextmanager
def measured() -> Iterator[Cost]:
    """Fill in the cost of what happens inside, however it ends."""
    cost = Cost()
    _forget_peak()
    before, began = _peak(), time.process_time()
    try:
        yield cost
    finally:
        cost.seconds = time.process_time() - began
        cost.memory = max(0, _peak() - before)


def _forget_peak() -> None:
    """Begin a new high-water mark (proc_pid_clear_refs(5)); ru_maxrss knows only that of a whole life."""
    with open("/proc/self/clear_refs", "wb", buffering=0) as file:
        file.write(b"5")


def _peak() -> int:
    """Return the most memory that was resident since, in bytes."""
    with open("/proc/self/status", "rb") as file:
        line = next(line for line in file if line.startswith(b"VmHWM:"))
    return int(line.split()[1]) * 1024


def resident() -> int:
    """Return what is resident now, in bytes."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
