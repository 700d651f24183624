"""What a repository has besides what its repomd.xml promises: a tree, repositories in it, and files nobody promises."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mirrorpy.errors import RepodataError, SignatureError
from mirrorpy.plan import add_unpromised
from mirrorpy.rpmmd.extra_files import EXTRA_FILES_HREF
from mirrorpy.rpmmd.href import INDEX_FILES, SIGNATURE_HREF
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.model import Kind, RemoteFile
from mirrorpy.rpmmd.treeinfo import TREEINFO_HREFS
from mirrorpy.sync.listing import Choice, Crawl, crawl, expand
from mirrorpy.sync.tree import Tree, is_document, read_nested

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from mirrorpy.config.model import Repository
    from mirrorpy.signatures import Demands
    from mirrorpy.store.generation import Generation
    from mirrorpy.sync.extras import Extras
    from mirrorpy.sync.snapshot import Snapshot
    from mirrorpy.upstream import Upstream

MEDIA = ("media.1/media", "media.1/products")
"""What SUSE's media have beside their repository."""
HIDDEN = (TREEINFO_HREFS[0], ".discinfo")
"""What listings do not show."""
_BESIDE_HIDDEN = ("repodata", "images")
MAX_WARNINGS = 100


class Beside:
    """One repository's surroundings, in one run."""

    def __init__(self, repo: Repository, upstream: Upstream, extras: Extras, demands: Demands, width: int) -> None:
        self._repo, self._upstream, self._extras, self._width = repo, upstream, extras, width
        self._demands = demands
        self._choice = Choice(repo.include, repo.exclude)
        self._crawl = Crawl()
        self._tree = Tree()
        self._named: list[str] = []
        self._companions: dict[str, bytes] = {}
        """Signatures and keys of repositories inside the tree."""
        self._lagging: Generation | None = None
        self._warnings: list[str] = []

    @property
    def warnings(self) -> list[str]:
        """What is to be told of, with an end."""
        told = [*self._crawl.warnings, *self._tree.warnings, *self._extras.warnings, *self._warnings]
        more = len(told) - MAX_WARNINGS
        return told[:MAX_WARNINGS] + ([f"and {more} more warnings"] if more > 0 else [])

    def look(self, snapshot: Snapshot, published: Generation | None) -> None:
        """Read the documents beside a snapshot; the files themselves are asked for later.

        Raises:
            MirrorError: One cannot be had, or is wrong.
        """
        self._extras.begin(snapshot.base, "" if snapshot.plain else snapshot.sha256)
        self._crawl, self._tree, self._warnings, self._named = Crawl(), Tree(), [], []
        self._lagging = published if snapshot.lagging else None
        if snapshot.lagging:
            return
        if self._repo.tree == "all":
            self._crawl = crawl(self._upstream, snapshot.base, self._choice, self._width)
        if self._repo.tree:
            snapshot.documents = self._read_documents()
        self._named, strays = expand(self._upstream, snapshot.base, self._repo.extras)
        self._warnings += [f"extras: upstream has nothing called {name}" for name in strays]

    def _read_documents(self) -> dict[str, bytes]:
        """Read what promises files, and then the repositories that .treeinfo names."""
        listed = {path for path in self._crawl.files if is_document(path)}
        found = self._extras.read({TREEINFO_HREFS[0], EXTRA_FILES_HREF, MEDIA[0], *self._hidden(), *listed})
        if MEDIA[0] in found:
            self._extras.read(MEDIA[1:])
        found = {path: data for path, data in found.items() if is_document(path)}
        if TREEINFO_HREFS[0] not in found and TREEINFO_HREFS[1] not in found:
            found |= self._extras.read(TREEINFO_HREFS[1:])
        if self._repo.tree is True and not found.keys() & set(TREEINFO_HREFS):
            raise RepodataError("upstream has no .treeinfo, and `tree: true` asks for one")
        for path, data in sorted(found.items()):
            if not path.endswith(REPOMD_HREF):
                self._tree.add(path, data, strict=self._repo.strict_tree)
        nested = {f"{folder}/{REPOMD_HREF}" for folder in self._tree.folders if not self._choice.leaves_out(folder)}
        found |= self._extras.read(nested - found.keys())
        for path in sorted(nested - found.keys()):
            if self._repo.strict_tree:
                raise RepodataError("upstream does not have a repository that .treeinfo names", href=path)
            self._tree.warnings.append(f"{path}: .treeinfo names this repository, and upstream does not have it")
        inside = [path.removesuffix(REPOMD_HREF) for path in found if path.endswith(f"/{REPOMD_HREF}")]
        self._companions = self._extras.read({prefix + name for prefix in inside for name in INDEX_FILES[1:]})
        return found

    def _hidden(self) -> set[str]:
        """Return where a tree may have hidden files: listings do not show them."""
        if self._repo.tree != "all":
            return set()
        folders = {path.rpartition("/")[0] for path in self._crawl.folders if path.endswith(_BESIDE_HIDDEN)}
        paths = {f"{folder}/{name}" if folder else name for folder in {*folders, ""} for name in HIDDEN}
        return {path for path in paths if self._choice.takes(path)}

    def settled(self, published: Generation | None) -> bool:
        """Tell whether what is published is what upstream has beside its repomd.xml, which did not change."""
        if self._lagging is not None:
            return True
        promised: set[str] = set()
        extras = {}
        for entry in published.entries() if published else ():
            if entry.retired is None and entry.kind is Kind.EXTRA:
                extras[entry.path] = entry.promised
            elif entry.retired is None:
                promised.add(entry.path)

        def same(paths: Iterable[str]) -> bool:
            return all(extras.get(path) == self._extras.files[path].checksum for path in paths if path not in promised)

        if not same(self._extras.files):
            return False
        self._ask(promised)
        return same(self._extras.files) and extras.keys() <= self._extras.files.keys()

    def read_nested(self, snapshot: Snapshot) -> None:
        """Read the repositories inside the tree into their snapshot.

        Raises:
            UpstreamError: One is malformed.
            SignatureError: One is not signed as demanded.
        """
        for path in sorted(path for path in snapshot.documents if path.endswith(REPOMD_HREF)):
            prefix, repomd = read_nested(path, snapshot.documents[path])
            snapshot.nested[prefix] = repomd
            if self._demands.repomd is None:
                continue
            signature = self._companions.get(prefix + SIGNATURE_HREF)
            if signature is None:
                raise SignatureError("it has no signature, and repo_gpgcheck asks for one", href=path)
            self._demands.repomd.check(signature, snapshot.documents[path])

    def gather(self, files: dict[str, RemoteFile]) -> None:
        """Add everything else to what the metadata promises; files that nobody promises are brought first.

        Raises:
            MirrorError: One cannot be had.
        """
        if self._lagging is not None:
            entries = (entry for entry in self._lagging.entries() if entry.retired is None and entry.promised)
            published = [RemoteFile(it.path, it.promised, it.size, it.kind) for it in entries if it.promised]
            add_unpromised(files, (file for file in published if file.kind is not Kind.INDEX))
            return
        for path, file in self._tree.files.items():
            other = files.get(path)
            if other and other.checksum != file.checksum and other.checksum.algorithm == file.checksum.algorithm:
                self._tree.warnings.append(f"{path}: .treeinfo promises another file than the metadata does")
        clashes = add_unpromised(files, self._tree.files.values())
        self._ask(files)
        self._extras.bring()
        clashes += add_unpromised(files, self._extras.files.values())
        self._warnings += [f"{path} is left out: it would be a file and a folder at once" for path in clashes]
        absent = sorted(self._extras.absent & (self._tree.bare | self._crawl.files))
        self._warnings += [f"{path} is left out: upstream names it and does not have it" for path in absent]

    def _ask(self, promised: Container[str]) -> None:
        """Ask for everything that nobody promises."""
        named = itertools.chain(self._crawl.files, self._tree.bare, self._named)
        self._extras.ask(path for path in named if path not in promised)
        gone = [f"extras: upstream has no {name}" for name in self._named if name in self._extras.absent]
        self._warnings += [warning for warning in gone if warning not in self._warnings]

    def remember(self) -> None:
        """Keep what is known of the files for the next run."""
        if self._lagging is None:
            self._extras.remember()
