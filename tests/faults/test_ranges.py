"""Faults 18 to 22: what servers make of a range when a download is resumed."""

import os
from pathlib import Path

import pytest

from tests.integration.upstream import companions, primary_xml

from .catalogue import fault
from .wire import FILES, TARGETS, apart, asked, href_of, size_of
from .world import World

__all__ = ["apart"]
AT = 200
"""Bytes that come before the first body breaks."""
BROKEN = ("short", {"at": AT})


def statuses(world: World, href: str) -> list[int]:
    """What the requests for a file were answered with."""
    return [request.status for request in asked(world.server, href)]


def ranges(world: World, href: str) -> list[str | None]:
    """What the requests for a file asked for."""
    return [request.headers.get("range") for request in asked(world.server, href)]


@pytest.mark.parametrize("target", FILES)
@fault(18, "a range is answered by 200 and the whole file", "0; begun anew, not appended")
def test_fault_018_range_ignored(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.sequence(f"base/{href}", BROKEN, "ignore-range")
    world.accepted()
    assert ranges(world, href) == [None, f"bytes={AT}-"]
    assert statuses(world, href) == [200, 200]


@pytest.mark.parametrize("kind", ["shifted", "absent", "malformed"])
@pytest.mark.parametrize("target", FILES)
@fault(19, "206 with a Content-Range that is another, malformed or absent", "0; the whole file is asked for")
def test_fault_019_wrong_content_range(world: World, target: str, kind: str) -> None:
    href = href_of(world, target)
    world.server.sequence(f"base/{href}", BROKEN, ("wrong-range", {"kind": kind}))
    world.accepted()
    assert ranges(world, href) == [None, f"bytes={AT}-", None]
    assert statuses(world, href) == [200, 206, 200]


@pytest.mark.parametrize("target", TARGETS)
@fault(20, "206 with a part of the file, to a request for all of it", "3; not tried again")
def test_fault_020_unasked_part(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "unasked-206")
    world.refused(3, f"base/{href}", "HTTP 206")
    assert len(asked(world.server, href)) == 1


@pytest.mark.parametrize("target", TARGETS)
@fault(20, "206 with several parts (multipart/byteranges)", "3; not tried again")
def test_fault_020_multipart(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "multipart-206")
    world.refused(3, f"base/{href}", "HTTP 206")
    assert len(asked(world.server, href)) == 1


@pytest.mark.parametrize("target", FILES)
@fault(20, "a range is answered by several parts (multipart/byteranges)", "3; no part is taken")
def test_fault_020_multipart_to_a_range(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.sequence(f"base/{href}", BROKEN, *["multipart-206"] * 9)
    world.refused(3, f"base/{href}", "HTTP 206", "multipart")


@pytest.mark.parametrize("target", FILES)
@fault(21, "a range is answered by 416, and the file is longer than what is here", "0; begun anew")
def test_fault_021_range_refused(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.sequence(f"base/{href}", BROKEN, "refuse-range")
    world.accepted()
    assert ranges(world, href) == [None, f"bytes={AT}-", None]
    assert statuses(world, href) == [200, 416, 200]


@fault(21, "416 behind the end of a file whose size is not known", "0; what is here is verified and taken")
def test_fault_021_whole_file_here(world: World) -> None:
    href = without_sizes(world)
    size = size_of(world, href)
    world.server.fault(f"base/{href}", "truncated-chunk", at=size, times=1)
    world.accepted()
    assert ranges(world, href) == [None, f"bytes={size}-"]
    assert statuses(world, href) == [200, 416]


@fault(21, "416 behind the end of a file whose size is not known, which has wrong bytes", "0; begun anew")
def test_fault_021_wrong_file_here(world: World) -> None:
    href = without_sizes(world)
    file = world.base.folder / href
    right = file.read_bytes()
    file.write_bytes(right[::-1])
    world.server.when(f"base/{href}", lambda: file.write_bytes(right))
    world.server.sequence(f"base/{href}", ("truncated-chunk", {"at": len(right)}), "refuse-range")
    world.accepted()
    assert statuses(world, href) == [200, 416, 200]


@pytest.mark.parametrize("target", FILES)
@fault(22, "a file changes between its first part and the rest", "0; If-Range asks for the whole new file")
def test_fault_022_changed_meanwhile(world: World, target: str) -> None:
    href = href_of(world, target)
    file = world.base.folder / href
    right = file.read_bytes()
    world.base.spoil(href, right[::-1])
    world.server.when(f"base/{href}", lambda: restore(file, right))
    world.server.fault(f"base/{href}", "short", at=AT, times=1)
    world.accepted()
    _, second = asked(world.server, href)
    assert (second.status, second.headers["range"]) == (200, f"bytes={AT}-")
    assert second.headers["if-range"]
    assert second.sent == len(right)


@pytest.mark.parametrize("target", FILES)
@fault(22, "a file changes between its first part and the rest, and the server tells no versions", "0; one restart")
def test_fault_022_changed_without_validators(world: World, target: str) -> None:
    href = href_of(world, target)
    file = world.base.folder / href
    right = file.read_bytes()
    before = file.stat()
    file.write_bytes(right[::-1])
    # The same time and size: the server takes it for the same version, and sends the rest.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    world.server.when(f"base/{href}", lambda: restore(file, right, before.st_mtime_ns))
    world.server.fault(f"base/{href}", "short", at=AT, times=1)
    world.accepted()
    assert statuses(world, href) == [200, 206, 200]
    assert ranges(world, href)[2] is None


@fault(22, "a file became another one for good, during a resume", "4; after one restart")
def test_fault_022_changed_for_good(world: World) -> None:
    href = world.base.new()
    world.server.sequence(f"base/{href}", BROKEN, *["changed"] * 9)
    world.refused(4, f"base/{href}", "checksum")
    assert statuses(world, href) == [200, 200, 200]


def without_sizes(world: World) -> str:
    """Publish metadata that promises no package's size; returns the href of a package to bring."""
    packages = world.base.packages
    primary = primary_xml(packages)
    for body in packages.values():
        primary = primary.replace(f'package="{len(body)}"'.encode(), b"")
    world.base.compose_records({"primary": primary, **companions(packages)})
    return f"Packages/only{world.base.publications - 1}.rpm"


def restore(file: Path, body: bytes, modified: int | None = None) -> None:
    """Give a file its right bytes, and a time if one is given."""
    file.write_bytes(body)
    if modified is not None:
        os.utime(file, ns=(modified, modified))
