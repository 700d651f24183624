"""The clients' .repo file: what is folded, how it is named, which URLs and keys stand in it."""

import configparser

import pytest
import yaml

from mirrorpy.cli import main
from mirrorpy.config.load import load_config
from mirrorpy.emit.repofile import Section, check_base, fold, repo_file
from mirrorpy.errors import ConfigError

BASE = "http://mirror.test/pub"
TWO = {"releasever": ["8", "9"]}
ARCH = {"basearch": ["x86_64", "aarch64"]}
CENTOS = {
    "id": "centos-$releasever-$repo-$basearch",
    "path": "centos/$releasever/$repo/$basearch",
    "vars": {"releasever": ["5.0", "5.1"], "repo": ["os", "updates"], "basearch": ["i386", "x86_64"]},
}


@pytest.fixture
def configure(tmp_path):
    """Write a configuration of these entries, and return its file."""

    def configure(*entries: dict, root: str = "/pub"):
        file = tmp_path / "m.yaml"
        repos = [{"baseurl": "http://up.test/", **entry} for entry in entries]
        file.write_text(yaml.safe_dump({"root": root, "repos": repos}))
        return file

    return configure


@pytest.fixture
def folded(configure):
    """Fold the repositories of these entries."""

    def folded(*entries: dict) -> list[Section]:
        return fold(load_config(configure(*entries), {}).repos)

    return folded


@pytest.fixture
def emit(configure, capsys):
    """Run `emit repo`: the status, the file as its sections, and what was said."""

    def emit(*args: str, entries=(), **top: str):
        status = main(["-c", str(configure(*entries, **top)), "emit", "repo", *args])
        captured = capsys.readouterr()
        return status, read(captured.out), captured.err

    return emit


def read(text: str) -> dict[str, dict[str, str]]:
    """What a strict parser without interpolation makes of a .repo file."""
    parser = configparser.ConfigParser(interpolation=None, delimiters="=")
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


# Folding

FOLDED = [
    # id template, path template or None, vars → id, name, path
    ("a", None, {}, "a", "a", "a"),
    ("a", "x/y", {}, "a", "a", "x/y"),
    ("a-$releasever", None, TWO, "a", "a-$releasever", "a-$releasever"),
    ("a-$basearch", None, ARCH, "a", "a-$basearch", "a-$basearch"),
    ("a-$releasever-$basearch", "a/$releasever/$basearch", TWO | ARCH, "a", "a-$releasever-$basearch",
     "a/$releasever/$basearch"),
    ("a-${releasever}-${basearch}", None, TWO | ARCH, "a", "a-$releasever-$basearch", "a-$releasever-$basearch"),
    ("a-$releasever$basearch", None, TWO | ARCH, "a", "a-$releasever$basearch", "a-$releasever$basearch"),
    ("a$releasever", None, TWO, "a", "a$releasever", "a$releasever"),
    ("a-${releasever}x", None, TWO, "ax", "a-${releasever}x", "a-${releasever}x"),
    ("a-${releasever}_x", None, TWO, "a_x", "a-${releasever}_x", "a-${releasever}_x"),
    ("$releasever-os", None, TWO, "os", "$releasever-os", "$releasever-os"),
    ("$basearch", None, ARCH, "x86_64", "$basearch", "$basearch"),
    ("a.$releasever_b:$basearch", None, ARCH | {"releasever_b": ["1"]}, "a.1", "a.1:$basearch", "a.1%3A$basearch"),
    # The id need not have a variable of one value.
    ("a", "x/$releasever/${basearch}", {"releasever": ["9"], "basearch": ["x86_64"]}, "a", "a",
     "x/$releasever/$basearch"),
    ("a", "$releasever$basearch", {"releasever": ["9"], "basearch": ["x86_64"]}, "a", "a", "$releasever$basearch"),
    ("a", "${releasever}x", {"releasever": ["9"]}, "a", "a", "${releasever}x"),
    ("a", "${releasever}_", {"releasever": ["9"]}, "a", "a", "${releasever}_"),
    ("a", "${releasever}0", {"releasever": ["9"]}, "a", "a", "${releasever}0"),
    ("a", "$releasever.x", {"releasever": ["9"]}, "a", "a", "$releasever.x"),
    # Variables of other names are none of the clients'.
    ("a-$repo", "$repo/$releasever", {"repo": ["os"], "releasever": ["9"]}, "a-os", "a-os", "os/$releasever"),
    ("a-$arch", None, {"arch": ["x86_64"]}, "a-x86_64", "a-x86_64", "a-x86_64"),
    ("a-$releaseversion", None, {"releaseversion": ["1"]}, "a-1", "a-1", "a-1"),
    ("a", "$v$releasever", {"v": ["el"], "releasever": ["9"]}, "a", "a", "el$releasever"),
    ("a", "$releasever$v", {"v": ["el"], "releasever": ["9"]}, "a", "a", "${releasever}el"),
    # A plus is no character of dnf's ids.
    ("a+b", None, {}, "a-b", "a+b", "a%2Bb"),
    ("a+$releasever", None, TWO, "a", "a+$releasever", "a%2B$releasever"),
    # Odd characters in paths
    ("a", "x y/z", {}, "a", "a", "x%20y/z"),
    ("a", "é/50%/a,b/c;d/#/?", {}, "a", "a", "%C3%A9/50%25/a%2Cb/c%3Bd/%23/%3F"),
    ("a", "~x/a@b/a=b&c/[d]", {}, "a", "a", "~x/a%40b/a%3Db%26c/%5Bd%5D"),
    ("a", "'x'/\"y\"/\\", {}, "a", "a", "%27x%27/%22y%22/%5C"),
    ("a", "é$releasever/ü", {"releasever": ["9"]}, "a", "a", "%C3%A9$releasever/%C3%BC"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "path", "variables", "repo_id", "name", "expected"), FOLDED)
