"""repomd.xml: the index of a repository's metadata.

The format is createrepo_c's (`xml_dump_repomd.c`) and librepo's (`repomd.c`): record types are open-ended, revision,
size, open-checksum and open-size optional.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import MirrorError, RepodataError
from mirrorpy.rpmmd.href import check_href
from mirrorpy.rpmmd.model import MAX_SIZE, Checksum, Kind, Record, RemoteFile, Repomd
from mirrorpy.rpmmd.xml import REPO, XML_BASE, check_root, parse_document, text_of, whole_number

if TYPE_CHECKING:
    from lxml.etree import _Element

_NS = f"{{{REPO}}}"
MAX_RECORDS = 1000


def parse_repomd(data: bytes) -> Repomd:
    """Read repomd.xml.

    Raises:
        RepodataError: Malformed, no primary, or a record without a valid checksum.
        UnsafeHref: A record's location is missing or leaves the repository.
    """
    root = parse_document(data, "repomd.xml")
    check_root(str(root.tag), "repomd.xml", f"{_NS}repomd")
    elements = root.findall("{*}data")
    if any(element.tag != f"{_NS}data" for element in elements):
        # dnf takes it all the same, so its clients would ask for it.
        raise RepodataError(f"repomd.xml has a record of another namespace than {REPO}")
    if len(elements) > MAX_RECORDS:
        raise RepodataError(f"repomd.xml has {len(elements)} records")
    records = tuple(_parse_record(element) for element in elements)
    repomd = Repomd(revision=text_of(root, f"{_NS}revision") or None, records=records)
    if repomd.record("primary") is None:
        raise RepodataError("repomd.xml lists no primary")
    return repomd


def _parse_record(element: _Element) -> Record:
    kind = element.get("type")
    if not kind:
        raise RepodataError("repomd.xml has a record without a type")
    try:
        location = element.find(f"{_NS}location")
        href = check_href(None if location is None else location.get("href"), Kind.RECORD)
        base = None if location is None else location.get(XML_BASE)
        checksum = _parse_checksum(element, "checksum")
        if checksum is None:
            raise RepodataError("has no checksum")
        return Record(
            type=kind,
            file=RemoteFile(href, checksum, _number(element, "size"), Kind.RECORD, base),
            open_checksum=_parse_checksum(element, "open-checksum"),
            open_size=_number(element, "open-size"),
            timestamp=_timestamp(text_of(element, f"{_NS}timestamp")),
        )
    except MirrorError as error:
        error.cause = f"repomd.xml: record {kind!r}: {error.cause}"
        raise


def _parse_checksum(element: _Element, tag: str) -> Checksum | None:
    child = element.find(f"{_NS}{tag}")
    if child is None:
        return None
    if tag != "checksum" and not (child.text or "").strip():
        return None
    return Checksum.parse(child.get("type"), child.text)


def _number(element: _Element, tag: str) -> int | None:
    return whole_number(text_of(element, f"{_NS}{tag}"), tag, MAX_SIZE)


def _timestamp(text: str | None) -> int:
    """Seconds; old createrepo wrote fractions, and nothing depends on a bad one."""
    whole = (text or "").partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 12 else 0
