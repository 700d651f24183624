"""Faults 73 to 82: names that leave the repository, or that a filesystem cannot hold."""

from pathlib import Path

import pytest

from tests.integration.listing import REPOMD, files_below
from tests.integration.upstream import companions, primary_xml, sha256

from .catalogue import fault
from .world import World

EVIL = b"evil"
DELTAS = (
    '<prestodelta><newpackage name="evil" epoch="0" version="1" release="1" arch="noarch">'
    '<delta oldepoch="0" oldversion="0" oldrelease="1"><filename>{href}</filename><sequence>evil-0-1-00</sequence>'
    '<size>{size}</size><checksum type="sha256">{checksum}</checksum></delta></newpackage></prestodelta>'
)


def promise(world: World, *hrefs: str) -> None:
    """Promise packages at these paths, and have them wherever a client that follows them could ask for them."""
    for folder in ("", "base", "base/Packages", "base-evil", "other", "other/Packages", "pool"):
        path = world.folder / "upstreams" / folder / "evil.rpm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(EVIL)
    world.base.compose({**world.base.packages, **dict.fromkeys(hrefs, EVIL)})


def promise_records(world: World, prefix: str) -> None:
    """Promise the metadata at paths that begin so."""
    packages = world.base.packages
    records = {"primary": primary_xml(packages), **companions(packages)}
    world.base.publish_records({kind: (body, body) for kind, body in records.items()}, prefix)


def refuses(world: World, *says: str) -> list[str]:
    """Sync, which has to refuse a path before anything like it is asked for or written; return what was asked for."""
    before = beside_root(world)
    world.refused(4, *says)
    asked = world.server.taken()
    assert [path for path in asked if "evil" in path or path.startswith("base/Packages")] == []
    assert beside_root(world) == before
    assert [path for path in files_below(world.root) if "evil" in path] == []
    return asked


def refuses_records(world: World, *says: str) -> None:
    """The same, and no record is asked for either."""
    asked = refuses(world, f"base/{REPOMD}", *says)
    names = {path.name for path in (world.base.folder / "repodata").glob("*.gz")}
    assert [path for path in asked if Path(path).name in names] == []


def beside_root(world: World) -> set[str]:
    return {name for name in files_below(world.folder) if Path(name).parts[0] != world.root.name}


@pytest.mark.parametrize("prefix", ["../", "repodata/../../other/repodata/"])
@fault(73, "`../` in the location of a record of repomd.xml", "4; no record is asked for")
def test_fault_073_dotdot_in_repomd(world: World, prefix: str) -> None:
    promise_records(world, prefix)
    refuses_records(world, "record 'primary'", prefix, "-primary.xml.gz", "href leaves the repository")


@pytest.mark.parametrize("href", ["../other/Packages/evil.rpm", "../../pool/evil.rpm", ".././evil.rpm"])
@fault(74, "`../` in a package's location (CVE-2018-10897; Kubernetes' `../../pool`)", "4; it is never asked for")
def test_fault_074_dotdot_in_primary(world: World, href: str) -> None:
    promise(world, href)
    refuses(world, href, "package evil", "href leaves the repository")


@fault(74, "`../` in a delta RPM's location", "4; it is never asked for")
def test_fault_074_dotdot_in_prestodelta(world: World) -> None:
    href = "../other/Packages/evil.rpm"
    promise(world)
    deltas = DELTAS.format(href=href, size=len(EVIL), checksum=sha256(EVIL))
    world.base.compose(world.base.packages, prestodelta=deltas.encode())
    refuses(world, href, "prestodelta", "href leaves the repository")


@pytest.mark.parametrize("place", ["/evil.rpm", "///evil.rpm", "{folder}/evil.rpm", "file://{folder}/evil.rpm"])
@fault(75, "an absolute path, or a `file:` URL, as a package's location", "4; it is neither asked for nor written")
def test_fault_075_absolute_path(world: World, place: str) -> None:
    href = place.format(folder=world.folder)
    promise(world, href)
    refuses(world, href, "package evil", "href is absolute")


@fault(75, "an absolute path as a record's location", "4; no record is asked for")
def test_fault_075_absolute_path_in_repomd(world: World) -> None:
    promise_records(world, "/other/repodata/")
    refuses_records(world, "record 'primary'", "/other/repodata/", "href is absolute")


@pytest.mark.parametrize("href", ["Packages/../../evil.rpm", "a/../../other/evil.rpm", "a/b/../../../evil.rpm"])
@fault(76, "`a/../../b`: a path that leaves the repository further on", "4; it is never asked for")
def test_fault_076_dotdot_further_on(world: World, href: str) -> None:
    promise(world, href)
    refuses(world, href, "package evil", "href leaves the repository")


@pytest.mark.parametrize("href", ["../base-evil/evil.rpm", "Packages/../../base-evil/evil.rpm"])
@fault(77, "a folder beside the repository, whose name begins with the repository's", "4; it is never asked for")
def test_fault_077_sibling_prefix(world: World, href: str) -> None:
    promise(world, href)
    refuses(world, href, "package evil", "href leaves the repository")


