"""What servers and networks do wrong: what is retried, what is not, and what is told."""

import email.utils
import gzip
import itertools
import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mirrorpy.config.model import Connection
from mirrorpy.upstream.document import DOCUMENT_CAP, SIGNATURE_CAP
from mirrorpy.upstream.network import Patience
from tests.simulator import BLOCK, REPOMD, Fault, Reply, Repo, Simulator, status, with_headers, wrong

from .mirror import Mirror, flip, packages

BASH = "Packages/bash-1-1.noarch.rpm"
TRANSIENT: dict[str, Fault] = {
    **{str(code): status(code) for code in (408, 429, 500, 502, 503, 504)},
    "refused": httpx.ConnectError("[Errno 111] Connection refused"),
    "no such host": httpx.ConnectError("[Errno -2] Name or service not known"),
    "connect timeout": httpx.ConnectTimeout("timed out"),
    "read timeout": httpx.ReadTimeout("timed out"),
    "reset": httpx.ReadError("[Errno 104] Connection reset by peer"),
    "garbage": httpx.RemoteProtocolError("illegal status line"),
    "write": httpx.WriteError("broken pipe"),
    "proxy": httpx.ProxyError("502 Bad Gateway"),
}
FINAL: dict[str, Fault] = {
    **{str(code): status(code) for code in (204, 400, 401, 403, 404, 405, 407, 410, 418, 451)},
    "certificate": httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired"),
}


@pytest.mark.parametrize("name", TRANSIENT)
@pytest.mark.parametrize("what", ["repomd", "primary", "package"])
def test_what_may_heal_is_retried(mirror: Mirror, repo: Repo, name: str, what: str) -> None:
    href = {"repomd": REPOMD, "primary": repo.records["primary"], "package": BASH}[what]
    repo.fail(href, TRANSIENT[name], TRANSIENT[name])

    report = mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert repo.asked().count(href) == 3
    assert report.retries == 2
    assert report.requests == 8


@pytest.mark.parametrize("name", TRANSIENT)
@pytest.mark.parametrize("href", [REPOMD, BASH])
def test_what_does_not_heal_is_given_up(mirror: Mirror, repo: Repo, name: str, href: str) -> None:
    repo.fail(href, TRANSIENT[name], always=True)

    message = mirror.fails(3, repo, retries=3)

    assert repo.url + href in message
    assert repo.asked().count(href) == 4


@pytest.mark.parametrize("name", FINAL)
@pytest.mark.parametrize("href", [REPOMD, BASH])
def test_what_is_final_is_not_retried(mirror: Mirror, repo: Repo, name: str, href: str) -> None:
    repo.fail(href, FINAL[name], always=True)

    message = mirror.fails(3, repo)

    assert repo.url + href in message
    assert repo.asked().count(href) == 1


def test_every_second_answer_is_500(mirror: Mirror, simulator: Simulator) -> None:
    repo = simulator.repository("https://up.test/repo/")
    for number in range(40):
        repo.add(f"p{number}")
    repo.publish()
    asked: dict[str, int] = {}

    def weather(request: httpx.Request) -> Fault | None:
        url = str(request.url)
        asked[url] = asked.get(url, 0) + 1
        return status(500) if random.Random(f"{url} {asked[url]}").random() < 0.5 else None

    simulator.weather = weather
    report = mirror.updates(repo, retries=20)

    assert mirror.tree() == repo.tree()
    assert report.retries > 20


