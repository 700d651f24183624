"""Bytes as files, for what reads by name."""

import contextlib
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def named(data: bytes) -> Iterator[str]:
    """A name under which these bytes can be opened: of a real file, as links are refused in places."""
    with tempfile.NamedTemporaryFile(prefix="fuzz-", buffering=0) as file:
        file.write(data)
        yield file.name
