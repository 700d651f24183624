"""Several mirrors: baseurls in order, mirrorlists, metalinks, and mirrors that lag, lack or lie."""

import calendar
import hashlib
import re
import time

import httpx
import pytest

from mirrorpy.sync.report import Options
from tests.simulator import REPOMD, Repo, Simulator, cut, status, wrong

from .mirror import HOUR, Mirror, configured, flip, packages

BASH = "Packages/bash-1-1.noarch.rpm"
ZSH = "Packages/zsh-1-1.noarch.rpm"
LIST = "https://lists.test/mirrors"


@pytest.fixture
def second(repo: Repo, simulator: Simulator) -> Repo:
    """A mirror of the same upstream, on another host."""
    return simulator.mirror(repo, "https://second.test/pub/")


def test_the_first_mirror_does_it_all(mirror: Mirror, repo: Repo, second: Repo) -> None:
    mirror.updates(repo, second)

    assert mirror.tree() == repo.tree()
    assert second.asked() == []


DOWN = {
    "refused": httpx.ConnectError("refused"),
    "hangs": httpx.ConnectTimeout("hangs"),
    **{str(code): status(code) for code in (500, 503, 404, 403)},
}


@pytest.mark.parametrize("name", [*DOWN, "page"])
def test_a_first_mirror_without_repomd_is_passed_over(mirror: Mirror, repo: Repo, second: Repo, name: str) -> None:
    repo.fail(REPOMD, DOWN.get(name, wrong(b"<html>")), always=True)

    report = mirror.updates(repo, second)

    assert mirror.tree() == second.tree()
    assert repo.asked() == [REPOMD]
    assert report.upstream == second.url


@pytest.mark.parametrize("name", ["refused", "500"])
def test_a_first_mirror_that_cannot_tell_of_a_signature_is_passed_over(
    mirror: Mirror, repo: Repo, second: Repo, name: str
) -> None:
    repo.fail(f"{REPOMD}.asc", DOWN[name], always=True)

    mirror.updates(repo, second)

    assert mirror.tree() == repo.tree()


WRONG = {"short": wrong(b"short"), "other bytes": wrong(bytes(1000)), "long": wrong(bytes(2000))}


@pytest.mark.parametrize("name", [*DOWN, *WRONG])
def test_each_file_fails_over_by_itself(mirror: Mirror, repo: Repo, second: Repo, name: str) -> None:
    repo.fail(BASH, (DOWN | WRONG)[name], always=True)

    report = mirror.updates(repo, second)

    assert mirror.tree() == repo.tree()
    assert second.asked().count(BASH) == 1
    assert repo.asked().count(BASH) == 1
    assert report.downloaded.files == 4


def test_no_mirror_has_everything_but_together_they_do(mirror: Mirror, repo: Repo, second: Repo) -> None:
    repo.drop(BASH)
    second.drop(ZSH)
    second.drop(repo.records["filelists"])

    mirror.updates(repo, second)

    assert mirror.tree().keys() == {*repo.packages, *repo.records.values(), REPOMD}


def test_a_resumed_file_may_end_from_another_mirror(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    href = repo.add("big", bytes(range(250)) * 1000)
    repo.publish()
    second = simulator.mirror(repo, "https://second.test/pub/")
    repo.fail(href, cut(100_000, httpx.ReadError("reset")), always=True)

    mirror.updates(repo, second)

    (request,) = second.seen(href)
    assert request.headers["Range"] == "bytes=100000-"
    assert "If-Range" not in request.headers  # the first mirror's name for it says nothing here
    assert request.taken == 150_000
    assert mirror.tree() == repo.tree()


def test_all_mirrors_fail_and_each_is_named(mirror: Mirror, repo: Repo, second: Repo) -> None:
    repo.fail(BASH, status(404), always=True)
    second.fail(BASH, httpx.ConnectError("refused"), always=True)

    message = mirror.fails(3, repo, second)

    assert "up.test" in message
    assert "second.test" in message


def test_wrong_bytes_weigh_more_than_none(mirror: Mirror, repo: Repo, second: Repo) -> None:
    repo.fail(BASH, wrong(bytes(1000)), always=True)
    second.fail(BASH, status(404), always=True)

    message = mirror.fails(4, repo, second)

    assert "up.test" in message
    assert "second.test" in message


def test_a_dead_mirror_is_not_asked_for_every_file(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    for number in range(60):
        repo.add(f"p{number}")
    repo.publish()
    second = simulator.mirror(repo, "https://second.test/pub/")
    for href in repo.hrefs():
        if href != REPOMD:
            repo.fail(href, httpx.ConnectError("refused"), always=True)

    mirror.updates(repo, second)

    assert len(repo.asked()) < 20


def test_mirrorlist(mirror: Mirror, repo: Repo, second: Repo, simulator: Simulator) -> None:
    text = f"# comment\n\nrsync://no.test/x\nhttps://dead.test/$releasever/\n{second.url}\n{repo.url}\n"
    simulator.put(LIST, text.encode())
    simulator.fail("https://dead.test/9/" + REPOMD, httpx.ConnectError("no such host"), always=True)

    report = mirror.updates(mirrorlist=LIST, vars=(("releasever", "9"),))

    assert mirror.tree() == repo.tree()
    assert report.upstream == second.url
    assert repo.asked() == []
    simulator.requests.clear()
    mirror.stays(mirrorlist=LIST, vars=(("releasever", "9"),))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"# repo = x arch = y error: invalid repo or arch\n", "invalid repo or arch"),
        (b"<!DOCTYPE html><html><body>Welcome</body></html>", ""),
        (b"<html>Welcome</html>", ""),
        (b"", ""),
        (b"ftp://no.test/\n", ""),
    ],
)
def test_bad_mirrorlist(mirror: Mirror, repo: Repo, simulator: Simulator, body: bytes, words: str) -> None:
    mirror.updates(repo)
    simulator.put(LIST, body)

    message = mirror.fails(4, mirrorlist=LIST)

    assert words in message
    assert LIST in message


