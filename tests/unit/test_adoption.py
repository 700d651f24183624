"""The journal of an adoption, names that are exchanged, and listings of old trees."""

import errno
import os
from pathlib import Path

import pytest

from mirrorpy.errors import LocalError
from mirrorpy.rpmmd.model import Kind, RemoteFile
from mirrorpy.store import exchange
from mirrorpy.store.adopted import list_tree, take_file
from mirrorpy.store.adoption import (
    Adoption,
    in_the_way,
    leave_tree,
    note_adopted,
    read_adoption,
    replace_tree,
    restore,
    write_adoption,
)
from mirrorpy.store.layout import Layout, RepoLayout, names_generation
from mirrorpy.store.pool import Pool
from mirrorpy.store.probe import prepare_repository, prepare_root

from .documents import sha256

ODD = os.fsdecode(b"\xe9 \n%2B\t\xff")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A root with the state of a repository."""
    layout = Layout.of(tmp_path / "root")
    prepare_root(layout)
    prepare_repository(layout, layout.repo("r"))
    return layout


@pytest.fixture
def own(layout: Layout) -> RepoLayout:
    """That repository."""
    return layout.repo("r")


def old_file(path: Path, content: str = "content") -> Path:
    """A file of an old tree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize("aside", [None, f"/elsewhere/{ODD}"])
def test_the_journal_says_what_it_was_told(own: RepoLayout, aside: str | None) -> None:
    """In whatever encoding."""
    adoption = Adoption(tree=f"/old/{ODD}", aside=aside, remove=True)
    write_adoption(own, adoption)
    assert read_adoption(own) == adoption


def test_root_may_be_mounted_elsewhere(layout: Layout, own: RepoLayout, tmp_path: Path) -> None:
    """What is below root is found there."""
    write_adoption(own, Adoption(tree=f"{layout.root}/a/b", aside=f"{layout.set_aside}/r.1"))
    os.rename(layout.root, tmp_path / "moved")
    moved = Layout.of(tmp_path / "moved")
    assert read_adoption(moved.repo("r")) == Adoption(tree=f"{moved.root}/a/b", aside=f"{moved.set_aside}/r.1")


@pytest.mark.parametrize("content", [b"", b"{", b'{"tree": 1}', b"\xff", b'{"tree": "/a", "more": 1}'])
def test_a_damaged_journal_is_none(own: RepoLayout, content: bytes) -> None:
    """It is written in one step, so somebody else wrote it."""
    Path(own.adopting).write_bytes(content)
    assert read_adoption(own) is None


def test_what_leaves_the_old_tree(layout: Layout, own: RepoLayout, tmp_path: Path) -> None:
    """What was noted, and is the pool's still; not what took its name since, and not what a crash half noted."""
    old = tmp_path / "old"
    noted = {name: old_file(old / "a" / name, ascii(name)) for name in ("gone", "replaced", ODD)}
    keys, pool = {name: sha256(ascii(name)) for name in noted}, Pool(layout)
    for name, path in noted.items():
        pool.install(str(path), keys[name])
    note_adopted(own, [(keys["gone"], "a/gone")])
    with Path(own.adopted).open("ab") as file:
        file.write(f"{keys['replaced']}".encode()[:30])
    note_adopted(own, [(keys[name], f"a/{name}") for name in ("replaced", ODD)] + [(keys["gone"], "a/never/there")])
    noted["replaced"].unlink()
    old_file(noted["replaced"])
    adoption = Adoption(tree=str(old))
    leave_tree(adoption, own, pool, set(keys.values()))
    assert [path.name for path in old.rglob("*")] == ["a", "replaced"]
    noted["replaced"].unlink()
    leave_tree(adoption, own, pool, set(keys.values()))
    assert old.is_dir()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_is_not_published_stays_the_old_tree_s(
    layout: Layout, own: RepoLayout, tmp_path: Path, elsewhere: bool
) -> None:
    """Upstream dropped it between two attempts: the pool's name goes, or the tree gets a copy."""
    path, key, pool = old_file(tmp_path / "old/one", "one"), sha256("one"), Pool(layout)
    note_adopted(own, [(key, "one")])
    pool.install(str(path), key)
    if elsewhere:
        pool.link(key, f"{own.folder}/other")
    leave_tree(Adoption(tree=str(tmp_path / "old")), own, pool, set())
    assert path.read_text() == "one"
    assert path.stat().st_nlink == 1
    assert os.path.exists(pool.path(key)) == elsewhere


