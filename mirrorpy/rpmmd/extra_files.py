"""extra_files.json: what productmd's composes have beside an installer tree, with checksums."""

from __future__ import annotations

from typing import Any

from mirrorpy.errors import MirrorError, RepodataError
from mirrorpy.rpmmd.href import check_href
from mirrorpy.rpmmd.model import MAX_SIZE, Checksum, Kind, RemoteFile, plain

EXTRA_FILES_HREF = "extra_files.json"
MAX_FILES = 10_000
_BEST_FIRST = ("sha512", "sha384", "sha256", "sha224", "sha1", "md5")


def parse_extra_files(data: bytes) -> tuple[list[RemoteFile], list[str]]:
    """Return the files that are promised, and warnings of what was left out.

    Raises:
        RepodataError: It is no such document.
    """
    # Most repositories have none.
    import json  # noqa: PLC0415

    try:
        listed = json.loads(data)["data"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise RepodataError(f"is no {EXTRA_FILES_HREF}") from error
    if not isinstance(listed, list) or len(listed) > MAX_FILES:
        raise RepodataError(f"is no {EXTRA_FILES_HREF}, or has more than {MAX_FILES} files")
    files: list[RemoteFile] = []
    warnings: list[str] = []
    for entry in listed:
        try:
            files.append(_parse_file(entry))
        except MirrorError as error:
            warnings.append(f"a file of {EXTRA_FILES_HREF} is left out: {error.message}")
    return files, warnings


def _parse_file(entry: Any) -> RemoteFile:
    entry = entry if isinstance(entry, dict) else {}
    name, size, digests = entry.get("file"), entry.get("size"), entry.get("checksums")
    if not isinstance(name, str) or not isinstance(digests, dict):
        raise RepodataError("it has no name, or no checksum")
    href = plain(check_href(name, Kind.TREE))
    if "repodata" in href.split("/")[:-1]:
        raise RepodataError("it would overwrite metadata", href=href)
    kind = next((kind for kind in _BEST_FIRST if isinstance(digests.get(kind), str)), None)
    if kind is None:
        raise RepodataError("it has no checksum of a known type", href=href)
    size = size if type(size) is int and 0 <= size <= MAX_SIZE else None
    return RemoteFile(href, Checksum.parse(kind, digests[kind]), size, Kind.TREE)
