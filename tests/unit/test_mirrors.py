"""mirrorlist and metalink, by librepo's rules."""

import hashlib

import pytest

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.mirrors import MAX_MIRRORS, expand, parse_metalink, parse_mirrorlist, parse_mirrors

DATA = b"<repomd/>"


def hashes(**values: str) -> str:
    inside = "".join(f'<hash type="{kind}">{value}</hash>' for kind, value in values.items())
    return f"<verification>{inside}</verification>"


def metalink(*urls: str, before: str = "", name: str = "repomd.xml", root: str = "metalink") -> bytes:
    resources = "".join(url if url.startswith("<") else f"<url>{url}</url>" for url in urls)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{root} version="3.0" xmlns="http://www.metalinker.org/" '
        f'xmlns:mm0="http://fedorahosted.org/mirrormanager"><files><file name="{name}">{before}'
        f"<resources>{resources}</resources></file></files></{root}>"
    ).encode()


MIRRORLISTS = [
    ("http://a/\nhttps://b/x\n", ("http://a/", "https://b/x")),
    ("# repo = x\n\n  \t http://a/  \r\n", ("http://a/",)),
    ("/srv/mirror\n", ("file:///srv/mirror",)),
    ("file:///srv\n", ("file:///srv",)),
    ("#http://no/\nhttp://a/", ("http://a/",)),
    ("http://a/\nhttp://a/\nhttp://b/\n", ("http://a/", "http://b/")),
    ("ftp://x/\nrsync://x/\nhttp://a/\nhosted by us\n", ("http://a/",)),
    ("http://a/$releasever/$basearch/", ("http://a/5/i386/",)),
    ("http://a/${releasever}/$other/", ("http://a/5/$other/",)),
    ("HTTP://A/", ("HTTP://A/",)),
    ("http://a/\x1b[31m\nhttp://b/", ("http://b/",)),
]


@pytest.mark.parametrize(("text", "expected"), MIRRORLISTS)
def test_mirrorlist(text, expected):
    variables = {"releasever": "5", "basearch": "i386"}
    for parse in (parse_mirrorlist, parse_mirrors):
        got = parse(text.encode(), variables)
        assert got.baseurls == expected
        assert got.pins == ()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no mirror"),
        (b"# only\n\n#comments\n", "no mirror"),
        (b"ftp://a/\n", "no mirror"),
        (b"\xff\xfe\x00", "no mirror"),
        (b"# repo = x arch = y error: invalid repo or arch\n", "invalid repo or arch"),
        (b"<!DOCTYPE html>\n<HTML>http://a/\nhttp://b/</HTML>", "HTML"),
        (b"<html><body>\nhttp://a/\n</body></html>", "HTML"),
    ],
)
def test_mirrorlist_refused(data, said):
    with pytest.raises(RepodataError, match=said):
        parse_mirrors(data, {})


def test_the_servers_own_words_are_on_one_line():
    with pytest.raises(RepodataError) as raised:
        parse_mirrors(b"# error: \x1b[31minvalid\x07" + b"x" * 10_000, {})
    assert raised.value.message.isprintable()
    assert len(raised.value.message) < 500


def test_a_byte_order_mark_does_not_cost_the_first_mirror():
    assert parse_mirrors(b"\xef\xbb\xbfhttp://a/\nhttp://b/\n", {}).baseurls == ("http://a/", "http://b/")


def test_a_list_of_thousands_is_cut():
    text = "".join(f"http://m{number}/\n" for number in range(5000))
    assert len(parse_mirrors(text.encode(), {}).baseurls) == MAX_MIRRORS


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a/$basearch-x/${basearch}", "http://a/i386-x/i386"),
        ("http://a/$basearchive", "http://a/$basearchive"),
        ("http://a/$", "http://a/$"),
        ("http://a/$$basearch", "http://a/$i386"),
        ("http://a/${basearch", "http://a/${basearch"),
        ("http://a/$loop", "http://a/$basearch"),
    ],
)
def test_expand(url, expected):
    assert expand(url, {"basearch": "i386", "loop": "$basearch"}) == expected


def test_metalink_order_schemes_and_base():
    data = metalink(
        '<url protocol="http" preference="90">http://low/os/repodata/repomd.xml</url>',
        '<url protocol="rsync" preference="100">rsync://x/os/repodata/repomd.xml</url>',
        '<url protocol="ftp" preference="100">ftp://x/os/repodata/repomd.xml</url>',
        '<url protocol="https" preference="95"> https://high/os/repodata/repomd.xml\n</url>',
        '<url preference="foobar">http://bad/repodata/repomd.xml</url>',
        '<url preference="-5">http://negative/repodata/repomd.xml</url>',
        '<url preference="5000">http://most/repodata/repomd.xml</url>',
        "<url/>",
        "http://none/repodata/repomd.xml",
    )
    got = parse_metalink(data)
    assert got.baseurls == (
        "http://most/",
        "https://high/os/",
        "http://low/os/",
        "http://bad/",
        "http://negative/",
        "http://none/",
    )
    assert got.pins == ()


def test_metalink_pins_the_strongest_hash_and_alternates():
    old = b"<old/>"
    before = (
        "<mm0:timestamp>1381706941</mm0:timestamp><size>9</size>"
        + hashes(
            md5="0" * 32,
            sha1="zz",
            foo="",
            sha512=hashlib.sha512(DATA).hexdigest(),
            sha256=hashlib.sha256(DATA).hexdigest(),
        )
        + "<mm0:alternates><mm0:alternate><mm0:timestamp>bad</mm0:timestamp>"
        + hashes(sha256=hashlib.sha256(old).hexdigest())
        + "</mm0:alternate><mm0:alternate/></mm0:alternates>"
    )
    got = parse_metalink(metalink("http://a/repodata/repomd.xml", before=before))
    assert [(pin.checksum.algorithm, pin.timestamp) for pin in got.pins] == [("sha512", 1381706941), ("sha256", 0)]
    assert got.pins[0].matches(DATA)
    assert not got.pins[0].matches(old)
    assert got.pins[1].matches(old)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (metalink("http://a/", name="foo.xml"), "no repomd.xml"),
        (metalink(), "no mirror"),
        (metalink("rsync://a/", "<url/>"), "no mirror"),
        (metalink("http://a/", root="metatron"), "root element"),
        (metalink("http://a/")[:-4], "line 2"),
        (metalink("http://a/").replace(b"\n", b"\n<!DOCTYPE metalink>"), "DOCTYPE"),
        (b"", "metalink"),
    ],
)
def test_metalink_refused(data, said):
    with pytest.raises(RepodataError, match=said):
        parse_metalink(data)


@pytest.mark.parametrize("before", [b"", b"\n  ", b"\xef\xbb\xbf", b"<!-- by mirrormanager -->\n"])
def test_the_content_tells_a_metalink_from_a_mirrorlist(before):
    data = metalink("http://a/repodata/repomd.xml")
    if before:
        data = before + data.partition(b"\n")[2]
    assert parse_mirrors(data, {}).baseurls == ("http://a/",)


def test_a_metalink_in_utf_16():
    data = metalink("http://a/repodata/repomd.xml").decode().replace("utf-8", "utf-16").encode("utf-16")
    assert parse_mirrors(data, {}).baseurls == ("http://a/",)


def test_a_metalink_without_declaration_nor_namespace():
    data = b"""<metalink version="3.0"><files><file name="repomd.xml"><resources>
    <url>http://a/repodata/repomd.xml</url></resources></file></files></metalink>"""
    assert parse_mirrors(data, {}).baseurls == ("http://a/",)