def test_everything_is_500(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    mirror.updates(repo)
    simulator.weather = lambda _request: status(500)

    assert "500" in mirror.fails(3, repo)


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("0", 0, 1),
        ("1000000000", 100, 100),
        ("99999999999999999999999999", 100, 100),
        ("in 30 s", 28, 30),
        ("in -30 s", 0, 1),
        ("in 1000000 s", 100, 100),
        ("-5", 0, 1),
        ("soon", 0, 1),
        ("", 0, 1),
    ],
)
def test_retry_after(
    mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch, code: int, asked: str, least: float, most: float
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    mirror.patience = Patience(first=0.001, most=0.01, retry_after_most=100)
    if asked.startswith("in "):
        asked = email.utils.formatdate(time.time() + float(asked.split()[1]), usegmt=True)
    repo.fail(REPOMD, status(code, Retry_After=asked))

    mirror.updates(repo)

    assert len(slept) == 1
    assert least <= slept[0] <= most


def test_backoff_grows_to_its_bound(mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    mirror.patience = Patience(first=1, most=10)
    repo.fail(REPOMD, *[status(500)] * 9)

    mirror.updates(repo, retries=9)

    bounds = [1, 2, 4, 8, 10, 10, 10, 10, 10]
    assert all(bound / 2 <= seconds <= bound for seconds, bound in zip(slept, bounds, strict=True))


def test_a_lacking_package_leaves_the_rest_in_the_pool(mirror: Mirror, repo: Repo) -> None:
    for number in range(10):
        repo.add(f"p{number}")
    repo.publish()
    mirror.updates(repo)
    for number in range(10):
        repo.add(f"q{number}")
    lost = repo.packages["Packages/q3-1-1.noarch.rpm"].content
    repo.drop("Packages/q3-1-1.noarch.rpm")
    repo.publish()
    repo.asked()

    message = mirror.fails(3, repo)
    assert "q3" in message
    assert len(packages(repo.asked())) == 10

    repo.put("Packages/q3-1-1.noarch.rpm", lost)
    report = mirror.updates(repo)
    assert packages(repo.asked()) == ["Packages/q3-1-1.noarch.rpm"]
    assert report.downloaded.files == 1
    assert mirror.tree().items() >= repo.tree().items()


def test_many_failures_are_counted_in_one_line(mirror: Mirror, repo: Repo) -> None:
    for number in range(5):
        repo.drop(repo.add(f"p{number}"))
    repo.publish()

    assert "4 more" in mirror.fails(3, repo)


def test_an_upstream_that_dies_is_not_asked_for_every_file(mirror: Mirror, simulator: Simulator) -> None:
    repo = simulator.repository("https://up.test/repo/")
    hrefs = [repo.add(f"p{number}") for number in range(200)]
    repo.publish()
    for href in hrefs:
        repo.fail(href, httpx.ConnectError("refused"), always=True)

    mirror.fails(3, repo, retries=1)

    assert len(packages(repo.asked())) < 100


# Bodies that are not what was promised


@pytest.mark.parametrize("length", [None, "1000"])
def test_body_too_long_is_stopped(mirror: Mirror, repo: Repo, length: str | None) -> None:
    def endless(_request: httpx.Request, reply: Reply) -> Reply:
        return Reply(200, {"Content-Length": length} if length else {}, itertools.repeat(bytes(BLOCK)))

    repo.fail(BASH, endless, always=True)

    assert BASH in mirror.fails(4, repo)

    assert sum(seen.taken for seen in repo.seen(BASH)) <= BLOCK


@pytest.mark.parametrize("length", ["999", "1001", "0"])
@pytest.mark.parametrize("what", ["primary", "package"])
def test_a_wrong_length_is_refused_before_the_body(mirror: Mirror, repo: Repo, length: str, what: str) -> None:
    href = repo.records["primary"] if what == "primary" else BASH
    repo.fail(href, with_headers(Content_Length=length), always=True)

    assert href in mirror.fails(4, repo)

    assert [seen.taken for seen in repo.seen(href)] == [0]


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "br"])
@pytest.mark.parametrize("compression", ["gz", "none"])
def test_a_stray_content_encoding_changes_no_byte(
    mirror: Mirror, repo: Repo, simulator: Simulator, encoding: str, compression: str
) -> None:
    repo.publish(compression=compression)
    simulator.weather = lambda _request: with_headers(Content_Encoding=encoding)

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert {seen.headers["Accept-Encoding"] for seen in simulator.requests} == {"identity"}


def test_a_body_compressed_twice(mirror: Mirror, repo: Repo) -> None:
    href = repo.records["primary"]
    repo.put(href, gzip.compress(repo.read(href)))

    mirror.fails(4, repo)


PAGE = b"<!DOCTYPE html><html><body>Please sign in</body></html>"


@pytest.mark.parametrize("page", [PAGE, PAGE * 100, PAGE + bytes(1000 - len(PAGE))])
@pytest.mark.parametrize("what", ["primary", "package"])
def test_a_page_instead_of_a_file(mirror: Mirror, repo: Repo, page: bytes, what: str) -> None:
    href = repo.records["primary"] if what == "primary" else BASH
    repo.fail(href, wrong(page, Content_Type="text/html"), always=True)

    assert href in mirror.fails(4, repo)


