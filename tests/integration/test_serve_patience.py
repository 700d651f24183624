"""`mirrorpy serve` among clients that ask for nothing, take nothing, or ask for what is not for everybody."""

import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .installation import Mirror
from .programs import real_program
from .servers import http_request, open_folder, run_serve
from .test_serve import LOOPBACK, PROMPTLY, Serving, answered, answering, large, request
from .upstream import Upstream

pytestmark = pytest.mark.timeout(60)

IDLE = 0.5
"""Seconds of patience, where they are shortened."""
LAUNCHER = f"""
import sys
from mirrorpy.serve import protocol
protocol.IDLE_SECONDS = {IDLE}
from mirrorpy.cli import main
sys.exit(main())
"""
HALVES = {"nothing": b"", "half a line": b"GET / HT", "half a header": b"GET / HTTP/1.1\r\nHost: mirr"}
READERS = 200
LARGE = 30_000_000
SECRET = b"nobody may read this"


class Impatient(Mirror):
    """An installation whose server waits for half a second only."""

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-c", LAUNCHER, args[0], "--config", str(self.config), *args[1:]]


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Impatient:
    """One that has a small file and a large one."""
    mirror = Impatient(tmp_path_factory.mktemp("impatient") / "mirror")
    large(mirror, LARGE)
    (mirror.root / "small").write_bytes(b"small")
    return mirror


@pytest.fixture(scope="module")
def brief(impatient: Impatient) -> Iterator[Serving]:
    """Its server."""
    with Serving(impatient) as serving:
        yield serving


@pytest.fixture
def plain(mirror: Mirror) -> Mirror:
    """One that waits as long as users' do, and has a small file."""
    mirror.configure({"id": "none", "baseurl": "file:///nowhere/"})
    (mirror.root / "small").write_bytes(b"small")
    return mirror


def closed(sock: socket.socket) -> bool:
    """Wait for the end of a connection."""
    try:
        while sock.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


# Patience


@pytest.mark.parametrize("name", HALVES)
def test_half_a_request_is_given_up(brief: Serving, name: str) -> None:
    with brief.connect() as sock:
        sock.sendall(HALVES[name])
        assert closed(sock)


def test_half_a_request_after_a_whole_one_is_given_up(brief: Serving) -> None:
    with brief.connect() as sock:
        sock.sendall(request("/small"))
        assert answered(sock).body == b"small"
        sock.sendall(b"GET / HT")
        assert closed(sock)


def test_a_byte_now_and_then_is_no_request(brief: Serving) -> None:
    """It may not keep a connection for itself by that."""
    with brief.connect() as sock:
        sock.sendall(b"GET /small HTTP/1.1\r\n")
        until = time.monotonic() + 2 * PROMPTLY
        while not select.select([sock], [], [], IDLE / 5)[0]:
            assert time.monotonic() < until
            sock.sendall(b"X")
        assert closed(sock)


def test_a_connection_that_is_used_stays(brief: Serving) -> None:
    """For longer than the patience lasts."""
    with brief.connect() as sock:
        until = time.monotonic() + 4 * IDLE
        while time.monotonic() < until:
            sock.sendall(request("/small"))
            assert answered(sock).body == b"small"
            select.select([sock], [], [], IDLE / 5)


def test_a_slow_download_is_no_half_request(brief: Serving) -> None:
    """It takes longer than the patience lasts, and arrives whole."""
    with brief.connect(receive=4_096) as sock:
        sock.sendall(request("/large.rpm", Connection="close"))
        until = time.monotonic() + 4 * IDLE
        with answering(sock) as response:
            count = 0
            while part := response.read(1_000_000):
                count += len(part)
                if time.monotonic() < until:
                    select.select([], [], [], IDLE / 5)
        assert count == LARGE
        assert time.monotonic() > until


def test_half_requests_do_not_shut_others_out_for_long(impatient: Impatient) -> None:
    """All the connections that there may be are taken, and free again when patience ends."""
    few = ["/bin/sh", "-c", 'ulimit -n 128 && exec "$@"', "sh"]
    with Serving(impatient, prefix=few) as serving, ExitStack() as held:
        for _ in range(40):
            held.enter_context(serving.connect()).sendall(b"GET / HT")
        assert serving.ask("/small").status == 503
        until = time.monotonic() + PROMPTLY
        while (status := serving.ask("/small").status) == 503 and time.monotonic() < until:
            select.select([], [], [], 0.05)
        assert status == 200


# Clients that do not read


