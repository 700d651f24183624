"""Changes that look like accidents upstream, and promises that contradict each other."""

from collections.abc import Callable

import pytest

from mirrorpy.sync.report import Options
from tests.simulator import REPOMD, Repo, Simulator, digest, prestodelta

from .mirror import Mirror, packages

BASH = "Packages/bash-1-1.noarch.rpm"


@pytest.fixture
def ten(simulator: Simulator) -> Repo:
    """An upstream of ten packages."""
    repo = simulator.repository("https://up.test/repo/")
    for number in range(10):
        repo.add(f"p{number}")
    repo.publish()
    return repo


def _shrink(repo: Repo, packages_left: int) -> None:
    for href in list(repo.packages)[packages_left:]:
        repo.remove(href)
    repo.publish()


@pytest.mark.parametrize(
    ("left", "max_shrink", "refused"),
    [
        (9, 0.5, False),
        (5, 0.5, False),
        (4, 0.5, True),
        (1, 0.5, True),
        (0, 0.5, True),
        (9, 0.0, True),
        (10, 0.0, False),
        (9, 0.1, False),
        (8, 0.1, True),
        (1, 1.0, False),
        (0, 1.0, True),
    ],
)
def test_shrink(mirror: Mirror, ten: Repo, left: int, max_shrink: float, refused: bool) -> None:
    mirror.updates(ten)
    _shrink(ten, left)
    ten.asked()

    if not refused:
        assert mirror.updates(ten, max_shrink=max_shrink).packages == left
        return
    message = mirror.fails(8, ten, max_shrink=max_shrink)
    assert "--allow-shrink" in message
    assert f"from 10 to {left}" in message

    report = mirror.updates(ten, max_shrink=max_shrink, options=Options(allow_shrink=True))
    assert report.packages == left
    mirror.stays(ten, max_shrink=max_shrink)


def test_shrinking_is_net(mirror: Mirror, ten: Repo) -> None:
    mirror.updates(ten)
    for href in list(ten.packages):
        ten.remove(href)
    for number in range(8):
        ten.add(f"other{number}")
    ten.publish()

    mirror.updates(ten, max_shrink=0.2)


def test_retired_packages_do_not_count(mirror: Mirror, ten: Repo) -> None:
    """Neither as packages that are here, nor as ones that vanish when their grace is over."""
    mirror.updates(ten, grace=7200.0)
    _shrink(ten, 6)
    mirror.updates(ten, grace=7200.0)
    _shrink(ten, 3)
    mirror.updates(ten, grace=7200.0)
    assert len(packages(list(mirror.tree()))) == 10
    mirror.now += 400 * 3600

    assert mirror.updates(ten, grace=7200.0).packages == 3
    assert mirror.tree() == ten.tree()


def test_growing_from_none(mirror: Mirror, simulator: Simulator) -> None:
    repo = simulator.repository("https://up.test/repo/")
    repo.publish()
    mirror.updates(repo)
    repo.add("first")
    repo.publish()

    assert mirror.updates(repo).packages == 1


def _with_line(text: str, changed: Callable[[str], str]) -> str:
    """Return primary.xml with one package's line once more, changed."""
    line = next(line for line in text.splitlines() if "bash" in line)
    return text.replace(line, f"{line}\n{changed(line)}")


def test_one_href_with_two_checksums(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    one, two = digest(repo.read(BASH)), digest(b"another")
    repo.publish(edit_primary=lambda text: _with_line(text, lambda line: line.replace(one, two)))
    repo.asked()

    assert BASH in mirror.fails(4, repo)

    assert packages(repo.asked()) == []


def test_one_package_listed_twice(mirror: Mirror, repo: Repo) -> None:
    repo.publish(edit_primary=lambda text: _with_line(text, str))

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert len(packages(repo.asked())) == 2


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("a", "a/b"),
        ("a/b/c", "a"),
        ("Packages/x", "Packages/x/y/z.rpm"),
        ("a", "a/./b"),
        ("a//b", "a/b/c"),
    ],
)
def test_a_file_that_is_a_folder_too(mirror: Mirror, repo: Repo, one: str, two: str) -> None:
    mirror.updates(repo)
    repo.add("one", href=one)
    repo.add("two", href=two)
    repo.publish()

    mirror.fails(4, repo)


@pytest.mark.parametrize(("one", "two"), [("a/x.rpm", "a//x.rpm"), ("a/x.rpm", "./a/x.rpm"), ("a/x.rpm", "a/./x.rpm")])
def test_two_spellings_of_one_path(mirror: Mirror, repo: Repo, one: str, two: str) -> None:
    repo.add("one", href=one)
    repo.add("two", href=two)
    repo.publish()

    mirror.fails(4, repo)


def test_a_package_over_a_record(mirror: Mirror, repo: Repo) -> None:
    repo.publish(folder="md/", named=False)
    repo.add("evil", href="md/primary.xml.gz")
    repo.publish(folder="md/", named=False)

    mirror.fails(4, repo)


@pytest.mark.parametrize("href", ["repodata", "repodata/", "repodata/repomd.xml", "repodata/x.rpm", "repodata//x.rpm"])
def test_a_package_over_repodata(mirror: Mirror, repo: Repo, href: str) -> None:
    mirror.updates(repo)
    repo.add("evil", href=href)
    repo.publish(folder="md/")

    mirror.fails(4, repo)


@pytest.mark.parametrize("href", ["../evil.drpm", "/evil.drpm", "repodata/evil", ".mirrorpy/evil", "a/../../evil"])
def test_unsafe_deltas(mirror: Mirror, repo: Repo, href: str) -> None:
    mirror.updates(repo)
    repo.publish({"prestodelta": prestodelta({href: b"evil"})})

    mirror.fails(4, repo)


def test_a_sibling_is_not_inside(mirror: Mirror, simulator: Simulator, repo: Repo) -> None:
    other = simulator.repository("https://other.test/")
    other.add("x")
    other.publish(folder="../repo2/")

    mirror.fails(4, other, id="rep")


def test_a_failed_guard_leaves_the_next_run_alone(mirror: Mirror, ten: Repo) -> None:
    mirror.updates(ten)
    kept = dict(ten.packages)
    _shrink(ten, 1)
    mirror.fails(8, ten)
    for href, package in kept.items():
        ten.add("", package.content, href=href)
    ten.publish()
    ten.asked()

    mirror.updates(ten)

    assert packages(ten.asked()) == []
    mirror.stays(ten)
    assert ten.asked()[-1] == REPOMD
