"""Installer trees: what .treeinfo promises, the repositories inside, and what extra_files.json lists beside."""

import json

import pytest

from mirrorpy.sync.report import Options
from tests.simulator import REPOMD, Repo, Simulator, digest, status, with_headers, wrong
from tests.sync.mirror import HOUR, Mirror, flip

TREEINFO = ".treeinfo"
KERNEL, INITRD = "images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"
BEFORE = [TREEINFO, "extra_files.json", "media.1/media"]
PAGE = b"<!DOCTYPE html><html><body>no such file</body></html>"


@pytest.fixture
def repo(simulator: Simulator) -> Repo:
    """A repository with an installer tree."""
    repo = simulator.repository("https://up.test/repo/")
    repo.add("bash")
    repo.publish()
    plant(repo, {KERNEL: b"kernel 1", INITRD: b"initrd 1"})
    return repo


def treeinfo(files: dict[str, bytes | None], more: str = "") -> bytes:
    """Return a .treeinfo of these files; one without content has no checksum."""
    sums = "".join(f"{href} = sha256:{digest(data)}\n" for href, data in files.items() if data is not None)
    images = "".join(f"image{number} = {href}\n" for number, href in enumerate(files))
    return (
        "[header]\ntype = productmd.treeinfo\nversion = 1.2\n[release]\nname = Test\nshort = T\nversion = 1\n"
        f"[tree]\narch = x86_64\n[images-x86_64]\n{images}[checksums]\n{sums}{more}"
    ).encode()


def plant(repo: Repo, files: dict[str, bytes], more: str = "", name: str = TREEINFO) -> None:
    """Put a tree beside a repository."""
    for href, data in files.items():
        repo.put(href, data)
    repo.put(name, treeinfo(dict(files), more))
    repo.simulator.now += 60


def whole(repo: Repo, *hrefs: str) -> dict[str, bytes]:
    """Return what a perfect mirror holds: the repository, and these files."""
    return repo.tree() | {href: repo.read(href) for href in hrefs}


def test_the_tree_is_published_with_the_repository(mirror: Mirror, repo: Repo) -> None:
    report = mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD)
    assert report.warnings == []
    assert (report.packages, report.downloaded.files) == (1, 6)


def test_an_unchanged_tree_costs_one_conditional_request(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree="auto")
    repo.asked()
    mirror.stays(repo, tree="auto")
    assert repo.seen(TREEINFO)[0].headers["If-None-Match"]
    assert repo.asked() == [REPOMD, TREEINFO]


def test_a_repository_without_a_tree_stays_at_one_request(mirror: Mirror, simulator: Simulator) -> None:
    """Whether there is one is asked again where repomd.xml changed."""
    repo = simulator.repository("https://up.test/repo/")
    repo.add("bash")
    repo.publish()
    mirror.updates(repo, tree="auto")
    assert {TREEINFO, "treeinfo", "extra_files.json", "media.1/media"} < set(repo.asked())
    mirror.stays(repo, tree="auto")
    assert repo.asked() == [REPOMD]
    repo.add("zsh")
    repo.publish()
    plant(repo, {KERNEL: b"kernel"})
    mirror.updates(repo, tree="auto")
    assert mirror.tree().items() >= whole(repo, TREEINFO, KERNEL).items()


def test_images_and_treeinfo_switch_together(mirror: Mirror, repo: Repo) -> None:
    """An image has its old name and new bytes; what did not change is not downloaded."""
    mirror.updates(repo, tree="auto")
    repo.asked()
    plant(repo, {KERNEL: b"kernel 2", INITRD: b"initrd 1"})
    report = mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD)
    assert repo.asked().count(INITRD) == 0
    assert report.downloaded.files == 2


def test_the_name_without_a_dot(mirror: Mirror, repo: Repo) -> None:
    repo.drop(TREEINFO)
    plant(repo, {KERNEL: b"kernel"}, name="treeinfo")
    mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, "treeinfo", KERNEL)
    repo.asked()
    mirror.stays(repo, tree="auto")
    assert repo.asked() == [REPOMD, "treeinfo"]


def test_a_tree_that_goes_is_retired_with_it(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree="auto", grace=48 * HOUR)
    repo.drop(TREEINFO)
    mirror.updates(repo, tree="auto", grace=48 * HOUR)
    assert KERNEL in mirror.tree()
    mirror.now += 49 * HOUR
    mirror.updates(repo, tree="auto", grace=48 * HOUR)
    assert mirror.tree() == repo.tree()


def test_no_tree_where_none_is_wanted(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree=False)
    assert mirror.tree() == repo.tree()
    assert not {*BEFORE} & set(repo.asked())


