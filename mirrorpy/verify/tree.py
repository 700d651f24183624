"""What the documents beside repomd.xml promise: images of .treeinfo, extra_files.json, repositories inside the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import UpstreamError
from mirrorpy.rpmmd.extra_files import EXTRA_FILES_HREF
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.treeinfo import TREEINFO_HREFS
from mirrorpy.sync.tree import Tree, read_nested
from mirrorpy.verify.report import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorpy.rpmmd.model import Repomd
    from mirrorpy.verify.promises import Source
    from mirrorpy.verify.report import Verdict


def read_tree(source: Source, verdict: Verdict) -> tuple[Tree, set[str]]:
    """Return what .treeinfo and extra_files.json promise, where there are any, and the paths of these documents."""
    tree, found = Tree(), set()
    for names in (TREEINFO_HREFS, (EXTRA_FILES_HREF,)):
        for name in names:
            data = source.read_index(name)
            if data is not None:
                tree.add(name, data, strict=False)
                found.add(name)
                break
    verdict.warnings += tree.warnings
    return tree, found


def iter_nested(source: Source, named: set[str], listed: set[str], verdict: Verdict) -> Iterator[tuple[str, Repomd]]:
    """Yield the folder of each repository inside, with a slash, and its records as of the whole tree.

    listed ones were published as files: a malformed one was malformed then, and is whole or not by its checksum.
    """
    for folder in sorted(named | listed):
        path = f"{folder}/{REPOMD_HREF}"
        data = source.read_index(path)
        if data is None:
            verdict.warnings.append(f"{path}: .treeinfo names this repository, and it is not there")
            continue
        try:
            yield read_nested(path, data)
        except UpstreamError as error:
            if folder not in listed:
                verdict.findings.append(Finding.of(error, path))
            else:
                verdict.warnings.append(f"{path}: {error.cause}: what it promises is not proved")
