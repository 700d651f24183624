"""Keys, signatures and signed RPMs, as publishers make them: by the real gpg, in folders that end with the test."""

import contextlib
import hashlib
import shutil
import struct
import subprocess
import tempfile
import textwrap
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import rpm_rs  # type: ignore[import-untyped, unused-ignore]

from .programs import real_program
from .upstream import FIRST_REVISION, payload

LONG_AGO = "20200101T000000!"
"""A time for gpg to believe in, when it makes what has expired by now."""
HEADER_MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
LEAD_BYTES, INTRO_BYTES, ENTRY_BYTES = 96, 16, 16
INT32, STRING, BINARY, STRINGS = 4, 6, 7, 8
SIGNATURE_REGION = 62
DSA_HEADER, RSA_HEADER, SHA1_HEADER, SHA256_HEADER, OPENPGP = 267, 268, 269, 273, 278
SIZE, PGP, MD5, GPG = 1000, 1002, 1004, 1005
PAYLOAD_DIGESTS = {5092: 5992, 5093: 5993, 5097: 5997}
"""Tags of the header that old packages lack, and tags that mean nothing."""
RSA, DSA = 1, 17
"""Public-key algorithms by their OpenPGP numbers, and hashes by theirs."""
HASHES = {"md5": 1, "sha1": 2, "sha256": 8}

Tag = tuple[int, int, bytes, int]
"""Tag, type, data, count."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key whose private half is at hand."""

    home: Path
    fingerprint: str
    faked: str = ""
    """When it believes to live."""

    @property
    def id(self) -> str:
        return self.fingerprint[-16:]

    def public(self, *, armour: bool = True) -> bytes:
        return self._gpg("--armor" if armour else "--no-armor", "--export", self.fingerprint)

    def secret(self, *, armour: bool = True) -> bytes:
        return self._gpg("--armor" if armour else "--no-armor", "--export-secret-keys", self.fingerprint)

    def revoked(self) -> bytes:
        """The public key after its owner took it back."""
        certificate = self.home / "openpgp-revocs.d" / f"{self.fingerprint}.rev"
        with tempfile.TemporaryDirectory(prefix="gpg-") as folder:
            home = Path(folder)
            # gpg writes the certificate so that nobody imports it by mistake.
            run_gpg(home, "--import", data=self.public() + certificate.read_bytes().replace(b":-----", b"-----"))
            return run_gpg(home, "--armor", "--export", self.fingerprint)

    def add_subkey(self, lasting: str = "0") -> None:
        """Let it sign by a subkey from now on."""
        self._gpg("--quick-add-key", self.fingerprint, "ed25519", "sign", lasting)

    def revoke_subkey(self) -> None:
        """Take its only subkey back."""
        answers = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
        self._gpg("--no-batch", "--command-fd=0", "--edit-key", self.fingerprint, data=answers)

    def sign(self, data: bytes, digest: str = "SHA256", *options: str) -> bytes:
        """A detached signature, binary."""
        return self._gpg("-u", self.fingerprint, f"--digest-algo={digest}", *options, "--detach-sign", data=data)

    def sign_v3(self, data: bytes, digest: str = "sha1") -> bytes:
        """A detached signature as gpg 1 made them for rpm (RFC 4880, 5.2.2)."""
        (line,) = (line for line in self._listing() if line.startswith("pub:"))
        algorithm = int(line.split(":")[3])
        (grip,) = (line.split(":")[9] for line in self._listing() if line.startswith("grp:"))
        hashed = b"\0" + struct.pack(">I", int(time.time()))
        value = hashlib.new(digest, data + hashed, usedforsecurity=False)
        raw = self._agent(f"SIGKEY {grip}", f"SETHASH --hash={digest} {value.hexdigest()}", "PKSIGN")
        numbers = [_number(raw, name) for name in ([b"s"] if algorithm == RSA else [b"r", b"s"])]
        body = b"\x03\x05" + hashed + bytes.fromhex(self.id) + bytes([algorithm, HASHES[digest]]) + value.digest()[:2]
        body += b"".join(struct.pack(">H", number.bit_length()) + _bytes(number) for number in numbers)
        return b"\x89" + struct.pack(">H", len(body)) + body

    def _listing(self) -> list[str]:
        return self._gpg("--with-colons", "--with-keygrip", "--list-keys", self.fingerprint).decode().splitlines()

    def _gpg(self, *args: str, data: bytes = b"") -> bytes:
        faked = [f"--faked-system-time={self.faked}"] if self.faked else []
        return run_gpg(self.home, *faked, *args, data=data)

    def _agent(self, *commands: str) -> bytes:
        """What gpg-agent answers to the last command."""
        with tempfile.NamedTemporaryFile(prefix="gpg-") as file:
            lines = [*commands[:-1], f"/datafile {file.name}", commands[-1], "/bye"]
            subprocess.run(
                [real_program("gpg-connect-agent"), "--homedir", str(self.home)],
                input="\n".join(lines).encode(),
                stdout=subprocess.DEVNULL,
                check=True,
            )
            return file.read()


