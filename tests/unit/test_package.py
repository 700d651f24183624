"""The front of an RPM: what it says, as rpm and rpm-rs read it; everything that lies is refused, at no cost."""

import hashlib
import io
import random
import struct
import subprocess
import tracemalloc

import pytest
import rpm_rs  # type: ignore[import-untyped, unused-ignore]

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.model import Nevra
from mirrorpy.rpmmd.package import (
    EPOCH,
    HEADER_MAGIC,
    LEAD_BYTES,
    LEAD_MAGIC,
    MAX_DATA,
    MAX_ENTRIES,
    NAME,
    SHA1_HEADER,
    SHA256_HEADER,
    SIGNATURE_TAGS,
    Package,
    read_package,
)
from tests.integration.programs import data_folder, real_data, real_program
from tests.integration.upstream import build_rpm

RPM = build_rpm("tool")
OFFSETS = rpm_rs.Package.from_bytes(RPM).metadata.package_segment_offsets()
SIGNATURE, HEADER, PAYLOAD = OFFSETS.signature_header, OFFSETS.header, OFFSETS.payload
ROWS = struct.unpack_from(">I", RPM, HEADER + 8)[0]
DATA = PAYLOAD - HEADER - 16 - 16 * ROWS
"""Bytes of the header's data."""
QUERY = r"%|epoch?{%{epoch}}:{0}|\t%{name}\t%{version}\t%{release}\t%|sourcepackage?{src}:{%{arch}}|\n"
MAX_ALLOCATED = 2 * 1024**2
REGION, INT32, STRING, BINARY = 63, 4, 6, 7


def read(data: bytes) -> Package:
    return read_package(io.BytesIO(data))


def rows(header: int = HEADER, data: bytes = RPM) -> list[tuple[int, int, int, int]]:
    """The index of a header: tag, type, offset, count."""
    count = struct.unpack_from(">I", data, header + 8)[0]
    return list(struct.iter_unpack(">iIiI", data[header + 16 : header + 16 + 16 * count]))


def number_of(tag: int) -> int:
    return next(number for number, row in enumerate(rows()) if row[0] == tag)


def changed(number: int, *, header: int = HEADER, **fields: int) -> bytes:
    """The RPM with another row in an index."""
    data, place = bytearray(RPM), header + 16 + 16 * number
    row = dict(zip(("tag", "kind", "offset", "count"), struct.unpack_from(">iIiI", data, place), strict=True)) | fields
    struct.pack_into(">iIiI", data, place, *row.values())
    return bytes(data)


def claims(entries: int, size: int, header: int = HEADER) -> bytes:
    """The RPM with another intro of a header."""
    data = bytearray(RPM)
    struct.pack_into(">II", data, header + 8, entries, size)
    return bytes(data)


def trailer(header: int = HEADER, **fields: int) -> bytes:
    """The RPM with another trailer of a header's region."""
    data, (_, _, offset, _) = bytearray(RPM), rows(header)[0]
    place = header + 16 + 16 * len(rows(header)) + offset
    row = dict(zip(("tag", "kind", "back", "count"), struct.unpack_from(">iIiI", data, place), strict=True)) | fields
    struct.pack_into(">iIiI", data, place, *row.values())
    return bytes(data)


