"""Generations: built out of sight, published by one rename, dropped without touching what is somebody else's."""

import os
import stat
from pathlib import Path

import pytest

from mirrorpy.errors import LeftPool, LocalError
from mirrorpy.plan import Entry
from mirrorpy.rpmmd.model import Kind
from mirrorpy.store.generation import (
    Generation,
    drop_generation,
    list_generations,
    published_generation,
    superseded,
)
from mirrorpy.store.layout import Layout, stamp_of
from mirrorpy.store.pool import Pool
from mirrorpy.store.probe import prepare_repository, prepare_root
from mirrorpy.store.stage import Stage, next_stamp, switch_link

from .documents import sha256

T0 = 1_700_000_000
INDEX = Entry("repodata/repomd.xml", 5, Kind.INDEX, None, None)


class Root:
    """A root with one repository, published at `pub/os`."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout.of(folder)
        prepare_root(self.layout)
        self.own, self.place = self.layout.repo("r"), self.layout.place("pub/os")
        prepare_repository(self.layout, self.own)
        self.pool = Pool(self.layout)
        self.pub = folder / "pub"

    def entry(self, path: str, content: str) -> Entry:
        """A file that is in the pool."""
        key = sha256(content)
        if os.path.exists(self.pool.path(key)):
            return Entry(path, len(content), Kind.PACKAGE, key, key)
        new = Path(self.own.incoming) / "new"
        new.write_text(content)
        new.chmod(0o444)
        self.pool.install(str(new), key)
        new.unlink()
        return Entry(path, len(content), Kind.PACKAGE, key, key)

    def publish(self, seconds: int, **files: str) -> Generation:
        stage = Stage(self.layout, self.place, self.own)
        entries = [self.entry(name.replace("__", "/"), content) for name, content in files.items()]
        for entry in entries:
            stage.link(entry, self.pool)
        stage.write(INDEX.path, b"index", seconds)
        return stage.publish(stamp_of(seconds), [*entries, INDEX])

    @property
    def published(self) -> Generation | None:
        return published_generation(self.place, self.own)


@pytest.fixture
def root(tmp_path) -> Root:
    return Root(tmp_path / "root")


def test_nothing_is_published_at_first(root):
    assert root.published is None
    assert list_generations(root.place, root.own) == []
    assert superseded(root.place, root.own, 1) == []


def test_publish(root):
    got = root.publish(T0, Packages__a="aaa", b="bbb")
    assert os.readlink(root.pub / "os") == got.name == f".os.{stamp_of(T0)}"
    assert root.published == got
    assert got.known
    assert (root.pub / "os/Packages/a").read_text() == "aaa"
    assert os.path.samefile(root.pub / "os/b", root.pool.path(sha256("bbb")))
    assert os.stat(root.pub / "os/repodata/repomd.xml").st_mtime == T0
    assert {entry.path for entry in got.entries()} == {"Packages/a", "b", "repodata/repomd.xml"}
    assert got.read("b") == b"bbb"
    assert got.read("absent") is None
    assert got.read("Packages") is None
    assert sorted(os.listdir(root.pub)) == [got.name, "os"]


@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
def test_modes_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        root = Root(tmp_path / "root")
        root.publish(T0, Packages__x__a="aaa")
    finally:
        os.umask(before)
    for folder, names, files in os.walk(root.layout.root):
        if ".mirrorpy" in folder:
            continue
        for name in names:
            path = f"{folder}/{name}"
            if not os.path.islink(path):
                assert stat.S_IMODE(os.stat(path).st_mode) == (0o700 if name == ".mirrorpy" else 0o755), path
        for name in files:
            path = f"{folder}/{name}"
            if not os.path.islink(path):
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o444, path
    assert stat.S_IMODE(os.stat(root.layout.root).st_mode) == 0o755


def test_switching_keeps_the_old_generation_whole(root):
    old = root.publish(T0, a="one", b="same")
    new = root.publish(T0 + 1, a="two", b="same")
    assert root.published == new
    assert Path(old.folder, "a").read_text() == "one"
    assert os.path.samefile(Path(old.folder, "b"), Path(new.folder, "b"))
    assert [found.stamp for found in list_generations(root.place, root.own)] == [new.stamp, old.stamp]
    switch_link(root.place, root.own, old.name)
    assert root.published == old


def test_a_stage_left_by_a_killed_run_is_begun_anew(root):
    Stage(root.layout, root.place, root.own).write("rest", b"x", T0)
    root.publish(T0, a="one")
    assert not os.path.exists(root.pub / "os/rest")
    os.symlink("/nowhere", root.own.staged)
    root.publish(T0 + 1, a="one")


def test_the_new_link_left_by_a_killed_run_is_replaced(root):
    os.symlink("rest", root.own.link)
    root.publish(T0, a="one")
    assert os.path.exists(root.pub / "os/a")


def test_a_link_to_nothing_is_nothing_published(root):
    got = root.publish(T0, a="one")
    os.rename(got.folder, f"{got.folder}.moved")
    assert root.published is None
    root.publish(T0 + 1, a="one")
    assert root.published is not None


@pytest.mark.parametrize("kind", ["folder", "file", "link", "absolute", "fifo", "upward"])
def test_foreign_things_at_the_path_are_refused_and_left(root, kind):
    root.pub.mkdir()
    thing = root.pub / "os"
    target = root.pub / f".os.{stamp_of(T0)}"
    if kind == "folder":
        thing.mkdir()
        (thing / "mine").write_text("mine")
    elif kind == "file":
        thing.write_text("mine")
    elif kind == "fifo":
        os.mkfifo(thing)
    else:
        thing.symlink_to({"link": "elsewhere", "absolute": target, "upward": f"../pub/{target.name}"}[kind])
    before = os.lstat(thing)
    with pytest.raises(LocalError) as raised:
        published_generation(root.place, root.own)
    assert raised.value.exit_status == 6
    assert "adopt" in raised.value.message or "move it away" in raised.value.message
    with pytest.raises(LocalError):
        root.publish(T0, a="one")
    assert os.lstat(thing).st_ino == before.st_ino
    assert os.path.islink(thing) == stat.S_ISLNK(before.st_mode)


def test_a_real_folder_says_adopt(root):
    (root.pub / "os").mkdir(parents=True)
    with pytest.raises(LocalError, match="mirrorpy adopt"):
        published_generation(root.place, root.own)


def test_names_that_are_no_generation_are_not_listed(root):
    got = root.publish(T0, a="one")
    for name in (".os", ".os.", ".os.old", ".osx.20200101T000000Z", f".os.{got.stamp}.bak", "x.os.20200101T000000Z"):
        (root.pub / name).mkdir()
    assert list_generations(root.place, root.own) == [got]


# Stamps


@pytest.mark.parametrize(
    ("taken", "now", "expected"),
    [
        ([], T0, T0),
        ([T0 - 5], T0, T0),
        ([T0], T0, T0 + 1),
        ([T0], T0 + 0.9, T0 + 1),
        ([T0 + 1000], T0, T0 + 1001),
        ([T0 - 5, T0 + 7, T0], T0, T0 + 8),
    ],
)
def test_stamps_rise_also_twice_in_a_second_and_after_a_clock_set_back(taken, now, expected):
    generations = [Generation(f".os.{stamp_of(time)}", stamp_of(time), "", "") for time in taken]
    for published, others in ((None, generations), (generations[-1] if generations else None, generations[:-1])):
        assert next_stamp(published, others, now) == (stamp_of(expected), expected)


@pytest.mark.parametrize("odd", ["20261399T999999Z", "99999999T999999Z", "00000000T000000Z"])
def test_a_folder_whose_stamp_is_no_time_does_not_set_the_clock_back(odd):
    """Somebody's own `.os.20261399T999999Z` must not make the next repomd.xml older than the published one."""
    published = Generation(f".os.{stamp_of(T0)}", stamp_of(T0), "", "")
    stamp, seconds = next_stamp(published, [Generation(f".os.{odd}", odd, "", ""), published], T0 + 10)
    assert seconds > T0
    assert stamp > stamp_of(T0)


