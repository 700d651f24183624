"""file:// as an httpx transport, so that a folder is an upstream like any other: conditions, ranges and all."""

from __future__ import annotations

import email.utils
import errno
import os
import re
import stat
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 256 * 1024
_RANGE = re.compile(r"bytes=(\d+)-")


class _FileStream(httpx.SyncByteStream):
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __iter__(self) -> Iterator[bytes]:
        try:
            while block := os.read(self._descriptor, _BLOCK):
                yield block
        except OSError as error:
            raise httpx.ReadError(str(error)) from error

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class FileTransport(httpx.BaseTransport):
    """Answers GET for file:// URLs as a web server would."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Open the file that the URL names; only regular files are."""
        if request.url.host not in ("", "localhost"):
            raise httpx.UnsupportedProtocol("file:// names a host")
        path = os.fsdecode(unquote_to_bytes(request.url.raw_path.partition(b"?")[0]))
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            return httpx.Response(_status(error), headers={"Content-Length": "0"})
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            os.close(descriptor)
            return httpx.Response(404, headers={"Content-Length": "0"})
        return _answer(request, descriptor, info)


def _status(error: OSError | ValueError) -> int:
    code = getattr(error, "errno", None)
    if code in (errno.EACCES, errno.EPERM):
        return 403
    return 404 if code in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, None) else 500


def _answer(request: httpx.Request, descriptor: int, info: os.stat_result) -> httpx.Response:
    headers = {
        "Date": email.utils.formatdate(time.time(), usegmt=True),
        "Last-Modified": email.utils.formatdate(info.st_mtime, usegmt=True),
        "ETag": f'"{info.st_ino:x}-{info.st_mtime_ns:x}-{info.st_size:x}"',
        "Content-Length": str(info.st_size),
    }
    if request.headers.get("If-None-Match") == headers["ETag"]:
        os.close(descriptor)
        return httpx.Response(304, headers={**headers, "Content-Length": "0"})
    wanted = _RANGE.fullmatch(request.headers.get("Range", ""))
    start = int(wanted[1]) if wanted else 0
    if request.headers.get("If-Range", headers["ETag"]) not in (headers["ETag"], headers["Last-Modified"]):
        start = 0
    if not start:
        return httpx.Response(200, headers=headers, stream=_FileStream(descriptor))
    if start >= info.st_size:
        os.close(descriptor)
        return httpx.Response(416, headers={"Content-Range": f"bytes */{info.st_size}"})
    os.lseek(descriptor, start, os.SEEK_SET)
    headers["Content-Range"] = f"bytes {start}-{info.st_size - 1}/{info.st_size}"
    headers["Content-Length"] = str(info.st_size - start)
    return httpx.Response(206, headers=headers, stream=_FileStream(descriptor))
