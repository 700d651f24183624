"""The documentation says what this version does: its examples load and run, its tables are the code's."""

import argparse
import dataclasses
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mirrorpy import errors
from mirrorpy.cli import _parser
from mirrorpy.cli.status import document
from mirrorpy.config.load import load_config
from mirrorpy.config.model import FileOptions, Options, RepoOptions
from mirrorpy.mirror import PruneReport, RepoStatus, RunReport
from mirrorpy.store.state import RepoState
from mirrorpy.sync.report import Downloaded, Failure, Moved, RepoReport
from mirrorpy.verify import Finding, Verdict

TOP = Path(__file__).resolve().parent.parent
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").rglob("*.md"))]
CONFIGURATION = TOP / "docs/reference/configuration.md"
TUTORIAL = TOP / "docs/tutorial/first-mirror.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRETS = ("VENDOR_PASSWORD", "VENDOR_TOKEN", "PROXY_USER", "PROXY_PASSWORD")


def blocks(page, language):
    return [body for found, body in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def configurations():
    return [
        pytest.param(block, id=f"{page.relative_to(TOP)}-{number}")
        for page in PAGES
        for number, block in enumerate(blocks(page, "yaml"), 1)
        if "repos:" in block
    ]


def rows(text):
    """Return the cells of each row of every table in a text, headings and rulers aside."""
    found = []
    for line in text.splitlines():
        if line.startswith("|---"):
            found.pop()
        elif line.startswith("|"):
            found.append([cell.strip(" `") for cell in line[1:-1].split("|")])
    return found


def section(page, heading):
    """Return what stands under a heading, up to the next one of its level or above."""
    level = heading.split(" ")[0]
    text = f"\n{page.read_text(encoding='utf-8')}"
    assert text.count(f"\n{heading}\n") == 1, f"{page.name} has no section {heading!r}, or several"
    rest = text.partition(f"\n{heading}\n")[2]
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def field_names(kind):
    return [field.name for field in dataclasses.fields(kind)]


# Configuration


@pytest.mark.parametrize("block", configurations())
def test_every_configuration_loads(block, tmp_path, monkeypatch):
    monkeypatch.setattr("mirrorpy.config.resolve.os.access", lambda *_: True)
    file = tmp_path / "mirrorpy.yaml"
    file.write_text(block, encoding="utf-8")
    assert load_config(file, dict.fromkeys(SECRETS, "secret")).repos


def test_there_are_configurations_to_load():
    assert len(configurations()) >= 10


def test_configuration_page_has_every_option_and_no_other():
    shared = set(Options.__struct_fields__)
    expected = {name: {"top", "repository"} for name in shared}
    expected |= {name: {"top"} for name in set(FileOptions.__struct_fields__) - shared}
    expected |= {name: {"repository"} for name in set(RepoOptions.__struct_fields__) - shared}
    documented = [row for row in rows(CONFIGURATION.read_text(encoding="utf-8")) if len(row) == 5]
    assert {row[0]: set(row[3].split(", ")) for row in documented} == expected
    assert len(documented) == len(expected), "an option stands twice"
    assert all(row[1] and row[2] and row[4] for row in documented)


def test_documented_defaults_are_the_defaults(tmp_path):
    file = tmp_path / "mirrorpy.yaml"
    minimal = "root: pub\nrepos:\n  - {id: one, baseurl: 'http://localhost/'}\n"
    file.write_text(minimal, encoding="utf-8")
    implicit = load_config(file, {})
    options = [row for row in rows(CONFIGURATION.read_text(encoding="utf-8")) if len(row) == 5]
    defaults = {row[0]: yaml.safe_load(row[2]) for row in options if row[2] != "required"}
    values = yaml.safe_load(minimal)
    for name, _, _, where, _ in options:
        if name in defaults and "top" in where:
            values[name] = defaults[name]
        elif name in defaults:
            values["repos"][0].setdefault(name, defaults[name])
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert load_config(file, {}) == implicit


# Commands


def helps(monkeypatch):
    """Return what --help prints, by the command's heading."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    found = {}

    def collect(heading, parser):
        found[heading] = parser.format_help()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, command in action.choices.items():
                    collect(f"{heading} {name}", command)

    collect("mirrorpy", _parser())
    return found


def words(text):
    """Return a help's words; Python 3.13 no longer repeats the metavariable, and breaks lines elsewhere."""
    return re.sub(r"(?<=-\w) ([A-Z]+|\{\S+\}), (?=--)", ", ", text).split()


def test_cli_page_has_the_help_of_every_command(monkeypatch):
    page = TOP / "docs/reference/cli.md"
    expected = helps(monkeypatch)
    headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(expected)
    for heading, text in expected.items():
        documented = re.search(r"```text\n(.*?)```", section(page, f"## {heading}"), re.DOTALL)
        assert documented, f"{heading} has no help"
        assert words(documented[1]) == words(text)
        if sys.version_info < (3, 13):
            assert documented[1] == text


def commands(script):
    """Yield the arguments of each mirrorpy in a shell script; what follows a pipe or redirection is not its own."""
    lexer = shlex.shlex(script.replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found = []
    for word in (*lexer, ";"):
        if set(word) <= set("();<>|&"):
            if found[:1] == ["mirrorpy"] and "…" not in found:
                yield found[1:]
            found = []
        else:
            found.append(word)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_commands_on_the_pages_are_mirrorpys(page):
    for script in blocks(page, "sh") + blocks(page, "console"):
        for arguments in commands(script.replace("$ mirrorpy", "mirrorpy")):
            if arguments != ["--version"]:
                _parser().parse_args(arguments)


def scripts(value):
    """Yield every script in a workflow of GitHub or GitLab."""
    if isinstance(value, list):
        for item in value:
            yield from scripts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("run", "script"):
                yield "\n".join([item] if isinstance(item, str) else item)
            else:
                yield from scripts(item)


@pytest.mark.parametrize("number", range(2), ids=["GitHub", "GitLab"])
def test_pipelines_run_commands_that_are_mirrorpys(number):
    pipelines = blocks(TOP / "docs/how-to/ci.md", "yaml")
    assert len(pipelines) == 2
    given = [found for script in scripts(yaml.safe_load(pipelines[number])) for found in commands(script)]
    parsed = [_parser().parse_args(arguments) for arguments in given]
    from_outside, on_the_mirror = parsed
    assert given[0][0] == given[1][0] == "verify"
    assert all("://" in target for target in from_outside.targets)
    assert from_outside.targets
    assert from_outside.fail_on
    assert (on_the_mirror.targets, on_the_mirror.format) == ([], "junit")
    assert on_the_mirror.since_last > on_the_mirror.budget > 0


def test_exit_status_page_has_every_kind_under_its_code():
    expected = {}
    pending = [errors.MirrorError]
    while pending:
        kind = pending.pop()
        expected.setdefault(str(kind.exit_status), set()).add(kind.__name__)
        pending += kind.__subclasses__()
    table = rows((TOP / "docs/reference/exit-status.md").read_text(encoding="utf-8"))
    documented = {row[0]: set(re.findall(r"\w+", row[1])) for row in table}
    assert documented == expected | {"0": set(), "1": set(), "128+n": set()}


def test_architecture_page_draws_the_tree_of_errors():
    tree = re.search(r"MirrorError .*\n(?:[├└│].*\n)+", f"{errors.__doc__}\n")
    assert tree
    assert tree[0] in (TOP / "docs/explanation/architecture.md").read_text(encoding="utf-8")


# JSON


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("### The run", field_names(RunReport)),
        ("### Each of `repos`", field_names(RepoReport)),
        ("### `downloaded`", field_names(Downloaded)),
        ("### `reused`, `retired`, `pruned`", field_names(Moved)),
        ("### `error`", field_names(Failure)),
        (
            "### Each repository of `status`",
            list(document(RepoStatus(id="one", path="one", configured=True, state=RepoState()), 0)),
        ),
        ("### The report of `prune`", field_names(PruneReport)),
        ("### The run of `verify`", field_names(RunReport)),
        ("### Each repository of `verify`", field_names(Verdict)),
        ("### Each of `findings` and `repaired`", field_names(Finding)),
    ],
)
def test_json_page_has_every_key_and_no_other(heading, keys):
    table = rows(section(TOP / "docs/reference/json.md", heading))
    assert sorted(row[0] for row in table) == sorted(keys)
    assert all(row[1] and row[2] for row in table)


