"""Faults 105, 109 and 110: a configuration that is wrong, and a run beside another."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.integration.listing import REPOMD
from tests.integration.programs import TOP

from .catalogue import fault
from .world import World

START_SECONDS = 60


def complains(world: World, text: str, *says: str) -> str:
    """Sync with another configuration: exit 2, one line with these words, nothing asked, nothing touched."""
    before, state = (world.served("base"), world.served("other")), world.served(".mirrorpy")
    world.file.write_text(text)
    began = time.process_time()
    run = world.run("sync")
    assert time.process_time() - began < 1
    assert (run.exit, run.stdout) == (2, ""), run.stderr
    (line,) = run.stderr.splitlines()
    assert line.isprintable()
    for words in (str(world.file), *says):
        assert words in line
    assert world.server.taken() == []
    assert ((world.served("base"), world.served("other")), world.served(".mirrorpy")) == (before, state)
    world.heal = world.configure
    return line


def with_line(world: World, line: str) -> str:
    """The configuration with one more line at its end."""
    return f"{world.file.read_text()}{line}\n"


def bomb(first: str, wrap: Callable[[str], str]) -> str:
    """A text of a kilobyte that is 10¹² values."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} {wrap(f'*a{n - 1}')}" for n in range(1, 13)]
    return "\n".join(lines)


BOMBS = {
    "lists": bomb("[x, x]", lambda alias: f"[{', '.join([alias] * 10)}]"),
    "mappings": bomb("{k: x}", lambda alias: f"{{{', '.join(f'k{n}: {alias}' for n in range(10))}}}"),
    "itself": "a: &a [*a]",
}


@fault(109, "YAML of a kilobyte whose aliases are 10¹² values", "2 within a second; file and line are named")
@pytest.mark.parametrize("kind", BOMBS)
def test_fault_109_alias_bomb(world: World, kind: str) -> None:
    first = world.file.read_text().count("\n") + 1
    line = complains(world, with_line(world, BOMBS[kind]), "too many values")
    place = re.search(rf"{world.file}:(\d+): a\d*", line)
    assert place
    assert first <= int(place[1]) <= first + BOMBS[kind].count("\n")


@fault(109, "an unknown key, at the top or in a repository", "2; file, line and the key's path are named")
@pytest.mark.parametrize("path", ["max_shirnk", "repos[1].max_shirnk"])
def test_fault_109_unknown_key(world: World, path: str) -> None:
    line = world.file.read_text().count("\n") + 1
    indent = "  " if path.startswith("repos") else ""
    complains(world, with_line(world, f"{indent}max_shirnk: 10%"), f"{world.file}:{line}: {path}: is no option")


WRONG_TYPES = {"keep": "two", "grace": "soon", "sslverify": "'no'", "max_shrink": "0.5", "headers": "[a]"}


@fault(109, "a value of the wrong type", "2; file, line and the key's path are named, and what is expected")
@pytest.mark.parametrize("key", WRONG_TYPES)
def test_fault_109_wrong_type(world: World, key: str) -> None:
    line = world.file.read_text().count("\n") + 1
    complains(world, with_line(world, f"{key}: {WRONG_TYPES[key]}"), f"{world.file}:{line}: {key}: expected")


@fault(105, "a check is on, and gpgkey names no file", "2; file, line and the key's path are named")
@pytest.mark.parametrize("check", ["repo_gpgcheck", "gpgcheck"])
def test_fault_105_no_keys(world: World, check: str) -> None:
    line = world.file.read_text().count("\n") + 1
    complains(world, with_line(world, f"  {check}: true"), f"{world.file}:{line}: repos[1].{check}: ", "gpgkey")


@fault(109, "one id twice", "2; file, line and the key's path of the second are named")
def test_fault_109_duplicate_id(world: World) -> None:
    text = world.file.read_text().replace("id: other", "id: base")
    (line,) = (number for number, said in enumerate(text.splitlines(), 1) if "id: base" in said and number > 5)
    complains(world, text, f"{world.file}:{line}: repos[1].id: 'base' is taken")


@contextmanager
def syncing_base(world: World) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process is in the middle of a sync of `base`: it waits for a record that never comes."""
    begun = threading.Event()
    world.server.when(f"base/{REPOMD}", begun.set)
    world.server.fault("base/repodata/*.gz", "hang")
    command = [sys.executable, "-m", "mirrorpy", "sync", "--config", str(world.file), "--quiet", "base"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(TOP)}) as holder:
        try:
            assert begun.wait(START_SECONDS), "it does not start"
            yield holder
        finally:
            holder.kill()


@fault(
    110, "another run holds the repository", "7 at once; nothing is asked for it, and the other repositories are done"
)
def test_fault_110_second_run(world: World) -> None:
    with syncing_base(world):
        lock = world.root / ".mirrorpy/repos/base/lock"
        world.server.taken()
        world.refused(7, str(lock), "held by another run")
        assert not [path for path in world.server.taken() if path == f"base/{REPOMD}"]


@fault(110, "the run that held the repository was killed", "0; the lock is free at once")
def test_fault_110_killed_holder(world: World) -> None:
    with syncing_base(world) as holder:
        run = world.run("sync", "--json", "base")
        assert json.loads(run.stdout)["exit"] == 7
        holder.kill()
        holder.wait()
        world.server.clear()
        world.accepted()