def _number(raw: bytes, name: bytes) -> int:
    """One number of an S-expression such as `(7:sig-val(3:rsa(1:s256:…)))`."""
    size, _, rest = raw.partition(b"(1:" + name)[2].partition(b":")
    return int.from_bytes(rest[: int(size)], "big")


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def run_gpg(home: Path, *args: str, data: bytes = b"") -> bytes:
    """What gpg writes, with a home of its own."""
    command = [real_program("gpg"), "--homedir", str(home), "--batch", "--quiet", "--no-tty"]
    done = subprocess.run(
        [*command, "--pinentry-mode=loopback", "--passphrase=", *args],
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Keys:
    """A publisher's keys, made as they are asked for."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._made: dict[str, Key] = {}

    def make(self, user: str, algorithm: str, usage: str = "sign", lasting: str = "0", faked: str = "") -> Key:
        options = [f"--faked-system-time={faked}"] if faked else []
        run_gpg(self.home, *options, "--quick-gen-key", user, algorithm, usage, lasting)
        listing = run_gpg(self.home, "--with-colons", "--list-keys", f"={user}").decode().splitlines()
        fingerprint = next(line.split(":")[9] for line in listing if line.startswith("fpr:"))
        return Key(self.home, fingerprint, faked)

    def _one(self, name: str, algorithm: str, **settings: str) -> Key:
        if name not in self._made:
            self._made[name] = self.make(f"{name} <{name}@example.org>", algorithm, **settings)
        return self._made[name]

    @property
    def rsa(self) -> Key:
        return self._one("rsa", "rsa2048")

    @property
    def dsa(self) -> Key:
        return self._one("dsa", "dsa1024")

    @property
    def ed25519(self) -> Key:
        return self._one("ed25519", "ed25519")

    @property
    def stranger(self) -> Key:
        """One that nobody trusts."""
        return self._one("stranger", "ed25519")

    @property
    def expired(self) -> Key:
        """It signed while it was good."""
        return self._one("expired", "ed25519", lasting="1d", faked=LONG_AGO)

    @property
    def aged(self) -> Key:
        """It is good, and lives in the past: what it signs for a day has expired."""
        return self._one("aged", "ed25519", faked=LONG_AGO)

    @property
    def with_subkey(self) -> Key:
        """It certifies; what it signs is signed by its subkey."""
        return self._certifying("subkey")

    @property
    def with_expired_subkey(self) -> Key:
        """Its subkey signed while it was good."""
        return self._certifying("old-subkey", lasting="1d", faked=LONG_AGO)

    def _certifying(self, name: str, lasting: str = "0", faked: str = "") -> Key:
        known = name in self._made
        key = self._one(name, "ed25519", usage="cert", faked=faked)
        if not known:
            key.add_subkey(lasting)
        return key


@contextlib.contextmanager
def made_keys() -> Iterator[Keys]:
    """Keys in a folder whose name is short, as sockets want it; gpg-agent ends with it."""
    home = Path(tempfile.mkdtemp(prefix="gpg-"))
    try:
        yield Keys(home)
    finally:
        subprocess.run([real_program("gpgconf"), "--homedir", str(home), "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def armoured(*signatures: bytes, kind: str = "SIGNATURE", checked: bool = True) -> bytes:
    """One ASCII file of several signatures, as those who let two keys sign publish it; Sequoia writes no checksum."""
    data = b"".join(signatures)
    text = "\n".join(textwrap.wrap(b64encode(data).decode(), 64))
    checksum = f"={b64encode(_crc24(data).to_bytes(3, 'big')).decode()}\n" if checked else ""
    return f"-----BEGIN PGP {kind}-----\n\n{text}\n{checksum}-----END PGP {kind}-----\n".encode()


def _crc24(data: bytes) -> int:
    """RFC 4880, 6.1."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


@dataclass(frozen=True, slots=True)
class Rpm:
    """An RPM in its parts, to be put together otherwise; knows nothing of mirrorpy's own reader."""

    lead: bytes
    signature: tuple[Tag, ...]
    header: bytes
    payload: bytes

    @classmethod
    def of(cls, package: bytes) -> "Rpm":
        """Take one apart; its signatures are left behind."""
        at = LEAD_BYTES + (length := _header_bytes(package, LEAD_BYTES)) + -length % 8
        end = at + _header_bytes(package, at)
        return cls(package[:LEAD_BYTES], (), package[at:end], package[end:])

    @property
    def old(self) -> "Rpm":
        """Without the payload's digest in its header, which CentOS 7 and older do not have."""
        count, header = struct.unpack_from(">I", self.header, 8)[0], bytearray(self.header)
        for place in range(INTRO_BYTES, INTRO_BYTES + ENTRY_BYTES * count, ENTRY_BYTES):
            (tag,) = struct.unpack_from(">I", header, place)
            struct.pack_into(">I", header, place, PAYLOAD_DIGESTS.get(tag, tag))
        return replace(self, header=bytes(header))

    @property
    def body(self) -> bytes:
        """What signatures and MD5 of old cover."""
        return self.header + self.payload

    def digested(self, *, sha1: str = "", sha256: str = "", md5: bytes = b"") -> "Rpm":
        """With the digests that rpm writes, or with wrong ones."""
        sha1 = sha1 or hashlib.sha1(self.header, usedforsecurity=False).hexdigest()
        sha256 = sha256 or hashlib.sha256(self.header).hexdigest()
        md5 = md5 or hashlib.md5(self.body, usedforsecurity=False).digest()
        return self.tagged(
            (SHA1_HEADER, STRING, sha1.encode() + b"\0", 1),
            (SHA256_HEADER, STRING, sha256.encode() + b"\0", 1),
            (SIZE, INT32, struct.pack(">I", len(self.body)), 1),
            (MD5, BINARY, md5, len(md5)),
        )

    def tagged(self, *tags: Tag) -> "Rpm":
        """With more in its signature header."""
        return replace(self, signature=(*self.signature, *tags))

    def signed(self, tag: int, signature: bytes) -> "Rpm":
        """With one more signature."""
        return self.tagged((tag, BINARY, signature, len(signature)))

    @property
    def bytes(self) -> bytes:
        """The file."""
        signature = built_header(self.signature, SIGNATURE_REGION)
        return self.lead + signature + b"\0" * (-len(signature) % 8) + self.header + self.payload


def _header_bytes(package: bytes, at: int) -> int:
    entries, size = struct.unpack_from(">II", package, at + 8)
    return INTRO_BYTES + ENTRY_BYTES * int(entries) + int(size)


def built_header(tags: tuple[Tag, ...], region: int) -> bytes:
    """A header with a region around all of it."""
    index, data = b"", b""
    for tag, kind, value, count in sorted(tags):
        data += b"\0" * (-len(data) % 4 if kind == INT32 else 0)
        index += struct.pack(">iIiI", tag, kind, len(data), count)
        data += value
    marked = ENTRY_BYTES * (len(tags) + 1)
    index = struct.pack(">iIiI", region, BINARY, len(data), ENTRY_BYTES) + index
    data += struct.pack(">iIiI", region, BINARY, -marked, ENTRY_BYTES)
    return HEADER_MAGIC + struct.pack(">II", len(tags) + 1, len(data)) + index + data


def build_rpm6(name: str) -> bytes:
    """An RPM of version 6 without a signature: no MD5, no SHA-1, and several digests of its payload."""
    builder = rpm_rs.PackageBuilder(name, "1.0", "MIT", "noarch", f"{name} to mirror")
    builder.using_config(rpm_rs.BuildConfig(format=rpm_rs.RpmFormat.V6, source_date=FIRST_REVISION))
    builder.release("1")
    builder.with_file_contents(payload(name), rpm_rs.FileOptions.new(f"/usr/share/{name}.bin"))
    return bytes(builder.build().to_bytes())


def sign_as_fedora(package: bytes, key: Key, digest: str = "SHA256") -> bytes:
    """With a V4 signature over the header, which holds the payload's digest."""
    rpm = Rpm.of(package).digested()
    return rpm.signed(RSA_HEADER, key.sign(rpm.header, digest)).bytes


def sign_as_centos(package: bytes, key: Key, digest: str = "SHA1", *, algorithm: int = DSA) -> bytes:
    """With signatures over the header and over all, and a header without the payload's digest."""
    rpm = Rpm.of(package).old.digested()
    header, whole = (RSA_HEADER, PGP) if algorithm == RSA else (DSA_HEADER, GPG)
    return rpm.signed(header, key.sign(rpm.header, digest)).signed(whole, key.sign(rpm.body, digest)).bytes


def sign_as_centos_5(package: bytes, key: Key, digest: str = "sha1", *, algorithm: int = DSA) -> bytes:
    """With V3 signatures, of which gpg makes none any more."""
    rpm = Rpm.of(package).old.digested()
    header, whole = (RSA_HEADER, PGP) if algorithm == RSA else (DSA_HEADER, GPG)
    return rpm.signed(header, key.sign_v3(rpm.header, digest)).signed(whole, key.sign_v3(rpm.body, digest)).bytes
