"""systemd's units: a service that syncs once and may write below root only, and the timer that starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.emit.times import parse_times
from mirrorpy.emit.words import HEADER, plain, quoted, user_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SERVICE = """\
{header}
[Unit]
Description=Bring the mirrors of mirrorpy up to date
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={command}
# Another run holds a repository: it does the work.
SuccessExitStatus=7
{user}UMask=0022
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7

# The folder has to be there before the first run.
ReadWritePaths={root}
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
NoNewPrivileges=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""
TIMER = """\
{header}
[Unit]
Description=Bring the mirrors of mirrorpy up to date, {times}

[Timer]
{calendar}
# So that not all mirrors of the world ask at once.
RandomizedDelaySec=30min
Persistent=true

[Install]
WantedBy=timers.target
"""


def systemd_units(command: Sequence[str], root: Path, at: str, user: str | None) -> dict[str, str]:
    """Return the units by name; command is the words of a quiet sync.

    Raises:
        ConfigError: The times or the user are none, or a path cannot stand there.
    """
    times = parse_times(at)
    clock = [f"{hour:02}:{minute:02}" for hour, minute in times]
    header = HEADER.format("systemd")
    return {
        "mirrorpy.service": SERVICE.format(
            header=header,
            command=" ".join(_word(word).replace("$", "$$") for word in command),
            user="" if user is None else f"User={user_name(user)}\n",
            root=_word(str(root)),
        ),
        "mirrorpy.timer": TIMER.format(
            header=header,
            times=" and ".join(clock),
            calendar="\n".join(f"OnCalendar=*-*-* {time}:00" for time in clock),
        ),
    }


def _word(word: str) -> str:
    text = plain(word, "path", "systemd").replace("%", "%%")
    return text if text.replace("/", "").replace("-", "").replace(".", "").replace("_", "").isalnum() else quoted(text)
