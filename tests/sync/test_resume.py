"""Downloads that break, and go on where they broke: in the same run, in the next, and never on trust."""

import os
import re
from pathlib import Path

import httpx
import pytest

from tests.simulator import REPOMD, Reply, Repo, Simulator, cut, digest, status, with_headers

from .mirror import Mirror, flip

CONTENT = bytes(range(250)) * 1200
SIZE = len(CONTENT)
HALF = 100_000
RESET = httpx.ReadError("[Errno 104] Connection reset by peer")


@pytest.fixture
def big(repo: Repo) -> str:
    """A package that takes more than one block."""
    href = repo.add("big", CONTENT)
    repo.publish()
    return href


def _ranges(repo: Repo, href: str) -> list[str | None]:
    return [seen.headers.get("Range") for seen in repo.seen(href)]


BREAKS = {
    "reset": cut(HALF, RESET),
    "timeout": cut(HALF, httpx.ReadTimeout("timed out")),
    "chunking": cut(HALF, httpx.RemoteProtocolError("incomplete chunked read")),
    "early end": cut(HALF, httpx.RemoteProtocolError("peer closed connection without sending complete message body")),
    "no length": cut(HALF, None, Content_Length=None),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_body_is_resumed(mirror: Mirror, repo: Repo, big: str, name: str) -> None:
    repo.fail(big, BREAKS[name])

    report = mirror.updates(repo)

    first, second = repo.seen(big)
    assert "Range" not in first.headers
    assert second.headers["Range"] == f"bytes={HALF}-"
    assert second.headers["If-Range"].startswith('"')
    assert (first.taken, second.taken) == (HALF, SIZE - HALF)
    assert mirror.tree() == repo.tree()
    assert report.downloaded.bytes == sum(len(body) for path, body in repo.tree().items() if path != REPOMD)


def test_a_body_that_breaks_again_and_again(mirror: Mirror, repo: Repo, big: str) -> None:
    repo.fail(big, *[cut(50_000, RESET)] * 5)

    mirror.updates(repo)

    assert _ranges(repo, big) == [None, *(f"bytes={start}-" for start in range(50_000, SIZE, 50_000))]
    assert mirror.tree() == repo.tree()


def test_a_metadata_record_is_resumed_too(mirror: Mirror, repo: Repo) -> None:
    href = repo.records["primary"]
    repo.fail(href, cut(100, RESET))

    mirror.updates(repo)

    assert _ranges(repo, href) == [None, "bytes=100-"]


def test_a_file_without_a_size_is_resumed_too(mirror: Mirror, repo: Repo) -> None:
    href = repo.add("sizeless", CONTENT, size="")
    repo.publish()
    repo.fail(href, cut(HALF, RESET))

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert _ranges(repo, href) == [None, f"bytes={HALF}-"]


def test_without_an_etag_the_date_guards(mirror: Mirror, repo: Repo, big: str, simulator: Simulator) -> None:
    simulator.etags = False
    repo.fail(big, cut(HALF, RESET))

    mirror.updates(repo)

    assert repo.seen(big)[1].headers["If-Range"].endswith("GMT")
    assert mirror.tree() == repo.tree()


def test_a_weak_etag_guards_nothing(mirror: Mirror, repo: Repo, big: str) -> None:
    """If-Range takes no weak validator (RFC 9110, 13.1.5)."""
    repo.fail(big, cut(HALF, RESET, ETag='W/"x"'))

    mirror.updates(repo)

    assert not repo.seen(big)[1].headers.get("If-Range", "").startswith("W/")
    assert mirror.tree() == repo.tree()


def test_a_server_without_ranges_sends_all_again(mirror: Mirror, repo: Repo, big: str, simulator: Simulator) -> None:
    simulator.ranges = False
    repo.fail(big, cut(HALF, RESET))

    mirror.updates(repo)

    assert [seen.taken for seen in repo.seen(big)] == [HALF, SIZE]
    assert mirror.tree() == repo.tree()


WRONG_RANGES = {
    "none": with_headers(Content_Range=None),
    "from the start": with_headers(Content_Range=f"bytes 0-{SIZE - 1}/{SIZE}"),
    "one later": with_headers(Content_Range=f"bytes {HALF + 1}-{SIZE - 1}/{SIZE}"),
    "one earlier": with_headers(Content_Range=f"bytes {HALF - 1}-{SIZE - 1}/{SIZE}"),
    "other total": with_headers(Content_Range=f"bytes {HALF}-{SIZE}/{SIZE + 1}"),
    "other unit": with_headers(Content_Range=f"lines {HALF}-{SIZE - 1}/{SIZE}"),
    "garbage": with_headers(Content_Range="bytes"),
    "lie": lambda _request, reply: Reply(206, reply.headers, [CONTENT]),
    "unsatisfiable": status(416, Content_Range=f"bytes */{HALF}"),
}


@pytest.mark.parametrize("name", WRONG_RANGES)
def test_a_wrong_part_is_not_taken(mirror: Mirror, repo: Repo, big: str, name: str) -> None:
    repo.fail(big, cut(HALF, RESET), WRONG_RANGES[name])

    report = mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert _ranges(repo, big)[1:] == [f"bytes={HALF}-", None]
    assert report.retries <= 2


@pytest.mark.parametrize("name", ["none", "garbage", "other total", "unsatisfiable"])
def test_a_server_that_never_gives_a_right_part(mirror: Mirror, repo: Repo, big: str, name: str) -> None:
    """Each whole answer breaks, each part is wrong: an end has to be found."""

    def fault(request: httpx.Request, reply: Reply) -> Reply:
        return WRONG_RANGES[name](request, reply) if "Range" in request.headers else cut(HALF, RESET)(request, reply)

    repo.fail(big, fault, always=True)

    mirror.fails(3, repo, retries=3)

    assert len(repo.seen(big)) < 12


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Range": f"bytes 0-{SIZE - 1}/{SIZE}"},
        {"Content_Type": "multipart/byteranges; boundary=x"},
        {},
    ],
)
def test_a_part_that_nobody_asked_for(mirror: Mirror, repo: Repo, big: str, headers: dict[str, str]) -> None:
    def fault(_request: httpx.Request, reply: Reply) -> Reply:
        return Reply(
            206, {**reply.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}, [CONTENT]
        )

    repo.fail(big, fault, always=True)

    assert big in mirror.fails(3, repo)


