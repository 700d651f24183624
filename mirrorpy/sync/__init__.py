"""One repository brought up to date: the story from lock to report."""

from mirrorpy.sync.claims import Claims
from mirrorpy.sync.prune import forget_repository, prune_repository, sweep_pool
from mirrorpy.sync.report import Failure, Moved, Options, RepoReport, Watch
from mirrorpy.sync.story import sync_repository

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
