"""One installation of mirrorpy, as a library: a root, a clock, and what tests want to know of them."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mirrorpy.config.model import Config, Repository
from mirrorpy.mirror import PruneReport, RunReport, prune_all, sync_all
from mirrorpy.store.layout import Layout
from mirrorpy.sync.claims import Claims
from mirrorpy.sync.prune import sweep_pool
from mirrorpy.sync.report import Options, RepoReport
from mirrorpy.sync.story import sync_repository
from mirrorpy.upstream import Network
from mirrorpy.upstream.network import Patience
from tests.simulator import FIRST, REPOMD, Repo, Simulator

PATIENCE = Patience(first=0.001, most=0.01, retry_after_most=0.05)
HOUR = 3600.0


class Watcher:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.expected = self.landed = self.received = 0
        self.steps: list[str | None] = []

    def step(self, repo_id: str, doing: str | None) -> None:
        self.steps.append(doing)

    def expect(self, repo_id: str, files: int, size: int) -> None:
        self.expected += files

    def receive(self, repo_id: str, size: int) -> None:
        self.received += size

    def land(self, repo_id: str) -> None:
        self.landed += 1


class Mirror:
    """A root that is brought up to date from a simulator."""

    def __init__(self, root: Path, simulator: Simulator) -> None:
        self.root, self.simulator = root, simulator
        self.layout = Layout.of(root)
        self.now = FIRST + 24 * HOUR
        self.patience = PATIENCE

    def network(self, **settings: Any) -> Network:
        """Return the network of one run, with little patience."""
        return Network(transport=self.simulator, patience=self.patience, **settings)

    def sync(
        self, *sources: Repo | str, options: Options | None = None, claims: Claims | None = None, **settings: Any
    ) -> RepoReport:
        """Bring one repository up to date from its mirrors, at this machine's time."""
        network = self.network()
        try:
            return sync_repository(
                configured(*sources, **settings),
                self.layout,
                network,
                options or Options(),
                claims=claims or Claims(),
                watch=Watcher(),
                clock=lambda: self.now,
            )
        finally:
            network.close()

    def updates(self, *sources: Repo | str, options: Options | None = None, **settings: Any) -> RepoReport:
        """Sync, which has to publish something."""
        report = self.sync(*sources, options=options, **settings)
        assert report.error is None, report.error
        assert report.outcome == "updated"
        return report

    def stays(self, *sources: Repo | str, options: Options | None = None, **settings: Any) -> RepoReport:
        """Sync, which has to find nothing to publish."""
        before = self.served()
        report = self.sync(*sources, options=options, **settings)
        assert report.error is None, report.error
        assert report.outcome == "unchanged"
        assert self.served() == before
        return report

    def fails(self, status: int, *sources: Repo | str, options: Options | None = None, **settings: Any) -> str:
        """Sync, which has to fail with this exit status and to touch nothing that is served; return the message."""
        before = self.served()
        report = self.sync(*sources, options=options, **settings)
        assert report.outcome == "failed"
        assert report.error is not None
        assert report.error.exit == status, report.error.message
        assert report.error.message.isprintable()
        assert self.served() == before
        return report.error.message

    def config(self, *repos: Repository, **settings: Any) -> Config:
        """Return a configuration of these repositories."""
        return Config(file=self.root / "mirrorpy.yaml", root=self.root, repos=repos, **settings)

    def sync_all(self, *repos: Repository, options: Options | None = None, **settings: Any) -> RunReport:
        """Bring several repositories up to date, as `mirrorpy sync` does."""
        return sync_all(self.config(*repos, **settings), repos, options or Options(), Watcher(), self.network())

    def prune(self, *repos: Repository, forget: tuple[str, ...] = ()) -> PruneReport:
        """Prune, as `mirrorpy prune` does."""
        return prune_all(self.config(*repos), forget)

    def sweep(self) -> None:
        """Sweep the pool as the end of a run does."""
        sweep_pool(self.layout, owed_only=True)

    def tree(self, path: str = "repo") -> dict[str, bytes]:
        """Return what clients see below a published path; every file and folder has to be readable for all."""
        found = {}
        top = self.root / path
        for folder, folders, names in os.walk(top):
            for name in folders:
                assert stat.S_IMODE(os.lstat(f"{folder}/{name}").st_mode) == 0o755
            for name in names:
                file = Path(folder, name)
                assert stat.S_IMODE(file.lstat().st_mode) == 0o444
                found[str(file.relative_to(top))] = file.read_bytes()
        return found

    def served(self) -> dict[str, tuple[object, ...]]:
        """Return everything below root but mirrorpy's own state, so that any change at all shows."""
        return {str(path): _described(path) for path in self._below_root()}

    def _below_root(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name != ".mirrorpy"]
            yield from (Path(folder, name) for name in (*folders, *names))

    def pool(self) -> set[str]:
        """Return the names of the pool's files."""
        return {name for _, _, names in os.walk(self.layout.pool) for name in names}

    def generations(self, path: str = "repo") -> list[str]:
        """Return the names of a path's generations, the oldest first."""
        place = self.layout.place(path)
        return sorted(name for name in os.listdir(place.folder) if place.stamp(name))

    def replace(self, href: str, content: bytes, path: str = "repo") -> Path:
        """Overwrite a published file in place, as bit rot or an admin would, keeping its time."""
        file = self.root / path / href
        info = file.stat()
        file.chmod(0o644)
        file.write_bytes(content)
        file.chmod(0o444)
        os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
        return file


def _described(path: Path) -> tuple[object, ...]:
    info = path.lstat()
    content: object = None
    if stat.S_ISREG(info.st_mode):
        content = path.read_bytes()
    elif stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    return info.st_ino, info.st_mode, info.st_mtime_ns, content


def configured(*sources: Repo | str, id: str = "repo", **settings: Any) -> Repository:  # noqa: A002
    """Return a repository's configuration: its mirrors, or another source named in the settings.

    Requests are counted: what is asked for beside a repository is only where a story is about that.
    """
    baseurls = tuple(source if isinstance(source, str) else source.url for source in sources)
    return Repository(**{"id": id, "path": id, "baseurls": baseurls, "tree": False, **settings})


def packages(asked: list[str]) -> list[str]:
    """Return the packages among requests, sorted."""
    return sorted(href for href in asked if href.endswith("rpm"))


def flip(content: bytes) -> bytes:
    """Return as many bytes, of which one is another."""
    return bytes([content[0] ^ 1]) + content[1:]


__all__ = ["HOUR", "REPOMD", "Mirror", "Watcher", "configured", "flip", "packages"]
