"""repomd.xml: what createrepo, createrepo_c, SUSE and vendors write is read; what cannot be right is refused."""

import pytest

from mirrorpy.errors import UnsafeHref, UpstreamError
from mirrorpy.rpmmd.model import Checksum, Kind
from mirrorpy.rpmmd.repomd import parse_repomd

from .documents import A64, B64, record, repomd

FULL = f"""<open-checksum type="sha256">{B64}</open-checksum><timestamp>1690000000</timestamp>
<size>1234</size><open-size>5678</open-size><database_version>10</database_version>"""


def test_every_value_is_read():
    got = parse_repomd(repomd(record(inside=FULL), revision="1690000001"))
    assert got.revision == "1690000001"
    assert len(got.records) == 1
    found = got.record("primary")
    assert (found.type, found.file.href, found.file.size) == ("primary", "repodata/primary.xml.gz", 1234)
    assert (found.file.checksum, found.file.kind) == (Checksum("sha256", A64), Kind.RECORD)
    assert (found.open_checksum, found.open_size) == (Checksum("sha256", B64), 5678)
    assert found.timestamp == got.timestamp == 1690000000


def test_what_is_optional_may_be_absent():
    got = parse_repomd(repomd(revision=None))
    found = got.record("primary")
    assert got.revision is None
    assert got.timestamp == 0
    assert (found.file.size, found.open_checksum, found.open_size, found.timestamp) == (None, None, None, 0)


@pytest.mark.parametrize(
    "kind",
    ["filelists_db", "group_gz", "primary_zck", "prestodelta", "susedata.de", "filelists-ext", "productid", "origin"],
)
def test_record_types_are_open_ended(kind):
    got = parse_repomd(repomd(record(), record(kind, f"repodata/{kind}", ("sha256", B64))))
    assert [found.type for found in got.records] == ["primary", kind]
    assert got.record(kind).file.checksum.value == B64
    assert got.record("absent") is None


@pytest.mark.parametrize(
    ("written", "algorithm", "digits"),
    [
        ("sha", "sha1", 40),
        ("sha1", "sha1", 40),
        ("md5", "md5", 32),
        ("sha224", "sha224", 56),
        ("SHA512", "sha512", 128),
    ],
)
def test_checksum_types(written, algorithm, digits):
    found = parse_repomd(repomd(record(checksum=(written, "C" * digits)))).record("primary")
    assert found.file.checksum == Checksum(algorithm, "c" * digits)


@pytest.mark.parametrize(
    ("timestamp", "revision", "expected"),
    [
        ("1690000000", "1", 1690000000),
        ("1179000000.37", "1", 1179000000),  # old createrepo
        ("", "1690000001", 1690000001),
        ("rubbish", "1690000001", 1690000001),
        ("-5", "rubbish", 0),
        ("9" * 30, "9" * 30, 0),
        ("", "20230713", 0),  # a date is no time
    ],
)
def test_age(timestamp, revision, expected):
    data = repomd(record(inside=f"<timestamp>{timestamp}</timestamp>"), revision=revision)
    assert parse_repomd(data).timestamp == expected


def test_location_outside_repodata_and_xml_base_are_kept():
    data = repomd(record(href="metadata/primary.xml", base="https://cdn.example.org/x/"))
    file = parse_repomd(data).record("primary").file
    assert (file.href, file.location_base) == ("metadata/primary.xml", "https://cdn.example.org/x/")


def test_an_empty_open_checksum_is_none():
    data = repomd(record(inside='<open-checksum type="sha256"></open-checksum><open-size></open-size>'))
    found = parse_repomd(data).record("primary")
    assert (found.open_checksum, found.open_size) == (None, None)


def test_zck_location_of_old_drafts_is_passed_over():
    data = repomd(record(inside='<zck-location href="repodata/primary.xml.zck"/>'))
    assert parse_repomd(data).record("primary").file.href == "repodata/primary.xml.gz"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "iso-8859-1"])
def test_other_encodings(encoding):
    text = repomd(revision="grün").decode().replace("UTF-8", encoding)
    assert parse_repomd(text.encode(encoding)).revision == "grün"


REFUSED = [
    (b"", "repomd.xml"),
    (b"<html><body>Welcome</body></html>", "'html'"),
    (b"not xml at all", "line 1"),
    (repomd(record("filelists")), "lists no primary"),
    (repomd(namespace="http://linux.duke.edu/metadata/rope"), "namespace"),
    (repomd(record(None)), "without a type"),
    (repomd(record(href=None)), "location"),
    (repomd(record(href="")), "location"),
    (repomd(record(checksum=None)), "has no checksum"),
    (repomd(record(checksum=("", A64))), "unknown checksum type"),
    (repomd(record(checksum=("crc32", "abcdef01"))), "crc32"),
    (repomd(record(checksum=("sha256", ""))), "0 bytes instead of 32"),
    (repomd(record(checksum=("sha256", "z" * 64))), "not hexadecimal"),
    (repomd(record(checksum=("sha256", "a" * 40))), "20 bytes instead of 32"),
    (repomd(record(inside=f'<open-checksum type="rot13">{A64}</open-checksum>')), "rot13"),
    (repomd(record(inside="<size>-1</size>")), "size"),
    (repomd(record(inside=f"<size>{2**63}</size>")), "size"),
    (repomd(record(inside="<size>many</size>")), "size"),
    (repomd(record(inside="<open-size>1e9</open-size>")), "open-size"),
    (repomd(*[record()] * 1001), "1001 records"),
    (repomd()[:-5], "line 2"),
    (repomd().replace(b"<revision>", b"<revision>\0"), "line 2"),
    (repomd().replace(b"<revision>", b"<revision>\xff\xfe"), "line 2"),
    (repomd() + b"junk", "line 2"),
]


@pytest.mark.parametrize(("data", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_refused(data, said):
    with pytest.raises(UpstreamError) as raised:
        parse_repomd(data)
    assert said in raised.value.message
    assert "repomd.xml" in raised.value.message or "record 'primary'" in raised.value.message
    assert raised.value.exit_status == 4


@pytest.mark.parametrize("href", ["../x.xml", "/etc/passwd", "a/../../b", "repodata/repomd.xml", ".mirrorpy/pool/x"])
def test_unsafe_locations_name_the_record(href):
    with pytest.raises(UnsafeHref, match="record 'primary'"):
        parse_repomd(repomd(record(href=href)))


def test_a_bad_record_beside_good_ones_is_not_overlooked():
    with pytest.raises(UpstreamError, match="record 'other'"):
        parse_repomd(repomd(record(), record("other", "repodata/other.xml.gz", None)))


def test_odd_namespace_prefixes_are_xml_all_the_same():
    data = repomd().replace(b"<repomd xmlns=", b"<r:repomd xmlns:r=")
    for tag in (b"data", b"checksum", b"location", b"revision"):
        data = data.replace(b"<" + tag, b"<r:" + tag).replace(b"</" + tag, b"</r:" + tag)
    data = data.replace(b"</repomd>", b"</r:repomd>")
    assert parse_repomd(data).record("primary").file.href == "repodata/primary.xml.gz"
