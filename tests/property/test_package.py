"""Whatever the front of an RPM holds, it is read or refused, and costs no more memory than it has bytes."""

import io
import struct
import tracemalloc

import rpm_rs  # type: ignore[import-untyped, unused-ignore]
from hypothesis import example, given
from hypothesis import strategies as st

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.package import PAYLOAD_DIGEST, SHA256_HEADER, Package, read_package
from tests.integration.upstream import build_rpm

from .strategies import bytes_like, one_line


def modern() -> bytes:
    """A package with an epoch, dependencies and several files."""
    builder = rpm_rs.PackageBuilder("modern", "2.0", "MIT", "x86_64", "one of version 6")
    builder.using_config(rpm_rs.BuildConfig(source_date=1_700_000_000))
    builder.epoch(3)
    for number in range(5):
        builder.requires(f"library{number}")
        builder.with_file_contents(b"x", rpm_rs.FileOptions.new(f"/usr/share/modern/{number}"))
    return bytes(builder.build().to_bytes())


def front(data: bytes) -> bytes:
    """Everything before the payload."""
    return data[: rpm_rs.Package.from_bytes(data).metadata.package_segment_offsets().payload]


FRONTS = [front(build_rpm("old")), front(modern())]
HEADERS = [(96, read_package(io.BytesIO(data)).header_at) for data in FRONTS]
EDGES = [0, 1, -1, 7, 8, 15, 16, 17, 63, 62, 255, 256, 0xFFFF, 0x10000, 2**28, 2**28 + 1, 2**31 - 1, -(2**31), -16]
MEMORY = 8 * 1024**2
HUGE = FRONTS[0][: HEADERS[0][1] + 12] + struct.pack(">I", 2**28) + FRONTS[0][HEADERS[0][1] + 16 :]
"""Claims 256 MiB, the most that may be."""


@st.composite
def lying(draw: st.DrawFn) -> bytes:
    """A front in which some numbers of an intro, of an index or of a trailer are others."""
    which = draw(st.integers(0, len(FRONTS) - 1))
    data = bytearray(FRONTS[which])
    for _ in range(draw(st.integers(1, 3))):
        header = draw(st.sampled_from(HEADERS[which]))
        index = header + 16
        data_at = index + 16 * struct.unpack_from(">I", FRONTS[which], header + 8)[0]
        start, end = draw(
            st.sampled_from([(header + 8, index), (index, index + 16), (index, data_at), (data_at, len(data))])
        )
        number = draw(st.sampled_from(EDGES) | st.integers(-(2**31), 2**31 - 1) | st.integers(0, 5000))
        struct.pack_into(">i", data, draw(st.integers(0, (end - start) // 4 - 1)) * 4 + start, number)
    return bytes(data)


def test_the_fronts_themselves_are_good():
    """Damage to what is refused anyway would prove nothing."""
    assert [read_package(io.BytesIO(data)).nevra.name for data in FRONTS] == ["old", "modern"]


@given(bytes_like(*FRONTS) | lying())
@example(b"")
@example(FRONTS[0] * 2)
def test_a_front(data):
    try:
        package = read_package(io.BytesIO(data))
        ask(package)
    except RepodataError as error:
        one_line(error.message)
        return
    assert package.header_at < package.payload_at <= len(data)
    assert package.nevra.epoch.isdecimal()


def ask(package: Package) -> None:
    """Everything that is asked of a front."""
    assert all(isinstance(part, str) for part in (package.nevra.name, package.nevra.version, package.nevra.arch))
    for header in (package.signature, package.header):
        for tag in header.entries:
            header.string(tag)
            assert (header.number(tag) or 0) >= 0
            assert len(header.binary(tag) or b"") <= len(header.data)
    package.header.string(PAYLOAD_DIGEST)
    package.signature.string(SHA256_HEADER)


@given(data=lying())
@example(data=HUGE)
def test_memory(tmp_path_factory, data):
    """From a file, as it is really read."""
    path = tmp_path_factory.getbasetemp() / "front.rpm"
    path.write_bytes(data)
    with path.open("rb") as file:
        tracemalloc.start()
        try:
            ask(read_package(file))
        except RepodataError:
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peak < MEMORY
