"""`mirrorpy init`: a file that loads, never over another; what could not be taken is said, one line each."""

import json
import os
import platform
import stat
from pathlib import Path

import pytest

from mirrorpy.cli import main
from mirrorpy.config import variables
from mirrorpy.config.load import load_config
from mirrorpy.config.starter import starter

GOOD = "[a]\nname=A\nbaseurl=http://a.test/os/\n"
MOVING = "[a]\nbaseurl=http://a.test/$releasever/$basearch/\n"
ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.3"\n'
DEBIAN = 'ID=debian\nVERSION_ID="12"\n'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch, as_it_was):
    """Be in an empty folder, on a Debian machine."""
    mask = os.umask(0o022)
    (tmp_path / "work").mkdir()
    (tmp_path / "os-release").write_text(DEBIAN)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(variables, "OS_RELEASE", str(tmp_path / "os-release"))
    monkeypatch.setattr(variables, "FOLDERS", (str(tmp_path / "vars"),))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    yield
    os.umask(mask)


@pytest.fixture
def work(tmp_path):
    """The folder where it runs."""
    return tmp_path / "work"


@pytest.fixture
def run(capsys):
    """Run `init`: the status and both outputs."""

    def run(*args: str) -> tuple[int, str, str]:
        status = main(["init", *args])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def take(run, tmp_path):
    """Convert one file of this text: the status and the warnings."""

    def take(text: str, *args: str) -> tuple[int, list[str]]:
        (tmp_path / "f.repo").write_text(text)
        status, out, err = run("--from", f"{tmp_path}/f.repo", *args)
        assert out == ""
        lines = [line.replace(f"{tmp_path}/", "") for line in err.splitlines()]
        assert all(line.startswith("mirrorpy: ") and line.isprintable() for line in lines)
        return status, [line.removeprefix("mirrorpy: ") for line in lines]

    return take


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def ids(path, **environ: str) -> list[str]:
    return [repo.id for repo in load_config(path, environ).repos]


# The starter


def test_the_starter_loads(run, work):
    assert run() == (0, "", "mirrorpy: wrote mirrorpy.yaml\n")
    config = load_config(work / "mirrorpy.yaml", {})
    assert (str(config.root), [repo.id for repo in config.repos]) == (
        "/pub",
        ["example-9-BaseOS-x86_64", "example-9-AppStream-x86_64"],
    )


def test_quiet(run, work):
    assert run("-q") == (0, "", "")
    assert ids(work / "mirrorpy.yaml")


ROOTS = [
    "/srv/my mirror",
    "/a: b",
    "/#1",
    "~/pub",
    "pub",
    "/é",
    "/{a}",
    "/'a\"",
    "/a\\b",
    "/a # b",
    "/a\x85b",
    "/a\x9bb",
]