# Dropping


def test_drop_removes_what_is_ours(root):
    old = root.publish(T0, Packages__a="one", b="same")
    root.publish(T0 + 1, a="two", b="same")
    freed = drop_generation(old)
    assert not os.path.exists(old.folder)
    assert not os.path.exists(old.manifest)
    assert (freed.files, freed.bytes) == (1, 3)
    assert (root.pub / "os/b").read_text() == "same"
    assert os.path.exists(root.pool.path(sha256("one")))


def test_drop_leaves_foreign_files_and_their_folders(root):
    old = root.publish(T0, Packages__a="one", x__y="two")
    folder = Path(old.folder)
    (folder / "Packages/notes").write_text("mine")
    (folder / "x/link").symlink_to("y")
    outside = root.pub / "outside"
    outside.mkdir()
    (outside / "keep").write_text("mine")
    (folder / "out").symlink_to(outside)
    root.publish(T0 + 1, a="two")
    drop_generation(old)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == [
        "Packages",
        "Packages/notes",
        "out",
        "x",
        "x/link",
    ]
    assert (outside / "keep").read_text() == "mine"


def test_drop_leaves_a_folder_or_link_in_a_files_place(root):
    old = root.publish(T0, a="one", b="two")
    folder = Path(old.folder)
    (folder / "a").unlink()
    (folder / "a").symlink_to(root.pub / "outside")
    (root.pub / "outside").write_text("mine")
    drop_generation(old)
    assert (folder / "a").is_symlink()
    assert (root.pub / "outside").read_text() == "mine"
    assert not (folder / "b").exists()


