"""`tree: all`: everything that a listing shows, what metadata promises by checksum, the rest by size and time."""

import itertools

import pytest

from mirrorpy.sync import extras
from mirrorpy.sync import listing as crawling
from mirrorpy.sync.listing import Choice
from mirrorpy.sync.report import Options
from tests.simulator import REPOMD, Fault, Repo, Simulator, after, cut, digest, status, with_headers, wrong
from tests.sync.listings import page, show
from tests.sync.mirror import HOUR, Mirror, flip
from tests.sync.test_tree import KERNEL, TREEINFO, plant


@pytest.fixture
def top(simulator: Simulator) -> Repo:
    """A folder of two repositories, one with a tree, and notes."""
    top = simulator.repository("https://up.test/pub/")
    for name in ("5.0/os", "5.0/updates"):
        repo = simulator.repository(f"{top.url}{name}/")
        repo.add(f"bash-{name[4:]}")
        repo.publish()
    plant(simulator.repository(f"{top.url}5.0/os/"), {KERNEL: b"kernel"})
    for name, content in {"RPM-GPG-KEY": b"key", "5.0/isos/dvd.iso": b"iso" * 1000, "README name": b"read me"}.items():
        top.put(name, content)
    simulator.now += 60
    show(top)
    return top


def everything(top: Repo) -> dict[str, bytes]:
    """Return every file below a URL; pages end with a slash, but the base's own."""
    return {href: top.read(href) for href in top.hrefs() if href[-1:] not in ("", "/")}


def below(top: Repo, name: str) -> Repo:
    """Return a repository inside, to change it."""
    repo = Repo(top.simulator, f"{top.url}{name}/")
    repo.add(f"bash-{name[4:]}")
    return repo


def test_a_plain_folder_is_mirrored_whole(mirror: Mirror, top: Repo) -> None:
    report = mirror.updates(top, tree="all")
    assert mirror.tree() == everything(top)
    assert (report.packages, report.repomd_sha256, report.warnings) == (2, None, [])
    top.asked()
    mirror.stays(top, tree="all")
    asked = top.asked()
    assert not [href for href in asked if href.endswith((".rpm", "primary.xml.gz", "filelists.xml.gz"))]
    assert not [seen for seen in asked if asked.count(seen) > 1]


def test_a_repository_with_all_that_is_beside_it(mirror: Mirror, simulator: Simulator) -> None:
    repo = simulator.repository("https://up.test/repo/")
    repo.add("bash")
    repo.publish()
    repo.put("Packages/unlisted.rpm", b"not in primary")
    repo.put("repodata/old-primary.xml.gz", b"left behind")
    repo.simulator.now += 60
    show(repo)
    report = mirror.updates(repo, tree="all")
    assert mirror.tree() == everything(repo)
    assert report.packages == 1
    repo.asked()
    mirror.stays(repo, tree="all")
    assert [seen.method for seen in repo.seen("Packages/unlisted.rpm")] == ["HEAD"]


def test_what_repositories_promise_is_proved_by_checksum(mirror: Mirror, top: Repo) -> None:
    repo = below(top, "5.0/os")
    (href,) = repo.packages
    top.put(f"5.0/os/{href}", flip(repo.read(href)))
    assert href in mirror.fails(4, top, tree="all")


def test_changes_and_deletions_follow(mirror: Mirror, top: Repo) -> None:
    mirror.updates(top, tree="all")
    top.drop("RPM-GPG-KEY")
    top.put("README name", b"read this")
    top.put("new/folder/file", b"new")
    repo = below(top, "5.0/updates")
    repo.add("zsh")
    repo.publish()
    for href in [href for href in top.hrefs() if href.startswith("5.0/updates/repodata/") and href.endswith(".gz")]:
        if href.removeprefix("5.0/updates/") not in repo.records.values():
            top.drop(href)
    top.simulator.now += 60
    show(top)
    mirror.updates(top, tree="all")
    kept = {path: data for path, data in mirror.tree().items() if path in everything(top)}
    assert kept == everything(top)
    retired = mirror.tree().keys() - kept.keys()
    assert all(path.startswith("5.0/updates/repodata/") for path in retired)
    mirror.now += 73 * HOUR
    mirror.updates(top, tree="all")
    assert mirror.tree() == everything(top)


