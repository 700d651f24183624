"""An interpreter of our own beside this one, which keeps a lock of ours as long as it lives."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO


class Process:
    """It reads what it is to do from standard input, and answers on standard output.

    lock is the open file whose lock it keeps with us; one that is quiet says nothing else.

    Raises:
        OSError: None can be started.
    """

    def __init__(self, arguments: Sequence[str], lock: int, *, cwd: str | None = None, quiet: bool = False) -> None:
        if not sys.executable:
            raise FileNotFoundError("nobody knows where Python is")
        self.child = subprocess.Popen(  # noqa: S603  # ourselves
            [sys.executable, *arguments],
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            pass_fds=[lock],
        )

    def tell(self, data: bytes) -> None:
        """Write to it; one that is gone is found out by its silence."""
        assert self.child.stdin is not None
        with contextlib.suppress(OSError):
            self.child.stdin.write(data)
            self.child.stdin.flush()

    @property
    def answers(self) -> IO[bytes]:
        """What it says."""
        assert self.child.stdout is not None
        return self.child.stdout

    def end(self) -> None:
        """Kill it, if it still runs, and forget it."""
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
