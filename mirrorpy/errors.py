"""Everything mirrorpy raises, as one tree; each branch is one exit status.

MirrorError             70   a fault of mirrorpy's own, where it is none of these
├── ConfigError            2   the configuration, or the command line
├── FetchError             3   upstream could not be reached or did not give a file
│   ├── NotFound           3   a mirror says that it does not have the file
│   └── UpstreamMoving     3   upstream changed under every attempt
├── UpstreamError          4   upstream is wrong
│   ├── RepodataError      4   malformed or inconsistent metadata
│   ├── UnsafeHref         4   a location that leaves the repository
│   └── ChecksumMismatch   4   other bytes than the metadata promises
├── SignatureError         5   a signature is missing, bad, or not trusted
├── LocalError             6   this machine: disk, permissions, links
│   └── LeftPool           6   a file that was in the pool a moment ago is gone
├── LockHeld               7   another run holds the repository
└── GuardError             8   a guard refused the change
"""

from __future__ import annotations

import re
from typing import ClassVar
from urllib.parse import unquote

MAX_MESSAGE = 2000
_USERINFO = re.compile(r"(?<=//)[^/\s]*@")


def one_line(text: str) -> str:
    """Return text safe to print on one line: control characters are escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def redact(url: str) -> str:
    """Return a URL without user and password, and without a query, which may hold a token."""
    return _USERINFO.sub("", url).partition("?")[0]


class MirrorError(Exception):
    """A failure that a user can read: what, where, and what to do."""

    exit_status: ClassVar[int] = 70

    def __init__(self, cause: str, *, url: str | None = None, href: str | None = None, hint: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.url = url
        self.href = href
        self.hint = hint

    @property
    def message(self) -> str:
        """One line: the file or URL, the cause, and what to do about it."""
        parts = [self.url] if self.url and self.url not in self.cause else []
        if self.href and self.href not in unquote(self.url or "") and self.href not in self.cause:
            parts.append(self.href)
        text = one_line(": ".join([*parts, self.cause]))
        # What upstream wrote may be megabytes long.
        text = text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"
        return f"{text}; {one_line(self.hint)}" if self.hint else text

    def __str__(self) -> str:
        return self.message


class ConfigError(MirrorError):
    """The configuration or the command line is wrong."""

    exit_status = 2


class FetchError(MirrorError):
    """Upstream could not be reached, or did not give a file."""

    exit_status = 3

    def __init__(
        self,
        cause: str,
        *,
        url: str | None = None,
        href: str | None = None,
        hint: str | None = None,
        retryable: bool = False,
        retry_after: float = 0.0,
        status: int | None = None,
    ) -> None:
        super().__init__(cause, url=url, href=href, hint=hint)
        self.retryable = retryable
        self.status = status
        """HTTP's, where there was an answer."""
        self.retry_after = retry_after
        """Seconds that the server asked to be left alone."""


class NotFound(FetchError):
    """A mirror says that it does not have the file (404, 410)."""


class UpstreamMoving(FetchError):
    """Upstream changed under every attempt to read one state of it."""


class UpstreamError(MirrorError):
    """Upstream is wrong: its metadata, or the bytes it gives."""

    exit_status = 4


class RepodataError(UpstreamError):
    """Metadata is malformed or contradicts itself."""


class UnsafeHref(UpstreamError):
    """A location would leave the repository or cannot be a file in it."""


class ChecksumMismatch(UpstreamError):
    """The bytes are not those that the metadata promises, by size or checksum."""


class SignatureError(MirrorError):
    """A signature is missing, bad, or by a key that is not trusted."""

    exit_status = 5


class LocalError(MirrorError):
    """This machine: disk full, permissions, read-only, not a place where links work."""

    exit_status = 6


class LeftPool(LocalError):
    """A file that was in the pool a moment ago is gone: a repair beside this run found it damaged."""

    def __init__(self, href: str) -> None:
        super().__init__("left the pool during the sync", href=href, hint="run again")


class LockHeld(MirrorError):
    """Another run holds the repository."""

    exit_status = 7


class GuardError(MirrorError):
    """A guard refused a change that looks like an accident upstream."""

    exit_status = 8
