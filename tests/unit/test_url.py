"""URLs: literal hrefs quoted once, xml:base, and who may have the secrets."""

from urllib.parse import unquote, urlsplit

import pytest

from mirrorpy.errors import RepodataError, UnsafeHref
from mirrorpy.upstream.url import file_url, may_share_secrets, origin, usable_mirrors

URLS = [
    ("http://h/r", "a.rpm", "http://h/r/a.rpm"),
    ("http://h/r/", "a.rpm", "http://h/r/a.rpm"),
    ("http://h/r/", "a+b.rpm", "http://h/r/a%2Bb.rpm"),
    ("http://h/r/", "a~b^c.rpm", "http://h/r/a~b%5Ec.rpm"),
    ("http://h/r/", "a%2Bb.rpm", "http://h/r/a%252Bb.rpm"),
    ("http://h/r/", "a b.rpm", "http://h/r/a%20b.rpm"),
    ("http://h/r/", "a?b.rpm", "http://h/r/a%3Fb.rpm"),
    ("http://h/r/", "a#b.rpm", "http://h/r/a%23b.rpm"),
    ("http://h/r/", "pkg:1.rpm", "http://h/r/pkg%3A1.rpm"),
    ("http://h/r/", "ü/é.rpm", "http://h/r/%C3%BC/%C3%A9.rpm"),
    ("http://h/r/", "a\\b;c&d=e@f.rpm", "http://h/r/a%5Cb%3Bc%26d%3De%40f.rpm"),
    ("http://h/a%20b/", "c", "http://h/a%20b/c"),
    ("file:///srv/r", "a b", "file:///srv/r/a%20b"),
]


@pytest.mark.parametrize(("base", "href", "expected"), URLS)
def test_file_url(base, href, expected):
    url = file_url(base, href)
    assert url == expected
    assert unquote(urlsplit(url).path).endswith(href)
    assert (urlsplit(url).query, urlsplit(url).fragment) == ("", "")


@pytest.mark.parametrize(
    ("base", "location_base", "expected"),
    [
        ("http://h/r/", "http://other/x/", "http://other/x/a.rpm"),
        ("https://h/r/", "//other/x/", "https://other/x/a.rpm"),
        ("http://h/r/", "https://other/x", "https://other/x/a.rpm"),
        ("http://h/r/", "../pool/", "http://h/pool/a.rpm"),
        ("http://h/r/", "sub", "http://h/r/sub/a.rpm"),
        ("http://h/r", "sub/", "http://h/r/sub/a.rpm"),
        ("http://h/r/", "/abs/", "http://h/abs/a.rpm"),
        ("http://h/r/", "//other/x/", "http://other/x/a.rpm"),
        ("file:///srv/r/", "../pool", "file:///srv/pool/a.rpm"),
        ("http://h/r/", "", "http://h/r/a.rpm"),
    ],
)
def test_xml_base(base, location_base, expected):
    assert file_url(base, "a.rpm", location_base) == expected


@pytest.mark.parametrize(
    ("base", "location_base"),
    [
        ("http://h/r/", "ftp://h/x/"),
        ("http://h/r/", "file:///etc/"),
        ("https://h/r/", "file:///etc/"),
        ("file:///srv/r/", "http://h/x/"),
        ("http://h/r/", "data:text/plain,x"),
        ("http://h/r/", "media://1"),
        ("http://h/r/", "javascript:x"),
        ("http://h/r/", "http://[x/"),
        ("https://h/r/", "http://h/r/"),
    ],
)
def test_xml_base_that_is_no_place(base, location_base):
    with pytest.raises(UnsafeHref) as raised:
        file_url(base, "a.rpm", location_base)
    assert raised.value.exit_status == 4
    assert raised.value.href == "a.rpm"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/", ("h", 80)),
        ("https://H/", ("h", 443)),
        ("https://u:p@h:8443/", ("h", 8443)),
        ("http://[::1]/", ("::1", 80)),
        ("file:///x", ("", None)),
    ],
)
def test_origin(url, expected):
    assert origin(url) == expected


@pytest.mark.parametrize("url", ["http://h:port/", "http://h:99999999/", "http://[x/", "http://[::1/"])
def test_origin_of_what_is_no_url(url):
    """A mirrorlist or a redirect may hold it; it is somebody, but nobody who is given secrets."""
    assert origin(url) is None
    assert not may_share_secrets("https://h/", url)
    assert not may_share_secrets(url, "https://h/")


@pytest.mark.parametrize(
    ("source", "baseurls", "usable"),
    [
        ("https://m/", ("http://a/", "file:///srv/", "http://[x/", "https://b/"), ("http://a/", "https://b/")),
        ("file:///m", ("http://a/", "file:///srv/"), ("http://a/", "file:///srv/")),
        ("https://m/", ("file:///srv/",), None),
        ("https://m/", ("http://h:port/",), None),
    ],
)
def test_mirrors_that_may_be_asked(source, baseurls, usable):
    if usable is None:
        with pytest.raises(RepodataError, match="no mirror"):
            usable_mirrors(source, baseurls)
    else:
        assert usable_mirrors(source, baseurls) == usable


@pytest.mark.parametrize(
    ("asked", "target", "shared"),
    [
        ("https://h/a", "https://h/b", True),
        ("https://h/a", "https://h:443/b", True),
        ("https://H/a", "https://h/b", True),
        ("http://h/a", "http://h/b", True),
        ("http://h/a", "https://h/b", True),
        ("http://h:80/a", "https://h/b", True),
        ("https://h/a", "http://h/b", False),
        ("https://h/a", "http://h:443/b", False),
        ("https://h/a", "https://h:8443/b", False),
        ("http://h:8080/a", "https://h/b", False),
        ("http://h/a", "https://h:8443/b", False),
        ("https://h/a", "https://h.evil/b", False),
        ("https://h/a", "https://x.h/b", False),
        ("https://h/a", "https://h@evil/b", False),
        ("https://h/a", "https://evil/h", False),
    ],
)
def test_who_may_have_the_secrets(asked, target, shared):
    assert may_share_secrets(asked, target) is shared
