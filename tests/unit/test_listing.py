"""Pages of folders, as servers make them, and what else may come in their place; folders of this machine too."""

import os
import tracemalloc

import pytest

from mirrorpy.errors import FetchError, NotFound, RepodataError
from mirrorpy.rpmmd.listing import MAX_LISTED, Listed, listed_name, parse_listing
from mirrorpy.upstream.folder import list_folder

URL = "http://up.test/pub/"
NGINX = """<html>
<head><title>Index of /pub/</title></head>
<body>
<h1>Index of /pub/</h1><hr><pre><a href="../">../</a>
<a href="5.0/">5.0/</a>                                               23-Nov-2026 08:31                   -
<a href="RPM-GPG-KEY-a%20very%20long%20name">RPM-GPG-KEY-a very long n..&gt;</a> 23-Nov-2026 08:31      1706
<a href="a%3Fb%23c%25d">a?b#c%d</a>                                   23-Nov-2026 08:31                   0
</pre><hr></body>
</html>
"""
TABLE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html>
 <head>
  <title>Index of /pub</title>
 </head>
 <body>
<h1>Index of /pub</h1>
  <table>
   <tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th><th><a href="?C=N;O=D">Name</a></th>
   <th><a href="?C=M;O=A">Last modified</a></th><th><a href="?C=S;O=A">Size</a></th></tr>
   <tr><th colspan="5"><hr></th></tr>
<tr><td valign="top"><img src="/icons/back.gif" alt="[PARENTDIR]"></td><td><a href="/">Parent Directory</a></td>
<td>&nbsp;</td></tr>
<tr><td valign="top"><a href="5.0/"><img src="/icons/folder.gif" alt="[DIR]"></a></td><td><a href="5.0/">5.0/</a>
</td><td align="right">2026-11-23 08:31  </td><td align="right">  - </td><td>&nbsp;</td></tr>
<tr><td valign="top"><img src="/icons/unknown.gif" alt="[   ]"></td>
<td><a href="RPM-GPG-KEY-a%20very%20long%20name">RPM-GPG-KEY-a very lo..&gt;</a></td></tr>
<tr><td valign="top"></td><td><a href="a%3fb%23c%25d">a?b#c%d</a></td></tr>
   <tr><th colspan="5"><hr></th></tr>
