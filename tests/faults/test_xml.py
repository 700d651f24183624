"""Faults 59 to 63 and 65: XML that attacks its reader, or is none."""

import re
from typing import Protocol

import pytest

from tests.integration.listing import REPOMD
from tests.unit.documents import delta, prestodelta

from .catalogue import fault
from .cost import MIB, refused_cheaply
from .inotify import never_opened
from .metadata import Change, amend_primary, amend_repomd, primary_text, publish, replaced, rewritten
from .world import World


class Amend(Protocol):
    """Changes a document; returns how it is named where it is refused."""

    def __call__(self, world: World, change: Change, encoding: str = "utf-8") -> str: ...


def _repomd(world: World, change: Change, encoding: str = "utf-8") -> str:
    amend_repomd(world.base, change, encoding)
    return f"{world.server.url}base/{REPOMD}"


def _primary(world: World, change: Change, encoding: str = "utf-8") -> str:
    amend_primary(world.base, change, encoding)
    return world.base.record("primary")


DOCUMENTS = pytest.mark.parametrize("amend", [_repomd, _primary], ids=["repomd.xml", "primary"])
PLACES = pytest.mark.parametrize(
    ("amend", "pattern", "place"),
    [
        (_repomd, "<revision>[0-9]*<", "<revision>&x;<"),
        (_repomd, 'href="[^"]*"', 'href="&x;"'),
        (_primary, "<name>kept<", "<name>&x;<"),
        (_primary, 'href="Packages/kept.rpm"', 'href="&x;"'),
    ],
    ids=["text of repomd.xml", "attribute of repomd.xml", "text of primary", "attribute of primary"],
)


def _with_doctype(subset: str, change: Change = str) -> Change:
    """Add a DOCTYPE with this inside."""
    return lambda text: rewritten(r"\?>\s*", f"?>\n<!DOCTYPE metadata {subset}>\n", count=1)(change(text))


def _laughs(levels: int = 10) -> str:
    """Entities of which each is ten of the one before."""
    first = '<!ENTITY l0 "ha ha ha ">'
    rest = [f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, levels)]
    return f'[{first}{"".join(rest)}<!ENTITY x "&l{levels - 1};">]'


@PLACES
@fault(59, "a billion laughs: entities within entities", "4, within a second and 32 MiB")
def test_fault_059_billion_laughs(world: World, amend: Amend, pattern: str, place: str) -> None:
    name = amend(world, _with_doctype(_laughs(), rewritten(pattern, place, count=1)))
    refused_cheaply(world, name, seconds=1, mib=32)


@PLACES
@fault(60, "quadratic blow-up: one large entity, many times", "4, within a second and 32 MiB")
def test_fault_060_quadratic_blow_up(world: World, amend: Amend, pattern: str, place: str) -> None:
    subset = f'[<!ENTITY x "{"a" * 50_000}">]'
    name = amend(world, _with_doctype(subset, rewritten(pattern, place.replace("&x;", "&x;" * 50_000), count=1)))
    refused_cheaply(world, name, seconds=1, mib=32)


@DOCUMENTS
@fault(59, "a DOCTYPE with nothing in it", "4; no repository needs one")
def test_fault_059_any_doctype(world: World, amend: Amend) -> None:
    world.refused(4, amend(world, _with_doctype("")), "DOCTYPE")


@fault(59, "a DOCTYPE in prestodelta", "4; no repository needs one")
def test_fault_059_prestodelta(world: World) -> None:
    publish(world.base, prestodelta=_with_doctype(_laughs())(prestodelta(delta()).decode()).encode())
    world.refused(4, world.base.record("prestodelta"), "DOCTYPE")


@fault(59, "a DOCTYPE in a metalink", "4; no repository needs one")
def test_fault_059_metalink(world: World) -> None:
    link = f"<metalink><files><file><resources><url>{world.server.url}base/{REPOMD}</url></resources></file></files>"
    text = f'<?xml version="1.0"?>\n{link}</metalink>'
    (world.folder / "upstreams/metalink").write_text(_with_doctype(_laughs())(text))
    world.configure(metalink=f"{world.server.url}metalink")
    world.refused(4, f"{world.server.url}metalink", "DOCTYPE")
    world.heal = world.configure


@PLACES
@pytest.mark.parametrize("scheme", ["file", "http"])
@fault(61, "an external entity: a file of this machine, or a URL", "4; nothing is read")
def test_fault_061_external_entity(world: World, amend: Amend, pattern: str, place: str, scheme: str) -> None:
    secret = world.folder / "upstreams/secret"
    secret.write_text("Packages/kept.rpm")
    url = secret.as_uri() if scheme == "file" else f"{world.server.url}secret"
    name = amend(world, _with_doctype(f'[<!ENTITY x SYSTEM "{url}">]', rewritten(pattern, place, count=1)))
    with never_opened(secret):
        world.refused(4, name)
    assert "secret" not in world.server.taken()