def test_many_parts_at_once(mirror: Mirror, repo: Repo, big: str) -> None:
    repo.fail(big, cut(HALF, RESET), with_headers(Content_Type="multipart/byteranges; boundary=x"), always=False)

    message = mirror.fails(3, repo, retries=1)

    assert big in message


def test_a_file_that_changes_during_a_resume(mirror: Mirror, repo: Repo, big: str) -> None:
    """The first part is another version's; If-Range makes the server send the whole right one."""
    right = CONTENT
    repo.put(big, flip(CONTENT))

    def first(request: httpx.Request, reply: Reply) -> Reply:
        answer = cut(HALF, RESET)(request, reply)
        repo.put(big, right)
        return answer

    repo.fail(big, first)

    mirror.updates(repo)

    assert [seen.taken for seen in repo.seen(big)] == [HALF, SIZE]
    assert mirror.tree() == repo.tree()


def test_a_mixture_of_two_versions_costs_one_restart(
    mirror: Mirror, repo: Repo, big: str, simulator: Simulator
) -> None:
    """The server's validators do not tell the versions apart; the checksum does."""
    simulator.etags = False
    repo.put(big, flip(CONTENT))

    def first(request: httpx.Request, reply: Reply) -> Reply:
        answer = cut(HALF, RESET)(request, reply)
        repo.put(big, CONTENT)
        return answer

    repo.fail(big, first)

    mirror.updates(repo)

    assert _ranges(repo, big) == [None, f"bytes={HALF}-", None]
    assert mirror.tree() == repo.tree()


def test_a_file_that_changes_for_good_is_wrong(mirror: Mirror, repo: Repo, big: str) -> None:
    def first(request: httpx.Request, reply: Reply) -> Reply:
        answer = cut(HALF, RESET)(request, reply)
        repo.put(big, flip(CONTENT))
        return answer

    repo.fail(big, first)

    mirror.fails(4, repo)

    assert len(repo.seen(big)) <= 3


