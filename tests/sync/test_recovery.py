"""What is lost or damaged here: the published tree is the truth, and what it or the pool has is not fetched again."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mirrorpy.sync.report import Options
from tests.simulator import REPOMD, Repo

from .mirror import HOUR, Mirror, Watcher, configured, flip, packages

BASH = "Packages/bash-1-1.noarch.rpm"


def _state(mirror: Mirror) -> Path:
    return Path(mirror.layout.repos, "repo")


def _each(mirror: Mirror, pattern: str, action: Callable[[Path], object]) -> None:
    found = [path for path in _state(mirror).glob(pattern) if path.is_file()]
    assert found or pattern == "weak"
    for path in found:
        action(path)


def _garble(path: Path) -> None:
    path.write_bytes(b"\xff\x00 garbage\n" * 9)


def _garble_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines.insert(2, b"\xff garbage\n")
    path.write_bytes(b"".join(lines))


def _halve(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


LOSSES: dict[str, Callable[[Mirror], object]] = {
    "state": lambda mirror: (_state(mirror) / "state.json").unlink(),
    "garbled state": lambda mirror: _garble(_state(mirror) / "state.json"),
    "halved state": lambda mirror: _halve(_state(mirror) / "state.json"),
    "empty state": lambda mirror: (_state(mirror) / "state.json").write_bytes(b""),
    "manifests": lambda mirror: _each(mirror, "*.files", Path.unlink),
    "garbled manifests": lambda mirror: _each(mirror, "*.files", _garble),
    "a line of the manifests": lambda mirror: _each(mirror, "*.files", _garble_a_line),
    "halved manifests": lambda mirror: _each(mirror, "*.files", _halve),
    "weak": lambda mirror: _each(mirror, "weak", Path.unlink),
    "garbled weak": lambda mirror: _each(mirror, "weak", _garble),
    "state and weak": lambda mirror: _each(mirror, "[sw][te]a*", Path.unlink),
    "the repository's folder": lambda mirror: shutil.rmtree(_state(mirror)),
    "all but the pool": lambda mirror: [
        shutil.rmtree(path) for path in Path(mirror.layout.state).iterdir() if path.is_dir() and path.name != "pool"
    ],
    "the pool": lambda mirror: shutil.rmtree(mirror.layout.pool),
    "everything": lambda mirror: shutil.rmtree(mirror.layout.state),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("checksum", ["sha256", "md5"])
@pytest.mark.parametrize("changed", [False, True])
def test_losses_cost_time_and_no_download(mirror: Mirror, repo: Repo, loss: str, checksum: str, changed: bool) -> None:
    repo.publish(checksum=checksum)
    mirror.updates(repo)
    LOSSES[loss](mirror)
    repo.asked()
    if changed:
        repo.add("fish")
        repo.publish(checksum=checksum)

    report = mirror.sync(repo)

    assert report.error is None
    asked = [href for href in repo.asked() if not href.endswith(".asc")]
    new = [*repo.records.values(), "Packages/fish-1-1.noarch.rpm"] if changed else []
    assert sorted(asked) == sorted([REPOMD, *new])
    assert mirror.tree().items() >= repo.tree().items()
    mirror.stays(repo)
    assert repo.asked() == [REPOMD]


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_do_not_shorten_what_was_promised(mirror: Mirror, repo: Repo, loss: str) -> None:
    """Records that an earlier repomd.xml named stay for their time, though it is forgotten when that began."""
    mirror.updates(repo)
    old = set(repo.records.values())
    repo.add("fish")
    repo.publish()
    mirror.updates(repo)
    LOSSES[loss](mirror)
    mirror.now += HOUR

    report = mirror.sync(repo)

    assert report.error is None
    assert old <= mirror.tree().keys()


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_do_not_hide_a_rollback(mirror: Mirror, repo: Repo, loss: str) -> None:
    second = repo.simulator.mirror(repo, "https://second.test/")
    repo.add("fish")
    repo.publish()
    mirror.updates(repo)
    LOSSES[loss](mirror)
    tree = mirror.tree()

    report = mirror.sync(second)

    assert report.error is None
    assert report.warnings
    assert mirror.tree() == tree


def test_losses_are_no_shrinking(mirror: Mirror, repo: Repo) -> None:
    """Without its manifest a generation does not tell which packages upstream dropped long ago."""
    for number in range(8):
        repo.add(f"p{number}")
    repo.publish()
    mirror.updates(repo, grace=48 * HOUR)
    for left in (6, 4):
        for href in [*repo.packages][left:]:
            repo.remove(href)
        repo.publish()
        mirror.updates(repo, grace=48 * HOUR)
    assert len(packages([*mirror.tree()])) == 10

    LOSSES["manifests"](mirror)
    report = mirror.sync(repo, grace=48 * HOUR)

    assert report.error is None, report.error
    assert report.packages == 4


@pytest.mark.parametrize("checksum", ["sha256", "md5"])
def test_an_id_that_is_changed_costs_no_download(mirror: Mirror, repo: Repo, checksum: str) -> None:
    repo.publish(checksum=checksum)
    mirror.updates(repo, id="old", path="place")
    repo.asked()

    mirror.sync(repo, id="new", path="place")

    assert set(repo.asked()) <= {REPOMD, f"{REPOMD}.asc"}
    assert mirror.tree("place") == repo.tree()


DAMAGES: dict[str, tuple[Callable[[Mirror], object], int]] = {
    "shorter": (lambda mirror: mirror.replace(BASH, b"x"), 1),
    "longer": (lambda mirror: mirror.replace(BASH, bytes(5000)), 1),
    "empty": (lambda mirror: mirror.replace(BASH, b""), 1),
    "gone": (lambda mirror: (mirror.root / "repo" / BASH).unlink(), 0),
    "its folder gone": (lambda mirror: shutil.rmtree(mirror.root / "repo/Packages"), 0),
    "a link": (lambda mirror: _other(mirror, lambda path: path.symlink_to("/etc/passwd")), 0),
    "a folder": (lambda mirror: _other(mirror, Path.mkdir), 0),
    "a fifo": (lambda mirror: _other(mirror, os.mkfifo), 0),
    "another file": (lambda mirror: _other(mirror, lambda path: path.write_bytes(b"another")), 0),
}


def _other(mirror: Mirror, make: Callable[[Path], object]) -> None:
    path = mirror.root / "repo" / BASH
    path.unlink()
    make(path)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("checksum", ["sha256", "md5"])
def test_a_damaged_file_is_restored(mirror: Mirror, repo: Repo, damage: str, checksum: str) -> None:
    repo.publish(checksum=checksum)
    mirror.updates(repo)
    repo.asked()
    action, downloads = DAMAGES[damage]
    action(mirror)

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert packages(repo.asked()) == [BASH] * downloads
    mirror.stays(repo)


@pytest.mark.parametrize("kind", ["primary", "filelists"])
def test_a_damaged_record_is_restored(mirror: Mirror, repo: Repo, kind: str) -> None:
    mirror.updates(repo)
    repo.asked()
    mirror.replace(repo.records[kind], b"rot")

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert repo.records[kind] in repo.asked()


@pytest.mark.parametrize("damage", [b"", b"rot", None])
@pytest.mark.parametrize("signed", [True, False])
def test_a_damaged_repomd_is_restored(mirror: Mirror, repo: Repo, damage: bytes | None, signed: bool) -> None:
    if signed:
        repo.put(f"{REPOMD}.asc", b"signature")
    mirror.updates(repo)
    tree = mirror.tree()
    repo.asked()
    if damage is None:
        (mirror.root / "repo" / REPOMD).unlink()
    else:
        mirror.replace(REPOMD, damage)

    mirror.updates(repo)

    assert mirror.tree() == tree
    assert packages(repo.asked()) == []


def test_a_damaged_signature_is_restored(mirror: Mirror, repo: Repo) -> None:
    name = f"{REPOMD}.asc"
    repo.put(name, b"signature")
    mirror.updates(repo)
    tree = mirror.tree()
    mirror.replace(name, b"rot")

    mirror.updates(repo)

    assert mirror.tree() == tree


def test_a_damaged_file_of_two_repositories_is_restored_in_both(mirror: Mirror, repo: Repo) -> None:
    second = repo.simulator.mirror(repo, "https://second.test/")
    mirror.updates(repo)
    mirror.updates(second, id="second")
    mirror.replace(BASH, b"rot")

    mirror.sync_all(configured(repo), configured(second, id="second"))

    assert mirror.tree() == repo.tree()
    assert mirror.tree("second") == repo.tree()


# Rot that keeps the size


@pytest.mark.parametrize("checksum", ["sha256", "sha512", "sha1", "md5"])
def test_checksum_finds_flipped_bits(mirror: Mirror, repo: Repo, checksum: str) -> None:
    repo.publish(checksum=checksum)
    mirror.updates(repo)
    mirror.replace(BASH, flip(repo.read(BASH)))
    repo.asked()
    mirror.stays(repo)
    repo.asked()

    mirror.updates(repo, options=Options(checksum=True))

    assert packages(repo.asked()) == [BASH]
    assert mirror.tree() == repo.tree()
    mirror.stays(repo, options=Options(checksum=True))


def test_checksum_finds_a_copy_that_is_not_the_pools(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    repo.asked()
    _other(mirror, lambda path: path.write_bytes(flip(repo.read(BASH))))

    mirror.updates(repo, options=Options(checksum=True))

    assert packages(repo.asked()) == []
    assert mirror.tree() == repo.tree()


def test_checksum_finds_a_flipped_record(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    repo.asked()
    href = repo.records["filelists"]
    mirror.replace(href, flip(repo.read(href)))

    mirror.updates(repo, options=Options(checksum=True))

    assert href in repo.asked()
    assert mirror.tree() == repo.tree()


def test_checksum_finds_flipped_bits_of_a_retired_file(mirror: Mirror, repo: Repo) -> None:
    """It cannot be had again; but what is rotten is not carried on."""
    content = repo.read(BASH)
    mirror.updates(repo, grace=HOUR)
    repo.remove(BASH)
    repo.publish()
    mirror.updates(repo, grace=HOUR)
    mirror.replace(BASH, flip(content))

    report = mirror.sync(repo, grace=HOUR, options=Options(checksum=True))

    assert report.error is None
    assert mirror.tree().get(BASH) in (None, content)


def test_checksum_finds_a_flipped_repomd(mirror: Mirror, repo: Repo) -> None:
    """Nothing promises repomd.xml's bytes but upstream's; so a condition cannot stand in for them."""
    mirror.updates(repo)
    mirror.replace(REPOMD, repo.read(REPOMD).replace(b"<revision>1", b"<revision>2"))

    mirror.updates(repo, options=Options(checksum=True))

    assert mirror.tree() == repo.tree()


def test_checksum_finds_a_flipped_signature(mirror: Mirror, repo: Repo) -> None:
    name = f"{REPOMD}.asc"
    repo.put(name, b"signature")
    mirror.updates(repo)
    mirror.replace(name, flip(b"signature"))

    mirror.updates(repo, options=Options(checksum=True))

    assert mirror.tree()[name] == b"signature"


def test_rot_of_a_pool_file_is_found_before_it_is_published(mirror: Mirror, repo: Repo) -> None:
    """A new path of an old file: the pool's copy has rotted meanwhile."""
    mirror.updates(repo)
    mirror.replace(BASH, flip(repo.read(BASH)))
    repo.add("bash", href="copy/bash.rpm")
    repo.publish()

    mirror.updates(repo, options=Options(checksum=True))

    assert mirror.tree().items() >= repo.tree().items()


