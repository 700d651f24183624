"""A mirror of two repositories behind a server of faults: one meets the fault, the other must not notice."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mirrorpy.cli import main
from tests.faultserver import FaultServer
from tests.integration.listing import BESIDE_REPOMD, REPOMD, faults, files_below, listing_of, snapshot
from tests.integration.upstream import Upstream, build_rpm

if TYPE_CHECKING:
    from collections.abc import Callable

STATE = ".mirrorpy"
RETRIES = 2


@dataclass(frozen=True, slots=True)
class Run:
    """What one command did."""

    exit: int
    stdout: str
    stderr: str

    @property
    def repos(self) -> dict[str, dict[str, Any]]:
        """The reports of `sync --json` by repository."""
        return {repo["id"]: repo for repo in json.loads(self.stdout)["repos"]}

    def lines(self, repo_id: str = "base") -> list[str]:
        """What was said of a repository."""
        return [line for line in self.stderr.splitlines() if f" {repo_id}: " in line]


class Source(Upstream):
    """An upstream of small packages; each publication replaces one, drops one, adds one and keeps one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.packages: dict[str, bytes] = {}

    def turn(self, **records: bytes) -> None:
        """Publish the next state."""
        turn = self.publications + 1
        names = {"kept": 1, "changed": turn, f"only{turn}": turn}
        bodies = {
            f"Packages/{name}.rpm": build_rpm(f"{self.folder.name}-{name}", release=str(number))
            for name, number in names.items()
        }
        for href in self.packages.keys() - bodies.keys():
            self.remove(href)
        for href, body in bodies.items():
            self.put(href, body)
        self.packages = bodies
        self.compose(bodies, **records)

    def new(self) -> str:
        """The href of the package that came with the last publication."""
        return f"Packages/only{self.publications}.rpm"


class World:
    """The upstreams `base` and `other`, their server, and one installation of mirrorpy that both were mirrored to."""

    def __init__(self, folder: Path, server: FaultServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.server, self._capsys = folder, server, capsys
        self.root, self.file = folder / "root", folder / "mirrorpy.yaml"
        self.base, self.other = Source(folder / "upstreams/base"), Source(folder / "upstreams/other")
        self.heal: Callable[[], object] | None = None
        """What `refused` leaves to be done at the end: the upstream becomes well, and the next sync must succeed."""
        self.settings: dict[str, Any] = {}
        self.configure()

    def configure(self, *, top: dict[str, Any] | None = None, **base: Any) -> None:
        """Write the configuration; settings are of `base`, top's of all."""
        self.settings = {"top": top, **base}
        repos = [
            {"id": "base", "baseurl": f"{self.server.url}base/", **base},
            {"id": "other", "baseurl": f"{self.server.url}other/"},
        ]
        if "mirrorlist" in base or "metalink" in base:
            del repos[0]["baseurl"]
        document = {"root": str(self.root), "retries": RETRIES, "timeout": 2, **(top or {}), "repos": repos}
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def start(self) -> None:
        """Mirror a first state of both, then let both upstreams change."""
        self.turn()
        assert self.run("sync", "--quiet").exit == 0
        self.turn()
        self.server.taken()

    def turn(self) -> None:
        """Publish the next state of both upstreams."""
        self.base.turn()
        self.other.turn()

    def run(self, command: str, *args: str) -> Run:
        """Run mirrorpy as the command line does."""
        self._capsys.readouterr()
        status = main([command, "--config", str(self.file), *args])
        said = self._capsys.readouterr()
        return Run(status, said.out, said.err)

    def sync(self, *args: str) -> Run:
        """Run `sync --json`."""
        return self.run("sync", "--json", *args)

    def refused(self, status: int, *says: str, args: tuple[str, ...] = ()) -> str:
        """Sync, which has to fail for `base` with this status and these words, to leave it as it is, and to do `other`.

        The test ends with a sync from an upstream that is well again, which has to succeed; `heal = None` spares it.
        """
        before, pool = self.served("base"), self.pool()
        run = self.sync(*args)
        assert run.exit == status, run.stderr
        assert run.repos["base"]["outcome"] == "failed"
        assert run.repos["base"]["error"]["exit"] == status
        message = self.one_line(run, *says)
        assert self.served("base") == before, "what is served changed"
        assert pool <= self.pool(), "something was pruned"
        assert run.repos["other"]["error"] is None, run.stderr
        self.is_mirrored("other")
        self.nothing_temporary()
        self.heal = self.server.clear
        return message

    def accepted(self, *warns: str, args: tuple[str, ...] = (), outcome: str = "updated") -> Run:
        """Sync, which has to succeed for both, with a warning of these words if there are any."""
        run = self.sync(*args)
        assert run.exit == 0, run.stderr
        assert run.repos["base"]["outcome"] == outcome
        if warns:
            self.one_line(run, *warns)
        else:
            assert run.stderr == "", run.stderr
        if outcome == "updated":
            self.is_mirrored("base")
        self.nothing_temporary()
        return run

    def heals(self) -> None:
        """Let the upstream be well again, with one more publication: the next sync has to bring it."""
        if self.heal is None:
            return
        self.heal()
        self.turn()
        run = self.sync()
        assert run.exit == 0, run.stderr
        self.is_mirrored("base")
        self.is_mirrored("other")
        self.nothing_temporary()
        assert files_below(self.root / STATE / "incoming") == set()

    @staticmethod
    def one_line(run: Run, *says: str) -> str:
        """Return the one message about `base`, which holds these words; there is no traceback."""
        (message,) = run.lines()
        assert message.isprintable()
        assert "Traceback" not in run.stderr
        for words in says:
            assert words in message, message
        return message

    def is_mirrored(self, repo_id: str) -> None:
        """Prove that what is published is whole, is upstream's last state, and nothing else but what is retired."""
        published = self.root / repo_id
        upstream = self.folder / "upstreams" / repo_id
        assert faults(published) == []
        assert (published / REPOMD).read_bytes() == (upstream / REPOMD).read_bytes()
        surplus = files_below(published) - listing_of(published).hrefs - BESIDE_REPOMD
        assert [href for href in surplus if not href.startswith("repodata/")] == []

    def served(self, path: str) -> dict[str, Any]:
        """Describe everything that a path and its generations hold, and the names beside it."""
        folder = self.root / path
        beside = sorted(entry.name for entry in folder.parent.glob(f"*{folder.name}*"))
        return {"": beside} | {name: snapshot(folder.parent / name) for name in beside}

    def pool(self) -> frozenset[str]:
        """The names of the pool's files."""
        return files_below(self.root / STATE / "pool")

    def nothing_temporary(self) -> None:
        """Prove that the served paths hold links, the generations these lead to or led to, and nothing else."""
        for entry in self.root.iterdir():
            if entry.name != STATE:
                assert entry.is_symlink() or entry.name.split(".")[1] in ("base", "other"), entry
        for href in (href for path in ("base", "other") for href in files_below(self.root / path)):
            assert not href.rpartition("/")[2].startswith((".", "~")), href
            assert not href.endswith((".tmp", ".part", "~")), href
