"""The pages that folders are shown as: where one is, how the repositories there are, and what is in the folder."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from mirrorpy.figures import age_text, size_text, utc_text
from mirrorpy.store.state import RepoState, read_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mirrorpy.config.model import Repository
    from mirrorpy.serve.site import Entry
    from mirrorpy.store.layout import Layout

MAX_REPOSITORIES = 200
STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; --good: #2a7d46; --bad: #c0392b; --link: #1a5fb4 }
@media (prefers-color-scheme: dark) { :root { --dim: #999; --good: #57c07c; --bad: #ff7b72; --link: #7fb4ff } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.25rem; font-weight: 600; margin: 0 0 1rem }
a { color: var(--link); text-decoration: none } a:hover { text-decoration: underline }
table { border-collapse: collapse; width: 100%; margin: 0 0 2rem; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 500; color: var(--dim) }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td:first-child { overflow-wrap: anywhere } td + td, th + th { white-space: nowrap }
#files td:first-child { width: 100% }
.wide { overflow-x: auto }
td.text { white-space: normal; overflow-wrap: anywhere }
#files th + th, #files td + td { text-align: right }
#files tbody tr:hover { background: #8881 }
.good { color: var(--good) } .bad { color: var(--bad) } .dim, footer { color: var(--dim) }
footer { font-size: .85rem }
"""


@dataclass(frozen=True)
class Pages:
    """Renders folders of one root."""

    layout: Layout
    repos: Sequence[Repository]

    def render(self, path: str, entries: Sequence[Entry]) -> bytes:
        """Return the page of a folder; path is below root, without slashes at its ends."""
        title = f"/{path}/" if path else "/"
        page = "\n".join(
            (
                "<!DOCTYPE html>",
                '<html lang="en"><head><meta charset="utf-8">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
                f"<h1>{_trail(path)}</h1>",
                *self._panel(path),
                *_listing(path, entries),
                "<footer>mirrorpy. All times are UTC.</footer></body></html>\n",
            )
        )
        return page.encode("utf-8", "replace")

    def _panel(self, path: str) -> Iterator[str]:
        """Yield the status of the repository that the path lies in, or of those that lie below it."""
        around = [repo for repo in self.repos if f"{path}/".startswith(f"{repo.path}/")]
        shown = around or [repo for repo in self.repos if not path or repo.path.startswith(f"{path}/")]
        if not shown:
            return
        yield (
            '<div class="wide"><table id="repositories"><thead><tr><th>Repository</th><th>Packages</th><th>Size</th>'
            "<th>Upstream from</th><th>Last sync</th><th>Condition</th></tr></thead><tbody>"
        )
        now, readable = time.time(), os.access(self.layout.state, os.R_OK | os.X_OK)
        for repo in shown[:MAX_REPOSITORIES]:
            yield _status(repo, read_state(self.layout.repo(repo.id).state), now, readable=readable)
        yield "</tbody></table></div>"
        if len(shown) > MAX_REPOSITORIES:
            yield f'<p class="dim">and {len(shown) - MAX_REPOSITORIES} more; <code>mirrorpy status</code> has all.</p>'


def _status(repo: Repository, state: RepoState, now: float, *, readable: bool) -> str:
    link = f'<a href="/{_quoted(repo.path)}/">{_text(repo.id)}</a>'
    if not state.last_run:
        cells = ["-"] * 4
    else:
        ago = f"{age_text(now - state.last_success)} ago" if state.last_success else "never"
        cells = [f"{state.packages:,}", size_text(state.bytes), _time(state.timestamp), ago]
    figures = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><td>{link}</td>{figures}<td class="text">{_condition(state, readable=readable)}</td></tr>'


def _condition(state: RepoState, *, readable: bool) -> str:
    if not state.last_run:
        return f'<span class="dim">{"never synced" if readable else "not known to this server&#39;s user"}</span>'
    error = [f'<span class="bad">{_text(state.error)}</span>'] if state.error else []
    said = error + [_text(warning) for warning in state.warnings]
    return "<br>".join(said) if said else '<span class="good">good</span>'


def _trail(path: str) -> str:
    """Return the path with a link for each folder of it."""
    names = path.split("/") if path else []
    links = [f'<a href="/{_quoted("/".join(names[: i + 1]))}/">{_text(name)}</a>' for i, name in enumerate(names)]
    return " / ".join(['<a href="/">root</a>', *links])


def _listing(path: str, entries: Iterable[Entry]) -> Iterator[str]:
    yield '<table id="files"><thead><tr><th>Name</th><th>Size</th><th>Date</th></tr></thead><tbody>'
    if path:
        yield '<tr><td><a href="../">../</a></td><td></td><td></td></tr>'
    for entry in entries:
        slash = "/" if entry.is_folder else ""
        link = f'<a href="{_quoted(entry.name)}{slash}">{_text(entry.name)}{slash}</a>'
        size = "<td>" if entry.is_folder else f'<td data-size="{entry.size}">{size_text(entry.size)}'
        yield f"<tr><td>{link}</td>{size}</td><td>{_time(entry.mtime)}</td></tr>"
    yield "</tbody></table>"


def _time(seconds: float) -> str:
    if seconds <= 0:
        return "-"
    machine = utc_text(seconds)
    return f'<time datetime="{machine}">{machine[:16].replace("T", " ")}</time>'


def _text(text: str) -> str:
    return escape(os.fsencode(text).decode("utf-8", "replace"))


def _quoted(path: str) -> str:
    return quote_from_bytes(os.fsencode(path))
