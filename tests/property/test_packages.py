"""primary.xml read in two ways: what is cut out of the bytes is what the element parser finds, or nobody cuts."""

import io
import re
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd import packages
from mirrorpy.rpmmd.packages import Listed, iter_packages
from tests.integration.upstream import primary_xml

DOCUMENT = primary_xml({"Packages/a-1.rpm": b"one", "Packages/b+1~2^3.rpm": b"other", "c.rpm": b"third"})
WHOLE = re.compile(rb"<package.*?</package>", re.DOTALL)
INSERTS = [
    *(b"<!-- c -->", b'<!-- </package><package type="rpm"> -->', b"<![CDATA[</package>]]>", b"<?pi x?>"),
    *(b"</package>", b"<package>", b'<package type="rpm">', b"<format>", b"</format>", b"</metadata>", b"<metadata>"),
    *(b"<location href='x'/>", b'<location href="x.rpm"/>', b'<checksum type="md5">00</checksum>', b"<size/>"),
    *(b"&amp;", b"&lt;", b"&#x41;", b"&e;", b"\r\n", b"\n", b"\t", b" ", b"\0", b"\xff", "\u00e9".encode()),
    *(b'"', b"'", b">", b"<", b' xmlns="urn:x"', b' xml:base="../x/"', b"x", b"0", b"<x/>", b"<x>", b"</x>"),
]
Read = tuple[list[Listed], str | None]


def read(fields: Iterator[Listed]) -> Read:
    """What comes, empty and absent fields being the same to all who read them, and the error that ends it."""
    found: list[Listed] = []
    try:
        found.extend(listed._replace(base=listed.base or None) for listed in fields)
    except RepodataError as error:
        return found, str(error)
    return found, None


def quickly(data: bytes) -> Read:
    return read(iter_packages(io.BytesIO(data), lambda _tag, _promised: None))


def by_elements(data: bytes) -> Read:
    """The same where nothing is ever cut."""
    head, packages._HEAD = packages._HEAD, re.compile(b"(?!)")
    try:
        return quickly(data)
    finally:
        packages._HEAD = head


def test_what_createrepo_writes_is_cut() -> None:
    cutter = packages._Cutter(io.BytesIO(DOCUMENT), lambda _tag, _promised: None)
    assert [listed.href for listed in cutter.iter_cut()] == ["Packages/a-1.rpm", "Packages/b+1~2^3.rpm", "c.rpm"]
    assert cutter.rest is None


@given(st.data(), st.lists(st.sampled_from(INSERTS), min_size=1, max_size=3), st.sampled_from([64, 700, 1 << 20]))
def test_both_ways_agree(data: st.DataObject, inserts: list[bytes], chunk: int) -> None:
    """A document with anything anywhere: the same packages, and an error if the other has one, a bit earlier or later.

    libxml2 waits for the end of a quoted value, and what is cut meanwhile may come before the error.
    """
    document = DOCUMENT
    for insert in inserts:
        start = data.draw(st.integers(0, len(document)))
        document = document[:start] + insert + document[data.draw(st.sampled_from([start, start, start + 9])) :]
    quick, slow = quickly_in(document, chunk), by_elements(document)
    assert (quick[1] is None) == (slow[1] is None), (quick, slow)
    both = min(len(quick[0]), len(slow[0])) if slow[1] else None
    assert quick[0][:both] == slow[0][:both]


def quickly_in(data: bytes, chunk: int) -> Read:
    before, packages.CHUNK, packages.HEAD = (packages.CHUNK, packages.HEAD), chunk, 300
    try:
        return quickly(data)
    finally:
        packages.CHUNK, packages.HEAD = before


@given(st.permutations(range(3)), st.integers(0, 2))
def test_an_odd_package_among_others(order: list[int], odd: int) -> None:
    """The element parser takes over in the middle, and nothing is lost or seen twice."""
    found = WHOLE.findall(DOCUMENT)
    start, end = DOCUMENT.index(found[0]), DOCUMENT.index(found[-1]) + len(found[-1])
    found[odd] = found[odd].replace(b"<summary>", b"<x/><summary>")
    pieces = [found[number] for number in order]
    document = DOCUMENT[:start] + b"\n".join(pieces) + DOCUMENT[end:]
    assert quickly_in(document, 64) == by_elements(document)


def test_a_line_number_after_taking_over() -> None:
    """An error is at the line where an editor shows it."""
    found = WHOLE.findall(DOCUMENT)
    document = DOCUMENT[: DOCUMENT.index(found[0])] + b"\n\n\n".join([*found, b"<x>", b"</y>"])
    line = document[: document.index(b"</y>")].count(b"\n") + 1
    for _, error in (quickly_in(document, 64), by_elements(document)):
        assert f"line {line}" in (error or "")


class Dripping(io.RawIOBase):
    """A stream that gives a few bytes at a time, and fails where it ends."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        part = self._data.read(min(size, 50))
        if not part:
            raise RepodataError("compressed metadata is damaged")
        return part


@pytest.mark.parametrize("chunk", [64, 1 << 20])
def test_a_source_that_fails(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """What came before is there, and the source's own error tells why there is no more."""
    monkeypatch.setattr(packages, "CHUNK", chunk)
    monkeypatch.setattr(packages, "HEAD", 300)
    cut = DOCUMENT.index(WHOLE.findall(DOCUMENT)[2]) + 70
    found, error = read(iter_packages(Dripping(DOCUMENT[:cut]), lambda _tag, _promised: None))
    assert error == "compressed metadata is damaged"
    assert len(found) == 2


@pytest.mark.parametrize("broken_off", [False, True])
def test_nobody_reads_on_who_is_not_asked(monkeypatch: pytest.MonkeyPatch, *, broken_off: bool) -> None:
    """The thread that checks ends with whoever wanted to know, whether he took all or broke off."""
    monkeypatch.setattr(packages, "CHUNK", 64)
    monkeypatch.setattr(packages, "HEAD", 300)
    before = threading.active_count()
    reading = iter_packages(io.BytesIO(DOCUMENT), lambda _tag, _promised: None)
    assert next(reading).href == "Packages/a-1.rpm"
    assert threading.active_count() == before + 1
    if broken_off:
        reading.close()
    else:
        assert len(list(reading)) == 2
    assert threading.active_count() == before
