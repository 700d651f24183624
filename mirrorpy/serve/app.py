"""The ASGI application: GET and HEAD of what lies below root, and nothing else."""

from __future__ import annotations

import email.utils
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import NotModifiedResponse

from mirrorpy.figures import LAST_DATE
from mirrorpy.rpmmd.freshness import ASK, cache_control
from mirrorpy.rpmmd.media import media_type
from mirrorpy.serve.site import Found, Refused
from mirrorpy.upstream.dates import parse_date

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mirrorpy.serve.index import Pages
    from mirrorpy.serve.site import Site

METHODS = ("GET", "HEAD")
_SAFE = {"X-Content-Type-Options": "nosniff"}
_PAGE = {
    **_SAFE,
    "Cache-Control": ASK,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class _Chunks(FileResponse):
    """A file in pieces large enough that the threads that read them do not cost more than the reading."""

    chunk_size = 128 * 1024


@dataclass(frozen=True)
class App:
    """Answers requests; it holds no state but what is on disk."""

    site: Site
    pages: Pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if scope["method"] not in METHODS:
                raise Refused(405, "only GET and HEAD")
            found = await run_in_threadpool(self.site.find, scope["raw_path"])
        except Refused as refused:
            await _refuse(refused)(scope, receive, send)
            return
        with found:
            response = await self._answer(found, Request(scope))
            await response(scope, receive, send)

    async def _answer(self, found: Found, request: Request) -> Response:
        if not found.is_folder:
            return self._file(found, request)
        if not request.scope["raw_path"].endswith(b"/"):
            return RedirectResponse(_location(found), 301, {"Cache-Control": ASK})
        try:
            page = await run_in_threadpool(self._page, found)
        except Refused as refused:
            return _refuse(refused)
        return HTMLResponse(page, headers=_PAGE)

    def _page(self, found: Found) -> bytes:
        return self.pages.render(found.path, self.site.list_folder(found))

    def _file(self, found: Found, request: Request) -> Response:
        info = found.info
        headers = {
            **_SAFE,
            "ETag": f'"{info.st_ino:x}-{info.st_mtime_ns:x}-{info.st_size:x}"',
            "Last-Modified": email.utils.formatdate(min(info.st_mtime, LAST_DATE), usegmt=True),
        }
        if fresh := cache_control(found.path):
            headers["Cache-Control"] = fresh
        response = _Chunks(found.file, headers=headers, media_type=media_type(found.path), stat_result=info)
        return NotModifiedResponse(response.headers) if _is_known(request, response) else response


def _is_known(request: Request, response: Response) -> bool:
    """Tell whether the client has this very file (RFC 9110, 13.1.2 and 13.1.3)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return bool(known & {"*", response.headers["etag"]})
    since = parse_date(request.headers.get("if-modified-since"))
    changed = parse_date(response.headers["last-modified"])
    return since is not None and changed is not None and changed <= since


def _location(found: Found) -> str:
    """Return a folder's own path; it begins with one slash, so that it names no other host."""
    path = quote_from_bytes(os.fsencode(found.path))
    return f"/{path}/" if path else "/"


def _refuse(refused: Refused) -> Response:
    headers = {**_SAFE, "Cache-Control": ASK} | ({"Allow": ", ".join(METHODS)} if refused.status == 405 else {})
    return PlainTextResponse(f"{refused.reason}\n", refused.status, headers)
