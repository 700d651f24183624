"""Which repositories of a configuration the command line names."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from mirrorpy.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorpy.config.model import Config, Repository


def select_repositories(config: Config, patterns: Sequence[str]) -> list[Repository]:
    """Return the repositories that the patterns name, in configuration order; all for none.

    Raises:
        ConfigError: A pattern names none.
    """
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(repo.id, pattern) for repo in config.repos):
            raise ConfigError(f"{config.file}: no repository is named {pattern!r}", hint="`mirrorpy status` lists them")
    return [
        repo
        for repo in config.repos
        if not patterns or any(fnmatch.fnmatchcase(repo.id, pattern) for pattern in patterns)
    ]