@pytest.mark.parametrize("root", ROOTS)
def test_root(run, work, root, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert run("--root", root)[0] == 0
    expected = {"~/pub": "/home/me/pub", "pub": f"{work}/pub"}.get(root, root)
    assert str(load_config(work / "mirrorpy.yaml", {}).root) == expected


def test_examples_load_too(tmp_path):
    """What stands there as a comment is good once its sign is taken away, but for files that are not here."""
    text = starter("/pub")
    lines = [
        line.replace("  # ", "  ", 1) if line.startswith(("  # -", "  #   ")) else line for line in text.splitlines()
    ]
    kept = [line for line in lines if "sslc" not in line]
    (tmp_path / "m.yaml").write_text("\n".join(kept))
    assert {"epel-9", "rhel-9-baseos", "vendor"} < set(ids(tmp_path / "m.yaml", VENDOR_PASSWORD="x"))


@pytest.mark.parametrize("option", ["max_age: 30d", "throttle: 10M", "proxy: http://proxy.example.org:3128"])
def test_options_in_comments_load(tmp_path, option):
    text = starter("/pub")
    assert f"\n# {option}\n" in text
    (tmp_path / "m.yaml").write_text(text.replace(f"# {option}", option))
    assert ids(tmp_path / "m.yaml")


# Where it is written


def test_it_is_printed(run, work):
    status, out, err = run("-c", "-")
    assert (status, err, list(work.iterdir())) == (0, "", [])
    assert out == starter("/pub")


def test_what_is_printed_after_a_conversion(run, tmp_path, work):
    (tmp_path / "f.repo").write_text(GOOD + "gpgcheck=1\n")
    status, out, err = run("-c", "-", "--from", f"{tmp_path}/f.repo")
    assert (status, err.count("\n"), list(work.iterdir())) == (0, 1, [])
    (work / "m.yaml").write_text(out)
    assert ids(work / "m.yaml") == ["a"]


@pytest.mark.parametrize("by", ["option", "environment", "both"])
def test_another_name(run, work, monkeypatch, by):
    if by != "option":
        monkeypatch.setenv("MIRRORPY_CONFIG", "env.yaml")
    name = "env.yaml" if by == "environment" else "option.yaml"
    assert run(*(() if by == "environment" else ("-c", name)))[0] == 0
    assert [path.name for path in work.iterdir()] == [name]


@pytest.mark.parametrize("text", ["x", "\n", "root: /old\n"])
@pytest.mark.parametrize("args", [[], ["-q"]])
def test_nothing_is_overwritten(run, work, text, args):
    (work / "mirrorpy.yaml").write_text(text)
    status, out, err = run(*args)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "mirrorpy.yaml" in err
    assert (work / "mirrorpy.yaml").read_text() == text


def test_nothing_is_overwritten_twice(run, work):
    assert run()[0] == 0
    before = (work / "mirrorpy.yaml").read_bytes()
    assert run("--root", "/other")[0] == 2
    assert (work / "mirrorpy.yaml").read_bytes() == before


def test_an_empty_file_is_taken(run, work):
    (work / "mirrorpy.yaml").touch()
    assert run()[0] == 0
    assert ids(work / "mirrorpy.yaml")


def test_a_link_to_a_file_is_that_file(run, work):
    (work / "real.yaml").write_text("x")
    (work / "mirrorpy.yaml").symlink_to("real.yaml")
    assert run()[0] == 2
    assert (work / "real.yaml").read_text() == "x"


@pytest.mark.parametrize("name", ["absent/m.yaml", "file/m.yaml", "x" * 300])
def test_a_place_that_cannot_be_written_is_6(run, work, name):
    (work / "file").touch()
    status, out, err = run("-c", name)
    assert (status, out, err.count("\n")) == (6, "", 1)
    assert name[:200] in err


def test_a_folder_is_no_file(run, work):
    (work / "mirrorpy.yaml").mkdir()
    status, _, err = run()
    assert (status in (2, 6), err.count("\n")) == (True, 1)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_the_mode_of_a_device_is_left_alone(run, monkeypatch, device):
    """As root, `-c /dev/null` must not take /dev/null from everybody else."""
    changed = []
    monkeypatch.setattr(Path, "chmod", lambda self, *args, **_: changed.append(self))
    monkeypatch.setattr(os, "chmod", lambda *args, **_: changed.append(args))
    monkeypatch.setattr(os, "fchmod", lambda *args: changed.append(args))
    run("-c", device)
    assert changed == []


# Modes

MODES = [
    # key → mode
    ("", 0o644),
    ("username=me", 0o644),
    ("password=word", 0o600),
    ("username=me\npassword=word", 0o600),
    ("password={quoted: #}", 0o600),
    ("proxy=http://p.test:3128", 0o644),
    ("proxy=_none_", 0o644),
    ("proxy=http://me:word@p.test:3128", 0o600),
    ("proxy=http://p.test:3128\nproxy_username=me\nproxy_password=word", 0o600),
    ("name=password: word", 0o644),
]


@pytest.mark.parametrize(("lines", "expected"), MODES)
def test_only_its_owner_reads_a_password(take, work, lines, expected):
    assert take(f"{GOOD}{lines}\n")[0] == 0
    assert mode(work / "mirrorpy.yaml") == expected


@pytest.mark.parametrize("source", ["baseurl", "mirrorlist", "metalink"])
def test_only_its_owner_reads_a_password_in_a_url(take, work, source):
    assert take(f"[a]\n{source}=https://me:word@a.test/\n")[0] == 0
    assert mode(work / "mirrorpy.yaml") == 0o600


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o002, 0o644), (0o077, 0o600), (0o027, 0o640)])
def test_without_a_password_the_umask_counts(run, work, mask, expected):
    os.umask(mask)
    assert run()[0] == 0
    assert mode(work / "mirrorpy.yaml") == expected


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_with_a_password_the_umask_does_not_count(take, work, mask):
    os.umask(mask)
    assert take(f"{GOOD}password=word\n")[0] == 0
    assert mode(work / "mirrorpy.yaml") == 0o600


