"""Faults 35, 36, 38 to 41, 49 and 50: metadata that is not what it should be, or promises what cannot be."""

import gzip

import pytest

from tests.integration.listing import REPOMD
from tests.unit.documents import A64, B64, package

from .catalogue import fault
from .metadata import Change, amend_primary, amend_repomd, instead, publish, replaced, rewritten
from .world import World

KEPT = "Packages/kept.rpm"
PRIMARY_CHECKSUM = '<data type="primary"><checksum type="sha256">'


@pytest.mark.parametrize("body", ["", " ", "{}"], ids=["empty", "blank", "no XML"])
@fault(35, "an empty repomd.xml, or one that is no XML", "4")
def test_fault_035_empty_repomd(world: World, body: str) -> None:
    amend_repomd(world.base, instead(body))
    world.refused(4, f"{world.server.url}base/{REPOMD}", "not well-formed XML at line 1")


@pytest.mark.parametrize(
    ("body", "root"),
    [
        ("<html><body>Sign in to the hotel's network</body></html>", "html"),
        ('<metadata xmlns="http://linux.duke.edu/metadata/common" packages="0"/>', "metadata"),
        ('<repomds xmlns="http://linux.duke.edu/metadata/repo"/>', "repomds"),
    ],
)
@fault(35, "a repomd.xml with another root element", "4; the element is named")
def test_fault_035_wrong_root_of_repomd(world: World, body: str, root: str) -> None:
    amend_repomd(world.base, instead(body))
    world.refused(4, f"{world.server.url}base/{REPOMD}", f"root element '{root}'")


@pytest.mark.parametrize("body", [b"", b" "], ids=["empty", "blank"])
@fault(35, "an empty primary, as repomd.xml lists it", "4")
def test_fault_035_empty_primary(world: World, body: bytes) -> None:
    publish(world.base, primary=body)
    world.refused(4, world.base.record("primary"), "not well-formed XML")


@fault(35, "a filelists that repomd.xml lists as primary", "4; the element is named")
def test_fault_035_wrong_root_of_primary(world: World) -> None:
    publish(world.base, primary=b'<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="0"/>')
    world.refused(4, world.base.record("primary"), "root element 'filelists'")


@fault(36, "a repomd.xml that lists no primary", "4")
def test_fault_036_no_primary(world: World) -> None:
    amend_repomd(world.base, replaced('type="primary"', 'type="secondary"'))
    world.refused(4, f"{world.server.url}base/{REPOMD}", "lists no primary")


@pytest.mark.parametrize("kind", ["primary", "filelists"])
@fault(38, "a record with other bytes than repomd.xml says", "4; both checksums are named")
def test_fault_038_record_mismatch(world: World, kind: str) -> None:
    href = world.base.record(kind)
    world.server.fault(f"base/{href}", "wrong", at=20)
    promised = href.removeprefix("repodata/").partition("-")[0]
    world.refused(
        4, f"{world.server.url}base/{href}", "has the checksum sha256:", f"instead of the promised sha256:{promised}"
    )


@fault(38, "a package with other bytes than primary says", "4; both checksums are named")
def test_fault_038_package_mismatch(world: World) -> None:
    href = world.base.new()
    world.server.fault(f"base/{href}", "wrong", at=-1)
    world.refused(4, f"{world.server.url}base/{href}", "has the checksum sha256:", "instead of the promised sha256:")


@pytest.mark.parametrize("kind", ["primary", "filelists"])
@pytest.mark.parametrize(
    ("by", "says"),
    [(1, "instead of"), (-1, "unpacks to more than"), (10**9, "instead of")],
    ids=["1 more", "1 less", "1 GB"],
)
@fault(39, "a record that unpacks to another size than repomd.xml says", "4; both sizes are named")
def test_fault_039_open_size(world: World, kind: str, by: int, says: str) -> None:
    size = len(gzip.decompress((world.base.folder / world.base.record(kind)).read_bytes()))
    amend_repomd(world.base, replaced(f"<open-size>{size}<", f"<open-size>{size + by}<"))
    world.refused(4, world.base.record(kind), says, str(size + by))


@pytest.mark.parametrize("kind", ["primary", "filelists"])
@fault(39, "a record that unpacks to other bytes than its open-checksum says", "4")
def test_fault_039_open_checksum(world: World, kind: str) -> None:
    before = f'<data type="{kind}">.*?<open-checksum type="sha256">'
    amend_repomd(world.base, rewritten(f"({before})[0-9a-f]*", rf"\g<1>{A64}", count=1))
    world.refused(4, world.base.record(kind), "unpacks to other bytes than its open-checksum", A64)


