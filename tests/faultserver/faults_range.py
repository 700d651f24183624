"""Faults of Range: ignored, refused, or answered with something else."""

from typing import Literal

from .answer import Answer, Body, Resource, answer, part, text_answer
from .exchange import Exchange
from .registry import asks_for_body, asks_for_range, asks_for_whole, fault

BOUNDARY = "THIS_SEPARATES"


@fault("ignore-range", asks_for_range)
def ignore_range(exchange: Exchange) -> None:
    """Answer 200 with the whole file."""
    exchange.send(answer(exchange.find(), exchange.request, ranged=False))


@fault("refuse-range", asks_for_range)
def refuse_range(exchange: Exchange) -> None:
    """Answer 416."""
    found = exchange.find()
    size = found.whole.size if isinstance(found, Resource) else 0
    exchange.send(text_answer(416, headers={"Content-Range": f"bytes */{size}"}))


@fault("wrong-range", asks_for_range)
def wrong_range(exchange: Exchange, kind: Literal["shifted", "absent", "malformed"] = "shifted") -> None:
    """Answer 206 with the range one byte off and Content-Range saying so, or with that header absent or malformed."""
    found = exchange.find()
    honest = answer(found, exchange.request)
    if honest.status == 206 and isinstance(found, Resource):
        told = honest.headers.pop("Content-Range")
        if kind == "shifted":
            first = honest.body.start - found.whole.start
            first += -1 if first else 1
            last = min(first + honest.size, found.whole.size) - 1
            honest = part(found, first, max(first, last), honest.headers)
        elif kind == "malformed":
            honest.headers["Content-Range"] = told.replace("-", " to ").replace("/", " of ")
    exchange.send(honest)


@fault("unasked-206", asks_for_whole)
def unasked_206(exchange: Exchange, at: int | None = None) -> None:
    """Answer 206 with the first `at` bytes (half if not given) to who did not ask for a range."""
    found = exchange.find()
    honest = answer(found, exchange.request)
    if honest.status == 200 and isinstance(found, Resource) and honest.size:
        size = max(1, honest.size // 2 if at is None else min(at, honest.size))
        honest = part(found, 0, size - 1, honest.headers)
    exchange.send(honest)


@fault("multipart-206", asks_for_body)
def multipart_206(exchange: Exchange) -> None:
    """Answer 206 with what was asked for, as two parts of multipart/byteranges."""
    found = exchange.find()
    honest = answer(found, exchange.request)
    if honest.status in (200, 206) and isinstance(found, Resource):
        first = honest.body.start - found.whole.start
        middle, end = first + honest.size // 2, first + honest.size
        data = b""
        for start, stop in ((first, middle), (middle, end)):
            data += (
                f"\r\n--{BOUNDARY}\r\nContent-Type: {found.type}\r\n"
                f"Content-Range: bytes {start}-{stop - 1}/{found.whole.size}\r\n\r\n"
            ).encode()
            data += found.whole.after(start).cut(stop - start).data()
        data += f"\r\n--{BOUNDARY}--\r\n".encode()
        honest.headers.pop("Content-Range", None)
        told = honest.headers | {"Content-Type": f"multipart/byteranges; boundary={BOUNDARY}"}
        honest = Answer(206, told, Body(data, 0, len(data)))
    exchange.send(honest)
