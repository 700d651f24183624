"""The command line: usage, statuses, quiet, messages of one line; results on stdout and messages on stderr."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mirrorpy import __version__
from mirrorpy.cli import main
from mirrorpy.cli.status import row
from mirrorpy.config.load import load_config
from mirrorpy.config.selection import select_repositories
from mirrorpy.errors import ConfigError
from mirrorpy.figures import age_text, files_text, size_text
from mirrorpy.mirror import RepoStatus
from mirrorpy.store.state import RepoState

from .documents import package, primary, record, repomd, sha256

pytestmark = pytest.mark.usefixtures("as_it_was")


class Site:
    """An upstream in a folder, and a configuration that mirrors it."""

    def __init__(self, folder: Path) -> None:
        self.upstream, self.root, self.file = folder / "up", folder / "root", folder / "m.yaml"
        self.publish("a.rpm")
        self.configure("good")

    def publish(self, *names: str, broken: bool = False) -> None:
        (self.upstream / "repodata").mkdir(parents=True, exist_ok=True)
        packages = [package(name, ("sha256", sha256(name).value), str(len(name)), name=name) for name in names]
        for name in names:
            (self.upstream / name).write_text("x" * len(name) if broken else name)
        data = primary(*packages)
        (self.upstream / "repodata/primary.xml").write_bytes(data)
        listed = record("primary", "repodata/primary.xml", ("sha256", sha256(data).value))
        (self.upstream / "repodata/repomd.xml").write_bytes(repomd(listed))

    def configure(self, *ids: str, **other: str) -> None:
        entries = [f"  - {{id: {name}, baseurl: 'file://{self.upstream}'}}" for name in ids]
        entries += [f"  - {{id: {name}, baseurl: '{url}'}}" for name, url in other.items()]
        self.file.write_text("\n".join([f"root: {self.root}", "retries: 0", "repos:", *entries, ""]))


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def run(site, capsys):
    """Run a command, and return its status and what it printed."""

    def run(*args: str) -> tuple[int, str, str]:
        status = main([args[0], "-c", str(site.file), *args[1:]])
        captured = capsys.readouterr()
        return (status, captured.out, captured.err)

    return run


# Usage


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--frobnicate"],
        ["frobnicate"],
        ["sync", "--frobnicate"],
        ["sync", "--config"],
        ["prune", "--forget"],
        ["sync", "--log-format", "xml"],
        ["sync", "--dry-run=yes"],
        ["status", "--dry-run"],
    ],
)
def test_usage_errors_are_2_on_stderr(args, capsys):
    with pytest.raises(SystemExit) as raised:
        main(args)
    captured = capsys.readouterr()
    assert raised.value.code == 2
    assert captured.out == ""
    assert "usage: mirrorpy" in captured.err


@pytest.mark.parametrize("args", [["--help"], ["sync", "--help"], ["status", "-h"], ["prune", "-h"]])
def test_help_tells_the_statuses(args, capsys):
    with pytest.raises(SystemExit) as raised:
        main(args)
    assert raised.value.code == 0
    assert "exit status" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"mirrorpy {__version__}\n"


@pytest.mark.parametrize("command", ["sync", "status", "prune"])
def test_a_wrong_configuration_is_2_in_one_line(site, run, command):
    site.file.write_text("root: /x\nrepos: 5\nkep: 1\n")
    status, out, err = run(command)
    assert (status, out) == (2, "")
    assert err.startswith(f"mirrorpy: {site.file}:")
    assert err.count("\n") == 1


def test_no_configuration_is_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if os.path.exists("/etc/mirrorpy.yaml"):
        pytest.skip("this machine has a /etc/mirrorpy.yaml")
    assert main(["status"]) == 2
    assert "--config" in capsys.readouterr().err


def test_an_absent_configuration_is_named(tmp_path, capsys):
    assert main(["-c", f"{tmp_path}/absent.yaml", "status"]) == 2
    assert f"{tmp_path}/absent.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["before", "after"])
def test_common_options_stand_before_or_after_the_command(site, place, capsys):
    options = ["-c", str(site.file), "-q"]
    assert main([*options, "sync"] if place == "before" else ["sync", *options]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_environment_names_the_configuration(site, monkeypatch, capsys):
    monkeypatch.setenv("MIRRORPY_CONFIG", str(site.file))
    assert main(["status"]) == 0
    assert "good" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["sync", "status"])
def test_a_repository_that_is_not_configured_is_2(run, command):
    status, out, err = run(command, "nobody*")
    assert (status, out) == (2, "")
    assert "nobody*" in err


def test_forgetting_what_is_not_known_is_2(run):
    status, _, err = run("prune", "--forget", "nobody")
    assert status == 2
    assert "nobody" in err


# Runs


def test_a_run_prints_a_short_summary_and_nothing_on_stderr(run):
    status, out, err = run("sync")
    assert (status, err) == (0, "")
    assert out.startswith("good: updated, 1 packages: downloaded 2 files")
    assert out.count("\n") == 1
    assert run("sync")[1] == "good: unchanged, 1 packages\n"


def test_a_quiet_run_that_went_well_prints_nothing(run):
    assert run("sync", "-q") == (0, "", "")
    assert run("sync", "--quiet") == (0, "", "")
    assert run("prune", "-q") == (0, "", "")


def test_dry_run_writes_nothing(site, run):
    status, out, _ = run("sync", "--dry-run")
    assert status == 0
    assert "good: planned" in out
    assert not site.root.exists()


def test_json_is_one_document(run):
    for outcome in ("updated", "unchanged"):
        status, out, err = run("sync", "--json")
        document = json.loads(out)
        assert (status, err, document["exit"], document["mirrorpy"]) == (0, "", 0, __version__)
        (repo,) = document["repos"]
        assert (repo["id"], repo["path"], repo["outcome"], repo["packages"]) == ("good", "good", outcome, 1)
    assert {"started", "seconds"} <= set(document)
    assert set(repo) >= {
        "upstream", "revision", "repomd_sha256", "generation", "bytes", "downloaded", "reused", "retired", "pruned",
        "requests", "retries", "warnings", "seconds", "error",
    }  # fmt: skip
    assert json.loads(run("status", "--json")[1])["repos"][0]["packages"] == 1
    assert json.loads(run("prune", "--json")[1])["exit"] == 0


def test_one_that_fails_does_not_stop_the_others_and_gives_the_status(site, run):
    site.configure("good", absent=f"file://{site.root}/nowhere", other=f"file://{site.upstream}")
    status, out, err = run("sync")
    assert status == 3
    assert [line.partition(":")[0] for line in out.splitlines()] == ["good", "other"]
    assert err.startswith("mirrorpy: absent: ")
    assert err.count("\n") == 1
    assert "nowhere" in err
    document = json.loads(run("sync", "--json")[1])
    assert [repo["outcome"] for repo in document["repos"]] == ["unchanged", "failed", "unchanged"]
    assert document["repos"][1]["error"]["exit"] == document["exit"] == 3


def test_quiet_tells_failures(site, run):
    site.publish("b.rpm", broken=True)
    status, out, err = run("sync", "-q")
    assert (status, out) == (4, "")
    assert "good" in err
    assert "b.rpm" in err
    assert err.count("\n") == 1


def test_messages_are_one_line_whatever_upstream_writes(site, run):
    evil = "evil\x9b31m\n\u2028name"
    (site.upstream / "repodata/repomd.xml").write_bytes(repomd(record(evil, "repodata/x", None)))
    status, out, err = run("sync")
    assert (status, out) == (4, "")
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()


def test_json_logs(site, run):
    site.configure(absent=f"file://{site.root}/nowhere")
    status, _, err = run("sync", "--log-format", "json")
    assert status == 3
    lines = [json.loads(line) for line in err.splitlines()]
    assert [line["level"] for line in lines] == ["error"]
    assert set(lines[0]) == {"time", "level", "message"}
    assert lines[0]["message"].startswith("absent: ")


def test_globs(site, run):
    site.configure("os-1", "os-2", "updates-1")
    status, out, _ = run("sync", "os-*")
    assert status == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == ["os-1", "os-2"]


def test_select_repositories(site):
    site.configure("b1", "a1", "a2")
    config = load_config(site.file, {})
    names = lambda *patterns: [repo.id for repo in select_repositories(config, patterns)]  # noqa: E731
    assert names() == ["b1", "a1", "a2"]
    assert names("a2", "b1") == ["b1", "a2"]
    assert names("a*", "a1") == ["a1", "a2"]
    assert names("[ab]1") == ["b1", "a1"]
    with pytest.raises(ConfigError, match="A1"):
        names("A1")


def test_status_is_a_table(run):
    run("sync")
    status, out, err = run("status")
    head, line = out.splitlines()
    assert (status, err) == (0, "")
    for title in (
        "REPOSITORY",
        "REVISION",
        "PACKAGES",
        "SIZE",
        "LAST SUCCESS",
        "AGE",
        "GENERATIONS",
        "WARNINGS",
        "LAST ERROR",
    ):
        assert title in head
    assert line.split()[:3] == ["good", "7", "1"]


def test_status_shows_nothing_that_moves_the_cursor():
    """Revision, warnings and errors come from upstream; XML allows line ends and C1 controls in them."""
    state = RepoState(revision="1\n2\x9b31m", warnings=["a\nb"], error="c\x85d")
    cells = row(RepoStatus(id="a", path="a", configured=True, state=state), 0.0)
    assert all(cell.isprintable() for cell in cells)


def test_a_reader_who_goes_away(site):
    """`mirrorpy status | head -0` is no traceback."""
    with subprocess.Popen(
        [sys.executable, "-m", "mirrorpy", "-c", str(site.file), "status"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert b"Traceback" not in err
    assert process.returncode in (0, 128 + signal.SIGPIPE)


def test_the_module_is_the_program():
    done = subprocess.run([sys.executable, "-m", "mirrorpy", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"mirrorpy {__version__}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_ended_by_a_signal(site, number):
    code = (
        "import os, sys, mirrorpy.cli as cli, mirrorpy.config.load as load\n"
        f"load.load_config = lambda *_: os.kill(os.getpid(), {int(number)})\n"
        f"sys.exit(cli.main(['-c', {str(site.file)!r}, 'sync']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + number
    assert number.name in done.stderr
    assert "Traceback" not in done.stderr


# Numbers as people read them


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (189_000_000, "189.0 MB"),
        (10**12, "1.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes(size, expected):
    assert size_text(size) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (86400, "24 h"), (172_800, "2 d")],
)
def test_ages(seconds, expected):
    assert age_text(seconds) == expected


@pytest.mark.parametrize(("count", "expected"), [(0, "0 files"), (1, "1 file"), (1234, "1,234 files")])
def test_counts(count, expected):
    assert files_text(count) == expected
