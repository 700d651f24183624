"""Faults of how a body comes: too short, too long, too slow, badly framed."""

from .answer import PIECE, Answer, Body
from .exchange import Exchange
from .registry import asks_for_body, fault

TICKS = 50
"""How often a second a slow body goes on."""


@fault("short", asks_for_body)
def short(exchange: Exchange, at: int | None = None) -> None:
    """Send the right Content-Length, only `at` bytes (half if not given), and close."""
    honest = exchange.honest()
    exchange.end()
    exchange.head(honest)
    exchange.body(honest.body.cut(_half(at, honest.size)))


@fault("cut", asks_for_body)
def cut(exchange: Exchange, at: int | None = None) -> None:
    """Send no Content-Length, only `at` bytes (half if not given), and close in order."""
    honest = exchange.honest()
    exchange.end()
    exchange.head(honest, length=None)
    exchange.body(honest.body.cut(_half(at, honest.size)))


@fault("long", asks_for_body)
def long(exchange: Exchange, extra: int = 1000, *, honest_length: bool = False, without_length: bool = False) -> None:
    """Send `extra` bytes too many: beyond Content-Length, or counted in it, or without it."""
    honest = exchange.honest()
    exchange.end()
    length = honest.size + extra if honest_length else honest.size
    exchange.head(honest, length=None if without_length else length)
    exchange.body(honest.body)
    exchange.body(Body(b"x" * extra, 0, extra))


@fault("endless", asks_for_body, waits=True)
def endless(exchange: Exchange) -> None:
    """Send the body, and then bytes for ever until the client goes, without Content-Length."""
    honest = exchange.honest()
    exchange.end()
    honest.status = 200
    exchange.head(honest, length=None)
    exchange.body(honest.body)
    while True:
        exchange.write(b"x" * PIECE)


@fault("wrong-length")
def wrong_length(exchange: Exchange, by: int = 1, length: int | None = None) -> None:
    """Send another Content-Length (`length`, or the right one plus `by`) with the right body, and close."""
    honest = exchange.honest()
    exchange.end()
    exchange.head(honest, length=max(0, honest.size + by) if length is None else length)
    exchange.body(honest.body)


@fault("no-length", asks_for_body)
def no_length(exchange: Exchange) -> None:
    """Be honest, without Content-Length: the end of the connection is the end of the body."""
    honest = exchange.honest()
    exchange.end()
    exchange.head(honest, length=None)
    exchange.body(honest.body)


@fault("stall", asks_for_body, waits=True)
def stall(exchange: Exchange, at: int = 0, seconds: float | None = None) -> None:
    """Send `at` bytes of body, then nothing until the client goes; after `seconds`, if given, the rest."""
    honest = exchange.honest()
    exchange.head(honest)
    first = honest.body.cut(at)
    exchange.body(first)
    exchange.wait(seconds)
    exchange.body(honest.body.after(first.size))


@fault("drip", asks_for_body, waits=True)
def drip(exchange: Exchange, every: float = 0.1) -> None:
    """Send one byte of the body each `every` seconds."""
    honest = exchange.honest()
    exchange.head(honest)
    for piece in honest.body.pieces(1):
        exchange.wait(every)
        exchange.write(piece)


@fault("slow", asks_for_body, waits=True)
def slow(exchange: Exchange, rate: float) -> None:
    """Send `rate` bytes of the body a second, or none for ever."""
    honest = exchange.honest()
    exchange.head(honest)
    size = max(1, int(rate / TICKS))
    for piece in honest.body.pieces(size):
        exchange.wait(size / rate if rate > 0 else None)
        exchange.write(piece)


@fault("chunked", asks_for_body)
def chunked(exchange: Exchange, size: int = 8192) -> None:
    """Be honest, in chunks of `size` bytes without Content-Length."""
    honest = exchange.honest()
    _chunked_head(exchange, honest)
    _chunks(exchange, honest.body, max(1, size))
    exchange.raw(b"0\r\n\r\n")


@fault("bad-chunk", asks_for_body)
def bad_chunk(exchange: Exchange, at: int | None = None) -> None:
    """Send `at` bytes (half if not given) as a good chunk, then a chunk whose size is garbage, and close."""
    honest = exchange.honest()
    exchange.end()
    _chunked_head(exchange, honest)
    _chunks(exchange, honest.body.cut(_half(at, honest.size)))
    exchange.raw(b"garbage\r\nmore of it\r\n")


@fault("truncated-chunk", asks_for_body)
def truncated_chunk(exchange: Exchange, at: int | None = None) -> None:
    """Announce the body as one chunk, send `at` bytes of it (half if not given), and close."""
    honest = exchange.honest()
    exchange.end()
    _chunked_head(exchange, honest)
    exchange.raw(b"%x\r\n" % max(1, honest.size))
    exchange.body(honest.body.cut(_half(at, honest.size)))


def _half(at: int | None, size: int) -> int:
    return size // 2 if at is None else at


def _chunked_head(exchange: Exchange, honest: Answer) -> None:
    honest.headers["Transfer-Encoding"] = "chunked"
    exchange.head(honest, length=None)


def _chunks(exchange: Exchange, body: Body, size: int = PIECE) -> None:
    for piece in body.pieces(size):
        exchange.write(piece, (b"%x\r\n" % len(piece), b"\r\n"))
