"""The configuration: what it means, and that every mistake is told with file, line and the key's path."""

import re
import textwrap
import time

import pytest

from mirrorpy.config.document import read_document
from mirrorpy.config.load import MAX_FILE, find_config, load_config
from mirrorpy.config.model import Config
from mirrorpy.config.quantity import Duration, Share, Size
from mirrorpy.errors import ConfigError

GOOD = """
root: /pub
repos:
  - id: a
    baseurl: https://a.test/
"""


@pytest.fixture
def load(tmp_path):
    """Load a configuration from a text."""

    def load(text: str, **environ: str) -> Config:
        file = tmp_path / "m.yaml"
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return load_config(file, environ)

    return load


@pytest.fixture
def complaint(load, tmp_path):
    """Load a wrong configuration, and return the message with the file's name made short."""

    def complain(text: str, **environ: str) -> str:
        with pytest.raises(ConfigError) as raised:
            load(text, **environ)
        assert raised.value.exit_status == 2
        message = raised.value.message
        assert message.isprintable()
        return message.replace(str(tmp_path / "m.yaml"), "FILE")

    return complain


def with_option(line: str) -> str:
    """A good configuration, with an option at the top as line 3."""
    return f"\nroot: /pub\n{line}\nrepos:\n  - id: a\n    baseurl: https://a.test/\n"


def with_entry(*lines: str) -> str:
    """A configuration whose one entry is this, from line 4 on."""
    return "\nroot: /pub\nrepos:\n  - " + "\n    ".join(lines) + "\n"


# Quantities

SIZES = [
    ("0", 0),
    (0, 0),
    (1000, 1000),
    ("1k", 1024),
    ("1K", 1024),
    ("2M", 2 * 1024**2),
    ("2 MB", 2 * 1024**2),
    ("3g", 3 * 1024**3),
    ("1T", 1024**4),
    ("1.5k", 1536),
    (" 5 ", 5),
    ("100b", 100),
]


@pytest.mark.parametrize(("text", "expected"), SIZES)
def test_size(text, expected):
    assert Size.parse(text) == expected


DURATIONS = [
    ("0", 0),
    (30, 30),
    (0.5, 0.5),
    ("90s", 90),
    ("2m", 120),
    ("48h", 172_800),
    ("7d", 604_800),
    ("2w", 1_209_600),
    ("1.5 h", 5400),
]


@pytest.mark.parametrize(("text", "expected"), DURATIONS)
def test_duration(text, expected):
    assert Duration.parse(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("0%", 0), ("50%", 0.5), ("100 %", 1), ("12.5%", 0.125)])
def test_share(text, expected):
    assert Share.parse(text) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(
            (Size, text)
            for text in ("", "-1", "k", "1kk", "1x", "1,5k", "1e3", "0x10", True, None, [], "1" * 30, "nan")
        ),
        *((Duration, text) for text in ("", "-1s", "h", "1y", "1h30m", "inf", False, None, {}, float("nan"))),
        *((Share, text) for text in ("", "50", 50, 0.5, "101%", "-1%", "%", True, None, "1000%")),
    ],
)
def test_no_quantity(kind, text):
    with pytest.raises(ValueError, match="expected a"):
        kind.parse(text)


# What it means


def test_defaults(load, tmp_path):
    config = load(GOOD)
    assert (str(config.root), config.max_parallel_repos, config.max_parallel_downloads, config.throttle) == (
        "/pub",
        2,
        8,
        0,
    )
    assert config.file == tmp_path / "m.yaml"
    (repo,) = config.repos
    assert (repo.id, repo.path, repo.baseurls) == ("a", "a", ("https://a.test/",))
    assert (repo.keep, repo.grace, repo.max_shrink, repo.max_age) == (2, 0, 0.5, None)
    assert (repo.retries, repo.minrate, repo.throttle, repo.allow_missing) == (5, 1024, 0, False)
    connection = repo.connection
    assert (connection.timeout, connection.sslverify, connection.proxy, connection.headers) == (30, True, None, ())


