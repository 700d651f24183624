"""Files below a repository that nothing names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mirrorpy.rpmmd.mirrors import REPOMD_HREF

if TYPE_CHECKING:
    from collections.abc import Container, Iterator


def iter_orphans(folder: str, known: Container[str], *, skip_repositories: bool) -> Iterator[str]:
    """Yield the paths below a folder that are not known; links are not followed, repositories inside may be skipped.

    Raises:
        OSError: A folder cannot be listed.
    """
    below = [""]
    while below:
        prefix = below.pop()
        with os.scandir(f"{folder}/{prefix}") as entries:
            for entry in entries:
                path = f"{prefix}{entry.name}"
                if not entry.is_dir(follow_symlinks=False):
                    if path not in known:
                        yield path
                elif not skip_repositories or not os.path.exists(f"{entry.path}/{REPOMD_HREF}"):
                    below.append(f"{path}/")
