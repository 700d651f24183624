"""The mirrors of a list, compared with each other: which lag behind, and which are broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.errors import FetchError, MirrorError, UpstreamError, redact
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.sync.parallel import unordered
from mirrorpy.verify.report import FindingKind

if TYPE_CHECKING:
    from mirrorpy.upstream import Upstream
    from mirrorpy.verify.report import Verdict


def compare_mirrors(upstream: Upstream, verdict: Verdict, jobs: int) -> None:
    """Read every mirror's repomd.xml; one that is broken or behind is a finding, with its URL for a path."""

    def ask(base: str) -> tuple[str, int, bytes, MirrorError | None]:
        try:
            data = upstream.persist(lambda url: upstream.read(url, REPOMD_HREF), [base]).data or b""
            return base, parse_repomd(data).timestamp, data, None
        except (FetchError, UpstreamError) as error:
            return base, 0, b"", error

    answers = list(unordered(upstream.order, ask, jobs))
    newest = max((made for _, made, _, _ in answers), default=0)
    pins = upstream.mirrors.pins
    for base, made, data, error in answers:
        if isinstance(error, FetchError):
            verdict.add(FindingKind.MISSING, redact(base), f"mirror is broken: {error.cause}")
        elif error is not None:
            verdict.add(FindingKind.METADATA, redact(base), f"mirror is broken: {error.cause}")
        elif pins and not any(pin.matches(data) for pin in pins):
            verdict.add(
                FindingKind.METADATA, redact(base), "mirror has a repomd.xml that the metalink does not vouch for"
            )
        elif made < newest:
            verdict.add(FindingKind.METADATA, redact(base), f"mirror lags {newest - made} seconds behind the newest")
