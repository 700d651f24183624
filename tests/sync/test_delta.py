"""What changed upstream, and nothing else, is downloaded; what is published is what upstream has."""

import os

import pytest

from mirrorpy.store import early
from mirrorpy.sync.report import Options
from tests.simulator import REPOMD, Repo, Simulator

from .mirror import HOUR, Mirror, packages


@pytest.fixture(autouse=True, params=[0, early.WORTH], ids=["large", "small"])
def as_large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many packages a repository has makes no difference, but to when links are made."""
    monkeypatch.setattr(early, "WORTH", request.param)


def test_first_sync_brings_everything(mirror: Mirror, repo: Repo) -> None:
    report = mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert sorted(repo.asked()) == sorted([*repo.tree(), "repodata/repomd.xml.asc"])
    assert report.packages == 2
    assert report.downloaded.files == 4
    assert report.requests == 6
    assert report.upstream == repo.url


def test_second_sync_is_one_conditional_request(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    repo.asked()

    report = mirror.stays(repo)

    (request,) = repo.seen(REPOMD)
    assert request.headers["If-None-Match"]
    assert request.taken == 0
    assert repo.asked() == [REPOMD]
    assert report.requests == 1
    assert report.packages == 2
    assert report.downloaded.files == 0


def test_without_etags_the_date_is_the_condition(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    simulator.etags = False
    mirror.updates(repo)
    repo.asked()

    mirror.stays(repo)

    (request,) = repo.seen(REPOMD)
    assert "If-None-Match" not in request.headers
    assert request.headers["If-Modified-Since"]
    assert repo.asked() == [REPOMD]


def test_a_young_repomd_is_asked_once_more(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    """As young as its server's clock is coarse, it could change again under the same validators."""
    simulator.now = simulator.files[repo.url + REPOMD].modified
    simulator.etags = False
    mirror.updates(repo)
    assert repo.asked().count(REPOMD) == 2
    repo.respin(next(iter(repo.packages)))
    simulator.now -= 60
    repo.publish(timestamp=simulator.now + 60)

    assert simulator.files[repo.url + REPOMD].modified == simulator.now - 60
    mirror.updates(repo)

    assert mirror.tree().items() >= repo.tree().items()


