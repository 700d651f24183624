"""Attempts: every mirror in a round, waiting between rounds, until one gives what was asked or none ever will."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, TypeVar

from mirrorpy.errors import ChecksumMismatch, FetchError, MirrorError, NotFound, SignatureError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mirrorpy.upstream.network import Patience

T = TypeVar("T")
FAILURES = (FetchError, UpstreamError, SignatureError)
"""After these another mirror may do better."""
MAX_MIRRORS_TRIED = 10
"""Of a long list, so that one file that nobody has does not cost hundreds of requests."""
logger = logging.getLogger(__name__)


def try_mirrors(
    baseurls: Sequence[str],
    action: Callable[[str], T],
    *,
    retries: int,
    patience: Patience,
    retried: Callable[[], None],
    failed: Callable[[str, MirrorError], None],
) -> T:
    """Return what action gives for the first mirror that gives it.

    A mirror that is unreachable or overloaded is asked again in the next round; one that says no, or gives wrong bytes,
    is not. With one mirror this is plain retrying, with exponential backoff, jitter, and Retry-After to a cap.

    Raises:
        SignatureError: Any mirror gave what is not well signed, and none what is.
        UpstreamError: Any mirror gave wrong bytes, and none the right ones.
        NotFound: Every mirror says that it does not have the file.
        FetchError: Otherwise; each mirror is named.
    """
    alive = list(baseurls[:MAX_MIRRORS_TRIED])
    failures: dict[str, MirrorError] = {}

    def one_round() -> T:
        for base in tuple(alive):
            try:
                return action(base)
            except FAILURES as error:
                logger.debug("%s", error)
                failures[base] = error
                failed(base, error)
                if not (isinstance(error, FetchError) and error.retryable):
                    alive.remove(base)
        raise _combined(list(failures.values()))

    def pause(attempt: int) -> float:
        asked = max((getattr(failures[base], "retry_after", 0.0) for base in alive), default=0.0)
        backoff: float = min(patience.most, patience.first * 2 ** min(attempt - 1, 20))
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing
        return max(jittered, min(asked, patience.retry_after_most))

    try:
        return one_round()
    except FAILURES:
        if not (alive and retries):
            raise
    # Imported only now, and set up only now: nearly all of a run's thousands of files come at once.
    import tenacity  # noqa: PLC0415

    retried()
    time.sleep(pause(1))
    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(retries),
        wait=lambda state: pause(state.attempt_number + 1),
        before_sleep=lambda _: retried(),
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, FAILURES) and bool(alive)),
        reraise=True,
    )
    return attempts(one_round)


def _combined(errors: list[MirrorError]) -> MirrorError:
    if len(errors) == 1:
        return errors[0]
    cause = f"every mirror failed: {'; '.join(error.message for error in errors)}"
    href = errors[0].href
    if any(isinstance(error, SignatureError) for error in errors):
        return SignatureError(cause, href=href)
    if any(isinstance(error, UpstreamError) for error in errors):
        return ChecksumMismatch(cause, href=href)
    if all(isinstance(error, NotFound) for error in errors):
        return NotFound(cause, href=href)
    return FetchError(cause, href=href)
