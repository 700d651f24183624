"""A server block of nginx: root, static, with the cache headers that clients need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.emit.words import HEADER, address, host_name, plain, quoted
from mirrorpy.rpmmd.freshness import ASK, CHECKSUM_NAME, FOREVER, METADATA
from mirrorpy.rpmmd.media import BYTES, MEDIA_TYPES
from mirrorpy.store.layout import STATE

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """\
{header}
# For /etc/nginx/conf.d/mirrorpy.conf, or sites-enabled.
server {{
    listen {listen};
    server_name {server_name};
    root {root};
    autoindex on;
    sendfile on;
    tcp_nopush on;

    # The published name is a link that moves: nginx must follow it anew for each request.
    disable_symlinks off;
    open_file_cache off;
    # A .gz is served as it is.
    gzip off;

    default_type {bytes};
    types {{
{types}
    }}

    # mirrorpy's own state.
    location ~ "(^|/)\\.{state}(/|$)" {{
        return 404;
    }}
    # A name that carries its checksum never means anything else.
    location ~ "/{checksum_name}" {{
        add_header Cache-Control "{forever}";
    }}
    # All other metadata changes under its name: repomd.xml, its signature, primary.xml.gz where it has a plain name.
    location ~ "{metadata}" {{
        add_header Cache-Control {ask};
    }}
}}
"""


def nginx_conf(root: Path, bind: str | None, port: int, server_name: str | None) -> str:
    """Return a server block.

    Raises:
        ConfigError: The root cannot stand there: nginx takes a dollar sign for a variable.
    """
    where = None if bind is None else address(bind)
    return CONFIGURATION.format(
        header=HEADER.format("nginx"),
        listen=_listen(where, port),
        server_name="_" if server_name is None else host_name(server_name),
        root=quoted(plain(root, "root", "nginx", "$")),
        bytes=BYTES,
        types="\n".join(f"        {kind} {' '.join(suffixes)};" for kind, suffixes in MEDIA_TYPES.items()),
        state=STATE.removeprefix("."),
        checksum_name=f"[^/]*{CHECKSUM_NAME}",
        forever=FOREVER,
        metadata=METADATA,
        ask=ASK,
    )


def _listen(where: str | None, port: int) -> str:
    if where == "::":
        return f"[::]:{port} ipv6only=off"
    return f"{f'[{where}]' if ':' in where else where}:{port}" if where else str(port)
