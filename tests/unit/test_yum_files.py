"""Yum's own .repo files become repositories; what cannot be taken is said, and what is written loads."""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from mirrorpy.config.load import load_config
from mirrorpy.config.model import Repository
from mirrorpy.config.starter import converted
from mirrorpy.config.yum import convert
from mirrorpy.errors import ConfigError

EL9 = {"releasever": ["9"], "basearch": ["x86_64"]}
URL = "http://a.test/os/"
ONE = f"[a]\nname=A\nbaseurl={URL}\n"


@dataclass(frozen=True)
class Outcome:
    """What became of .repo files."""

    repos: tuple[Repository, ...]
    complaints: list[str]
    text: str

    @property
    def urls(self) -> dict[str, list[str]]:
        """Every source by repository."""
        return {
            repo.id: [*repo.baseurls, *(url for url in (repo.mirrorlist, repo.metalink) if url)] for repo in self.repos
        }

    @property
    def keys(self) -> list[str]:
        """What the complaints are about: `section key`."""
        found = [re.match(r"f\d?\.repo: \[(.*?)\]: (?:(\w+): )?not taken: .", line) for line in self.complaints]
        assert all(found), self.complaints
        return [f"{match[1]} {match[2] or ''}".strip() for match in found if match]


Take = Callable[..., Outcome]


@pytest.fixture
def take(tmp_path) -> Take:
    """Convert .repo files, write the configuration and load it."""

    def take(*texts: str, variables: Mapping[str, Sequence[str]] = EL9) -> Outcome:
        names = ["f.repo", *(f"f{number}.repo" for number in range(2, 10))]
        conversion = convert(list(zip(names, texts, strict=False)), variables)
        assert all(line.isprintable() for line in conversion.complaints)
        text = converted("/pub", [(entry.options, entry.comments) for entry in conversion.entries])
        if not conversion.entries:
            return Outcome((), conversion.complaints, text)
        file = tmp_path / "m.yaml"
        file.write_text(text, encoding="utf-8")
        return Outcome(load_config(file, {}).repos, conversion.complaints, text)

    return take


@pytest.fixture
def one(take) -> Callable[..., tuple[Repository, list[str]]]:
    """Convert one section with more keys; the repository, and which keys were complained of."""

    def one(*keys: str, variables: Mapping[str, Sequence[str]] = EL9) -> tuple[Repository, list[str]]:
        outcome = take(ONE + "".join(f"{key}\n" for key in keys), variables=variables)
        (repo,) = outcome.repos
        return repo, [key.removeprefix("a ") for key in outcome.keys]

    return one


# Sources

SOURCES = [
    # lines → URLs, complaints
    ("baseurl=http://a.test/", ["http://a.test/"], []),
    ("baseurl=https://a.test:8443/x", ["https://a.test:8443/x"], []),
    ("baseurl=file:///srv/x", ["file:///srv/x"], []),
    ("BaseURL = HTTP://A.test/ ", ["HTTP://A.test/"], []),
    ("baseurl=http://a.test/ http://b.test/", ["http://a.test/", "http://b.test/"], []),
    ("baseurl=http://a.test/,http://b.test/", ["http://a.test/", "http://b.test/"], []),
    ("baseurl=http://a.test/ , http://b.test/,", ["http://a.test/", "http://b.test/"], []),
    ("baseurl=http://a.test/\n  http://b.test/\n\thttp://c.test/",
     ["http://a.test/", "http://b.test/", "http://c.test/"], []),
    ("baseurl=\n  http://a.test/\n", ["http://a.test/"], []),
    ("baseurl=http://a.test/\n#  http://no.test/\n  http://b.test/", ["http://a.test/", "http://b.test/"], []),
    ("baseurl=http://a.test/ http://a.test/", ["http://a.test/"], []),
    ("mirrorlist=http://a.test/?a=b&c=d", ["http://a.test/?a=b&c=d"], []),
    ("metalink=https://a.test/metalink?repo=x&protocol=https,http",
     ["https://a.test/metalink?repo=x&protocol=https,http"], []),
    # Several sources: the one that says most
    ("metalink=http://m.test/\nbaseurl=http://a.test/", ["http://m.test/"], ["baseurl"]),
    ("baseurl=http://a.test/\nmirrorlist=http://l.test/", ["http://l.test/"], ["baseurl"]),
    ("mirrorlist=http://l.test/\nmetalink=http://m.test/", ["http://m.test/"], ["mirrorlist"]),
    ("mirrorlist=\nbaseurl=http://a.test/", ["http://a.test/"], []),
    # What mirrorpy does not read
    ("baseurl=ftp://a.test/ http://a.test/", ["http://a.test/"], ["baseurl"]),
    ("baseurl=http://a.test/ rsync://b.test/ /srv/x", ["http://a.test/"], ["baseurl", "baseurl"]),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "urls", "complaints"), SOURCES)