def built(*entries: tuple[int, int, bytes, int], region: int | None = None) -> bytes:
    """A header of these entries: tag, type, data, count; with a region around all of them where one is named."""
    index, data = b"", b""
    for tag, kind, value, count in entries:
        data += b"\0" * (-len(data) % 4)
        index += struct.pack(">iIiI", tag, kind, len(data), count)
        data += value
    if region is not None:
        marked = 1 + len(entries)
        index = struct.pack(">iIiI", region, BINARY, len(data), 16) + index
        data += struct.pack(">iIiI", region, BINARY, -16 * marked, 16)
    return HEADER_MAGIC + struct.pack(">II", len(index) // 16, len(data)) + index + data


def assembled(*entries: tuple[int, int, bytes, int], region: int | None = None) -> bytes:
    """An RPM with a signature header of nothing much, and a header of these entries."""
    signature = built((1000, INT32, b"\0\0\0\1", 1))
    return RPM[:LEAD_BYTES] + signature + b"\0" * (-len(signature) % 8) + built(*entries, region=region) + b"payload"


def named(**changes: tuple[int, int, bytes, int] | None) -> list[tuple[int, int, bytes, int]]:
    """Entries of a header that says what it is."""
    entries: dict[str, tuple[int, int, bytes, int] | None] = {
        "name": (1000, STRING, b"tool\0", 1),
        "version": (1001, STRING, b"1.0\0", 1),
        "release": (1002, STRING, b"1\0", 1),
        "arch": (1022, STRING, b"noarch\0", 1),
        "source": (1044, STRING, b"tool-1.0-1.src.rpm\0", 1),
    }
    return [entry for entry in (entries | changes).values() if entry is not None]


# What it says


def test_a_package():
    package = read(RPM)
    assert package.nevra == Nevra("tool", "0", "1.0", "1", "noarch")
    assert (package.header_at, package.payload_at) == (HEADER, PAYLOAD)


def test_the_payload_is_not_read():
    file = io.BytesIO(RPM)
    read_package(file)
    assert file.tell() == PAYLOAD


@pytest.mark.parametrize("region", [None, REGION])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Nevra("tool", "0", "1.0", "1", "noarch")),
        ({"epoch": (EPOCH, INT32, b"\0\0\1\2", 1)}, Nevra("tool", "258", "1.0", "1", "noarch")),
        ({"epoch": (EPOCH, INT32, b"\xff\xff\xff\xff", 1)}, Nevra("tool", "4294967295", "1.0", "1", "noarch")),
        ({"source": None}, Nevra("tool", "0", "1.0", "1", "src")),
        ({"flag": (1106, INT32, b"\0\0\0\1", 1)}, Nevra("tool", "0", "1.0", "1", "src")),
        ({"name": (1000, 9, b"tool\0outil\0", 2)}, Nevra("tool", "0", "1.0", "1", "noarch")),
        ({"name": (1000, STRING, b"\xff\xfe\0", 1)}, Nevra("��", "0", "1.0", "1", "noarch")),
        ({"name": None}, Nevra("", "0", "1.0", "1", "noarch")),
        ({"name": (1000, INT32, b"tool", 1)}, Nevra("", "0", "1.0", "1", "noarch")),
        ({"epoch": (EPOCH, STRING, b"1\0", 1)}, Nevra("tool", "0", "1.0", "1", "noarch")),
    ],
)
def test_what_it_is_called(changes, expected, region):
    """Of the last three rpm would say `(none)` or refuse; it is enough that no such package is taken for another."""
    assert read(assembled(*named(**changes), region=region)).nevra == expected


def test_values_by_type():
    header = read(
        assembled((1, BINARY, b"\0\1\2", 3), (2, INT32, b"\0\0\0\7\0\0\0\x08", 2), (3, 8, b"a\0b\0", 2), *named())
    ).header
    assert (header.binary(1), header.number(2), header.string(3)) == (b"\0\1\2", 7, "a")
    assert (header.binary(2), header.number(3), header.string(1)) == (None, None, None)
    assert (header.binary(9), header.number(9), header.string(9)) == (None, None, None)


def test_a_region_is_what_is_signed():
    """An entry that was put behind the region, as `rpm --import` does, is no part of it."""
    whole = read(assembled(*named(), region=REGION)).header
    assert whole.whole
    body = built(*named(), region=REGION)
    assert whole.region == body
    index, data = 16 * 6, len(body) - 16 - 16 * 6
    gap = bytes(-data % 4)
    end = data + len(gap)
    more = struct.pack(">iIiI", 1116, INT32, end, 1)
    dribble = HEADER_MAGIC + struct.pack(">II", 7, end + 4) + body[16 : 16 + index] + more + body[16 + index :]
    partial = read(RPM[:HEADER] + dribble + gap + b"\0\0\0\5").header
    assert not partial.whole
    assert partial.region == body
    assert partial.number(1116) == 5


def test_a_header_without_a_region_is_signed_as_a_whole():
    """As rpm 3 did."""
    header = read(assembled(*named())).header
    assert header.whole
    assert header.region == built(*named())


# As others read them


@pytest.fixture(scope="module")
def packages() -> dict[str, Package]:
    """The front of every real package at hand."""
    real_data("repos")
    fronts = {}
    for path in sorted(data_folder().rglob("*.rpm")):
        if path.is_file():
            with path.open("rb") as file:
                fronts[str(path)] = read_package(file)
    return fronts


