"""The embedded web server: root, read-only, for a LAN or a trial."""

from mirrorpy.serve.server import Access, serve

__all__ = ["Access", "serve"]
