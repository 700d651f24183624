"""What every request says of who asks, and through which proxy."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from mirrorpy import __version__

if TYPE_CHECKING:
    from mirrorpy.config.model import Connection

NO_PROXY = ("", "_none_")
"""Values of `proxy` that switch off the environment's proxy too; the second is dnf.conf's."""


def environment_has_proxy() -> bool:
    """Tell whether the environment names a proxy for anything."""
    names = {name.lower() for name, value in os.environ.items() if value}
    return any(name.endswith("_proxy") and name != "no_proxy" for name in names)


def fixed_fields(settings: Connection, *, trusted: bool) -> dict[str, str]:
    """Return what every request says; secrets to trusted servers only."""
    fields = fixed_headers(settings, trusted=trusted)
    if trusted and settings.username is not None:
        fields = with_authorization(fields, settings.username, settings.password or "")
    return fields


def with_authorization(fields: dict[str, str], username: str, password: str) -> dict[str, str]:
    """Return fields with a name and password in place of any others."""
    others = {name: value for name, value in fields.items() if name.lower() != "authorization"}
    return {**others, "Authorization": _basic(username, password)}


def fixed_headers(settings: Connection, *, trusted: bool) -> dict[str, str]:
    """Return the headers of every request; those that the configuration adds are for trusted servers only."""
    agent = settings.user_agent or f"mirrorpy/{__version__}"
    fields = {"User-Agent": agent, "Accept-Encoding": "identity", "Accept": "*/*"}
    if trusted:
        given = {name.lower() for name, _ in settings.headers}
        fields = {name: value for name, value in fields.items() if name.lower() not in given}
        fields.update(settings.headers)
    return fields


def _basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