def test_an_entrys_option_goes_before_the_tops(load):
    config = load("""
        root: /pub
        keep: 3
        grace: 48h
        max_shrink: 10%
        max_age: 7d
        retries: 0
        timeout: 60
        minrate: 2k
        allow_missing: true
        sslverify: false
        username: top
        headers: {X-Top: "1"}
        repos:
          - {id: a, baseurl: "http://a/"}
          - {id: b, baseurl: "http://b/", keep: 1, grace: 0, max_shrink: 0%, max_age: 1h, retries: 9, timeout: 5,
             minrate: 0, allow_missing: false, sslverify: true, username: own, headers: {}}
    """)
    a, b = config.repos
    assert (a.keep, a.grace, a.max_shrink, a.max_age, a.retries, a.minrate) == (3, 172_800, 0.1, 604_800, 0, 2048)
    assert (a.allow_missing, a.connection.sslverify, a.connection.username) == (True, False, "top")
    assert (a.connection.timeout, a.connection.headers) == (60, (("X-Top", "1"),))
    assert (b.keep, b.grace, b.max_shrink, b.max_age, b.retries, b.minrate) == (1, 0, 0, 3600, 9, 0)
    assert (b.allow_missing, b.connection.sslverify, b.connection.username) == (False, True, "own")
    assert (b.connection.timeout, b.connection.headers) == (5, ())


def test_vars_multiply(load):
    config = load("""
        root: /pub
        repos:
          - id: centos-$releasever-$repo-${basearch}
            path: centos/$releasever/$repo/$basearch
            baseurl: [https://one.test/$releasever/$repo/$basearch/, "https://two.test/${basearch}/"]
            vars: {releasever: ["5.0", "5.1"], repo: [os, updates], basearch: i386}
    """)
    assert [(repo.id, repo.path) for repo in config.repos] == [
        (f"centos-{version}-{name}-i386", f"centos/{version}/{name}/i386")
        for version in ("5.0", "5.1")
        for name in ("os", "updates")
    ]
    assert config.repos[1].baseurls == ("https://one.test/5.0/updates/i386/", "https://two.test/i386/")
    assert dict(config.repos[0].vars) == {"releasever": "5.0", "repo": "os", "basearch": "i386"}


@pytest.mark.parametrize("key", ["mirrorlist", "metalink"])
def test_lists_of_mirrors(load, key):
    (repo,) = load(with_entry("id: a", f"{key}: https://m.test/?repo=$r&arch=x", "vars: {r: 7}")).repos
    assert getattr(repo, key) == "https://m.test/?repo=7&arch=x"
    assert repo.baseurls == ()


@pytest.mark.parametrize("url", ["http://h/", "https://h:8443/a b".replace(" ", "%20"), "file:///srv/x", "HTTPS://H/"])
def test_schemes(load, url):
    assert load(with_entry("id: a", f"baseurl: '{url}'")).repos[0].baseurls == (url,)


def test_root_is_relative_to_the_file(load, tmp_path, monkeypatch):
    assert load(GOOD.replace("/pub", "pub/x")).root == tmp_path / "pub" / "x"
    assert load(GOOD.replace("/pub", "../pub")).root == tmp_path.parent / "pub"
    monkeypatch.setenv("HOME", "/home/me")
    assert str(load(GOOD.replace("/pub", "~/pub")).root) == "/home/me/pub"


def test_environment_in_secrets_only(load):
    config = load(
        """
        root: /pub
        user_agent: agent ${TOKEN}
        password: pre-${TOKEN}-post
        username: ${USER_NAME}
        proxy: http://${USER_NAME}:${TOKEN}@proxy.test:3128
        headers: {Authorization: "Bearer ${TOKEN}"}
        repos: [{id: a, baseurl: "http://a/"}]
        """,
        TOKEN="${USER_NAME}$1",
        USER_NAME="me",
    )
    connection = config.repos[0].connection
    assert (connection.username, connection.password) == ("me", "pre-${USER_NAME}$1-post")
    assert connection.proxy == "http://me:${USER_NAME}$1@proxy.test:3128"
    assert connection.headers == (("Authorization", "Bearer ${USER_NAME}$1"),)
    assert connection.user_agent == "agent ${TOKEN}"
    assert "USER_NAME" not in repr(config)
    assert "me:" not in repr(config)


@pytest.mark.parametrize("line", ["baseurl: https://${HOST}/", "path: x/${HOST}", "id: a-${HOST}"])
def test_environment_is_nowhere_else(complaint, line):
    key = line.partition(":")[0]
    lines = [text for text in ("id: a", "baseurl: https://a.test/") if not text.startswith(key)]
    assert f"repos[0].{key}" in complaint(with_entry(line, *lines), HOST="a.test")


def test_a_missing_variable_of_the_environment_is_named_and_no_other_is_told(complaint):
    message = complaint(with_entry("id: a", "baseurl: http://a/", "password: ${NOT_THERE}"), OTHER="hidden")
    assert message == "FILE:6: repos[0].password: the environment has no NOT_THERE"


