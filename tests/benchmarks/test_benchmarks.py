"""The benchmarks themselves: they run, every program makes its mirror, and what they count is right."""

import http.client
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.benchmarks.cells import FAR, NEAR, Cell, chosen
from tests.benchmarks.measure import Failed, measure
from tests.benchmarks.mirrorers import CURL_8, LFTP, REPOSYNC, RSYNC, check, environment
from tests.benchmarks.origin import Origin
from tests.benchmarks.page import MARKED, PAGE, SECTIONS, write_page
from tests.benchmarks.results import OURS, Extent, Results, Sample
from tests.benchmarks.upstreams import Upstream
from tests.integration.programs import real_program

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    return Upstream(tmp_path_factory.mktemp("upstreams"), "many", 100)


def rpms(upstream, state):
    return {href for href in upstream.files(state) if href.endswith(".rpm")}


def test_days_change_what_they_say(upstream):
    first, one, ten = (rpms(upstream, state) for state in ("first", "1%", "10%"))
    assert (len(first - one), len(one - first)) == (3, 3), "two are replaced, one goes, one comes"
    assert (len(one - ten), len(ten - one)) == (6, 8), "four are replaced, two go, four come"
    kept = next(iter(first & ten))
    assert (upstream["first"] / kept).samefile(upstream["10%"] / kept)
    times = [(upstream[state] / "repodata/repomd.xml").stat().st_mtime for state in ("first", "1%", "10%")]
    assert times == sorted(set(times))


def test_upstreams_are_the_same_each_time(upstream, tmp_path):
    again = Upstream(tmp_path / "again", "many", 100)
    for state in ("first", "10%"):
        for href in rpms(upstream, state):
            assert (again[state] / href).read_bytes() == (upstream[state] / href).read_bytes()


def test_kept_upstreams_are_not_built_again(upstream):
    inode = (upstream["first"] / "repodata").stat().st_ino
    again = Upstream(upstream.folder.parent, "many", 100)
    assert (again["first"] / "repodata").stat().st_ino == inode


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda mirror, href: (mirror / href).unlink(), "missing"),
        (lambda mirror, href: (mirror / href).write_bytes(b"short"), "another size"),
        (lambda mirror, href: (mirror / "stale.rpm").touch(), "left over"),
        (lambda mirror, href: (mirror / "repodata/repomd.xml").write_bytes(b"x" * 1565), "repomd.xml"),
    ],
)
def test_a_wrong_mirror_is_found(upstream, tmp_path, harm, words):
    mirror = tmp_path / "mirror"
    shutil.copytree(upstream["first"], mirror)
    files = upstream.files("first")
    assert check(mirror, files, upstream["first"]) is None
    harm(mirror, min(files))
    assert words in (check(mirror, files, upstream["first"]) or "")


BURN = "import time\nwhile time.process_time() < 0.3: pass"


def run(tmp_path, *command):
    return measure([sys.executable, "-c", *command], tmp_path / "log", environment(tmp_path))


def test_time_of_children_counts_and_of_those_that_are_left_behind(tmp_path):
    child = f"import subprocess, sys; subprocess.{{}}([sys.executable, '-c', {BURN!r}])"
    assert run(tmp_path, child.format("run")).cpu >= 0.3
    assert run(tmp_path, child.format("Popen")).cpu >= 0.3


def test_memory_is_that_of_the_command_and_not_of_who_starts_it(tmp_path):
    held = bytearray(200_000_000)
    small = run(tmp_path, "import time; time.sleep(0.1)")
    assert len(held) > 10 * small.peak * 1e6 > 0


def test_memory_of_children_is_in_the_tree(tmp_path):
    child = "import time; held = bytearray(50_000_000); time.sleep(0.2)"
    used = run(tmp_path, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
    assert used.tree >= 50
    assert used.peak < used.tree - 40


def test_a_command_that_fails_ends_the_run(tmp_path):
    with pytest.raises(Failed, match=r"exit 3(?s:.*)no luck"):
        run(tmp_path, "import sys; print('no luck'); sys.exit(3)")


def through_relay(body, *options):
    """Return the seconds until the first byte of a body came through a relay, and until the last."""

    def answer():
        with origin.accept()[0] as connection:
            connection.recv(16)
            connection.sendall(body)

    with socket.create_server(("127.0.0.1", 0)) as origin:
        server = threading.Thread(target=answer, daemon=True)
        server.start()
        command = [sys.executable, "-m", "tests.benchmarks.relay", str(origin.getsockname()[1]), *options]
        with subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True) as relay:
            try:
                port = int(relay.stdout.readline())
                began = time.monotonic()
                with socket.create_connection(("127.0.0.1", port)) as client, client.makefile("rb") as stream:
                    client.sendall(b"hello")
                    first = stream.read(1)
                    to_first = time.monotonic() - began
                    assert first + stream.read() == body
                    return to_first, time.monotonic() - began
            finally:
                relay.terminate()
                server.join()


