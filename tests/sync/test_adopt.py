"""Taking over a tree that another program made: what upstream promises is not downloaded, and nothing is lost."""

import logging
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirrorpy.rpmmd.digest import hash_from
from mirrorpy.store import adoption, exchange
from mirrorpy.sync.report import OldTree, Options, RepoReport
from tests.simulator import REPOMD, Repo, status, with_headers

from .mirror import Mirror, configured, flip, packages

BASH, ZSH = "Packages/bash-1-1.noarch.rpm", "Packages/zsh-1-1.noarch.rpm"
OTHERS = ("other", "deep/er")
DOWN, UP = status(503), [with_headers()]
"""Faults, and one that is none."""


class Killed(BaseException):
    """What ends a run wherever it is."""


def copy_of(repo: Repo, folder: Path) -> Path:
    """Write what upstream serves into a folder, as rsync would."""
    for href in repo.hrefs():
        path = folder / href
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(repo.read(href))
        os.utime(path, (1e9, 1e9))
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Read what is below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def adopting(path: Path | None = None, *, remove: bool = False) -> Options:
    """Return the options of `mirrorpy adopt`."""
    return Options(adopt=OldTree(str(path) if path else None, remove, OTHERS))


def adopts(mirror: Mirror, repo: Repo, path: Path | None = None, *, fetched: int = 0, **settings: Any) -> RepoReport:
    """Adopt, which has to publish what upstream has, with so many files downloaded; nothing else may be left behind."""
    report = mirror.updates(repo, options=adopting(path, remove=settings.pop("remove", False)), **settings)
    assert report.downloaded.files == fetched
    assert mirror.tree() == repo.tree()
    settled(mirror)
    return report


def settled(mirror: Mirror) -> None:
    """See that no adoption is under way, and that the pool's files have no name which mirrorpy did not give them."""
    own = Path(mirror.layout.repo("repo").folder)
    assert not {"adopting", "adopted"} & {path.name for path in own.iterdir()}
    kept = len(mirror.generations())
    for folder, _, names in os.walk(mirror.layout.pool):
        for name in names:
            assert Path(folder, name).stat().st_nlink <= 1 + kept
    assert not list(Path(mirror.layout.state, "incoming", "repo").iterdir())


def set_aside(mirror: Mirror) -> Path:
    """Return the one folder that was set aside."""
    (folder,) = Path(mirror.layout.set_aside).iterdir()
    return folder


@pytest.fixture
def old(tmp_path: Path, repo: Repo) -> Path:
    """A copy of all that upstream serves, beside root."""
    return copy_of(repo, tmp_path / "old")


@pytest.fixture
def here(mirror: Mirror, repo: Repo) -> Path:
    """A copy of all that upstream serves, where it is to be published."""
    return copy_of(repo, mirror.root / "repo")


def test_a_copy_needs_no_download(mirror: Mirror, repo: Repo, old: Path) -> None:
    """The old tree's own files are the pool's then, and no longer in the old tree; the rest is left."""
    (old / "EULA").write_bytes(b"yes")
    inode = (old / BASH).stat().st_ino
    report = adopts(mirror, repo, old)
    assert set(repo.asked()) == {REPOMD, f"{REPOMD}.asc"}
    assert (mirror.root / "repo" / BASH).stat().st_ino == inode
    assert (mirror.root / "repo" / BASH).stat().st_mtime == 1e9
    assert set(files_of(old)) == {"EULA", REPOMD}
    assert any(f"2 files ({3 + len(repo.read(REPOMD))} B) of the old tree left in {old}" in w for w in report.warnings)
    mirror.stays(repo)


def test_the_place_that_is_to_be_published(mirror: Mirror, repo: Repo, here: Path) -> None:
    """The folder becomes a link in one step; what upstream does not promise is set aside, where nobody serves it."""
    (here / "notes").mkdir()
    (here / "notes" / "EULA").write_bytes(b"yes")
    inode = here.stat().st_ino
    report = adopts(mirror, repo)
    assert here.is_symlink()
    aside = set_aside(mirror)
    assert aside.stat().st_ino == inode
    assert files_of(aside) == {"notes/EULA": b"yes", REPOMD: repo.read(REPOMD)}
    assert stat.S_IMODE(aside.parent.stat().st_mode) == 0o700
    assert any("set aside in" in warning for warning in report.warnings)
    mirror.stays(repo)


