"""A file for /etc/cron.d, crontab(5) with a user's column."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mirrorpy.emit.times import crontab_fields
from mirrorpy.emit.words import HEADER, plain, user_name

if TYPE_CHECKING:
    from collections.abc import Sequence


def _mailto(address: str) -> str:
    return plain(address, "--mailto", "cron", " \"'\\") or '""'


def cron_file(command: Sequence[str], at: str, user: str, mailto: str) -> str:
    """Return the file; command is the words of a quiet sync, and only what they print is mailed.

    Raises:
        ConfigError: The times, the user or the address are none.
    """
    line = " ".join(shlex.quote(plain(word, "the command's word", "cron")) for word in command)
    # To cron, a bare percent sign ends the command, and a backslash is one only where it stands twice.
    line = line.replace("\\", "\\\\").replace("%", "\\%")
    jobs = [f"{fields} {user_name(user)} {line}" for fields in crontab_fields(at)]
    return "\n".join(
        [
            HEADER.format("cron"),
            "# For /etc/cron.d/mirrorpy. Nothing is mailed unless something failed.",
            f"MAILTO={_mailto(mailto)}",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            *jobs,
            "",
        ]
    )