@pytest.mark.parametrize("repo_id", ["a", "A1", "9.x", "a_b-c.d:e+f", "a" * 200])
def test_ids(load, repo_id):
    assert load(with_entry(f"id: {repo_id!r}", "baseurl: http://a/")).repos[0].id == repo_id


def test_a_byte_order_mark_is_none_of_yamls_business(tmp_path):
    file = tmp_path / "m.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_config(file, {}).repos[0].id == "a"


# Mistakes, each with its place

MISTAKES = [
    # the whole file
    ("", "FILE:1: is not a mapping"),
    ("- a\n", "FILE:1: is not a mapping"),
    ("just words\n", "FILE:1: is not a mapping"),
    ("root: [\n", "FILE:2: is not YAML"),
    ("root: /pub\n\trepos: []\n", "FILE:2: is not YAML"),
    ("root: /pub\n---\nroot: /pub\n", "FILE:2: is not YAML"),
    ("root: \x07\n", "is not YAML"),
    ("repos: [{id: a, baseurl: 'http://a/'}]\n", "`root`"),
    ("root: /pub\n", "`repos`"),
    ("root: /pub\nrepos: []\n", "FILE:2: repos: "),
    ("root: /pub\nrepos: {}\n", "FILE:2: repos: "),
    ("root: 5\nrepos: [{id: a, baseurl: 'http://a/'}]\n", "FILE:1: root: "),
    ("root:\nrepos: [{id: a, baseurl: 'http://a/'}]\n", "FILE:1: root: "),
    # keys
    (with_option("kep: 2"), "FILE:3: kep: is no option"),
    (with_option("id: 2"), "FILE:3: id: is no option"),
    (with_option("root: /other"), "FILE:3: root: stands here twice"),
    (with_option("[a, b]: 1"), "FILE:3: "),
    (with_option("1: 1"), "FILE:3: 1: is no option"),
    (with_entry("id: a", "baseurl: http://a/", "pth: x"), "FILE:6: repos[0].pth: is no option"),
    (with_entry("id: a", "baseurl: http://a/", "id: b"), "FILE:6: repos[0].id: stands here twice"),
    (with_entry("id: a", "baseurl: http://a/", "repos: []"), "FILE:6: repos[0].repos: is no option"),
    # types
    (with_option("keep: two"), "FILE:3: keep: "),
    (with_option("keep: 0"), "FILE:3: keep: "),
    (with_option("keep: true"), "FILE:3: keep: "),
    (with_option("keep: 1.5"), "FILE:3: keep: "),
    (with_option("keep: 99999999999999999999999"), "FILE:3: keep: "),
    (with_option("keep: [1]"), "FILE:3: keep: "),
    (with_option("retries: -1"), "FILE:3: retries: "),
    (with_option("max_parallel_repos: 0"), "FILE:3: max_parallel_repos: "),
    (with_option("max_parallel_downloads: 1000"), "FILE:3: max_parallel_downloads: "),
    (with_option("grace: soon"), "FILE:3: grace: expected a duration"),
    (with_option("grace: true"), "FILE:3: grace: expected a duration"),
    (with_option("grace: -1h"), "FILE:3: grace: expected a duration"),
    (with_option("minrate: fast"), "FILE:3: minrate: expected a size"),
    (with_option("max_shrink: 0.5"), "FILE:3: max_shrink: expected a percentage"),
    (with_option("max_shrink: 150%"), "FILE:3: max_shrink: expected a percentage"),
    (with_option("sslverify: 'no'"), "FILE:3: sslverify: "),
    (with_option("allow_missing: 1"), "FILE:3: allow_missing: "),
    (with_option("headers: [a]"), "FILE:3: headers"),
    (with_option("headers: {a: 5}"), "FILE:3: headers"),
    (with_option("max_age: 2024-01-01"), "FILE:3: max_age: "),
    (with_option("tree: some"), "FILE:3: tree: "),
    (with_option("keep: !!python/object:os.system x"), "FILE:3: keep: "),
    (with_option('keep: !!int ""'), "FILE:3: keep: "),
    (with_option("keep: !!int _"), "FILE:3: keep: "),
    (with_option('timeout: !!float ""'), "FILE:3: timeout: "),
    (with_option("sslverify: !!bool maybe"), "FILE:3: sslverify: "),
    (with_option("grace: !!timestamp soon"), "FILE:3: grace: "),
    (with_entry("id: a", "baseurl: http://a/", "vars: {x: {y: z}}"), "FILE:6: repos[0].vars"),
    (with_entry("id: 5", "baseurl: http://a/"), "FILE:4: repos[0].id: "),
    (with_entry("id: a", "baseurl: 5"), "FILE:5: repos[0].baseurl: "),
    (with_entry("id: a", "baseurl: [5]"), "FILE:5: repos[0].baseurl"),
    ("root: /pub\nrepos: [5]\n", "FILE:2: repos[0]: "),
    # entries
    (with_entry("baseurl: http://a/"), "FILE:4: repos[0]: "),
    (with_entry("id: a"), "FILE:4: repos[0].id: needs one of baseurl, mirrorlist and metalink"),
    (with_entry("id: a", "baseurl: []"), "needs one of baseurl, mirrorlist and metalink"),
    (with_entry("id: a", "baseurl: http://a/", "metalink: http://a/"), "FILE:6: repos[0].metalink: needs one of"),
    (with_entry("id: a", "baseurl: ftp://a/"), "FILE:5: repos[0].baseurl: 'ftp://a/' is no http"),
    (with_entry("id: a", "baseurl: rsync://a/"), "FILE:5: repos[0].baseurl: "),
    (with_entry("id: a", "baseurl: /srv/x"), "FILE:5: repos[0].baseurl: "),
    (with_entry("id: a", "baseurl: 'http://a/b c'"), "FILE:5: repos[0].baseurl: "),
    (with_entry("id: a", 'baseurl: "http://a/\\n"'), "FILE:5: repos[0].baseurl: "),
    (with_entry("id: a", "baseurl: 'http://[a/'"), "FILE:5: repos[0].baseurl: "),
    (with_entry("id: a", "baseurl: 'http://a:port/'"), "FILE:5: repos[0].baseurl: "),
    (with_entry("id: a", "baseurl: 'http:///x'"), "FILE:5: repos[0].baseurl: "),
    (with_entry("id: a", "baseurl: http://a/$releasever/"), "FILE:5: repos[0].baseurl: "),
    (with_entry("id: a", "baseurl: http://a/", "vars: {x: []}"), "FILE:6: repos[0].vars: "),
    (with_entry("id: a", "baseurl: http://a/", "vars: {x: [b, c]}"), "FILE:4: repos[0].id: 'a' is taken"),
    (with_entry("id: a", "baseurl: http://a/", "sslcacert: /no/such/file"), "FILE:6: repos[0].sslcacert: "),
    *((with_entry(f"id: {text}", "baseurl: http://a/"), "FILE:4: repos[0].id: ") for text in (
        "'../a'", "'/a'", "'a/b'", "''", "'.'", "'..'", "'.a'", "'-a'", "'a b'", '"a\\n"', "grün", "'a$x'", "a" * 201
    )),
    *((with_entry("id: a", "baseurl: http://a/", f"path: {text}"), "FILE:6: repos[0].path: ") for text in (
        "/a", "../a", "a/../b", "a/..", "''", "'.'", "./a", "a//b", ".mirrorpy", ".mirrorpy/pool", "a/.b",
        '"a\\nb"', '"a\\0b"', "a/$x", "5", "x" * 201, "'/'",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place"), MISTAKES, ids=[place for _, place in MISTAKES])
def test_mistakes_have_a_place(complaint, text, place):
    message = complaint(text.removeprefix("\n"))
    # The texts above count their lines from the one with `root`.
    shift = 1 if text.startswith("\n") else 0
    expected = re.sub(r"FILE:(\d+)", lambda match: f"FILE:{int(match[1]) - shift}", place)
    assert expected in message
    assert message.startswith("FILE:")


@pytest.mark.parametrize("key", ["repo_gpgcheck", "gpgcheck"])
def test_checks_need_a_key(complaint, key):
    message = complaint(with_option(f"{key}: true"))
    assert message.endswith(f"{key}: needs gpgkey: no key is trusted but those that it names")


def test_trees_and_files_beside(load, complaint):
    (repo,) = load(with_option("tree: all\nextras: [EULA, 'keys/RPM-GPG-KEY*']\nexclude: '*.iso'")).repos
    assert (repo.tree, repo.extras, repo.exclude) == ("all", ("EULA", "keys/RPM-GPG-KEY*"), ("*.iso",))
    assert load(with_option("tree: false")).repos[0].tree is False
    for name in ("../EULA", "/etc/passwd", "repodata/repomd.xml", "keys/", ".mirrorpy/x"):
        assert "extras: " in complaint(with_option(f"extras: {name!r}"))


def test_ids_and_paths_between_entries(complaint):
    text = """\
root: /pub
repos:
  - {id: a, baseurl: "http://a/", path: x/y}
  - {id: a, baseurl: "http://a/", path: z}
  - {id: b, baseurl: "http://a/", path: x/y/z/}
  - {id: c, baseurl: "http://a/", path: x/yz}
  - {id: d, baseurl: "http://a/", path: x/y}
"""
    message = complaint(text)
    assert "FILE:4: repos[1].id: 'a' is taken" in message
    assert "FILE:5: repos[2].path: 'x/y/z' lies inside 'x/y' of 'a'" in message
    assert "FILE:7: repos[4].path: 'x/y' lies inside 'x/y' of 'a'" in message
    assert "x/yz" not in message


def test_an_id_inside_another_repositorys_path(complaint):
    message = complaint("root: /p\nrepos: [{id: a, baseurl: 'http://a/', path: b/c}, {id: b, baseurl: 'http://a/'}]\n")
    assert "'b/c' lies inside 'b' of 'b'" in message


def test_several_problems_are_told_at_once(complaint):
    message = complaint("""\
root: /pub
kep: 2
grace: soon
repos:
  - id: ok
    baseurl: http://a/
    minrate: fast
    frob: 1
  - id: bad id
    baseurl: ftp://a/
  - id: c
    baseurl: ftp://a/
""")
    for place in (
        "FILE:2: kep",
        "FILE:3: grace",
        "FILE:7: repos[0].minrate",
        "FILE:8: repos[0].frob",
        "FILE:9: repos[1].id",
    ):
        assert place in message
    assert "FILE:12: repos[2].baseurl" in message


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(12)),
        "a: &a {k: 1}\n"
        + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} {{{', '.join(f'k{i}: *{chr(97 + n)}' for i in range(9))}}}\n"
            for n in range(12)
        ),
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: " + "[" * 3000 + "]" * 3000,
        "a: " + "{b: " * 3000 + "}" * 3000,
        "\n".join(f"{' ' * n}a:" for n in range(2000)),
    ],
    ids=["list bomb", "map bomb", "recursive list", "recursive map", "deep list", "deep map", "deep blocks"],
)
def test_alias_bombs_and_depth_are_refused_within_a_second(tmp_path, text):
    began = time.process_time()
    with pytest.raises(ConfigError) as raised:
        read_document(tmp_path / "m.yaml", text)
    assert time.process_time() - began < 1
    assert len(raised.value.message) < 1000
    assert re.search(r"m\.yaml:\d+: ", raised.value.message)


