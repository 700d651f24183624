"""Files beside a repository that nobody promises: by name or by glob, revalidated, and kept by what they are."""

import os
from collections.abc import Callable

import httpx
import pytest

from mirrorpy.sync.report import Options
from tests.simulator import REPOMD, Fault, Repo, Simulator, after, cut, status, with_headers, wrong
from tests.sync.listings import show
from tests.sync.mirror import Mirror, configured, flip

EULA, KEY = "EULA", "RPM-GPG-KEY-test"


@pytest.fixture
def repo(simulator: Simulator) -> Repo:
    """A repository with files beside it."""
    repo = simulator.repository("https://up.test/repo/")
    repo.add("bash")
    repo.publish()
    repo.put(EULA, b"eula 1")
    repo.put(KEY, b"-----BEGIN")
    repo.put("notes.txt", b"notes")
    repo.simulator.now += 60
    return repo


def test_files_by_name(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, extras=(EULA, KEY))
    assert mirror.tree() == repo.tree() | {EULA: b"eula 1", KEY: b"-----BEGIN"}
    assert (mirror.root / "repo" / EULA).stat().st_mtime == repo.simulator.files[repo.url + EULA].modified


def test_an_unchanged_file_is_not_downloaded(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, extras=(EULA,))
    repo.asked()
    mirror.stays(repo, extras=(EULA,))
    assert [seen.method for seen in repo.seen(EULA)] == ["HEAD"]
    assert repo.asked() == [REPOMD, EULA]


@pytest.mark.parametrize("etags", [True, False])
def test_a_changed_file_is_published(mirror: Mirror, repo: Repo, simulator: Simulator, etags: bool) -> None:
    simulator.etags = etags
    mirror.updates(repo, extras=(EULA,))
    repo.put(EULA, b"eula 2")
    repo.simulator.now += 60
    mirror.updates(repo, extras=(EULA,))
    assert mirror.tree()[EULA] == b"eula 2"
    mirror.stays(repo, extras=(EULA,))


def test_a_server_that_tells_nothing_is_asked_for_the_bytes(mirror: Mirror, repo: Repo) -> None:
    """What came again as it was is not published again."""
    silent = with_headers(ETag=None, Last_Modified=None)
    repo.fail(EULA, silent, always=True)
    mirror.updates(repo, extras=(EULA,))
    repo.asked()
    mirror.stays(repo, extras=(EULA,))
    assert repo.asked().count(EULA) == 2
    repo.put(EULA, b"eula 2")
    mirror.updates(repo, extras=(EULA,))
    assert mirror.tree()[EULA] == b"eula 2"


def test_a_file_as_young_as_the_servers_clock_is_asked_for_again(mirror: Mirror, repo: Repo) -> None:
    """It may change once more within the second, under the same validators."""
    repo.put(EULA, b"young!")
    mirror.updates(repo, extras=(EULA,))
    repo.simulator.files[repo.url + EULA].content = b"eula 2"
    repo.simulator.etags = False
    repo.simulator.now += 60
    mirror.updates(repo, extras=(EULA,))
    assert mirror.tree()[EULA] == b"eula 2"


def test_a_file_that_is_not_there(mirror: Mirror, repo: Repo) -> None:
    """Each run says so, and asks again."""
    report = mirror.updates(repo, extras=("LICENSE",))
    assert report.warnings == ["extras: upstream has no LICENSE"]
    assert mirror.stays(repo, extras=("LICENSE",)).warnings == ["extras: upstream has no LICENSE"]
    repo.put("LICENSE", b"mit")
    assert mirror.updates(repo, extras=("LICENSE",)).warnings == []
    assert mirror.tree()["LICENSE"] == b"mit"


def test_a_file_that_goes_is_retired(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, extras=(EULA,))
    repo.drop(EULA)
    mirror.updates(repo, extras=(EULA,))
    assert mirror.tree() == repo.tree()


def test_globs_against_the_listing(mirror: Mirror, repo: Repo) -> None:
    show(repo)
    report = mirror.updates(repo, extras=("RPM-GPG-KEY*", "EU?A", "*.repo"))
    assert mirror.tree() == repo.tree() | {EULA: b"eula 1", KEY: b"-----BEGIN"}
    assert report.warnings == ["extras: upstream has nothing called *.repo"]
    repo.put("RPM-GPG-KEY-other", b"other")
    show(repo)
    mirror.updates(repo, extras=("RPM-GPG-KEY*",))
    assert mirror.tree() == repo.tree() | {KEY: b"-----BEGIN", "RPM-GPG-KEY-other": b"other"}