def test_a_server_without_validators_costs_a_repomd(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    def bare(_request, reply):
        reply.headers = {"Content-Length": reply.headers["Content-Length"]}
        return reply

    repo.fail(REPOMD, bare, always=True)
    mirror.updates(repo)
    repo.asked()

    mirror.stays(repo)

    assert repo.asked() == [REPOMD]


def _add(repo: Repo) -> list[str]:
    return [repo.add("fish")]


def _remove(repo: Repo) -> list[str]:
    repo.remove("Packages/bash-1-1.noarch.rpm")
    return []


def _respin(repo: Repo) -> list[str]:
    repo.respin("Packages/bash-1-1.noarch.rpm")
    return ["Packages/bash-1-1.noarch.rpm"]


def _resize(repo: Repo) -> list[str]:
    return [repo.add("bash", b"another")]


def _move(repo: Repo) -> list[str]:
    repo.add("bash", href="Packages/b/bash-1-1.noarch.rpm")
    repo.remove("Packages/bash-1-1.noarch.rpm")
    return []


def _rename(repo: Repo) -> list[str]:
    repo.add("bash", href="Packages/renamed.rpm")
    repo.remove("Packages/bash-1-1.noarch.rpm")
    return []


def _copy(repo: Repo) -> list[str]:
    repo.add("bash", href="copies/bash.rpm")
    return []


def _swap(repo: Repo) -> list[str]:
    repo.add("bash", href="Packages/zsh-1-1.noarch.rpm")
    repo.add("zsh", href="Packages/bash-1-1.noarch.rpm")
    return []


def _folder_from_file(repo: Repo) -> list[str]:
    repo.remove("Packages/bash-1-1.noarch.rpm")
    return [repo.add("inner", href="Packages/bash-1-1.noarch.rpm/inner.rpm")]


def _nothing(_repo: Repo) -> list[str]:
    return []


@pytest.mark.parametrize("grace", [0.0, 3600.0])
@pytest.mark.parametrize(
    "change", [_add, _remove, _respin, _resize, _move, _rename, _copy, _swap, _folder_from_file, _nothing]
)
def test_a_change_costs_what_changed(mirror: Mirror, repo: Repo, change, grace: float) -> None:
    mirror.updates(repo, grace=grace)
    old = mirror.tree()
    repo.asked()

    fetched = change(repo)
    repo.publish()
    report = mirror.updates(repo, grace=grace)

    records = [href for href in repo.records.values() if href not in old]
    assert sorted(repo.asked()) == sorted([REPOMD, "repodata/repomd.xml.asc", *records, *fetched])
    assert report.downloaded.files == len(fetched) + len(records)
    now = mirror.tree()
    assert now.items() >= repo.tree().items()
    left = now.keys() - repo.tree().keys()
    assert {path for path in left if path.startswith("repodata/")} == {
        path for path in old if path.startswith("repodata/")
    } - repo.tree().keys()
    gone = old.keys() - repo.tree().keys() - left
    if grace and change is not _folder_from_file:
        assert not gone
    assert all(now[path] == old[path] for path in left)
    mirror.stays(repo, grace=grace)


def test_the_old_generation_is_untouched_by_the_new(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    old_name, old = os.readlink(mirror.root / "repo"), mirror.tree()

    _respin(repo)
    repo.publish()
    mirror.updates(repo)

    assert mirror.tree(old_name) == old
    assert os.readlink(mirror.root / "repo") != old_name


def test_a_file_under_two_names_is_downloaded_once(mirror: Mirror, repo: Repo) -> None:
    repo.add("bash", href="a/bash.rpm")
    repo.add("bash", href="b/bash.rpm")
    repo.publish()

    report = mirror.updates(repo)

    assert len(packages(repo.asked())) == 2
    assert report.downloaded.files == 4
    assert report.packages == 4
    assert mirror.tree() == repo.tree()


def test_packages_keep_upstreams_time(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    mirror.updates(repo)

    for href in repo.packages:
        assert (mirror.root / "repo" / href).stat().st_mtime == simulator.files[repo.url + href].modified


def test_repomd_is_younger_with_each_publication(mirror: Mirror, repo: Repo) -> None:
    times = []
    for _ in range(3):
        mirror.updates(repo)
        times.append((mirror.root / "repo" / REPOMD).stat().st_mtime)
        repo.publish()

    assert times == sorted(set(times))


def test_signature_and_key_are_published_with_their_repomd(mirror: Mirror, repo: Repo) -> None:
    names = ("repodata/repomd.xml.asc", "repodata/repomd.xml.key")
    for name in names:
        repo.put(name, b"one of " + name.encode())
    mirror.updates(repo)
    assert {name: mirror.tree()[name] for name in names} == {name: repo.read(name) for name in names}

    for name in names:
        repo.put(name, b"two of " + name.encode())
    repo.publish()
    mirror.updates(repo)
    assert {name: mirror.tree()[name] for name in names} == {name: repo.read(name) for name in names}

    repo.drop(names[0])
    repo.drop(names[1])
    repo.publish()
    mirror.updates(repo)
    assert not {*names} & {*mirror.tree()}


def test_a_signature_that_is_made_later_is_asked_for_until_it_is_there(mirror: Mirror, repo: Repo) -> None:
    signature = "repodata/repomd.xml.asc"
    repo.put(signature, b"of the first state")
    mirror.updates(repo)
    repo.publish()
    mirror.updates(repo)

    repo.asked()
    mirror.stays(repo)
    assert repo.asked() == [REPOMD, signature, f"{signature[:-4]}.key"]
    repo.put(signature, b"of the second state")
    mirror.updates(repo)
    assert mirror.tree()[signature] == b"of the second state"

    repo.asked()
    mirror.stays(repo)
    assert repo.asked() == [REPOMD]


def test_a_signature_that_never_comes_is_given_up_after_a_day(mirror: Mirror, repo: Repo) -> None:
    repo.put("repodata/repomd.xml.asc", b"of the first state")
    mirror.updates(repo)
    repo.drop("repodata/repomd.xml.asc")
    repo.publish()
    mirror.updates(repo)

    mirror.now += 25 * HOUR
    repo.asked()
    mirror.stays(repo)
    assert repo.asked() == [REPOMD]


def test_a_page_is_no_signature(mirror: Mirror, repo: Repo) -> None:
    repo.put("repodata/repomd.xml.asc", b"<html>Not here</html>")

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()


def test_removed_repository_path_is_published_again(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    (mirror.root / "repo").unlink()
    repo.asked()

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert packages(repo.asked()) == []


def test_checksum_option_publishes_nothing_where_all_is_well(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    repo.asked()

    mirror.stays(repo, options=Options(checksum=True))

    assert repo.asked() == [REPOMD]