def test_fold(folded, template, path, variables, repo_id, name, expected):
    (section,) = folded({"id": template, "vars": variables} | ({"path": path} if path else {}))
    assert (section.id, section.name, section.path) == (repo_id, name, expected)


def test_one_matrix(folded):
    os, updates = folded(CENTOS)
    assert (os.id, os.path) == ("centos-os", "centos/$releasever/os/$basearch")
    assert (updates.id, updates.path) == ("centos-updates", "centos/$releasever/updates/$basearch")
    assert os.name == "centos-$releasever-os-$basearch"
    assert os.values == (("releasever", ("5.0", "5.1")), ("basearch", ("i386", "x86_64")))


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$releasever/$basearch", (("releasever", ("8", "9")), ("basearch", ("x86_64", "aarch64")))),
        ("${basearch}/$releasever", (("releasever", ("8", "9")), ("basearch", ("x86_64", "aarch64")))),
    ],
)
def test_values_are_those_of_the_path(folded, path, values):
    (section,) = folded({"id": "a-$releasever-$basearch", "path": path, "vars": TWO | ARCH})
    assert section.values == values


def test_a_variable_that_the_path_has_not_is_none_of_the_clients(folded):
    (section,) = folded({"id": "a-$releasever", "path": "x", "vars": {"releasever": ["9"]}})
    assert section.values == ()


def test_order_is_the_configurations(folded):
    entries = [{"id": "z"}, {"id": "m-$releasever", "vars": TWO}, {"id": "a"}, {"id": "b"}]
    assert [section.id for section in folded(*entries)] == ["z", "m", "a", "b"]


def test_only_what_is_selected(emit):
    status, sections, _ = emit("--base", BASE, "*-5.1-os-i386", "b", entries=[{"id": "b"}, {"id": "c"}, CENTOS])
    assert status == 0
    assert list(sections) == ["b", "centos-os"]


COLLISIONS = [
    # entries' ids → sections' ids
    (["a-$releasever", "a-$basearch"], ["a-8", "a-9", "a-x86_64", "a-aarch64"]),
    (["a", "a-$releasever"], ["a", "a-8", "a-9"]),
    (["b", "a-$releasever", "a-$basearch", "c"], ["b", "a-8", "a-9", "a-x86_64", "a-aarch64", "c"]),
    # What stays unfolded meets what is folded.
    (["a-$releasever", "a.$basearch", "a-8-$basearch"], None),
    (["a-$releasever", "a-$basearch", "a-8"], None),
    # A plus becomes a minus.
    (["a+b", "a-b"], None),
    (["a+$releasever", "a-$releasever"], None),
]


