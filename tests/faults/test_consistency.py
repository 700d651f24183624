"""Faults 46 to 48, 51 to 53 and 56 to 58: metadata that is odd, and what of it is taken."""

import bz2
import json

import pytest

from tests.faultserver import FaultServer
from tests.integration.listing import REPOMD
from tests.integration.upstream import build_rpm

from .catalogue import fault
from .metadata import amend_primary, amend_repomd, publish, replaced, rewritten, show
from .world import World

KEPT = "Packages/kept.rpm"


@pytest.mark.parametrize("count", ["2", "4", "0", "-3", "many", "9" * 40])
@fault(46, "a primary that lists more or fewer packages than its `packages=` says", "0; published, with a warning")
def test_fault_046_wrong_count(world: World, count: str) -> None:
    amend_primary(world.base, replaced('packages="3"', f'packages="{count}"'))
    world.accepted(f"packages='{count[:20]}'", "lists 3")


@pytest.mark.parametrize("max_shrink", ["50%", "100%"])
@fault(47, "a repository whose packages are all gone", "8; says how many there were, and of --allow-shrink")
def test_fault_047_none_is_left(world: World, max_shrink: str) -> None:
    world.configure(max_shrink=max_shrink)
    world.base.compose({})
    world.refused(8, "from 3 to 0", "--allow-shrink")


@fault(47, "a repository that lost more packages than max_shrink", "8; says how many, and of --allow-shrink")
def test_fault_047_past_max_shrink(world: World) -> None:
    show(world.base, {KEPT: world.base.packages[KEPT]})
    world.refused(8, "from 3 to 1", "max_shrink of 50%", "--allow-shrink")


@pytest.mark.parametrize("left", [0, 1])
@fault(47, "a repository that lost most or all of its packages, with --allow-shrink", "0")
def test_fault_047_allowed(world: World, left: int) -> None:
    show(world.base, dict(list(world.base.packages.items())[:left]))
    world.accepted(args=("--allow-shrink",))
    world.accepted(outcome="unchanged")


@fault(47, "a repository whose packages are all others, one fewer", "0; it is the number that counts")
def test_fault_047_net(world: World) -> None:
    show(world.base, {f"Packages/other{number}.rpm": build_rpm(f"other{number}") for number in range(2)})
    world.accepted()


@fault(48, "one package under two locations", "0; fetched once, published at both")
def test_fault_048_two_locations(world: World) -> None:
    body = build_rpm("twice")
    hrefs = ("Packages/twice.rpm", "copies/twice.rpm")
    show(world.base, {KEPT: world.base.packages[KEPT]} | dict.fromkeys(hrefs, body))
    world.accepted()
    asked = world.server.taken()
    assert sum(asked.count(f"base/{href}") for href in hrefs) == 1
    assert {(world.root / "base" / href).read_bytes() for href in hrefs} == {body}


@fault(48, "two packages that are called the same, with different bytes", "0; both are published")
def test_fault_048_two_contents(world: World) -> None:
    packages = {f"{folder}/twice.rpm": build_rpm("twice", size=size) for folder, size in (("a", 2_000), ("b", 3_000))}
    show(world.base, {KEPT: world.base.packages[KEPT]} | packages)
    world.accepted()
    assert {href: (world.root / "base" / href).read_bytes() for href in packages} == packages


@fault(48, "a package listed twice, the same in all", "0; fetched once")
def test_fault_048_listed_twice(world: World) -> None:
    href = world.base.new()
    amend_primary(world.base, rewritten("(<package .*</package>)", r"\1\1"))
    world.accepted("packages='3'", "lists 6")
    assert world.server.taken().count(f"base/{href}") == 1


ODD_HREFS = {
    "Packages/a+b.rpm": "a%2Bb.rpm",
    "Packages/a%2Bb.rpm": "a%252Bb.rpm",
    "Packages/a b.rpm": "a%20b.rpm",
    "Packages/a%20b.rpm": "a%2520b.rpm",
    "Packages/a~b^c.rpm": "a~b%5Ec.rpm",
    "Packages/a?b.rpm": "a%3Fb.rpm",
    "Packages/a#b.rpm": "a%23b.rpm",
    "Packages/1:a.rpm": "1%3Aa.rpm",
    "Packages/a&b;c='\"<.rpm": "a%26b%3Bc%3D%27%22%3C.rpm",
    "Packages/grün.rpm": "gr%C3%BCn.rpm",
}


@fault(51, "names with `+ ~ ^ % ? # : &`, space and umlaut", "0; the right request, and that very name on disk")
def test_fault_051_odd_names(world: World) -> None:
    packages = {href: build_rpm(f"odd{number}") for number, href in enumerate(ODD_HREFS)}
    show(world.base, packages)
    world.accepted()
    targets = {request.target for request in world.server.requests}
    assert {f"/base/Packages/{name}" for name in ODD_HREFS.values()} <= targets
    assert {href: (world.root / "base" / href).read_bytes() for href in packages} == packages


@pytest.mark.parametrize(
    "href", ["/etc/hostname", "//127.0.0.1/x.rpm", "http://127.0.0.1/x.rpm", "file:///etc/hostname"]
)
@fault(52, "a location that is a path from the root, or a URL", "4; it is not asked for")
def test_fault_052_absolute_href(world: World, href: str) -> None:
    amend_primary(world.base, replaced(f'href="{KEPT}"', f'href="{href}"'))
    world.refused(4, "package kept", href, "href is absolute")
    assert not [path for path in world.server.taken() if path.startswith("base/Packages/")]


