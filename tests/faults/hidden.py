"""Secrets that a configuration holds, and everything in which they must not turn up."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.faultserver import Request

from .world import STATE, World

USER, PASSWORD, HEADER, TOKEN = "mirr0rer", "pa55 w0rd/é", "t0ken-in-header", "t0ken-in-query"
URL_PASSWORD = "pa55w0rd-in-url"
"""Of USER, where a URL holds it."""
NETRC_USER, NETRC_PASSWORD = "n3trc-user", "n3trc-pa55word"
PROXY_USER, PROXY_PASSWORD = "pr0xy-user", "pr0xy-pa55word"
SETTINGS: dict[str, Any] = {"username": USER, "password": PASSWORD, "headers": {"X-Secret": HEADER}}
"""They are of one repository."""


def basic(user: str, password: str) -> str:
    """What Basic authentication sends."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


HIDDEN = (
    *(USER, PASSWORD, quote(PASSWORD, safe=""), basic(USER, PASSWORD).split()[1], HEADER, TOKEN),
    *(URL_PASSWORD, basic(USER, URL_PASSWORD).split()[1]),
    *(NETRC_USER, NETRC_PASSWORD, PROXY_USER, PROXY_PASSWORD, basic(PROXY_USER, PROXY_PASSWORD).split()[1]),
)
"""Every form in which they may turn up."""
COMMANDS = (
    ("sync", "-v"),
    ("sync", "-v", "--log-format", "json"),
    ("sync", "-v", "--json"),
    ("status",),
    ("status", "--json"),
    ("verify", "-v", "--json"),
)


def tells_none(world: World) -> None:
    """Prove that no secret is in what commands say, nor in anything below root."""
    for command, *options in COMMANDS:
        run = world.run(command, *options)
        assert "base" in run.stdout + run.stderr
        assert told(run.stdout + run.stderr) == [], f"{command} {options}"
    written = [path for path in world.root.rglob("*") if path.is_file()]
    assert world.root / STATE / "repos/base/state.json" in written
    for path in written:
        assert told(path.read_bytes().decode("latin-1")) == [], path
        assert told(str(path)) == []


def told(text: str) -> list[str]:
    """The secrets that are in a text; what is not ASCII may be escaped in it, or decoded in another way."""

    def forms(secret: str) -> tuple[str, ...]:
        return secret, secret.encode().decode("latin-1"), secret.encode("unicode_escape").decode()

    return [secret for secret in HIDDEN if any(form in text for form in forms(secret))]


def carried(request: Request) -> list[str]:
    """The secrets that went with a request, in its headers or its target."""
    return told("\n".join([request.target, *request.headers.values()]))


def login_in_netrc(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let curl and its like find a login for this machine, where they look for one."""
    home = folder / "home"
    home.mkdir()
    netrc = home / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login {NETRC_USER} password {NETRC_PASSWORD}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(netrc))