@pytest.mark.parametrize("element", ["checksum", "open-checksum"])
@fault(40, "a checksum type in repomd.xml that nobody knows", "4; the type is named")
def test_fault_040_unknown_type_in_repomd(world: World, element: str) -> None:
    amend_repomd(world.base, replaced(f'<{element} type="sha256"', f'<{element} type="crc32"', 1))
    world.refused(4, f"{world.server.url}base/{REPOMD}", "record 'primary'", "unknown checksum type 'crc32'")


@fault(40, "a checksum type in primary that nobody knows", "4; the type and the package are named")
def test_fault_040_unknown_type_in_primary(world: World) -> None:
    amend_primary(world.base, replaced('type="sha256"', 'type="blake3"', 1))
    world.refused(4, world.base.record("primary"), "package kept", "unknown checksum type 'blake3'")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (rewritten(r"<checksum type=.sha256.>.*?</checksum>", "", count=1), "has no checksum"),
        (replaced(PRIMARY_CHECKSUM, f"{PRIMARY_CHECKSUM}xyz"), "not hexadecimal"),
        (replaced(PRIMARY_CHECKSUM, f"{PRIMARY_CHECKSUM}ab"), "33 bytes instead of 32"),
        (replaced(PRIMARY_CHECKSUM, PRIMARY_CHECKSUM.replace("sha256", "md5")), "32 bytes instead of 16"),
        (rewritten(f"{PRIMARY_CHECKSUM}.*?<", f"{PRIMARY_CHECKSUM}<", count=1), "0 bytes instead of 32"),
    ],
    ids=["missing", "not hex", "too long", "of another type", "empty"],
)
@fault(
    41, "a checksum in repomd.xml that is missing, not hexadecimal, or of the wrong length", "4; what is wrong is named"
)
def test_fault_041_bad_checksum_in_repomd(world: World, change: Change, says: str) -> None:
    amend_repomd(world.base, change)
    world.refused(4, f"{world.server.url}base/{REPOMD}", "record 'primary'", says)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (rewritten("<checksum .*?</checksum>", "", count=1), "has no checksum"),
        (replaced('pkgid="YES">', 'pkgid="YES">xyz', 1), "not hexadecimal"),
        (replaced('pkgid="YES">', 'pkgid="YES">ab', 1), "33 bytes instead of 32"),
        (replaced('type="sha256"', 'type="md5"', 1), "32 bytes instead of 16"),
        (rewritten('pkgid="YES">.*?<', 'pkgid="YES"><', count=1), "0 bytes instead of 32"),
    ],
    ids=["missing", "not hex", "too long", "of another type", "empty"],
)
@fault(41, "a checksum in primary that is missing, not hexadecimal, or of the wrong length", "4; the package is named")
def test_fault_041_bad_checksum_in_primary(world: World, change: Change, says: str) -> None:
    amend_primary(world.base, change)
    world.refused(4, "primary: package kept", says)


@fault(49, "one location with two checksums", "4; both are named, and neither is asked for")
def test_fault_049_one_href_two_checksums(world: World) -> None:
    twice = package(KEPT, ("sha256", B64), "4711", name="kept")
    amend_primary(world.base, replaced("</metadata>", f"{twice}</metadata>"))
    world.refused(4, KEPT, "is promised as sha256:", f"and as sha256:{B64}")
    assert not [path for path in world.server.taken() if path.startswith("base/Packages/")]


SIZES = ["-1", str(2**63), "many", "1.5", "0x10", "1 000", "٣"]


@pytest.mark.parametrize("size", SIZES)
@fault(50, "the size of a package: negative, 2⁶³, or text", "4; the package and what it says are named")
def test_fault_050_package_size(world: World, size: str) -> None:
    amend_primary(world.base, rewritten('size package="[0-9]+"', f'size package="{size}"', count=1))
    world.refused(4, world.base.record("primary"), "package kept", repr(size), "no size")


@pytest.mark.parametrize("element", ["size", "open-size"])
@pytest.mark.parametrize("size", SIZES[:3])
@fault(50, "the size of a record: negative, 2⁶³, or text", "4; the record and what it says are named")
def test_fault_050_record_size(world: World, element: str, size: str) -> None:
    amend_repomd(world.base, rewritten(f"<{element}>[0-9]+<", f"<{element}>{size}<", count=1))
    world.refused(4, f"{world.server.url}base/{REPOMD}", "record 'primary'", element, repr(size), "no size")