def test_rotten_trees_are_not_taken_into_the_pool(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    mirror.replace(BASH, flip(repo.read(BASH)))
    shutil.rmtree(mirror.layout.state)
    repo.asked()

    mirror.sync(repo)

    assert packages(repo.asked()) == [BASH]
    assert mirror.tree().items() >= repo.tree().items()


# What a killed run leaves


def test_a_staged_generation_is_swept(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    staged = _state(mirror) / "staged"
    (staged / "Packages").mkdir(parents=True)
    (staged / "Packages/x.rpm").write_bytes(b"half")
    (_state(mirror) / "link").symlink_to("nowhere")
    repo.add("fish")
    repo.publish()

    mirror.updates(repo)

    assert not staged.exists()
    assert not os.path.lexists(_state(mirror) / "link")
    assert mirror.tree().items() >= repo.tree().items()


def test_a_generation_that_was_never_switched_to_is_swept(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    current = mirror.generations()[0]
    orphan = mirror.root / ".repo.20370101T000000Z"
    shutil.copytree(mirror.root / current, orphan, copy_function=os.link)
    manifest = _state(mirror) / (current.removeprefix(".repo.") + ".files")
    shutil.copy(manifest, _state(mirror) / "20370101T000000Z.files")
    repo.asked()

    mirror.sync(repo)

    assert mirror.generations() == [current]
    assert not (_state(mirror) / "20370101T000000Z.files").exists()
    assert repo.asked() == [REPOMD]


def test_the_clock_was_set_back(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    first = (mirror.root / "repo" / REPOMD).stat().st_mtime
    mirror.now -= 10 * HOUR
    repo.add("fish")
    repo.publish()

    mirror.updates(repo)

    assert (mirror.root / "repo" / REPOMD).stat().st_mtime > first
    assert mirror.tree().items() >= repo.tree().items()


def test_a_dangling_link_is_published_anew(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    shutil.rmtree(mirror.root / mirror.generations()[0])
    repo.asked()

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert packages(repo.asked()) == []


def test_a_repair_beside_a_sync_takes_a_damaged_file_away(
    mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.updates(repo)
    inode = mirror.replace(BASH, flip(mirror.tree()[BASH])).stat().st_ino
    repo.add("fish")
    repo.publish()
    taken = []

    def step(_watch: Watcher, _repo_id: str, doing: str | None) -> None:
        if doing == "publishing":
            objects = [Path(folder, name) for folder, _, names in os.walk(mirror.layout.pool) for name in names]
            taken.extend(path.unlink() for path in objects if path.stat().st_ino == inode)

    monkeypatch.setattr(Watcher, "step", step)
    mirror.updates(repo)
    assert len(taken) == 1
    assert mirror.tree().items() >= repo.tree().items()