def test_rpm_calls_them_the_same(packages):
    said = subprocess.run(
        [real_program("rpm"), "-qp", "--nosignature", "--nodigest", "--qf", QUERY, *packages],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    ours = [(package.nevra.epoch, package.nevra.name, *nevra_rest(package)) for package in packages.values()]
    assert [tuple(line.split("\t")) for line in said] == ours


def nevra_rest(package: Package) -> tuple[str, str, str]:
    return package.nevra.version, package.nevra.release, package.nevra.arch


def test_rpm_rs_calls_them_the_same(packages):
    for path, package in packages.items():
        theirs = rpm_rs.PackageMetadata.open(path)
        nevra = theirs.nevra()
        arch = "src" if theirs.is_source_package() else nevra.arch
        expected = Nevra(nevra.name, nevra.epoch or "0", nevra.version, nevra.release, arch)
        assert package.nevra == expected, path


def test_rpm_rs_finds_the_same_places(packages):
    for path, package in packages.items():
        theirs = rpm_rs.PackageMetadata.open(path).package_segment_offsets()
        assert (package.header_at, package.payload_at) == (theirs.header, theirs.payload), path


def test_among_them_are_epochs_and_source_packages(packages):
    """Else the agreement would say little."""
    assert {package.nevra.epoch for package in packages.values()} >= {"0", "1"}
    assert {package.nevra.arch for package in packages.values()} >= {"src", "noarch", "x86_64"}


def test_their_digests_are_those_of_the_region(packages):
    checked = 0
    for path, package in packages.items():
        for tag, algorithm in ((SHA1_HEADER, hashlib.sha1), (SHA256_HEADER, hashlib.sha256)):
            if promised := package.signature.string(tag):
                assert algorithm(package.header.region, usedforsecurity=False).hexdigest() == promised, path
                checked += 1
    assert checked >= len(packages)


# Cut short


def test_cut_anywhere():
    for length in range(PAYLOAD):
        with pytest.raises(RepodataError):
            read(RPM[:length])
    assert read(RPM[:PAYLOAD]).nevra.name == "tool"


def test_a_large_one_cut_anywhere(packages):
    """Each of the first 4,096 bytes and a sample of the rest."""
    path, package = max(packages.items(), key=lambda item: item[1].payload_at)
    assert package.payload_at > 100_000
    with open(path, "rb") as file:
        data = file.read(package.payload_at)
    sample = random.Random(4).sample(range(4096, package.payload_at), 500)
    for length in [*range(4096), *sample, package.payload_at - 1]:
        with pytest.raises(RepodataError):
            read(data[:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"<html>" * 100,
        LEAD_MAGIC,
        b"\x1f\x8b" + bytes(10_000),
        bytes(10_000),
        LEAD_MAGIC + bytes(10_000),
        b"drpm" * 1000,
        RPM[1:],
        b"\0" + RPM,
        RPM[HEADER:],
    ],
    ids=["empty", "byte", "html", "magic", "gzip", "zeros", "lead", "drpm", "shifted", "late", "header"],
)
def test_no_rpm(data):
    with pytest.raises(RepodataError):
        read(data)


# Lies

REFUSED_BY_RPM = {
    "no entries": claims(0, DATA),
    "no data": claims(ROWS, 0),
    "65,536 entries": claims(MAX_ENTRIES + 1, DATA),
    "2³² entries": claims(0xFFFFFFFF, DATA),
    "256 MiB and a byte": claims(ROWS, MAX_DATA + 1),
    "2³² bytes": claims(ROWS, 0xFFFFFFFF),
    "2³¹ of each": claims(0x80000000, 0x80000000),
    "an entry more": claims(ROWS + 1, DATA),
    "an entry less": claims(ROWS - 1, DATA),
    "a byte less": claims(ROWS, DATA - 1),
    "signatures: no entries": claims(0, 100, SIGNATURE),
    "signatures: 65,535 entries": claims(0xFFFF, 100, SIGNATURE),
    "signatures: 256 MiB": claims(1, MAX_DATA, SIGNATURE),
    "signatures: 2³² bytes": claims(3, 0xFFFFFFFF, SIGNATURE),
    "offset -1": changed(5, offset=-1),
    "offset -2³¹": changed(5, offset=-(2**31)),
    "offset at the end": changed(5, offset=DATA),
    "offset 2³¹-1": changed(5, offset=2**31 - 1),
    "count 2³²-1": changed(5, count=0xFFFFFFFF),
    "count 2³¹": changed(5, count=0x80000000),
    "count 2²⁸ of four bytes": changed(number_of(1009), count=2**28),
    "count one too many": changed(number_of(1009), count=DATA // 4 + 1),
    "type 10": changed(5, kind=10),
    "type 2³²-1": changed(5, kind=0xFFFFFFFF),
    "region: type": changed(0, kind=STRING),
    "region: count": changed(0, count=15),
    "region: count 2³²-1": changed(0, count=0xFFFFFFFF),
    "region: offset -16": changed(0, offset=-16),
    "region: offset -2³¹": changed(0, offset=-(2**31)),
    "region: offset beyond": changed(0, offset=DATA),
    "region: trailer cut": changed(0, offset=DATA - 15),
    "region: trailer elsewhere": changed(0, offset=0),
    "region: forwards": trailer(back=16 * ROWS),
    "region: nothing": trailer(back=0),
    "region: more than the index": trailer(back=-16 * (ROWS + 1)),
    "region: half an entry": trailer(back=-16 * ROWS + 8),
    "region: -2³¹": trailer(back=-(2**31)),
    "signatures' region: type": changed(0, kind=STRING, header=SIGNATURE),
    "signatures' region: offset": changed(0, offset=-16, header=SIGNATURE),
    "signatures' region: forwards": trailer(SIGNATURE, back=48),
    "other magic": RPM[:HEADER] + b"\x8e\xad\xe9\x01" + RPM[HEADER + 4 :],
    "signatures: other magic": RPM[:SIGNATURE] + bytes(4) + RPM[SIGNATURE + 4 :],
    "region's trailer: another tag": trailer(tag=61),
    "region's trailer: another type": trailer(kind=STRING),
    "region's trailer: another count": trailer(count=17),
    "tag of a region among the others": changed(5, tag=62),
    "entries that overlap": changed(number_of(1001), offset=0),
    "a number at an odd place": changed(number_of(1009), offset=1 + rows()[number_of(1009)][2]),
    "nothing of something": changed(number_of(1009), count=0),
    "a string without an end": changed(number_of(NAME), kind=8, count=DATA),
}


@pytest.mark.parametrize("name", REFUSED_BY_RPM)
def test_lies_are_refused(name):
    with pytest.raises(RepodataError):
        read(REFUSED_BY_RPM[name])


@pytest.mark.parametrize("name", REFUSED_BY_RPM)
def test_rpm_refuses_these_lies_too(name, tmp_path):
    file = tmp_path / "x.rpm"
    file.write_bytes(REFUSED_BY_RPM[name])
    done = subprocess.run(
        [real_program("rpm"), "-qp", "--nosignature", "--nodigest", str(file)], capture_output=True, check=False
    )
    assert done.returncode != 0


@pytest.mark.parametrize("tag", sorted(SIGNATURE_TAGS))
def test_signatures_have_no_place_in_the_main_header(tag):
    """CVE-2021-3421: rpm took what an unsigned part of the header says for proved."""
    with pytest.raises(RepodataError, match=f"{tag}"):
        read(assembled(*named(), (tag, BINARY, b"\0" * 16, 16), region=REGION))


def test_signatures_behind_the_region_have_none_either():
    body = built(*named(), region=REGION)
    index, data = 16 * 6, len(body) - 16 - 16 * 6
    more = struct.pack(">iIiI", SHA256_HEADER, STRING, data, 1)
    intro = HEADER_MAGIC + struct.pack(">II", 7, data + 65)
    with pytest.raises(RepodataError, match=str(SHA256_HEADER)):
        read(
            RPM[:HEADER]
            + intro
            + body[16 : 16 + index]
            + more
            + body[16 + index :]
            + hashlib.sha256().digest() * 2
            + b"\0"
        )


@pytest.mark.parametrize("region", [None, REGION])
def test_no_tag_is_there_twice(region):
    with pytest.raises(RepodataError, match="twice"):
        read(assembled(*named(), (NAME, STRING, b"other\0", 1), region=region))


# What a lie may cost


@pytest.mark.parametrize(
    "data",
    [
        claims(MAX_ENTRIES, MAX_DATA),
        claims(MAX_ENTRIES, DATA),
        claims(ROWS, MAX_DATA),
        claims(ROWS, 200 * 1024**2),
        claims(256, 64 * 1024**2, SIGNATURE),
        claims(3, 64 * 1024**2, SIGNATURE),
        claims(0xFFFFFFFF, 0xFFFFFFFF),
        changed(5, count=0xFFFFFFFF),
        changed(5, offset=2**31 - 1),
    ],
    ids=["all", "entries", "data", "200 MiB", "signatures", "signature", "2³²", "count", "offset"],
)
def test_a_claim_costs_no_memory(data, tmp_path):
    """From a file, as Python allocates a whole read before it makes it."""
    path = tmp_path / "x.rpm"
    path.write_bytes(data)
    with path.open("rb") as file:
        tracemalloc.start()
        try:
            with pytest.raises(RepodataError):
                read_package(file)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < MAX_ALLOCATED


def test_many_strings_cost_what_they_hold():
    """A count of strings is bounded by the data, whatever it says."""
    data = assembled(*named(name=(NAME, 8, b"x\0" * 1000, 1000)), region=REGION)
    tracemalloc.start()
    try:
        assert read(data).nevra.name == "x"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MAX_ALLOCATED
