"""A short fuzzing of everything that reads what others wrote, the same each time; `make fuzz` goes on for longer."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from .judge import Judge
from .seeds import PRIMARIES
from .target import Target, documented
from .targets import TARGETS

SHORT = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def named(target: Target) -> str:
    return target.name


@pytest.mark.parametrize("target", TARGETS, ids=named)
def test_only_what_is_documented_is_raised_and_in_time(target):
    judge = Judge(target)

    @settings(SHORT, max_examples=target.examples)
    @given(target.inputs)
    def one(data):
        judge.judge(data)

    one()
    assert judge.count >= target.examples // 2


@pytest.mark.parametrize("target", TARGETS, ids=named)
def test_a_row_allows_what_the_docstrings_say(target):
    said = set().union(*map(documented, target.of))
    assert {error.__name__ for error in target.raises} == said


@pytest.mark.parametrize("target", TARGETS, ids=named)
def test_the_seeds_themselves_are_good(target):
    """Damage to what is refused anyway would prove nothing."""
    for seed in target.seeds[: target.good]:
        target.call(seed)


FOUND = [
    ("primary", PRIMARIES[0].replace(b' xmlns:rpm="http://linux.duke.edu/metadata/rpm"', b"")),
    ("manifest", b"mirrorpy-files 1\nx\t-\t1\t-\t-\ta\n"),
    ("state", b'{"last_run":1,"bytes":1%s}' % (b"0" * 400)),
    ("state", b'{"last_run":1,"last_success":1e18}'),
    ("document-by-httpx", b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "\xc3\xa9"\r\n\r\n'),
    ("document-by-httpx", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=\xe9\r\n\r\n"),
    (
        "document-by-httpx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b; Max-Age=%b\r\n\r\n" % (b"9" * 400),
    ),
    (
        "download-by-httpx",
        b'HTTP/1.1 206 OK\r\nContent-Length: 1\r\nContent-Range: bytes 40-40/100\r\nETag: "\xe9"\r\n\r\n0',
    ),
    ("document", b"HTTP/1.1 200 OK\r\nX: a%bb\r\n\r\n" % (b" " * 65_000)),
    ("redirect", b"https://up.test:0/"),
    ("yum-file", b"[a]\nx%sy=\n" % (b" " * 60_000)),
]
"""Inputs that long runs once found."""


@pytest.mark.parametrize(("name", "data"), FOUND, ids=[f"{name}-{number}" for number, (name, _) in enumerate(FOUND)])
def test_what_was_found_once_is_read_as_all_else(name, data):
    (target,) = (target for target in TARGETS if target.name == name)
    Judge(target).judge(data)
