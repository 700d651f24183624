"""prestodelta.xml and deltainfo.xml: the delta RPMs of a repository, streamed.

The format is createrepo_c's `deltarpms.c`: both have `<delta>` elements with a `<filename>` and the rest beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import MirrorError, RepodataError
from mirrorpy.rpmmd.href import check_href
from mirrorpy.rpmmd.model import MAX_SIZE, Checksum, Kind, RemoteFile
from mirrorpy.rpmmd.xml import iter_elements, local, text_of, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from mirrorpy.rpmmd.xml import Readable

RECORD_TYPES = ("prestodelta", "deltainfo")


def iter_deltas(source: Readable, name: str) -> Iterator[RemoteFile]:
    """Yield each delta RPM that the unpacked document promises.

    Raises:
        RepodataError: Malformed, or a delta without a valid checksum.
        UnsafeHref: A delta's location is missing or leaves the repository.
    """

    def check_root(root: _Element) -> None:
        if local(root) not in RECORD_TYPES:
            raise RepodataError(f"{name} has the root element {local(root)!r}")

    for element in iter_elements(source, name, "{*}delta", check_root):
        try:
            yield _parse_delta(element)
        except MirrorError as error:
            error.cause = f"{name}: {error.cause}"
            raise


def _parse_delta(element: _Element) -> RemoteFile:
    href = check_href(text_of(element, "{*}filename"), Kind.DELTA)
    checksum = element.find("{*}checksum")
    if checksum is None:
        raise RepodataError(f"{local(element)} has no checksum", href=href)
    size = whole_number(text_of(element, "{*}size"), "size", MAX_SIZE)
    return RemoteFile(href, Checksum.parse(checksum.get("type"), (checksum.text or "").strip()), size, Kind.DELTA)
