"""Whether a signature belongs to the repomd.xml beside it: proved with a key, or at least not older than it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mirrorpy.errors import SignatureError, UpstreamError
from mirrorpy.rpmmd.href import SIGNATURE_HREF
from mirrorpy.rpmmd.mirrors import REPOMD_HREF
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.signatures import signed_at
from mirrorpy.verify.report import FindingKind

if TYPE_CHECKING:
    from mirrorpy.signatures import Demands
    from mirrorpy.verify.promises import Source
    from mirrorpy.verify.report import Verdict


def check_pairing(source: Source, demands: Demands, verdict: Verdict, *, required: bool, prefix: str = "") -> None:
    """Look at repomd.xml.asc, where there is one, or one is demanded and required; prefix is a repository's inside."""
    data, signature = source.read_index(prefix + REPOMD_HREF), source.read_index(prefix + SIGNATURE_HREF)
    if data is None or (signature is None and not (required and demands.repomd)):
        return
    try:
        if signature is None:
            raise SignatureError("is not there, and is asked for")
        if demands.repomd is not None:
            demands.repomd.check(signature, data)
        else:
            _check_age(signature, data)
    except SignatureError as error:
        verdict.add(FindingKind.SIGNATURE, prefix + SIGNATURE_HREF, error.cause)


def _check_age(signature: bytes, data: bytes) -> None:
    made = signed_at(signature)
    if made is None:
        raise SignatureError("is no OpenPGP signature")
    try:
        times = [record.timestamp for record in parse_repomd(data).records]
    except UpstreamError:
        return
    newest = max((seconds for seconds in times if seconds <= time.time()), default=0)
    if made < newest:
        raise SignatureError(f"is {newest - made} seconds older than what repomd.xml lists: it is of another state")