def test_names_are_exchanged(tmp_path: Path) -> None:
    """A folder and a link; one of them missing is an error that names both."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.symlink_to("nowhere")
    if not exchange.exchange(str(one), str(other)):
        pytest.skip("no RENAME_EXCHANGE here")
    assert one.is_symlink()
    assert other.is_dir()
    with pytest.raises(FileNotFoundError) as caught:
        exchange.exchange(str(one), str(tmp_path / "none"))
    assert caught.value.filename2 == str(tmp_path / "none")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_names_cannot_be_exchanged(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's answer, and an old libc's."""

    def refuse(*_: object) -> int:
        exchange.ctypes.set_errno(code)
        return -1

    monkeypatch.setattr(exchange, "_renameat2", lambda: refuse)
    assert not exchange.exchange("a", "b")
    monkeypatch.setattr(exchange, "_renameat2", lambda: None)
    assert not exchange.exchange("a", "b")


@pytest.fixture
def in_place(layout: Layout, own: RepoLayout) -> Adoption:
    """An adoption of what lies at `os`."""
    old_file(Path(layout.root, "os", "file"))
    Path(layout.set_aside).mkdir()
    adoption = Adoption(tree=f"{layout.root}/os", aside=f"{layout.set_aside}/r.1")
    write_adoption(own, adoption)
    return adoption


def test_a_link_that_cannot_come_brings_the_folder_back(
    layout: Layout, own: RepoLayout, in_place: Adoption, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two steps, of which the second fails."""
    rename = os.rename

    def refuse(source: str, target: str) -> None:
        if source == own.link:
            raise OSError(errno.EIO, "Input/output error", source)
        rename(source, target)

    monkeypatch.setattr(exchange, "_renameat2", lambda: None)
    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="Input/output"):
        replace_tree(in_place, ".os.20261122T203341Z", own)
    assert Path(layout.root, "os", "file").is_file()
    assert in_the_way(layout.place("os"), own) == in_place


def test_restore(layout: Layout, own: RepoLayout, in_place: Adoption) -> None:
    """The way back, from each state; nothing is done where the new link has the place."""
    assert in_place.aside is not None
    tree, aside = Path(in_place.tree), Path(in_place.aside)
    aside.symlink_to("nowhere")
    restore(in_place)
    assert not aside.is_symlink()
    tree.rename(aside)
    restore(in_place)
    assert (tree / "file").is_file()
    tree.rename(aside)
    tree.symlink_to("nowhere")
    restore(in_place)
    assert tree.is_symlink()
    assert (aside / "file").is_file()


def test_a_listing_follows_nothing(tmp_path: Path) -> None:
    """Files by size; links, FIFOs and folders that are passed over by name."""
    old_file(tmp_path / "a" / ODD, "four")
    old_file(tmp_path / "b", "4444")
    old_file(tmp_path / ".x.20261122T203341Z" / "c")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    found = list_tree(str(tmp_path), names_generation)
    assert {size: sorted(paths) for size, paths in found.by_size.items()} == {4: sorted([f"a/{ODD}", "b"])}
    assert (found.links, found.others, found.unreadable) == (["a/loop"], ["fifo"], [])
    assert (found.files, found.bytes) == (2, 8)
    assert list_tree(str(tmp_path / "none"), names_generation).unreadable == [
        f"{tmp_path}/none: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (".os.20261122T203341Z", True),
        (".a.b\n.20261122T203341Z", True),
        (".os.20261322T203341Z", False),
        ("..20261122T203341Z", False),
        ("os.20261122T203341Z", False),
        (".os.20261122T203341Z.new", False),
    ],
)
def test_names_of_generations(name: str, is_one: bool) -> None:
    """A hidden name and a stamp."""
    assert names_generation(name) == is_one


def test_no_room_for_a_copy_is_an_error(own: RepoLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not a file that could not be read."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = old_file(tmp_path / "old")
    path.chmod(0o666)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(LocalError, match="No space left"):
        take_file(str(path), [RemoteFile("old", sha256("content"), 7, Kind.PACKAGE)], own.incoming)
