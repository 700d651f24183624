"""kill -9 at any moment: what is published is one whole generation, and the next sync ends what was begun."""

import random
import time
from collections.abc import Callable

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


def test_killed_at_any_moment(upstream: Callable[[str], Upstream], nginx: Serve, mirror: Mirror) -> None:
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
