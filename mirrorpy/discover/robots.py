"""What robots.txt asks for: a person named the URL, so it is shown and not obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from mirrorpy.errors import MirrorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirrorpy.upstream import Upstream

CAP = 512 * 1024
AGENT = "mirrorpy"
MAX_DIGITS = 9
"""Of a delay that is shown."""


def read_robots(upstream: Upstream, url: str) -> Iterator[str]:
    """Yield what the host of a URL asks of robots, a line each; what cannot be read asks for nothing."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return
    try:
        document = upstream.read(f"{parts.scheme}://{parts.netloc}/", "robots.txt", cap=CAP)
    except MirrorError:
        return
    robots = RobotFileParser()
    robots.parse(list(filter(_is_readable, (document.data or b"").decode("utf-8", "replace").splitlines())))
    if not robots.can_fetch(AGENT, parts._replace(netloc="host").geturl()):
        yield f"{document.url} asks robots to keep away from here"
    delay = str(robots.crawl_delay(AGENT) or "")
    if 0 < len(delay) <= MAX_DIGITS:
        yield f"{document.url} asks robots to wait {delay} seconds between requests"


def _is_readable(line: str) -> bool:
    """Tell whether the parser takes a line: it raises for a number or a URL that is none."""
    try:
        RobotFileParser().parse([f"User-agent: {AGENT}", line])
    except ValueError:
        return False
    return True
