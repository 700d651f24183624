"""vsftpd.conf(5): anonymous FTP of root, download only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirrorpy.emit.words import HEADER, address, plain
from mirrorpy.store.layout import STATE

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = (
    "ABOR CDUP CWD EPRT EPSV FEAT HELP LIST MDTM MODE NLST NOOP OPTS PASS PASV PORT PWD QUIT REIN REST RETR SIZE STAT "
    "STRU SYST TYPE USER XCUP XCWD XPWD"
)
CONFIGURATION = """\
{header}
# For /etc/vsftpd.conf (Red Hat: /etc/vsftpd/vsftpd.conf). Nobody logs in but anonymous, and nobody writes.
{listen}
listen_port={port}
connect_from_port_20=NO

anonymous_enable=YES
no_anon_password=YES
local_enable=NO
write_enable=NO
anon_upload_enable=NO
anon_mkdir_write_enable=NO
anon_other_write_enable=NO
cmds_allowed={commands}

# The user `ftp` must not be able to write there, or vsftpd refuses to serve it.
anon_root={root}
# mirrorpy's state. No pattern can hide the generations as well: vsftpd would hide the published links that lead there.
deny_file={state}
hide_file={state}
hide_ids=YES
use_localtime=NO

xferlog_enable=YES
max_clients=200
max_per_ip=20
idle_session_timeout=300
data_connection_timeout=120
"""


def vsftpd_conf(root: Path, bind: str | None, port: int) -> str:
    """Return a whole configuration; without bind it listens on every IPv4 address.

    Raises:
        ConfigError: The root cannot stand there.
    """
    return CONFIGURATION.format(
        header=HEADER.format("vsftpd"),
        listen=_listen(bind),
        port=port,
        commands=COMMANDS.replace(" ", ","),
        root=plain(root, "root", "vsftpd"),
        state=STATE,
    )


def _listen(bind: str | None) -> str:
    if bind is None:
        return "listen=YES\n# Every IPv4 address; `--bind ::` is every one of IPv6 and IPv4.\nlisten_ipv6=NO"
    where = address(bind)
    six = ":" in where
    return (
        f"listen={'NO' if six else 'YES'}\nlisten_ipv6={'YES' if six else 'NO'}\n"
        f"listen_address{'6' if six else ''}={where}"
    )
