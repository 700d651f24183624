"""Debian's own ports.conf beside an emitted virtual host: Apache starts, and listens to each port once."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .installation import Mirror
from .listing import REPOMD
from .servers import LOOPBACK, apache_command, emitted, free_port, http_request, open_folder, run_apache
from .upstream import Upstream

pytestmark = pytest.mark.timeout(60)

STOCK = Path("/etc/apache2/ports.conf")
LISTEN = re.compile(r"^\s*Listen\s+(\S+)", re.MULTILINE | re.IGNORECASE)
NAME = ["--server-name", "mirror.example.org"]
BINDS = [[], ["--bind", LOOPBACK], ["--bind", "0.0.0.0", *NAME]]
ALL_BINDS = [*BINDS, ["--bind", "::1"]]


@pytest.fixture(scope="module")
def mirror() -> Iterator[Mirror]:
    """One small repository, where Apache may enter."""
    with open_folder() as folder:
        upstream = Upstream(folder / "upstream")
        upstream.add("one")
        upstream.publish()
        mirror = Mirror(folder / "mirror")
        mirror.configure({"id": "base", "baseurl": upstream.url})
        mirror.sync()
        yield mirror


@pytest.fixture
def stock(mirror: Mirror) -> str:
    """What Debian and Ubuntu listen to before anybody changes it."""
    if not STOCK.is_file():
        pytest.skip(f"{STOCK} is not there: this is no Debian")
    text = STOCK.read_text()
    assert LISTEN.findall(text)[0] == "80"
    return text


def moved(text: str, port: int) -> str:
    """The same with another port than 80, which needs no root and may be in use; TLS is left out, which is off."""
    return re.sub(r"\b80\b", str(port), re.sub(r"<IfModule.*?</IfModule>", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("options", BINDS, ids=" ".join)
def test_it_starts(mirror: Mirror, stock: str, tmp_path: Path, options: list[str]) -> None:
    """All that there is of port 80, moved elsewhere: a second Listen would be `Address already in use`."""
    port = free_port()
    host = re.sub(r"\b80\b", str(port), emitted(mirror, "apache", *options))
    with run_apache(mirror.folder / f"apache-{port}", moved(stock, port) + host, port) as server:
        status, _, body = http_request(server, f"/base/{REPOMD}")
    assert (status, body) == (200, mirror.revision("base"))


def test_a_second_listen_would_not_start(mirror: Mirror, stock: str, tmp_path: Path) -> None:
    """What the tests here can see."""
    port = free_port()
    text = f"Listen {LOOPBACK}:{port}\n{moved(stock, port)}{emitted(mirror, 'apache', '--port', str(free_port()))}"
    done = subprocess.run(
        [*apache_command(tmp_path, text), "-DFOREGROUND"],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode != 0
    assert "Address already in use" in done.stderr


@pytest.mark.parametrize("options", ALL_BINDS, ids=" ".join)
def test_it_takes_the_port_as_it_is(mirror: Mirror, stock: str, tmp_path: Path, options: list[str]) -> None:
    """Unmoved: nobody but ports.conf listens, and the virtual host is one of port 80, without a warning."""
    text = emitted(mirror, "apache", *options)
    assert LISTEN.findall(text) == []
    done = subprocess.run(
        [*apache_command(tmp_path, stock + text), "-t", "-D", "DUMP_VHOSTS"],
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\S+:80\s", done.stdout, re.MULTILINE)
    assert [line for line in done.stderr.splitlines() if "Syntax OK" not in line] == []


@pytest.mark.parametrize("options", [[], ["--bind", LOOPBACK]], ids=" ".join)
def test_another_port_is_listened_to(mirror: Mirror, stock: str, options: list[str]) -> None:
    """ports.conf does not know it."""
    (where,) = LISTEN.findall(emitted(mirror, "apache", "--port", "8080", *options))
    assert where.endswith("8080")


def test_another_port_beside_the_stock_one(mirror: Mirror, stock: str) -> None:
    """Both are there."""
    port, other = free_port(), free_port()
    host = emitted(mirror, "apache", "--bind", LOOPBACK, "--port", str(other))
    with run_apache(mirror.folder / f"apache-{other}", moved(stock, port) + host, other) as server:
        assert http_request(server, f"/base/{REPOMD}")[0] == 200


def environment(folder: Path) -> dict[str, str]:
    """What Apache's own script would say."""
    return {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "APACHE_RUN_DIR": str(folder),
        "APACHE_LOG_DIR": str(folder),
    }
