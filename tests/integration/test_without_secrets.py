"""Who asks no upstream needs neither its secrets nor its certificates: status, emit, serve and prune do without."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .installation import Mirror
from .listing import REPOMD
from .programs import real_program
from .servers import http_request, run_serve
from .upstream import Upstream

pytestmark = pytest.mark.timeout(60)

HIDDEN: dict[str, dict[str, Any]] = {
    "username and password": {"username": "${UNSET_USER}", "password": "${UNSET_PASSWORD}"},
    "header": {"headers": {"X-Token": "${UNSET_TOKEN}"}},
    "proxy": {"proxy": "http://u:${UNSET_PROXY}@proxy.example.org:3128"},
    "certificates": {
        "sslcacert": "nowhere/ca.pem",
        "sslclientcert": "nowhere/client.pem",
        "sslclientkey": "nowhere/client.key",
    },
}
COMMANDS = [
    ["status"],
    ["status", "--json"],
    ["prune"],
    ["emit", "repo"],
    ["emit", "nginx"],
    ["emit", "apache"],
    ["emit", "vsftpd"],
    ["emit", "cron"],
    ["emit", "systemd"],
]


def everything() -> dict[str, Any]:
    """All of these options at once."""
    return {key: value for options in HIDDEN.values() for key, value in options.items()}


@pytest.fixture
def up(upstream: Callable[[str], Upstream]) -> Upstream:
    up = upstream("up")
    up.add("one")
    up.publish()
    return up


@pytest.fixture
def synced(mirror: Mirror, up: Upstream) -> Mirror:
    """It was synced where the secrets are known; here they are not."""
    mirror.configure({"id": "base", "baseurl": up.url})
    mirror.sync()
    mirror.configure({"id": "base", "baseurl": up.url, **everything()})
    return mirror


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_they_do_without(synced: Mirror, args: list[str]) -> None:
    done = synced.run(*args)
    assert done.returncode == 0, done.stderr
    assert "UNSET" not in done.stdout + done.stderr


def test_serve_does_without(synced: Mirror) -> None:
    with run_serve(synced) as server:
        assert http_request(server, f"/base/{REPOMD}")[2] == synced.revision("base")


def test_they_do_without_a_certificate_that_is_the_owners_alone(synced: Mirror, up: Upstream) -> None:
    """As a server's user has it, who may not even look into the folder; by a root that may not read everything."""
    folder = synced.folder / "tls"
    folder.mkdir()
    (folder / "client.pem").write_text("secret")
    synced.configure({"id": "base", "baseurl": up.url, "sslclientcert": str(folder / "client.pem")})
    folder.chmod(0)
    drop = [real_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
    try:
        codes = {
            command: subprocess.run([*drop, *synced.command(command)], env=synced.environment, check=False).returncode
            for command in ("status", "prune", "sync", "verify")
        }
    finally:
        folder.chmod(0o700)
    assert codes == {"status": 0, "prune": 0, "sync": 2, "verify": 2}


def test_what_is_set_for_all_repositories_is_not_needed_either(synced: Mirror, up: Upstream) -> None:
    synced.configure({"id": "base", "baseurl": up.url}, **everything())
    assert [synced.run(*args).returncode for args in (["status"], ["emit", "repo"])] == [0, 0]


def test_what_is_wrong_is_still_wrong(synced: Mirror, up: Upstream) -> None:
    synced.configure({"id": "base", "baseurl": up.url, "passwort": "${UNSET}"})
    assert synced.run("status").returncode == 2


# Those who ask


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("command", ["sync", "verify"])
def test_who_asks_needs_them(mirror: Mirror, up: Upstream, command: str, name: str) -> None:
    """Exit 2, one line that names the file and the option, and nothing written."""
    mirror.configure({"id": "base", "baseurl": up.url, **HIDDEN[name]})
    done = mirror.run(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"mirrorpy: {mirror.config}:")
    assert any(f": repos[0].{option}" in done.stderr for option in HIDDEN[name])
    assert os.listdir(mirror.root) == []


@pytest.mark.parametrize("command", ["sync", "verify"])
def test_who_asks_is_content_where_they_are_known(
    mirror: Mirror, up: Upstream, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    mirror.configure({"id": "base", "baseurl": up.url})
    mirror.sync()
    mirror.configure({"id": "base", "baseurl": up.url, **HIDDEN["username and password"], **HIDDEN["header"]})
    for name in ("UNSET_USER", "UNSET_PASSWORD", "UNSET_TOKEN"):
        monkeypatch.setenv(name, "known")
    assert mirror.run(command).returncode == 0


def test_a_folder_is_verified_without(synced: Mirror, up: Upstream, tmp_path: Path) -> None:
    """No configuration is read for it."""
    assert synced.run("verify", str(up.folder)).returncode == 0