def test_sources(take, lines, urls, complaints):
    outcome = take(f"[a]\n{lines}\n")
    assert outcome.urls == {"a": urls}
    assert outcome.keys == [f"a {key}" for key in complaints]


@pytest.mark.parametrize("source", ["baseurl", "mirrorlist", "metalink"])
def test_a_source_stays_what_it_is(take, source):
    (repo,) = take(f"[a]\n{source}={URL}\n").repos
    assert {"baseurl": repo.baseurls, "mirrorlist": repo.mirrorlist, "metalink": repo.metalink}[source] in (URL, (URL,))


NOT_TAKEN = [
    "name=x",
    "baseurl=",
    "baseurl=ftp://a.test/",
    "baseurl=ftp://a.test/\n  rsync://b.test/",
    "baseurl=/srv/x",
    "baseurl=a.test/x",
    "baseurl=,",
    "mirrorlist=ftp://a.test/",
    # The configuration would refuse these.
    "baseurl=http://",
    "baseurl=http:///x",
    "baseurl=http://a.test:port/",
    "baseurl=http://[a/",
    "baseurl=http://a.test/?x=y",
    "baseurl=http://a.test/#x",
    "baseurl=http://a.test/\x1b",
    "mirrorlist=http://a.test/ b",
    "mirrorlist=http://a.test/\n  http://b.test/",
    "metalink=http://",
    # Variables that nobody knows
    "baseurl=http://a.test/$nobody/",
    "baseurl=http://a.test/${nobody}/",
    "baseurl=http://a.test/$releaseversion/",
    "baseurl=http://a.test/$releasever_x/",
    "baseurl=http://a.test/${nobody:-9}/",
    "baseurl=http://a.test/${nobody:+9}/",
    "baseurl=http://a.test/${nobody",
    "baseurl=http://a.test/$é/",
    "baseurl=http://a.test/$$releasever/",
]


@pytest.mark.parametrize("lines", NOT_TAKEN)
def test_not_taken(take, lines):
    outcome = take(f"[a]\n{lines}\n[b]\nbaseurl={URL}\n")
    assert outcome.urls == {"b": [URL]}
    assert outcome.keys == ["a"]


def test_one_url_of_several_that_cannot_be_taken(take):
    outcome = take("[a]\nbaseurl=http://a.test/ http://a.test:port/ http://b.test/?x\n")
    assert outcome.urls == {"a": ["http://a.test/"]}
    assert outcome.keys == ["a baseurl", "a baseurl"]


def test_an_unknown_variable_is_named_with_what_to_do(take):
    (complaint,) = take("[a]\nbaseurl=http://a.test/$infra/\n").complaints
    assert "$infra" in complaint
    assert "--var infra=" in complaint


# Sections


@pytest.mark.parametrize("value", ["0", "no", "false", "off", "No", "FALSE", " 0 "])
def test_disabled(take, value):
    outcome = take(f"{ONE}enabled={value}\n[b]\nbaseurl={URL}\nenabled=1\n")
    assert (list(outcome.urls), outcome.keys) == (["b"], ["a"])
    assert "disabled" in outcome.complaints[0]


@pytest.mark.parametrize("value", ["1", "yes", "true", "on", "Yes", "TRUE"])
def test_enabled(one, value):
    assert one(f"enabled={value}")[1] == []


def test_several_sections_in_their_order(take):
    text = "".join(f"[{name}]\nbaseurl=http://{name}.test/\n" for name in ("z", "a", "m"))
    assert list(take(text, ONE.replace("[a]", "[b]")).urls) == ["z", "a", "m", "b"]


def test_main_is_no_repository(take):
    outcome = take(f"[main]\ngpgcheck=1\nproxy=http://p.test/\nbaseurl={URL}\n{ONE}")
    assert list(outcome.urls) == ["a"]
    assert outcome.complaints == ["f.repo: [main]: proxy: not taken: set it at the top of the configuration"]


IDS = [
    # section → id, and path where it has variables
    ("a", "a", "a"),
    ("A.b_c-1", "A.b_c-1", "A.b_c-1"),
    ("my repo", "my-repo", "my-repo"),
    ("a/b", "a-b", "a-b"),
    ("grün", "gr-n", "gr-n"),
    (".hidden", "hidden", "hidden"),
    ("-a-", "a", "a"),
    ("..", "repo", "repo"),
    ("鏡", "repo", "repo"),
    ("_copr_me-tool", "copr_me-tool", "copr_me-tool"),
    ("a]b", "a-b", "a-b"),
]


@pytest.mark.parametrize(("section", "repo_id", "path"), IDS)
def test_ids(take, section, repo_id, path):
    fixed = take(f"[{section}]\nbaseurl={URL}\n").repos[0]
    assert (fixed.id, fixed.path) == (repo_id, path)
    moving = take(f"[{section}]\nbaseurl={URL}$releasever\n").repos[0]
    assert (moving.id, moving.path) == (f"{repo_id}-9", f"{path}/9")