def test_a_file_alone_that_changes_costs_itself(mirror: Mirror, top: Repo) -> None:
    mirror.updates(top, tree="all")
    top.put("RPM-GPG-KEY", b"another key")
    top.simulator.now += 60
    report = mirror.updates(top, tree="all")
    assert (report.downloaded.files, mirror.tree()) == (1, everything(top))


def test_globs_leave_out(mirror: Mirror, top: Repo) -> None:
    """What metadata promises of a repository that is mirrored is mirrored whatever it is called."""
    mirror.updates(top, tree="all", exclude=("*.iso", "5.0/updates", "*.rpm"))
    assert mirror.tree().keys() == {
        href for href in everything(top) if not href.endswith(".iso") and not href.startswith("5.0/updates/")
    }
    asked = top.asked()
    assert "5.0/updates/" not in asked
    mirror.updates(top, id="other", tree="all", include=("RPM-GPG-KEY*",))
    assert mirror.tree("other").keys() == {"RPM-GPG-KEY"}


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("*.iso", "a/b.iso", True),
        ("*.iso", "a.iso/b", True),
        ("a/*.iso", "a/b.iso", True),
        ("a/*.iso", "a/b/c.iso", False),
        ("a/**/*.iso", "a/b/c.iso", True),
        ("a/**/*.iso", "a/c.iso", True),
        ("**/debug", "x/y/debug/z", True),
        ("/a", "a/b", True),
        ("/a", "b/a", False),
        ("debug/", "x/debug/y", True),
        ("a?", "ab/c", True),
        ("[!a]", "b", True),
    ],
)
def test_globs(glob: str, path: str, fits: bool) -> None:
    assert Choice(exclude=(glob,)).leaves_out(path) is fits
    assert Choice(include=(glob,)).takes(path) is fits


def test_an_empty_listing_deletes_nothing(mirror: Mirror, top: Repo) -> None:
    """As of an upstream whose disk is not mounted."""
    mirror.updates(top, tree="all")
    for href in top.hrefs():
        top.drop(href)
    show(top)
    assert "files would shrink" in mirror.fails(8, top, tree="all")
    mirror.updates(top, tree="all", options=Options(allow_shrink=True))
    assert all("/repodata/" in path for path in mirror.tree())


def test_a_folder_that_cannot_be_listed_deletes_nothing(mirror: Mirror, top: Repo) -> None:
    mirror.updates(top, tree="all")
    top.fail("5.0/os/", status(503), always=True)
    mirror.fails(3, top, tree="all", retries=0)
    top.fail("5.0/os/", with_headers(), always=True)
    top.fail("", status(404), always=True)
    mirror.fails(3, top, tree="all")


def test_a_repository_that_lost_its_repomd_is_no_plain_folder(mirror: Mirror, simulator: Simulator) -> None:
    repo = simulator.repository("https://up.test/repo/")
    repo.add("bash")
    repo.publish()
    show(repo)
    mirror.updates(repo, tree="all")
    repo.drop(REPOMD)
    mirror.fails(3, repo, tree="all")


def test_a_folder_that_shows_no_listing_is_named(mirror: Mirror, top: Repo) -> None:
    top.fail("5.0/isos/", wrong(b"<html><title>Welcome</title></html>"), always=True)
    report = mirror.updates(top, tree="all")
    assert "5.0/isos/ is left out" in report.warnings[0]
    assert mirror.tree().keys() == everything(top).keys() - {"5.0/isos/dvd.iso"}


def test_loops_end(mirror: Mirror, top: Repo) -> None:
    """A server follows its own links for ever."""

    def loop(request):  # type: ignore[no-untyped-def]
        path = request.url.path
        if "/again/" in path:
            target = path.replace("again/", "")
            content = top.read(target.removeprefix("/pub/"))
            return wrong(content)
        return None

    top.put("", page(["again/", "RPM-GPG-KEY", "README name"]))
    top.simulator.weather = loop
    report = mirror.updates(top, tree="all")
    assert report.warnings == ["again/ is left out: it shows what a folder above it does, as a link to it"]
    assert mirror.tree().keys() == {"RPM-GPG-KEY", "README name"}


def test_depth_is_bounded(mirror: Mirror, top: Repo) -> None:
    counter = itertools.count()
    top.simulator.weather = lambda request: (
        wrong(page([f"{next(counter)}/"])) if request.url.path.endswith("/") else None
    )
    report = mirror.sync(top, tree="all")
    assert report.error is None
    assert "32 folders deep" in report.warnings[0]


