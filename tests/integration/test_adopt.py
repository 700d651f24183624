"""Adoption of what rsync made, by the program itself: nothing is downloaded twice, and dnf installs afterwards."""

import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from .installation import Mirror
from .listing import REPOMD, faults, files_below
from .programs import real_program
from .test_incremental import PROBES, Make, fetched, records
from .test_upstream_to_package import INSTALLED, Client, emitted, local
from .test_upstream_to_package import site as site  # noqa: PLC0414  # a fixture
from .upstream import Upstream
from .webserver import Nginx, Request, Serve

PACKAGES, DAMAGED = 200, 2
EXTRA = "RPM-GPG-KEY"


def rsync(source: Path, target: Path) -> None:
    """Copy as a cron job does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([real_program("rsync"), "-a", f"{source}/", str(target)], check=True)


def adopt(mirror: Mirror, *args: str) -> dict[str, object]:
    """Run `adopt --json`, which has to go well; return the one repository's report."""
    done = mirror.run("adopt", "--json", *args)
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["repos"]
    assert report["outcome"] == "updated"
    return dict(report)


def bodies(requests: list[Request]) -> list[str]:
    """What was downloaded, repomd.xml aside; a file that there is not may have been asked for."""
    return fetched([request for request in requests if request.status == 200], "base")


@pytest.fixture
def base(upstream: Make) -> Upstream:
    """A repository made by createrepo_c, with a key beside it."""
    base = upstream("base")
    for number in range(PACKAGES):
        base.add(f"package{number:03d}")
    base.publish()
    base.put(EXTRA, b"a key")
    return base


@pytest.fixture
def served(base: Upstream, nginx: Serve, mirror: Mirror) -> Nginx:
    """Its web server, which the mirror knows."""
    server = nginx(base.folder.parent)
    mirror.configure({"id": "base", "baseurl": f"{server.url}base"})
    return server


def damage(folder: Path) -> list[str]:
    """Flip a bit of some packages, in files of the same size and time; return their hrefs."""
    paths = random.Random(7).sample(sorted(folder.rglob("*.rpm")), DAMAGED)
    for path in paths:
        info, content = path.stat(), bytearray(path.read_bytes())
        content[100] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    return sorted(str(path.relative_to(folder)) for path in paths)


def test_the_very_place(base: Upstream, served: Nginx, mirror: Mirror) -> None:
    """A folder becomes a link; no file is downloaded, and what the metadata does not name is set aside."""
    place = mirror.published("base")
    rsync(base.folder, place)
    inodes = {path.name: path.stat().st_ino for path in place.rglob("*.rpm")}
    report = adopt(mirror, "base")
    assert report["downloaded"] == {"files": 0, "bytes": 0, "metadata_bytes": 0}
    assert bodies(served.requests()) == []
    assert place.is_symlink()
    assert faults(place) == []
    assert {path.name: path.stat().st_ino for path in place.rglob("*.rpm")} == inodes
    (aside,) = (mirror.root / ".mirrorpy" / "set-aside").iterdir()
    assert files_below(aside) - PROBES == {EXTRA, REPOMD}
    assert mirror.sync().repos["base"]["outcome"] == "unchanged"
    assert mirror.run("verify").returncode == 0


def test_one_percent_is_damaged(base: Upstream, served: Nginx, mirror: Mirror, tmp_path: Path) -> None:
    """Just that is downloaded."""
    old = tmp_path / "old"
    rsync(base.folder, old)
    damaged = damage(old)
    assert adopt(mirror, "base", str(old))["downloaded"]["files"] == DAMAGED  # type: ignore[index]
    assert bodies(served.requests()) == damaged
    assert faults(mirror.published("base")) == []
    assert files_below(old) - PROBES == {EXTRA, REPOMD, *damaged}


def test_what_reposync_and_createrepo_made(base: Upstream, served: Nginx, mirror: Mirror) -> None:
    """Flat, under metadata of its own: only upstream's metadata is downloaded."""
    place = mirror.published("base")
    rsync(base.folder / "Packages", place)
    subprocess.run([real_program("createrepo_c"), "--quiet", str(place)], check=True, capture_output=True)
    adopt(mirror, "base", "--remove-old")
    assert set(bodies(served.requests())) <= records(base)
    assert faults(mirror.published("base")) == []
    assert not list((mirror.root / ".mirrorpy" / "set-aside").iterdir())


def test_killed_at_random_moments(base: Upstream, served: Nginx, mirror: Mirror) -> None:
    """By SIGKILL, again and again: at each moment clients see the old tree or the new one, whole, and no package is
    downloaded but those that are damaged.
    """
    place, moments = mirror.published("base"), random.Random(11)
    rsync(base.folder, place)
    damaged = damage(place)
    before, kills = files_below(place), 0
    while not place.is_symlink():
        run = mirror.start("adopt", "base", "--quiet")
        # Later each time, so that one comes through.
        time.sleep(moments.uniform(0, 0.1) + 0.05 * kills)
        with suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGKILL)
        run.communicate()
        kills += 1
        assert place.is_symlink() or files_below(place) == before
    done = mirror.run("adopt", "base", "--quiet")
    assert done.returncode == 0, done.stderr
    assert kills > 1
    assert faults(place) == []
    assert set(bodies(served.requests())) == set(damaged)
    (aside,) = (mirror.root / ".mirrorpy" / "set-aside").iterdir()
    assert files_below(aside) - PROBES == {EXTRA, REPOMD, *damaged}


def test_a_client_installs_afterwards(site: Mirror) -> None:
    """CentOS 5, with weak checksums, out of two places that were rsync's."""
    if os.geteuid() != 0:
        pytest.skip("installing into a root needs to be root")
    site.sync()
    for repo in ("os", "updates"):
        path = f"centos/5.0/{repo}/i386"
        rsync(site.published(path).resolve(), site.folder / "old" / path)
    site.run("prune")
    subprocess.run(["rm", "-rf", str(site.root)], check=True)
    rsync(site.folder / "old", site.root)
    for repo in ("os", "updates"):
        assert adopt(site, f"centos-5.0-{repo}-i386")["downloaded"] == {"files": 0, "bytes": 0, "metadata_bytes": 0}
    client = Client(site.folder / "client")
    with local(site) as server:
        (client.repos / "mirrorpy.repo").write_text(emitted(site, "repo", "--base", server.url))
        done = client.dnf("-y", "install", "hello")
    assert done.returncode == 0, done.stdout + done.stderr
    assert client.installed() == INSTALLED


def test_refusals_are_one_line(base: Upstream, served: Nginx, mirror: Mirror) -> None:
    """Exit 2 for what is asked, 6 for a sync over a folder, with the command that helps."""
    nothing = mirror.run("adopt", "base")
    assert nothing.returncode == 2
    assert nothing.stderr.count("\n") == 1
    assert "nothing to take over" in nothing.stderr
    unknown = mirror.run("adopt", "ba*")
    assert unknown.returncode == 2
    assert "no repository is named 'ba*'" in unknown.stderr
    rsync(base.folder, mirror.published("base"))
    refused = mirror.run("sync")
    assert refused.returncode == 6
    assert "`mirrorpy adopt`" in refused.stderr
