"""primary.xml: every package as the file it promises, however odd; streamed."""

import io

import pytest

from mirrorpy.errors import UnsafeHref, UpstreamError
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.rpmmd.primary import PrimaryCount, iter_primary

from .documents import A64, B64, COMMON, package, primary


def parse(data: bytes, count: PrimaryCount | None = None) -> list[RemoteFile]:
    return list(iter_primary(io.BytesIO(data), count))


def test_a_package():
    assert parse(primary(package())) == [
        RemoteFile("Packages/a-1-1.noarch.rpm", Checksum("sha256", A64), 4711, Kind.PACKAGE, None)
    ]


def test_none_is_no_error():
    assert parse(primary()) == []


@pytest.mark.parametrize(
    "href",
    [
        "a.rpm",
        "drpms/a.rpm",
        "libstdc++-4~rc1^git-1.rpm",
        "a%2Bb.rpm",
        "with space.rpm",
        "a?b#c.rpm",
        "pkg:1.rpm",
        "grün/üñï.rpm",
        "%2e%2e/x.rpm",
        "back\\..\\slash.rpm",
        "a&b<c>.rpm",
    ],
)
def test_hrefs_are_literal_text(href):
    assert parse(primary(package(href)))[0].href == href


def test_size_may_be_missing_and_is_then_unknown():
    assert [file.size for file in parse(primary(package(size=None), package(size="")))] == [None, None]


def test_checksum_types_may_differ_from_package_to_package():
    data = primary(package("a", ("sha", "a" * 40)), package("b", ("md5", "b" * 32)), package("c"))
    assert [file.checksum.algorithm for file in parse(data)] == ["sha1", "md5", "sha256"]


def test_one_pkgid_at_several_hrefs_and_one_nevra_with_two_checksums_are_all_kept():
    data = primary(package("x/a.rpm"), package("y/a.rpm"), package("z/a.rpm", ("sha256", B64)))
    assert [(file.href, file.checksum.value) for file in parse(data)] == [
        ("x/a.rpm", A64),
        ("y/a.rpm", A64),
        ("z/a.rpm", B64),
    ]


def test_xml_base_is_told():
    assert parse(primary(package(base="../pool/")))[0].location_base == "../pool/"


def test_unknown_elements_and_comments_are_passed_over():
    data = primary("<foo><package/></foo>", package(inside="<bar>x</bar><!-- y -->"), "<!-- z -->")
    assert len(parse(data.replace(b"<package/>", b""))) == 1


@pytest.mark.parametrize(
    ("promised", "packages", "warned"),
    [("2", 2, False), ("3", 2, True), ("many", 1, True), ("0", 0, False), ("-1", 0, True)],
)
def test_the_promised_count(promised, packages, warned):
    count = PrimaryCount()
    data = primary(*[package(f"{number}.rpm") for number in range(packages)], count=promised)
    assert len(parse(data, count)) == packages
    assert bool(count.warning) is warned
    if warned:
        assert promised in count.warning
        assert str(packages) in count.warning


def test_a_missing_count_is_no_warning():
    count = PrimaryCount()
    parse(primary(package()).replace(b' packages="1"', b""), count)
    assert count.warning is None


REFUSED = [
    (b"", "primary"),
    (b"<metadata/>", "namespace"),
    (primary(namespace="http://example.org/"), "namespace"),
    (b"<x>" + primary(package()).partition(b"?>\n")[2] + b"</x>", "root element"),
    (f'<package xmlns="{COMMON}"/>'.encode(), "root element"),
    (primary(package(href=None)), "location"),
    (primary(package(checksum=None)), "has no checksum"),
    (primary(package(checksum=("sha256", "ab"))), "instead of 32"),
    (primary(package(checksum=("whirlpool", A64))), "whirlpool"),
    (primary(package(size="-1")), "size"),
    (primary(package(size=str(2**63))), "size"),
    (primary(package(size="9" * 5000)), "size"),
    (primary(package(size="ten")), "size"),
    (primary(package(), package(name="evil", checksum=None)), "package evil"),
    (primary(package())[:-3], "line 2"),
    (primary(package()) + b"<x/>", "line 2"),
]


@pytest.mark.parametrize(("data", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_refused(data, said):
    with pytest.raises(UpstreamError) as raised:
        parse(data)
    assert said in raised.value.message or said in raised.value.message.replace("another root", "root")
    assert "\n" not in raised.value.message


@pytest.mark.parametrize("href", ["../a.rpm", "/a.rpm", "//host/a.rpm", "http://host/a.rpm", "repodata/a.rpm", "a/.."])
def test_unsafe_hrefs_name_the_package(href):
    with pytest.raises(UnsafeHref, match="package evil"):
        parse(primary(package(), package(href, name="evil")))


def test_packages_before_a_fault_come_out_in_order():
    stream = iter_primary(io.BytesIO(primary(package("a"), package("b"), package(href=None))))
    assert [next(stream).href, next(stream).href] == ["a", "b"]
    with pytest.raises(UnsafeHref):
        next(stream)
