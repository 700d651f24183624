"""file:// as a web server would answer: conditions, ranges, and 404 for everything that is no file."""

import email.utils
import os
import threading
from urllib.parse import quote

import httpx
import pytest

from mirrorpy.upstream.local import FileTransport

DATA = b"0123456789"


class Asker:
    """Asks the transport; httpx's Client would take a URL without a host for a relative one."""

    def get(self, url: str, headers: dict[str, str] | None = None) -> httpx.Response:
        response = FileTransport().handle_request(httpx.Request("GET", url, headers=headers))
        response.read()
        response.close()
        return response


@pytest.fixture
def client() -> Asker:
    return Asker()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(DATA)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return path


def get(client: Asker, path: object, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(f"file://{quote(str(path))}", named)


def test_a_file(client, file):
    got = get(client, file)
    assert (got.status_code, got.content, got.headers["Content-Length"]) == (200, DATA, "10")
    assert got.headers["Last-Modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert email.utils.parsedate_to_datetime(got.headers["Date"]).timestamp() > 1_700_000_000


def test_an_empty_file(client, tmp_path):
    (tmp_path / "empty").touch()
    got = get(client, tmp_path / "empty")
    assert (got.status_code, got.content, got.headers["Content-Length"]) == (200, b"", "0")


@pytest.mark.parametrize("name", ["a b", "a+b", "a%2Bb", "a?b", "a#b", "ü", "a:b", "\udcff"])
def test_names(client, tmp_path, name):
    path = os.fsencode(tmp_path / name)
    with open(path, "wb") as file:
        file.write(DATA)
    assert client.get(f"file://{quote(path)}").content == DATA


def test_conditions(client, file):
    etag = get(client, file).headers["ETag"]
    assert etag.startswith('"')
    got = get(client, file, If_None_Match=etag)
    assert (got.status_code, got.content) == (304, b"")
    assert get(client, file, If_None_Match='"other"').status_code == 200
    file.write_bytes(DATA[::-1])
    assert get(client, file, If_None_Match=etag).content == DATA[::-1]


def test_a_change_within_a_second_is_seen(client, file):
    before = get(client, file).headers["ETag"]
    os.utime(file, ns=(1_000_000_000 * 10**9, 1_000_000_000 * 10**9 + 1))
    assert get(client, file).headers["ETag"] != before


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=0-", 200, DATA, None),
        ("bytes=4-", 206, DATA[4:], "bytes 4-9/10"),
        ("bytes=9-", 206, b"9", "bytes 9-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=99-", 416, b"", "bytes */10"),
        ("bytes=2-5", 200, DATA, None),
        ("bytes=-3", 200, DATA, None),
        ("lines=4-", 200, DATA, None),
    ],
)
def test_ranges(client, file, asked, status, body, content_range):
    got = get(client, file, Range=asked)
    assert (got.status_code, got.content, got.headers.get("Content-Range")) == (status, body, content_range)


def test_if_range(client, file):
    first = get(client, file)
    for validator, status in ((first.headers["ETag"], 206), (first.headers["Last-Modified"], 206), ('"old"', 200)):
        got = get(client, file, Range="bytes=4-", If_Range=validator)
        assert (got.status_code, got.content) == (status, DATA[4:] if status == 206 else DATA)


def test_what_is_not_there(client, tmp_path, file):
    for path in (tmp_path / "absent", file / "below", tmp_path / ("x" * 300), tmp_path / "a\0b"):
        assert get(client, path).status_code == 404


def test_a_folder_a_fifo_and_a_device_are_404_without_hanging(client, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    got = []
    paths = (tmp_path, tmp_path / "fifo", "/dev/zero")
    thread = threading.Thread(target=lambda: got.extend(get(client, path).status_code for path in paths), daemon=True)
    thread.start()
    thread.join(10)
    assert got == [404, 404, 404]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(client, file):
    file.chmod(0)
    assert get(client, file).status_code == 403


def test_a_denial_is_403(client, file, monkeypatch):
    def deny(*_args: object, **_options: object) -> int:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(os, "open", deny)
    assert get(client, file).status_code == 403


def test_hosts(client, file):
    assert client.get(f"file://localhost{file}").content == DATA
    with pytest.raises(httpx.UnsupportedProtocol):
        client.get(f"file://elsewhere{file}")


def test_nothing_stays_open(client, file, tmp_path):
    count = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        etag = get(client, file).headers["ETag"]
        get(client, file, If_None_Match=etag)
        get(client, file, Range="bytes=99-")
        get(client, tmp_path)
        FileTransport().handle_request(httpx.Request("GET", f"file://{file}")).close()
    assert len(os.listdir("/proc/self/fd")) == count


def test_a_folder_in_the_middle_of_a_body(file):
    """A read that fails is httpx's own kind of error."""
    response = FileTransport().handle_request(httpx.Request("GET", f"file://{file}"))
    os.close(response.stream._descriptor)
    with pytest.raises(httpx.ReadError):
        b"".join(response.stream)
    response.stream._descriptor = -1
    response.close()
