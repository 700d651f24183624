"""Confinement: a checked href is a file inside the repository; everything else is refused with exit status 4."""

import pytest

from mirrorpy.errors import MirrorError, UnsafeHref, UpstreamError
from mirrorpy.plan import collect
from mirrorpy.rpmmd.href import INDEX_FILES, check_href, check_tree, quote_href
from mirrorpy.rpmmd.model import Kind, plain

from .documents import remote

TAKEN = [
    "a.rpm",
    "Packages/a/a-1.rpm",
    "drpms/a.drpm",
    "a+b~c^d.rpm",
    "a%2Bb.rpm",
    "a b.rpm",
    "a?b#c.rpm",
    "pkg:1.rpm",
    "%2e%2e/%2e%2e/etc/passwd",
    "..\\..\\etc\\passwd",
    "...",
    "..a/b..",
    "a..b/.hidden/c",
    ".hidden",
    "./a.rpm",
    "a/./b.rpm",
    "a//b.rpm",
    "-rf",
    "~root",
    "ünï/çødé.rpm",
    "x" * 255,
    "ü" * 127,
    "mirrorpy/.mirrorpyx",
    "a/.mirrorpy/b",
    "Repodata/a.rpm",
    "repodata.rpm",
    "http:/a.rpm",
]


@pytest.mark.parametrize("href", TAKEN)
@pytest.mark.parametrize("kind", [Kind.PACKAGE, Kind.RECORD, Kind.DELTA])
def test_taken_unchanged(href, kind):
    assert check_href(href, kind) == href


REFUSED = [
    None,
    "",
    ".",
    "..",
    "../a",
    "../../pool/aa-a.rpm",
    "a/..",
    "a/../b",
    "a/../../b",
    "./../a",
    "a/b/../../../c",
    "/",
    "/a",
    "/etc/passwd",
    "//host/a",
    "///a",
    "http://host/a",
    "HTTPS://host/a",
    "file:///etc/passwd",
    "svn+ssh://x/y",
    "a/",
    "a/.",
    "a//",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\tb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x85b",
    "a\x9bb",
    "a\u2028b",
    "a\ud800b",
    "x" * 256,
    "ü" * 128,
    "a/" * 2000 + "b",
    ".mirrorpy",
    ".mirrorpy/pool/x",
    "./.mirrorpy/x",
    ".//.mirrorpy/x",
    *INDEX_FILES,
    "./repodata/repomd.xml",
    "repodata//repomd.xml",
    "repodata/./repomd.xml.asc",
]


@pytest.mark.parametrize("href", REFUSED, ids=lambda href: ascii(href)[:40])
@pytest.mark.parametrize("kind", [Kind.PACKAGE, Kind.RECORD, Kind.DELTA])
def test_refused(href, kind):
    with pytest.raises(UnsafeHref) as raised:
        check_href(href, kind)
    assert raised.value.exit_status == 4
    assert raised.value.message.isprintable()
    assert len(raised.value.message) < 5000


@pytest.mark.parametrize("href", ["repodata/a.rpm", "./repodata/a.rpm", "repodata//x/a.rpm"])
def test_only_records_lie_in_repodata(href):
    assert check_href(href, Kind.RECORD) == href
    for kind in (Kind.PACKAGE, Kind.DELTA):
        with pytest.raises(UnsafeHref, match="metadata"):
            check_href(href, kind)


@pytest.mark.parametrize(
    ("href", "kind"),
    [
        ("repodata", Kind.RECORD),
        ("repodata", Kind.PACKAGE),
        ("./repodata", Kind.DELTA),
        ("repodata/repomd.xml/x", Kind.RECORD),
        ("repodata/repomd.xml.asc/x", Kind.RECORD),
    ],
)
def test_nothing_is_in_the_way_of_the_index(href, kind):
    """`a` and `a/b` both files, one of them repomd.xml, which every generation has: upstream is wrong, not the disk."""
    with pytest.raises(UpstreamError):
        collect([remote(check_href(href, kind), kind=kind)])


def test_a_path_longer_than_linux_takes_is_upstreams_fault():
    """PATH_MAX is 4,096 bytes; this href has 2,024 characters and 6,024 bytes."""
    href = "/".join(["€" * 80] * 25)
    assert len(href) < 2048
    with pytest.raises(UnsafeHref):
        check_href(href, Kind.PACKAGE)


@pytest.mark.parametrize(
    ("paths", "clash"),
    [
        (["a", "a/b"], "a"),
        (["a/b", "a/b/c/d"], "a/b"),
        (["x", "y/z", "y"], "y"),
        (["a", "ab/c"], None),
        (["a/b", "a/c", "d"], None),
        ([], None),
        (["a/b/c", "a/b"], "a/b"),
    ],
)
def test_check_tree(paths, clash):
    tree = dict.fromkeys(paths)
    if clash is None:
        check_tree(tree)
        return
    with pytest.raises(MirrorError) as raised:
        check_tree(tree)
    assert raised.value.href == clash
    assert raised.value.exit_status == 4


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("Packages/a-1.rpm", "Packages/a-1.rpm"),
        ("a+b", "a%2Bb"),
        ("a~b", "a~b"),
        ("a^b", "a%5Eb"),
        ("a%2Bb", "a%252Bb"),
        ("a b", "a%20b"),
        ("a?b", "a%3Fb"),
        ("a#b", "a%23b"),
        ("a:b", "a%3Ab"),
        ("é", "%C3%A9"),
        ("a&b=c;d", "a%26b%3Dc%3Bd"),
        ("a\\b", "a%5Cb"),
    ],
)
def test_quote(href, expected):
    assert quote_href(href) == expected


@pytest.mark.parametrize(
    ("href", "path"), [("a/b", "a/b"), ("./a", "a"), ("a//b", "a/b"), ("a/./b", "a/b"), (".a/.b", ".a/.b")]
)
def test_plain_and_path_agree(href, path):
    assert plain(href) == path
    assert remote(href).path == path
