"""Bytes that look like documents: valid ones, and valid ones with damage."""

from hypothesis import strategies as st

BREAKERS = [
    b"",
    b"\0",
    b"\xff",
    b"<",
    b">",
    b"&",
    b'"',
    b"]]>",
    b"<!--",
    b"<!DOCTYPE x>",
    b"<![CDATA[",
    b"&#0;",
    b"&x;",
    b"-1",
    b"9" * 30,
    b"../",
    b"\xed\xa0\x80",
    b"$",
    b"\x1b[31m",
    b"\r\n",
    b" ",
    b"NaN",
    b"[",
    b"://",
]


@st.composite
def damaged(draw: st.DrawFn, *documents: bytes) -> bytes:
    """One of these documents, with pieces cut, repeated, exchanged or put in."""
    data = bytearray(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 20))
        kind = draw(st.sampled_from(["insert", "replace", "cut", "repeat", "flip", "end"]))
        if kind == "insert":
            data[place:place] = draw(st.sampled_from(BREAKERS) | st.binary(max_size=8))
        elif kind == "replace":
            data[place : place + length] = draw(st.sampled_from(BREAKERS) | st.binary(max_size=8))
        elif kind == "cut":
            del data[place : place + length]
        elif kind == "repeat":
            data[place:place] = data[place : place + length] * draw(st.integers(1, 50))
        elif kind == "flip" and place < len(data):
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "end":
            del data[place:]
    return bytes(data)


def bytes_like(*documents: bytes) -> st.SearchStrategy[bytes]:
    """Any bytes, and damaged documents."""
    return st.binary(max_size=200) | damaged(*documents) | damaged(*documents)


def one_line(message: str, begins: str = "") -> None:
    """Hold a message to what no terminal and no log stumbles over."""
    assert message
    assert message.isprintable()
    assert message.startswith(begins)