</table>
<address>Apache/2.4 (Debian) Server at <a href="mailto:root@up.test">up.test</a> Port 80</address>
</body></html>
"""
TEXT = """<html><head><title>Index of /pub</title></head><body>
<h1>Index of /pub</h1>
<pre><img src="/icons/blank.gif" alt="Icon "> <a href="?C=N;O=D">Name</a>  <a href="?C=M;O=A">Last modified</a><hr>
<img src="/icons/back.gif" alt="[PARENTDIR]"> <a href="/">Parent Directory</a>                             -
<img src="/icons/folder.gif" alt="[DIR]"> <a href="5.0/">5.0/</a>                    2026-11-23 08:31    -
<img src="/icons/unknown.gif" alt="[   ]"> <a href="RPM-GPG-KEY-a%20very%20long%20name">RPM-GPG-KEY-a..&gt;</a>
<img src="/icons/unknown.gif" alt="[   ]"> <a href="a%3fb%23c%25d">a?b#c%d</a>   2026-11-23 08:31    0
<hr></pre></body></html>
"""
PLAIN = """<html><head><title>Index of /pub</title></head><body>
<h1>Index of /pub</h1>
<ul><li><a href="/"> Parent Directory</a></li>
<li><a href="5.0/"> 5.0/</a></li>
<li><a href="RPM-GPG-KEY-a%20very%20long%20name"> RPM-GPG-KEY-a very long name</a></li>
<li><a href="a%3fb%23c%25d"> a?b#c%d</a></li>
</ul></body></html>
"""


def entries(*links: str) -> list[Listed]:
    body = "".join(f'<a href="{link}">x</a>' for link in links)
    return parse_listing(f"<html><title>Index of /</title>{body}".encode(), URL)


@pytest.mark.parametrize("page", [NGINX, TABLE, TEXT, PLAIN], ids=["nginx", "table", "text", "plain"])
def test_pages_of_servers(page):
    assert parse_listing(page.encode(), URL) == [
        Listed("5.0", folder=True),
        Listed("RPM-GPG-KEY-a very long name", folder=False),
        Listed("a?b#c%d", folder=False),
    ]


@pytest.mark.parametrize(
    ("link", "entry"),
    [
        ("a", Listed("a", folder=False)),
        ("a/", Listed("a", folder=True)),
        ("./a/", Listed("a", folder=True)),
        ("./a:b", Listed("a:b", folder=False)),
        ("a%3ab", Listed("a:b", folder=False)),
        ("a%2520b", Listed("a%20b", folder=False)),
        ("a+b", Listed("a+b", folder=False)),
        ("a&amp;b", Listed("a&b", folder=False)),
        ("caf%C3%A9", Listed("café", folder=False)),
        ("café", Listed("café", folder=False)),
        (".treeinfo", Listed(".treeinfo", folder=False)),
        ("repodata/", Listed("repodata", folder=True)),
        ("...", Listed("...", folder=False)),
        ("x" * 255, Listed("x" * 255, folder=False)),
    ],
)
def test_names(link, entry):
    assert entries(link) == [entry]


@pytest.mark.parametrize(
    "link",
    [
        *("", "/", ".", "./", "..", "../", "../a", "a/..", "a/b", "a//", "/a", "/pub/a", "//other.test/a"),
        *("http://other.test/a", "https://up.test/pub/a", "file:///etc/passwd", "mailto:a@b", "javascript:x", "x:y"),
        *("?C=N;O=D", "a?C=N", "#top", "a#b", "%2e%2e/", "%2E%2e", "%2e", "a%2fb", "a%2Fb/", "%2fetc", "..%2f"),
        *("a%00b", "a%0Ab", "a%7f", "%C2%85", "%E2%80%A8", "caf%E9", "%ff", "%ed%a0%80", ".mirrorpy/", "x" * 256),
    ],
)
def test_what_is_no_entry(link):
    assert entries(link, "b") == [Listed("b", folder=False)]


def test_bytes_that_are_not_utf8():
    page = b'<title>Index of /</title><a href="caf\xe9">x</a><a href="b">x</a>'
    assert parse_listing(page, URL) == [Listed("b", folder=False)]


def test_a_name_comes_once_and_names_that_are_alike_are_two():
    found = entries("a", "A", "a", "./a", "%61", "cafe%CC%81", "caf%C3%A9", "a/")
    assert [entry.name for entry in found] == ["a", "A", "cafe\u0301", "caf\u00e9"]


def test_an_empty_folder():
    assert entries() == []


@pytest.mark.parametrize(
    "page",
    [
        "<title>Index of /pub/</title>",
        "<title>x</title><h1>Index of /pub/</h1>",
        "<title>Directory listing for /pub/</title>",
        "<title>/pub/</title>",
        "<TITLE>INDEX OF</TITLE>",
        '<title>Our mirror</title><a href="../">up</a>',
    ],
)
def test_what_a_listing_is_known_by(page):
    assert parse_listing(f'{page}<a href="a">a</a>'.encode(), URL) == [Listed("a", folder=False)]


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"\0",
        b"\xff\xfe\0",
        b"just text",
        b'{"name": "a"}',
        b"<?xml version='1.0'?><repomd/>",
        b'<title>404 Not Found</title><h1>Not Found</h1><a href="/">home</a>',
        b'<title>Welcome</title><a href="a/">a</a><a href="b">b</a>',
        b"<p>Index of /</p>",
        b"<title>Index</title>",
    ],
)
def test_what_is_no_listing(page):
    """A soft 404, a start page, an error of a proxy."""
    with pytest.raises(RepodataError, match="no listing") as caught:
        parse_listing(page, URL)
    assert caught.value.url == URL


def test_too_many_entries():
    page = "<title>Index of /</title>" + "".join(f"<a href={number}>" for number in range(MAX_LISTED + 1))
    with pytest.raises(RepodataError, match=f"more than {MAX_LISTED} entries"):
        parse_listing(page.encode(), URL)


@pytest.mark.parametrize(
    "page",
    [TABLE * 8_000, "<title>Index of /</title>" + "<div>" * 400_000, "<a href=" * 400_000 + NGINX, "<h1>" * 400_000],
)
def test_no_tree_is_built(page):
    """A large page costs its entries, not its elements."""
    data = page.encode()
    tracemalloc.start()
    try:
        parse_listing(data, URL)
    except RepodataError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * 1024**2


@pytest.mark.parametrize(
    ("name", "good"), [("a", True), ("repodata", True), ("..", False), ("", False), ("a/b", False)]
)
def test_listed_name(name, good):
    assert listed_name(name) == (name if good else None)


# Folders of this machine


def names(folder):
    return [(entry.name, entry.folder) for entry in list_folder(f"{folder.as_uri()}/")]


def test_a_folder(tmp_path):
    folder = tmp_path / "a b?#%é"
    (folder / "x/y").mkdir(parents=True)
    for name in ("B", "b", ".treeinfo", "é", "a\nb"):
        (folder / name).touch()
    with open(os.path.join(os.fsencode(folder), b"\xff"), "wb"):
        pass
    os.mkfifo(folder / "pipe")
    assert names(folder) == [(".treeinfo", False), ("B", False), ("b", False), ("x", True), ("é", False)]


def test_links_are_followed_but_not_in_circles(tmp_path):
    folder = tmp_path / "up"
    (folder / "a/b").mkdir(parents=True)
    (folder / "file").touch()
    for name, target in (
        ("file-link", "file"),
        ("folder-link", "a/b"),
        ("here", "."),
        ("above", ".."),
        ("root", "/"),
        ("nowhere", "gone"),
        ("itself", "itself"),
    ):
        (folder / name).symlink_to(target)
    (folder / "a/b/back").symlink_to("../../a")
    assert names(folder) == [("a", True), ("file", False), ("file-link", False), ("folder-link", True)]
    assert names(folder / "a/b") == []
    assert names(folder / "folder-link") == []


def test_folders_that_cannot_be_listed(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for name in ("gone", "file", "a%00b", "x" * 300):
        with pytest.raises(NotFound, match="cannot be listed"):
            list_folder(f"{tmp_path.as_uri()}/{name}/")
    with pytest.raises(FetchError, match="names a host"):
        list_folder("file://other.test/pub/")
    monkeypatch.setattr("os.scandir", lambda _path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(FetchError, match="Permission denied"):
        list_folder(f"{tmp_path.as_uri()}/")


def test_a_folder_with_too_many_entries(tmp_path, monkeypatch):
    monkeypatch.setattr("mirrorpy.upstream.folder.MAX_LISTED", 2)
    for name in "ab":
        (tmp_path / name).touch()
    assert names(tmp_path) == [("a", False), ("b", False)]
    (tmp_path / "c").touch()
    with pytest.raises(RepodataError, match="more than 2 entries"):
        names(tmp_path)
