"""Errors: one tree, one exit status for each branch, one line for each message, and no secret in any."""

import pytest

from mirrorpy import errors
from mirrorpy.errors import FetchError, MirrorError, NotFound, UpstreamError, one_line, redact

STATUSES = {
    "MirrorError": 70,
    "ConfigError": 2,
    "FetchError": 3,
    "NotFound": 3,
    "UpstreamMoving": 3,
    "UpstreamError": 4,
    "RepodataError": 4,
    "UnsafeHref": 4,
    "ChecksumMismatch": 4,
    "SignatureError": 5,
    "LocalError": 6,
    "LeftPool": 6,
    "LockHeld": 7,
    "GuardError": 8,
}
KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MirrorError)}


def test_statuses():
    assert {name: kind.exit_status for name, kind in KINDS.items()} == STATUSES


def test_the_tree_is_drawn_in_full():
    for name, status in STATUSES.items():
        (line,) = [line for line in errors.__doc__.splitlines() if name in line.split()]
        assert f" {status} " in line


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MirrorError("broke"), "broke"),
        (MirrorError("broke", url="http://h/a"), "http://h/a: broke"),
        (MirrorError("broke", href="a"), "a: broke"),
        (MirrorError("broke", url="http://h/a", href="a"), "http://h/a: broke"),
        (MirrorError("http://h/a broke", url="http://h/a"), "http://h/a broke"),
        (MirrorError("broke", hint="mend it"), "broke; mend it"),
        (UpstreamError("a\nb\x1b[31m\x9b\u2028\u202e", href="c\rd"), "c\\rd: a\\nb\\x1b[31m\\x9b\\u2028\\u202e"),
        (UpstreamError("grün"), "grün"),
        (UpstreamError("\ud800"), "\\ud800"),
    ],
)
def test_messages(error, message):
    assert error.message == str(error) == message
    assert error.message.isprintable()
    error.message.encode()


def test_one_line_leaves_what_is_printable():
    assert one_line("a b\\n ü €") == "a b\\n ü €"


def test_fetch_errors_tell_what_a_retry_needs():
    assert (FetchError("x").retryable, FetchError("x").retry_after) == (False, 0)
    error = NotFound("x", url="u", href="h", hint="y", retryable=True, retry_after=3.0)
    assert (error.retryable, error.retry_after, error.url, error.href, error.hint) == (True, 3, "u", "h", "y")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/r/a.rpm", "https://h/r/a.rpm"),
        ("https://user:secret@h/r/", "https://h/r/"),
        ("https://user@h/r/", "https://h/r/"),
        ("https://user:secret@h:8443/r/?a=b", "https://h:8443/r/"),
        ("https://user:sec?ret@h/r/", "https://h/r/"),
        ("https://h/r?token=secret", "https://h/r"),
        ("https://h/r@2/a@b", "https://h/r@2/a@b"),
        ("https://user:sec@ret@h/r/", "https://h/r/"),
        ("http://user:secret@[::1]:80/r", "http://[::1]:80/r"),
        ("", ""),
        ("no url", "no url"),
    ],
)
def test_redact(url, shown):
    assert redact(url) == shown
    assert "sec" not in redact(url)
    assert "ret" not in redact(url)