ODD_URLS = ["https://[bad/", "https:///x", "https://", "https://a:99999999/", "https://xn--a/", "http://a b/"]


@pytest.mark.parametrize("url", ODD_URLS)
@pytest.mark.parametrize("alone", [True, False])
def test_a_line_that_is_no_url(mirror: Mirror, repo: Repo, simulator: Simulator, url: str, alone: bool) -> None:
    """A list is as good as its good lines."""
    simulator.put(LIST, f"{url}\n{'' if alone else repo.url}\n".encode())

    report = mirror.sync(mirrorlist=LIST)

    if alone:
        assert report.error is not None
        assert report.error.exit in (3, 4), report.error.message
    else:
        assert report.error is None, report.error
        assert mirror.tree() == repo.tree()


def test_mirrorlist_that_cannot_be_had(mirror: Mirror, simulator: Simulator) -> None:
    assert LIST in mirror.fails(3, mirrorlist=LIST)
    simulator.fail(LIST, httpx.ConnectError("refused"), status(503), always=False)
    assert LIST in mirror.fails(3, mirrorlist=LIST)


def _metalink(pinned: bytes, *repos: Repo, alternates: tuple[bytes, ...] = (), kind: str = "sha256") -> bytes:
    def pin(data: bytes) -> str:
        value = hashlib.new(kind, data).hexdigest()
        return (
            f"<mm0:timestamp>1</mm0:timestamp><size>{len(data)}</size>"
            f'<verification><hash type="{kind}">{value}</hash></verification>'
        )

    others = "".join(f"<mm0:alternate>{pin(data)}</mm0:alternate>" for data in alternates)
    urls = "".join(
        f'<url protocol="https" preference="{100 - index}">{repo.url}{REPOMD}</url>' for index, repo in enumerate(repos)
    )
    return (
        '<?xml version="1.0"?><metalink version="3.0" xmlns="http://www.metalinker.org/"'
        ' xmlns:mm0="http://fedorahosted.org/mirrormanager"><files><file name="repomd.xml">'
        f"{pin(pinned)}<mm0:alternates>{others}</mm0:alternates>"
        f'<resources maxconnections="1"><url protocol="rsync" preference="100">rsync://x.test/{REPOMD}</url>{urls}'
        "</resources></file></files></metalink>"
    ).encode()


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512"])
@pytest.mark.parametrize("setting", ["metalink", "mirrorlist"])
def test_metalink(mirror: Mirror, repo: Repo, second: Repo, simulator: Simulator, kind: str, setting: str) -> None:
    simulator.put(LIST, _metalink(repo.read(REPOMD), second, repo, kind=kind))

    report = mirror.updates(**{setting: LIST})

    assert mirror.tree() == repo.tree()
    assert report.upstream == second.url
    simulator.requests.clear()
    report = mirror.stays(**{setting: LIST})
    assert [seen.url for seen in simulator.requests] == [LIST, second.url + REPOMD]
    assert report.requests == 2


def test_a_mirror_that_the_metalink_does_not_vouch_for_is_passed_over(
    mirror: Mirror, repo: Repo, second: Repo, simulator: Simulator
) -> None:
    repo.add("fish")
    repo.publish()
    simulator.put(LIST, _metalink(repo.read(REPOMD), second, repo))

    report = mirror.updates(metalink=LIST)

    assert report.upstream == repo.url
    assert mirror.tree() == repo.tree()


def test_alternates_are_good_too(mirror: Mirror, repo: Repo, second: Repo, simulator: Simulator) -> None:
    repo.add("fish")
    repo.publish()
    alternates = (b"something else", second.read(REPOMD))
    simulator.put(LIST, _metalink(repo.read(REPOMD), second, repo, alternates=alternates))

    report = mirror.updates(metalink=LIST)

    assert report.upstream == second.url


def test_no_mirror_that_the_metalink_vouches_for(
    mirror: Mirror, repo: Repo, second: Repo, simulator: Simulator
) -> None:
    simulator.put(LIST, _metalink(b"what nobody serves", repo, second))

    message = mirror.fails(4, metalink=LIST)

    assert "up.test" in message
    assert "second.test" in message


