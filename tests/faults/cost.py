"""What a sync costs in a process of its own: processor time, and memory by the kernel's high-water mark."""

import json
import subprocess
import sys
from dataclasses import dataclass

from .world import World

MIB = 1024 * 1024
# Processor time, as other processes may have the machine. Not ru_maxrss, which a child has from its parent.
MEASURE = """
import json, sys, time
from mirrorpy.cli import main

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

def sync(repo):
    return main(["sync", "--quiet", "--config", sys.argv[1], repo])

ordinary = sync("other")
before, began = peak(), time.process_time()
status = sync("base")
print(json.dumps([ordinary, status, time.process_time() - began, peak() - before]))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one sync of `base`."""

    exit: int
    seconds: float
    """Of a processor."""
    memory: int
    """Bytes, at the peak, beyond an ordinary sync."""


def cost_of(world: World) -> Cost:
    """Sync `base`, after `other` for comparison."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(world.file)], capture_output=True, text=True, check=True, timeout=60
    )
    ordinary, status, seconds, memory = json.loads(done.stdout)
    assert ordinary == 0, done.stderr
    return Cost(status, seconds, memory)


def refused_cheaply(world: World, *says: str, seconds: float, mib: int) -> None:
    """Sync, which has to be refused as wrong of upstream, again within so much processor time and memory."""
    world.refused(4, *says)
    cost = cost_of(world)
    assert cost.exit == 4
    assert cost.seconds < seconds
    assert cost.memory < mib * MIB
