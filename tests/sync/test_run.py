"""A whole run: repositories do not depend on each other, and the report says what became of each."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from mirrorpy import __version__
from mirrorpy.plan import Plan
from mirrorpy.rpmmd.model import RemoteFile
from mirrorpy.sync import planning
from mirrorpy.sync.report import Options
from tests.simulator import REPOMD, Repo, Simulator, digest

from .mirror import Mirror, configured, flip

BASH = "Packages/bash-1-1.noarch.rpm"
REPORT = {"mirrorpy", "started", "seconds", "exit", "repos"}
REPO = {
    "id",
    "path",
    "outcome",
    "upstream",
    "revision",
    "repomd_sha256",
    "generation",
    "packages",
    "bytes",
    "downloaded",
    "reused",
    "retired",
    "pruned",
    "requests",
    "retries",
    "warnings",
    "seconds",
    "error",
}


def _unreachable(repo: Repo) -> None:
    repo.fail(REPOMD, httpx.ConnectError("refused"), always=True)


def _wrong(repo: Repo) -> None:
    repo.put(BASH, flip(repo.read(BASH)))


def _empty(repo: Repo) -> None:
    repo.remove(BASH)
    repo.publish()


def _malformed(repo: Repo) -> None:
    repo.publish(edit=lambda text: text[:-9])


FAILURES: dict[str, tuple[Callable[[Repo], None], int, str]] = {
    "unreachable": (_unreachable, 3, "FetchError"),
    "wrong": (_wrong, 4, "ChecksumMismatch"),
    "malformed": (_malformed, 4, "RepodataError"),
    "empty": (_empty, 8, "GuardError"),
}


def _repos(simulator: Simulator, count: int) -> list[Repo]:
    repos = []
    for number in range(count):
        repo = simulator.repository(f"https://host{number}.test/r/")
        repo.add("bash", f"bash of {number}".encode())
        repo.publish()
        repos.append(repo)
    return repos


@pytest.mark.parametrize("order", [["unreachable", "wrong", "empty"], ["empty", "unreachable"], ["malformed", "empty"]])
@pytest.mark.parametrize("parallel", [1, 4])
def test_the_exit_status_is_the_first_failed_ones(
    mirror: Mirror, simulator: Simulator, order: list[str], parallel: int
) -> None:
    repos = _repos(simulator, len(order) + 2)
    settings = [configured(repo, id=f"r{number}") for number, repo in enumerate(repos)]
    assert mirror.sync_all(*settings).exit == 0
    before = {number: mirror.tree(f"r{number}") for number in range(len(repos))}
    for repo in repos:
        repo.respin(BASH)
        repo.publish()
    # The first and the last are well.
    for name, repo in zip(order, repos[1:], strict=False):
        FAILURES[name][0](repo)

    report = mirror.sync_all(*settings, max_parallel_repos=parallel)

    assert report.exit == FAILURES[order[0]][1]
    assert [found.id for found in report.repos] == [repo.id for repo in settings]
    assert [found.error.exit if found.error else 0 for found in report.repos] == [
        0,
        *(FAILURES[name][1] for name in order),
        0,
    ]
    assert [found.error.kind for found in report.repos if found.error] == [FAILURES[name][2] for name in order]
    for number, repo in enumerate(repos):
        tree = mirror.tree(f"r{number}")
        if 0 < number <= len(order):
            assert tree == before[number]
        else:
            assert tree.items() >= repo.tree().items()


def test_the_document(mirror: Mirror, simulator: Simulator) -> None:
    good, bad = _repos(simulator, 2)
    bad.drop(BASH)

    report = mirror.sync_all(configured(good, id="good", path="x/good"), configured(bad, id="bad"))
    document = msgspec.json.decode(msgspec.json.encode(report))

    assert document.keys() >= REPORT
    assert document["mirrorpy"] == __version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["started"])
    assert document["exit"] == 3
    for repo in document["repos"]:
        assert repo.keys() >= REPO
        for moved in ("downloaded", "reused", "retired", "pruned"):
            assert repo[moved].keys() >= {"files", "bytes"}
        assert "metadata_bytes" in repo["downloaded"]
    one, two = document["repos"]
    sizes = {path: len(body) for path, body in good.tree().items() if path != REPOMD}
    assert (one["id"], one["path"], one["outcome"]) == ("good", "x/good", "updated")
    assert one["packages"] == 1
    assert one["bytes"] == sum(sizes.values())
    assert one["downloaded"] == {
        "files": len(sizes),
        "bytes": sum(sizes.values()),
        "metadata_bytes": sum(sizes[href] for href in good.records.values()),
    }
    assert one["reused"] == {"files": 0, "bytes": 0}
    assert one["generation"] in mirror.generations("x/good")
    assert one["requests"] == 5
    assert one["error"] is None
    assert (two["outcome"], two["generation"]) == ("failed", None)
    assert two["error"].keys() >= {"kind", "message", "url", "href", "exit"}
    assert two["error"] | {"message": ""} == {
        "kind": "NotFound",
        "message": "",
        "url": bad.url + BASH,
        "href": BASH,
        "exit": 3,
    }


def test_counts_of_a_change(mirror: Mirror, repo: Repo) -> None:
    repo.add("fish", bytes(500))
    repo.publish()
    mirror.updates(repo, keep=1)
    first = repo.tree()
    repo.remove("Packages/fish-1-1.noarch.rpm")
    repo.add("tcsh", bytes(700))
    repo.publish()

    report = mirror.updates(repo, keep=1)

    second = repo.tree()
    fetched = second.keys() - first.keys()
    gone = first.keys() - second.keys()
    assert report.downloaded.files == len(fetched) == 3
    assert report.downloaded.bytes == sum(len(second[path]) for path in fetched)
    assert (report.reused.files, report.reused.bytes) == (2, 2000)
    assert report.retired.files == len(gone) == 3
    assert report.retired.bytes == sum(len(first[path]) for path in gone)
    assert (report.pruned.files, report.pruned.bytes) == (1, 500)


def test_unchanged_counts(mirror: Mirror, repo: Repo) -> None:
    done = mirror.updates(repo)

    report = mirror.stays(repo)

    assert (report.packages, report.bytes, report.generation) == (done.packages, done.bytes, done.generation)
    assert (report.revision, report.repomd_sha256) == (done.revision, done.repomd_sha256)
    assert (report.downloaded.files, report.reused.files, report.retired.files) == (0, 4, 0)


def test_a_fault_of_ours_stops_nobody_else(
    mirror: Mirror, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = _repos(simulator, 2)
    sum_of_one, real = digest(one.read(BASH)), planning.plan_sync

    def broken(files: dict[str, RemoteFile], *args: Any) -> Plan:
        if files[BASH].checksum.value == sum_of_one:
            raise RuntimeError("a fault of ours")
        return real(files, *args)

    monkeypatch.setattr(planning, "plan_sync", broken)

    report = mirror.sync_all(configured(one, id="one"), configured(two, id="two"))

    assert report.repos[0].error is not None
    assert report.exit == report.repos[0].error.exit != 0
    assert mirror.tree("two") == two.tree()
    assert mirror.tree("one") == {}


def test_a_run_sweeps_the_pool_once_at_its_end(mirror: Mirror, simulator: Simulator) -> None:
    repos = _repos(simulator, 3)
    settings = [configured(repo, id=f"r{number}", keep=1) for number, repo in enumerate(repos)]
    mirror.sync_all(*settings)
    before = mirror.pool()
    for repo in repos:
        repo.respin(BASH)
        repo.publish(named=False)

    mirror.sync_all(*settings)

    assert len(before - mirror.pool()) == 3


def test_a_dry_run_of_several(mirror: Mirror, simulator: Simulator) -> None:
    repos = _repos(simulator, 2)

    report = mirror.sync_all(
        *(configured(repo, id=f"r{number}") for number, repo in enumerate(repos)), options=Options(dry_run=True)
    )

    assert [found.outcome for found in report.repos] == ["planned", "planned"]
    assert not mirror.root.exists()


def test_neighbours_are_untouched(mirror: Mirror, simulator: Simulator) -> None:
    """Each repository writes below its own path only, though paths begin alike."""
    one, two = _repos(simulator, 2)
    mirror.updates(one, id="a", path="x/repo")
    mirror.updates(two, id="b", path="x/repo.old")
    before = mirror.tree("x/repo.old")

    for _ in range(3):
        one.respin(BASH)
        one.publish()
        mirror.updates(one, id="a", path="x/repo", keep=1)
    mirror.prune(configured(one, id="a", path="x/repo", keep=1), configured(two, id="b", path="x/repo.old"))

    assert mirror.tree("x/repo.old") == before
    assert len(mirror.generations("x/repo.old")) == 1