@pytest.mark.parametrize("section", [":a", "+a", "_", "copr:copr.example.org:me:tool", "openSUSE:repo-oss", "x" * 250])
@pytest.mark.parametrize("tail", ["", "$releasever/$basearch"])
def test_every_section_gets_an_id(take, section, tail):
    assert len(take(f"[{section}]\nbaseurl={URL}{tail}\n").repos) == 1


TWICE = [
    # sections with `$` have a variable in their URL
    (["a"], ["a"]),
    (["a $"], ["a $"]),
    (["a b"], ["a-b"]),
    (["a"], ["a $"]),
    (["a $"], ["a"]),
    (["a $"], ["a-9"]),
    (["a-9"], ["a $"]),
    (["a:b $"], ["a-b $"]),
    (["a:b $", "c"], ["a-b"]),
    (["a", "b"], ["b", "c"]),
]


@pytest.mark.parametrize(("first", "second"), TWICE)
def test_what_is_there_twice_is_taken_once(take, first, second):
    def text(names: list[str]) -> str:
        return "".join(
            f"[{name.removesuffix(' $')}]\nbaseurl={URL}{'$releasever' if '$' in name else ''}\n" for name in names
        )

    outcome = take(text(first), text(second))
    assert len(outcome.repos) + len(outcome.complaints) == len(first) + len(second)
    assert all(line.startswith("f2.repo: [") for line in outcome.complaints)
    assert len(outcome.repos) >= len(first)


def test_the_first_file_goes_before(take):
    outcome = take("[a]\nbaseurl=http://one.test/\n", "[a]\nbaseurl=http://two.test/\n")
    assert outcome.urls == {"a": ["http://one.test/"]}
    assert outcome.complaints == ["f2.repo: [a]: not taken: the id 'a' is taken by another section"]


# Variables

VARIABLES = [
    # URL's end, variables → id → URL's end
    ("$releasever/$basearch/", EL9, {"a-9-x86_64": "9/x86_64/"}),
    ("${releasever}/${basearch}/", EL9, {"a-9-x86_64": "9/x86_64/"}),
    ("$basearch/$releasever/", EL9, {"a-9-x86_64": "x86_64/9/"}),
    ("$releasever$basearch", EL9, {"a-9-x86_64": "9x86_64"}),
    ("${releasever}x", EL9, {"a-9": "9x"}),
    ("$releasever-x/$releasever.y", EL9, {"a-9": "9-x/9.y"}),
    ("$releasever/", {"releasever": ["8", "9"]}, {"a-8": "8/", "a-9": "9/"}),
    ("$releasever/$basearch/", {"releasever": ["8", "9"], "basearch": ["i386", "x86_64"]},
     {f"a-{version}-{arch}": f"{version}/{arch}/" for version in "89" for arch in ("i386", "x86_64")}),
    ("$releasever$rltype/", {"releasever": ["9"], "rltype": [""]}, {"a-9": "9/"}),
    ("$releasever$rltype/", {"releasever": ["9"], "rltype": ["-beta"]}, {"a-9": "9-beta/"}),
    ("$releasever$rltype/", {"releasever": ["9"], "rltype": ["beta"]}, {"a-9": "9beta/"}),
    ("$rltype$releasever/", {"releasever": ["9"], "rltype": ["beta"]}, {"a-9": "beta9/"}),
    ("$contentdir/", {"contentdir": ["pub/rocky"]}, {"a": "pub/rocky/"}),
    ("$stream/", {"stream": ["8-stream", "9-stream"]}, {"a-8-stream": "8-stream/", "a-9-stream": "9-stream/"}),
    ("$x/$releasever/", {"x": ["p", "q"], "releasever": ["9"]}, {"a-9-p": "p/9/", "a-9-q": "q/9/"}),
    ("$v/", {"v": ["5.10"]}, {"a": "5.10/"}),
    ("$releasever/", {"releasever": ["5.10", "05", "1e3", "no", "2024-01-01"]},
     {f"a-{version}": f"{version}/" for version in ("5.10", "05", "1e3", "no", "2024-01-01")}),
    ("$yes/$on/", {"yes": ["a", "b"], "on": ["1"]}, {"a-a": "a/1/", "a-b": "b/1/"}),
]  # fmt: skip


@pytest.mark.parametrize(("tail", "variables", "expected"), VARIABLES)
def test_variables(take, tail, variables, expected):
    outcome = take(f"[a]\nbaseurl={URL}{tail}\n", variables=variables)
    assert outcome.urls == {repo_id: [f"{URL}{end}"] for repo_id, end in expected.items()}
    assert outcome.complaints == []


