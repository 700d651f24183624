"""One installation of mirrorpy: a root, a configuration, and the command run as a user runs it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .listing import REPOMD, files_below
from .programs import TOP

RUN_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `sync --json` said."""

    exit: int
    document: dict[str, Any]
    stderr: str

    @property
    def repos(self) -> dict[str, dict[str, Any]]:
        """The reports by repository."""
        return {repo["id"]: repo for repo in self.document["repos"]}


class Mirror:
    """Everything below one folder: root/, mirrorpy.yaml, and tmp/ for TMPDIR."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.config = folder / "mirrorpy.yaml"
        self.temporary = folder / "tmp"
        self.root.mkdir(parents=True)
        self.temporary.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """Of a run: this checkout's mirrorpy, and nothing that changes what it prints or connects to."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MIRRORPY_") and not name.lower().endswith("_proxy")
        }
        path = os.pathsep.join(filter(None, [str(TOP), os.environ.get("PYTHONPATH")]))
        return {**kept, "PYTHONPATH": path, "TMPDIR": str(self.temporary), "NO_COLOR": "1"}

    def configure(self, *repos: dict[str, Any], **top: Any) -> None:
        """Write the configuration."""
        self.config.write_text(yaml.safe_dump({"root": str(self.root), **top, "repos": list(repos)}, sort_keys=False))

    def command(self, *args: str) -> list[str]:
        """The command line of a run: a subcommand and its arguments."""
        return [sys.executable, "-m", "mirrorpy", args[0], "--config", str(self.config), *args[1:]]

    def run(self, *args: str, umask: int = -1) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        return subprocess.run(
            self.command(*args),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_SECONDS,
            umask=umask,
        )

    def start(self, *args: str) -> "subprocess.Popen[str]":
        """Run beside the test; its output is read by communicate()."""
        return subprocess.Popen(
            self.command(*args),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def sync(self, *args: str, expect: int | None = 0) -> Outcome:
        """Run `sync --json`; with `expect` any other exit status fails the test and shows what was said."""
        done = self.run("sync", "--json", *args)
        if expect is not None:
            assert done.returncode == expect, f"exit {done.returncode}, not {expect}\n{done.stderr}{done.stdout}"
        return Outcome(done.returncode, json.loads(done.stdout), done.stderr)

    def published(self, path: str) -> Path:
        """The published path of a repository."""
        return self.root / path

    def pool(self) -> frozenset[str]:
        """The names of the pool's files."""
        return files_below(self.root / ".mirrorpy" / "pool")

    def incoming(self) -> frozenset[str]:
        """The downloads that are under way or left over."""
        return files_below(self.root / ".mirrorpy" / "incoming")

    def generations(self, path: str) -> list[str]:
        """The hidden names beside a published path that are its own."""
        published = self.published(path)
        return sorted(entry.name for entry in published.parent.glob(f".{published.name}.*"))

    def revision(self, path: str) -> bytes:
        """The published repomd.xml."""
        return (self.published(path) / REPOMD).read_bytes()
