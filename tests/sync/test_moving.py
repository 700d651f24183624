"""Upstream publishes while it is mirrored: started again where something is gone, with everything that came kept."""

import httpx
import pytest

from tests.simulator import REPOMD, Reply, Repo, after, prestodelta, status

from .mirror import Mirror, flip, packages

BASH = "Packages/bash-1-1.noarch.rpm"
FISH = "Packages/fish-1-1.noarch.rpm"


def _moves_on(repo: Repo) -> None:
    repo.remove(BASH)
    repo.add("fish")
    repo.publish()


def _gone(repo: Repo):
    """A fault: upstream moves on, and then does not have what is asked."""

    def fault(_request: httpx.Request, _reply: Reply) -> Reply:
        _moves_on(repo)
        return Reply(404, {"Content-Length": "0"})

    return fault


def test_a_package_that_goes_in_the_middle(mirror: Mirror, repo: Repo) -> None:
    repo.fail(BASH, _gone(repo))

    report = mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert report.packages == 2
    assert packages(repo.asked()) == sorted([BASH, FISH, "Packages/zsh-1-1.noarch.rpm"])


@pytest.mark.parametrize("kind", ["primary", "filelists"])
def test_a_record_that_goes_in_the_middle(mirror: Mirror, repo: Repo, kind: str) -> None:
    repo.fail(repo.records[kind], _gone(repo))

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()


def test_a_record_that_is_swapped_in_the_middle(mirror: Mirror, repo: Repo) -> None:
    """CentOS 5's names say nothing of the content, so what is there is not gone but another."""
    repo.publish(named=False)

    def fault(_request: httpx.Request, _reply: Reply) -> Reply:
        repo.remove(BASH)
        repo.publish(named=False)
        content = repo.read("repodata/primary.xml.gz")
        return Reply(200, {"Content-Length": str(len(content))}, [content])

    repo.fail("repodata/primary.xml.gz", fault)

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()


def test_a_package_that_is_respun_in_the_middle(mirror: Mirror, repo: Repo) -> None:
    def fault(_request: httpx.Request, reply: Reply) -> Reply:
        repo.respin(BASH)
        repo.publish()
        content = repo.read(BASH)
        return Reply(200, reply.headers, [content])

    repo.fail(BASH, fault)

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()


def test_what_is_whole_is_published_though_upstream_moved_on(mirror: Mirror, repo: Repo) -> None:
    snapshot = repo.tree()

    def move() -> None:
        repo.add("fish")
        repo.publish(keep=True)

    repo.fail(BASH, after(move))

    mirror.updates(repo)
    assert mirror.tree() == snapshot

    mirror.updates(repo)
    assert mirror.tree().items() >= repo.tree().items()


