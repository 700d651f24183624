"""hrefs with characters that mean something in URLs are literal: the right request, the right file."""

import itertools
from collections.abc import Callable

import pytest

from .installation import Mirror
from .listing import faults, files_below, listing_of
from .upstream import Upstream
from .webserver import Serve

STEMS = [
    "plus+plus",
    "tilde~rc1",
    "caret^git",
    "percent%2Bplus",
    "percent%zz",
    "with space",
    "question?mark=1&b",
    "hash#tag",
    "epoch-1:2.0",
    "semi;colon,comma",
    "am&p<er>sand",
    "quote'\"s",
    "back@[brackets]",
    "umläut",
]
FOLDERS = ["Packages", "o d+d/%2B/q?/h#/1:2"]


@pytest.fixture
def odd(upstream: Callable[[str], Upstream]) -> Upstream:
    """An upstream with each name in each folder, every file another one."""
    base = upstream("odd")
    for number, (folder, stem) in enumerate(itertools.product(FOLDERS, STEMS)):
        base.add("odd", release=str(number), href=f"{folder}/{stem}.rpm")
    base.publish()
    return base


def assert_arrived(mirror: Mirror, odd: Upstream) -> None:
    """Every name as upstream wrote it, with its own content."""
    published = mirror.published("odd")
    expected = {f"{folder}/{stem}.rpm" for folder in FOLDERS for stem in STEMS}
    assert {promise.href for promise in listing_of(odd.folder).packages} == expected
    assert {name for name in files_below(published) if name.endswith(".rpm")} == expected
    assert faults(published) == []


def test_odd_names_arrive_from_nginx(odd: Upstream, nginx: Serve, mirror: Mirror) -> None:
    """By requests that nginx answers with 200, each once."""
    server = nginx(odd.folder.parent)
    mirror.configure({"id": "odd", "baseurl": f"{server.url}odd"})
    mirror.sync()
    asked = [request for request in server.requests() if request.href.endswith(".rpm")]
    assert {request.status for request in asked} == {200}
    assert len(asked) == len(FOLDERS) * len(STEMS)
    assert_arrived(mirror, odd)


def test_odd_names_arrive_from_a_folder(odd: Upstream, mirror: Mirror) -> None:
    """By file://."""
    mirror.configure({"id": "odd", "baseurl": odd.url})
    mirror.sync()
    assert_arrived(mirror, odd)
    assert mirror.sync().repos["odd"]["outcome"] == "unchanged"


def test_the_base_itself_may_be_odd(upstream: Callable[[str], Upstream], nginx: Serve, mirror: Mirror) -> None:
    """A quoted URL is taken as it is, with and without a slash at its end."""
    base = upstream("a base+%2B/x86 64")
    base.add("one")
    base.publish()
    quoted = "a%20base+%252B/x86%2064"
    server = nginx(base.folder.parents[1])
    mirror.configure(
        {"id": "http", "baseurl": f"{server.url}{quoted}"},
        {"id": "slash", "baseurl": f"{server.url}{quoted}/"},
        {"id": "file", "baseurl": base.url},
    )
    mirror.sync()
    assert [faults(mirror.published(name)) for name in ("http", "slash", "file")] == [[], [], []]
