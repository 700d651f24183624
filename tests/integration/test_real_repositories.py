"""Repositories that nobody here made: the complete ones arrive byte for byte, the faulty ones are refused."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .installation import Mirror, Outcome
from .listing import BESIDE_REPOMD, REPOMD, Listing, differing, files_below, listing_of
from .programs import Dnf, real_data, real_program, repositories_below
from .webserver import Nginx, Request

ABSENT = pytest.param("", id="absent")
COMPLETE = repositories_below("repos")
FAULTY = repositories_below("faulty")

WRONG_BYTES = {"createrepo_c/repo_01", "pulp2/simple_repo_no_comps"}
"""Their metadata has other checksums than repomd.xml says: exit status 4 (the latter's have white space
around them, which dnf does not take either). In the others files are missing: 3."""

FAMILIES = [
    "c6-groups",
    "createrepo_c/repo_with_duplicate_packages",
    "dnf4/modules/_all/x86_64",
    "dnf4/repos_drpm",
    "elfutils",
    "fluidity-sha1",
    "librepo/repo_yum_01",
    "minima/zstrepo",
    "pulp/modular",
    "pulp/unsigned-sha1",
    "rpm-rs",
    "rpm-testsuite",
    "rpmlint",
    "yumrepos/17_2017-03-07_e645336b",
]
"""One of each; with MIRRORPY_SLOW=1 dnf looks at all of them."""

SEEN_BY_DNF = COMPLETE if os.environ.get("MIRRORPY_SLOW") == "1" else [name for name in FAMILIES if name in COMPLETE]


@dataclass(frozen=True, slots=True)
class Mirrored:
    """All complete repositories, synced twice through one nginx."""

    data: Path
    mirror: Mirror
    upstream: Nginx
    first: Outcome
    second: Outcome
    requests: list[Request]
    """Those of the second sync."""

    def listing(self, name: str) -> Listing:
        """Of upstream."""
        return listing_of(self.data / name)

    def published(self, name: str) -> Path:
        """Of the mirror."""
        return self.mirror.published(name)


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """One configuration, two syncs."""
    data = real_data("repos")
    folder = tmp_path_factory.mktemp("real")
    mirror = Mirror(folder / "mirror")
    with Nginx(real_program("nginx"), folder / "nginx", data) as upstream:
        mirror.configure(*(repository(upstream, name) for name in COMPLETE))
        first = mirror.sync(expect=None)
        upstream.requests()
        second = mirror.sync(expect=None)
        yield Mirrored(data, mirror, upstream, first, second, upstream.requests())


def repository(upstream: Nginx, name: str) -> dict[str, str]:
    """The configuration of one."""
    return {"id": repoid(name), "path": name, "baseurl": upstream.url + name}


def repoid(name: str) -> str:
    """An id for a path."""
    return name.replace("/", ".")


def test_all_of_them_are_done(mirrored: Mirrored) -> None:
    """Exit 0 twice, and the reports say so."""
    failed = [repo["error"] for repo in mirrored.first.document["repos"] if repo["error"]]
    assert (mirrored.first.exit, failed) == (0, [])
    assert mirrored.second.exit == 0
    assert len(mirrored.first.repos) == len(COMPLETE)


@pytest.mark.parametrize("name", COMPLETE or [ABSENT])
def test_every_listed_file_is_identical_and_nothing_else_is_there(mirrored: Mirrored, name: str) -> None:
    """The records of repomd.xml, primary's packages, and the drpms that upstream has."""
    upstream, published = mirrored.data / name, mirrored.published(name)
    listing = mirrored.listing(name)
    offered = {promise.href for promise in listing.deltas if (upstream / promise.href).is_file()}
    expected = {promise.href for promise in listing.records + listing.packages} | offered
    expected |= {href for href in BESIDE_REPOMD if (upstream / href).is_file()}
    assert differing(expected, upstream, published) == []
    assert files_below(published) - expected == set()


@pytest.mark.parametrize("name", COMPLETE or [ABSENT])
def test_a_second_sync_is_one_request_without_a_body(mirrored: Mirrored, name: str) -> None:
    """A conditional one for repomd.xml, which says that nothing is new."""
    mine = [request for request in mirrored.requests if request.href.startswith(f"{name}/")]
    assert mine == [Request(304, "GET", f"/{name}/{REPOMD}", 0)]
    assert mirrored.second.repos[repoid(name)]["outcome"] == "unchanged"
    assert mirrored.second.repos[repoid(name)]["requests"] == 1


@pytest.mark.parametrize("name", COMPLETE or [ABSENT])
def test_the_report_counts_what_upstream_lists(mirrored: Mirrored, name: str) -> None:
    """Packages by their hrefs."""
    hrefs = {promise.href for promise in mirrored.listing(name).packages}
    assert mirrored.first.repos[repoid(name)]["packages"] == len(hrefs)


@pytest.mark.parametrize("name", SEEN_BY_DNF or [ABSENT])
def test_dnf_sees_the_same_in_the_mirror_as_upstream(mirrored: Mirrored, tmp_path: Path, name: str) -> None:
    """`dnf makecache` takes the same metadata, `dnf repoquery` knows the same packages."""
    there = Dnf(tmp_path / "upstream").view(f"{mirrored.upstream.url}{name}")
    with Nginx(real_program("nginx"), tmp_path / "nginx", mirrored.mirror.root) as front:
        here = Dnf(tmp_path / "mirror").view(f"{front.url}{name}")
    assert there.exit == 0
    assert there.metadata
    assert here == there


@pytest.mark.parametrize("name", FAULTY or [ABSENT])
def test_a_faulty_one_is_refused_and_nothing_is_published(refused: tuple[Mirror, Outcome], name: str) -> None:
    """Its own exit status, one line that names it, no published path."""
    mirror, outcome = refused
    report = outcome.repos[repoid(name)]
    assert report["outcome"] == "failed"
    assert report["error"]["exit"] == (4 if name in WRONG_BYTES else 3), report["error"]
    assert "\n" not in report["error"]["message"]
    assert not os.path.lexists(mirror.published(name))
    lines = [line for line in outcome.stderr.splitlines() if repoid(name) in line]
    assert len(lines) == 1, outcome.stderr


def test_the_exit_status_is_that_of_the_first_faulty_one(refused: tuple[Mirror, Outcome]) -> None:
    """In the order of the configuration."""
    _, outcome = refused
    assert outcome.exit == outcome.document["repos"][0]["error"]["exit"] == outcome.document["exit"]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mirror, Outcome]]:
    """One sync of all faulty repositories."""
    data = real_data("faulty")
    folder = tmp_path_factory.mktemp("faulty")
    mirror = Mirror(folder / "mirror")
    with Nginx(real_program("nginx"), folder / "nginx", data) as upstream:
        mirror.configure(*(repository(upstream, name) for name in FAULTY))
        yield mirror, mirror.sync("--quiet", expect=None)
