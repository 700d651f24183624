"""A stage that is begun early: the same generation comes of it, whatever the process linked or did not."""

import errno
import io
import marshal
import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrorpy.plan import Entry
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store import early
from mirrorpy.store.early import EarlyStage, begin_early
from mirrorpy.store.generation import published_generation
from mirrorpy.store.layout import stamp_of
from mirrorpy.store.linker import Linker, serve
from mirrorpy.store.lock import lock_repository
from mirrorpy.store.pool import sweep_marker
from mirrorpy.store.stage import Stage

from .documents import sha256
from .test_generation import INDEX, T0, Root

PATHS = {"Packages/a": "aaa", "Packages/deep/b": "b", "c": "cc"}


class Early(Root):
    """A root in which a stage is begun early with what is published."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lock = os.open(self.own.lock, os.O_RDWR | os.O_CREAT)
        self.begun: EarlyStage | None = None

    def begin(self, count: int = early.WORTH) -> EarlyStage | None:
        published = published_generation(self.place, self.own)
        assert published is not None
        return begin_early(self.layout, self.place, self.own, self.pool, self.lock, published, count)

    def follows(self, **files: str) -> EarlyStage:
        """Publish these, and begin the next stage."""
        entries = [self.entry(name.replace("__", "/"), content) for name, content in files.items()]
        self.put(entries)
        self.begun = self.begin()
        assert self.begun is not None
        return self.begun

    def put(self, entries: list[Entry]) -> None:
        stage = Stage(self.layout, self.place, self.own)
        for entry in entries:
            stage.link(entry, self.pool)
        stage.write(INDEX.path, b"index", T0)
        stage.publish(stamp_of(T0 - 60), [*entries, INDEX])

    def stage(self, **promised: str) -> Stage:
        """Return the stage with what is there of these."""
        assert self.begun is not None
        stage = self.begun.stage(_promised(promised))
        assert stage is not None
        return stage

    def build(self, stage: Stage, **files: str) -> dict[str, str]:
        """Publish these, and return what is published then."""
        entries = [self.entry(name.replace("__", "/"), content) for name, content in files.items()]
        for entry in entries:
            stage.link(entry, self.pool)
        stage.write(INDEX.path, b"index", T0)
        top = Path(stage.publish(stamp_of(T0), [*entries, INDEX]).folder)
        found = {str(path.relative_to(top)): path for path in top.rglob("*")}
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o755 for path in found.values() if path.is_dir())
        for entry in entries:
            assert found[entry.path].samefile(self.pool.path(sha256(found[entry.path].read_text())))
        return {
            name: "" if path.is_dir() else path.read_text()
            for name, path in found.items()
            if not name.startswith("repodata")
        }


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Early]:
    found = Early(tmp_path / "root")
    yield found
    if found.begun is not None:
        found.begun.end()
    os.close(found.lock)


def _promised(files: dict[str, str]) -> dict[str, RemoteFile]:
    paths = {name.replace("__", "/"): content for name, content in files.items()}
    return {path: RemoteFile(path, sha256(text), len(text), Kind.PACKAGE) for path, text in paths.items()}


def _times(folder: str) -> dict[str, int]:
    """When each file was last linked or unlinked."""
    top = Path(folder)
    return {str(path.relative_to(top)): path.stat().st_ctime_ns for path in top.rglob("*") if path.is_file()}


def _linked(root: Early) -> set[str]:
    top = Path(root.own.staged)
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}


FILES = {path.replace("/", "__"): content for path, content in PATHS.items()}


def test_what_is_published_is_linked(root):
    root.follows(**FILES)
    stage = root.stage(**FILES, d="d")
    assert _linked(root) == {*PATHS}
    before = _times(root.own.staged)
    assert root.build(stage, **FILES, d="d") == {**PATHS, "Packages": "", "Packages/deep": "", "d": "d"}
    after = _times(f"{root.pub}/os")
    assert {path: after[path] for path in before} == before, "linked once more"


def test_what_is_not_promised_any_more_goes_with_its_folder(root):
    root.follows(**FILES)
    assert root.build(root.stage(c="cc"), c="cc") == {"c": "cc"}


def test_a_folder_where_a_file_was_and_the_other_way(root):
    root.follows(a="a", b__deep__x="x", b__y="y", c="c")
    stage = root.stage(a__x="x", b="b", c="c")
    assert root.build(stage, a__x="x", b="b", c="c") == {"a": "", "a/x": "x", "b": "b", "c": "c"}


def test_another_content_of_the_same_path(root):
    root.follows(a="old", b="b")
    assert root.build(root.stage(a="new", b="b"), a="new", b="b") == {"a": "new", "b": "b"}


def test_a_file_of_the_published_tree_that_is_not_the_pools(root):
    """Whoever changed it there: what is published next is what the pool has."""
    begun = root.follows(a="a", b="b")
    begun.end()
    for name in ("a", "b"):
        path = Path(root.pub, "os", name)
        path.unlink()
        path.symlink_to("/etc/passwd") if name == "a" else path.write_text("x")
    root.begun = root.begin()
    assert root.build(root.stage(a="a", b="b"), a="a", b="b") == {"a": "a", "b": "b"}


def test_folders_that_somebody_put_where_files_belong(root):
    begun = root.follows(a="a", b="b")
    begun.end()
    for path in ("a", INDEX.path):
        Path(root.pub, "os", path).unlink()
        Path(root.pub, "os", path).mkdir()
    root.begun = root.begin()
    assert root.build(root.stage(a="a", b="b"), a="a", b="b") == {"a": "a", "b": "b"}


def test_a_file_that_is_replaced_while_it_is_linked(tree, monkeypatch):
    """What is told of is what was linked."""
    link = os.link

    def replace(source, target, **options):
        os.unlink(source)
        Path(os.fsdecode(source)).write_text("evil")
        link(source, target, **options)

    monkeypatch.setattr(os, "link", replace)
    linker = Linker(os.fsencode(tree), [])
    linker.link()
    assert linker.linked == [(b"here/x", os.stat("here/x").st_ino)]
    assert Path("here/x").read_text() == "evil"


def test_an_object_that_was_replaced_meanwhile(root):
    root.follows(a="a", b="b")
    while _linked(root) != {"a", "b"}:
        pass
    new = Path(root.own.incoming, "new")
    new.write_text("a")
    os.unlink(root.pool.path(sha256("a")))
    root.pool.install(str(new), sha256("a"))
    assert root.build(root.stage(a="a", b="b"), a="a", b="b") == {"a": "a", "b": "b"}


def test_what_came_in_this_run_uses_up_its_name_in_incoming(root):
    root.follows(a="a")
    spare = Path(root.own.incoming, "spare")
    os.link(root.pool.path(sha256("a")), spare)
    root.pool.admit(str(spare), sha256("a"))
    assert root.build(root.stage(a="a"), a="a") == {"a": "a"}
    assert not spare.exists()


def test_a_weak_checksum_that_is_not_known(root):
    begun = root.follows(a="a")
    weak = RemoteFile("a", Checksum("sha1", "0" * 40), 1, Kind.PACKAGE)
    stage = begun.stage({"a": weak})
    assert root.build(stage, a="a") == {"a": "a"}


def test_a_retired_file_is_linked_by_who_looks_at_it(root):
    root.follows(a="a", b="b")
    stage = root.stage(b="b")
    assert stage.carry(root.entry("a", "a"), root.pool, None)
    assert root.build(stage, b="b") == {"a": "a", "b": "b"}


def test_a_link_that_somebody_planted_is_not_followed(root, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root.put([root.entry("Packages/a", "a"), root.entry("b", "b")])
    os.mkdir(root.own.staged)
    os.symlink(elsewhere, f"{root.own.staged}/Packages")
    said, out = io.BytesIO(b"?"), io.BytesIO()
    here = os.getcwd()
    os.chdir(root.own.staged)
    try:
        serve(os.fsencode(f"{root.pub}/os"), [], said, out)
    finally:
        os.chdir(here)
    linked, folders = marshal.loads(out.getvalue())
    assert sorted(path for path, _ in linked) == [b"b", b"repodata/repomd.xml"]
    assert folders == [b"repodata"]
    assert list(elsewhere.iterdir()) == []


def test_a_process_that_is_gone(root):
    begun = root.follows(a="a")
    os.kill(begun._process.child.pid, signal.SIGKILL)
    begun._process.child.wait()
    assert begun.stage(_promised({"a": "a"})) is None


@pytest.mark.parametrize("said", [b"a word of a library's", marshal.dumps(7), marshal.dumps((1, 2, 3))])
def test_an_answer_of_somebody_else(root, monkeypatch, said):
    begun = root.follows(a="a")
    monkeypatch.setattr(begun._process.child, "stdout", io.BytesIO(said))
    assert begun.stage(_promised({"a": "a"})) is None


@pytest.mark.parametrize("last", [False, True])
def test_an_end_without_a_stage_clears_it(root, last):
    begun = root.follows(a="a")
    while _linked(root) != {"a"}:
        pass
    if last:
        os.unlink(f"{root.pub}/os/a")
    begun.end()
    assert begun._process.child.poll() is not None
    assert not os.path.lexists(root.own.staged)
    assert os.path.exists(sweep_marker(root.layout)) is last, "it was the last link but the pool's"


def test_an_end_after_the_stage_leaves_it(root):
    begun = root.follows(a="a")
    stage = root.stage(a="a")
    begun.end()
    assert root.build(stage, a="a") == {"a": "a"}


def test_the_process_ends_with_whoever_started_it(root):
    """What it holds of the lock is free then."""
    begun = root.follows(a="a")
    assert begun._process.child.stdin is not None
    begun._process.child.stdin.close()
    assert begun._process.child.wait(timeout=30) == 0
    begun._process.child.stdin = open(os.devnull, "wb")  # noqa: SIM115
    with lock_repository(root.own.lock):
        pass


def test_few_files_are_not_worth_a_process(root):
    root.put([root.entry("a", "a")])
    os.mkdir(root.own.staged)
    assert root.begin(early.WORTH - 1) is None
    assert os.path.isdir(root.own.staged), "what is there is nobody's business then"


def test_no_process_to_be_had(root, monkeypatch):
    root.put([root.entry("a", "a")])
    for program in ("/nowhere/python", "", None):
        monkeypatch.setattr(sys, "executable", program)
        assert root.begin() is None
        assert not os.path.lexists(root.own.staged)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree, and beside it the folder into which it is to be linked."""
    (tmp_path / "tree/here").mkdir(parents=True)
    (tmp_path / "tree/here/x").write_text("x")
    (tmp_path / "stage").mkdir()
    monkeypatch.chdir(tmp_path / "stage")
    return tmp_path / "tree"