def test_a_tampered_mirror_behind_a_metalink(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    simulator.put(LIST, _metalink(repo.read(REPOMD), repo))
    mirror.updates(metalink=LIST)
    repo.add("evil")
    repo.publish()

    assert "vouch" in mirror.fails(4, metalink=LIST)


@pytest.mark.parametrize(
    "edit",
    [
        lambda data: data[:-30],
        lambda data: data.replace(b"repomd.xml", b"other.xml"),
        lambda data: data.replace(b"https", b"gopher"),
        lambda data: data.replace(b"metalink", b"metal"),
        lambda data: data.replace(b"?><meta", b"?><!DOCTYPE m><meta"),
    ],
)
def test_bad_metalink(mirror: Mirror, repo: Repo, simulator: Simulator, edit) -> None:
    simulator.put(LIST, edit(_metalink(repo.read(REPOMD), repo)))

    assert LIST in mirror.fails(4, metalink=LIST)


def _moved_on(repo: Repo) -> None:
    repo.add("fish")
    repo.publish()


def test_a_lagging_mirror_is_passed_over(mirror: Mirror, repo: Repo, second: Repo) -> None:
    _moved_on(repo)
    mirror.updates(repo)
    second.asked()

    report = mirror.stays(second, repo)

    assert second.asked() == [REPOMD]
    assert report.upstream == repo.url
    assert report.warnings == []


def test_all_lag(mirror: Mirror, repo: Repo, second: Repo) -> None:
    _moved_on(repo)
    mirror.updates(repo)

    report = mirror.stays(second)

    assert any("older" in warning for warning in report.warnings)
    assert report.packages == 3
    assert packages(second.asked()) == []


def test_what_lags_is_told_again_and_then_taken_when_it_catches_up(mirror: Mirror, repo: Repo, second: Repo) -> None:
    _moved_on(repo)
    mirror.updates(repo)
    mirror.stays(second)
    assert mirror.stays(second).warnings
    repo.add("tcsh")
    repo.publish()
    for href in repo.hrefs():
        second.put(href, repo.read(href))

    report = mirror.updates(second)

    assert report.warnings == []
    assert mirror.tree().items() >= repo.tree().items()


def test_rollback_is_taken_where_it_is_allowed(mirror: Mirror, repo: Repo, second: Repo) -> None:
    _moved_on(repo)
    mirror.updates(repo)

    mirror.updates(second, options=Options(allow_rollback=True))

    assert mirror.tree().items() >= second.tree().items()
    assert "Packages/fish-1-1.noarch.rpm" not in mirror.tree()
    mirror.stays(second)


def test_rollback_is_told_by_revision_where_records_have_no_time(mirror: Mirror, repo: Repo) -> None:
    def untimed(text: str) -> str:
        return re.sub("<timestamp>[0-9]*</timestamp>", "", text)

    repo.publish(edit=untimed, revision="1700001000")
    mirror.updates(repo)
    repo.add("fish")
    repo.publish(edit=untimed, revision="1700000500")
    assert mirror.stays(repo).warnings

    repo.publish(edit=untimed, revision="7")
    mirror.updates(repo)


def test_a_time_in_the_future_is_not_remembered(mirror: Mirror, repo: Repo) -> None:
    repo.publish(timestamp=int(mirror.now + 10_000 * HOUR))
    mirror.updates(repo)
    repo.add("fish")
    repo.publish()

    mirror.updates(repo)

    assert mirror.tree().items() >= repo.tree().items()


def test_an_upstream_that_stopped_is_a_warning(mirror: Mirror, repo: Repo) -> None:
    assert mirror.updates(repo, max_age=100 * HOUR).warnings == []
    mirror.now += 101 * HOUR

    report = mirror.sync(repo, max_age=100 * HOUR)

    assert report.error is None
    assert any("max_age" in warning for warning in report.warnings)


def test_a_new_baseurl_is_followed(mirror: Mirror, repo: Repo, second: Repo) -> None:
    """The same bytes elsewhere: nothing to publish, and from then on one request again."""
    mirror.updates(repo)
    mirror.stays(second)
    second.asked()

    mirror.stays(second)

    (request,) = second.seen(REPOMD)
    assert request.headers["If-None-Match"]
    assert second.asked() == [REPOMD]


def test_a_run_has_the_time_of_its_machine(mirror: Mirror, repo: Repo) -> None:
    assert mirror.sync_all(configured(repo)).exit == 0

    (name,) = mirror.generations()
    published = calendar.timegm(time.strptime(name, ".repo.%Y%m%dT%H%M%SZ"))
    assert abs(time.time() - published) < 10


def test_wrong_bytes_everywhere(mirror: Mirror, repo: Repo, second: Repo) -> None:
    for source in (repo, second):
        source.put(BASH, flip(source.read(BASH)))

    message = mirror.fails(4, repo, second)

    assert "up.test" in message
    assert "second.test" in message
