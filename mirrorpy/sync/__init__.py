"""One repository brought up to date: the story from lock to report.

The names are loaded when they are asked for: who only verifies a folder does not wait for an HTTP library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirrorpy.sync.claims import Claims
    from mirrorpy.sync.prune import forget_repository, prune_repository, sweep_pool
    from mirrorpy.sync.report import Failure, Moved, Options, RepoReport, Watch
    from mirrorpy.sync.story import sync_repository

_HOMES = {
    "Claims": "claims",
    "Failure": "report",
    "Moved": "report",
    "Options": "report",
    "RepoReport": "report",
    "Watch": "report",
    "forget_repository": "prune",
    "prune_repository": "prune",
    "sweep_pool": "prune",
    "sync_repository": "story",
}

__all__ = [
    "Claims",
    "Failure",
    "Moved",
    "Options",
    "RepoReport",
    "Watch",
    "forget_repository",
    "prune_repository",
    "sweep_pool",
    "sync_repository",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"mirrorpy.sync.{_HOMES[name]}"), name)
