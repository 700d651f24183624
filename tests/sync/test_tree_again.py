"""Trees over several runs: what upstream once had wrong, repositories inside that are broken, and what verify says."""

import json
from collections.abc import Callable

import pytest

from mirrorpy.sync.report import Options
from mirrorpy.verify.folder import verify_repository
from mirrorpy.verify.report import FindingKind, Settings, Verdict
from tests.simulator import REPOMD, Fault, Repo, Simulator, digest, status, wrong
from tests.sync.listings import show
from tests.sync.mirror import HOUR, Mirror, Watcher, configured
from tests.sync.test_tree import INITRD, KERNEL, PAGE, TREEINFO, plant, whole

BROKEN = b"<repomd/>garbage"


@pytest.fixture
def repo(simulator: Simulator) -> Repo:
    """A repository with an installer tree."""
    repo = simulator.repository("https://up.test/repo/")
    repo.add("bash")
    repo.publish()
    plant(repo, {KERNEL: b"kernel 1", INITRD: b"initrd 1"})
    return repo


def shown(repo: Repo) -> Repo:
    """Serve listings of a folder as it is now."""
    repo.simulator.now += 60
    show(repo)
    return repo


def inside(repo: Repo, folder: str, *names: str) -> Repo:
    """Publish a repository in a folder."""
    nested = repo.simulator.repository(f"{repo.url}{folder}/")
    for name in names:
        nested.add(name)
    nested.publish()
    return nested


def verified(mirror: Mirror, repo: Repo, **settings: object) -> Verdict:
    """Verify what is published; the packages of the simulator are none."""
    verdict = verify_repository(configured(repo, **settings), mirror.layout, Settings(), Watcher())
    verdict.findings = [finding for finding in verdict.findings if finding.kind is not FindingKind.HEADER]
    return verdict


def lists(*hrefs: str) -> bytes:
    """Return an extra_files.json of these files."""
    return json.dumps({"data": [{"file": href, "checksums": {"sha256": digest(b"")}} for href in hrefs]}).encode()


@pytest.mark.parametrize("fault", [status(404), wrong(PAGE)], ids=["not there", "wrong"])
def test_an_image_that_comes_back(mirror: Mirror, repo: Repo, fault: Fault) -> None:
    """A run without it says so and leaves verify content; it is published once upstream has it."""
    repo.fail(KERNEL, fault, always=True)
    for _ in range(3):
        report = mirror.sync(repo, tree="auto")
        assert [warning for warning in report.warnings if KERNEL in warning]
        assert verified(mirror, repo, tree="auto").findings == []
    assert report.outcome == "unchanged"
    repo.fail(KERNEL)
    mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD)
    assert mirror.stays(repo, tree="auto").warnings == []


def test_an_image_that_is_wrong_once(mirror: Mirror, repo: Repo) -> None:
    """Its server described it as ever: the next run asks for it once more all the same."""
    repo.fail(KERNEL, *[wrong(PAGE)] * 3)
    mirror.updates(repo, tree="auto")
    repo.fail(KERNEL)
    mirror.updates(repo, tree="auto")
    assert mirror.tree() == whole(repo, TREEINFO, KERNEL, INITRD)


def test_a_wrong_image_is_not_downloaded_again_and_again(mirror: Mirror, repo: Repo) -> None:
    repo.put(KERNEL, b"another")
    for _ in range(2):
        mirror.sync(repo, tree="auto")
    repo.asked()
    mirror.stays(repo, tree="auto")
    assert [seen.method for seen in repo.seen(KERNEL)] == ["HEAD"]
    mirror.now += 7 * 24 * HOUR
    repo.asked()
    mirror.stays(repo, tree="auto")
    assert [seen.method for seen in repo.seen(KERNEL)] == ["HEAD", "GET"]
    repo.simulator.now += 60
    repo.put(KERNEL, b"kernel 1")
    mirror.updates(repo, tree="auto")


def test_images_of_one_content_that_nobody_has(mirror: Mirror, repo: Repo) -> None:
    plant(repo, {KERNEL: b"same", INITRD: b"same"})
    repo.drop(KERNEL)
    repo.drop(INITRD)
    report = mirror.updates(repo, tree="auto")
    assert [sum(href in warning for warning in report.warnings) for href in (KERNEL, INITRD)] in ([1, 2], [2, 1])
    assert verified(mirror, repo, tree="auto").findings == []


def test_a_treeinfo_that_is_a_file_like_any_other(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo, tree=False, extras=(TREEINFO,))
    assert mirror.tree() == whole(repo, TREEINFO)
    assert verified(mirror, repo, tree=False, extras=(TREEINFO,)).findings == []


