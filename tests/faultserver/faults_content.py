"""Faults of what is sent: well-formed answers with something else in them."""

import gzip
import zlib
from dataclasses import replace
from pathlib import Path

from .answer import Body, Resource, answer, text_answer
from .exchange import Exchange
from .registry import asks_for_body, fault

PAGE = "<!DOCTYPE html>\n<html><head><title>Not found</title></head><body><h1>Sorry, we moved</h1></body></html>\n"


@fault("wrong", asks_for_body)
def wrong(exchange: Exchange, at: int = 0) -> None:
    """Flip one bit of byte `at` of the file (counted from its end if negative); size and ETag stay."""
    found = exchange.find()
    if isinstance(found, Resource):
        found = found.with_data(_flip(found.whole.data(), at))
    exchange.send(answer(found, exchange.request))


@fault("changed")
def changed(exchange: Exchange) -> None:
    """Serve another version: same size, other bytes, new ETag, a later Last-Modified."""
    found = exchange.find()
    if isinstance(found, Resource):
        found = found.with_data(bytes(byte ^ 0xFF for byte in found.whole.data()))
        found = replace(found, etag=f'"changed-{found.etag.strip(chr(34))}"', modified=found.modified + 60)
    exchange.send(answer(found, exchange.request))


@fault("gzip-twice")
def gzip_twice(exchange: Exchange) -> None:
    """Send the file compressed once more, with Content-Encoding: gzip."""
    found = exchange.find()
    if isinstance(found, Resource):
        found = found.with_data(gzip.compress(found.whole.data(), mtime=0))
    given = answer(found, exchange.request)
    given.headers["Content-Encoding"] = "gzip"
    exchange.send(given)


@fault("page")
def page(exchange: Exchange, body: str | None = None) -> None:
    """Answer 200 with a page of HTML, as sites do instead of 404."""
    exchange.send(text_answer(200, PAGE if body is None else body))


@fault("content")
def content(exchange: Exchange, data: bytes | Path | str) -> None:
    """Serve these bytes, or those of the file `data`, honestly instead."""
    given = data if isinstance(data, bytes) else Path(data).read_bytes()
    etag = f'"{zlib.crc32(given):x}-{len(given):x}"'
    found = Resource(Body(given, 0, len(given)), "application/octet-stream", exchange.server.started, etag)
    exchange.send(answer(found, exchange.request))


@fault("lagging")
def lagging(exchange: Exchange, folder: Path | str, base: str | None = None) -> None:
    """Serve this path, and all paths below `base` if given, from another folder."""
    exchange.send(exchange.honest(Path(folder)))


@fault("switch")
def switch(exchange: Exchange, folder: Path | str) -> None:
    """From now on serve another folder, all of it."""
    exchange.server.folder = Path(folder)
    exchange.send(exchange.honest())


def _flip(data: bytes, at: int) -> bytes:
    flipped = bytearray(data)
    if -len(data) <= at < len(data):
        flipped[at] ^= 1
    return bytes(flipped)
