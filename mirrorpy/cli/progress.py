"""Progress on a terminal: a line for each repository under way, and one for all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from types import TracebackType

ALL = "all"


class Bars:
    """A watch that draws."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[files]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._files: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        self._task(ALL)
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _task(self, name: str) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=None, files="")
            self._files[name] = (0, 0)
        return self._tasks[name]

    def step(self, repo_id: str, doing: str | None) -> None:
        """Show what a repository's sync does, until it ends."""
        with self._lock:
            task = self._task(repo_id)
            self._progress.update(task, description=f"{repo_id}: {doing}", visible=doing is not None)

    def expect(self, repo_id: str, files: int, size: int) -> None:
        """Lengthen a repository's bar and the bar of all."""
        if not files:
            return
        with self._lock:
            for name in (ALL, repo_id):
                task = self._task(name)
                done, total = self._files[name]
                self._files[name] = (done, total + files)
                self._progress.update(task, total=(self._progress.tasks[task].total or 0) + size)

    def receive(self, repo_id: str, size: int) -> None:
        """Fill the bars by bytes."""
        self._progress.advance(self._tasks[ALL], size)
        self._progress.advance(self._tasks[repo_id], size)

    def land(self, repo_id: str) -> None:
        """Count a file."""
        with self._lock:
            for name in (ALL, repo_id):
                done, total = self._files[name]
                self._files[name] = (done + 1, total)
                self._progress.update(self._tasks[name], files=f"{done + 1:,}/{total:,}")