def test_drop_without_a_manifest(root):
    old = root.publish(T0, a="one")
    Path(old.folder, "notes").write_text("mine")
    os.unlink(old.manifest)
    drop_generation(old)
    assert os.listdir(old.folder) == ["notes"]


def test_a_damaged_manifest_costs_time_and_no_more(root):
    """Whole at both ends and damaged between: the folder is the truth."""
    old = root.publish(T0, a="one")
    lines = Path(old.manifest).read_bytes().splitlines(keepends=True)
    Path(old.manifest).write_bytes(lines[0] + b"\0" * 30 + b"\n" + b"".join(lines[2:]))
    assert {entry.path for entry in old.entries()} == {"a", "repodata/repomd.xml"}


def test_superseded(root):
    stamps = [root.publish(T0 + number, a=str(number)).stamp for number in range(4)]
    switch_link(root.place, root.own, f".os.{stamps[2]}")
    got = {keep: [found.stamp for found in superseded(root.place, root.own, keep)] for keep in (1, 2, 3, 4)}
    assert got[1] == [stamps[3], stamps[0], stamps[1]]
    assert got[2] == [stamps[3], stamps[0]]
    assert got[3] == got[4] == [stamps[3]]


# Damage


def test_damage(root):
    got = root.publish(T0, a="one", b="two")
    (a, b, _) = got.entries()
    assert got.damage(a) is None
    assert got.damage(a, root.pool.path(a.key)) is None
    assert got.damage(a, root.pool.path(b.key)) == "is another file than the pool's"
    assert got.damage(a, "/nowhere") == "is not in the pool"
    os.chmod(f"{got.folder}/a", 0o644)
    Path(got.folder, "a").write_text("longer")
    assert got.damage(a) == "has 6 bytes instead of 3"
    os.unlink(f"{got.folder}/b")
    assert got.damage(b) == "is gone"
    os.mkdir(f"{got.folder}/b")
    assert got.damage(b) == "is no regular file"


def test_carry(root):
    old = root.publish(T0, a="one", b="two")
    (a, b, _) = old.entries()
    for entry in (a, b):
        os.unlink(root.pool.path(entry.key))
    os.unlink(f"{old.folder}/b")
    stage = Stage(root.layout, root.place, root.own)
    assert stage.carry(a, root.pool, old)
    assert os.path.samefile(f"{root.own.staged}/a", f"{old.folder}/a")
    assert not stage.carry(b, root.pool, old)
    assert not stage.carry(b, root.pool, None)


@pytest.mark.parametrize(("trust", "carried"), [(True, True), (False, False)])
def test_carry_of_what_is_damaged(root, trust, carried):
    """Its size is right, and the pool has it no more: a repair took it away there."""
    old = root.publish(T0, a="one")
    entry = root.entry("a", "one")
    path = Path(old.folder, "a")
    path.chmod(0o644)
    path.write_text("0ne")
    os.unlink(root.pool.path(sha256("one")))
    pool = Pool(root.layout, trust=trust)
    assert Stage(root.layout, root.place, root.own).carry(entry, pool, old) is carried


def test_carry_from_the_pool(root):
    entry = root.entry("a", "one")
    stage = Stage(root.layout, root.place, root.own)
    assert stage.carry(entry, root.pool, None)
    assert Path(root.own.staged, "a").read_text() == "one"


def test_a_file_that_the_pool_lost_is_told(root):
    entry = root.entry("a", "one")
    os.unlink(root.pool.path(entry.key))
    with pytest.raises(LeftPool, match="a: left the pool"):
        Stage(root.layout, root.place, root.own).link(entry, root.pool)
