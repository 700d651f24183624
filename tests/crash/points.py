"""Interfering at the Nth filesystem operation: whatever makes, changes or removes a name, writes, or flushes.

`sys.addaudithook` tells of most of them. It does not tell of os.write, of what buffered files write, of os.fsync, of
syncfs and of renameat2, so these are wrapped. A write is two operations: nothing of it is done before the first, half
of it before the second.
"""

import builtins
import ctypes
import io
import itertools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn

CHANGES = frozenset(
    f"os.{name}"
    for name in (
        *("chmod", "chown", "link", "mkdir", "remove", "removexattr", "rename"),
        *("rmdir", "setxattr", "symlink", "truncate", "utime"),
    )
)
"""Audit events; os.replace is heard as os.rename, os.unlink as os.remove, and those of descriptors as the others."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
Reached = Callable[[int, str], None]
"""Is told the number and the name of an operation that is about to be done; may raise, or end the process."""


def go_on(number: int, operation: str) -> None:
    """Let everything be done."""


def kill_at(wanted: int) -> Reached:
    """End the process just before an operation, with the one signal that nothing can prepare for."""

    def reached(number: int, operation: str) -> None:
        if number == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def kill_at_first(wanted: str) -> Reached:
    """End the process just before the first operation of this name."""

    def reached(number: int, operation: str) -> None:
        if operation == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def fail_at(wanted: int, code: int) -> Reached:
    """Let one operation fail with this error."""

    def reached(number: int, operation: str) -> None:
        if number == wanted:
            raise OSError(code, os.strerror(code))

    return reached


def watch(reached: Reached, *, flush: bool) -> None:
    """Call `reached` before each operation of this process from now on; without flush nothing waits for the disk."""
    numbers = itertools.count(1)

    def reach(operation: str) -> None:
        reached(next(numbers), operation)

    def hear(event: str, args: tuple[Any, ...]) -> None:
        named = event == "open" and not isinstance(args[0], int)
        writing = named and isinstance(args[2], int) and args[2] & WRITING
        if writing or event in CHANGES or event.startswith("shutil."):
            reach(event)

    _wrap_writes(reach)
    _wrap_flushes(reach, flush=flush)
    sys.addaudithook(hear)


def _wrap_writes(reach: Callable[[str], None]) -> None:
    write, opened = os.write, builtins.open

    def in_halves(write: Callable[[memoryview], int | None], data: Any) -> int:
        rest = memoryview(data).cast("B")
        half = len(rest) // 2
        reach("write")
        done = (write(rest[:half]) or 0) if half else 0
        reach("half a write")
        return done + (write(rest[done:]) or 0)

    class Raw(io.FileIO):
        def write(self, data: Any, /) -> int:
            return in_halves(super().write, data)

    def watched(file: Any, mode: str = "r", *args: Any, **options: Any) -> IO[Any]:
        if not set(mode) & set("wax+"):
            opened_file: IO[Any] = opened(file, mode, *args, **options)
            return opened_file
        assert set(mode) == {"w", "b"}, f"files opened with {mode!r} are not watched yet"
        return io.BufferedWriter(Raw(file, "w"))

    os.write = lambda descriptor, data, /: in_halves(lambda part: write(descriptor, part), data)
    builtins.open = watched  # type: ignore[assignment]


def _wrap_flushes(reach: Callable[[str], None], *, flush: bool) -> None:
    from mirrorpy.store import durable, exchange

    fsync, syncfs, renameat2 = os.fsync, durable._syncfs(), exchange._renameat2()
    assert syncfs is not None

    def watched_fsync(fd: Any) -> None:
        reach("fsync")
        if flush:
            fsync(fd)

    def watched_syncfs(descriptor: int) -> int:
        try:
            reach("syncfs")
        except OSError as error:
            ctypes.set_errno(error.errno or 0)
            return -1
        return syncfs(descriptor) if flush else 0

    os.fsync = watched_fsync
    durable._syncfs = lambda: watched_syncfs  # type: ignore[assignment]
    if renameat2 is not None:

        def watched_renameat2(*args: Any) -> int:
            reach("renameat2")
            return renameat2(*args)

        exchange._renameat2 = lambda: watched_renameat2  # type: ignore[assignment]


@dataclass(frozen=True)
class Ended:
    """How a run went, and what it did until then."""

    status: int
    """The exit status; a signal's number is below zero."""
    output: str
    errors: str
    operations: list[str] = field(default_factory=list)

    @property
    def killed(self) -> bool:
        """Whether nothing else than SIGKILL ended it."""
        return self.status == -signal.SIGKILL


def nothing() -> None:
    """Do nothing meanwhile."""


def run(
    argv: list[str],
    reached: Reached,
    prepare: Callable[[], None],
    attend: Callable[[], None] = nothing,
    *,
    flush: bool = False,
) -> Ended:
    """Run mirrorpy's command line in a fork of this process, which has one thread; attend to something meanwhile."""
    sys.stdout.flush()
    told = [os.memfd_create(name) for name in ("output", "errors", "operations")]
    pid = os.fork()
    if not pid:
        _live(argv, reached, prepare, told, flush=flush)
    attend()
    _, status = os.waitpid(pid, 0)
    output, errors, operations = (_read(descriptor) for descriptor in told)
    return Ended(os.waitstatus_to_exitcode(status), output, errors, operations.splitlines())


def _read(descriptor: int) -> str:
    with open(descriptor, "rb") as file:
        return os.pread(descriptor, os.fstat(file.fileno()).st_size, 0).decode()


def _live(argv: list[str], reached: Reached, prepare: Callable[[], None], told: list[int], *, flush: bool) -> NoReturn:
    """Be the run, and nothing after it."""
    status, write = 99, os.write

    def note(number: int, operation: str) -> None:
        write(told[2], f"{operation}\n".encode())
        reached(number, operation)

    try:
        from mirrorpy.cli import main

        os.dup2(told[0], sys.stdout.fileno())
        os.dup2(told[1], sys.stderr.fileno())
        prepare()
        watch(note, flush=flush)
        status = main(argv)
        sys.stdout.flush()
    except BaseException as error:
        write(told[1], f"not caught: {error!r}\n".encode())
    finally:
        os._exit(status)
