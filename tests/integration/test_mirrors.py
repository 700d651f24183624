"""Several mirrors of one upstream: what one does not have or has wrong comes from the next."""

import hashlib
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .installation import Mirror
from .listing import REPOMD, faults, parse_repomd
from .upstream import Upstream
from .webserver import Nginx, Serve

Make = Callable[[str], Upstream]
Pair = tuple[Upstream, Path, Nginx]

METALINK = """<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files><file name="repomd.xml">
  <mm0:timestamp>{timestamp}</mm0:timestamp><size>{size}</size>
  <verification><hash type="md5">{md5}</hash><hash type="sha256">{sha256}</hash></verification>
  <resources maxconnections="1">
   <url protocol="rsync" type="rsync" location="DE" preference="100">rsync://127.0.0.1/first/repodata/repomd.xml</url>
   <url protocol="http" type="http" location="DE" preference="99">{server}first/repodata/repomd.xml</url>
   <url protocol="http" type="http" location="DE" preference="90">{server}second/repodata/repomd.xml</url>
  </resources>
 </file></files>
</metalink>
"""


@pytest.fixture
def pair(upstream: Make, nginx: Serve) -> Pair:
    """An upstream `second`, and `first`, which is a copy of it; both below one server."""
    second = upstream("second")
    for name in ("one", "two", "three"):
        second.add(name)
    second.publish()
    first = second.folder.parent / "first"
    shutil.copytree(second.folder, first)
    return second, first, nginx(first.parent)


def metalink(server: Nginx, repomd: Path) -> str:
    """Put a metalink for that repomd.xml beside the mirrors."""
    body = repomd.read_bytes()
    repomd.parents[2].joinpath("metalink").write_text(
        METALINK.format(
            timestamp=int(repomd.stat().st_mtime),
            size=len(body),
            md5=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            sha256=hashlib.sha256(body).hexdigest(),
            server=server.url,
        )
    )
    return f"{server.url}metalink"


def mirrorlist(server: Nginx, folder: Path) -> str:
    """Put a mirrorlist beside the mirrors, with what stands in them besides URLs."""
    folder.joinpath("mirrorlist").write_text(f"# repo = base arch = x86_64\n\n{server.url}first\n{server.url}second/\n")
    return f"{server.url}mirrorlist"


def sources(kind: str, pair: Pair) -> dict[str, Any]:
    """The three ways to name both mirrors."""
    second, first, server = pair
    if kind == "metalink":
        return {"metalink": metalink(server, second.folder / REPOMD)}
    if kind == "mirrorlist":
        return {"mirrorlist": mirrorlist(server, first.parent)}
    return {"baseurl": [f"{server.url}first", f"{server.url}second/"]}


KINDS = ["baseurl", "mirrorlist", "metalink"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["missing", "corrupt"])
def test_a_file_that_the_first_mirror_has_not_comes_from_the_second(
    pair: Pair, mirror: Mirror, kind: str, fault: str
) -> None:
    """Whether it is a 404 or the wrong bytes, of a package or of a record."""
    second, first, server = pair
    for href in ("Packages/two-1.0-1.noarch.rpm", second.record("primary")):
        body = (first / href).read_bytes()
        (first / href).unlink() if fault == "missing" else (first / href).write_bytes(body[::-1])
    mirror.configure({"id": "base", **sources(kind, pair)})
    mirror.sync()
    assert faults(mirror.published("base")) == []
    asked = {request.href for request in server.requests() if request.status == 200}
    assert {"second/Packages/two-1.0-1.noarch.rpm", f"second/{second.record('primary')}"} <= asked


@pytest.mark.parametrize("kind", KINDS)
def test_a_mirror_that_lags_is_passed_over(pair: Pair, mirror: Mirror, kind: str) -> None:
    """Its older repomd.xml is not taken once a newer one is published."""
    second, first, _ = pair
    old = first.with_name("old")
    shutil.copytree(first, old, copy_function=shutil.copy2)
    second.add("four")
    second.publish()
    shutil.rmtree(first)
    shutil.copytree(second.folder, first, copy_function=shutil.copy2)
    mirror.configure({"id": "base", **sources(kind, pair)})
    mirror.sync()
    shutil.rmtree(first)
    old.rename(first)
    second.add("five")
    second.publish()
    mirror.configure({"id": "base", **sources(kind, pair)})
    report = mirror.sync().repos["base"]
    assert report["outcome"] == "updated"
    assert parse_repomd(mirror.revision("base"))[0] == str(second.revision)
    assert faults(mirror.published("base")) == []


def test_a_dead_mirror_is_passed_over(pair: Pair, mirror: Mirror) -> None:
    """Nothing listens there."""
    _, _, server = pair
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}/first"
        mirror.configure({"id": "base", "baseurl": [dead, f"{server.url}second"]}, retries=0)
        mirror.sync()
    assert faults(mirror.published("base")) == []


def test_a_metalink_pins_repomd(pair: Pair, mirror: Mirror) -> None:
    """Another repomd.xml than it names is not taken, from no mirror: exit 4 and nothing published."""
    second, first, server = pair
    url = metalink(server, second.folder / REPOMD)
    second.add("four")
    second.publish()
    mirror.configure({"id": "base", "metalink": url}, retries=0)
    mirror.sync()
    assert parse_repomd(mirror.revision("base"))[0] == str(second.revision - 60), "the first mirror has what was pinned"
    shutil.rmtree(first)
    shutil.copytree(second.folder, first)
    other = Mirror(mirror.folder / "other")
    other.configure({"id": "base", "metalink": url}, retries=0)
    outcome = other.sync("--quiet", expect=4)
    assert len(outcome.stderr.splitlines()) == 1
    assert not os.path.lexists(other.published("base"))


def test_a_mirrorlist_that_is_an_error_is_no_mirror(pair: Pair, mirror: Mirror) -> None:
    """Errors come with status 200: exit 3 or 4, one line, nothing published."""
    _, first, server = pair
    first.parent.joinpath("mirrorlist").write_text("# repo = epel-99 arch = vax error: invalid repo or arch\n")
    mirror.configure({"id": "base", "mirrorlist": f"{server.url}mirrorlist"}, retries=0)
    outcome = mirror.sync("--quiet", expect=None)
    assert outcome.exit in {3, 4}
    assert len(outcome.stderr.splitlines()) == 1
    assert "mirrorlist" in outcome.stderr
    assert not os.path.lexists(mirror.published("base"))
