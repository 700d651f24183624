"""Killed or ended at any moment: what is published is one whole generation, and the next sync ends what was begun."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from .installation import Mirror
from .listing import BESIDE_REPOMD, faults, files_below, listing_of
from .upstream import Upstream, build_rpm
from .webserver import Nginx, Serve

KILLS = 50
KILLS_FOR_A_CHANGE = 4
"""At most so many runs in a row are killed before one may converge."""

CHANGED, KEPT = 24, 12
SIZE = 4_000
KEEP = 2
FIRST_KILLS = 8
Make = Callable[[str], Upstream]


class Turnover:
    """An upstream that replaces most of its packages with every publication."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.release = 0
        self.turn()

    def turn(self) -> None:
        """Publish the next state; the files of the last one go."""
        self.release += 1
        packages = {}
        for number in range(CHANGED + KEPT):
            release = str(self.release) if number < CHANGED else "1"
            body = build_rpm(f"package{number}", "1.0", release, SIZE)
            packages[f"Packages/package{number}-1.0-{release}.noarch.rpm"] = body
        for path in (self.upstream.folder / "Packages").glob("*.rpm"):
            path.unlink()
        for href, body in packages.items():
            self.upstream.put(href, body)
        self.upstream.compose(packages)


def whole(mirror: Mirror, revisions: set[str]) -> str:
    """The revision that is published, after proving that it is whole, exact, and one of these."""
    published = mirror.published("base")
    listing = listing_of(published)
    assert faults(published) == []
    assert listing.revision in revisions
    surplus = files_below(published) - listing.hrefs - BESIDE_REPOMD
    assert [href for href in surplus if not href.startswith("repodata/")] == []
    return listing.revision


def asked_for_packages(server: Nginx) -> bool:
    """Whether the run before got so far."""
    return any(request.href.endswith(".rpm") for request in server.requests())


def test_killed_at_any_moment(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Fifty times, at moments spread over the duration of a sync; with a converging sync after every few."""
    rng = random.Random(2)
    turnover = Turnover(upstream("base"))
    server = nginx(
        turnover.upstream.folder.parent,
        http="limit_req_zone $server_name zone=slow:1m rate=60r/s;",
        server="location ~ [.]rpm$ { limit_req zone=slow burst=500; }",
    )
    mirror.configure({"id": "base", "baseurl": f"{server.url}base"}, keep=KEEP)
    mirror.sync()
    turnover.turn()
    started = time.monotonic()
    mirror.sync()
    duration = time.monotonic() - started
    assert not asked_for_packages(server) or mirror.incoming() == set()

    killed = downloading = 0
    while killed < KILLS:
        old = str(turnover.upstream.revision)
        turnover.turn()
        new = str(turnover.upstream.revision)
        for _ in range(KILLS_FOR_A_CHANGE):
            run = mirror.start("sync", "--quiet")
            time.sleep(rng.uniform(0.2, 1.1) * duration)
            alive = run.poll() is None
            run.kill()
            run.communicate()
            killed += alive
            downloading += asked_for_packages(server)
            if whole(mirror, {old, new}) == new:
                break
        mirror.sync()
        assert whole(mirror, {new}) == new
        assert mirror.incoming() == set()
        assert len(mirror.generations("base")) <= KEEP
    assert downloading > KILLS // 5, "hardly any run was killed while it downloaded"


def test_killed_in_the_first_sync(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """There is nothing or everything; each kill hits what the one before it left."""
    rng = random.Random(3)
    turnover = Turnover(upstream("base"))
    server = nginx(
        turnover.upstream.folder.parent,
        http="limit_req_zone $server_name zone=slow:1m rate=20r/s;",
        server="location ~ [.]rpm$ { limit_req zone=slow burst=500; }",
    )
    mirror.configure({"id": "base", "baseurl": f"{server.url}base"})
    for _ in range(FIRST_KILLS):
        run = mirror.start("sync", "--quiet")
        time.sleep(rng.uniform(0.2, 0.9))
        run.kill()
        run.communicate()
        if os.path.lexists(mirror.published("base")):
            whole(mirror, {str(turnover.upstream.revision)})
    mirror.sync()
    whole(mirror, {str(turnover.upstream.revision)})
    assert mirror.incoming() == set()
    assert len(mirror.generations("base")) == 1


LARGE = 3_000_000


def stopped_in_a_download(upstream: Make, nginx: Serve, mirror: Mirror, number: int) -> tuple[Nginx, str]:
    """Send a signal to a sync when some of a large file has come; returns its server and href."""
    base = upstream("base")
    href = base.add("large", size=LARGE)
    base.publish()
    server = nginx(base.folder.parent, server="location ~ [.]rpm$ { limit_rate 1m; }")
    mirror.configure({"id": "base", "baseurl": f"{server.url}base"})
    run = mirror.start("sync", "--quiet")
    until = time.monotonic() + 20
    while not partial(mirror):
        assert time.monotonic() < until, "no download was begun"
        time.sleep(0.01)
    time.sleep(0.2)
    run.send_signal(number)
    _, stderr = run.communicate(timeout=20)
    assert run.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in stderr
    assert not os.path.lexists(mirror.published("base"))
    server.requests()
    return server, href


def partial(mirror: Mirror) -> list[Path]:
    """The larger files that are under way or left over; a run beside this one may take any away at any time."""
    found = []
    for name in mirror.incoming():
        path = mirror.root / ".mirrorpy" / "incoming" / name
        with suppress(FileNotFoundError):
            if path.stat().st_size > LARGE // 10:
                found.append(path)
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_stopped_download_is_resumed(upstream: Make, nginx: Serve, mirror: Mirror, number: int) -> None:
    """By a range: what came before is not transferred again."""
    server, href = stopped_in_a_download(upstream, nginx, mirror, number)
    assert partial(mirror)
    mirror.sync()
    assert faults(mirror.published("base")) == []
    answers = [request for request in server.requests() if request.href == f"base/{href}"]
    assert [request.status for request in answers] == [206]
    assert answers[0].bytes < LARGE * 9 // 10
    assert mirror.incoming() == set()


@pytest.mark.parametrize("damage", ["flipped", "longer", "replaced upstream"])
def test_a_partial_download_is_not_trusted(upstream: Make, nginx: Serve, mirror: Mirror, damage: str) -> None:
    """Neither when something changed it meanwhile, nor when upstream has another file under that name."""
    _, href = stopped_in_a_download(upstream, nginx, mirror, signal.SIGKILL)
    base = upstream("base")
    if damage == "replaced upstream":
        base.publications = 1
        base.add("large", size=LARGE - 500_000, href=href)
        base.publish()
    for path in partial(mirror):
        body = path.read_bytes()
        if damage == "flipped":
            path.write_bytes(bytes([body[0] ^ 1]) + body[1:])
        elif damage == "longer":
            path.write_bytes(body + bytes(2 * LARGE))
    mirror.sync()
    assert faults(mirror.published("base")) == []
    assert mirror.incoming() == set()
