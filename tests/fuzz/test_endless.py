"""What has no end: no length of input is enough to find that out, so each is asked for on its own."""

import pytest

from mirrorpy.upstream.body import LINE_CAP, Broken, body_of

from .bounds import MIB

ENDLESS = {
    "a chunk's line": b"1" * 512,
    "a chunk's extension": b"1;" + b"x" * 510,
    "trailers": b"0\r\n" + b"a: b\r\n" * 100,
}


@pytest.mark.parametrize("piece", ENDLESS.values(), ids=ENDLESS)
def test_a_body_that_says_nothing_any_more_is_given_up(piece):
    """After a few pages of it, not when the server likes to end."""
    sent = 0

    def receive(most: int) -> memoryview:
        nonlocal sent
        sent += len(piece)
        assert sent < MIB
        return memoryview(piece.removeprefix(b"0\r\n") if sent > len(piece) else piece)[:most]

    with pytest.raises(Broken):
        list(body_of({"transfer-encoding": "chunked"}, memoryview(b""), receive, bodiless=False))
    assert sent < 2 * LINE_CAP + 2 * len(piece)