@pytest.mark.parametrize(("before", "text", "after"), [(0o644, "password=word", 0o600), (0o600, "", 0o600)])
def test_an_empty_file_never_becomes_readable_for_more(take, work, before, text, after):
    (work / "mirrorpy.yaml").touch()
    (work / "mirrorpy.yaml").chmod(before)
    assert take(f"{GOOD}{text}\n")[0] == 0
    assert mode(work / "mirrorpy.yaml") == after


# Yum's files


def test_a_conversion_loads(take, work):
    assert take(GOOD) == (0, ["wrote mirrorpy.yaml"])
    assert ids(work / "mirrorpy.yaml") == ["a"]


def test_several_files(run, tmp_path, work):
    for name in "ab":
        (tmp_path / f"{name}.repo").write_text(GOOD.replace("[a]", f"[{name}]"))
    assert run("--from", f"{tmp_path}/a.repo", f"{tmp_path}/b.repo", "--root", "/srv/x")[0] == 0
    assert ids(work / "mirrorpy.yaml") == ["a", "b"]
    assert str(load_config(work / "mirrorpy.yaml", {}).root) == "/srv/x"


def test_warnings_are_one_line_each(take):
    text = f"{GOOD}gpgcheck=1\nexclude=x\n[b]\nbaseurl=ftp://b.test/\n  ftp://c.test/\n[c\x1b]\nenabled=0\n"
    status, lines = take(text)
    assert status == 0
    assert [line[:24] for line in lines[:4]] == [
        "warning: f.repo: [a]: gp",
        "warning: f.repo: [a]: ex",
        "warning: f.repo: [b]: no",
        "warning: f.repo: [c\\x1b]",
    ]
    assert lines[4:] == ["wrote mirrorpy.yaml"]


def test_warnings_as_json(run, tmp_path):
    (tmp_path / "f.repo").write_text(f"{GOOD}gpgcheck=1\n")
    status, _, err = run("--from", f"{tmp_path}/f.repo", "--log-format", "json", "-c", "-")
    assert status == 0
    assert [json.loads(line)["level"] for line in err.splitlines()] == ["warning"]


def test_no_warning_is_said_quietly(take, work):
    assert take(f"{GOOD}gpgcheck=1\n", "--quiet") == (0, [])
    assert ids(work / "mirrorpy.yaml") == ["a"]


def test_what_has_to_be_mended_is_said(take):
    status, lines = take(f"{GOOD}sslcacert=/not/here\n")
    assert (status, len(lines)) == (0, 2)
    assert lines[0] == "wrote mirrorpy.yaml"
    assert lines[1].startswith("warning: to be mended before the first sync: mirrorpy.yaml:")
    assert "/not/here" in lines[1]


@pytest.mark.parametrize(
    "text", ["", "[a]\nenabled=0\nbaseurl=http://a.test/\n", "[a]\nbaseurl=ftp://a.test/\n", "[main]\nx=y\n"]
)
@pytest.mark.parametrize("args", [[], ["-c", "-"], ["-q"]])
def test_nothing_could_be_taken(take, work, text, args):
    status, lines = take(text, *args)
    assert status == 2
    assert "nothing could be taken" in lines[-1]
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("text", ["hello\n", "\0" * 50, "<html>", "[a]\nx\n"])
def test_what_is_no_repo_file_is_2(take, work, text):
    status, lines = take(text)
    assert (status, len(lines), list(work.iterdir())) == (2, 1, [])
    assert lines[0].startswith("f.repo: ")


