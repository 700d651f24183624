"""Folders of a simulated server as nginx would show them."""

from urllib.parse import quote

from tests.simulator import Repo


def show(repo: Repo, folder: str = "") -> None:
    """Serve the pages of a folder and of all below it, as they are now; hidden names are not shown."""
    prefix = f"{folder}/" if folder else ""
    below = {
        href.removeprefix(prefix) for href in repo.hrefs() if href.startswith(prefix) and href[-1:] not in ("", "/")
    }
    names = sorted({name.partition("/")[0] + "/" * ("/" in name) for name in below})
    repo.put(prefix, page([name for name in names if not name.startswith(".")], prefix))
    for name in names:
        if name.endswith("/"):
            show(repo, prefix + name.rstrip("/"))


def page(names: list[str], title: str = "") -> bytes:
    """Return nginx's page of these names."""
    links = "".join(f'<a href="{quote(name)}">{name}</a>  22-Nov-2026 20:33  1\r\n' for name in names)
    head = f"<html><head><title>Index of /{title}</title></head>"
    return f'{head}<body><pre><a href="../">../</a>\r\n{links}</pre></body></html>'.encode()