def test_a_tree_that_is_demanded(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree=True)
    repo.drop(TREEINFO)
    assert "upstream has no .treeinfo" in mirror.fails(4, repo, tree=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [(lambda repo: repo.put(KERNEL, b"KERNEL 1"), "checksum"), (lambda repo: repo.drop(KERNEL), "404")],
    ids=["wrong", "not there"],
)
def test_an_image_that_upstream_has_not_as_promised(mirror: Mirror, repo: Repo, change, told: str) -> None:  # type: ignore[no-untyped-def]
    """It is published without, with a warning; then it is only asked whether it changed, after once more."""
    change(repo)
    report = mirror.updates(repo, tree="auto")
    assert [warning for warning in report.warnings if KERNEL in warning and told in warning]
    assert mirror.tree() == whole(repo, TREEINFO, INITRD)
    mirror.stays(repo, tree="auto")
    repo.asked()
    mirror.stays(repo, tree="auto")
    assert repo.asked() == [REPOMD, TREEINFO, KERNEL]
    repo.put(KERNEL, b"kernel 1")
    repo.publish()
    mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD)


def test_strictly_a_wrong_image_is_an_error(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree="auto", strict_tree=True)
    repo.put(KERNEL, b"KERNEL 1")
    plant(repo, {INITRD: b"initrd 2"}, f"{KERNEL} = sha256:{digest(b'kernel 3')}\n")
    assert KERNEL in mirror.fails(4, repo, tree="auto", strict_tree=True)


def test_an_image_without_a_checksum(mirror: Mirror, repo: Repo) -> None:
    """It is mirrored as it is, with a warning, and revalidated; strictly it is an error."""
    repo.put(TREEINFO, treeinfo({KERNEL: None, INITRD: b"initrd 1"}))
    repo.simulator.now += 60
    assert KERNEL in mirror.fails(4, repo, tree="auto", strict_tree=True)
    report = mirror.updates(repo, tree="auto")
    assert [warning for warning in report.warnings if KERNEL in warning and "no checksum" in warning]
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD)
    repo.asked()
    mirror.stays(repo, tree="auto")
    assert repo.asked() == [REPOMD, TREEINFO, KERNEL]
    repo.put(KERNEL, b"kernel 2")
    repo.simulator.now += 60
    mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD)


def test_a_moving_tree_is_followed(mirror: Mirror, repo: Repo) -> None:
    """An image that changes after .treeinfo was read is of the next state, which is read then."""

    def change() -> None:
        plant(repo, {KERNEL: b"kernel 2", INITRD: b"initrd 2"})

    def fault(request, reply):  # type: ignore[no-untyped-def]
        change()
        return reply

    repo.fail("media.1/media", fault)
    mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD)


def test_a_page_is_no_tree(mirror: Mirror, repo: Repo) -> None:
    """Some servers answer everything with a page and status 200."""
    repo.fail(TREEINFO, wrong(PAGE, Content_Type="text/html"), always=True)
    for href in ("treeinfo", "extra_files.json", "media.1/media", "media.1/products"):
        repo.put(href, PAGE)
        repo.fail(href, with_headers(Content_Type="text/html; charset=utf-8"), always=True)
    report = mirror.updates(repo, tree="auto")
    assert mirror.tree() == repo.tree()
    assert report.warnings == []


def test_an_unreadable_treeinfo_is_a_file_and_a_warning(mirror: Mirror, repo: Repo) -> None:
    repo.put(TREEINFO, b"what is this")
    report = mirror.updates(repo, tree="auto")
    assert [warning for warning in report.warnings if TREEINFO in warning]
    assert mirror.tree() == whole(repo, TREEINFO)


def test_unsafe_paths_are_named_and_left_out(mirror: Mirror, repo: Repo) -> None:
    for href in ("../../../etc/passwd", "/etc/shadow", ".mirrorpy/pool/x", "repodata/repomd.xml"):
        plant(repo, {KERNEL: b"kernel 1"}, f"{href} = sha256:{'0' * 64}\n")
        repo.publish()
        mirror.updates(repo, tree="auto")
        assert mirror.tree() == whole(repo, TREEINFO, KERNEL)


def test_what_cannot_be_had_for_another_reason_is_an_error(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree="auto")
    repo.fail(TREEINFO, status(503), always=True)
    assert "503" in mirror.fails(3, repo, tree="auto", retries=0)


def test_a_known_treeinfo_that_is_forbidden_is_not_gone(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree="auto")
    repo.fail(TREEINFO, status(403), always=True)
    assert "403" in mirror.fails(3, repo, tree="auto", retries=0)


def test_a_dry_run_counts_the_tree(mirror: Mirror, repo: Repo) -> None:
    report = mirror.sync(repo, tree="auto", options=Options(dry_run=True))
    assert (report.outcome, report.downloaded.files) == ("planned", 6)
    assert not mirror.root.exists()


