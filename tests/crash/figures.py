"""Running an enumeration in a process of its own, and what its points amount to."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

from tests.integration.programs import TOP

SECONDS = 1_500
MEMORY = "/dev/shm"
"""Where trials are fast; whether a filesystem has a disk does not matter to a kill."""
SHOWN = 12


@dataclass(frozen=True)
class Points:
    """What was found at each."""

    name: str
    found: list[dict[str, Any]]

    def __str__(self) -> str:
        counts = {state: sum(point["state"] == state for point in self.found) for state in ("old", "new")}
        broken, lost = (sum(bool(point[what]) for point in self.found) for what in ("broken", "lost"))
        return (
            f"{self.name}: {len(self.found)} points: {counts['old']} old, {counts['new']} new, "
            f"{broken} broken, {lost} lost"
        )

    @property
    def operations(self) -> set[str]:
        """What was interrupted."""
        return {point["operation"] for point in self.found}

    @property
    def faults(self) -> str:
        """What is wrong, as far as anybody wants to read; empty where nothing is."""
        lines = [
            f"{point['point']} ({point['operation']}): {fault}"
            for point in self.found
            for fault in point["broken"] + point["lost"]
        ]
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        return "\n".join([str(self), *lines[:SHOWN], *more]) if lines else ""


def enumerate_points(name: str, module: str, *arguments: str) -> Points:
    """Run a module of these tests that prints what it found at each point."""
    found = sorted(output_of(module, *arguments), key=lambda point: point["point"])
    assert found
    return Points(name, found)


def output_of(module: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a module of these tests that prints lines of JSON; a new folder is its last argument."""
    with tempfile.TemporaryDirectory(
        prefix="mirrorpy-crash-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None
    ) as it:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", module, *arguments, it],
            cwd=TOP,
            env={**os.environ, "PYTHONPATH": str(TOP)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