@pytest.mark.parametrize(("templates", "expected"), COLLISIONS)
def test_each_id_once(folded, templates, expected):
    variables = {"$releasever": TWO, "$basearch": ARCH}
    entries = [
        {
            "id": template,
            "path": f"{number}/{template}",
            "vars": {k: v for name, values in variables.items() if name in template for k, v in values.items()},
        }
        for number, template in enumerate(templates)
        if template != "a-8"
    ]
    if "a-8" in templates:
        entries.append({"id": "a-8-$x", "path": "other", "vars": {"x": ["1"]}})
    sections = folded(*entries)
    ids = [section.id for section in sections]
    assert len(ids) == len(set(ids))
    if expected:
        assert ids == expected


def test_what_collides_has_its_own_values_in_its_path(folded):
    sections = folded({"id": "a-$releasever", "vars": TWO}, {"id": "a"})
    assert [section.path for section in sections] == ["a-8", "a-9", "a"]
    assert all(section.values == () for section in sections)


@pytest.mark.parametrize("template", ["main", "main-$releasever", "$releasever-main"])
def test_no_section_is_the_programs_own(folded, template):
    """[main] holds the options of yum and dnf themselves, so that no repository can be of this name."""
    sections = folded({"id": template, "vars": {"releasever": ["9"]}})
    assert "main" not in [section.id for section in sections]


def test_one_template_with_different_keys(folded):
    """Each release of a distribution has its own key, and clients of both read the section."""
    keys = [
        key
        for section in folded(
            {"id": "a-$releasever", "vars": {"releasever": ["8"]}, "gpgkey": "/k/8"},
            {"id": "a-$releasever", "vars": {"releasever": ["9"]}, "gpgkey": "/k/9"},
        )
        for key in section.gpgkey
    ]
    assert keys == ["/k/8", "/k/9"]


# Base URLs

GOOD_BASES = [
    ("http://h", "http://h"),
    ("http://h/", "http://h"),
    ("https://h:8443/pub", "https://h:8443/pub"),
    ("ftp://h/pub/", "ftp://h/pub"),
    ("file:///srv/pub", "file:///srv/pub"),
    ("file:///srv/a%20b", "file:///srv/a%20b"),
    ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080"),
    ("http://user:word@h/x", "http://user:word@h/x"),
    ("HTTP://H/x/", "HTTP://H/x"),
]


@pytest.mark.parametrize(("base", "expected"), GOOD_BASES)
def test_good_base(base, expected):
    assert check_base(base) == expected


def test_the_root_of_all_is_a_base():
    assert f"{check_base('file:///')}/pub/a/" == "file:///pub/a/"


@pytest.mark.parametrize(
    "base",
    [
        "",
        "h",
        "/srv/pub",
        "//h/pub",
        "http:",
        "http://",
        "http:///pub",
        "http:/h",
        "http://:80/",
        "http://h:port/",
        "http://h:99999/",
        "http://[h/",
        "file:pub",
        "file://",
        "file://pub",
        "rsync://h/",
        "gopher://h/",
        "http://h/?a=b",
        "http://h/#a",
        "http://h/?",
        "http://h/#",
        "http://h/a b",
        " http://h/",
        "http://h/\n",
        "http://h/\nenabled=0",
        "http://h/\x1b",
        "http://h/a,b",
        'http://h/"',
        "http://h/'",
        "http://h/\\",
    ],
)
def test_bad_base(base):
    with pytest.raises(ConfigError) as raised:
        check_base(base)
    assert raised.value.message.isprintable()
    assert "--base" in raised.value.message


def test_a_bad_base_is_2(emit):
    status, sections, err = emit("--base", "rsync://h/", entries=[{"id": "a"}])
    assert (status, sections) == (2, {})
    assert "rsync://h/" in err


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("/pub", "file:///pub/a/"),
        ("/my pub", "file:///my%20pub/a/"),
        ("/50%/ü,#", "file:///50%25/%C3%BC%2C%23/a/"),
        ("/$HOME", "file:///%24HOME/a/"),
        ("/", "file:///a/"),
    ],
)
def test_without_base_it_is_roots_own(emit, root, expected):
    assert emit(entries=[{"id": "a"}], root=root)[1]["a"]["baseurl"] == expected


