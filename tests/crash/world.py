"""A small world: three upstreams over three days, as folders, and a mirror of them that can be copied."""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from tests.integration.upstream import build_rpm
from tests.simulator import Repo, Simulator

from .clock import HOUR, Clock
from .points import Ended, Reached, go_on, nothing, run

URL = "https://up.test/"
BASE, CENTOS, EXTRA = "base", "centos", "extra"
PATHS = {BASE: "linux/9/os", CENTOS: "linux/5/os/i386", EXTRA: "extra"}
"""Where repositories are published, by their ids. CENTOS has sha1 and names of metadata that hold no checksum."""
SHARED, RETIRED = "Packages/ember-1-1.noarch.rpm", "Packages/ferry-1-1.noarch.rpm"
"""What all of them have, at this place in BASE, and what BASE and CENTOS have on the first day only."""
GRACE = "48h"
_RPM = re.compile(r"<name>([^<]+)-([^<-]+)-([^<-]+)\.([^<.]+)\.rpm</name>")


def _add(repo: Repo, name: str, *, size: int = 1500, folder: str = "Packages") -> None:
    """Put a real RPM there; another size is another content."""
    repo.add(name, build_rpm(name, "1", "1", size), href=f"{folder}/{name}-1-1.noarch.rpm")


def _publish(repo: Repo, day: int) -> None:
    weak = repo.url.endswith(f"/{CENTOS}/")
    records = {"modules": b"<always the same/>", "updateinfo": b"<updates until='%d'/>" % (day // 3)}
    repo.publish(
        {} if weak else records,
        checksum="sha1" if weak else "sha256",
        named=not weak,
        edit_primary=lambda text: _RPM.sub(
            r'<name>\1</name><arch>\4</arch><version epoch="0" ver="\2" rel="\3"/>', text
        ),
    )


def _second_day(base: Repo, centos: Repo) -> None:
    base.remove(RETIRED)
    centos.remove(RETIRED)


def _third_day(base: Repo, centos: Repo) -> None:
    """Change, add, move and remove."""
    for repo, name in ((base, "almanac"), (centos, "kite")):
        _add(repo, name, size=1600)
    for repo, name in ((base, "garnet"), (base, "harp"), (centos, "lamp")):
        _add(repo, name)
    base.remove("Packages/bell-1-1.noarch.rpm")
    _add(base, "bell", folder="moved")
    base.remove("Packages/candle-1-1.noarch.rpm")


def web_on(day: int) -> Simulator:
    """All upstreams on the first, second or third day."""
    web = Simulator()
    base, centos, extra = repos = [web.repository(f"{URL}{name}/") for name in PATHS]
    for name in ("almanac", "bell", "candle", "drum", "ember", "ferry"):
        _add(base, name)
    for name in ("ferry", "jar", "kite"):
        _add(centos, name)
    for repo in (centos, extra):
        _add(repo, "ember", folder="RPMS")
    _add(extra, "mast")
    for passed in range(1, day + 1):
        if passed > 1:
            (_second_day if passed == 2 else _third_day)(base, centos)
        for repo in repos:
            _publish(repo, passed)
    return web


@dataclass(frozen=True)
class Site:
    """A root below a folder, its configuration, and the upstreams."""

    folder: Path
    upstream: Path
    clock: Clock
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def config(self) -> Path:
        return self.folder / "mirrorpy.yaml"

    def dawn(self, day: int) -> None:
        """Let the upstreams be as on this day."""
        shutil.rmtree(self.upstream, ignore_errors=True)
        for url, file in web_on(day).files.items():
            path = self.upstream / url.removeprefix(URL)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            os.utime(path, (file.modified, file.modified))

    def configure(self, *repos: str, **settings: Any) -> None:
        """Write a configuration of these repositories; other settings stay as they are."""
        listed = [{"id": name, "path": PATHS[name], "baseurl": f"{self.upstream.as_uri()}/{name}/"} for name in repos]
        one = {"max_parallel_downloads": 1, "max_parallel_repos": 1, "grace": GRACE}
        self.settings.update({**one, **self.settings, **settings, "repos": listed})
        self._write()

    def _write(self) -> None:
        self.config.write_text(yaml.safe_dump({"root": str(self.root), **self.settings}))

    def copy(self, folder: Path) -> "Site":
        """Return the same elsewhere; hard links among its files stay such."""
        folder.mkdir(parents=True)
        if self.root.exists():
            subprocess.run(["cp", "-a", str(self.root), str(folder)], check=True)
        return self.at(folder)

    def at(self, folder: Path) -> "Site":
        """Return the same with a root that is there already."""
        other = replace(self, folder=folder)
        other._write()
        return other

    def run(
        self,
        *command: str,
        hours: float,
        reached: Reached = go_on,
        attend: Callable[[], None] = nothing,
        flush: bool = False,
    ) -> Ended:
        """Run mirrorpy so many hours from now; `{root}` in the command is where it is."""

        def set_clock() -> None:
            self.clock.shift = hours * HOUR

        command = tuple(part.format(root=self.root) for part in command)
        return run(["--config", str(self.config), *command], reached, set_clock, attend, flush=flush)

    def wait_for_locks(self) -> None:
        """Let the processes of a run that was killed find out."""
        for path in (self.root / ".mirrorpy" / "repos").glob("*/lock"):
            with path.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)

    def sync(self, *repos: str, hours: float) -> None:
        """Sync, which has to go well."""
        ended = self.run("sync", "--quiet", *repos, hours=hours)
        assert (ended.status, ended.errors) == (0, ""), ended.errors
