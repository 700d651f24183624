"""Progress bars on a terminal: one for each repository that downloads, and one for all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from types import TracebackType


class Bars:
    """A watch that draws."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[files]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._lock = threading.Lock()
        self._all: TaskID | None = None
        self._repos: dict[str, TaskID] = {}
        self._files: dict[TaskID, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def expect(self, repo_id: str, files: int, size: int) -> None:
        """Lengthen a repository's bar and the bar of all."""
        if not files:
            return
        with self._lock:
            if self._all is None:
                self._all = self._add("all")
            if repo_id not in self._repos:
                self._repos[repo_id] = self._add(repo_id)
            for task in (self._all, self._repos[repo_id]):
                done, total = self._files[task]
                self._files[task] = (done, total + files)
                self._progress.update(task, total=(self._progress.tasks[task].total or 0) + size)

    def _add(self, description: str) -> TaskID:
        task = self._progress.add_task(description, total=0, files="")
        self._files[task] = (0, 0)
        return task

    def receive(self, repo_id: str, size: int) -> None:
        """Fill the bars by bytes."""
        if self._all is not None:
            self._progress.advance(self._all, size)
            self._progress.advance(self._repos[repo_id], size)

    def land(self, repo_id: str) -> None:
        """Count a file."""
        with self._lock:
            for task in (self._all, self._repos.get(repo_id)):
                if task is not None:
                    done, total = self._files[task]
                    self._files[task] = (done + 1, total)
                    self._progress.update(task, files=f"{done + 1:,}/{total:,}")
