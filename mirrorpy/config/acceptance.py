"""Whether a new repository can stand beside others in a configuration, as the loader itself judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mirrorpy.config.load import parse_config
from mirrorpy.config.resolve import folders_above
from mirrorpy.config.starter import converted
from mirrorpy.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirrorpy.config.model import Repository


CERTIFICATES = ("sslcacert", "sslclientcert", "sslclientkey")
"""Files that need not be here yet."""


@dataclass
class Acceptance:
    """Repositories that were taken so far."""

    _ids: set[str] = field(default_factory=set)
    _paths: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)
    """Everything above a path."""

    def refuse(self, options: Mapping[str, object]) -> str | None:
        """Take a repository, or say why not."""
        checked = {key: value for key, value in options.items() if key not in CERTIFICATES}
        try:
            repos = parse_config(Path("it"), converted("/", [(checked, ())]), {}).repos
        except ConfigError as error:
            return error.cause.partition(": ")[2]
        for repo in repos:
            if why := self._clash(repo):
                return why
        for repo in repos:
            self._ids.add(repo.id)
            self._paths.add(repo.path)
            self._folders.update(folders_above(repo.path))
        return None

    def _clash(self, repo: Repository) -> str | None:
        if repo.id in self._ids:
            return f"the id {repo.id!r} is taken by another section"
        if repo.path in self._paths | self._folders or not self._paths.isdisjoint(folders_above(repo.path)):
            return f"its path {repo.path!r} lies inside that of another section, or around it"
        return None
