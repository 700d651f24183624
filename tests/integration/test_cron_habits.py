"""What a cron job hears and leaves: lines, exit statuses, modes; test_independent has one repository's."""

import contextlib
import fcntl
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .installation import Mirror
from .listing import faults
from .upstream import Upstream
from .webserver import Serve

Make = Callable[[str], Upstream]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nobody answers."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield nobody.getsockname()[1]


@pytest.fixture
def mixed(upstream: Make, mirror: Mirror, closed_port: int) -> Mirror:
    """Two repositories that can be had, and three that cannot, each for another reason."""
    for name in ("one", "two", "corrupt", "malformed"):
        base = upstream(name)
        href = base.add(name)
        base.publish()
        if name == "corrupt":
            base.spoil(href, bytes((base.folder / href).stat().st_size))
    upstream("malformed").spoil("repodata/repomd.xml", b"<html>\n<body>\nsorry\n</body>\n</html>\n")
    mirror.configure(
        {"id": "one", "baseurl": upstream("one").url},
        {"id": "unreachable", "baseurl": f"http://127.0.0.1:{closed_port}/"},
        {"id": "corrupt", "baseurl": upstream("corrupt").url},
        {"id": "malformed", "baseurl": upstream("malformed").url},
        {"id": "two", "baseurl": upstream("two").url},
        retries=0,
    )
    return mirror


def named(lines: str) -> list[str]:
    """The repository of each line that mirrorpy said."""
    return [line.removeprefix("mirrorpy: ").split(":")[0] for line in lines.splitlines()]


def test_quiet_has_one_line_for_each_failed_repository(mixed: Mirror) -> None:
    """On standard error, in the order of the configuration; of the others nothing, the first time and later."""
    for _ in range(2):
        done = mixed.run("sync", "--quiet")
        assert done.returncode == 3
        assert done.stdout == ""
        assert named(done.stderr) == ["unreachable", "corrupt", "malformed"]


def test_a_summary_has_one_line_for_each_repository(mixed: Mirror) -> None:
    """Failed ones on standard error, the others on standard output; the first time and later."""
    for _ in range(2):
        done = mixed.run("sync")
        assert done.returncode == 3
        assert named(done.stdout) == ["one", "two"]
        assert named(done.stderr) == ["unreachable", "corrupt", "malformed"]


def test_quiet_says_nothing_of_warnings(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """All that was asked for holds: cron has nothing to mail; the summary is still one line."""
    base = upstream("base")
    base.add("kept")
    lost = base.add("lost")
    base.publish()
    base.remove(lost)
    mirror.configure({"id": "base", "baseurl": f"{nginx(base.folder).url}", "allow_missing": True}, retries=0)
    done = mirror.run("sync", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = mirror.run("sync")
    assert done.returncode == 0
    assert named(done.stdout) == ["base"]


def test_a_run_beside_another_does_what_is_not_locked(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """It ends with 7, at once, with one line; the run that holds the lock says nothing and is not disturbed."""
    for name in ("slow", "free"):
        upstream(name).add(name, size=150_000)
        upstream(name).publish()
    server = nginx(upstream("slow").folder, server="location ~ [.]rpm$ { limit_rate 50k; }")
    mirror.configure({"id": "slow", "baseurl": server.url}, {"id": "free", "baseurl": upstream("free").url})
    first = mirror.start("sync", "--quiet", "slow")
    until = time.monotonic() + 20
    while not mirror.incoming():
        assert time.monotonic() < until, "no download was begun"
        time.sleep(0.01)
    second = mirror.run("sync", "--quiet")
    assert first.poll() is None
    assert (second.returncode, second.stdout) == (7, "")
    assert named(second.stderr) == ["slow"]
    assert faults(mirror.published("free")) == []
    assert (first.communicate(timeout=60), first.returncode) == (("", ""), 0)
    assert faults(mirror.published("slow")) == []


def test_a_run_that_finds_all_locked_says_one_line(upstream: Make, mirror: Mirror) -> None:
    """Not one for each repository: cron would mail them all."""
    names = ["one", "two", "three"]
    for name in names:
        upstream(name).publish()
    mirror.configure(*({"id": name, "baseurl": upstream(name).url} for name in names))
    assert mirror.run("sync", "--quiet").returncode == 0
    with contextlib.ExitStack() as held:
        for name in names:
            lock = held.enter_context((mirror.root / ".mirrorpy" / "repos" / name / "lock").open())
            fcntl.flock(lock, fcntl.LOCK_EX)
        done = mirror.run("sync", "--quiet")
    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr == "mirrorpy: one, two, three are held by another run\n"


def test_a_closed_umask_closes_nothing(upstream: Make, mirror: Mirror) -> None:
    """Root and its parents, which the first run makes, and later generations: all that is published is readable."""
    base = upstream("base")
    mirror.root.rmdir()
    mirror.root = mirror.folder / "srv" / "pub"
    mirror.configure({"id": "base", "path": "deep/below/base", "baseurl": base.url})
    for version in ("1.0", "2.0"):
        base.add("one", version)
        base.publish()
        assert mirror.run("sync", "--quiet", umask=0o077).returncode == 0
    assert stat.S_IMODE(mirror.root.parent.stat().st_mode) == 0o755
    files = 0
    for parent, folders, names in os.walk(mirror.root):
        if ".mirrorpy" in folders:
            folders.remove(".mirrorpy")
        assert stat.S_IMODE(Path(parent).stat().st_mode) == 0o755, parent
        for path in (Path(parent, name) for name in names):
            files += 1
            assert path.is_symlink() or stat.S_IMODE(path.stat().st_mode) == 0o444, path
    assert files > 10
