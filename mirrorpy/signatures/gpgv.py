"""gpgv, the program: a signature over data is good if a key of ours made it, by its status lines alone.

Its exit status is not looked at: with several signatures it tells of the worst, and here one good one is enough. What
the lines mean is told in GnuPG's doc/DETAILS.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, BinaryIO

from mirrorpy.errors import ConfigError, LocalError, SignatureError
from mirrorpy.signatures.armour import iter_blocks, packet_length, packet_type

if TYPE_CHECKING:
    from io import FileIO

    from mirrorpy.signatures.keyring import Keyring

SECONDS = 300
MAX_SIGNATURES = 8
"""Of one document that are tried; each costs a process."""
SIGNATURE, MAX_SIGNATURE = 2, 16_384
"""The type of a packet, and its bytes at most."""
SHA1, WEAK = "2", {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}
"""Hash algorithms by their OpenPGP numbers (RFC 9580, 9.5)."""
STRONG = frozenset({"8", "9", "10", "11", "12", "14"})
_NONE = "is none that gpgv knows"
_PREFIX = "[GNUPG:] "
_REASONS = {
    "BADSIG": "was not made over these bytes",
    "EXPKEYSIG": "is by a key that has expired",
    "REVKEYSIG": "is by a key that was revoked",
    "EXPSIG": "has expired",
    "NO_PUBKEY": "is by a key that is not in gpgkey",
    "ERRSIG": "cannot be checked by gpgv",
    "NODATA": "is no signature",
}


class Gpgv:
    """Checks signatures against one keyring; may be used by several threads."""

    def __init__(self, keyring: Keyring, *, allow_sha1: bool = False) -> None:
        """Find the program.

        Raises:
            ConfigError: It is not installed.
        """
        program = shutil.which("gpgv") or shutil.which("gpgv2")
        if program is None:
            raise ConfigError("signatures are to be checked, and gpgv is not installed", hint="install gnupg or gpgv")
        self._program, self._keyring, self._allow_sha1 = program, keyring, allow_sha1
        self.id = f"{keyring.id}{'+sha1' if allow_sha1 else ''}"
        """Changes when what is trusted changes."""

    def check(self, signature: bytes, data: bytes | BinaryIO) -> None:
        """Prove that one of the signatures over data is by one of the keys; a file is read from where it stands.

        Raises:
            SignatureError: None is good; the message says why.
            LocalError: gpgv cannot be run.
        """
        reasons: list[str] = []
        for one in self._split(signature):
            reason = self._judge(one, data)
            if reason is None:
                return
            reasons.append(reason)
        if not reasons:
            raise SignatureError("its signature is no signature")
        raise SignatureError(f"its signature {next((said for said in reasons if said != _NONE), _NONE)}")

    @staticmethod
    def _split(signature: bytes) -> list[bytes]:
        """Return each signature of several: gpgv stops at the first bad one, and wants armour's optional checksum."""
        binary = signature[:1] >= b"\x80"
        found: list[bytes] = []
        for data in [signature] if binary else iter_blocks(signature, b"SIGNATURE"):
            at = 0
            while at < len(data) and len(found) < MAX_SIGNATURES:
                length = packet_length(data, at)
                # Anything else gpgv would unpack, however much it is.
                if packet_type(data[at]) == SIGNATURE and length <= MAX_SIGNATURE:
                    found.append(data[at : at + length])
                at += length
        return found

    def _judge(self, signature: bytes, data: bytes | BinaryIO) -> str | None:
        """Say why one signature is not good; None if it is."""
        if not isinstance(data, bytes):
            start = os.lseek(data.fileno(), 0, os.SEEK_CUR)
        groups: list[dict[str, list[str]]] = [{}]
        # Only a line feed ends a line: a user id may hold all else that Python takes for an end.
        for line in self._run(signature, data).split("\n"):
            if line.startswith(_PREFIX):
                keyword, *rest = line.removeprefix(_PREFIX).split() or [""]
                if keyword == "NEWSIG":
                    groups.append({})
                groups[-1].setdefault(keyword, rest)
        if not isinstance(data, bytes):
            os.lseek(data.fileno(), start, os.SEEK_SET)
        reasons = [reason for group in groups if (reason := self._reason(group))]
        if len(reasons) < len(groups):
            return None
        return next((said for said in reasons if said != _NONE), _NONE)

    def _reason(self, group: dict[str, list[str]]) -> str | None:
        """Say why a signature is not good; None if it is."""
        unchecked = group.get("ERRSIG", [])[2:3]
        if unchecked and unchecked[0] in WEAK and "NO_PUBKEY" not in group:
            return self._too_weak(unchecked[0])
        for keyword, reason in _REASONS.items():
            if keyword in group:
                key = group[keyword][0] if group[keyword] else ""
                return f"{reason}: {key}" if keyword in ("NO_PUBKEY", "EXPKEYSIG", "REVKEYSIG") else reason
        if "GOODSIG" not in group or len(group.get("VALIDSIG", ())) < 8:
            return _NONE
        algorithm = group["VALIDSIG"][7]
        if algorithm in STRONG or (algorithm == SHA1 and self._allow_sha1):
            return None
        return self._too_weak(algorithm)

    def _too_weak(self, algorithm: str) -> str:
        hint = "; CentOS 5 needs `allow_sha1: true`" if algorithm == SHA1 and not self._allow_sha1 else ""
        return f"is over {WEAK.get(algorithm, 'a digest that is not known')}, which proves nothing any more{hint}"

    def _run(self, signature: bytes, data: bytes | BinaryIO) -> str:
        try:
            with (
                _memory(self._keyring.data) as keys,
                _memory(signature) as signed,
                _memory(data) if isinstance(data, bytes) else contextlib.nullcontext(data) as feed,
            ):
                done = subprocess.run(  # noqa: S603  # the program is gpgv, the arguments are ours
                    [
                        self._program,
                        "--status-fd=1",
                        f"--keyring=/dev/fd/{keys.fileno()}",
                        "--",
                        f"/dev/fd/{signed.fileno()}",
                        "-",
                    ],
                    pass_fds=(keys.fileno(), signed.fileno()),
                    stdin=feed,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={"LC_ALL": "C", "GNUPGHOME": "/nonexistent"},
                    timeout=SECONDS,
                    check=False,
                )
        except subprocess.TimeoutExpired as error:
            raise SignatureError(f"its signature keeps gpgv busy for more than {SECONDS} seconds") from error
        except (OSError, subprocess.SubprocessError) as error:
            raise LocalError(f"gpgv cannot be run: {error}") from error
        return done.stdout.decode("utf-8", "replace")


def _memory(data: bytes) -> FileIO:
    """Return a file that lives in memory alone, at its beginning."""
    descriptor = os.memfd_create("mirrorpy")
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return open(descriptor, "rb", buffering=0)
