"""Whatever stands in a .repo file, its conversion loads, has the URLs that were meant, or says in one line why not."""

import io
import re
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mirrorpy.config.load import load_config
from mirrorpy.config.model import Repository
from mirrorpy.config.starter import converted
from mirrorpy.config.yum import Conversion, convert
from mirrorpy.errors import ConfigError

from .strategies import bytes_like, one_line

VARIABLES = {"releasever": ["8", "9-stream"], "basearch": ["x86_64"], "rltype": [""], "contentdir": ["pub/x"]}
FILE = b"""\
# A file with everything
[main]
gpgcheck=1
[base]
name=Base $releasever - $basearch
mirrorlist=https://m.test/?release=$releasever&arch=$basearch&repo=os$rltype
#baseurl=http://a.test/$contentdir/$releasever/os/$basearch/
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/KEY-9 https://k.test/KEY
[secret repo]
baseurl=https://me:word@a.test/${releasever}x/,http://b.test/x
   file:///srv/x
username=me
password=a: #{'"%
user_agent=yum/4
proxy=http://p.test:3128
proxy_username=me
proxy_password=w@rd
sslverify=0
timeout=30
retries=3
minrate=1k
excludepkgs=kernel*
[meta]
metalink=http://m.test/metalink?repo=x-$releasever
baseurl=http://a.test/
gpgkey=file:///etc/pki/KEY-$releasever
sslcacert=/not/here
[off]
enabled=0
baseurl=http://a.test/
"""
CERTIFICATE = re.compile(r": repos\[\d+\]\.sslc\w+: .* cannot be read")


