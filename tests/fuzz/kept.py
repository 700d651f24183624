"""How mirrorpy reads what it wrote itself, which a disk, a crash or a curious admin may have changed since."""

import hashlib
import tempfile
import time
from pathlib import Path

import msgspec

from mirrorpy.cli.status import document, row
from mirrorpy.config.model import Repository
from mirrorpy.mirror import RepoStatus
from mirrorpy.serve.index import Pages
from mirrorpy.store.layout import Layout, Place
from mirrorpy.store.manifest import FOOTER, is_whole, read_manifest
from mirrorpy.store.proofs import read_proofs
from mirrorpy.store.state import read_state
from mirrorpy.store.verdicts import read_verdicts
from mirrorpy.store.weak import read_weak
from tests.property.strategies import one_line

from .files import named
from .seeds import VERDICTS


def state(data: bytes) -> None:
    """Whatever was remembered can be shown: by `status`, as text and as JSON, and on the pages of `serve`."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
        layout = Layout(root)
        own = Path(layout.repo("a").state)
        own.parent.mkdir(parents=True)
        own.write_bytes(data)
        found = read_state(str(own))
        line = RepoStatus(id="a", path="a", configured=True, state=found)
        for cell in row(line, time.time()):
            one_line(cell)
        assert msgspec.json.encode(document(line, time.time()))
        assert b"<table" in Pages(layout, [Repository(id="a", path="a")]).render("", [])


def manifest(data: bytes) -> None:
    """As it was written, and with the digest put right, as a fault of mirrorpy's own would write it."""
    body = data.rpartition(FOOTER.encode())[0]
    mended = body + f"{FOOTER}{hashlib.sha256(body).hexdigest()}\n".encode()
    with named(mended) as name:
        assert is_whole(name)
    for text in (data, mended):
        with named(text) as name:
            is_whole(name)
            for entry in read_manifest(name):
                assert entry.due(0.0) >= 0


def weak(data: bytes) -> None:
    with named(data) as name:
        for promised, key in read_weak(name).items():
            assert f"{promised}{key}".isascii()


def proofs(data: bytes) -> None:
    with named(data) as name:
        assert all(0 <= seconds < 10**12 and checksum.isascii() for checksum, seconds in read_proofs(name).items())


def verdicts(data: bytes) -> None:
    trust = VERDICTS.partition(b"\n")[0].decode()
    with named(data) as name:
        good = read_verdicts(name, trust)
        assert not good or data.startswith(trust.encode())


def generation_name(data: bytes) -> None:
    """Only what mirrorpy itself calls a generation is taken for one."""
    text = data.decode("utf-8", "surrogateescape")
    stamp = Place("/pub", "a").stamp(text)
    assert stamp is None or (stamp.isascii() and text == f".a.{stamp}")
