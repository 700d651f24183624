"""What the documents beside a repository promise: .treeinfo, extra_files.json, and repositories inside the tree."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from mirrorpy.errors import RepodataError, UnsafeHref, UpstreamError
from mirrorpy.rpmmd.extra_files import EXTRA_FILES_HREF, parse_extra_files
from mirrorpy.rpmmd.href import INDEX_FILES, check_href
from mirrorpy.rpmmd.model import Kind, RemoteFile, Repomd
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.rpmmd.treeinfo import TREEINFO_HREFS, Treeinfo, parse_treeinfo


@dataclass(slots=True)
class Tree:
    """Promises beside those of repomd.xml, gathered from any number of documents."""

    files: dict[str, RemoteFile] = field(default_factory=dict)
    """What has a checksum, by path."""
    bare: set[str] = field(default_factory=set)
    """Paths that .treeinfo names without a checksum."""
    folders: set[str] = field(default_factory=set)
    """Where it says that repositories are, inside the tree."""
    warnings: list[str] = field(default_factory=list)

    def add(self, path: str, data: bytes, *, strict: bool) -> None:
        """Read one document.

        Raises:
            RepodataError: It is no such document, or with strict leaves a checksum out.
        """
        folder = path.rpartition("/")[0]
        prefix = f"{folder}/" if folder else ""
        try:
            if path.endswith(EXTRA_FILES_HREF):
                files, warnings = parse_extra_files(data)
                self._promise(files, prefix, warnings)
            else:
                warnings = self._add_treeinfo(path, prefix, parse_treeinfo(data), strict=strict)
        except UpstreamError as error:
            error.href = error.href or path
            if strict:
                raise
            warnings = [f"what it promises is not mirrored: {error.cause}"]
        self.warnings += [f"{path}: {warning}" for warning in warnings]

    def _add_treeinfo(self, path: str, prefix: str, info: Treeinfo, *, strict: bool) -> list[str]:
        warnings = list(info.warnings)
        files = [RemoteFile(file.href, file.checksum, None, Kind.TREE) for file in info.files if file.checksum]
        self._promise(files, prefix, warnings)
        bare = [file.href for file in info.files if file.checksum is None and _fits(prefix + file.href, warnings)]
        self.bare.update(prefix + href for href in bare)
        if bare and strict:
            raise RepodataError(f"has no checksum of {bare[0]}", href=path)
        inside = [name for name in info.repositories if not name.startswith("..")]
        self.folders.update(prefix + name for name in inside if _fits(prefix + name, warnings))
        outside = [name for name in info.repositories if name.startswith("..")]
        if bare:
            warnings.append(f"has no checksum of {', '.join(bare)}: mirrored as they are")
        if outside:
            told = ", ".join(outside)
            warnings.append(f"names repositories outside the tree: {told}: configure each as a repository of its own")
        return warnings

    def _promise(self, files: list[RemoteFile], prefix: str, warnings: list[str]) -> None:
        for file in files:
            path = prefix + file.path
            if _fits(path, warnings):
                self.files.setdefault(path, msgspec.structs.replace(file, href=path))


def _fits(path: str, warnings: list[str]) -> bool:
    """Tell whether a path is one as of the whole tree too."""
    try:
        check_href(path, Kind.TREE)
    except UnsafeHref as error:
        warnings.append(f"{path} is left out: {error.cause}")
        return False
    return True


def is_document(path: str) -> bool:
    """Tell whether a listed file promises others; what lies beside metadata promises nothing."""
    *folders, name = path.split("/")
    beside = name in (*TREEINFO_HREFS, EXTRA_FILES_HREF) and "repodata" not in folders
    return beside or path.endswith(f"/{INDEX_FILES[0]}")


def read_nested(path: str, data: bytes) -> tuple[str, Repomd]:
    """Read the repomd.xml of a repository inside the tree; return its folder, and its records as of the whole tree.

    Raises:
        UpstreamError: It is none, or a record's location leaves the tree.
    """
    prefix = path.removesuffix(INDEX_FILES[0])
    try:
        repomd = parse_repomd(data)
        records = tuple(msgspec.structs.replace(record, file=placed(record.file, prefix)) for record in repomd.records)
    except UpstreamError as error:
        error.href = f"{path}: {error.href}" if error.href else path
        raise
    return prefix, msgspec.structs.replace(repomd, records=records)


def placed(file: RemoteFile, prefix: str) -> RemoteFile:
    """Return a file of a repository inside a tree as one of the tree.

    Raises:
        UnsafeHref: Its path becomes too long, or `xml:base` leads elsewhere.
    """
    if file.location_base:
        raise UnsafeHref("has an xml:base inside a tree, where it is not followed", href=prefix + file.href)
    return msgspec.structs.replace(file, href=check_href(prefix + file.path, file.kind))
