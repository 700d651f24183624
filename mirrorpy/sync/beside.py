"""What a repository has besides what its repomd.xml promises: a tree, repositories in it, and files nobody promises."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from mirrorpy.errors import GuardError, RepodataError, SignatureError, UpstreamError
from mirrorpy.plan import add_unpromised
from mirrorpy.rpmmd.extra_files import EXTRA_FILES_HREF
from mirrorpy.rpmmd.href import INDEX_FILES, SIGNATURE_HREF
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.model import Kind, RemoteFile
from mirrorpy.rpmmd.treeinfo import TREEINFO_HREFS, parse_treeinfo
from mirrorpy.sync.listing import Choice, Crawl, crawl, expand
from mirrorpy.sync.tree import Tree, is_document, read_nested

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

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
        self._hidden_files: dict[str, RemoteFile] = {}
        """What is published of folders that could not be listed."""
        self._held: list[RemoteFile] = []
        """What is published of trees whose .treeinfo cannot be read any more."""
        self._warnings: list[str] = []

    @property
    def warnings(self) -> list[str]:
        """What is to be told of, with an end."""
        told = [*self._crawl.warnings, *self._tree.warnings, *self._extras.warnings, *self._warnings]
        more = self._crawl.untold + max(0, len(told) - MAX_WARNINGS)
        return told[:MAX_WARNINGS] + ([f"and {more} more warnings"] if more > 0 else [])

    def look(self, snapshot: Snapshot, published: Generation | None) -> None:
        """Read the documents beside a snapshot; the files themselves are asked for later.

        Raises:
            MirrorError: One cannot be had, or is wrong.
        """
        self._extras.begin(snapshot.base, "" if snapshot.plain else snapshot.sha256)
        self._crawl, self._tree, self._warnings, self._named = Crawl(), Tree(), [], []
        self._hidden_files, self._held = {}, []
        self._lagging = published if snapshot.lagging else None
        if snapshot.lagging:
            return
        if self._repo.tree == "all":
            self._crawl = crawl(self._upstream, snapshot.base, self._choice, self._width)
            self._extras.believe(self._crawl.files)
            self._keep_unread(published)
        if self._repo.tree:
            snapshot.documents = self._read_documents(published)
        self._named, strays = expand(self._upstream, snapshot.base, self._repo.extras)
        self._warnings += [f"extras: upstream has nothing called {name}" for name in strays]

    def _keep_unread(self, published: Generation | None) -> None:
        """Take what is published of folders that could not be listed: what is in them now is not known."""
        unread = self._crawl.unread
        kept = [file for file in _published(published) if self._crawl.hiding(file.path)] if unread else []
        # What metadata promises comes with the metadata, which nobody promises itself.
        self._hidden_files = {file.path: file for file in kept if file.kind is Kind.EXTRA}
        self._extras.keep(self._hidden_files.values())
        here = {folder for file in kept for folder in self._crawl.hiding(file.path)}
        for folder, cause in sorted(unread.items()):
            what = "is kept as it was" if folder in here else "is left out"
            self._crawl.warn(f"{folder}/ {what}, and what is in it: {cause}")

    def _read(self, paths: Iterable[str], published: Generation | None) -> dict[str, bytes]:
        """Read small files; those of folders that could not be listed as they are published."""
        paths = set(paths)
        kept = {path for path in paths if path in self._hidden_files}
        found = {path: data for path in kept if published and (data := published.read(path)) is not None}
        return found | self._extras.read(paths - found.keys())

    def _read_documents(self, published: Generation | None) -> dict[str, bytes]:
        """Read what promises files, and then the repositories that .treeinfo names."""
        found = self._find_documents(published)
        for path in sorted(self._extras.absent & self._extras.remembered):
            if is_document(path):
                self._tree.warnings.append(f"{path}: upstream has it no longer, and what only it promised goes with it")
        return found

    def _find_documents(self, published: Generation | None) -> dict[str, bytes]:
        listed = {path for path in self._crawl.files if is_document(path)}
        listed |= {path for path in self._hidden_files if is_document(path)}
        found = self._read({TREEINFO_HREFS[0], EXTRA_FILES_HREF, MEDIA[0], *self._hidden(), *listed}, published)
        if MEDIA[0] in found:
            self._extras.read(MEDIA[1:])
        found = {path: data for path, data in found.items() if is_document(path)}
        if TREEINFO_HREFS[0] not in found and TREEINFO_HREFS[1] not in found:
            found |= self._read(TREEINFO_HREFS[1:], published)
        if self._repo.tree is True and not found.keys() & set(TREEINFO_HREFS):
            raise RepodataError("upstream has no .treeinfo, and `tree: true` asks for one")
        for path, data in sorted(found.items()):
            if not path.endswith(REPOMD_HREF):
                self._tree.add(path, data, strict=self._repo.strict_tree)
                self._hold(path, data, published)
        nested = {f"{folder}/{REPOMD_HREF}" for folder in self._tree.folders if not self._choice.leaves_out(folder)}
        found |= self._read(nested - found.keys(), published)
        for path in sorted(nested - found.keys()):
            if self._repo.strict_tree:
                raise RepodataError("upstream does not have a repository that .treeinfo names", href=path)
            self._tree.warnings.append(f"{path}: .treeinfo names this repository, and upstream does not have it")
        inside = [path.removesuffix(REPOMD_HREF) for path in found if path.endswith(f"/{REPOMD_HREF}")]
        self._companions = self._read({prefix + name for prefix in inside for name in INDEX_FILES[1:]}, published)
        return found

    def _hold(self, path: str, data: bytes, published: Generation | None) -> None:
        """Keep the files of a published tree whose .treeinfo cannot be read any more; tell of one without any."""
        if path not in self._extras.remembered or path.endswith(EXTRA_FILES_HREF):
            return
        try:
            info = parse_treeinfo(data)
        except UpstreamError:
            prefix = path.rpartition("/")[0]
            files = [file for file in _published(published) if file.kind is Kind.TREE]
            held = [file for file in files if not prefix or file.path.startswith(f"{prefix}/")]
            self._held += held
            if held:
                self._tree.warnings.append(f"{path}: the {len(held)} files of its tree are kept as they were")
            return
        if not info.files and not info.repositories:
            self._tree.warnings.append(f"{path}: names no file, and what it promised before goes")

    def _hidden(self) -> set[str]:
        """Return where a tree may have hidden files: listings do not show them."""
        if self._repo.tree != "all":
            return set()
        folders = {path.rpartition("/")[0] for path in self._crawl.folders if path.endswith(_BESIDE_HIDDEN)}
        paths = {f"{folder}/{name}" if folder else name for folder in {*folders, ""} for name in HIDDEN}
        return {path for path in paths if self._choice.takes(path)}

    def settled(self, published: Generation | None, extras_published: int) -> bool:
        """Tell whether what is published is what upstream has beside its repomd.xml, which did not change."""
        if self._lagging is not None:
            return True
        if not (extras_published or self._extras.files or any(self._unpromised())):
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
            add_unpromised(files, _published(self._lagging))
            return
        for path, file in self._tree.files.items():
            other = files.get(path)
            if other and other.checksum != file.checksum and other.checksum.algorithm == file.checksum.algorithm:
                self._tree.warnings.append(f"{path}: .treeinfo promises another file than the metadata does")
        clashes = add_unpromised(files, self._tree.files.values())
        clashes += add_unpromised(files, self._held)
        self._ask(files)
        self._extras.bring()
        clashes += add_unpromised(files, self._extras.files.values())
        self._warnings += [f"{path} is left out: it would be a file and a folder at once" for path in clashes]
        absent = sorted(self._extras.absent & (self._tree.bare | self._crawl.files))
        self._warnings += [f"{path} is left out: upstream names it and does not have it" for path in absent]
        self._tell_absent()
        if self._crawl.files and not files:
            raise GuardError(f"upstream lists {len(self._crawl.files)} files, and gives none of them")

    def _ask(self, promised: Container[str]) -> None:
        """Ask for everything that nobody promises."""
        self._extras.ask(path for path in self._unpromised() if path not in promised)
        self._tell_absent()

    def _unpromised(self) -> Iterator[str]:
        """Yield what may be there and promised by nobody."""
        return itertools.chain(self._crawl.files, self._tree.bare, self._named)

    def _tell_absent(self) -> None:
        gone = [f"extras: upstream has no {name}" for name in self._named if name in self._extras.absent]
        self._warnings += [warning for warning in gone if warning not in self._warnings]

    def remember(self) -> None:
        """Keep what is known of the files for the next run."""
        if self._lagging is None:
            self._extras.remember()


def _published(generation: Generation | None) -> Iterator[RemoteFile]:
    """Yield what a generation publishes, but repomd.xml and what is only there for its grace."""
    for entry in generation.entries() if generation else ():
        if entry.retired is None and entry.promised and entry.kind is not Kind.INDEX:
            yield RemoteFile(entry.path, entry.promised, entry.size, entry.kind)
