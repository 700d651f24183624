"""A server block of nginx: root, static, with the cache headers that clients need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.emit.words import HEADER, plain, quoted
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
    address = plain(bind, "--bind", "nginx", " ;{}") if bind else None
    return CONFIGURATION.format(
        header=HEADER.format("nginx"),
        listen=f"{f'[{address}]' if ':' in address else address}:{port}" if address else port,
        server_name=plain(server_name, "--server-name", "nginx", " ;{}") if server_name else "_",
        root=quoted(plain(root, "root", "nginx", "$")),
        bytes=BYTES,
        types="\n".join(f"        {kind} {' '.join(suffixes)};" for kind, suffixes in MEDIA_TYPES.items()),
        state=STATE.removeprefix("."),
        checksum_name=f"[^/]*{CHECKSUM_NAME}",
        forever=FOREVER,
        metadata=METADATA,
        ask=ASK,
    )