def test_endless_repomd_is_capped(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    repo.asked()
    repo.fail(REPOMD, lambda _request, _reply: Reply(200, {}, itertools.repeat(bytes(BLOCK))), always=True)

    assert REPOMD in mirror.fails(4, repo)

    assert [seen.taken for seen in repo.seen(REPOMD)] == [DOCUMENT_CAP + BLOCK]


def test_endless_signature_is_capped(mirror: Mirror, repo: Repo) -> None:
    name = f"{REPOMD}.asc"
    repo.put(name, b"-----BEGIN")
    repo.fail(name, lambda _request, _reply: Reply(200, {}, itertools.repeat(bytes(1024))), always=True)

    assert name in mirror.fails(4, repo)

    assert [seen.taken for seen in repo.seen(name)] == [SIGNATURE_CAP + 1024]


@pytest.mark.parametrize("href", [REPOMD, BASH])
def test_a_drip_feed_is_a_stall(mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch, href: str) -> None:
    monkeypatch.setattr("mirrorpy.upstream.transfer.FLOOR_WINDOW", 0.02)

    def drip(_request: httpx.Request, reply: Reply) -> Reply:
        whole = b"".join(part for part in reply.body if isinstance(part, bytes))

        def body() -> Iterator[bytes]:
            for byte in whole:
                time.sleep(0.003)
                yield bytes([byte])

        return Reply(reply.status, reply.headers, body())

    repo.fail(href, drip, drip)

    assert "stalled" in mirror.fails(3, repo, minrate=10**6, retries=1)

    repo.fail(href, drip)
    mirror.updates(repo, minrate=10**6, retries=1)
    assert mirror.tree() == repo.tree()


def test_not_modified_to_a_first_question(mirror: Mirror, repo: Repo) -> None:
    repo.fail(REPOMD, status(304), always=True)

    mirror.fails(3, repo)


@pytest.mark.parametrize("code", [204, 205, 304, 206, 416])
@pytest.mark.parametrize("size", [None, ""])
def test_no_body_is_no_empty_file(mirror: Mirror, repo: Repo, code: int, size: str | None) -> None:
    href = repo.add("sized or not", size=size)
    repo.publish()
    repo.fail(href, status(code), always=True)

    assert "sized" in mirror.fails(3, repo)


@pytest.mark.parametrize("code", [401, 403])
def test_a_signature_that_is_forbidden_is_none(mirror: Mirror, repo: Repo, code: int) -> None:
    """Some hosts answer 403 for what is not there."""
    repo.fail(f"{REPOMD}.asc", status(code), always=True)

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()


# Redirects


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["https://cdn.test/x", "//cdn.test/x", "/elsewhere", "elsewhere"])
def test_redirects_are_followed(mirror: Mirror, repo: Repo, simulator: Simulator, code: int, target: str) -> None:
    content = repo.read(BASH)
    for url in ("https://cdn.test/x", "https://up.test/elsewhere", "https://up.test/repo/Packages/elsewhere"):
        simulator.put(url, content)
    repo.fail(BASH, status(code, Location=target))

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert len(repo.seen(BASH)) == 1


@pytest.mark.parametrize(
    "target",
    [
        "http://up.test/repo/x",
        "http://cdn.test/x",
        "file:///etc/passwd",
        "ftp://up.test/x",
        "data:text/plain,x",
        "gopher://x/",
        "",
        None,
        "https://[bad/",
        "https://cdn.test:port/",
    ],
)
@pytest.mark.parametrize("href", [REPOMD, BASH])
def test_redirects_that_are_refused(
    mirror: Mirror, repo: Repo, simulator: Simulator, target: str | None, href: str
) -> None:
    simulator.put("http://up.test/repo/x", repo.read(href))
    simulator.put("http://cdn.test/x", repo.read(href))
    repo.fail(href, status(302, **({} if target is None else {"Location": target})), always=True)

    mirror.fails(3, repo)

    assert {httpx.URL(seen.url).scheme for seen in simulator.requests} == {"https"}
    assert {seen.url for seen in simulator.requests if "up.test" not in seen.url} == set()


def test_redirects_in_a_circle(mirror: Mirror, repo: Repo) -> None:
    repo.fail(REPOMD, status(302, Location="https://up.test/repo/" + REPOMD), always=True)

    mirror.fails(3, repo, retries=0)

    assert len(repo.asked()) < 30


SECRETS = {"username": "user", "password": "pa55word", "headers": (("X-Token", "t0ken"),)}
HIDDEN = ("pa55word", "t0ken", "cGE1NXdvcmQ", "s3cret", "dXNlcjpwYTU1d29yZA")


