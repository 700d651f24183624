"""Files that come through processes: the same outcome as through threads, and nothing that outlives the sync."""

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorpy.cli import main
from mirrorpy.sync import crew
from tests.faultserver import FaultServer
from tests.integration.listing import faults, listing_of
from tests.integration.upstream import Upstream, build_rpm, primary_xml

COUNT = 24
RUN = "import sys; from mirrorpy import cli; from mirrorpy.sync import crew; crew.WORTH = 1; sys.exit(cli.main())"


class Sent:
    """An upstream behind a server of faults, and one installation that sends processes for everything."""

    def __init__(self, folder: Path, server: FaultServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.file, self.server, self._capsys = folder / "root", folder / "mirrorpy.yaml", server, capsys
        self.upstream = Upstream(folder / "upstreams/base")
        self.hrefs = [f"Packages/p{number}.rpm" for number in range(COUNT)]
        bodies = {href: build_rpm(f"p{number}", size=3_000 * number) for number, href in enumerate(self.hrefs)}
        for href, body in bodies.items():
            self.upstream.put(href, body)
        self.upstream.compose(bodies)
        self.configure()

    def configure(self, **settings: Any) -> None:
        """Write the configuration."""
        repo = {"id": "base", "baseurl": f"{self.server.url}base/", **settings}
        document = {"root": str(self.root), "retries": 2, "timeout": 2, "repos": [repo]}
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def sync(self) -> tuple[int, dict[str, Any], str]:
        """Return the exit status, the repository's report and what was said."""
        self._capsys.readouterr()
        status = main(["--config", str(self.file), "sync", "--json"])
        said = self._capsys.readouterr()
        report: dict[str, Any] = json.loads(said.out)["repos"][0]
        return status, report, said.err

    def is_whole(self) -> bool:
        """Whether all is published as upstream has it."""
        published = self.root / "base"
        return faults(published) == [] and {promise.href for promise in listing_of(published).packages} == set(
            self.hrefs
        )


@pytest.fixture
def sent(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    as_it_was: None,
    no_waiting_for_disks: None,
) -> Iterator[Sent]:
    monkeypatch.setattr(crew, "WORTH", COUNT)
    (tmp_path / "upstreams").mkdir()
    with FaultServer(tmp_path / "upstreams") as server:
        yield Sent(tmp_path, server, capsys)


def test_all_come(sent: Sent, started: list[subprocess.Popen[bytes]]) -> None:
    status, report, said = sent.sync()
    assert (status, said) == (0, "")
    assert sent.is_whole()
    assert len(started) == min(crew.MOST, len(os.sched_getaffinity(0)))
    assert all(process.poll() is not None for process in started)
    assert report["requests"] == len(sent.server.requests)
    assert report["downloaded"]["files"] > COUNT
    assert report["downloaded"]["bytes"] == sum(len(path.read_bytes()) for path in _files(sent) if _promised(path))


def _files(sent: Sent) -> list[Path]:
    return [path for path in (sent.root / "base").resolve().rglob("*") if path.is_file()]


def _promised(path: Path) -> bool:
    return not path.name.startswith("repomd.xml")


def test_md5(sent: Sent) -> None:
    bodies = {href: (sent.upstream.folder / href).read_bytes() for href in sent.hrefs}
    primary = primary_xml(bodies).decode().replace('type="sha256"', 'type="md5"')
    for body in bodies.values():
        weak = hashlib.md5(body, usedforsecurity=False).hexdigest()
        primary = primary.replace(hashlib.sha256(body).hexdigest(), weak)
    sent.upstream.compose_records({"primary": primary.encode()})
    assert sent.sync()[0] == 0
    assert sent.is_whole()
    assert sent.sync()[1]["outcome"] == "unchanged"


def test_retries_are_counted(sent: Sent) -> None:
    """An answer to what was asked ahead is none; on a slow machine this server may seem far."""
    busy = ("status", {"code": 503})
    sent.server.sequence(f"base/{sent.hrefs[3]}", busy, busy, "honest")
    status, report, _ = sent.sync()
    assert status == 0
    assert 1 <= report["retries"] <= 2
    assert sent.is_whole()


def test_one_that_is_missing(sent: Sent) -> None:
    (sent.upstream.folder / sent.hrefs[5]).unlink()
    status, report, said = sent.sync()
    assert status == 3
    assert sent.hrefs[5] in said
    assert report["error"]["kind"] == "NotFound"
    assert report["downloaded"]["files"] >= COUNT - 1
    assert not (sent.root / "base").exists()


def test_one_that_is_another(sent: Sent) -> None:
    (sent.upstream.folder / sent.hrefs[5]).write_bytes(build_rpm("other"))
    status, _, said = sent.sync()
    assert status == 4
    assert sent.hrefs[5] in said


def test_secrets_go_with_them(sent: Sent) -> None:
    sent.configure(username="user", password="pässword", headers={"X-Token": "t"})
    assert sent.sync()[0] == 0
    assert all("authorization" in request.headers for request in sent.server.requests)
    assert all(request.headers["x-token"] == "t" for request in sent.server.requests)


def test_a_disk_that_does_not_take_it(sent: Sent) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))
    try:
        status, report, said = sent.sync()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 6, said
    assert report["error"]["kind"] == "LocalError"
    assert "File too large" in said
    assert sent.sync()[0] == 0
    assert sent.is_whole()


def test_a_process_that_is_killed(
    sent: Sent, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew.Crew, "_listen", _killed_first(crew.Crew._listen))
    status, _, said = sent.sync()
    assert status == 6
    assert "base: the processes that download ended unexpectedly; run again" in said
    monkeypatch.undo()
    assert sent.sync()[0] == 0
    assert sent.is_whole()


def _killed_first(listen: Any) -> Any:
    def listen_to_nobody(self: crew.Crew, process: Any) -> None:
        process.child.kill()
        listen(self, process)

    return listen_to_nobody


def test_nobody_to_be_had(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert sent.sync()[0] == 0
    assert sent.is_whole()


def test_one_of_them_is_killed(
    sent: Sent, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    give = crew.Crew._give

    def give_and_kill(self: crew.Crew, process: Any, jobs: Any) -> None:
        give(self, process, jobs)
        if process.child is started[0]:
            process.child.kill()

    monkeypatch.setattr(crew.Crew, "_give", give_and_kill)
    assert sent.sync()[0] == 0
    assert sent.is_whole()


def test_a_fault_of_theirs_is_told(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "from mirrorpy.sync.bring import Bringer; Bringer.do = lambda *_: 1 / 0; "
    monkeypatch.setattr(
        crew, "_RUN", crew._RUN.replace("from mirrorpy.sync.errand", broken + "from mirrorpy.sync.errand")
    )
    status, _, said = sent.sync()
    assert status == 70
    assert "unexpected ZeroDivisionError" in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_sync_is_ended(sent: Sent, number: signal.Signals) -> None:
    """They end with it, and until then nobody else gets the repository."""
    for href in sent.hrefs[3:]:
        sent.server.fault(f"base/{href}", "hang")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", RUN, "--config", str(sent.file), "sync"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True) as process:
        while not any(request.path.endswith(sent.hrefs[4]) for request in list(sent.server.requests)):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        said = process.communicate(timeout=10)[1].decode()
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number), said
    assert "Traceback" not in said
    deadline = time.monotonic() + 5
    while _alive(process.pid):
        assert time.monotonic() < deadline, "they outlive the sync"
        time.sleep(0.01)
    sent.server.clear()
    assert sent.sync()[0] == 0
    assert sent.is_whole()


def _alive(session: int) -> list[str]:
    """Processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(stat.parent.name)
    return found