def load(conversion: Conversion) -> tuple[Repository, ...]:
    """Write it as `init` does, and load it; raises AssertionError where it complains of more than certificates."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "m.yaml"
        file.write_text(
            converted("/pub", [(entry.options, entry.comments) for entry in conversion.entries]), encoding="utf-8"
        )
        try:
            return load_config(file, {}).repos
        except ConfigError as error:
            message = error.message
    for problem in re.split(r" \(and \d+ more: | \| ", message.removesuffix(")")):
        assert CERTIFICATE.search(problem), message
    return ()


def taken(text: str, variables: dict[str, list[str]] | None = None) -> Conversion | None:
    """Convert a file; every complaint is one printable line."""
    try:
        conversion = convert([("f.repo", text)], VARIABLES if variables is None else variables)
    except ConfigError as error:
        one_line(error.message)
        return None
    for complaint in conversion.complaints:
        one_line(complaint)
    return conversion


def test_the_file_itself_is_good():
    conversion = taken(FILE.decode())
    assert conversion is not None
    assert [entry.options["id"] for entry in conversion.entries] == [
        "base-$releasever-$basearch",
        "secret-repo-$releasever",
        "meta-$releasever",
    ]


@given(bytes_like(FILE))
def test_any_bytes(data):
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace").read()
    conversion = taken(text)
    if conversion is not None and conversion.entries:
        load(conversion)


KEYS = """baseurl mirrorlist metalink gpgkey proxy proxy_username proxy_password username password user_agent timeout
retries minrate sslverify sslcacert enabled gpgcheck exclude frob"""
WORDS = """http:// https:// file:/// ftp:// a.test / : @ # ? % $releasever ${basearch} $x ${x ${x:-y} $ { } [ ] ' " , ;
= & * ! | > - ~ 0 1 9 30 yes no"""
PIECES = st.sampled_from([*WORDS.split(), "\\", "é", "\x1b", "\x85", "\x9b", "\u2028", "\ufeff", "\ufffe", "\0", " "])
VALUES = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=20)
NAMES = st.sampled_from(["a", "b", "a-9", "_a", "a b", "é", ":", "x" * 300, "DEFAULT"]) | st.text(
    min_size=1, max_size=8
)
SECTIONS = st.tuples(NAMES, st.lists(st.tuples(st.sampled_from(KEYS.split()), VALUES), max_size=5))


@given(st.lists(SECTIONS, max_size=4))
@example([("a", [("gpgkey", "file://[x")])])
@example([("a", [("sslcacert", "a\0b")])])
@example([("a", [("user_agent", "é")])])
@example([("_a", [])])
@example([("a", []), ("a-9", [])])
def test_any_values(sections):
    text = "".join(
        f"[{name}]\nbaseurl=http://a.test/\n" + "".join(f"{key}={value}\n" for key, value in lines)
        for name, lines in sections
    )
    conversion = taken(text)
    if conversion is not None and conversion.entries:
        load(conversion)


SECRETS = st.text(max_size=40).map(lambda text: re.sub(r"[\r\n]", "", text).strip()).filter(bool)


@given(SECRETS)
def test_any_password(secret):
    conversion = taken(f"[a]\nbaseurl=http://a.test/\nusername={secret}\npassword={secret}\n")
    assert conversion is not None
    (repo,) = load(conversion)
    wanted = None if re.search(r"\$\{\w+\}", secret, re.ASCII) else secret
    assert (repo.connection.username, repo.connection.password) == (wanted, wanted)


def is_clear(name: str) -> bool:
    """Tell whether nothing that follows a variable looks like a part of its name."""
    return set(re.findall(r"\$(\w+)", name)) <= {"releasever", "basearch", "rltype"}


PARTS = st.sampled_from(
    ["os", "a.b", "x-y", "%20", "$releasever", "${releasever}", "$basearch", "${basearch}x", "$rltype"]
)
BASES = st.builds(
    lambda scheme, parts: f"{scheme}a.test/{'/'.join(parts)}/",
    st.sampled_from(["http://", "https://", "file:///"]),
    st.lists(st.lists(PARTS, min_size=1, max_size=3).map("".join).filter(is_clear), max_size=3),
)
RELEASES = st.lists(st.sampled_from(["5", "5.10", "9-stream", "0x1f", "no"]), min_size=1, max_size=3, unique=True)
ARCHES = st.lists(st.sampled_from(["i386", "x86_64"]), min_size=1, max_size=2, unique=True)


def meant(urls: Sequence[str], variables: dict[str, list[str]]) -> set[tuple[str, ...]]:
    """What the URLs stand for: every combination of the values of the variables in them."""
    used = [name for name in variables if any(re.search(rf"\${{?{name}(?!\w)", url) for url in urls)]
    found = set()
    for values in product(*(variables[name] for name in used)):
        expanded = list(urls)
        for name, value in zip(used, values, strict=True):
            expanded = [url.replace(f"${{{name}}}", value) for url in expanded]
        for name, value in zip(used, values, strict=True):
            expanded = [url.replace(f"${name}", value) for url in expanded]
        found.add(tuple(dict.fromkeys(expanded)))
    return found


@given(st.lists(BASES, min_size=1, max_size=3), RELEASES, ARCHES, st.sampled_from(["", "-beta", "x"]))
def test_exactly_the_urls_meant(urls, releases, arches, kind):
    variables = {"releasever": releases, "basearch": arches, "rltype": [kind]}
    conversion = taken("[a]\nbaseurl=" + "\n  ".join(urls) + "\n", variables)
    assert conversion is not None
    assert {repo.baseurls for repo in load(conversion)} == meant(urls, variables)


@pytest.mark.parametrize("source", ["mirrorlist", "metalink"])
def test_exactly_the_list_meant(source):
    variables = {"releasever": ["8", "9"], "basearch": ["i386", "x86_64"], "rltype": ["-beta"]}
    url = "https://m.test/?r=$releasever&a=${basearch}&k=os$rltype"
    conversion = taken(f"[a]\n{source}={url}\n", variables)
    assert conversion is not None
    assert {(getattr(repo, source),) for repo in load(conversion)} == meant([url], variables)