@pytest.mark.parametrize(
    ("target", "shared"),
    [
        ("https://up.test/other", True),
        ("https://up.test:443/other", True),
        ("https://cdn.test/other", False),
        ("https://up.test:8443/other", False),
        ("https://up.test.evil.test/other", False),
        ("https://sub.up.test/other", False),
    ],
)
def test_secrets_stay_with_their_host(
    mirror: Mirror, repo: Repo, simulator: Simulator, target: str, shared: bool
) -> None:
    simulator.put(target.replace(":443", ""), repo.read(BASH))
    repo.fail(BASH, status(302, Location=target))

    mirror.updates(repo, connection=Connection(**SECRETS))

    (request,) = (seen for seen in simulator.requests if seen.url.endswith("/other"))
    assert ("Authorization" in request.headers) == shared
    assert ("X-Token" in request.headers) == shared
    (request,) = repo.seen(BASH)
    assert request.headers["Authorization"].startswith("Basic ")
    assert request.headers["X-Token"] == "t0ken"


@pytest.mark.parametrize("target", ["https://cdn.test/other", "https://up.test:8443/other"])
def test_secrets_of_a_url_stay_with_their_host(mirror: Mirror, repo: Repo, simulator: Simulator, target: str) -> None:
    simulator.put(target, repo.read(BASH))
    repo.fail(BASH, status(302, Location=target))

    mirror.updates("https://user:s3cret@up.test/repo/")

    (request,) = (seen for seen in simulator.requests if seen.url.endswith("/other"))
    assert "Authorization" not in request.headers
    assert all("Authorization" in seen.headers for seen in simulator.requests if seen is not request)


def test_a_host_that_moves_to_https_keeps_its_secrets(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    plain = simulator.repository("http://up.test/repo/")
    for href in repo.hrefs():
        plain.fail(href, status(301, Location=repo.url + href), always=True)
    plain.fail(f"{REPOMD}.asc", status(404), always=True)

    mirror.updates(plain, connection=Connection(**SECRETS))

    assert mirror.tree() == repo.tree()
    assert all("X-Token" in seen.headers for seen in simulator.requests)


def _said(mirror: Mirror, caplog: pytest.LogCaptureFixture, *reports: object) -> str:
    """Return everything that was said, logged or written down; httpx's own log is not mirrorpy's and goes nowhere."""
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("mirrorpy")]
    written = [
        path.read_text() for path in Path(mirror.layout.repos).rglob("*") if path.is_file() and path.suffix == ".json"
    ]
    return "\n".join([*logged, *written, *map(str, reports)])


TELLING: dict[str, Fault] = {
    **FINAL,
    **TRANSIENT,
    "ftp": status(302, Location="ftp://user:s3cret@up.test/x"),
    "token": status(302, Location="https://user:s3cret@up.test/x?token=s3cret"),
    "page": wrong(b"<html>"),
}


@pytest.mark.parametrize("name", TELLING)
@pytest.mark.parametrize("href", [REPOMD, BASH])
def test_failures_tell_no_secret(
    mirror: Mirror, repo: Repo, caplog: pytest.LogCaptureFixture, name: str, href: str
) -> None:
    caplog.set_level(logging.DEBUG)
    repo.fail(href, TELLING[name], always=True)

    report = mirror.sync("https://user:s3cret@up.test/repo/", connection=Connection(headers=SECRETS["headers"]))
    again = mirror.sync(repo, connection=Connection(**SECRETS))

    assert report.error is not None
    said = _said(mirror, caplog, report, again)
    assert not [secret for secret in HIDDEN if secret in said]
    assert "up.test" in said


def test_successes_tell_no_secret(mirror: Mirror, repo: Repo, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = "https://user:s3cret@up.test/repo/"

    reports = [mirror.updates(url), mirror.stays(url)]

    said = _said(mirror, caplog, *reports)
    assert not [secret for secret in HIDDEN if secret in said]


def test_lagging_mirrors_are_named_without_their_secrets(
    mirror: Mirror, repo: Repo, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    simulator.mirror(repo, "https://old.test/")
    repo.add("fish")
    repo.publish()
    mirror.updates(repo)

    report = mirror.stays("https://user:s3cret@old.test/")

    assert "old.test" in str(report.warnings)
    said = _said(mirror, caplog, report)
    assert not [secret for secret in HIDDEN if secret in said]


def test_a_list_of_mirrors_behind_a_token(
    mirror: Mirror, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    message = mirror.fails(3, mirrorlist="https://user:s3cret@lists.test/mirrors?token=s3cret")

    assert "s3cret" not in _said(mirror, caplog, message)
    assert "lists.test/mirrors" in message


def test_wrong_package_of_the_right_size(mirror: Mirror, repo: Repo) -> None:
    repo.put(BASH, flip(repo.read(BASH)))

    message = mirror.fails(4, repo)

    assert BASH in message
    assert "checksum" in message
    assert len(repo.seen(BASH)) == 1