def test_globs_of_folders(mirror: Mirror, repo: Repo) -> None:
    repo.put("licenses/de/text", b"de")
    repo.put("licenses/en/text", b"en")
    show(repo)
    mirror.updates(repo, extras=("licenses/*/t*",))
    assert mirror.tree() == repo.tree() | {"licenses/de/text": b"de", "licenses/en/text": b"en"}


def test_a_glob_without_a_listing_is_an_error(mirror: Mirror, repo: Repo) -> None:
    mirror.fails(3, repo, extras=("RPM-GPG-KEY*",))
    repo.put("", b"<html><title>Welcome</title></html>")
    mirror.fails(4, repo, extras=("RPM-GPG-KEY*",))


def test_a_page_in_place_of_a_file(mirror: Mirror, repo: Repo) -> None:
    repo.fail(EULA, wrong(b"<html>no</html>", Content_Type="text/html"), always=True)
    report = mirror.updates(repo, extras=(EULA,))
    assert report.warnings == ["extras: upstream has no EULA"]
    assert mirror.tree() == repo.tree()


def test_a_page_that_is_asked_for(mirror: Mirror, repo: Repo) -> None:
    repo.put("index.html", b"<html></html>")
    repo.fail("index.html", with_headers(Content_Type="text/html"), always=True)
    mirror.updates(repo, extras=("index.html",))
    assert mirror.tree()["index.html"] == b"<html></html>"


def test_what_is_forbidden_later_stays_as_it_is(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, extras=(EULA,))
    repo.fail(EULA, status(403), always=True)
    report = mirror.stays(repo, extras=(EULA,))
    assert "EULA is not brought up to date" in report.warnings[0]


def test_a_server_in_trouble_is_an_error(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, extras=(EULA,))
    repo.fail(EULA, status(503), always=True)
    assert "503" in mirror.fails(3, repo, extras=(EULA,), retries=0)


def test_a_broken_download_goes_on_only_with_a_validator(mirror: Mirror, repo: Repo) -> None:
    """Nothing would tell that the second part belongs to the first."""
    content = bytes(range(256)) * 1000
    for etag, ranges in ((None, [None]), ('"1"', ["bytes=100000-"])):
        repo.put(EULA, content)
        repo.simulator.now += 60
        headers = {"ETag": etag, "Last_Modified": None}
        honest = with_headers(**headers)
        repo.fail(EULA, honest, cut(100_000, httpx.ReadError("gone"), **headers), honest)
        mirror.sync(repo, id="r", path=f"r{etag is None}", extras=(EULA,))
        asked = [seen for seen in repo.seen(EULA) if seen.method == "GET"]
        assert [seen.headers.get("Range") for seen in asked[1:]] == ranges
        repo.asked()


def test_a_file_that_changes_between_question_and_download(mirror: Mirror, repo: Repo) -> None:
    """What came is published; what was said of the file before is not believed in the next run."""
    repo.fail(EULA, after(lambda: repo.put(EULA, b"eula the second")))
    mirror.updates(repo, extras=(EULA,))
    assert mirror.tree()[EULA] == b"eula the second"
    repo.asked()
    mirror.stays(repo, extras=(EULA,))
    assert repo.asked().count(EULA) == 2


def test_what_is_known_can_be_lost(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, extras=(EULA,))
    os.unlink(mirror.layout.repo("repo").beside)
    mirror.stays(repo, extras=(EULA,))
    mirror.layout.repo("repo")
    for broken in (b"", b"{", b'{"files": {"EULA": ["zz", 1, "x", null, null]}}', b"[" * 100_000):
        with open(mirror.layout.repo("repo").beside, "wb") as file:
            file.write(broken)
        mirror.stays(repo, extras=(EULA,))


def test_damage_is_brought_again(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, extras=(EULA,))
    mirror.replace(EULA, flip(b"eula 1"))
    mirror.updates(repo, extras=(EULA,), options=Options(checksum=True))
    assert mirror.tree()[EULA] == b"eula 1"
    (mirror.root / "repo" / EULA).unlink()
    mirror.updates(repo, extras=(EULA,))
    assert mirror.tree()[EULA] == b"eula 1"