# Links and targets


def anchors(page):
    """Return the fragments that a page's headings give, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_relative_links_resolve(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, fragment = target.partition("#")
        file = page.parent / path if path else page
        assert file.is_file(), f"{target} is not there"
        assert not fragment or fragment in anchors(file), f"{target} has no such heading"


def test_every_page_is_in_the_index():
    index = TOP / "docs/index.md"
    listed = {
        (index.parent / link).resolve() for link in re.findall(r"\]\(([^)]+)\)", index.read_text(encoding="utf-8"))
    }
    assert listed == set((TOP / "docs").rglob("*.md")) - {index}


def test_readme_names_targets_that_make_has():
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    commands = "".join(blocks(TOP / "README.md", "sh"))
    named = set(re.findall(r"^make ([a-z-]+)$", commands, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_readme_says_the_two_commands_in_its_first_screen():
    first_screen = (TOP / "README.md").read_text(encoding="utf-8").splitlines()[:45]
    assert {"make demo", "make test", "pip install ."} <= set(first_screen)


# The tutorial


def plain(text):
    """Return output without what differs from run to run: stamps, times, ages, and the width of columns."""
    text = re.sub(r"\d{8}T\d{6}Z", "STAMP", text)
    text = re.sub(r"\d+\.\d s\b", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "DATE", text)
    return re.sub(r" +", " ", re.sub(r"\d+ d\b", "AGE", text)).strip()


def steps(page):
    """Return each command of a page's console blocks, with the output that the page promises."""
    found = []
    for block in blocks(page, "console"):
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                found.append((line[2:].strip(), []))
            else:
                found[-1][1].append(line)
    return [(command, "".join(output)) for command, output in found]


def test_tutorial_prints_what_it_says(tmp_path):
    place = str(tmp_path / "first-mirror")
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "mirrorpy"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mirrorpy "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    configuration = blocks(TUTORIAL, "yaml")[0].replace("/tmp/first-mirror", place)
    promised = steps(TUTORIAL)
    ruler = "=== next command ==="
    script = []
    for command, _ in promised:
        script += [command.replace("/tmp/first-mirror", place), f"echo '{ruler}'"]
        if command.startswith("cd "):
            script.append(f"cat > mirrorpy.yaml <<'END'\n{configuration}END")
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(TOP),
        "LC_ALL": "C",
    }
    environment.pop("MIRRORPY_CONFIG", None)
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input="\n".join(script),
        env=environment,
        cwd=TOP,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    printed = done.stdout.split(f"{ruler}\n")
    assert len(promised) > 12
    for (command, output), got in zip(promised, printed, strict=False):
        assert plain(got) == plain(output), command