def test_what_cannot_be_linked_is_left_out(tree):
    (tree / "taken").write_text("y")
    Path("taken").write_text("z")
    (tree / "file-here").mkdir()
    (tree / "file-here/x").write_text("x")
    Path("file-here").write_text("z")
    linker = Linker(os.fsencode(tree), [])
    linker.link()
    assert linker.linked == [(b"here/x", (tree / "here/x").stat().st_ino)]
    assert linker.folders == [b"here"]
    assert linker.sound


def test_a_tree_that_is_gone(tree):
    linker = Linker(os.fsencode(tree / "gone"), [])
    linker.link()
    assert (linker.linked, linker.folders, linker.sound) == ([], [], True)


def test_nothing_is_answered_where_a_folder_is_not_as_it_should_be(tree, monkeypatch):
    def refuse(*args, **options):
        raise OSError(errno.EIO, "Input/output error")

    out = io.BytesIO()
    monkeypatch.setattr(os, "chmod", refuse)
    serve(os.fsencode(tree), [], io.BytesIO(b"?"), out)
    assert out.getvalue() == b""


def test_nothing_is_answered_to_nobody(tree):
    out = io.BytesIO()
    serve(os.fsencode(tree), [], io.BytesIO(b""), out)
    assert out.getvalue() == b""


@pytest.mark.parametrize("more", [0, 400])
def test_a_pool_that_has_much_more(root, more):
    """Others' files are not all looked at."""
    for number in range(more):
        root.entry("", f"{number}")
    files = {f"p{number}": f"content {number}" for number in range(30)}
    root.follows(**files)
    assert root.build(root.stage(**files), **files) == files


def test_names_are_the_same_in_every_locale(root, monkeypatch):
    """The process has an encoding of its own, and is told of bytes."""
    monkeypatch.setenv("LC_ALL", "de_DE.ISO-8859-1")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    files = {"b\u00fccher": "a"}
    root.follows(**files)
    stage = root.stage(**files)
    before = _times(root.own.staged)
    assert {*before} == {*files}
    assert root.build(stage, **files) == files
    assert _times(f"{root.pub}/os").items() >= before.items(), "linked once more"
