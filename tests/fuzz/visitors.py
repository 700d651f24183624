"""How requests of clients are read: the path below root, and all of the request."""

import asyncio
import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h11

from mirrorpy.config.model import Repository
from mirrorpy.serve.app import App
from mirrorpy.serve.index import Pages
from mirrorpy.serve.server import Access, _watched
from mirrorpy.serve.site import Site
from mirrorpy.store.layout import Layout
from tests.property.strategies import one_line

from .answers import BODY


@functools.cache
def _site() -> tuple[Site, Any]:
    """A root to serve, with a repository in it, state that is nobody's business, and a secret beside it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    (folder / "secret").write_text("secret")
    root = folder / "root"
    for name in (".mirrorpy/repos/a/state.json", ".a.1/x.rpm", ".a.1/repodata/repomd.xml", ".a.1/a b/é+%2e"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret" if "state" in name else BODY.decode())
    (root / "a").symlink_to(".a.1")
    (root / "out").symlink_to("../secret")
    site = Site(str(root))
    return site, _watched(App(site, Pages(Layout(str(root)), [Repository(id="a", path="a")])), _line)


def _line(access: Access) -> None:
    one_line(str(access))


def path(data: bytes) -> None:
    """A request's path leads below root or nowhere."""
    site, _ = _site()
    with site.find(data) as found:
        real = Path(found.file).resolve()
        assert real.is_relative_to(site._root)
        assert ".mirrorpy" not in real.parts
        if found.is_folder:
            assert not {".mirrorpy", "out"} & {entry.name for entry in site.list_folder(found)}


def request(data: bytes) -> None:
    """A request that h11 takes gets an answer that is no fault of ours, without the secret."""
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(data)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return
    if isinstance(event, h11.Request):
        sent = asyncio.run(answered(event))
        assert sent[0]["status"] < 500
        assert b"secret" not in b"".join(message.get("body", b"") for message in sent[1:])


async def answered(event: h11.Request) -> list[dict[str, Any]]:
    """What the application sends; the scope is made as uvicorn makes it."""
    raw_path, _, query = event.target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": event.method.decode("ascii"),
        "http_version": event.http_version.decode("ascii"),
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in event.headers],
        "client": ("192.0.2.1", 1),
        "server": ("192.0.2.2", 80),
        "scheme": "http",
        "root_path": "",
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        waiting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        return await waiting

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await _site()[1](scope, receive, send)
    return sent
