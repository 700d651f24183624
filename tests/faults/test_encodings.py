"""Faults 23 to 25: bodies that are encoded, compressed once more, or pages instead of files."""

import pytest

from tests.integration.listing import REPOMD

from .catalogue import fault
from .wire import FILES, apart, asked, href_of
from .world import World

__all__ = ["apart"]
PAGE = "<!DOCTYPE html>\n<html><body>{}</body></html>\n"


@pytest.mark.parametrize("kind", ["gzip", "x-gzip"])
@fault(23, "Content-Encoding gzip or x-gzip on files that are .gz by themselves", "0; mirrored byte for byte")
def test_fault_023_stray_content_encoding(world: World, kind: str) -> None:
    world.server.fault("base/*", "encoding", kind=kind)
    world.accepted()
    assert {request.headers["accept-encoding"] for request in world.server.requests} == {"identity"}


@pytest.mark.parametrize("target", FILES)
@fault(24, "a package or record is compressed once more, with Content-Encoding gzip", "4; not tried again")
def test_fault_024_compressed_twice(world: World, target: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "gzip-twice")
    world.refused(4, f"base/{href}", "promised")
    assert len(asked(world.server, href)) == 1


@fault(24, "repomd.xml is compressed, though nobody asked for that", "4")
def test_fault_024_compressed_repomd(world: World) -> None:
    world.server.fault(f"base/{REPOMD}", "gzip-twice")
    world.refused(4, f"base/{REPOMD}", "XML")


@pytest.mark.parametrize(
    ("target", "words"), [("repomd.xml", "DOCTYPE"), ("record", "promised"), ("package", "promised")]
)
@fault(25, "200 with a page of HTML instead of a file", "4; not tried again")
def test_fault_025_page(world: World, target: str, words: str) -> None:
    href = href_of(world, target)
    world.server.fault(f"base/{href}", "page")
    world.refused(4, f"base/{href}", words)
    assert len(asked(world.server, href)) == 1


@pytest.mark.parametrize("target", FILES)
@fault(25, "a page of HTML of exactly the promised size", "4; told by the checksum")
def test_fault_025_page_of_the_right_size(world: World, target: str) -> None:
    href = href_of(world, target)
    size = (world.base.folder / href).stat().st_size
    world.server.fault(f"base/{href}", "page", body=PAGE.format("x" * (size - len(PAGE.format("")))))
    world.refused(4, f"base/{href}", "checksum")


@fault(25, "a page of HTML instead of a missing repomd.xml.asc", "0; it is no signature")
def test_fault_025_page_for_a_signature(world: World) -> None:
    world.server.fault(f"base/{REPOMD}.*", "page")
    world.accepted()
