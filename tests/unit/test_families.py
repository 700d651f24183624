"""Entries of a configuration: what they stand for is what was found, whatever it is called."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mirrorpy.config.load import load_config
from mirrorpy.config.starter import converted
from mirrorpy.discover import Found, find_families
from mirrorpy.rpmmd.href import quote_href

URL = "http://up.test/centos/"


def families(*paths, url=URL):
    return find_families(url, [Found(path, repository=True, tree=False) for path in paths])


def product(template, **values):
    return [
        template.format(**dict(zip(values, combination, strict=True)))
        for combination in itertools.product(*values.values())
    ]


def loaded(url, paths, tmp_path):
    """The repositories of the configuration that is printed, as ids, paths and base URLs."""
    options = [
        {"id": one.id, "path": one.path, "baseurl": one.baseurl} | ({"vars": one.vars} if one.vars else {})
        for one in families(*paths, url=url)
    ]
    file = tmp_path / "mirrorpy.yaml"
    file.write_text(converted("/pub", [(entry, []) for entry in options]))
    return load_config(file, {}).repos


def summary(*paths, url=URL):
    return [(one.path, one.vars) for one in families(*paths, url=url)]


def test_releases_and_architectures_of_one_family_are_one_entry():
    paths = product("{r}/{n}/{a}", r=["5.0", "5.10", "5.9"], n=["os", "updates"], a=["i386", "x86_64"])
    (family,) = families(*paths)
    assert family.id == "centos-$releasever-$repo-$basearch"
    assert family.path == "centos/$releasever/$repo/$basearch"
    assert family.baseurl == "http://up.test/centos/$releasever/$repo/$basearch/"
    assert family.vars == {
        "releasever": ["5.0", "5.9", "5.10"],
        "repo": ["os", "updates"],
        "basearch": ["i386", "x86_64"],
    }
    assert family.repositories == 12


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (
            [*product("{r}/os/{a}", r="56", a=["i386", "x86_64"]), "7/os/x86_64", "8/os/x86_64"],
            [
                ("$releasever/os/$basearch", {"releasever": ["5", "6"], "basearch": ["i386", "x86_64"]}),
                ("$releasever/os/$basearch", {"releasever": ["7", "8"], "basearch": ["x86_64"]}),
            ],
        ),
        (
            ["5/os/i386", "6/os/x86_64", "5/updates/i386"],
            [
                ("$releasever/os/$basearch", {"releasever": ["5"], "basearch": ["i386"]}),
                ("$releasever/os/$basearch", {"releasever": ["6"], "basearch": ["x86_64"]}),
                ("$releasever/updates/$basearch", {"releasever": ["5"], "basearch": ["i386"]}),
            ],
        ),
    ],
    ids=["older ones have more", "diagonal"],
)
def test_a_family_with_gaps_is_split(paths, expected):
    assert summary(*paths, url="http://up.test/") == expected


@pytest.mark.parametrize(
    ("path", "pattern", "values"),
    [
        ("epel-9-x86_64", "epel-$releasever-$basearch", {"releasever": ["9"], "basearch": ["x86_64"]}),
        ("fedora-rawhide-aarch64", "fedora-rawhide-$basearch", {"basearch": ["aarch64"]}),
        ("el9/RPMS.x86_64", "el$releasever/RPMS.$basearch", {"releasever": ["9"], "basearch": ["x86_64"]}),
        ("8-stream/BaseOS", "$releasever/BaseOS", {"releasever": ["8-stream"]}),
        ("7Server/os", "$releasever/os", {"releasever": ["7Server"]}),
        ("v1.30/rpm", "v$releasever/rpm", {"releasever": ["1.30"]}),
        ("9/9.4/9", "$releasever/9.4/$releasever", {"releasever": ["9"]}),
        ("x86_64/noarch/x86_64", "$basearch/noarch/$basearch", {"basearch": ["x86_64"]}),
        ("2024-01-01", "2024-01-01", {}),
        ("python3.11", "python3.11", {}),
        ("x86", "x86", {}),
        ("ppc64le/ppc64", "$basearch/ppc64", {"basearch": ["ppc64le"]}),
        ("9 x", "$releasever x", {"releasever": ["9"]}),
        ("a$b", "a_b", {}),
        ("$releasever", "_releasever", {}),
    ],
)
def test_what_is_read_in_a_path(path, pattern, values):
    assert summary(path, url="http://up.test/") == [(pattern, values)]


def test_repo_varies_only_behind_another_variable():
    assert [path for path, _ in summary("centos/9", "rocky/9", "9/a", "9/b", url="http://up.test/")] == [
        "$releasever/$repo",
        "centos/$releasever",
        "rocky/$releasever",
    ]


@pytest.mark.parametrize(
    ("url", "path", "expected"),
    [
        ("http://up.test/", "os", ("os", "os", "http://up.test/os/")),
        ("http://up.test", "os", ("os", "os", "http://up.test/os/")),
        ("http://up.test", "", ("up.test", "up.test", "http://up.test/")),
        ("http://up.test/a/b", "os", ("b-os", "b/os", "http://up.test/a/b/os/")),
        ("http://up.test/a/b/", "", ("b", "b", "http://up.test/a/b/")),
        ("file:///", "os", ("os", "os", "file:///os/")),
        ("file:///srv", "os", ("srv-os", "srv/os", "file:///srv/os/")),
        ("http://up.test/a%20b/", "os", ("a_b-os", "a b/os", "http://up.test/a%20b/os/")),
        ("http://up.test/caf%E9/", "os", ("os", "os", "http://up.test/caf%E9/os/")),
        ("http://up.test/.hidden/", "os", ("os", "os", "http://up.test/.hidden/os/")),
        ("http://up.test/", "~me/&", ("repo-_me-_", "~me/&", "http://up.test/~me/%26/")),
        ("http://user:pw@up.test/a/", "os", ("a-os", "a/os", "http://user:pw@up.test/a/os/")),
    ],
)
def test_names_below_root(url, path, expected):
    (family,) = families(path, url=url)
    assert (family.id, family.path, family.baseurl) == expected


def test_trees_are_counted_and_no_repositories():
    found = [
        Found("9/os", repository=True, tree=True),
        Found("8/os", repository=True, tree=False),
        Found("dvd", repository=False, tree=True),
    ]
    (family,) = find_families(URL, found)
    assert (family.repositories, family.trees) == (2, 1)


NAMES = st.one_of(
    st.sampled_from(
        ["5", "6", "5.10", "x86_64", "i386", "os", "updates", "OS", "a b", "a_b", "a$b", "el9", "9-x86_64"]
    ),
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=4).filter(
        lambda name: not name.startswith(".")
    ),
    st.just("x" * 250),
)


@settings(max_examples=100, deadline=None)
@given(st.sets(st.lists(NAMES, min_size=1, max_size=4).map("/".join), min_size=1, max_size=12))
@example({"a b", "a_b", "a$b", "a_b-2"})
@example({"9-x86_64", "9/x86_64", "x/9-x86_64"})
def test_each_repository_is_configured_once_and_nothing_else(tmp_path_factory, paths):
    """The configuration loads, which says that ids and paths are good and none lies in another."""
    paths = [one for one in paths if not any(one.startswith(f"{other}/") for other in paths)]
    repos = loaded(URL, paths, tmp_path_factory.mktemp("configuration"))
    assert sorted(url for repo in repos for url in repo.baseurls) == sorted(
        f"{URL}{quote_href(path)}/" for path in paths
    )
