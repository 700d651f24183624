"""Pages that servers send in place of a file that they do not have, and call a success (soft 404s)."""

from __future__ import annotations

from mirrorpy.store.durable import translated

PAGE = "is a page in place of the file"
_SUFFIXES = frozenset({"html", "htm", "xhtml", "shtml"})
"""Any suffix of what may be HTML; anything else that is, is a server's way to say that it has no such file."""
_START = 1024
"""Bytes that tell a page."""
_TAGS = (b"<!doctype html", b"<html")


def may_be_page(href: str) -> bool:
    """Tell by its name whether a file may be HTML."""
    return not _SUFFIXES.isdisjoint(href.rpartition("/")[2].lower().split(".")[1:])


def is_html(path: str) -> bool:
    """Tell whether a download is HTML."""
    with translated("cannot read a download"), open(path, "rb") as file:
        return file.read(_START).lstrip().lower().startswith(_TAGS)


def is_page(data: bytes, href: str) -> bool:
    """Tell whether what came for a document that is no HTML is a page."""
    start = data[:_START].lstrip().lower()
    return start.startswith(_TAGS if href.endswith(".xml") else b"<")