# The file


def test_keys_of_a_section(emit):
    status, sections, _ = emit("--base", BASE, entries=[CENTOS])
    assert status == 0
    assert sections["centos-os"] == {
        "name": "centos-$releasever-os-$basearch",
        "baseurl": f"{BASE}/centos/$releasever/os/$basearch/",
        "enabled": "1",
        "gpgcheck": "0",
        "metadata_expire": "1h",
    }


KEYS = [
    (["/etc/pki/KEY"], "file:///etc/pki/KEY"),
    (["/a b/ü,KEY"], "file:///a%20b/%C3%BC%2CKEY"),
    (["/k/1", "/k/2"], "file:///k/1\nfile:///k/2"),
]


@pytest.mark.parametrize(("keys", "expected"), KEYS)
def test_keys_of_the_configuration(emit, keys, expected):
    _, sections, err = emit(entries=[{"id": "a", "gpgkey": keys}])
    assert (sections["a"]["gpgkey"], sections["a"]["gpgcheck"], err) == (expected, "1", "")


def test_a_key_beside_the_configuration(emit, tmp_path):
    assert emit(entries=[{"id": "a", "gpgkey": "KEY"}])[1]["a"]["gpgkey"] == f"file://{tmp_path}/KEY"


GIVEN = [
    (["http://h/KEY"], "http://h/KEY"),
    (["https://h/KEY", "ftp://h/K2"], "https://h/KEY\nftp://h/K2"),
    (["file:///k"], "file:///k"),
    (["/k/1"], "file:///k/1"),
]


@pytest.mark.parametrize(("keys", "expected"), GIVEN)
def test_a_given_key_goes_before_the_configurations(emit, keys, expected):
    args = [word for key in keys for word in ("--gpgkey", key)]
    _, sections, err = emit(*args, entries=[{"id": "a", "gpgkey": "/k"}, {"id": "b"}])
    assert [(section["gpgkey"], section["gpgcheck"]) for section in sections.values()] == [(expected, "1")] * 2
    assert err == ""


@pytest.mark.parametrize("key", ["http://h/a b", "http://h/\nenabled=0", "http://h/a,b", "http://[h/k", "key.asc", ""])
def test_bad_given_key(emit, key):
    status, sections, err = emit("--gpgkey", key, entries=[{"id": "a"}])
    assert (status, sections) == (2, {})
    assert err.count("\n") == 1


def test_what_is_not_checked_is_said_once(emit):
    _, sections, err = emit(entries=[{"id": "a"}, {"id": "b", "gpgkey": "/k"}, {"id": "c"}])
    assert {name: section["gpgcheck"] for name, section in sections.items()} == {"a": "0", "b": "1", "c": "0"}
    assert err.startswith("mirrorpy: warning: no gpgkey for a, c: ")
    assert err.count("\n") == 1


def test_what_is_not_checked_is_said_in_the_file(folded):
    text = repo_file(folded({"id": "a"}), BASE)
    assert "\n# mirrorpy's configuration names no gpgkey for it: its signatures are not checked.\ngpgcheck=0\n" in text


def test_what_the_variables_may_be_is_said_in_the_file(folded):
    assert "\n# $releasever is mirrored as: 5.0, 5.1\n" in repo_file(folded(CENTOS), BASE)


def test_the_file_is_printable_ascii_lines(folded):
    text = repo_file(folded(CENTOS, {"id": "a", "path": "é/ü", "gpgkey": "/ö"}), BASE)
    assert all(line.isascii() and line.isprintable() for line in text.splitlines())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_a_script_holds_the_same_file(configure, capsys):
    file = str(configure(CENTOS))
    assert main(["-c", file, "emit", "repo", "--base", BASE]) == 0
    text = capsys.readouterr().out
    assert main(["-c", file, "emit", "repo", "--base", BASE, "--disable-others"]) == 0
    script = capsys.readouterr().out
    assert script.startswith("#!/bin/sh\n")
    assert f"\n{text}" in script
