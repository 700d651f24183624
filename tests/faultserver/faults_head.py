"""Faults of status and headers: refusals, redirects, lies about the body, and what no client should have to parse."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from .answer import Answer, answer, text_answer
from .exchange import Exchange
from .registry import asks_for_head, fault, lacks_cookie, lacks_password

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
GARBAGE = "HTP/one.1 \0 fine"


@fault("status")
def status(
    exchange: Exchange,
    code: int = 500,
    body: str | bytes | None = None,
    headers: Mapping[str, str] | None = None,
    retry_after: str | int | None = None,
) -> None:
    """Answer with the status `code`, and Retry-After as it is given."""
    told = {} if retry_after is None else {"Retry-After": str(retry_after)}
    exchange.send(text_answer(code, body, told | dict(headers or {})))


@fault("redirect")
def redirect(exchange: Exchange, to: str | None = None, code: int = 302) -> None:
    """Redirect to a URL or a path below the folder, where {path} is the path asked for; without `to`, to nowhere."""
    told = {}
    if to is not None:
        place = to if URL.match(to) else f"/{quote(to.removeprefix('/'), safe='/{}')}"
        asked = quote(exchange.request.path.encode(errors="surrogateescape"))
        told["Location"] = place.replace("{path}", asked)
    exchange.send(text_answer(code, headers=told))


@fault("redirect-loop")
def redirect_loop(exchange: Exchange, code: int = 302) -> None:
    """Redirect to the same URL."""
    exchange.send(text_answer(code, headers={"Location": exchange.request.target}))


@fault("no-content")
def no_content(exchange: Exchange) -> None:
    """Answer 204."""
    exchange.send(Answer(204))


@fault("empty")
def empty(exchange: Exchange) -> None:
    """Answer 200 with Content-Length 0."""
    exchange.send(Answer(200, {"Content-Type": "application/octet-stream"}))


@fault("no-head", asks_for_head)
def no_head(exchange: Exchange) -> None:
    """Answer 405 to HEAD."""
    exchange.send(text_answer(405, headers={"Allow": "GET"}))


@fault("auth", lacks_password)
def auth(exchange: Exchange, user: str, password: str) -> None:
    """Answer 401 unless user and password are sent."""
    exchange.send(text_answer(401, headers={"WWW-Authenticate": 'Basic realm="packages"'}))


@fault("cookie", lacks_cookie)
def cookie(exchange: Exchange, name: str = "token", value: str = "1") -> None:
    """Redirect to the same URL with Set-Cookie, until the cookie is sent."""
    told = {"Location": exchange.request.target, "Set-Cookie": f"{name}={value}; Path=/"}
    exchange.send(text_answer(302, headers=told))


@fault("no-validators")
def no_validators(exchange: Exchange) -> None:
    """Be honest, but tell no ETag and no Last-Modified, and never answer 304."""
    exchange.send(answer(exchange.find(), exchange.request, validators=False))


@fault("encoding")
def encoding(exchange: Exchange, kind: str = "gzip") -> None:
    """Send the bytes as they are, with Content-Encoding `kind`."""
    honest = exchange.honest()
    honest.headers["Content-Encoding"] = kind
    exchange.send(honest)


@fault("huge-header")
def huge_header(exchange: Exchange, size: int = 1 << 20) -> None:
    """Be honest, with one header of `size` bytes."""
    honest = exchange.honest()
    honest.headers["X-Huge"] = "x" * size
    exchange.send(honest)


@fault("many-headers")
def many_headers(exchange: Exchange, count: int = 10_000) -> None:
    """Be honest, with `count` headers more."""
    honest = exchange.honest()
    honest.headers |= {f"X-Header-{number}": "x" for number in range(count)}
    exchange.send(honest)


@fault("garbage-status")
def garbage_status(exchange: Exchange, line: str | None = None) -> None:
    """Send a status line that is none, and close."""
    exchange.end()
    exchange.raw_head(f"{GARBAGE if line is None else line}\r\nContent-Length: 0\r\n\r\n".encode(), 0)
