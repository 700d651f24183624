"""The fuzzer itself: it finds what there is to be found, and keeps it."""

import re
import sys
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings

from mirrorpy.errors import RepodataError

from .__main__ import main, watch
from .bounds import MIB, TooMuch
from .judge import Judge
from .mutations import BYTES, mutated
from .mutations_xml import XML
from .seeds import PRIMARIES
from .target import Target
from .targets import TARGETS
from .test_targets import SHORT

TOP = Path(__file__).parents[2]


def judge(call, **bounds) -> Judge:
    return Judge(Target(name="x", call=call, of=(), raises=(RepodataError,), seeds=[b"x"], **bounds))


def raising(error: Exception):
    def call(_data: bytes) -> None:
        raise error

    return call


def test_a_documented_exception_passes_and_is_counted():
    seen = judge(raising(RepodataError("is 'no' XML at line 7")))
    seen.judge(b"")
    assert (seen.count, seen.kinds, seen.causes) == (1, {"RepodataError": 1}, {"RepodataError: is … XML at line …"})


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), AssertionError(), RecursionError(), MemoryError()])
def test_any_other_is_found(error):
    with pytest.raises(type(error)):
        judge(raising(error)).judge(b"")


def test_a_warning_is_found():
    with pytest.raises(UserWarning):
        judge(lambda data: warnings.warn("x", stacklevel=1)).judge(b"")


@pytest.mark.parametrize("message", ["", "two\nlines", "\x1b[31m"])
def test_a_message_that_is_no_line_is_found(message):
    class Spoken(RepodataError):
        message = ""

    Spoken.message = message
    with pytest.raises(AssertionError):
        judge(raising(Spoken("x"))).judge(b"")


def test_what_takes_too_long_is_found():
    def busy(_data: bytes) -> None:
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    judge(busy, seconds=1.0).judge(b"")
    with pytest.raises(TooMuch):
        judge(busy, seconds=0.01).judge(b"")


def test_what_takes_too_much_memory_is_found():
    """Even where it is given back, and the process had more before."""
    assert len(b"x" * 200 * MIB) == 200 * MIB
    seen = judge(lambda data: b"x" * 48 * MIB, memory=64)
    seen.judge(b"")
    assert 40 * MIB < seen.largest.memory < 64 * MIB
    with pytest.raises(TooMuch):
        judge(lambda data: b"x" * 48 * MIB, memory=32).judge(b"")


WANTED = {
    BYTES: [lambda data: len(data) > 50_000, lambda data: data == b"", lambda data: b"\xff" in data],
    XML: [
        lambda data: b"<!ENTITY" in data,
        lambda data: data.startswith(b"\xff\xfe"),
        lambda data: b"<x><x><x>" in data or b"<url><url><url>" in data or b"<delta><delta><delta>" in data,
        lambda data: b"/etc/passwd" in data,
        lambda data: b"-1" in data,
    ],
}


@pytest.mark.parametrize("family", WANTED, ids=["bytes", "xml"])
def test_mutations_reach_what_they_are_for(family):
    seen = []

    @settings(SHORT, max_examples=600)
    @given(mutated(PRIMARIES[:1], family, None))
    def one(data):
        seen.append(bytes(data))

    one()
    assert [any(map(reached, seen)) for reached in WANTED[family]] == [True] * len(WANTED[family])
    assert len(set(seen)) > 300


BROKEN = """
import dataclasses, os, sys
sys.path.insert(0, {top!r})
from tests.fuzz import __main__ as long, targets

def call(data):
    if data:
        {fault}

targets.TARGETS[0] = dataclasses.replace(targets.TARGETS[0], call=call)
raise SystemExit(long.main())
"""


@pytest.fixture
def long(tmp_path, monkeypatch, capfd):
    """A long run of the first target, for a moment, with another call: its status, what it said, what it kept."""

    def run(fault: str) -> tuple[int, str, bytes | None]:
        script = tmp_path / "broken.py"
        script.write_text(BROKEN.format(top=str(TOP), fault=fault))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MIRRORPY_FUZZ_SECONDS", "0.1")
        status = watch(TARGETS[0], 60, [sys.executable, str(script)])
        kept = list(tmp_path.glob(".hypothesis/fuzz/*"))
        return status, capfd.readouterr().out, kept[0].read_bytes() if kept else None

    return run


def test_a_long_run_that_finds_nothing(long):
    status, said, kept = long("pass")
    assert (status, kept) == (0, None)
    assert re.match(r"repomd +\d+ examples, +\d+/s: taken \d+, 0 causes; slowest \d+ ms; ", said)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise LookupError('no')", "LookupError: no"),
        ("os.kill(os.getpid(), 11)", "FAILED (-11)"),
        ("bytearray(3 * 2**30)", "MemoryError"),
    ],
    ids=["an exception", "a crash of a library", "memory without end"],
)
def test_a_long_run_keeps_what_it_finds(long, fault, said):
    status, text, kept = long(fault)
    assert status == 1
    assert said in text
    assert "FAILED" in text
    assert kept


def test_a_long_run_of_no_target_that_there_is(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz", "nonsense"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "nonsense" in capsys.readouterr().err


def test_what_was_kept_is_judged_again(monkeypatch, capsys, tmp_path):
    (tmp_path / "kept").write_bytes(b"<x/>")
    monkeypatch.setattr(sys, "argv", ["fuzz", "repomd", "--again", str(tmp_path / "kept")])
    assert main() == 0
    assert capsys.readouterr().out == "repomd RepodataError: repomd.xml has the root element …\n"
