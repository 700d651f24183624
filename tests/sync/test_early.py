"""A stage that is begun early, in whole syncs: the same mirror, and nothing left where a sync fails."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirrorpy.cli import main
from mirrorpy.store import early
from tests.faultserver import FaultServer
from tests.integration.upstream import build_rpm

from .test_crew import COUNT, Sent


@pytest.fixture
def sent(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    as_it_was: None,
    no_waiting_for_disks: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Sent]:
    """What was mirrored before upstream changed a package, and renamed another."""
    monkeypatch.setattr(early, "WORTH", 1)
    (tmp_path / "upstreams").mkdir()
    with FaultServer(tmp_path / "upstreams") as server:
        found = Sent(tmp_path, server, capsys)
        assert found.sync()[0] == 0
        bodies = {href: (found.upstream.folder / href).read_bytes() for href in found.hrefs}
        bodies[found.hrefs[0]] = build_rpm("p0", size=77)
        bodies["moved/p1.rpm"] = bodies.pop(found.hrefs[1])
        found.hrefs = [*bodies]
        for href, body in bodies.items():
            found.upstream.put(href, body)
        found.upstream.compose(bodies)
        yield found


def _left(sent: Sent) -> list[str]:
    """What a run leaves that the next one has to clear away."""
    state = sent.root / ".mirrorpy"
    return [*os.listdir(state / "incoming/base"), *("staged" for _ in (state / "repos/base").glob("staged*"))]


def test_a_change(sent: Sent, started: list[subprocess.Popen[bytes]]) -> None:
    status, report, said = sent.sync()
    assert (status, said) == (0, "")
    assert sent.is_whole()
    assert len(started) == 1
    assert started[0].poll() is not None
    assert report["downloaded"]["files"] < COUNT
    assert report["reused"]["files"] == COUNT - 1
    assert _left(sent) == []
    assert not (sent.root / ".mirrorpy/sweep-owed").exists()
    assert sent.sync()[1]["outcome"] == "unchanged"
    assert len(started) == 1


def test_a_package_that_is_missing(sent: Sent, started: list[subprocess.Popen[bytes]]) -> None:
    before = os.readlink(sent.root / "base")
    (sent.upstream.folder / sent.hrefs[0]).unlink()
    status, _, said = sent.sync()
    assert (status, said.count("\n")) == (3, 1)
    assert sent.hrefs[0] in said
    assert os.readlink(sent.root / "base") == before
    assert "staged" not in _left(sent)
    assert all(process.poll() is not None for process in started)
    sent.upstream.put(sent.hrefs[0], build_rpm("p0", size=77))
    assert sent.sync()[0] == 0
    assert sent.is_whole()


def test_what_is_published_without(sent: Sent, started: list[subprocess.Popen[bytes]]) -> None:
    """Its old content was linked from the pool under this very name before it was known to be none."""
    (sent.upstream.folder / sent.hrefs[0]).unlink()
    sent.configure(allow_missing=True)
    status, report, _ = sent.sync()
    assert status == 0
    assert [warning for warning in report["warnings"] if sent.hrefs[0] in warning]
    assert not (sent.root / "base" / sent.hrefs[0]).exists()
    assert len(started) == 1


def test_upstream_changes_meanwhile(
    sent: Sent, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that was begun for a state that is gone is begun anew."""
    new = build_rpm("p0", size=99)
    old = sent.upstream.folder / sent.hrefs[0]

    start = subprocess.Popen

    def republish(*args: Any, **options: Any) -> Any:
        if not started:
            old.unlink()
            bodies = {href: (sent.upstream.folder / href).read_bytes() for href in sent.hrefs[1:]}
            bodies["moved/p0.rpm"] = new
            sent.upstream.put("moved/p0.rpm", new)
            sent.upstream.compose(bodies)
            sent.hrefs = [*bodies]
        return start(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", republish)
    assert sent.sync()[0] == 0
    assert sent.is_whole()
    assert len(started) == 2
    assert _left(sent) == []


def test_a_process_that_is_killed(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen

    def kill(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = start(*args, **options)
        process.kill()
        return process

    monkeypatch.setattr(subprocess, "Popen", kill)
    status, _, said = sent.sync()
    assert (status, said) == (0, "")
    assert sent.is_whole()
    assert _left(sent) == []


def test_where_the_manifest_is_lost(sent: Sent, started: list[subprocess.Popen[bytes]]) -> None:
    """What is ours is told by its links then: another one would make somebody's file ours."""
    sent.configure(grace="48h")
    (sent.root / "base/foreign.txt").write_text("not ours")
    for manifest in (sent.root / ".mirrorpy/repos/base").glob("*.files"):
        manifest.unlink()
    assert sent.sync()[0] == 0
    assert started == []
    assert not (sent.root / "base/foreign.txt").exists()


@pytest.mark.parametrize("option", ["--dry-run", "--checksum"])
def test_where_it_is_not_begun(sent: Sent, started: list[subprocess.Popen[bytes]], option: str) -> None:
    """A dry run writes nothing, and where nothing here is trusted, nothing is linked before it is hashed."""
    assert main(["--config", str(sent.file), "sync", option]) == 0
    assert started == []