def test_two_repositories_share_a_key(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    other = simulator.mirror(repo, "https://other.test/repo/")
    mirror.updates(repo, extras=(KEY,))
    mirror.updates(other, id="other", extras=(KEY,))
    assert (mirror.root / "repo" / KEY).samefile(mirror.root / "other" / KEY)


def test_a_killed_run_keeps_what_it_brought(mirror: Mirror, repo: Repo) -> None:
    """A later failure does not cost the files that came before it."""
    repo.put("NOTES", b"notes")
    repo.simulator.now += 60
    repo.fail("NOTES", with_headers(), status(503), always=True)
    mirror.fails(3, repo, extras=(EULA, "NOTES"), retries=0)
    repo.fail("NOTES", with_headers(), always=True)
    repo.asked()
    mirror.updates(repo, extras=(EULA, "NOTES"))
    assert repo.asked().count(EULA) == 1
    assert mirror.tree() == repo.tree() | {EULA: b"eula 1", "NOTES": b"notes"}


def test_a_dry_run_tells_of_them(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, extras=(EULA,))
    repo.put(EULA, b"eula two")
    before = mirror.served()
    report = mirror.sync(repo, extras=(EULA,), options=Options(dry_run=True))
    assert (report.downloaded.files, report.downloaded.bytes) == (1, 8)
    assert mirror.served() == before


def test_what_metadata_promises_is_its(mirror: Mirror, repo: Repo) -> None:
    """An extra of the same path is the file that was promised."""
    (href,) = repo.packages
    mirror.updates(repo, extras=(href, EULA))
    assert mirror.tree() == repo.tree() | {EULA: b"eula 1"}
    mirror.stays(repo, extras=(href, EULA))


def test_extras_count_as_a_change_of_the_configuration(repo: Repo) -> None:
    one, other = configured(repo), configured(repo, extras=(EULA,))
    assert one.fingerprint != other.fingerprint


PAGE = b"<!DOCTYPE html><html>no such file</html>"


def test_a_file_that_one_mirror_lacks(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    mirror.updates(repo, extras=(EULA,))
    other = simulator.mirror(repo, "https://other.test/repo/")
    other.drop(EULA)
    mirror.stays(other, repo, extras=(EULA,))
    repo.fail(EULA, status(403), always=True)
    assert "is not brought up to date" in mirror.stays(other, repo, extras=(EULA,)).warnings[0]
    repo.fail(EULA, status(404), always=True)
    mirror.updates(other, repo, extras=(EULA,))
    assert mirror.tree() == repo.tree()


def test_a_page_in_place_of_a_published_file(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, extras=(EULA,))
    repo.fail(EULA, wrong(PAGE, Content_Type="text/html"), always=True)
    report = mirror.stays(repo, extras=(EULA,))
    assert report.warnings == ["EULA is not brought up to date: is a page in place of the file"]


def on_get(href: str, fault: Fault) -> Callable[[httpx.Request], Fault | None]:
    """Let a file's download fail, and no question about it."""
    return lambda request: fault if request.method == "GET" and request.url.path.endswith(href) else None


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (wrong(PAGE, Content_Type="text/html"), "is a page in place of the file"),
        (wrong(b"not this"), "came with 8 bytes, and should have 10"),
        (status(403), "HTTP 403 Forbidden"),
    ],
    ids=["page", "size", "forbidden"],
)
def test_a_download_that_is_not_the_file(mirror: Mirror, repo: Repo, fault: Fault, told: str) -> None:
    """It is left out, or stays as it is; the others come."""
    repo.simulator.weather = on_get(KEY, fault)
    report = mirror.updates(repo, extras=(EULA, KEY))
    assert report.warnings == [f"{KEY} is left out: {told}"]
    assert mirror.tree() == repo.tree() | {EULA: b"eula 1"}
    repo.simulator.weather = lambda _request: None
    mirror.updates(repo, extras=(EULA, KEY))
    repo.put(KEY, b"----- NEW ")
    repo.simulator.now += 60
    repo.simulator.weather = on_get(KEY, fault)
    report = mirror.sync(repo, extras=(EULA, KEY))
    assert report.warnings == [f"{KEY} is not brought up to date: {told}"]
    assert mirror.tree()[KEY] == b"-----BEGIN"


def test_an_absurd_size_is_upstreams(mirror: Mirror, repo: Repo) -> None:
    repo.fail(KEY, with_headers(Content_Length="9" * 18), always=True)
    report = mirror.updates(repo, extras=(EULA, KEY))
    assert "RPM-GPG-KEY-test is left out: is said to have" in report.warnings[0]
    assert mirror.tree() == repo.tree() | {EULA: b"eula 1"}