@pytest.mark.parametrize("bound", ["MAX_FILES", "MAX_FOLDERS"])
def test_counts_are_bounded(mirror: Mirror, top: Repo, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(crawling, bound, 2)
    assert "more than" in mirror.fails(4, top, tree="all")


def test_hostile_names(mirror: Mirror, top: Repo) -> None:
    """Nothing leaves the tree, and nothing takes mirrorpy's own names."""
    top.put("", page(["../../etc/passwd", "/etc/shadow", ".mirrorpy/", "..", "a\x01b", "https://evil.test/x", "x?y#z"]))
    top.put("x?y#z", b"odd")
    mirror.sync(top, tree="all")
    assert set(mirror.tree()) <= {"x?y#z"}


def test_names_that_differ_in_case_or_encoding(mirror: Mirror, top: Repo) -> None:
    names = ("readme", "README", "Caf\u00e9", "Cafe\u0301", "a+b c%20d")
    for name in names:
        top.put(f"names/{name}", name.encode())
    top.simulator.now += 60
    show(top)
    mirror.updates(top, tree="all")
    assert mirror.tree() == everything(top)


def test_a_name_that_is_a_file_and_a_folder(mirror: Mirror, top: Repo) -> None:
    """What is promised has the place."""
    repo = below(top, "5.0/os")
    repo.add("both", b"package", href="both")
    repo.publish()
    show(top)
    top.put("5.0/os/", page(["Packages/", "repodata/", "both/"]))
    top.put("5.0/os/both/", page(["file"]))
    top.put("5.0/os/both/file", b"in it")
    report = mirror.updates(top, tree="all")
    assert "5.0/os/both/file is left out: it would be a file and a folder at once" in report.warnings
    assert mirror.tree()["5.0/os/both"] == b"package"


def test_what_is_listed_and_not_there_is_named(mirror: Mirror, top: Repo) -> None:
    top.drop("RPM-GPG-KEY")
    report = mirror.updates(top, tree="all")
    assert report.warnings == ["RPM-GPG-KEY is left out: upstream names it and does not have it"]
    assert mirror.tree() == everything(top)


def test_hidden_files_of_trees(mirror: Mirror, top: Repo) -> None:
    """Listings do not show .treeinfo and .discinfo; they are asked for where there is a repository or images."""
    top.put("5.0/os/.discinfo", b"1.0")
    top.simulator.now += 60
    mirror.updates(top, tree="all")
    assert mirror.tree() == everything(top)
    assert f"5.0/os/{TREEINFO}" in mirror.tree()
    mirror.stays(top, tree="all")


def test_signed_repositories_inside_need_their_signature(mirror: Mirror, top: Repo) -> None:
    """A companion of a repository inside is mirrored, and asked for with a condition."""
    top.put(f"5.0/os/{REPOMD}.asc", b"-----BEGIN PGP SIGNATURE-----")
    top.simulator.now += 60
    show(top)
    mirror.updates(top, tree="all")
    assert mirror.tree() == everything(top)
    mirror.stays(top, tree="all")
    assert digest(mirror.tree()[f"5.0/os/{REPOMD}.asc"]) == digest(b"-----BEGIN PGP SIGNATURE-----")


def test_a_dry_run(mirror: Mirror, top: Repo) -> None:
    report = mirror.sync(top, tree="all", options=Options(dry_run=True))
    assert report.error is None
    assert report.downloaded.files == len({digest(data) for data in everything(top).values()})


NO_LISTING = [status(403), status(404), wrong(b"<html><title>Welcome</title></html>")]


@pytest.mark.parametrize("fault", NO_LISTING, ids=["403", "404", "page"])
@pytest.mark.parametrize("folder", ["5.0", "5.0/isos", "5.0/os", "5.0/os/repodata", "5.0/os/images"])
def test_a_folder_that_cannot_be_listed_any_more_is_kept(mirror: Mirror, top: Repo, fault: Fault, folder: str) -> None:
    """With all that its metadata promises, and what is known of its files; the rest goes on."""
    mirror.updates(top, tree="all")
    before = mirror.tree()
    top.fail(f"{folder}/", fault, always=True)
    report = mirror.stays(top, tree="all")
    assert [told for told in report.warnings if told.startswith(f"{folder}/ is kept as it was")]
    top.put("RPM-GPG-KEY", b"another key")
    top.simulator.now += 60
    mirror.updates(top, tree="all")
    assert mirror.tree() == before | {"RPM-GPG-KEY": b"another key"}
    top.fail(f"{folder}/", with_headers(), always=True)
    top.asked()
    mirror.stays(top, tree="all")
    assert not [seen for seen in top.simulator.requests if seen.method == "GET" and seen.url.endswith(".iso")]


def test_a_folder_that_goes_while_listings_are_read_is_gone(mirror: Mirror, top: Repo) -> None:
    mirror.updates(top, tree="all")
    kept = {name for name in top.read("5.0/").decode().split('"') if name in ("os/", "updates/")}

    def remove() -> None:
        top.put("5.0/", page(sorted(kept)))
        for href in [href for href in top.hrefs() if href.startswith("5.0/isos/")]:
            top.drop(href)

    top.fail("5.0/", after(remove))
    assert mirror.updates(top, tree="all").warnings == []
    assert mirror.tree() == everything(top)


def test_bounds_hold_within_a_level(simulator: Simulator, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is excluded counts; a hostile level is not read to its end."""
    monkeypatch.setattr(crawling, "MAX_FILES", 500)
    top = simulator.repository("https://up.test/pub/")
    top.put("", page([f"d{number}/" for number in range(300)]))
    for number in range(300):
        top.put(f"d{number}/", page([f"{number}-{file}.iso" for file in range(100)]))
    assert "more than" in mirror.fails(4, top, tree="all", exclude=("*.iso",))
    assert len(top.asked()) < 100


def test_warnings_are_bounded(mirror: Mirror, top: Repo) -> None:
    names = [f"{number}/" for number in range(150)]
    top.put("", page([*names, "RPM-GPG-KEY"]))
    warnings = mirror.updates(top, tree="all").warnings
    assert (len(warnings), warnings[-1]) == (101, "and 50 more warnings")


def test_documents_have_a_budget(mirror: Mirror, top: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "READ_CAP", 1000)
    assert "more than 1000 bytes" in mirror.fails(4, top, tree="all")


def test_a_signature_inside_is_small(mirror: Mirror, top: Repo) -> None:
    top.put(f"5.0/os/{REPOMD}.asc", b"-" * 70_000)
    assert "larger than" in mirror.fails(4, top, tree="all")


def test_a_cut_listing_deletes_nothing(mirror: Mirror, top: Repo) -> None:
    """An answer without a length, as of HTTP/1.0, ends as a page does."""
    mirror.updates(top, tree="all")
    top.fail("", cut(len(top.read("")) - 60, Content_Length=None), always=True)
    assert "no end" in mirror.fails(3, top, tree="all", retries=0)
    top.fail("", with_headers(Content_Length=None), always=True)
    mirror.stays(top, tree="all")


def test_pages_of_any_name_that_are_listed(mirror: Mirror, top: Repo) -> None:
    for name in ("EULA.html.de", "README.HTML", "notes"):
        top.put(name, b"<html>text</html>")
        top.fail(name, with_headers(Content_Type="text/html"), always=True)
    top.simulator.now += 60
    show(top)
    mirror.updates(top, tree="all")
    assert mirror.tree() == everything(top)


def test_a_server_that_denies_by_head_what_it_lists(mirror: Mirror, top: Repo) -> None:
    top.simulator.weather = lambda request: status(404) if request.method == "HEAD" else None
    assert mirror.updates(top, tree="all").warnings == []
    assert mirror.tree() == everything(top)


def test_a_folder_of_which_nothing_can_be_had(mirror: Mirror, simulator: Simulator) -> None:
    top = simulator.repository("https://up.test/pub/")
    top.put("", page(["a", "b"]))
    assert "gives none of them" in mirror.fails(8, top, tree="all")


def test_names_that_cannot_be_here_are_counted(mirror: Mirror, top: Repo) -> None:
    links = '<a href="caf%E9.txt">x</a><a href="%01x">x</a><a href="?C=N">x</a></pre>'
    top.put("", top.read("").decode().replace("</pre>", links).encode())
    warnings = mirror.updates(top, tree="all").warnings
    assert warnings == ["./ lists 2 names that no file here can have, and they are left out: caf%E9.txt"]