@pytest.mark.parametrize("source", ["mirrorlist", "metalink"])
def test_variables_of_lists(take, source):
    outcome = take(f"[a]\n{source}=http://m.test/?r=$releasever&a=$basearch\n")
    assert outcome.urls == {"a-9-x86_64": ["http://m.test/?r=9&a=x86_64"]}


def test_variables_in_one_of_several_urls(take):
    outcome = take("[a]\nbaseurl=http://a.test/$releasever/ http://b.test/9/$basearch/\n")
    assert outcome.urls == {"a-9-x86_64": ["http://a.test/9/", "http://b.test/9/x86_64/"]}


def test_values_that_are_the_same(take):
    assert list(take(f"[a]\nbaseurl={URL}$releasever\n", variables={"releasever": ["9", "9"]}).urls) == ["a-9"]


def test_other_variables_are_not_written(take):
    outcome = take(ONE, variables=EL9 | {"stream": ["8", "9"]})
    assert "vars" not in outcome.text


# Options


@pytest.fixture
def files(tmp_path):
    """Certificates that can be read."""
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("x")
    return tmp_path


OPTIONS = [
    ("username=me", {"username": "me"}),
    ("password=word", {"password": "word"}),
    ("user_agent=yum/4 (x; y)", {"user_agent": "yum/4 (x; y)"}),
    ("timeout=120", {"timeout": 120}),
    ("timeout=30s", {"timeout": 30}),
    ("sslverify=1", {"sslverify": True}),
    ("sslverify=0", {"sslverify": False}),
    ("sslverify=False", {"sslverify": False}),
    ("sslverify=no", {"sslverify": False}),
    ("proxy=http://p.test:3128", {"proxy": "http://p.test:3128"}),
    ("proxy=http://me:word@p.test:3128/", {"proxy": "http://me:word@p.test:3128/"}),
    ("proxy=http://p.test:3128\nproxy_username=me\nproxy_password=word", {"proxy": "http://me:word@p.test:3128"}),
    ("proxy=http://p.test\nproxy_username=m@e\nproxy_password=w:o/r#d%",
     {"proxy": "http://m%40e:w%3Ao%2Fr%23d%25@p.test"}),
    ("proxy=http://p.test\nproxy_username=me", {"proxy": "http://me:@p.test"}),
    ("proxy=_none_", {"proxy": ""}),
    ("proxy=_NONE_", {"proxy": ""}),
    ("proxy=", {"proxy": None}),
    ("username=", {"username": None}),
    ("proxy_username=me\nproxy_password=word", {"proxy": None}),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), OPTIONS)