@fault(52, "a record's location that is a URL", "4; it is not asked for")
def test_fault_052_absolute_record(world: World) -> None:
    amend_repomd(world.base, replaced('href="repodata/', f'href="{world.server.url}other/repodata/', 1))
    world.refused(4, f"{world.server.url}base/{REPOMD}", "record 'primary'", "href is absolute")


@pytest.mark.parametrize("base", ["file:///etc/", "ftp://127.0.0.1/", "http://[bad/"])
@pytest.mark.parametrize("here", [False, True], ids=["new", "here already"])
@fault(52, "a package, new or here already, whose `xml:base` is no place on the web", "4; both are named")
def test_fault_052_unfit_xml_base(world: World, base: str, here: bool) -> None:
    href = KEPT if here else world.base.new()
    amend_primary(world.base, replaced(f'href="{href}"', f'xml:base="{base}" href="{href}"'))
    world.refused(4, href, f"xml:base '{base}'", world.server.url)


@fault(
    52, "a package whose `xml:base` is another web server", "0; fetched from there without any secret, with a warning"
)
def test_fault_052_xml_base(world: World) -> None:
    href = world.base.new()
    elsewhere = world.folder / "elsewhere"
    (elsewhere / "Packages").mkdir(parents=True)
    (world.base.folder / href).rename(elsewhere / href)
    world.configure(username="somebody", password="secret", headers={"X-Token": "secret"})
    with FaultServer(elsewhere) as server:
        amend_primary(world.base, replaced(f'href="{href}"', f'xml:base="{server.url}" href="{href}"'))
        world.accepted("metadata has xml:base")
        (request,) = server.requests
    assert (request.path, "authorization" in request.headers, "x-token" in request.headers) == (href, False, False)
    assert all("authorization" in request.headers for request in world.server.requests if request.path[:5] == "base/")
    (elsewhere / href).rename(world.base.folder / href)


@fault(53, "records of types that nobody knows, zchunk, SQLite, modules", "0; copied byte for byte")
def test_fault_053_unknown_records(world: World) -> None:
    opened = {
        "primary_zck": b"\0ZCK1 for nobody but zck",
        "primary_db": b"SQLite format 3\0",
        "modules": b"---\ndocument: modulemd\n",
        "frobnicate": b"<not even XML",
        "empty": b"",
    }
    packed = {"primary_zck": opened["primary_zck"], "primary_db": bz2.compress(opened["primary_db"])}
    publish(world.base, packed, **opened)
    world.accepted()
    for kind in opened:
        href = world.base.record(kind)
        assert (world.root / "base" / href).read_bytes() == (world.base.folder / href).read_bytes()


@pytest.mark.parametrize("encoding", ["UTF-16", "ISO-8859-1"])
@fault(56, "primary and repomd.xml in UTF-16 or Latin-1", "0; names come out right")
def test_fault_056_encodings(world: World, encoding: str) -> None:
    href = "Packages/grün.rpm"
    declared = replaced('encoding="UTF-8"', f'encoding="{encoding}"')
    show(world.base, world.base.packages | {href: build_rpm("gruen")})
    amend_primary(world.base, declared, encoding)
    amend_repomd(world.base, declared, encoding)
    world.accepted()
    assert (world.root / "base" / href).read_bytes() == build_rpm("gruen")
    assert f"base/{href}" in world.server.taken()


@fault(57, "packages and records without a size", "0")
def test_fault_057_no_size(world: World) -> None:
    amend_primary(world.base, rewritten("<size [^>]*>", ""))
    amend_repomd(world.base, rewritten("<(open-)?size>[0-9]*</(open-)?size>", ""))
    world.accepted()
    world.accepted(outcome="unchanged")


@fault(57, "a package without a size, whose body has no end", "4; stopped at a cap")
def test_fault_057_no_size_and_no_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrorpy.store.incoming.UNKNOWN_SIZE_CAP", 100_000)
    href = world.base.new()
    amend_primary(world.base, rewritten("<size [^>]*>", ""))
    world.server.fault(f"base/{href}", "endless")
    world.refused(4, f"{world.server.url}base/{href}", "is longer than", "100000 bytes")
    (request,) = (request for request in world.server.requests if request.path == f"base/{href}")
    # Beyond the cap there is what the system's buffers take.
    assert 100_000 < request.sent < 20_000_000


@fault(58, "an RPM that calls itself something else than primary does", "0; `verify` finds it and ends with 1")
def test_fault_058_another_nevra(world: World) -> None:
    liar, honest = "Packages/liar.rpm", "Packages/honest.rpm"
    show(world.base, {liar: build_rpm("other"), honest: build_rpm("honest"), KEPT: build_rpm("kept")})
    world.accepted()
    run = world.run("verify", "base", "--format", "json")
    assert run.exit == 1
    assert json.loads(run.stdout)["repos"][0]["findings"] == [
        {"kind": "header", "path": liar, "message": "is other-1.0-1.noarch and not liar-1.0-1.noarch, as primary says"}
    ]
