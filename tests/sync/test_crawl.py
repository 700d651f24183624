"""`mirrorpy discover`'s walk, where what it walks through is odd or hostile."""

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirrorpy.cli import main
from mirrorpy.config.load import load_config
from mirrorpy.discover import Bounds, Survey, explore
from tests.simulator import REPOMD
from tests.sync.listings import page
from tests.sync.mirror import Watcher

XMLNS = "http://linux.duke.edu/metadata/repo"
RECORD = f'<data type="primary"><checksum type="sha256">{"a" * 64}</checksum><location href="repodata/p.xml"/></data>'
TREEINFO = "[general]\nfamily = Example\n[variant-HA]\nid = HA\nrepository = addons/HA\n[tree]\nvariants = HA\n"


def add(folder: Path, *paths: str) -> None:
    """Put a repository into each of these folders."""
    for path in paths:
        repomd = folder / path / REPOMD
        repomd.parent.mkdir(parents=True)
        repomd.write_text(f'<repomd xmlns="{XMLNS}">{RECORD}</repomd>')


def survey(url: str, **bounds: float) -> Survey:
    return explore(url, Bounds(**bounds), Watcher())


def paths(seen: Survey) -> list[str]:
    return [found.path for found in seen.found]


@contextlib.contextmanager
def served(pages: dict[str, bytes], drips: str = "") -> Iterator[str]:
    """Serve pages; one of them comes a space at a time, and has no end."""
    ended = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has there
            """Say nothing."""

        def do_GET(self) -> None:
            self.send_response(200 if self.path in pages or self.path == drips else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))
            with contextlib.suppress(OSError):
                while self.path == drips and not ended.wait(0.05):
                    self.wfile.write(b" ")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


REPOSITORY = {"/os/": page(["repodata/"]), f"/os/{REPOMD}": f'<repomd xmlns="{XMLNS}">{RECORD}</repomd>'.encode()}


@pytest.mark.parametrize("drips", ["/slow/", "/robots.txt"])
def test_what_comes_without_end_ends_with_the_time(drips: str) -> None:
    with served({"/": page(["os/", "slow/"]), **REPOSITORY}, drips) as url:
        began = time.monotonic()
        seen = survey(url, seconds=0.8)
        assert time.monotonic() - began < 5
    if drips == "/slow/":
        assert paths(seen) == ["os"]
        assert seen.warnings == [f"1 folders are left out, such as {url}slow/: 1 seconds are over"]


def test_a_page_is_smaller_than_a_listing_that_is_mirrored() -> None:
    with served({"/": page(["os/", "large/"]), **REPOSITORY, "/large/": b" " * (8 * 1024**2 + 1)}) as url:
        seen = survey(url)
    assert paths(seen) == ["os"]
    assert seen.warnings == [f"left out: {url}large/: is larger than 8388608 bytes"]


@pytest.mark.parametrize(
    "line",
    [
        "Disallow: //[",
        "Crawl-delay: \u00b2",
        f"Crawl-delay: {'9' * 5000}",
        f"Crawl-delay: {'9' * 4000}",
        "Request-rate: \u00b2/1",
    ],
)
def test_a_line_of_robots_txt_that_cannot_be_read_asks_for_nothing(line: str) -> None:
    robots = f"User-agent: *\n{line}\nDisallow: /\n".encode()
    with served({"/": page(["os/"]), **REPOSITORY, "/robots.txt": robots}) as url:
        seen = survey(url)
    assert paths(seen) == ["os"]
    assert seen.warnings == [f"{url}robots.txt asks robots to keep away from here"]


def test_a_folder_in_one_of_its_name_is_entered(tmp_path: Path) -> None:
    add(tmp_path, "x/x/os")
    seen = survey(tmp_path.as_uri())
    assert (paths(seen), seen.warnings) == (["x/x/os"], [])


def test_a_link_to_a_folder_above_is_said() -> None:
    listing = page(["os/", "again/"])
    with served({"/": listing, "/again/": listing, **REPOSITORY}) as url:
        seen = survey(url)
    assert paths(seen) == ["os"]
    assert seen.warnings == [f"left out: {url}again/: shows what a folder above it does, as a link to it"]


def test_a_repository_in_another_has_an_entry_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not so an addon, which comes with its tree."""
    outer = ["epel/7/x86_64", "epel/7/ppc64", "epel/8/x86_64"]
    add(tmp_path, *outer, "epel/7/x86_64/debug", "epel/7/ppc64/debug", "epel/8/x86_64/addons/HA")
    (tmp_path / "epel/8/x86_64/.treeinfo").write_text(TREEINFO)
    add(tmp_path, "epel/7/x86_64/Packages/no")
    assert main(["discover", (tmp_path / "epel").as_uri()]) == 0
    said = capsys.readouterr()
    assert "2 of what was found lies below another repository, such as " in said.err
    file = tmp_path / "mirrorpy.yaml"
    file.write_text(said.out)
    entries = {repo.path: repo.baseurls[0] for repo in load_config(file, {}).repos}
    base = (tmp_path / "epel").as_uri()
    assert entries == {path: f"{tmp_path.as_uri()}/{path}/" for path in outer} | {
        f"epel-7-{arch}-debug": f"{base}/7/{arch}/debug/" for arch in ("x86_64", "ppc64")
    }


def test_a_repository_of_very_many_folders_is_not_looked_through(tmp_path: Path) -> None:
    add(tmp_path, "os", *(f"os/{number}" for number in range(51)))
    seen = survey(tmp_path.as_uri())
    assert (paths(seen), seen.pages) == (["os"], 2)
    assert seen.warnings == [
        f"left out: {tmp_path.as_uri()}/os/: has 51 folders in a repository, too many to look for others in them"
    ]
    assert paths(survey(f"{tmp_path.as_uri()}/os")) == [""]
