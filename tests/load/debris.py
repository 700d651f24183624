"""What a sync has left lying about below root."""

import os
from collections.abc import Iterator
from pathlib import Path

from tests.integration.installation import Mirror
from tests.integration.listing import BESIDE_REPOMD, files_below, listing_of

LASTING = {"lock", "state.json", "weak", "hashed", "signed", "beside"}
"""Of a repository's own state."""


def debris(mirror: Mirror, repo_id: str, keep: int) -> list[str]:
    """Anything but the published link, its generations, their manifests and what is remembered."""
    return [*_beside(mirror, repo_id, keep), *_in_state(mirror, repo_id)]


def leftovers(mirror: Mirror, *repo_ids: str) -> list[str]:
    """Of a sync that went well: downloads, what nothing refers to, what no metadata names."""
    pool = mirror.root / ".mirrorpy/pool"
    found = [f"incoming/{name}" for name in mirror.incoming()]
    found += [f"pool/{name}" for name in mirror.pool() if (pool / name).lstat().st_nlink == 1]
    for repo_id in repo_ids:
        published = mirror.published(repo_id)
        listed = listing_of(published).hrefs | BESIDE_REPOMD
        found += [
            href for href in files_below(published) - listed if not href.endswith((".rpm", ".gz", ".zst", ".xml"))
        ]
    return found


def _beside(mirror: Mirror, repo_id: str, keep: int) -> Iterator[str]:
    generations = mirror.generations(repo_id)
    if not mirror.published(repo_id).is_symlink():
        yield f"{repo_id} is no link"
    if len(generations) > keep:
        yield f"{len(generations)} generations"
    for name in os.listdir(mirror.root):
        if repo_id in name and name not in {repo_id, *generations}:
            yield name


def _in_state(mirror: Mirror, repo_id: str) -> Iterator[str]:
    manifests = {f"{name.rpartition('.')[2]}.files" for name in mirror.generations(repo_id)}
    own = Path(mirror.root / ".mirrorpy/repos" / repo_id)
    yield from (f"repos/{repo_id}/{name}" for name in set(os.listdir(own)) - LASTING - manifests)