def test_an_upstream_that_never_holds_still(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    repo.asked()
    count = 0

    def moving(request: httpx.Request) -> object:
        nonlocal count
        if not request.url.path.endswith("rpm"):
            return None
        count += 1
        href = str(request.url).removeprefix(repo.url)
        if href not in repo.packages:
            return status(404)
        repo.remove(href)
        repo.add(f"next{count}")
        repo.publish()
        return status(404)

    repo.add("next0")
    repo.publish()
    repo.simulator.weather = moving

    message = mirror.fails(3, repo)

    assert "changed" in message
    assert count == 4
    repo.simulator.weather = lambda _request: None
    mirror.updates(repo)
    assert mirror.tree().items() >= repo.tree().items()


@pytest.mark.parametrize("times", [1, 2, 3])
def test_three_restarts_are_borne(mirror: Mirror, repo: Repo, times: int) -> None:
    left = times

    def moving(request: httpx.Request) -> object:
        nonlocal left
        href = str(request.url).removeprefix(repo.url)
        if not left or not href.endswith("-primary.xml.gz"):
            return None
        left -= 1
        repo.respin(BASH)
        repo.publish()
        return status(404)

    repo.simulator.weather = moving

    mirror.updates(repo)

    assert left == 0
    assert mirror.tree() == repo.tree()


def test_primary_is_gone_for_good(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    repo.add("fish")
    repo.publish()
    repo.drop(repo.records["primary"])
    repo.asked()

    message = mirror.fails(3, repo)

    assert repo.records["primary"] in message
    assert repo.asked().count(REPOMD) == 2


def test_a_skewed_signature_is_fetched_again_with_its_repomd(mirror: Mirror, repo: Repo) -> None:
    """Upstream publishes between repomd.xml and its signature: the pair that is published is of one state."""
    name = f"{REPOMD}.asc"
    repo.put(name, b"signature of " + repo.read(REPOMD))

    def move(_request: httpx.Request, _reply: Reply) -> Reply:
        repo.add("fish")
        repo.publish(keep=True)
        repo.put(name, b"signature of " + repo.read(REPOMD))
        content = repo.read(name)
        return Reply(200, {"Content-Length": str(len(content))}, [content])

    repo.fail(name, move)

    mirror.updates(repo)

    tree = mirror.tree()
    assert tree[name] == b"signature of " + tree[REPOMD]


# What upstream promises and does not have


def test_allow_missing_publishes_the_rest(mirror: Mirror, repo: Repo) -> None:
    content = repo.read(BASH)
    repo.drop(BASH)

    report = mirror.updates(repo, allow_missing=True)

    assert BASH not in mirror.tree()
    assert report.packages == 1
    assert any(BASH in warning for warning in report.warnings)
    repo.asked()

    report = mirror.stays(repo, allow_missing=True)
    assert packages(repo.asked()) == [BASH]
    assert any(BASH in warning for warning in report.warnings)

    repo.put(BASH, content)
    report = mirror.updates(repo, allow_missing=True)
    assert mirror.tree() == repo.tree()
    assert report.warnings == []
    repo.asked()
    mirror.stays(repo, allow_missing=True)
    assert repo.asked() == [REPOMD]


def test_missing_is_an_error_once_more_where_it_is_not_allowed_any_more(mirror: Mirror, repo: Repo) -> None:
    repo.drop(BASH)
    mirror.updates(repo, allow_missing=True)

    assert BASH in mirror.fails(3, repo)


def test_allow_missing_takes_away_what_is_gone_under_every_name(mirror: Mirror, repo: Repo) -> None:
    repo.add("bash", href="copy/bash.rpm")
    repo.publish()
    repo.drop(BASH)
    repo.drop("copy/bash.rpm")

    mirror.updates(repo, allow_missing=True)

    assert mirror.tree().keys() == {REPOMD, *repo.records.values(), "Packages/zsh-1-1.noarch.rpm"}


def test_allow_missing_does_not_forgive_a_lost_primary(mirror: Mirror, repo: Repo) -> None:
    repo.drop(repo.records["primary"])

    mirror.fails(3, repo, allow_missing=True)


def test_allow_missing_forgives_another_record(mirror: Mirror, repo: Repo) -> None:
    lost = repo.records["filelists"]
    repo.drop(lost)

    report = mirror.updates(repo, allow_missing=True)

    assert lost not in mirror.tree()
    assert any(lost in warning for warning in report.warnings)


@pytest.mark.parametrize("fault", [status(403), status(500), httpx.ConnectError("refused")])
def test_allow_missing_forgives_no_failure(mirror: Mirror, repo: Repo, fault) -> None:
    repo.fail(BASH, fault, always=True)

    mirror.fails(3, repo, allow_missing=True)


def test_allow_missing_forgives_no_wrong_bytes(mirror: Mirror, repo: Repo) -> None:
    repo.put(BASH, flip(repo.read(BASH)))

    mirror.fails(4, repo, allow_missing=True)


def test_allow_missing_asks_every_mirror(mirror: Mirror, repo: Repo) -> None:
    second = repo.simulator.mirror(repo, "https://second.test/")
    repo.drop(BASH)

    report = mirror.updates(repo, second, allow_missing=True)

    assert BASH in mirror.tree()
    assert report.warnings == []


def test_allow_missing_does_not_forgive_one_mirror_that_failed(mirror: Mirror, repo: Repo) -> None:
    second = repo.simulator.mirror(repo, "https://second.test/")
    repo.drop(BASH)
    second.fail(BASH, httpx.ConnectError("refused"), always=True)

    mirror.fails(3, repo, second, allow_missing=True)


def test_lacking_packages_and_shrinking(mirror: Mirror, repo: Repo) -> None:
    """What is published without counts as fewer packages no more than as many; the guard is on what is promised."""
    for number in range(8):
        repo.add(f"p{number}")
    repo.publish()
    mirror.updates(repo, allow_missing=True)
    repo.drop(repo.add("lost"))
    repo.publish()

    assert mirror.updates(repo, allow_missing=True).packages == 10


def test_a_wrong_delta_rpm_is_wrong(mirror: Mirror, repo: Repo) -> None:
    repo.put("drpms/one.drpm", b"delta ONE")
    repo.publish({"prestodelta": prestodelta({"drpms/one.drpm": b"delta one"})})

    assert "drpms/one.drpm" in mirror.fails(4, repo)
