"""What one run tells the next: the conditions of the next question, and how it went."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from mirrorpy.errors import LocalError, MirrorError, UpstreamError, redact
from mirrorpy.rpmmd.href import SIGNATURE_HREF
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.store.durable import translated
from mirrorpy.store.state import RepoState, write_state
from mirrorpy.sync.snapshot import Known, Snapshot, known_timestamp

if TYPE_CHECKING:
    from mirrorpy.config.model import Repository
    from mirrorpy.store.generation import Generation
    from mirrorpy.sync.report import RepoReport
    from mirrorpy.sync.shortfall import Shortfall
    from mirrorpy.upstream import Upstream


SIGNATURE_PATIENCE = 86_400
"""Seconds; longer than anybody takes to sign, and not for ever, as some upload the signature first."""


def recall(published: Generation | None, state: RepoState, repo: Repository, now: float) -> Known:
    """Return what is published, as its own repomd.xml tells it; only the validators come from the state."""
    data = published.read(REPOMD_HREF) if published else None
    if published is None or data is None:
        return Known(timestamp=state.timestamp if published and state.generation == published.name else 0)
    current = state.generation == published.name
    if current and state.repomd_sha256 not in (None, hashlib.sha256(data).hexdigest()):
        # Damaged here; an older state is none the less older.
        return Known(timestamp=state.timestamp)
    try:
        timestamp = known_timestamp(parse_repomd(data), now)
    except UpstreamError:
        return Known(timestamp=state.timestamp if current else 0)
    signed = published.read(SIGNATURE_HREF) is not None
    if not current or state.fingerprint != repo.fingerprint:
        return Known(data, timestamp, signed=signed)
    return Known(data, timestamp, state.upstream, state.etag, state.last_modified, signed)


def keep_validators(state: RepoState, snapshot: Snapshot, upstream: Upstream, repo: Repository, now: float) -> None:
    """Remember what makes the next question a conditional one.

    Where repomd.xml was as young as its server's clock is coarse, it could change once more under the same validators
    (RFC 9110, 8.8.2.2); then one more question, now that time has passed, tells whether it did.
    """
    state.fingerprint = repo.fingerprint
    document = snapshot.document
    if document is None or document.data is None:
        # `not modified` need not repeat the validators (RFC 9110, 15.4.5), and those that we have still hold.
        return
    etag, last_modified = document.etag, document.last_modified
    if document.racy and (etag or last_modified):
        with contextlib.suppress(MirrorError):
            again = upstream.read(snapshot.base, REPOMD_HREF, etag=etag, last_modified=last_modified)
            if again.racy or again.data not in (None, snapshot.data):
                etag = last_modified = None
    state.upstream, state.etag, state.last_modified = redact(snapshot.base), etag, last_modified
    state.repomd_sha256, state.revision = snapshot.sha256, snapshot.repomd.revision
    state.timestamp = known_timestamp(snapshot.repomd, now)


def remember_signature(state: RepoState, snapshot: Snapshot, now: float) -> None:
    """Note whether repomd.xml was published before its signature was made, as publishers do who sign last."""
    state.signature_due = now + SIGNATURE_PATIENCE if snapshot.unsigned_yet else 0.0


def remember_publication(
    state: RepoState, repo: Repository, generation: Generation, shortfall: Shortfall, trust: str
) -> None:
    """Note where, as what, and under which demands of signatures a repository is published."""
    if state.path and state.path != repo.path and state.path not in state.former_paths:
        state.former_paths.append(state.path)
    state.former_paths = [path for path in state.former_paths if path != repo.path]
    state.path, state.generation, state.trust = repo.path, generation.name, trust
    # A delta RPM that upstream lists and does not have is not asked for again: clients do without.
    lacking = {path for path in shortfall.missing if not path.endswith(".drpm")}
    state.missing = sorted(lacking - shortfall.forgone.keys())
    state.forgone = dict(sorted(shortfall.forgone.items()))


def remember_run(path: str, state: RepoState, report: RepoReport, now: float) -> None:
    """Write the state, as far as this machine lets; it can be lost without losing data."""
    state.last_run = now
    state.warnings = report.warnings
    state.error = report.error.message if report.error else None
    if report.error is None:
        state.last_success = now
        state.packages, state.bytes = report.packages, report.bytes
    with contextlib.suppress(LocalError), translated("cannot write the state"):
        write_state(path, state)