def resident(pid: int) -> int:
    """Bytes of memory."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def settled(pid: int) -> int:
    """Its memory, once it grows no more."""
    before = 0
    while (now := resident(pid)) > before:
        before = now
        time.sleep(0.2)
    return now


def test_clients_that_do_not_read_cost_little(plain: Mirror) -> None:
    """Two hundred of them ask for 100 MB each; others get theirs."""
    target = large(plain, 100_000_000)
    with Serving(plain) as serving, ExitStack() as held:
        waiting = [held.enter_context(serving.connect(receive=4_096)) for _ in range(READERS)]
        for sock in waiting:
            sock.sendall(request(target))
        for sock in waiting:
            assert sock.recv(1, socket.MSG_PEEK)
        assert settled(serving.process.pid) < 150_000_000
        assert serving.ask("/small").body == b"small"


# A reader of the log that does not read


@pytest.fixture
def deaf(plain: Mirror) -> Iterator[tuple[Mirror, "subprocess.Popen[bytes]", int]]:
    """A server whose standard error is a small pipe that nobody reads once it listens; its port too."""
    process = subprocess.Popen(
        plain.command("serve", "--port", "0"),
        env=plain.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stderr is not None
    fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, 4_096)
    said = b""
    while not said.endswith(b"/\n"):
        said += process.stderr.read(1_000) or b""
        assert process.poll() is None
    try:
        yield plain, process, int(said.rstrip(b"/\n").rpartition(b":")[2])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def chatter(port: int, count: int) -> None:
    """Ask so many times, each worth a kilobyte of log."""
    with socket.create_connection((LOOPBACK, port), PROMPTLY) as sock:
        for _ in range(count):
            sock.sendall(request("/small", User_Agent="x" * 1_000))
            assert answered(sock).body == b"small"


def test_a_log_that_nobody_reads_stops_no_answer(deaf: tuple[Mirror, "subprocess.Popen[bytes]", int]) -> None:
    chatter(deaf[2], 300)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_log_that_nobody_reads_does_not_stop_the_end(
    deaf: tuple[Mirror, "subprocess.Popen[bytes]", int], number: int, status: int
) -> None:
    _, process, port = deaf
    chatter(port, 30)
    process.send_signal(number)
    assert process.wait(PROMPTLY) == status


def test_a_log_that_is_read_again_goes_on(deaf: tuple[Mirror, "subprocess.Popen[bytes]", int]) -> None:
    """Nothing of some requests is lost for having to wait."""
    _, process, port = deaf
    chatter(port, 30)
    assert process.stderr is not None
    lines = b""
    while lines.count(b"\n") < 30:
        lines += process.stderr.read(65_536) or b""
    assert lines.count(b'"GET /small HTTP/1.1" 200 5 ') == 30


def test_a_log_whose_reader_has_gone(deaf: tuple[Mirror, "subprocess.Popen[bytes]", int]) -> None:
    """It goes on answering, and ends when it is told."""
    _, process, port = deaf
    assert process.stderr is not None
    process.stderr.close()
    chatter(port, 30)
    process.terminate()
    assert process.wait(PROMPTLY) == 143


# Not for everybody


PRIVATE = {
    "/private.rpm": 403,
    "/folder/": 403,
    "/folder": 403,
    "/folder/inside": 403,
    "/folder/deeper/inside": 403,
    "/unlisted/": 403,
    "/.git/config": 403,
    "/linked": 403,
    "/unlisted/inside": 200,
    "/small": 200,
}


@pytest.fixture
def private(plain: Mirror) -> Mirror:
    """Some of it is the owner's alone, who runs the server."""
    root = plain.root
    for name in ("private.rpm", ".git/config", "folder/inside", "folder/deeper/inside", "unlisted/inside"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(SECRET)
        (root / name).chmod(0o644)
    (root / "linked").symlink_to("private.rpm")
    (root / "private.rpm").chmod(0o600)
    (root / ".git/config").chmod(0o600)
    (root / "folder").chmod(0o700)
    (root / "unlisted").chmod(0o711)
    return plain


def test_what_is_the_owners_alone_is_403(private: Mirror) -> None:
    """Though the server is the owner; as of servers that have a user of their own."""
    with Serving(private) as serving:
        answers = {target: serving.ask(target) for target in PRIVATE}
        assert {target: answer.status for target, answer in answers.items()} == PRIVATE
        assert not any(SECRET in answer.body for answer in answers.values() if answer.status != 200)
        assert {target: serving.ask(target, "HEAD").status for target in PRIVATE} == PRIVATE


def test_root_itself_may_be_the_owners_alone(private: Mirror) -> None:
    """Who starts a server of it wants it served."""
    with Serving(private) as serving:
        for mode in (0o700, 0o711, 0o755):
            private.root.chmod(mode)
            assert (serving.ask("/").status, serving.ask("/small").status) == (200, 200)


# Other protocols, other addresses


def test_a_websocket_is_not_what_we_have(plain: Mirror) -> None:
    """The request is answered as if it did not ask for one."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with Serving(plain) as serving:
        for target, status in {"/small": 200, "/": 200, "/nowhere": 404}.items():
            with serving.connect() as sock:
                sock.sendall(request(target, **upgrade))
                assert answered(sock).status == status
        assert "Traceback" not in serving.log.read_text()
        assert serving.ask("/small").status == 200


def test_all_addresses_are_of_both_kinds(plain: Mirror) -> None:
    with Serving(plain, bind="::") as serving:
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, serving.port), PROMPTLY) as sock:
                sock.sendall(request("/small"))
                assert answered(sock).body == b"small"


def test_all_addresses_of_ipv4_are_not_of_ipv6(plain: Mirror) -> None:
    with Serving(plain, bind="0.0.0.0") as serving, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("::1", serving.port), PROMPTLY)


# Other users


def test_another_user_is_told_why_there_is_no_status() -> None:
    """What sync knows is its owner's; the page says so, and so does the server as it starts."""
    if os.geteuid() != 0:
        pytest.skip("to become another user needs to be root")
    with open_folder() as folder:
        up = Upstream(folder / "up")
        up.add("one")
        up.publish()
        mirror = Mirror(folder / "mirror")
        mirror.configure({"id": "base", "baseurl": up.url})
        mirror.sync()
        # Of somebody else, for a root that may not pass over modes: a stranger could not read the virtual environment.
        os.chown(mirror.root / ".mirrorpy", 65534, 65534)
        (mirror.root / ".mirrorpy").chmod(0o700)
        with run_serve(mirror) as server:
            assert b"good" in http_request(server, "/")[2]
        stranger = [real_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search", "--"]
        for target in (mirror.config, mirror.temporary):
            target.chmod(0o755)
        with Serving(mirror, prefix=stranger) as serving:
            page = serving.ask("/").body
            assert b"not known to this server" in page
            assert b"never synced" not in page
            assert serving.ask("/base/repodata/repomd.xml").status == 200
            assert any("not readable" in line for line in serving.lines())