def test_a_file_that_is_no_text(tmp_path):
    file = tmp_path / "m.yaml"
    for data, said in ((b"\xff\xfe", "is not UTF-8"), (b"#" * (MAX_FILE + 1), "is larger than")):
        file.write_bytes(data)
        with pytest.raises(ConfigError, match=said) as raised:
            load_config(file, {})
        assert str(file) in raised.value.message


def test_a_file_that_cannot_be_read(tmp_path):
    for file in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read") as raised:
            load_config(file, {})
        assert str(file) in raised.value.message


def test_where_it_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="--config"):
        find_config(None, {})
    (tmp_path / "mirrorpy.yaml").write_text(GOOD)
    assert find_config(None, {}).name == "mirrorpy.yaml"
    assert str(find_config(None, {"MIRRORPY_CONFIG": "/env.yaml"})) == "/env.yaml"
    assert str(find_config("/option.yaml", {"MIRRORPY_CONFIG": "/env.yaml"})) == "/option.yaml"


def test_fingerprint_follows_what_is_mirrored(load):
    def fingerprint(*lines: str) -> str:
        return load(with_entry("id: a", *lines)).repos[0].fingerprint

    base = fingerprint("baseurl: http://a/")
    assert fingerprint("baseurl: http://a/", "retries: 1", "keep: 7") == base
    assert fingerprint("baseurl: http://b/") != base
    assert fingerprint("baseurl: http://a/", "path: b") != base
    assert fingerprint("baseurl: http://a/", "allow_missing: true") != base
    assert fingerprint("metalink: http://a/") != fingerprint("mirrorlist: http://a/")


def test_document_lines():
    document = read_document("F", 'root: x\nlist:\n  - a\n  - b: 1\n    "c.d": 2\nflow: {k: [1,\n  2]}\n')
    assert document.place("list[1].b") == "F:4: list[1].b"
    assert document.place("list[1].zzz") == "F:4: list[1].zzz"
    assert document.place("flow.k[1]") == "F:7: flow.k[1]"
    assert document.place("nothing") == "F:1: nothing"
    assert document.place("") == "F:1"
    assert document.values["list"][1] == {"b": 1, "c.d": 2}