def test_one_package_promised_with_two_algorithms(mirror: Mirror, repo: Repo) -> None:
    nested = repo.simulator.repository(f"{repo.url}addons/HA/")
    nested.add("z", b"package", href="z.rpm")
    nested.publish(checksum="sha")
    repo.add("z", b"package", href="addons/HA/z.rpm")
    repo.publish()
    plant(repo, {KERNEL: b"kernel 1"}, "[variant-HA]\nid=HA\nrepository = addons/HA\n")
    mirror.updates(repo, tree="auto")
    assert mirror.tree()["addons/HA/z.rpm"] == b"package"
    assert verified(mirror, repo, tree="auto").findings == []
    mirror.replace("addons/HA/z.rpm", b"PACKAGE")
    assert {finding.kind for finding in verified(mirror, repo, tree="auto").findings} == {FindingKind.CHECKSUM}


@pytest.mark.parametrize(
    ("spoil", "told", "exit_status"),
    [
        (lambda nested: nested.put(REPOMD, BROKEN), "b/repodata/repomd.xml: ", 4),
        (lambda nested: nested.drop(next(href for href in nested.hrefs() if href.endswith(".rpm"))), "without b/", 3),
    ],
    ids=["malformed", "a package is missing"],
)
def test_one_bad_repository_of_many(
    mirror: Mirror, simulator: Simulator, spoil: Callable[[Repo], None], told: str, exit_status: int
) -> None:
    repo = simulator.repository("https://up.test/repo/")
    inside(repo, "a", "bash")
    spoil(inside(repo, "b", "zsh"))
    shown(repo)
    report = mirror.updates(repo, tree="all")
    assert [warning for warning in report.warnings if told in warning]
    assert mirror.tree() == {href: repo.read(href) for href in repo.hrefs() if href and not href.endswith("/")}
    assert verified(mirror, repo, tree="all").findings == []
    assert [warning for warning in mirror.stays(repo, tree="all").warnings if told in warning]
    mirror.fails(exit_status, repo, tree="all", strict_tree=True)


def test_a_package_that_is_missing_in_one_of_two_repositories(mirror: Mirror, simulator: Simulator) -> None:
    """The other one's is the same."""
    repo = simulator.repository("https://up.test/repo/")
    nested = [inside(repo, folder, "bash") for folder in "abc"]
    (href,) = nested[0].packages
    for folder in nested[:2]:
        folder.drop(href)
    assert mirror.updates(shown(repo), tree="all").warnings == []
    assert mirror.tree()[f"a/{href}"] == mirror.tree()[f"b/{href}"] == nested[2].read(href)


def test_a_bad_repository_that_treeinfo_names(mirror: Mirror, repo: Repo) -> None:
    """Without `tree: all` its files are known to nobody else."""
    inside(repo, "b", "zsh").put(REPOMD, BROKEN)
    plant(repo, {KERNEL: b"kernel 1"}, "[variant-B]\nid=B\nrepository = b\n")
    shown(repo)
    assert "b/repodata/repomd.xml" in mirror.fails(4, repo, tree="auto")
    mirror.updates(repo, tree="all")
    assert verified(mirror, repo, tree="all").findings == []
    mirror.replace("b/repodata/repomd.xml", b"<other/>")
    assert FindingKind.SIZE in {finding.kind for finding in verified(mirror, repo, tree="all").findings}


@pytest.mark.parametrize("listed", ["repomd.xml", "other.xml"])
def test_documents_beside_metadata_promise_nothing(mirror: Mirror, repo: Repo, listed: str) -> None:
    repo.put("repodata/extra_files.json", lists(listed))
    repo.put("images/extra_files.json", lists(f"{'x' * 200}/" * 9 + f"{'y' * 235}"))
    shown(repo)
    report = mirror.updates(repo, tree="all")
    assert mirror.tree().items() >= whole(repo, TREEINFO, KERNEL, "repodata/extra_files.json").items()
    assert [warning for warning in report.warnings if "images/extra_files.json" in warning and "2048" in warning]


def test_a_repository_inside_that_goes_back(mirror: Mirror, repo: Repo) -> None:
    """One that .treeinfo names stops the sync; one of many is told of."""
    inside(repo, "a", "bash")
    plant(repo, {KERNEL: b"kernel 1"}, "[variant-A]\nid=A\nrepository = a\n")
    shown(repo)
    old = dict(repo.simulator.files)
    repo.simulator.now += 60
    inside(repo, "a", "zsh")
    shown(repo)
    for tree in ("auto", "all"):
        mirror.updates(repo, tree=tree)
        new, repo.simulator.files = repo.simulator.files, old
        if tree == "auto":
            assert "a/repodata/repomd.xml" in mirror.fails(4, repo, tree=tree)
        else:
            report = mirror.updates(repo, tree=tree)
            assert "a/repodata/repomd.xml: is older than what was published" in report.warnings
        repo.simulator.files = new
    mirror.updates(repo, tree="auto")
    repo.simulator.files = old
    mirror.updates(repo, tree="auto", options=Options(allow_rollback=True))
