"""What has to be signed before it is published: repomd.xml, and every package, the reused ones too."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirrorpy.errors import FetchError, LeftPool, LocalError, SignatureError
from mirrorpy.rpmmd.href import SIGNATURE_HREF
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.model import Kind
from mirrorpy.signatures import Demands, check_package
from mirrorpy.store.durable import translated
from mirrorpy.store.pool import file_size
from mirrorpy.store.verdicts import read_verdicts, write_verdicts
from mirrorpy.sync.parallel import unordered
from mirrorpy.sync.publish import read_indexes_of
from mirrorpy.sync.shortfall import Restart
from mirrorpy.sync.snapshot import has_moved, read_indexes

if TYPE_CHECKING:
    from mirrorpy.plan import Plan
    from mirrorpy.rpmmd.model import Checksum
    from mirrorpy.store.generation import Generation
    from mirrorpy.store.layout import RepoLayout
    from mirrorpy.store.pool import Pool
    from mirrorpy.sync.snapshot import Snapshot
    from mirrorpy.upstream import Upstream

MAX_PAIRS = 3
logger = logging.getLogger(__name__)


@dataclass
class Signed:
    """One repository's demands, in one run; where it has none, everything passes."""

    repo_id: str
    demands: Demands
    upstream: Upstream
    anew: bool = False
    """Whether the signature of an unchanged repomd.xml is read anew, as the published one will not do."""
    _pairs: int = 0
    """How often repomd.xml and its signature were of two states."""

    def check_repomd(self, snapshot: Snapshot) -> None:
        """Prove the signature of a repomd.xml.

        Raises:
            SignatureError: There is none, or none that is good.
        """
        if self.demands.repomd is None:
            return
        signature = snapshot.indexes.get(SIGNATURE_HREF)
        try:
            if signature is None:
                raise SignatureError("it has no signature, and repo_gpgcheck asks for one")
            self.demands.repomd.check(signature, snapshot.data)
        except SignatureError as error:
            error.url = error.url or (snapshot.document.url if snapshot.document else None)
            error.cause = f"repomd.xml: {error.cause}"
            raise

    def _accepts(self, snapshot: Snapshot) -> bool:
        """Tell whether a repomd.xml is signed as demanded."""
        try:
            self.check_repomd(snapshot)
        except SignatureError:
            return False
        return True

    def bring_indexes(self, snapshot: Snapshot, published: Generation | None) -> None:
        """See that repomd.xml's signature is this one's; a published one is published again.

        Raises:
            Restart: The signature may be another state's.
            SignatureError: There is none, or none that is good.
            FetchError: It cannot be had.
        """
        if not snapshot.changed and not self.anew:
            whole = read_indexes_of(published) if published else None
            snapshot.indexes.update(whole or {})
            if whole is not None and self._accepts(snapshot):
                return
            self.anew = True
            self.upstream.persist(lambda _: read_indexes(self.upstream, snapshot), [snapshot.base])
        if snapshot.indexes and has_moved(self.upstream, snapshot.base, snapshot.data):
            raise Restart
        self.check_repomd(snapshot)

    def came_since(self, snapshot: Snapshot, published: Generation) -> bool:
        """Ask once more for a signature that was not made yet when its repomd.xml was published."""
        with contextlib.suppress(FetchError):
            read_indexes(self.upstream, snapshot)
        before = read_indexes_of(published) or {}
        self.anew = bool(snapshot.indexes) and {REPOMD_HREF: snapshot.data, **snapshot.indexes} != before
        return self.anew

    def check_pair(self, snapshot: Snapshot) -> None:
        """See that a new repomd.xml is signed; a pair of two states, of a publisher who is at it, is read again.

        Raises:
            Restart: It is such a pair.
            SignatureError: There is no signature, or none that is good.
        """
        try:
            self.check_repomd(snapshot)
        except SignatureError:
            if self._pairs >= MAX_PAIRS or not (
                has_moved(self.upstream, snapshot.base, snapshot.data) or _has_other(snapshot, self.upstream)
            ):
                raise
            self._pairs += 1
            raise Restart from None

    def check_packages(self, plan: Plan, pool: Pool, own: RepoLayout, width: int) -> list[str]:
        """Prove the signature of every package, but of those that were found good under these keys before.

        A retired one that is not good is not carried any longer; the warnings say which.

        Raises:
            SignatureError: One that upstream promises is not good; the message has the number of the others.
            LeftPool: One was here a moment ago.
        """
        if self.demands.packages is None:
            return []
        gpgv, bad = self.demands.packages, {}
        good = read_verdicts(own.verdicts, gpgv.id)
        keys = {path: pool.key(file.checksum) for path, file in plan.files.items() if _is_package(path, file.kind)}
        keys |= {entry.path: entry.key for entry in plan.carried if _is_package(entry.path, entry.kind)}

        def work(item: tuple[str, Checksum | None]) -> tuple[str, Checksum | None, SignatureError | None]:
            path, key = item
            try:
                if key is None:
                    raise SignatureError("cannot be checked: what it should be is not known any more")
                check_package(pool.path(key), gpgv)
            except SignatureError as error:
                error.href = path
                return path, key, error
            except LocalError as error:
                if path in plan.files and key is not None and file_size(pool.path(key)) is None:
                    raise LeftPool(path) from None
                if path in plan.files:
                    raise
                return path, key, SignatureError(f"cannot be checked: {error.cause}", href=path)
            return path, key, None

        todo = [(path, key) for path, key in keys.items() if str(key) not in good]
        for path, key, error in unordered(todo, work, max(1, min(width, len(todo)))):
            if error is None:
                good.add(str(key))
            else:
                logger.info("%s: %s", self.repo_id, error.message)
                bad[path] = error
        with translated("cannot write"):
            write_verdicts(own.verdicts, gpgv.id, sorted(good & set(map(str, keys.values()))))
        return _judge(plan, bad)


def _has_other(snapshot: Snapshot, upstream: Upstream) -> bool:
    """Tell whether the signature is another one by now."""
    before = dict(snapshot.indexes)
    with contextlib.suppress(FetchError):
        read_indexes(upstream, snapshot)
    return snapshot.indexes != before


def _is_package(path: str, kind: Kind) -> bool:
    """Tell whether clients could install a file, whatever the metadata calls it."""
    return kind is Kind.PACKAGE or path.endswith(".rpm")


def _judge(plan: Plan, bad: dict[str, SignatureError]) -> list[str]:
    promised = [error for path, error in sorted(bad.items()) if path in plan.files]
    if promised:
        worst = promised[0]
        if len(promised) > 1:
            worst.cause += f" (and {len(promised) - 1} more packages are not well signed; -v names them)"
        raise worst
    plan.carried = [entry for entry in plan.carried if entry.path not in bad]
    return [f"retired package {path} is not kept: {error.cause}" for path, error in sorted(bad.items())]
