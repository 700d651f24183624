"""A virtual host of Apache httpd 2.4: root, static, with the cache headers that clients need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.emit.words import HEADER, address, host_name, plain, quoted
from mirrorpy.rpmmd.freshness import ASK, CHECKSUM_NAME, FOREVER, METADATA
from mirrorpy.rpmmd.media import MEDIA_TYPES
from mirrorpy.store.layout import STATE

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION = """\
{header}
# For /etc/httpd/conf.d/mirrorpy.conf (Debian: sites-enabled, and `a2enmod headers`).
{listen}<VirtualHost {address}:{port}>
    {server_name}
    DocumentRoot {root}
    TraceEnable Off

    <Directory {root}>
        # The published name is a link.
        Options Indexes FollowSymLinks
        AllowOverride None
        Require method GET HEAD
        DirectoryIndex disabled
        IndexOptions FancyIndexing HTMLTable NameWidth=* SuppressDescription
        IndexIgnore .??*
        <IfModule mod_mime.c>
            # A .gz is served as it is, not as something that was packed for the way.
            RemoveEncoding .gz .bz2 .xz .zst
{types}
        </IfModule>
    </Directory>

    # mirrorpy's own state.
    <LocationMatch "/\\.{state}(/|$)">
        Require all denied
    </LocationMatch>

    <IfModule mod_headers.c>
        # Metadata changes under its name: repomd.xml, its signature, primary.xml.gz where it has a plain name.
        <LocationMatch "{metadata}">
            Header set Cache-Control "{ask}"
        </LocationMatch>
        # A name that carries its checksum never means anything else.
        <LocationMatch "/{checksum_name}">
            Header set Cache-Control "{forever}"
        </LocationMatch>
    </IfModule>
</VirtualHost>
"""


def apache_conf(root: Path, bind: str | None, port: int, server_name: str | None) -> str:
    """Return a virtual host, with a Listen line unless it is port 80, to which Apache listens already.

    Raises:
        ConfigError: The root cannot stand there: Apache takes `*`, `?`, `[` and `${` for patterns and variables.
    """
    where = None if bind is None else address(bind)
    six = where is not None and ":" in where
    place = f"[{where}]" if six else where
    # Without any name Apache asks the DNS for one, and an address of IPv6 cannot be one.
    unnamed = "localhost" if six else where
    name = unnamed if server_name is None else host_name(server_name)
    return CONFIGURATION.format(
        header=HEADER.format("apache"),
        listen=f"Listen {f'{place}:' if place else ''}{port}\n" if port != 80 else "",
        address=place or "*",
        port=port,
        server_name=f"ServerName {name}" if name else "# ServerName mirror.example.org",
        root=quoted(plain(root, "root", "Apache", "*?[$")),
        types="\n".join(
            f"            AddType {kind} {' '.join(f'.{suffix}' for suffix in suffixes)}"
            for kind, suffixes in MEDIA_TYPES.items()
        ),
        state=STATE.removeprefix("."),
        metadata=METADATA,
        ask=ASK,
        checksum_name=f"[^/]*{CHECKSUM_NAME}",
        forever=FOREVER,
    )
