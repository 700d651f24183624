"""What upstream dropped stays reachable for its time, and goes when that is over."""

import os
import time

import pytest

from mirrorpy.errors import ConfigError
from tests.simulator import REPOMD, Repo, Simulator

from .mirror import HOUR, Mirror, configured, packages

BASH = "Packages/bash-1-1.noarch.rpm"


def _drop(repo: Repo) -> set[str]:
    """Drop a package and publish; return the records that were there before."""
    old = {*repo.records.values()}
    repo.remove(BASH)
    repo.publish()
    return old - {*repo.records.values()}


def test_records_stay_for_72_hours(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    before = mirror.tree()
    old = _drop(repo)
    mirror.updates(repo)
    assert {path: mirror.tree()[path] for path in old} == {path: before[path] for path in old}

    mirror.now += 71 * HOUR
    repo.asked()
    mirror.stays(repo)
    assert repo.asked() == [REPOMD]

    mirror.now += 1 * HOUR + 1
    report = mirror.updates(repo)
    assert mirror.tree() == repo.tree()
    assert set(repo.asked()) <= {REPOMD, "repodata/repomd.xml.asc"}
    assert report.downloaded.files == 0
    mirror.stays(repo)


def test_a_second_change_does_not_prolong_the_first_ones_time(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    first = _drop(repo)
    mirror.updates(repo)
    mirror.now += 50 * HOUR
    second = {*repo.records.values()}
    repo.add("fish")
    repo.publish()
    mirror.updates(repo)
    assert first | second <= mirror.tree().keys()

    mirror.now += 23 * HOUR
    mirror.updates(repo)
    assert not first & mirror.tree().keys()
    assert second <= mirror.tree().keys()

    mirror.now += 50 * HOUR
    mirror.updates(repo)
    assert mirror.tree() == repo.tree()


@pytest.mark.parametrize("hours", [1, 48, 100])
def test_packages_stay_for_grace(mirror: Mirror, repo: Repo, hours: int) -> None:
    grace = hours * HOUR
    content = repo.read(BASH)
    mirror.updates(repo, grace=grace)
    _drop(repo)

    report = mirror.updates(repo, grace=grace)
    assert report.retired.files >= 1
    assert report.packages == 1
    assert mirror.tree()[BASH] == content

    mirror.now += grace - 60
    mirror.sync(repo, grace=grace)
    assert mirror.tree()[BASH] == content

    mirror.now += 61
    mirror.updates(repo, grace=grace)
    assert BASH not in mirror.tree()


def test_without_grace_packages_go_at_once(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    _drop(repo)

    mirror.updates(repo)

    assert BASH not in mirror.tree()


def test_a_package_that_comes_back_is_not_retired_any_more(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, grace=HOUR)
    _drop(repo)
    mirror.updates(repo, grace=HOUR)
    repo.add("bash")
    repo.publish()
    repo.asked()

    mirror.updates(repo, grace=HOUR)
    assert packages(repo.asked()) == []

    mirror.now += 100 * HOUR
    mirror.updates(repo, grace=HOUR)
    assert mirror.tree() == repo.tree()


def test_a_longer_grace_counts_for_what_is_retired_already(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, grace=2 * HOUR)
    _drop(repo)
    mirror.updates(repo, grace=2 * HOUR)
    mirror.now += 3 * HOUR

    mirror.sync(repo, grace=5 * HOUR)

    assert BASH in mirror.tree()


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_keep_counts_the_published_generation(mirror: Mirror, repo: Repo, keep: int) -> None:
    for number in range(5):
        repo.add(f"new{number}")
        repo.publish()
        mirror.updates(repo, keep=keep)
        assert len(mirror.generations()) == min(keep, number + 1)
    assert os.readlink(mirror.root / "repo") == mirror.generations()[-1]


def test_less_keep_counts_without_a_change_upstream(mirror: Mirror, repo: Repo) -> None:
    for number in range(3):
        repo.add(f"new{number}")
        repo.publish()
        mirror.updates(repo, keep=3)

    mirror.sync(repo, keep=1)

    assert len(mirror.generations()) == 1
    assert mirror.tree().items() >= repo.tree().items()


def test_what_no_generation_needs_leaves_the_pool(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, keep=1)
    before = mirror.pool()
    repo.respin(BASH)
    repo.publish(named=False)

    report = mirror.updates(repo, keep=1)
    mirror.sweep()

    # The old package goes; the old records are carried.
    assert len(before - mirror.pool()) == 1
    assert report.pruned.files == 1
    assert report.pruned.bytes == 1000


def test_kept_generations_keep_their_files(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    old_name, old, before = mirror.generations()[0], mirror.tree(), mirror.pool()
    repo.respin(BASH)
    repo.publish()

    report = mirror.updates(repo)
    mirror.sweep()

    assert report.pruned.files == 0
    assert before <= mirror.pool()
    assert mirror.tree(old_name) == old


def test_a_failed_sync_prunes_nothing(mirror: Mirror, repo: Repo) -> None:
    for number in range(3):
        repo.add(f"new{number}")
        repo.publish()
        mirror.updates(repo, keep=3)
    before = mirror.pool()
    repo.drop(repo.add("lost"))
    repo.publish()

    mirror.fails(3, repo, keep=1)
    mirror.sweep()

    assert len(mirror.generations()) == 3
    assert before <= mirror.pool()


def test_strangers_files_in_an_old_generation_survive(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, keep=1)
    old = mirror.root / mirror.generations()[0]
    (old / "NOTES").write_bytes(b"mine")
    (old / "Packages/mine").mkdir()
    (old / "Packages/mine/deep").write_bytes(b"mine too")
    repo.add("fish")
    repo.publish()

    mirror.updates(repo, keep=1)

    assert sorted(str(path.relative_to(old)) for path in old.rglob("*") if path.is_file()) == [
        "NOTES",
        "Packages/mine/deep",
    ]
    assert mirror.tree().items() >= repo.tree().items()
    assert "NOTES" not in mirror.tree()
    repo.add("tcsh")
    repo.publish()
    mirror.updates(repo, keep=1)
    assert (old / "NOTES").exists()


def test_strangers_files_beside_generations_survive(mirror: Mirror, repo: Repo) -> None:
    names = [".repo.old", ".repo.20200101", "repo.20200101T000000Z", ".repository.20200101T000000Z", "index.html"]
    mirror.root.mkdir()
    for name in names:
        (mirror.root / name).mkdir()
        (mirror.root / name / "x").write_bytes(b"mine")

    for number in range(3):
        repo.add(f"new{number}")
        repo.publish()
        mirror.updates(repo, keep=1)
    mirror.prune(configured(repo, keep=1))

    assert all((mirror.root / name / "x").read_bytes() == b"mine" for name in names)


def test_prune_drops_what_is_past_keep_and_unused(mirror: Mirror, repo: Repo) -> None:
    for number in range(3):
        repo.respin(BASH)
        repo.add(f"new{number}")
        repo.publish(named=False)
        mirror.updates(repo, keep=3)
    tree = mirror.tree()

    report = mirror.prune(configured(repo, keep=1))

    assert (report.exit, report.errors) == (0, [])
    assert len(mirror.generations()) == 1
    assert mirror.tree() == tree
    assert report.pool.files >= 2
    repo.asked()
    mirror.stays(repo, keep=1)
    assert repo.asked() == [REPOMD]


def test_prune_publishes_without_what_is_past_its_grace(mirror: Mirror, repo: Repo) -> None:
    """Prune has the real clock; so the sync has one too, three days and more ago."""
    mirror.now = time.time() - 80 * HOUR
    mirror.updates(repo, grace=48 * HOUR)
    old = _drop(repo)
    mirror.now += 60
    mirror.updates(repo, grace=48 * HOUR)
    assert {BASH, *old} <= mirror.tree().keys()

    report = mirror.prune(configured(repo, grace=48 * HOUR))

    assert report.exit == 0
    assert mirror.tree() == repo.tree()
    mirror.now = time.time()
    repo.asked()
    mirror.stays(repo, grace=48 * HOUR)
    assert repo.asked() == [REPOMD]


def test_prune_forgets_what_left_the_configuration(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    other = simulator.mirror(repo, "https://other.test/r/")
    mirror.updates(repo)
    mirror.updates(other, id="gone", path="a/b/gone")

    report = mirror.prune(configured(repo))
    assert report.unconfigured == ["gone"]
    assert mirror.tree("a/b/gone") == other.tree()

    report = mirror.prune(configured(repo), forget=("gone",))
    assert report.exit == 0
    assert report.unconfigured == []
    assert not (mirror.root / "a").exists()
    assert mirror.tree() == repo.tree()
    mirror.stays(repo)


def test_forgetting_leaves_strangers_files_and_neighbours(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    other = simulator.mirror(repo, "https://other.test/r/")
    mirror.updates(repo, path="a/repo")
    mirror.updates(other, id="gone", path="a/gone")
    (mirror.root / "a/gone/NOTES").write_bytes(b"mine")

    mirror.prune(configured(repo, path="a/repo"), forget=("gone",))

    assert mirror.tree("a/repo") == repo.tree()
    assert len(list(mirror.root.rglob("NOTES"))) == 1


def test_a_changed_path_is_published_anew_and_the_former_one_stays(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, path="old/place")
    repo.asked()

    mirror.updates(repo, path="new/place")

    assert packages(repo.asked()) == []
    assert mirror.tree("new/place") == repo.tree()
    assert mirror.tree("old/place") == repo.tree()
    report = mirror.prune(configured(repo, path="new/place"), forget=("repo",))
    assert report.exit == 0
    assert not (mirror.root / "old").exists()
    assert mirror.tree("new/place") == repo.tree()


def test_a_path_that_moves_below_its_former_one(mirror: Mirror, repo: Repo) -> None:
    """The former path is a link, so nothing can lie below it; what the message says to do has to help."""
    mirror.updates(repo, path="a")

    assert "prune --forget" in mirror.fails(6, repo, path="a/b")

    mirror.prune(configured(repo, path="a/b"), forget=("repo",))
    mirror.updates(repo, path="a/b")
    assert mirror.tree("a/b") == repo.tree()


def test_forgetting_what_is_not_known(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)

    with pytest.raises(ConfigError, match="nosuch"):
        mirror.prune(configured(repo), forget=("nosuch",))


def test_prune_of_nothing(mirror: Mirror, repo: Repo) -> None:
    assert mirror.prune(configured(repo)).exit == 0
