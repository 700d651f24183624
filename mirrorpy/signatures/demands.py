"""What of a repository has to be signed, and by whose keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.signatures.gpgv import Gpgv
from mirrorpy.signatures.keyring import load_keyring

if TYPE_CHECKING:
    from mirrorpy.config.model import Repository


@dataclass(frozen=True, slots=True)
class Demands:
    """Who checks repomd.xml and who checks packages; None where nothing is demanded."""

    repomd: Gpgv | None = None
    packages: Gpgv | None = None

    @classmethod
    def of(cls, repo: Repository) -> Demands:
        """Read the keys, where the configuration asks for checks.

        Raises:
            ConfigError: A file holds no key, or gpgv is not installed.
        """
        if not (repo.repo_gpgcheck or repo.gpgcheck):
            return cls()
        gpgv = Gpgv(load_keyring(repo.gpgkey), allow_sha1=repo.allow_sha1)
        return cls(gpgv if repo.repo_gpgcheck else None, gpgv if repo.gpgcheck else None)

    @property
    def trust(self) -> str:
        """Changes when more is demanded, or other keys are trusted."""
        return " ".join(f"{name}:{gpgv.id}" for name, gpgv in (("r", self.repomd), ("p", self.packages)) if gpgv)