def test_options_of_the_connection(one, lines, expected):
    repo, complaints = one(lines)
    assert complaints == []
    assert {key: getattr(repo.connection, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [("retries=3", "retries", 3), ("minrate=2k", "minrate", 2048), ("minrate=5000", "minrate", 5000)],
)
def test_other_options(one, line, key, value):
    repo, complaints = one(line)
    assert (getattr(repo, key), complaints) == (value, [])


def test_certificates(one, files):
    repo, complaints = one(f"sslcacert={files}/ca", f"sslclientcert={files}/cert", f"sslclientkey={files}/key")
    connection = repo.connection
    assert (connection.sslcacert, connection.sslclientcert, connection.sslclientkey, complaints) == (
        f"{files}/ca",
        f"{files}/cert",
        f"{files}/key",
        [],
    )


def test_a_certificate_that_is_not_here_is_written_all_the_same(take):
    with pytest.raises(ConfigError, match=r"sslcacert: /not/here cannot be read"):
        take(f"{ONE}sslcacert=/not/here\n")


SECRETS = [
    "plain", "a:b", "a: b", "# a", "a #b", "{a}", "}", "[a", "'a'", "it's", '"a"', 'a"b', "50%", "%(a)s", "%", "\\n",
    "a\\", "&a", "*a", "!a", "!!int 5", "|", ">", "-", "- a", "?", "? a", "@a", "`a`", "=", "<<", "~", ",a", "a,b",
    "$a", "$", "a$b", "grün", "鏡", "😀", "a\u00a0b", "0", "007", "1_000", "0x1f", "0o7", "1e3", ".5", ".inf", ".nan",
    "1:30", "true", "True", "yes", "No", "on", "off", "null", "Null", "2024-01-01", "2024-13-45", "2024-01-01 00:00:00",
    "---", "...", "%YAML 1.1", "a=b", "=a", ";a", "a ;b", "[a]", "a\tb", "a" * 5000, "[" * 2000,
    "a\x85b", "a\u2028b", "a\u2029b", "a\x9bb", "a\x7fb", "a\x1bb", "a\ufeffb", "a\ufffeb", "a\x00b",
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS, ids=lambda text: ascii(text)[:20])
def test_secrets_come_out_as_they_were(one, secret):
    repo, complaints = one(f"username={secret}", f"password={secret}")
    assert (repo.connection.username, repo.connection.password, complaints) == (secret, secret, [])


@pytest.mark.parametrize("key", ["username", "password"])
@pytest.mark.parametrize("value", ["${X}", "a${HOME}b"])
def test_what_looks_like_the_environments_is_not_taken(one, key, value):
    repo, complaints = one(f"{key}={value}")
    assert (getattr(repo.connection, key), complaints) == (None, [key])


BAD_VALUES = [
    "timeout=soon", "timeout=0", "timeout=-1", "timeout=999999999", "retries=many", "retries=-1", "retries=1000",
    # dnf tries for ever then; mirrorpy would not try again.
    "retries=0",
    "minrate=fast", "minrate=-1", "sslverify=maybe", "user_agent=grün", "user_agent=a\x1bb",
    "proxy=http://me:${X}@p.test", "proxy=http://[p",
]  # fmt: skip


@pytest.mark.parametrize("line", BAD_VALUES)
def test_a_value_that_mirrorpy_would_refuse_is_left_out(one, line):
    repo, complaints = one(line)
    assert complaints == [line.partition("=")[0]]
    assert repo.connection == one()[0].connection
    assert (repo.retries, repo.minrate) == (5, 1024)


@pytest.mark.parametrize(("login", "user"), [("", ""), ("\nproxy_username=me\nproxy_password=word", "me:word@")])
def test_a_proxy_without_a_scheme(one, login, user):
    """libcurl, and so dnf, takes it for http://; mirrorpy cannot use it as it is."""
    repo, complaints = one(f"proxy=p.test:3128{login}")
    assert (repo.connection.proxy, complaints) in ((f"http://{user}p.test:3128", []), (None, ["proxy"]))


# Keys

KEYS = [
    ("file:///etc/pki/KEY", ["/etc/pki/KEY"], []),
    ("FILE:///k", ["/k"], []),
    ("file:///a%20b", ["/a b"], []),
    ("file:///a file:///b", ["/a", "/b"], []),
    ("file:///a,file:///b", ["/a", "/b"], []),
    ("file:///a\n  file:///b", ["/a", "/b"], []),
    ("file:///a https://k.test/KEY", ["/a"], ["gpgkey"]),
    ("https://k.test/KEY", [], ["gpgkey"]),
    ("https://k.test/1\n  https://k.test/2", [], ["gpgkey", "gpgkey"]),
    ("file:///k-$releasever", ["/k-9"], []),
    ("file:///k-$nobody", [], ["gpgkey"]),
    ("/etc/pki/KEY", [], ["gpgkey"]),
    ("file://[x", [], ["gpgkey"]),
    ("https://k.test/\x1bx", [], ["gpgkey"]),
    ("https://k.test/\x00", [], ["gpgkey"]),
    ("https://k.test/\x9b", [], ["gpgkey"]),
    ("", [], []),
]


@pytest.mark.parametrize(("value", "expected", "complaints"), KEYS)
def test_gpgkey(one, value, expected, complaints):
    repo, got = one(f"gpgkey={value}")
    assert (list(repo.gpgkey), got) == (expected, complaints)


def test_a_key_that_is_not_taken_stands_in_a_comment(take):
    assert "\n    # gpgkey: https://k.test/KEY\n" in take(f"{ONE}gpgkey=https://k.test/KEY\n").text


@pytest.mark.parametrize("key", ["gpgcheck", "repo_gpgcheck"])
@pytest.mark.parametrize(
    ("value", "complains"), [("1", True), ("True", True), ("yes", True), ("0", False), ("no", False)]
)
def test_checks_without_a_key_at_hand(take, key, value, complains):
    outcome = take(f"{ONE}{key}={value}\n")
    assert outcome.keys == ([f"a {key}"] if complains else [])
    assert (f"\n    # {key}: true\n" in outcome.text) == complains


# What is not taken

REPORTED = ["includepkgs=a", "excludepkgs=a b", "exclude=a*", "includepkg=a", "throttle=10k", "bandwidth=1M",
            "frobnicate=1", "mediaid=1", "sslverifystatus=1"]  # fmt: skip


@pytest.mark.parametrize("line", REPORTED)
def test_reported(one, line):
    assert one(line)[1] == [line.partition("=")[0]]


@pytest.mark.parametrize("line", ["includepkgs=", "excludepkgs=", "exclude=", "metalink=", "mirrorlist=", "throttle="])
def test_an_empty_value_says_nothing(one, line):
    assert one(line)[1] == []


CLIENTS = ["name=x", "enabled=1", "enabled_metadata=1", "cost=500", "priority=1", "metadata_expire=7d", "type=rpm",
           "skip_if_unavailable=1", "countme=1", "module_hotfixes=1", "keepcache=0", "autorefresh=1", "deltarpm=1",
           "deltarpm_percentage=50", "failovermethod=priority", "enablegroups=1", "mirrorlist_expire=1d",
           "fastestmirror=1", "max_parallel_downloads=3", "ip_resolve=4", "ui_repoid_vars=releasever",
           "http_caching=all", "keeppackages=0", "service=openSUSE"]  # fmt: skip


@pytest.mark.parametrize("line", CLIENTS)
def test_what_matters_to_clients_only_is_passed_over(one, line):
    assert one(line)[1] == []


@pytest.mark.parametrize(
    "lines",
    [
        "baseurl=ftp://me:hidden@a.test/",
        "baseurl=ftp://me:hidden@a.test/ http://b.test/",
        f"baseurl={URL}\ngpgkey=https://me:hidden@a.test/KEY",
        f"baseurl={URL}\nmirrorlist=http://me:hidden@a.test/",
        f"baseurl={URL}\npassword=hidden${{X}}",
        f"baseurl={URL}\nproxy=http://me:hidden${{X}}@p.test/",
        "baseurl=http://me:hidden@a.test:port/",
        "baseurl=http://me:hidden@a.test/$nobody/",
    ],
)
def test_no_password_in_a_complaint(lines):
    complaints = convert([("f.repo", f"[a]\n{lines}\n")], EL9).complaints
    assert "hidden" not in " ".join(complaints)


@pytest.mark.parametrize("text", ["[a\x1b[31m]\nbaseurl=ftp://a/\n", f"{ONE}fr\x9bob=1\n", f"{ONE}timeout=\x1b\n"])
def test_complaints_move_no_cursor(text):
    complaints = convert([("f.repo", text)], EL9).complaints
    assert complaints
    assert all(line.isprintable() for line in complaints)


# The file's form


FORMS = {
    "byte order mark": "\ufeff[a]\nbaseurl={}\n",
    "CRLF": "[a]\r\nname=A\r\nbaseurl={}\r\nenabled=1\r\n",
    "no line end": "[a]\nbaseurl={}",
    "comments": "# [b]\n; [c]\n[a]\n#baseurl=http://no.test/\n;baseurl=http://no.test/\n  # x\nbaseurl={}\n# end\n",
    "blank lines": "\n\n[a]\n\n\nname=A\n\nbaseurl={}\n\n\n",
    "spaces": "[a]  \nbaseurl   =   {}   \n",
    "text after the section": "[a] # comment\nbaseurl={}\n",
    "upper case": "[a]\nNAME=A\nBASEURL={}\n",
    "a key twice": "[a]\nbaseurl=http://no.test/\nbaseurl={}\n",
    "percent signs": "[a]\nname=%(x)s 50%\nbaseurl={}\n",
    "non-ASCII": "[a]\nname=Köln 鏡\nbaseurl={}\n",
    "replacement characters": "[a]\nname=K\ufffdln\nbaseurl={}\n",
    "a name with an equals sign": "[a]\nname=a=b: c\nbaseurl={}\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_forms(take, text):
    outcome = take(text.format(URL))
    assert (outcome.urls, outcome.complaints) == ({"a": [URL]}, [])


def test_a_section_twice_is_said(take):
    outcome = take("[a]\nbaseurl=http://one.test/\n[a]\nbaseurl=http://two.test/\n")
    assert outcome.urls == {"a": ["http://two.test/"]}
    assert outcome.complaints == ["f.repo: [a]: stands there 2 times; of a key twice the last counts"]


GARBAGE = {
    "key without section": f"baseurl={URL}\n",
    "words": "[a]\nhello world\n",
    "key without value": f"[a]\nbaseurl={URL}\nenabled\n",
    "HTML": "<!DOCTYPE html>\n<html><body>404</body></html>\n",
    "YAML": "repos:\n  - id: a\n",
    "binary": "\x7fELF\x02\x01\x01\0\0\0\0\ufffd\ufffd",
    "NUL": "\0" * 100,
    "no name": f"[]\nbaseurl={URL}\n",
    "open section": f"[a\nbaseurl={URL}\n",
    "no key": f"[a]\n={URL}\n",
}


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE)
def test_garbage(text):
    with pytest.raises(ConfigError) as raised:
        convert([("f.repo", text)], EL9)
    assert raised.value.message.startswith("f.repo: ")
    assert raised.value.message.isprintable()


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "[a]\n", "[main]\nx=y\n", "\ufeff"])
def test_nothing(take, text):
    assert take(text).repos == ()


