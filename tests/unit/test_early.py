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
from mirrorpy.store.layout import stamp_of
from mirrorpy.store.linker import Linker, serve
from mirrorpy.store.lock import lock_repository
from mirrorpy.store.pool import sweep_marker
from mirrorpy.store.stage import Stage

from .documents import sha256
from .test_generation import INDEX, T0, Root

PATHS = {"Packages/a": "aaa", "Packages/deep/b": "b", "c": "cc"}


class Early(Root):
    """A root in which a stage is begun early."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lock = os.open(self.own.lock, os.O_RDWR | os.O_CREAT)
        self.begun = self.begin()

    def begin(self) -> EarlyStage:
        begun = begin_early(self.layout, self.place, self.own, self.pool, self.lock, early.WORTH)
        assert begun is not None
        return begun

    def promise(self, path: str, content: str, *, here: bool = True) -> RemoteFile:
        entry = self.entry(path, content) if here else Entry(path, len(content), Kind.PACKAGE, sha256(content), None)
        assert entry.promised is not None
        return RemoteFile(path, entry.promised, entry.size, Kind.PACKAGE)

    def tell(self, *files: RemoteFile) -> None:
        assert list(self.begun.along(files)) == [*files]

    def stage(self) -> Stage:
        stage = self.begun.stage()
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
    found.begun.end()
    os.close(found.lock)


def _linked(root: Early) -> set[str]:
    top = Path(root.own.staged)
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}


def test_what_the_pool_has_is_linked(root):
    root.tell(*(root.promise(path, content) for path, content in PATHS.items()), root.promise("d", "d", here=False))
    stage = root.stage()
    assert _linked(root) == {*PATHS}
    linked = {path: os.lstat(f"{root.own.staged}/{path}").st_ctime_ns for path in PATHS}
    files = {path.replace("/", "__"): content for path, content in PATHS.items()}
    folders = {"Packages": "", "Packages/deep": ""}
    assert root.build(stage, **files, d="d") == {**PATHS, **folders, "d": "d"}
    folder = f"{root.pub}/os"
    assert {path: os.lstat(f"{folder}/{path}").st_ctime_ns for path in PATHS} == linked, "linked once more"


def test_many_batches(root):
    files = {f"Packages/p{number}": f"content {number}" for number in range(3 * early.BATCH + 7)}
    root.tell(*(root.promise(path, content) for path, content in files.items()))
    stage = root.stage()
    assert _linked(root) == {*files}
    built = root.build(stage, **{path.replace("/", "__"): content for path, content in files.items()})
    assert built == {**files, "Packages": ""}


def test_what_is_not_wanted_after_all_goes_with_its_folder(root):
    root.tell(root.promise("Packages/deep/a", "a"), root.promise("b", "b"), root.promise("Other/c", "c", here=False))
    assert root.build(root.stage(), b="b") == {"b": "b"}


def test_a_folder_that_the_process_made_in_vain_is_used(root):
    root.tell(root.promise("Packages/a", "a", here=False))
    assert root.build(root.stage(), Packages__a="a") == {"Packages": "", "Packages/a": "a"}


def test_an_object_of_another_size_is_not_linked(root):
    promised = root.promise("a", "whole")
    root.tell(RemoteFile("a", promised.checksum, 4, Kind.PACKAGE))
    stage = root.stage()
    assert _linked(root) == set()
    assert root.build(stage, a="whole") == {"a": "whole"}


def test_an_object_that_was_replaced_meanwhile(root):
    root.tell(root.promise("a", "a"), root.promise("b", "b"))
    key = sha256("a")
    root.begun._tell()
    while _linked(root) != {"a", "b"}:
        pass
    new = Path(root.own.incoming, "new")
    new.write_text("a")
    root.pool.discard_damaged(key)
    os.unlink(root.pool.path(key))
    root.pool.install(str(new), key)
    assert root.build(root.stage(), a="a", b="b") == {"a": "a", "b": "b"}


def test_what_came_in_this_run_uses_up_its_name_in_incoming(root):
    root.tell(root.promise("a", "a"))
    key = sha256("a")
    spare = Path(root.own.incoming, "spare")
    os.link(root.pool.path(key), spare)
    root.pool.admit(str(spare), key)
    assert root.build(root.stage(), a="a") == {"a": "a"}
    assert not spare.exists()


def test_another_content_of_the_same_path(root):
    root.tell(root.promise("a", "old"))
    assert root.build(root.stage(), a="new") == {"a": "new"}


def test_one_path_twice(root):
    promised = root.promise("a", "a")
    root.tell(promised, promised)
    assert root.build(root.stage(), a="a") == {"a": "a"}


def test_without_a_size_and_by_a_weak_checksum_that_is_not_known(root):
    unsized = RemoteFile("a", sha256("a"), None, Kind.PACKAGE)
    weak = RemoteFile("b", Checksum("sha1", "0" * 40), 1, Kind.PACKAGE)
    root.entry("a", "a")
    root.tell(unsized, weak)
    stage = root.stage()
    assert _linked(root) == set()
    assert root.build(stage, a="a") == {"a": "a"}


def test_a_retired_file_that_is_linked_already(root):
    root.tell(root.promise("a", "a"))
    stage = root.stage()
    assert stage.carry(root.entry("a", "a"), root.pool, None)
    assert root.build(stage, b="b") == {"a": "a", "b": "b"}


def test_a_link_that_somebody_planted_is_not_followed(root, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.symlink(elsewhere, f"{root.own.staged}/Packages")
    root.tell(root.promise("Packages/a", "a"), root.promise("b", "b"))
    stage = root.stage()
    assert _linked(root) == {"b"}
    assert list(elsewhere.iterdir()) == []
    with pytest.raises(Exception, match=r"Packages: .*exists"):
        stage.link(root.entry("Packages/a", "a"), root.pool)


def test_a_process_that_is_gone(root):
    root.tell(root.promise("a", "a"))
    os.kill(root.begun._process.child.pid, signal.SIGKILL)
    root.begun._process.child.wait()
    root.tell(root.promise("b", "b"))
    assert root.begun.stage() is None


def test_an_answer_of_somebody_else(root, monkeypatch):
    root.tell(root.promise("a", "a"))
    assert root.begun._process.child.stdout is not None
    monkeypatch.setattr(root.begun._process.child, "stdout", io.BytesIO(b"a word of a library's"))
    assert root.begun.stage() is None


@pytest.mark.parametrize("published", [False, True])
def test_an_end_without_a_stage_clears_it(root, published):
    if published:
        root.begun.end()
        root.publish(T0, a="a")
        root.begun = root.begin()
    root.tell(root.promise("a", "a"))
    while _linked(root) != {"a"}:
        root.begun._tell() if root.begun._batch else None
    root.begun.end()
    assert root.begun._process.child.poll() is not None
    assert not os.path.lexists(root.own.staged)
    assert os.path.exists(sweep_marker(root.layout)) is not published, "it was the last link but the pool's"


def test_an_end_after_the_stage_leaves_it(root):
    root.tell(root.promise("a", "a"))
    stage = root.stage()
    root.begun.end()
    assert root.build(stage, a="a") == {"a": "a"}


def test_the_process_ends_with_whoever_started_it(root):
    """What it holds of the lock is free then, and nobody linked anything since."""
    assert root.begun._process.child.stdin is not None
    root.begun._process.child.stdin.close()
    assert root.begun._process.child.wait(timeout=30) == 0
    root.begun._process.child.stdin = open(os.devnull, "wb")  # noqa: SIM115
    with lock_repository(root.own.lock):
        pass


def test_few_files_are_not_worth_a_process(root):
    few = begin_early(root.layout, root.place, root.own, root.pool, root.lock, early.WORTH - 1)
    assert few is None
    assert os.path.isdir(root.own.staged), "what is there is nobody's business then"


def test_no_process_to_be_had(root, monkeypatch):
    root.begun.end()
    for program in ("/nowhere/python", "", None):
        monkeypatch.setattr(sys, "executable", program)
        assert begin_early(root.layout, root.place, root.own, root.pool, root.lock, early.WORTH) is None
        assert not os.path.lexists(root.own.staged)


@pytest.mark.parametrize("said", [b"", b"x", marshal.dumps([("a", "b")]), marshal.dumps(7)])
def test_nothing_is_answered_to_what_is_not_understood(said):
    out = io.BytesIO()
    serve(io.BytesIO(said), out)
    assert out.getvalue() == b""


def test_a_name_that_no_filesystem_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "object").write_text("x")
    linker = Linker()
    assert linker.link((b"object", b"n" * 300 + b"/x", 1)) == 0
    assert linker.link((b"object", b"n" * 300, 1)) == 0
    assert linker.link((b"object", b"here/x", 1)) == (tmp_path / "object").stat().st_ino
    assert linker.folders == [b"", b"here"]
    assert linker.sound


@pytest.mark.parametrize("refused", ["lstat", "unlink", "chmod"])
def test_nothing_is_answered_where_something_may_be_there_that_is_not_told(tmp_path, monkeypatch, refused):
    def refuse(*args, **options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "object").write_text("x")
    said, out = marshal.dumps([(b"object", b"here/x", 2)]) + marshal.dumps([]), io.BytesIO()
    monkeypatch.setattr(os, refused, refuse)
    serve(io.BytesIO(said), out)
    assert out.getvalue() == b""


@pytest.mark.parametrize("more", [0, 400])
def test_a_pool_that_has_much_more(root, more):
    """Others' files are not all looked at."""
    for number in range(more):
        root.entry("", f"{number}")
    files = {f"p{number}": f"content {number}" for number in range(30)}
    root.tell(*(root.promise(path, content) for path, content in files.items()))
    assert root.build(root.stage(), **files) == files


def test_names_are_the_same_in_every_locale(root, monkeypatch):
    """The process has an encoding of its own, and is told of bytes."""
    root.begun.end()
    monkeypatch.setenv("LC_ALL", "de_DE.ISO-8859-1")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    root.begun = root.begin()
    files = {"b\u00fccher": "a"}
    root.tell(*(root.promise(path, content) for path, content in files.items()))
    assert root.build(root.stage(), **files) == files