def test_relay_is_as_slow_as_it_says_and_loses_nothing():
    body = bytes(range(256)) * 2048
    to_first, to_last = through_relay(body, "--rtt", "50", "--rate", "1M")
    assert to_first >= 2 * 0.05, "a round trip for the handshake, one for the question and the answer"
    assert to_last >= 2 * 0.05 + 0.45
    through_relay(body, "--rtt", "0", "--rate", "0")


def test_origin_counts_requests_and_bytes(upstream, tmp_path):
    real_program("nginx")
    rsync = real_program("rsync")
    origin = Origin(tmp_path / "origin")
    try:
        origin.switch(upstream["first"])
        href = min(rpms(upstream, "first"))
        size = upstream.files("first")[href]
        with origin.far(5) as addresses:
            for counts, address in addresses.items():
                host = address.http.split("/")[2]
                with closing(http.client.HTTPConnection(host)) as connection:
                    connection.request("GET", f"/{href}")
                    assert len(connection.getresponse().read()) == size
                found = origin.traffic(rsync=False)
                assert (found.requests, found.bodies) == ((1, size) if counts else (0, 0))
                assert (found.wire > size) == counts
            for _ in range(2):
                origin.begin_counting()
                subprocess.run([rsync, "-a", addresses[True].rsync + href, f"{tmp_path}/{time.time()}"], check=True)
                found = origin.traffic(rsync=True)
                assert size < found.wire < 2 * size
    finally:
        origin.stop()


def test_every_program_mirrors(tmp_path):
    for name in ("nginx", "rsync", "dnf", "lftp", "curl"):
        real_program(name)
    command = [sys.executable, "-m", "tests.benchmarks.peers", "--shape", "many:30", "--work", "first,none,1%"]
    options = ["--relay", "1", "--runs", "1", "--folder", str(tmp_path), "--save", str(tmp_path / "saved")]
    done = subprocess.run([*command, *options], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = Results.load(tmp_path / "saved")
    assert {OURS, RSYNC, REPOSYNC, LFTP, CURL_8} < set(results.programs("many:30@1", "first"))
    for work in ("none", "1%"):
        assert set(results.programs("many:30@1", work)) == {OURS, RSYNC, REPOSYNC, LFTP}
    first, none, changed = (results.traffic("many:30@1", work, OURS) for work in ("first", "none", "1%"))
    assert first.requests >= 30 + 4
    assert (none.requests, none.bodies) == (1, 0)
    assert changed.requests < first.requests
    assert {path.name for path in tmp_path.iterdir()} == {"saved", "many-30"}, "upstreams are kept, nothing else"


def trial():
    samples = [
        Sample(cell, work, name, number, seconds + number, 0.5, 30.0, 40.0)
        for cell in ("centos:300@50", "many:10000", "many:70000")
        for work in ("first", "none")
        for name, seconds in ((OURS, 1.0), (RSYNC, 3.0))
        for number in (1, 2, 3)
    ]
    cells = {
        cell: Extent(int(cell.split(":")[1].split("@")[0]), 5_000_000) for cell in (sample.cell for sample in samples)
    }
    machine = {"processor": "one", "memory": "2 GB", "kernel": "Linux", "file system": "ext4"}
    return Results(machine=machine, runs=3, extents=cells, samples=samples)


def test_the_page_gets_the_figures_of_one_run(tmp_path):
    page, picture = tmp_path / "page.md", tmp_path / "images" / "picture.svg"
    shutil.copy(PAGE, page)
    write_page(trial(), page, picture)
    text = page.read_text()
    assert "| centos, 300 packages, 5.0 MB, 50 ms | first sync | 3.00 | 5.00 (0.60) |" in text
    assert text.count("Not measured in this run.") == 3, "of connections, verify and parser"
    assert all(text in picture.read_text() for text in ("300 packages", "mirrorpy  3.00 s", "rsync  5.00 s"))
    once = page.read_bytes(), picture.read_bytes()
    write_page(trial(), page, picture)
    assert (page.read_bytes(), picture.read_bytes()) == once
    write_page(Results(machine=trial().machine), page, picture)
    assert not picture.exists()
    assert "5.00 (0.60)" not in page.read_text()


def test_a_page_without_a_place_for_figures_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text().replace("<!-- measured: goals -->", ""))
    with pytest.raises(SystemExit, match="goals"):
        write_page(trial(), page, tmp_path / "picture.svg")


def test_the_page_has_every_mark_once():
    assert sorted(name for _, name, _ in MARKED.findall(PAGE.read_text())) == sorted(SECTIONS)


def test_cells_are_chosen_by_words():
    assert chosen([], [], []) == [*FAR, *NEAR]
    assert chosen([], [50], ["first"]) == [Cell(c.shape, c.packages, 50, ("first",)) for c in FAR if c.rtt == 50]
    assert [cell.key for cell in chosen(["small", "many:5"], [0, 5], [])] == [
        *("small:10000", "many:5", "small:10000@5", "many:5@5")
    ]
    with pytest.raises(SystemExit, match="tiny"):
        chosen(["tiny"], [], [])