@pytest.mark.parametrize("section", ["DEFAULT", "default", "\0", "global"])
def test_no_section_gives_to_others(take, section):
    outcome = take(f"[{section}]\nproxy=http://p.test/\nusername=me\n{ONE}")
    (repo,) = outcome.repos
    assert (repo.connection.proxy, repo.connection.username) == (None, None)


# Real ones

ROCKY = """\
    # rocky.repo
    [baseos]
    name=Rocky Linux $releasever - BaseOS
    mirrorlist=https://mirrors.rockylinux.org/mirrorlist?arch=$basearch&repo=BaseOS-$releasever$rltype
    #baseurl=http://dl.rockylinux.org/$contentdir/$releasever/BaseOS/$basearch/os/
    gpgcheck=1
    enabled=1
    countme=1
    metadata_expire=6h
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9

    [baseos-debuginfo]
    name=Rocky Linux $releasever - BaseOS - Debug
    mirrorlist=https://mirrors.rockylinux.org/mirrorlist?arch=$basearch&repo=BaseOS-$releasever-debug$rltype
    gpgcheck=1
    enabled=0
    metadata_expire=6h
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9
"""
FEDORA = """\
    [fedora]
    name=Fedora $releasever - $basearch
    #baseurl=http://download.example/pub/fedora/linux/releases/$releasever/Everything/$basearch/os/
    metalink=https://mirrors.fedoraproject.org/metalink?repo=fedora-$releasever&arch=$basearch
    enabled=1
    countme=1
    metadata_expire=7d
    repo_gpgcheck=0
    type=rpm
    gpgcheck=1
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-$releasever-$basearch
    skip_if_unavailable=False
"""
STREAM = """\
    [baseos]
    name=CentOS Stream $releasever - BaseOS
    metalink=https://mirrors.centos.org/metalink?repo=centos-baseos-$stream&arch=$basearch&protocol=https,http
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-centosofficial
    gpgcheck=1
    repo_gpgcheck=0
    metadata_expire=6h
    countme=1
    enabled=1

    [baseos-source]
    name=CentOS Stream $releasever - BaseOS - Source
    metalink=https://mirrors.centos.org/metalink?repo=centos-baseos-source-$stream&arch=source&protocol=https,http
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-centosofficial
    gpgcheck=1
    repo_gpgcheck=0
    metadata_expire=6h
    enabled=0
"""
EPEL9 = """\
    [epel]
    name=Extra Packages for Enterprise Linux $releasever - $basearch
    # It is much more secure to use the metalink, but if you wish to use a local mirror
    # place its address here.
    #baseurl=https://download.example/pub/epel/$releasever/Everything/$basearch/
    metalink=https://mirrors.fedoraproject.org/metalink?repo=epel-$releasever&arch=$basearch&infra=$infra&content=$contentdir
    enabled=1
    gpgcheck=1
    countme=1
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-EPEL-$releasever
"""
EPEL10 = """\
    [epel]
    name=Extra Packages for Enterprise Linux $releasever - $basearch
    #baseurl=https://download.example/pub/epel/$releasever${releasever_minor:+z}/Everything/$basearch/
    metalink=https://mirrors.fedoraproject.org/metalink?repo=epel${releasever_minor:+-z}-$releasever&arch=$basearch
    enabled=1
    gpgcheck=1
    countme=1
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-EPEL-$releasever_major
"""
LEAP = """\
    [repo-oss]
    name=Main Repository
    enabled=1
    autorefresh=1
    baseurl=http://download.opensuse.org/distribution/leap/$releasever/repo/oss/
    type=rpm-md
    keeppackages=0

    [openSUSE:update-oss]
    name=update-oss (15.5)
    enabled=1
    autorefresh=1
    baseurl=http://cdn.opensuse.org/update/leap/${releasever}/oss
    gpgcheck=1
    service=openSUSE
"""
REDHAT = """\
    #
    # Certificate-Based Repositories
    # Managed by (rhsm) subscription-manager
    #
    # *** This file is auto-generated.  Changes made here will be over-written. ***
    #
    [rhel-9-for-x86_64-baseos-rpms]
    name = Red Hat Enterprise Linux 9 for x86_64 - BaseOS (RPMs)
    baseurl = https://cdn.redhat.com/content/dist/rhel9/$releasever/x86_64/baseos/os
    enabled = 1
    gpgcheck = 1
    gpgkey = file:///etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release
    sslverify = 1
    sslcacert = {folder}/ca
    sslclientkey = {folder}/key
    sslclientcert = {folder}/cert
    metadata_expire = 86400
    enabled_metadata = 1
    ui_repoid_vars = releasever

    [rhel-9-for-x86_64-baseos-debug-rpms]
    name = Red Hat Enterprise Linux 9 for x86_64 - BaseOS (Debug RPMs)
    baseurl = https://cdn.redhat.com/content/dist/rhel9/$releasever/x86_64/baseos/debug
    enabled = 0
    gpgcheck = 1
    gpgkey = file:///etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release
    sslverify = 1
    sslcacert = {folder}/ca
    sslclientkey = {folder}/key
    sslclientcert = {folder}/cert
    metadata_expire = 86400
    enabled_metadata = 0
    ui_repoid_vars = releasever
"""
DOCKER = """\
    [docker-ce-stable]
    name=Docker CE Stable - $basearch
    baseurl=https://download.docker.com/linux/centos/$releasever/$basearch/stable
    enabled=1
    gpgcheck=1
    gpgkey=https://download.docker.com/linux/centos/gpg

    [docker-ce-test]
    name=Docker CE Test - $basearch
    baseurl=https://download.docker.com/linux/centos/$releasever/$basearch/test
    enabled=0
    gpgcheck=1
    gpgkey=https://download.docker.com/linux/centos/gpg
"""
CENTOS5 = """\
    [base]
    name=CentOS-$releasever - Base
    mirrorlist=http://mirrorlist.centos.org/?release=$releasever&arch=$basearch&repo=os
    #baseurl=http://mirror.centos.org/centos/$releasever/os/$basearch/
    gpgcheck=1
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-5

    #additional packages that may be useful
    [extras]
    name=CentOS-$releasever - Extras
    mirrorlist=http://mirrorlist.centos.org/?release=$releasever&arch=$basearch&repo=extras
    gpgcheck=1
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-5
"""
FEDORA_METALINK = "https://mirrors.fedoraproject.org/metalink?repo="
REAL = {
    "Rocky 9": (
        ROCKY,
        {"rltype": [""], "contentdir": ["pub/rocky"]},
        {"baseos-9-x86_64": "https://mirrors.rockylinux.org/mirrorlist?arch=x86_64&repo=BaseOS-9"},
        ["baseos-debuginfo"],
    ),
    "Rocky 9, elsewhere": (ROCKY, {}, {}, ["baseos", "baseos-debuginfo"]),
    "Fedora 40": (
        FEDORA,
        {"releasever": ["40"]},
        {"fedora-40-x86_64": f"{FEDORA_METALINK}fedora-40&arch=x86_64"},
        [],
    ),
    "CentOS Stream 9": (
        STREAM,
        {"stream": ["9-stream"]},
        {
            "baseos-x86_64": "https://mirrors.centos.org/metalink?repo=centos-baseos-9-stream&arch=x86_64"
            "&protocol=https,http"
        },
        ["baseos-source"],
    ),
    "EPEL 9": (
        EPEL9,
        {"infra": ["stock"], "contentdir": ["pub/rocky"]},
        {"epel-9-x86_64": f"{FEDORA_METALINK}epel-9&arch=x86_64&infra=stock&content=pub/rocky"},
        [],
    ),
    "EPEL 10": (
        EPEL10,
        {},
        {"epel-9-x86_64": "https://mirrors.fedoraproject.org/metalink?repo=epel-9&arch=x86_64"},
        [],
    ),
    "openSUSE Leap": (
        LEAP,
        {"releasever": ["15.5"]},
        {
            "repo-oss-15.5": "http://download.opensuse.org/distribution/leap/15.5/repo/oss/",
            "openSUSE:update-oss-15.5": "http://cdn.opensuse.org/update/leap/15.5/oss",
        },
        ["openSUSE:update-oss gpgcheck"],
    ),
    "redhat.repo": (
        REDHAT,
        {},
        {"rhel-9-for-x86_64-baseos-rpms-9": "https://cdn.redhat.com/content/dist/rhel9/9/x86_64/baseos/os"},
        ["rhel-9-for-x86_64-baseos-debug-rpms"],
    ),
    "docker-ce": (
        DOCKER,
        {},
        {"docker-ce-stable-9-x86_64": "https://download.docker.com/linux/centos/9/x86_64/stable"},
        ["docker-ce-stable gpgkey", "docker-ce-stable gpgcheck", "docker-ce-test"],
    ),
    "CentOS 5": (
        CENTOS5,
        {"releasever": ["5"], "basearch": ["i386"]},
        {
            f"{name}-5-i386": f"http://mirrorlist.centos.org/?release=5&arch=i386&repo={repo}"
            for name, repo in (("base", "os"), ("extras", "extras"))
        },
        [],
    ),
}


@pytest.mark.parametrize(("text", "variables", "urls", "complaints"), REAL.values(), ids=REAL)
def test_real_files(take, files, text, variables, urls, complaints):
    text = textwrap.dedent(text).replace("{folder}", str(files))
    outcome = take(text, variables=EL9 | variables)
    assert outcome.urls == {repo_id: [url] for repo_id, url in urls.items()}
    assert outcome.keys == complaints


def test_redhats_certificates(take, files):
    (repo,) = take(textwrap.dedent(REDHAT).replace("{folder}", str(files))).repos
    connection = repo.connection
    assert (connection.sslcacert, connection.sslclientcert) == (f"{files}/ca", f"{files}/cert")
    assert (connection.sslclientkey, connection.sslverify) == (f"{files}/key", True)