# What an earlier run left


def _broken(mirror: Mirror, repo: Repo, href: str) -> Path:
    """Let a run end in the middle of a file; return what it left."""
    repo.fail(href, cut(HALF, RESET), status(403), always=False)
    mirror.fails(3, repo)
    (left,) = (path for path in Path(mirror.layout.state, "incoming").rglob("*-*") if path.stat().st_size == HALF)
    repo.asked()
    return left


@pytest.mark.parametrize("checksum", ["sha256", "sha512", "sha1", "md5"])
def test_the_next_run_goes_on(mirror: Mirror, repo: Repo, big: str, checksum: str) -> None:
    repo.publish(checksum=checksum)
    _broken(mirror, repo, big)

    report = mirror.updates(repo)

    (request,) = repo.seen(big)
    assert request.headers["Range"] == f"bytes={HALF}-"
    assert request.taken == SIZE - HALF
    assert report.downloaded.bytes == SIZE - HALF
    assert mirror.tree() == repo.tree()


LEFTOVERS = {
    "wrong beginning": (flip(CONTENT)[:HALF], 2),
    "wrong, whole": (flip(CONTENT), 1),
    "too long": (CONTENT + b"x", 1),
    "empty": (b"", 1),
    "right, whole": (CONTENT, 0),
    "one byte short": (CONTENT[:-1], 1),
}


@pytest.mark.parametrize("name", LEFTOVERS)
@pytest.mark.parametrize("mode", [0o600, 0o444])
def test_a_leftover_is_not_trusted(mirror: Mirror, repo: Repo, big: str, name: str, mode: int) -> None:
    left = _broken(mirror, repo, big)
    content, requests = LEFTOVERS[name]
    left.write_bytes(content)
    left.chmod(mode)

    report = mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    # A whole one that is not read-only never got upstream's time; its last byte is asked for again.
    untimed = len(content) == SIZE and mode == 0o600
    requests += untimed
    assert len(repo.seen(big)) == requests
    assert report.downloaded.files == (requests > 0)


def test_a_whole_leftover_of_unknown_size(mirror: Mirror, repo: Repo) -> None:
    href = repo.add("sizeless", CONTENT, size="")
    repo.publish()
    left = _broken(mirror, repo, href)
    left.write_bytes(CONTENT)

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()


def test_a_wrong_leftover_of_unknown_size(mirror: Mirror, repo: Repo) -> None:
    href = repo.add("sizeless", CONTENT, size="")
    repo.publish()
    left = _broken(mirror, repo, href)
    left.write_bytes(flip(CONTENT) + b"and more")

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()


def test_leftovers_that_nobody_wants_are_swept(mirror: Mirror, repo: Repo, big: str) -> None:
    left = _broken(mirror, repo, big)
    repo.remove(big)
    repo.publish()

    mirror.updates(repo)

    assert not left.exists()
    assert list(left.parent.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_a_leftover_that_is_no_file(mirror: Mirror, repo: Repo, big: str, kind: str, tmp_path: Path) -> None:
    left = _broken(mirror, repo, big)
    victim = tmp_path / "victim"
    victim.write_bytes(b"not ours")
    left.unlink()
    match kind:
        case "link":
            left.symlink_to(victim)
        case "fifo":
            os.mkfifo(left)
        case _:
            left.mkdir()

    mirror.fails(6, repo)

    assert victim.read_bytes() == b"not ours"


def test_leftovers_name_no_file_of_clients(mirror: Mirror, repo: Repo, big: str) -> None:
    mirror.updates(repo)
    again = repo.add("again", CONTENT[::-1])
    repo.publish()
    left = _broken(mirror, repo, again)

    assert digest(CONTENT[::-1]) in left.name
    assert not any(re.search("new|tmp|part", name) for name in mirror.tree())
    assert sorted(os.listdir(mirror.root)) == sorted([".mirrorpy", "repo", *mirror.generations()])