def test_without_exchange(
    mirror: Mirror, repo: Repo, here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder goes and the link comes; that there was nothing for an instant is said."""
    monkeypatch.setattr(exchange, "_renameat2", lambda: None)
    # A command that ran in this process before keeps messages to itself.
    monkeypatch.setattr(logging.getLogger("mirrorpy"), "propagate", True)
    caplog.set_level(logging.WARNING, "mirrorpy")
    adopts(mirror, repo)
    assert here.is_symlink()
    assert f"{here}: names cannot be exchanged here" in caplog.text
    assert files_of(set_aside(mirror)) == {REPOMD: repo.read(REPOMD)}


@pytest.mark.parametrize("then", ["sync", "adopt"])
def test_killed_in_the_gap(mirror: Mirror, repo: Repo, here: Path, then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run puts the old tree back before it asks upstream, which may be down; then it goes on."""
    before, rename = files_of(here), os.rename

    def kill(source: str, target: str) -> None:
        if target == str(here):
            raise Killed
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(exchange, "_renameat2", lambda: None)
        patch.setattr(os, "rename", kill)
        with pytest.raises(Killed):
            mirror.sync(repo, options=adopting())
    assert not os.path.lexists(here)
    options = adopting() if then == "adopt" else None
    repo.fail(REPOMD, DOWN, always=True)
    assert mirror.sync(repo, options=options).outcome == "failed"
    assert files_of(here) == before
    repo.fail(REPOMD, *UP)
    report = mirror.updates(repo, options=options)
    assert report.downloaded.files == 0
    assert mirror.tree() == repo.tree()
    settled(mirror)


def test_killed_after_the_switch(mirror: Mirror, repo: Repo, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next sync takes out of the old tree what is the pool's."""
    with monkeypatch.context() as patch:
        patch.setattr("mirrorpy.sync.adopt.leave_tree", _kill)
        with pytest.raises(Killed):
            mirror.sync(repo, options=adopting())
    assert here.is_symlink()
    assert BASH in files_of(set_aside(mirror))
    mirror.stays(repo)
    assert files_of(set_aside(mirror)) == {REPOMD: repo.read(REPOMD)}
    settled(mirror)


def _kill(*_: object) -> None:
    raise Killed


def test_killed_before_the_pool_has_a_file(
    mirror: Mirror, repo: Repo, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had a name in incoming is found again, and is not copied."""
    inode = (old / BASH).stat().st_ino
    with monkeypatch.context() as patch:
        patch.setattr("mirrorpy.sync.adopt.note_adopted", _kill)
        with pytest.raises(Killed):
            mirror.sync(repo, options=adopting(old))
    assert files_of(old) == {href: repo.read(href) for href in repo.hrefs()}
    assert mirror.updates(repo).downloaded.files == 0
    assert (mirror.root / "repo" / BASH).stat().st_ino == inode
    settled(mirror)


def test_other_names_and_folders(mirror: Mirror, repo: Repo, old: Path) -> None:
    """What a file is, its content says; also two of one size that have each other's name."""
    (old / BASH).rename(old / "swap")
    (old / ZSH).rename(old / BASH)
    (old / "swap").rename(old / ZSH)
    record = next(path for path in (old / "repodata").iterdir() if path.name.endswith("filelists.xml.gz"))
    record.rename(old / os.fsdecode(b"\xe9t\xe9\n"))
    adopts(mirror, repo, old)
    assert set(files_of(old)) == {REPOMD}


def test_only_what_is_damaged_or_missing_is_downloaded(mirror: Mirror, repo: Repo, old: Path) -> None:
    """A damaged file stays where it is, for whoever wants to know."""
    repo.add("curl", b"missing")
    repo.publish()
    (old / BASH).write_bytes(flip(repo.read(BASH)))
    adopts(mirror, repo, old, fetched=4)
    assert packages(repo.asked()) == [BASH, "Packages/curl-1-1.noarch.rpm"]
    assert files_of(old)[BASH] == flip(repo.read(BASH))


@pytest.mark.parametrize("checksum", ["sha1", "md5", "sha512"])
def test_other_checksums(mirror: Mirror, repo: Repo, tmp_path: Path, checksum: str) -> None:
    """Weak ones, and files of which no size is promised: those are looked for by name."""
    repo.add("nosize", b"of whatever size", size="")
    repo.publish(checksum=checksum, named=False)
    old = copy_of(repo, tmp_path / "old")
    adopts(mirror, repo, old)
    assert set(files_of(old)) == {REPOMD}
    mirror.stays(repo)


UNSAFE: dict[str, Callable[[Path], object]] = {
    "another name": lambda path: os.link(path, path.with_name("again")),
    "everybody may write": lambda path: path.chmod(0o666),
    "its group may write": lambda path: path.chmod(0o664),
    "somebody else's": lambda path: os.chown(path, 12345, 12345),
}


@pytest.mark.parametrize("unsafe", UNSAFE.values(), ids=UNSAFE)
def test_copied_where_others_reach_it(mirror: Mirror, repo: Repo, old: Path, unsafe: Callable[[Path], object]) -> None:
    """Whoever has another way to a file has none to the pool's, and keeps his own."""
    try:
        unsafe(old / BASH)
    except PermissionError:
        pytest.skip("needs root")
    before = (old / BASH).stat()
    adopts(mirror, repo, old)
    after, taken = (old / BASH).stat(), (mirror.root / "repo" / BASH).stat()
    assert (after.st_ino, after.st_mode, after.st_nlink) == (before.st_ino, before.st_mode, before.st_nlink)
    assert taken.st_ino != before.st_ino
    assert taken.st_mtime == before.st_mtime


def test_another_filesystem(mirror: Mirror, repo: Repo, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there can be no link there is a copy, and the old tree is not touched."""

    def refuse(source: str, target: str, **options: Any) -> None:
        if source.startswith(str(old)):
            raise OSError(18, "Invalid cross-device link", source)
        link(source, target, **options)

    link, before = os.link, files_of(old)
    monkeypatch.setattr(os, "link", refuse)
    adopts(mirror, repo, old)
    assert files_of(old) == before


def test_odd_things_are_named_and_left(mirror: Mirror, repo: Repo, old: Path) -> None:
    """Loops, FIFOs and links out of the tree; a link is not followed, so what it leads to is downloaded."""
    (old / "Packages" / "loop").symlink_to("..")
    os.mkfifo(old / os.fsdecode(b"fi\xff"))
    shutil.move(old / BASH, old.parent / "elsewhere")
    (old / BASH).symlink_to(old.parent / "elsewhere")
    report = adopts(mirror, repo, old, fetched=1)
    told = "\n".join(report.warnings)
    assert "no regular file: fi\\udcff" in told
    assert "symbolic link, not followed: Packages/loop" in told
    assert (old / BASH).read_bytes() == repo.read(BASH)
    assert sum(stat.S_ISFIFO(path.lstat().st_mode) for path in old.iterdir()) == 1


def test_what_changes_meanwhile_is_downloaded(
    mirror: Mirror, repo: Repo, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that somebody writes to while it is hashed is not taken."""
    inode = (old / BASH).stat().st_ino

    def hash_meanwhile(descriptor: int, *rest: Any) -> list[str]:
        digests = hash_from(descriptor, *rest)
        if os.fstat(descriptor).st_ino == inode:
            (old / BASH).write_bytes(b"something else")
        return digests

    monkeypatch.setattr("mirrorpy.store.adopted.hash_from", hash_meanwhile)
    report = adopts(mirror, repo, old, fetched=1)
    assert any("changes while it is read" in warning for warning in report.warnings)
    assert files_of(old)[BASH] == b"something else"


def test_what_is_replaced_meanwhile_is_copied(
    mirror: Mirror, repo: Repo, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As rsync does: the name is another file's by the time of the link. What was hashed is what the pool gets."""

    def link_later(source: str, target: str, **options: Any) -> None:
        if source.endswith(BASH):
            Path(f"{source}.new").write_bytes(b"something else")
            os.rename(f"{source}.new", source)
        link(source, target, **options)

    link = os.link
    monkeypatch.setattr(os, "link", link_later)
    adopts(mirror, repo, old)
    assert files_of(old)[BASH] == b"something else"


def test_a_record_that_unpacks_to_something_else_is_not_taken(mirror: Mirror, repo: Repo, tmp_path: Path) -> None:
    """The old tree is believed no more than a mirror."""
    repo.publish(edit=lambda text: text.replace("<open-size>", "<open-size>1"))
    old = copy_of(repo, tmp_path / "old")
    before = files_of(old)
    mirror.fails(4, repo, options=adopting(old))
    assert files_of(old) == before


def test_remove_old(mirror: Mirror, repo: Repo, old: Path) -> None:
    """All of it goes, once the new tree is published."""
    (old / "EULA").write_bytes(b"yes")
    repo.fail(REPOMD, DOWN, always=True)
    mirror.sync(repo, options=adopting(old, remove=True))
    assert (old / "EULA").exists()
    repo.fail(REPOMD, *UP)
    report = adopts(mirror, repo, old, remove=True)
    assert not old.exists()
    assert any("of the old tree removed" in warning for warning in report.warnings)


def test_remove_old_in_place(mirror: Mirror, repo: Repo, here: Path) -> None:
    """What would be set aside is removed."""
    (here / "EULA").write_bytes(b"yes")
    adopts(mirror, repo, remove=True)
    assert not list(Path(mirror.layout.set_aside).iterdir())


def test_adopted_already(mirror: Mirror, repo: Repo, here: Path) -> None:
    """There is nothing to take over, so it is a sync."""
    adopts(mirror, repo)
    mirror.stays(repo, options=adopting())
    mirror.stays(repo, options=adopting(here))


def test_beside_what_is_published(mirror: Mirror, repo: Repo, tmp_path: Path) -> None:
    """What a published repository lacks may come from a tree, too."""
    mirror.updates(repo)
    repo.asked()
    repo.add("curl")
    repo.publish()
    report = mirror.updates(repo, options=adopting(copy_of(repo, tmp_path / "old")))
    assert report.downloaded.files == 0
    assert repo.tree().items() <= mirror.tree().items()
    settled(mirror)


def test_one_at_a_time(mirror: Mirror, repo: Repo, old: Path, tmp_path: Path) -> None:
    """An adoption that failed has to be finished before another; without a path it is meant."""
    repo.fail(BASH, DOWN, always=True)
    (old / BASH).unlink()
    mirror.fails(3, repo, options=adopting(old))
    other = copy_of(repo, tmp_path / "other")
    assert "`mirrorpy sync repo` finishes it" in mirror.fails(6, repo, options=adopting(other))
    repo.fail(BASH, *UP)
    adopts(mirror, repo, fetched=1)
    assert set(files_of(old)) == {REPOMD}


def test_a_sync_says_what_to_do(mirror: Mirror, repo: Repo, here: Path) -> None:
    """A folder that mirrorpy did not make is not published over, unless that is asked."""
    assert "`mirrorpy adopt`" in mirror.fails(6, repo)


def test_a_failure_leaves_the_old_tree_served(mirror: Mirror, repo: Repo, here: Path) -> None:
    """Until the switch, nothing is other than it was."""
    before = files_of(here)
    (here / BASH).unlink()
    repo.fail(BASH, DOWN, always=True)
    assert mirror.sync(repo, options=adopting()).outcome == "failed"
    assert here.is_dir()
    assert not here.is_symlink()
    assert files_of(here) == {path: content for path, content in before.items() if path != BASH}
    dry = mirror.sync(repo, options=Options(dry_run=True))
    assert dry.outcome == "planned"
    repo.fail(BASH, *UP)
    assert mirror.updates(repo).downloaded.files == 1
    settled(mirror)


def _nothing(mirror: Mirror) -> Path:
    return mirror.root / "repo"


def _file(mirror: Mirror) -> Path:
    mirror.root.mkdir()
    (mirror.root / "file").write_bytes(b"")
    return mirror.root / "file"


def _state(mirror: Mirror) -> Path:
    (mirror.root / ".mirrorpy" / "pool").mkdir(parents=True)
    return mirror.root / ".mirrorpy" / "pool"


def _published(mirror: Mirror) -> Path:
    source = mirror.simulator.repository("https://up.test/elsewhere/")
    source.add("bash")
    source.publish()
    mirror.updates(source, id="elsewhere", path="pub/lished")
    return mirror.root / "pub/lished"


def _configured(mirror: Mirror) -> Path:
    (mirror.root / "other" / "below").mkdir(parents=True)
    return mirror.root / "other" / "below"


def _above(mirror: Mirror) -> Path:
    (mirror.root / "deep").mkdir(parents=True)
    return mirror.root / "deep"


REFUSED: dict[str, Callable[[Mirror], Path]] = {
    "nothing there": _nothing,
    "a file": _file,
    "root": lambda mirror: mirror.root,
    "above root": lambda mirror: mirror.root.parent,
    "all": lambda _: Path("/"),
    "mirrorpy's state": _state,
    "another repository's": _published,
    "below one that is configured": _configured,
    "above one that is configured": _above,
    "above one that is published": lambda mirror: _published(mirror).parent,
}


@pytest.mark.parametrize("where", REFUSED.values(), ids=REFUSED)
def test_refused(mirror: Mirror, repo: Repo, where: Callable[[Mirror], Path]) -> None:
    """With what is wrong about the path, and without a request."""
    mirror.root.mkdir(exist_ok=where is not _file) if where is not _file else None
    path = where(mirror)
    assert str(path) in mirror.fails(2, repo, options=adopting(path, remove=True))
    assert not repo.asked()
    assert read_journal(mirror) is None


def read_journal(mirror: Mirror) -> adoption.Adoption | None:
    """Return the adoption that is under way."""
    return adoption.read_adoption(mirror.layout.repo("repo"))


def test_a_link_of_somebody_elses(mirror: Mirror, repo: Repo, old: Path) -> None:
    """It is not known what else is done with it."""
    mirror.root.mkdir()
    (mirror.root / "repo").symlink_to(old)
    assert "not made by mirrorpy" in mirror.fails(6, repo, options=adopting())


def test_forgotten_meanwhile(mirror: Mirror, repo: Repo, old: Path) -> None:
    """What was taken goes back to being the old tree's alone."""
    before = files_of(old)
    (old / BASH).unlink()
    repo.fail(BASH, DOWN, always=True)
    mirror.fails(3, repo, options=adopting(old))
    assert mirror.pool()
    mirror.prune(forget=("repo",))
    assert not mirror.pool()
    assert files_of(old) == {path: content for path, content in before.items() if path != BASH}


def test_forgotten_in_the_gap(mirror: Mirror, repo: Repo, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old tree gets its place back."""
    before, rename = files_of(here), os.rename

    def kill(source: str, target: str) -> None:
        if target == str(here):
            raise Killed
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(exchange, "_renameat2", lambda: None)
        patch.setattr(os, "rename", kill)
        with pytest.raises(Killed):
            mirror.sync(repo, options=adopting())
    Path(mirror.layout.repo("repo").state).write_bytes(b"{}")
    assert not mirror.prune(forget=("repo",)).errors
    assert files_of(here) == before


def test_published_elsewhere_after_all(mirror: Mirror, repo: Repo, here: Path) -> None:
    """The configuration changed while an adoption in place was unfinished: the old tree stays where it is."""
    (here / BASH).unlink()
    repo.fail(BASH, DOWN, always=True)
    assert mirror.sync(repo, options=adopting()).outcome == "failed"
    repo.fail(BASH, *UP)
    assert mirror.updates(repo, path="new/place").downloaded.files == 1
    assert mirror.tree("new/place") == repo.tree()
    assert files_of(here) == {REPOMD: repo.read(REPOMD)}
    assert read_journal(mirror) is None


def test_what_upstream_drops_between_two_attempts_stays(mirror: Mirror, repo: Repo) -> None:
    here = copy_of(repo, mirror.root / "repo")
    content = repo.read(ZSH)
    (here / BASH).unlink()
    repo.fail(BASH, DOWN, always=True)
    assert mirror.sync(repo, options=adopting()).outcome == "failed"
    repo.remove(ZSH)
    repo.publish()
    repo.fail(BASH, *UP)
    mirror.updates(repo)
    mirror.prune(configured(repo))
    kept = [path for path in Path(mirror.layout.set_aside).rglob("*") if path.is_file()]
    assert content in [path.read_bytes() for path in kept]
    assert all(path.stat().st_nlink == 1 for path in kept)


@pytest.mark.parametrize("called_off", [False, True])
def test_another_folder_under_the_old_name_is_left_alone(
    mirror: Mirror, repo: Repo, tmp_path: Path, called_off: bool
) -> None:
    old = copy_of(repo, tmp_path / "disk")
    (old / BASH).unlink()
    repo.fail(BASH, DOWN, always=True)
    assert mirror.sync(repo, options=adopting(old, remove=True)).outcome == "failed"
    if called_off:
        mirror.prune(configured(repo), forget=("repo",))
        assert (old / ZSH).stat().st_nlink == 1
        assert not Path(mirror.layout.repo("repo").adopting).exists()
    old.rename(tmp_path / "unplugged")
    old.mkdir()
    (old / "other").write_text("another disk is mounted here now")
    repo.fail(BASH, *UP)
    report = mirror.updates(repo)
    assert (old / "other").exists()
    assert (tmp_path / "unplugged" / ZSH).exists()
    assert bool(report.warnings) != called_off
