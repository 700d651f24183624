"""No href of upstream's leads out of the repository, on disk or in a URL."""

import os
from urllib.parse import unquote, urlsplit

from hypothesis import example, given
from hypothesis import strategies as st

from mirrorpy.errors import UnsafeHref
from mirrorpy.rpmmd.href import RESERVED, check_href, quote_href
from mirrorpy.rpmmd.model import Kind, RemoteFile, plain
from mirrorpy.upstream.url import file_url
from tests.unit.documents import sha256

from .strategies import one_line

WORDS = ".. . / // \\ %2e %2f a b.rpm ~ : ? # + http: file:// .mirrorpy repodata repomd.xml"
PIECES = (*WORDS.split(), "\0", "\n", "\x1b", " ", "\u2024", "\uff0e", "\uff0f", "é", "\u202e", "\ud800", "x" * 256)
HREFS = (
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
    | st.text(max_size=40)
    | st.text("./\\%2eaf", max_size=20)
)
KINDS = st.sampled_from([Kind.PACKAGE, Kind.RECORD, Kind.DELTA])
ROOT = "/srv/pub/.os.20231114T221320Z"


@given(HREFS, KINDS)
@example("../.os.20231114T221320Zx/a", Kind.PACKAGE)
@example("a/../../b", Kind.RECORD)
def test_a_checked_href_stays_below_its_root(href, kind):
    try:
        assert check_href(href, kind) == href
    except UnsafeHref as error:
        one_line(error.message)
        return
    path = plain(href)
    whole = os.path.normpath(os.path.join(ROOT, path))
    assert whole.startswith(f"{ROOT}/")
    assert whole == f"{ROOT}/{path}"
    assert path.split("/")[0] != RESERVED
    assert path != "repodata/repomd.xml"
    assert all(0 < len(part.encode()) < 256 for part in path.split("/"))
    assert "\0" not in path
    assert RemoteFile(href, sha256(b""), None, kind).path == path
    assert kind is Kind.RECORD or not path.startswith("repodata/")


@given(HREFS, KINDS)
def test_a_checked_href_stays_below_its_base_in_urls(href, kind):
    try:
        check_href(href, kind)
    except UnsafeHref:
        return
    url = file_url("https://host.test:8443/pub/os", href)
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "host.test:8443", "", "")
    assert parts.path.startswith("/pub/os/")
    assert unquote(parts.path.removeprefix("/pub/os/")) == href


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_quoting_goes_there_and_back_and_leaves_nothing_reserved(href):
    quoted = quote_href(href)
    assert unquote(quoted, errors="strict") == href
    assert quoted.isascii()
    assert not set(quoted) & set(":?#[]@!$&'()*+,;= \\\"<>^`{|}")
    assert quoted.count("/") == href.count("/")
