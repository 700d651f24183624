"""Files that several repositories have: strong checksums are shared over the whole pool, weak ones never."""

import os
import random
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from mirrorpy.rpmmd.model import Checksum
from mirrorpy.sync.claims import Claims
from tests.simulator import REPOMD, Repo, Simulator, digest

from .mirror import Mirror, configured, packages

if TYPE_CHECKING:
    from mirrorpy.sync.report import RepoReport

STRONG = ["sha224", "sha256", "sha384", "sha512"]
WEAK = ["md5", "sha1", "sha"]


@pytest.fixture
def other(simulator: Simulator) -> Repo:
    """A repository on another host, with one package of the first."""
    other = simulator.repository("https://other.test/x/")
    other.add("bash", href="elsewhere/bash.rpm")
    return other


@pytest.mark.parametrize("checksum", STRONG)
def test_strong_checksums_are_downloaded_once(mirror: Mirror, repo: Repo, other: Repo, checksum: str) -> None:
    repo.publish(checksum=checksum)
    other.publish(checksum=checksum)
    mirror.updates(repo)

    report = mirror.updates(other, id="other")

    assert packages(other.asked()) == []
    assert report.reused.files == 1
    assert mirror.tree("other") == other.tree()
    one, two = (mirror.root / "repo/Packages/bash-1-1.noarch.rpm", mirror.root / "other/elsewhere/bash.rpm")
    assert os.path.samefile(one, two)


@pytest.mark.parametrize("checksum", WEAK)
def test_weak_checksums_are_not_believed_of_others(mirror: Mirror, repo: Repo, other: Repo, checksum: str) -> None:
    repo.publish(checksum=checksum)
    other.publish(checksum=checksum)
    mirror.updates(repo)

    mirror.updates(other, id="other")

    assert packages(other.asked()) == ["elsewhere/bash.rpm"]
    assert mirror.tree("other") == other.tree()


@pytest.mark.parametrize("checksum", WEAK)
def test_weak_checksums_are_believed_within_one_repository(mirror: Mirror, repo: Repo, checksum: str) -> None:
    repo.add("zsh", href="twice/zsh.rpm")
    repo.publish(checksum=checksum)
    mirror.updates(repo)
    assert len(packages(repo.asked())) == 2
    repo.add("bash", href="moved/bash.rpm")
    repo.remove("Packages/bash-1-1.noarch.rpm")
    repo.publish(checksum=checksum)

    mirror.updates(repo)

    assert packages(repo.asked()) == []
    assert mirror.tree().items() >= repo.tree().items()
    mirror.stays(repo)


@pytest.mark.parametrize("checksum", WEAK)
def test_weak_names_nothing_in_the_pool(mirror: Mirror, repo: Repo, checksum: str) -> None:
    repo.publish(checksum=checksum)

    mirror.updates(repo)

    assert {len(name) for name in mirror.pool()} == {64}
    assert os.listdir(mirror.layout.pool) == ["sha256"]


def test_two_contents_of_one_weak_checksum_stay_apart(mirror: Mirror, repo: Repo, other: Repo) -> None:
    """A made collision: the same md5 in two repositories, of two files."""
    one, two = bytes.fromhex(_MD5_TWIN), bytes.fromhex(_MD5_OTHER)
    assert one != two
    assert digest(one, "md5") == digest(two, "md5")
    repo.add("one", one)
    other.add("two", two)
    repo.publish(checksum="md5")
    other.publish(checksum="md5")

    mirror.updates(repo)
    mirror.updates(other, id="other")

    assert mirror.tree() == repo.tree()
    assert mirror.tree("other") == other.tree()


_MD5_TWIN = (
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a"
    "085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
)
_MD5_OTHER = (
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a"
    "085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
)
"""Wang and Yu's two messages of one md5 (EUROCRYPT 2005)."""


def test_in_one_run_only_one_repository_downloads(mirror: Mirror, simulator: Simulator) -> None:
    repos = [simulator.repository(f"https://host{number}.test/r/") for number in range(4)]
    for repo in repos:
        for number in range(20):
            repo.add(f"shared{number}")
        repo.publish()

    report = mirror.sync_all(
        *(configured(repo, id=f"r{number}") for number, repo in enumerate(repos)), max_parallel_repos=4
    )

    assert report.exit == 0
    assert sum(len(packages(repo.asked())) for repo in repos) == 20
    for number, repo in enumerate(repos):
        assert mirror.tree(f"r{number}") == repo.tree()
    assert sum(found.downloaded.files for found in report.repos) == 22
    mirror.sync_all(*(configured(repo, id=f"r{number}") for number, repo in enumerate(repos)))
    assert [repo.asked() for repo in repos] == [[REPOMD]] * 4


def test_what_another_brought_meanwhile_is_not_brought_again(
    mirror: Mirror, repo: Repo, other: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the pool and the claim, another repository claims a file, brings it, and lets go."""
    other.publish()
    claims = Claims()
    claim, theirs = claims.claim, Checksum("sha256", digest(repo.read("Packages/bash-1-1.noarch.rpm")))

    def bring_and_claim(checksum: Checksum) -> bool:
        if checksum == theirs and not other.asked():
            assert mirror.sync(other, id="other").error is None
        return claim(checksum)

    monkeypatch.setattr(claims, "claim", bring_and_claim)

    assert mirror.sync(repo, claims=claims).error is None

    assert packages(repo.asked()) == ["Packages/zsh-1-1.noarch.rpm"]
    assert mirror.tree() == repo.tree()


def test_what_one_could_not_get_the_other_gets(mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another repository of the run has claimed a file, and fails: this one waits for it, and then brings it itself."""
    claims, waiting = Claims(), threading.Event()
    theirs = Checksum("sha256", digest(repo.read("Packages/bash-1-1.noarch.rpm")))
    claims.claim(theirs)
    wait = claims.wait

    def tell_and_wait(checksums: Iterable[Checksum]) -> None:
        wanted = [*checksums]
        if theirs in wanted:
            assert packages(repo.asked()) == ["Packages/zsh-1-1.noarch.rpm"]
            waiting.set()
        wait(wanted)

    monkeypatch.setattr(claims, "wait", tell_and_wait)
    reports: list[RepoReport] = []
    run = threading.Thread(target=lambda: reports.append(mirror.sync(repo, claims=claims)))
    run.start()
    assert waiting.wait(10)

    claims.release([theirs])
    run.join(10)

    assert [report.error for report in reports] == [None]
    assert packages(repo.asked()) == ["Packages/bash-1-1.noarch.rpm"]
    assert mirror.tree() == repo.tree()


def test_a_shared_file_stays_while_one_needs_it(mirror: Mirror, repo: Repo, other: Repo) -> None:
    other.publish()
    mirror.updates(repo, keep=1)
    mirror.updates(other, id="other", keep=1)
    repo.remove("Packages/bash-1-1.noarch.rpm")
    repo.publish()

    mirror.updates(repo, keep=1)
    mirror.sweep()

    assert mirror.tree("other") == other.tree()
    assert digest(other.read("elsewhere/bash.rpm")) in mirror.pool()
    mirror.stays(other, id="other", keep=1)
    other.remove("elsewhere/bash.rpm")
    other.add("fish")
    other.publish()
    mirror.updates(other, id="other", keep=1)
    mirror.sweep()
    assert digest(repo.read("Packages/zsh-1-1.noarch.rpm")) in mirror.pool()
    assert len(mirror.pool() & {digest(random.Random("bash").randbytes(1000))}) == 0