def test_repositories_inside_the_tree(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    """They join the same generation; one outside is named."""
    addon = simulator.repository(f"{repo.url}addons/HA/")
    addon.add("pacemaker")
    addon.publish()
    more = (
        "[addon-Server-HA]\nid = HA\nname = HA\nrepository = addons/HA\npackages = addons/HA\n"
        "[variant-App]\nid = App\nname = App\nrepository = ../../app/os\npackages = ../../app/os/Packages\n"
    )
    plant(repo, {KERNEL: b"kernel 1"}, more)
    report = mirror.updates(repo, tree="auto")
    inside = {f"addons/HA/{href}": data for href, data in addon.tree().items()}
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL) | inside
    assert report.packages == 2
    assert [warning for warning in report.warnings if "../../app/os" in warning]
    repo.asked()
    mirror.stays(repo, tree="auto")
    assert repo.asked() == [REPOMD, TREEINFO, f"addons/HA/{REPOMD}"]
    addon.add("corosync")
    addon.publish()
    mirror.updates(repo, tree="auto")
    inside = {f"addons/HA/{href}": data for href, data in addon.tree().items()}
    assert mirror.tree().items() >= (whole(repo, TREEINFO, KERNEL) | inside).items()


def test_a_repository_inside_that_is_not_there(mirror: Mirror, repo: Repo) -> None:
    more = "[addon-Server-HA]\nid = HA\nname = HA\nrepository = addons/HA\npackages = addons/HA\n"
    plant(repo, {KERNEL: b"kernel 1"}, more)
    assert f"addons/HA/{REPOMD}" in mirror.fails(4, repo, tree="auto", strict_tree=True)
    report = mirror.updates(repo, tree="auto")
    assert [warning for warning in report.warnings if f"addons/HA/{REPOMD}" in warning]


def test_extra_files(mirror: Mirror, repo: Repo) -> None:
    """extra_files.json promises by checksum, and is a file itself."""
    listed = [
        {"file": "EULA", "size": 4, "checksums": {"md5": digest(b"eula", "md5"), "sha256": digest(b"eula")}},
        {"file": "../GPL", "size": 3, "checksums": {"sha256": digest(b"gpl")}},
    ]
    repo.put("EULA", b"eula")
    repo.put("extra_files.json", json.dumps({"header": {"version": "1.0"}, "data": listed}).encode())
    repo.simulator.now += 60
    report = mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD, "EULA", "extra_files.json")
    assert [warning for warning in report.warnings if "../GPL" in warning]


def test_suse_media(mirror: Mirror, repo: Repo) -> None:
    for href in ("media.1/media", "media.1/products"):
        repo.put(href, b"openSUSE - 15.6\n")
    repo.simulator.now += 60
    mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD, "media.1/media", "media.1/products")
    repo.asked()
    mirror.stays(repo, tree="auto")
    assert sorted(repo.asked()) == sorted([REPOMD, TREEINFO, "media.1/media", "media.1/products"])


def test_a_damaged_image_is_brought_again(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree="auto")
    for href in (KERNEL, TREEINFO):
        mirror.replace(href, flip(repo.read(href)))
        mirror.updates(repo, tree="auto", options=Options(checksum=True))
        assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD)


def test_a_lagging_mirror_leaves_the_tree(mirror: Mirror, repo: Repo, simulator: Simulator) -> None:
    old = simulator.mirror(repo, "https://old.test/repo/")
    repo.publish()
    mirror.updates(repo, tree="auto")
    old.drop(TREEINFO)
    report = mirror.stays(old, tree="auto")
    assert "older" in report.warnings[0]
    mirror.replace(KERNEL, b"").unlink()
    mirror.updates(old, tree="auto")
    assert mirror.tree().items() >= whole(repo, TREEINFO, KERNEL, INITRD).items()


def test_a_page_in_place_of_a_published_treeinfo(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree="auto")
    repo.fail(TREEINFO, wrong(PAGE), always=True)
    assert "is a page in place of the file" in mirror.fails(3, repo, tree="auto")
    other = repo.simulator.mirror(repo, "https://up2.test/repo/")
    mirror.stays(repo, other, tree="auto")


def test_a_published_treeinfo_that_one_mirror_lacks(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree="auto")
    other = repo.simulator.mirror(repo, "https://up2.test/repo/")
    other.drop(TREEINFO)
    mirror.stays(other, repo, tree="auto")
    repo.fail(TREEINFO, status(503), always=True)
    assert "503" in mirror.fails(3, other, repo, tree="auto", retries=0)
    repo.fail(TREEINFO, status(404), always=True)
    report = mirror.updates(other, repo, tree="auto")
    assert report.warnings == [f"{TREEINFO}: upstream has it no longer, and what only it promised goes with it"]
    assert KERNEL not in mirror.tree()


def test_a_published_tree_whose_treeinfo_breaks(mirror: Mirror, repo: Repo) -> None:
    """Its files stay, run after run; one that can be read and names nothing takes them along."""
    mirror.updates(repo, tree="auto")
    repo.put(TREEINFO, b"")
    report = mirror.updates(repo, tree="auto")
    assert f"{TREEINFO}: the 2 files of its tree are kept as they were" in report.warnings
    repo.add("zsh")
    repo.publish()
    mirror.updates(repo, tree="auto")
    assert mirror.tree().items() >= whole(repo, TREEINFO, KERNEL, INITRD).items()
    repo.put(TREEINFO, b"[general]\nname = x\n")
    assert "names no file" in mirror.updates(repo, tree="auto").warnings[-1]
    assert KERNEL not in mirror.tree()