@pytest.mark.parametrize("name", ["absent.repo", "folder"])
def test_what_cannot_be_read_is_2(run, tmp_path, work, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "good.repo").write_text(GOOD)
    status, out, err = run("--from", f"{tmp_path}/good.repo", f"{tmp_path}/{name}")
    assert (status, out, err.count("\n"), list(work.iterdir())) == (2, "", 1, [])
    assert f"{tmp_path}/{name}" in err


def test_bytes_that_are_no_utf_8(run, tmp_path, work):
    (tmp_path / "f.repo").write_bytes(GOOD.replace("name=A", "name=K\udcf6ln").encode("utf-8", "surrogateescape"))
    assert run("--from", f"{tmp_path}/f.repo")[0] == 0
    assert ids(work / "mirrorpy.yaml") == ["a"]


# Variables


def test_given_variables(take, work):
    status, lines = take(MOVING, "--var", "releasever=8,9", "--var", "basearch=aarch64")
    assert (status, lines) == (0, ["wrote mirrorpy.yaml"])
    assert ids(work / "mirrorpy.yaml") == ["a-8-aarch64", "a-9-aarch64"]


@pytest.mark.parametrize("option", ["releasever", "releasever=8,,9", "=9", "a b=c"])
def test_a_variable_that_is_none(take, work, option):
    status, lines = take(MOVING, "--var", option)
    assert (status, len(lines), list(work.iterdir())) == (2, 1, [])
    assert "--var" in lines[0]


GUESSES = [
    # os-release, arguments → is the release a guess
    (DEBIAN, [], True),
    (DEBIAN, ["--var", "basearch=x86_64"], True),
    (DEBIAN, ["--var", "releasever=9"], False),
    (DEBIAN, ["--var", "releasever=8"], False),
    (ROCKY, [], False),
    (ROCKY, ["--var", "basearch=x86_64"], False),
    (ROCKY.replace("9.3", "8.9"), [], False),
]


@pytest.mark.parametrize(("os_release", "args", "guessed"), GUESSES)
def test_a_guess_is_said(take, tmp_path, os_release, args, guessed):
    (tmp_path / "os-release").write_text(os_release)
    status, lines = take(MOVING, *args)
    assert status == 0
    assert ["$releasever is not known here" in line for line in lines] == ([True, False] if guessed else [False])


def test_a_guess_that_is_not_used_is_not_said(take):
    assert take(GOOD) == (0, ["wrote mirrorpy.yaml"])


def test_this_machines_variables(take, tmp_path, work):
    (tmp_path / "os-release").write_text(ROCKY.replace("9.3", "8.9"))
    (tmp_path / "vars").mkdir()
    (tmp_path / "vars/contentdir").write_text("pub/rocky\n")
    status, lines = take("[a]\nbaseurl=http://a.test/$contentdir/$releasever/$basearch/\n")
    assert (status, lines) == (0, ["wrote mirrorpy.yaml"])
    assert load_config(work / "mirrorpy.yaml", {}).repos[0].baseurls == ("http://a.test/pub/rocky/8/x86_64/",)


def test_the_command_line_goes_before_this_machine(take, tmp_path, work):
    (tmp_path / "os-release").write_text(ROCKY)
    assert take(MOVING, "--var", "releasever=7")[0] == 0
    assert ids(work / "mirrorpy.yaml") == ["a-7-x86_64"]


def test_an_unknown_variable(take):
    status, lines = take(f"{GOOD}[b]\nbaseurl=http://b.test/$infra/\n")
    assert status == 0
    assert lines[0].startswith("warning: f.repo: [b]: not taken: ")
    assert "$infra" in lines[0]


# Usage


@pytest.mark.parametrize("args", [["--from"], ["x"], ["--var"], ["--frobnicate"]])
def test_usage(args, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["init", *args])
    assert raised.value.code == 2
    assert "usage: mirrorpy" in capsys.readouterr().err
