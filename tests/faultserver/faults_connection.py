"""Faults of the connection itself."""

from .exchange import Exchange
from .registry import fault


@fault("reset")
def reset(exchange: Exchange, at: int | None = None) -> None:
    """Break the connection with an RST after `at` bytes of body, or before any answer if not given."""
    if at is not None:
        honest = exchange.honest()
        exchange.head(honest)
        exchange.body(honest.body.cut(at))
    exchange.reset()


@fault("hang", waits=True)
def hang(exchange: Exchange, seconds: float | None = None) -> None:
    """Take the request and never answer; after `seconds`, if given, be honest."""
    exchange.wait(seconds)
    exchange.send(exchange.honest())


@fault("delay", waits=True)
def delay(exchange: Exchange, seconds: float) -> None:
    """Be honest after `seconds`."""
    exchange.wait(seconds)
    exchange.send(exchange.honest())


@fault("drip-headers", waits=True)
def drip_headers(exchange: Exchange, every: float = 0.1) -> None:
    """Send one byte of the head each `every` seconds, then the body at once."""
    honest = exchange.honest()
    exchange.head(honest)
    for byte in exchange.take_head():
        exchange.wait(every)
        exchange.connection.send(bytes([byte]))
    exchange.body(honest.body)


@fault("close-idle", waits=True)
def close_idle(exchange: Exchange, *, late: bool = False) -> None:
    """Be honest and silently close the connection that was to stay; if `late`, reset it at the next request."""
    exchange.stays = True
    exchange.send(exchange.honest())
    exchange.flush()
    if late:
        exchange.connection.await_more()
        exchange.reset()
    exchange.drop()