@DOCUMENTS
@pytest.mark.parametrize("scheme", ["file", "http"])
@pytest.mark.parametrize("subset", ['SYSTEM "{url}"', '[<!ENTITY % x SYSTEM "{url}"> %x;]'], ids=["DTD", "parameter"])
@fault(61, "an external DTD, or an external parameter entity", "4; nothing is read")
def test_fault_061_external_dtd(world: World, amend: Amend, scheme: str, subset: str) -> None:
    secret = world.folder / "upstreams/secret"
    secret.write_text('<!ENTITY x "ha">')
    url = secret.as_uri() if scheme == "file" else f"{world.server.url}secret"
    name = amend(world, _with_doctype(subset.format(url=url)))
    with never_opened(secret):
        world.refused(4, name, "DOCTYPE")
    assert "secret" not in world.server.taken()


@pytest.mark.parametrize(
    ("amend", "pattern", "place"),
    [
        (_repomd, "<revision>[0-9]*<", "<revision>LONG<"),
        (_repomd, "<revision>", '<revision of="LONG">'),
        (_primary, "<name>kept<", "<name>LONG<"),
        (_primary, "<name>kept<", '<name of="LONG">kept<'),
        (_primary, "<name>kept<", "<!--LONG--><name>kept<"),
    ],
    ids=["text of repomd.xml", "attribute of repomd.xml", "text of primary", "attribute of primary", "comment"],
)
@fault(62, "a text, an attribute or a comment of 10 MB", "4, within a second and 64 MiB")
def test_fault_062_long_text(world: World, amend: Amend, pattern: str, place: str) -> None:
    name = amend(world, rewritten(pattern, place.replace("LONG", "a" * 10 * MIB), count=1))
    refused_cheaply(world, name, seconds=1, mib=64)


@pytest.mark.parametrize(
    ("amend", "before"), [(_repomd, "<revision>"), (_primary, "<summary>")], ids=["repomd.xml", "primary"]
)
@fault(62, "elements 300 deep", "4")
def test_fault_062_depth(world: World, amend: Amend, before: str) -> None:
    deep = "<a>" * 300 + "</a>" * 300
    world.refused(4, amend(world, replaced(before, f"{deep}{before}", 1)), "depth")


@DOCUMENTS
@pytest.mark.parametrize(
    ("junk", "cut", "encoding"),
    [
        ("<locat", True, "utf-8"),
        ("<<", False, "utf-8"),
        ("\0", False, "utf-8"),
        ("\xff", False, "latin-1"),
        ("&nbsp;", False, "utf-8"),
        ("</nobody>", False, "utf-8"),
    ],
    ids=["truncated", "junk", "NUL", "bad UTF-8", "unknown entity", "wrong end tag"],
)
@fault(63, "XML that is truncated, or has junk, NUL, bad UTF-8 or an unknown entity in it", "4; the line is named")
def test_fault_063_not_well_formed(world: World, amend: Amend, junk: str, cut: bool, encoding: str) -> None:
    lines: list[int] = []

    def spoil(text: str) -> str:
        before, mark, after = text.replace("><", ">\n<").rpartition("<location")
        lines.append(before.count("\n") + 1)
        return before + junk + ("" if cut else mark + after)

    name = amend(world, spoil, encoding)
    world.refused(4, name, "not well-formed XML", f"at line {lines[0]}: ")


@DOCUMENTS
@fault(63, "junk after the end of the document", "4; the line is named")
def test_fault_063_junk_after_the_end(world: World, amend: Amend) -> None:
    name = amend(world, lambda text: f"{text.rstrip()}\n\n<html>")
    world.refused(4, name, "not well-formed XML", "at line 4: ")


@fault(63, "packages within a comment, which begins within another package and is half a MB long", "0; they are none")
def test_fault_063_packages_in_a_comment(world: World) -> None:
    (kept,) = re.findall("<package .*?</package>", primary_text(world.base))[:1]
    hidden = kept.replace("Packages/kept", "Packages/hidden")
    first, second = hidden, hidden.replace("hidden", "hidden2").removesuffix("</format></package>")
    comment = f"<!-- </format></package>{first}{' ' * 600_000}{second} -->"
    amend_primary(world.base, replaced("<format>", f"<format>{comment}", 1))
    world.accepted()
    assert not [path for path in world.server.taken() if "hidden" in path]


@DOCUMENTS
@pytest.mark.parametrize("namespace", ["http://example.org/ns", "HTTP://LINUX.DUKE.EDU/METADATA/COMMON", "x", ""])
@fault(65, "a repomd.xml or primary of another namespace, or of none", "4; says that it is the namespace")
def test_fault_065_odd_namespace(world: World, amend: Amend, namespace: str) -> None:
    name = amend(world, rewritten('xmlns="[^"]*"', f'xmlns="{namespace}"', count=1))
    world.refused(4, name, "namespace")


@fault(65, "a package or a record of another namespace, which clients do not mind", "4; it would not be mirrored")
@pytest.mark.parametrize(
    ("amend", "element"),
    [(_repomd, '<data type="filelists"'), (_primary, '<package type="rpm"')],
    ids=["repomd.xml", "primary"],
)
def test_fault_065_odd_namespace_within(world: World, amend: Amend, element: str) -> None:
    name = amend(world, replaced(element, f'{element} xmlns="http://example.org/ns"', 1))
    world.refused(4, name)