@fault(
    78,
    "`%2e%2e`, `%2f` and backslashes in a package's location",
    "0; they are part of the name, in requests and on disk, and lead to no parent",
)
def test_fault_078_encoded_dots_are_literal(world: World) -> None:
    hrefs = ["%2e%2e/%2e%2e/evil.rpm", "%2E%2E%2F%2Fevil.rpm", "..%2f/evil.rpm", "..\\../evil.rpm", "C:\\..\\evil.rpm"]
    promise(world)
    bodies = {world.base.put(href, href.encode()): href.encode() for href in hrefs}
    world.base.compose({**world.base.packages, **bodies})
    before = beside_root(world)
    world.accepted()
    asked = {path for path in world.server.taken() if "evil" in path}
    assert asked == {f"base/{href}" for href in hrefs}
    assert beside_root(world) == before
    assert {href: (world.root / "base" / href).read_bytes() for href in hrefs} == bodies


@pytest.mark.parametrize(
    ("href", "shown"),
    [
        ("Packages/evil\n.rpm", "Packages/evil\\n.rpm"),
        ("Packages/evil\r\t.rpm", "Packages/evil\\r\\t.rpm"),
        ("Packages/evil\x9b31m.rpm", "Packages/evil\\x9b31m.rpm"),
        ("Packages/evil\x7f\x85.rpm", "Packages/evil\\x7f\\x85.rpm"),
        ("Packages/evil\u2028.rpm", "Packages/evil\\u2028.rpm"),
    ],
)
@fault(79, "a newline or a terminal's control character in a package's location", "4; the message shows it escaped")
def test_fault_079_control_characters(world: World, href: str, shown: str) -> None:
    promise(world, href)
    refuses(world, shown, "href has a control character")
    assert shown in world.run("status").stdout


@pytest.mark.parametrize("href", ["Packages/evil\0.rpm", "Packages/evil\x1b[31m.rpm"])
@fault(79, "a NUL or an escape sequence in a package's location, which no XML may hold", "4; primary.xml is named")
def test_fault_079_characters_that_are_no_xml(world: World, href: str) -> None:
    promise(world, href)
    refuses(world, "-primary.xml.gz", "primary is not well-formed XML at line 2")


@pytest.mark.parametrize(
    ("href", "cause"),
    [
        (REPOMD, "would overwrite repomd.xml"),
        (f"{REPOMD}.asc", "would overwrite repomd.xml"),
        ("./repodata//repomd.xml", "would overwrite repomd.xml"),
        (f"{REPOMD}/evil.rpm", "would overwrite repomd.xml"),
        ("repodata", "would overwrite repomd.xml"),
        ("repodata/evil.rpm", "would overwrite the repository's metadata"),
        (".mirrorpy/pool/evil.rpm", "points into .mirrorpy"),
        (".//.mirrorpy/repos/other/state.json", "points into .mirrorpy"),
        ("../other/repodata/evil.rpm", "leaves the repository"),
    ],
)
@fault(
    80, "a package in the place of repomd.xml, in repodata, .mirrorpy or another repository", "4; nothing is written"
)
def test_fault_080_packages_in_reserved_places(world: World, href: str, cause: str) -> None:
    promise(world, href)
    refuses(world, href, f"package {Path(href).name.removesuffix('.rpm')}", f"href {cause}")


@pytest.mark.parametrize("name", ["repomd.xml", "repomd.xml.asc", "repomd.xml/evil"])
@fault(80, "a record in the place of repomd.xml or its signature", "4; no record is asked for")
def test_fault_080_records_in_the_place_of_repomd(world: World, name: str) -> None:
    promise(world, "Packages/evil.rpm")
    path = world.base.folder / REPOMD
    path.write_text(path.read_text().replace(world.base.record("other"), f"repodata/{name}"))
    refuses_records(world, "record 'other'", "href would overwrite repomd.xml")


@pytest.mark.parametrize("name", ["evil" + "x" * 248 + ".rpm", "evil" + "ü" * 124 + ".rpm"])
@fault(81, "a name of more than 255 bytes", "4; it is never asked for")
def test_fault_081_long_name(world: World, name: str) -> None:
    promise(world, f"Packages/{name}")
    refuses(world, "Packages/evil", "a name of more than 255")


@pytest.mark.parametrize("href", ["evil/" * 400 + "x" * 49 + ".rpm", "e/" * 65 + "evil.rpm"])
@fault(81, "a path of more than 2,048 bytes, or of more than 64 folders", "4; it is never asked for")
def test_fault_081_long_path(world: World, href: str) -> None:
    promise(world, href)
    refuses(world, href[:100], "href has more than")


@fault(81, "a name of 255 bytes", "0")
def test_fault_081_longest_name(world: World) -> None:
    href = f"Packages/{'x' * 251}.rpm"
    world.base.put(href, EVIL)
    promise(world, href)
    world.accepted()
    assert (world.root / "base" / href).read_bytes() == EVIL


@pytest.mark.parametrize(
    ("file", "below"), [("evil", "evil/evil.rpm"), ("a/./evil", "a//evil/b/c.rpm"), ("Packages", "Packages/evil.rpm")]
)
@fault(82, "a path that would have to be a file and a folder", "4; neither is asked for")
def test_fault_082_file_and_folder(world: World, file: str, below: str) -> None:
    promise(world, below, file)
    refuses(world, file.replace("./", ""), "is promised both as a file and as a folder")
