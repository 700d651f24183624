"""Digests and signatures of RPMs, as rpm itself and rpm-rs judge them: of every real package, and of our own."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import rpm_rs  # type: ignore[import-untyped, unused-ignore]

from mirrorpy.errors import SignatureError
from mirrorpy.signatures import Gpgv, check_package, load_keyring

from .programs import data_folder, real_data, real_program
from .signing import (
    PGP,
    RSA,
    RSA_HEADER,
    Keys,
    Rpm,
    build_rpm6,
    made_keys,
    sign_as_centos,
    sign_as_centos_5,
    sign_as_fedora,
)
from .upstream import build_rpm

LINE = re.compile(r" *(?P<what>.*?)(?:, key ID (?P<key>[0-9a-f]+))?: (?P<verdict>OK|BAD|NOKEY|NOTFOUND|NOTTRUSTED)\b.*")
UNSUPPORTED = "unsupported PGP key type|signature packet not found"
"""What rpm-rs says of DSA keys, and of an ancient signature."""


@dataclass(frozen=True, slots=True)
class Said:
    """What rpmkeys says of one package."""

    digests: frozenset[str]
    signatures: frozenset[str]
    keys: frozenset[str]


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with made_keys() as made:
        yield made


@pytest.fixture(scope="module")
def packages() -> list[Path]:
    """Every real package, once where it is linked several times."""
    real_data("repos")
    found = {path.stat().st_ino: path for path in sorted(data_folder().rglob("*.rpm")) if path.is_file()}
    return list(found.values())


def rpmkeys(folder: Path, paths: list[Path], *keys: bytes) -> dict[Path, Said]:
    """Ask it about packages, with these keys and no others."""
    program, database = real_program("rpmkeys"), folder / "rpmdb"
    database.mkdir(exist_ok=True)
    for number, key in enumerate(keys):
        (folder / f"import{number}").write_bytes(key)
        subprocess.run([program, "--dbpath", database, "--import", folder / f"import{number}"], check=True)
    done = subprocess.run(
        [program, "--dbpath", database, "-Kv", *paths],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C.UTF-8"},
    )
    said: dict[Path, Said] = {}
    for part in re.split(r"^(?=\S)", done.stdout, flags=re.MULTILINE)[1:]:
        name, *lines = part.splitlines()
        found = [match for line in lines if (match := LINE.fullmatch(line))]
        signatures = [match for match in found if "ignature" in match["what"]]
        said[Path(name.removesuffix(":"))] = Said(
            frozenset(match["verdict"] for match in found if "digest" in match["what"]),
            frozenset(match["verdict"] for match in signatures),
            frozenset(match["key"] for match in signatures if match["key"]),
        )
    assert list(said) == paths, done.stderr
    return said


def ours(path: Path, gpgv: Gpgv | None = None) -> str:
    """What mirrorpy says: nothing, or the cause."""
    try:
        check_package(str(path), gpgv)
    except SignatureError as error:
        return error.cause
    return ""


def trusting(folder: Path, *keys: bytes, **settings: bool) -> Gpgv:
    real_program("gpgv")
    (folder / "keys").write_bytes(b"".join(keys))
    return Gpgv(load_keyring([str(folder / "keys")]), **settings)


# Real packages


def test_rpm_proves_the_same_digests(packages: list[Path], tmp_path: Path) -> None:
    said = rpmkeys(tmp_path, packages)
    assert {path for path in packages if ours(path)} == {path for path in packages if "BAD" in said[path].digests}
    assert sum("OK" in said[path].digests for path in packages) == len(packages)


def test_rpm_rs_proves_the_same_digests(packages: list[Path]) -> None:
    theirs = {path for path in packages if not rpm_rs.Package.open(str(path)).check_digests().is_ok()}
    assert {path for path in packages if ours(path)} == theirs


def test_among_them_is_one_that_is_wrong(packages: list[Path]) -> None:
    """Else the agreement would say little."""
    assert [path.name for path in packages if ours(path)] == ["hello-2.0-1.x86_64-corrupted.rpm"]


def test_rpm_finds_the_same_keys_lacking(packages: list[Path], keys: Keys, tmp_path: Path) -> None:
    """Of each package that it calls signed, one key; rpm 4 does not see signatures as rpm 6 makes them."""
    said, gpgv = rpmkeys(tmp_path, packages), trusting(tmp_path, keys.rsa.public())
    whole = [path for path in packages if "BAD" not in said[path].digests | said[path].signatures]
    signed = {path: said[path].keys for path in whole if said[path].keys}
    assert len(signed) > 50
    for path, named in signed.items():
        cause = ours(path, gpgv)
        assert any(cause.lower().endswith(key) for key in named), (path, cause, named)


def test_rpm_rs_finds_the_same_signed(packages: list[Path], keys: Keys, tmp_path: Path) -> None:
    """Those are signed that it finds signatures in."""
    gpgv, compared = trusting(tmp_path, keys.rsa.public()), 0
    for path in packages:
        try:
            theirs = bool(rpm_rs.Package.open(str(path)).signatures())
        except RuntimeError as error:
            assert re.search(UNSUPPORTED, str(error)), path  # noqa: PT017
            continue
        compared += 1
        assert (ours(path, gpgv) != "is not signed") == theirs, path
    assert compared > 500


def _kinds(packages: list[Path]) -> list[Path]:
    """One package of each way to be digested."""
    found: dict[object, Path] = {}
    for path in packages:
        body = path.read_bytes()
        report = rpm_rs.PackageMetadata.open(str(path)).check_digests()
        names = (name for name in dir(report) if name.startswith(("header_", "payload_")))
        present = tuple(name for name in names if not getattr(report, name).is_not_present())
        if Rpm.of(body).payload and not ours(path):
            found.setdefault((present, Rpm.of(body).payload[:2]), path)
    return list(found.values())


@pytest.mark.parametrize("part", ["header", "payload"])
def test_a_changed_byte_is_found(packages: list[Path], tmp_path: Path, part: str) -> None:
    """In a package of each kind, by its digests; rpm 4 knows not all of rpm 6's, and rpm-rs no MD5."""
    kinds = _kinds(packages)
    assert len(kinds) > 3
    changed = []
    for number, path in enumerate(kinds):
        body = bytearray(path.read_bytes())
        at = -1 if part == "payload" else -len(Rpm.of(bytes(body)).payload) - 20
        body[at] ^= 1
        changed.append(tmp_path / f"{number}-{path.name}")
        changed[-1].write_bytes(body)
    said = rpmkeys(tmp_path, changed)
    for path in changed:
        assert "BAD" in said[path].digests or not rpm_rs.Package.open(str(path)).check_digests().is_ok(), path
        assert ours(path), path


# Packages of ours, whose keys are at hand


def _wrong(package: bytes) -> bytes:
    return package[:-1] + bytes([package[-1] ^ 1])


def _samples(keys: Keys) -> dict[str, tuple[bytes, bool]]:
    """Packages, and whether they are good."""
    tool = build_rpm("tool")
    rpm, old = Rpm.of(tool).digested(), Rpm.of(tool).old.digested()
    return {
        "fedora": (sign_as_fedora(tool, keys.rsa), True),
        "fedora-sha512": (sign_as_fedora(tool, keys.rsa, "SHA512"), True),
        "fedora-ed25519": (sign_as_fedora(tool, keys.ed25519), True),
        "centos-7": (sign_as_centos(tool, keys.rsa, "SHA256", algorithm=RSA), True),
        "centos-6": (sign_as_centos_5(tool, keys.rsa, "sha256", algorithm=RSA), True),
        "centos-5": (sign_as_centos_5(tool, keys.dsa), True),
        "centos-5-v4": (sign_as_centos(tool, keys.dsa), True),
        "all-of-it": (old.signed(PGP, keys.rsa.sign(old.body)).bytes, True),
        "unsigned": (tool, False),
        "unknown": (sign_as_fedora(tool, keys.stranger), False),
        "of-another": (rpm.signed(RSA_HEADER, keys.rsa.sign(b"another")).bytes, False),
        "payload": (_wrong(sign_as_fedora(tool, keys.rsa)), False),
        "payload-of-old": (_wrong(sign_as_centos(tool, keys.rsa, "SHA256", algorithm=RSA)), False),
        "sha1": (Rpm.of(tool).digested(sha1="0" * 40).signed(RSA_HEADER, keys.rsa.sign(rpm.header)).bytes, False),
        "sha256": (Rpm.of(tool).digested(sha256="0" * 64).signed(RSA_HEADER, keys.rsa.sign(rpm.header)).bytes, False),
        "md5": (Rpm.of(tool).digested(md5=bytes(16)).signed(RSA_HEADER, keys.rsa.sign(rpm.header)).bytes, False),
        "md5-of-old": (
            Rpm.of(tool).old.digested(md5=bytes(16)).signed(PGP, keys.rsa.sign(old.body)).bytes,
            False,
        ),
    }


NAMES = [
    *("fedora", "fedora-sha512", "fedora-ed25519", "centos-7", "centos-6", "centos-5", "centos-5-v4", "all-of-it"),
    *("unsigned", "unknown", "of-another", "payload", "payload-of-old", "sha1", "sha256", "md5", "md5-of-old"),
]
UNKNOWN_TO_RPM_RS = ["centos-5", "centos-5-v4", "all-of-it", "payload-of-old", "md5", "md5-of-old"]


@pytest.mark.parametrize("name", NAMES)
def test_rpm_verifies_the_same_signatures(keys: Keys, tmp_path: Path, name: str) -> None:
    """A package is good where digests and signatures are there and none is anything but OK."""
    trusted = [keys.rsa.public(), keys.dsa.public(), keys.ed25519.public()]
    body, good = _samples(keys)[name]
    path = tmp_path / f"{name}.rpm"
    path.write_bytes(body)
    said = rpmkeys(tmp_path, [path], *trusted)[path]
    assert (said.digests == said.signatures == {"OK"}) == good
    assert (ours(path, trusting(tmp_path, *trusted, allow_sha1=True)) == "") == good


@pytest.mark.parametrize("name", [name for name in NAMES if name not in UNKNOWN_TO_RPM_RS])
def test_rpm_rs_verifies_the_same_signatures(keys: Keys, tmp_path: Path, name: str) -> None:
    """As far as it goes: no DSA, no MD5, nothing over all of an old package."""
    body, good = _samples(keys)[name]
    path = tmp_path / f"{name}.rpm"
    path.write_bytes(body)
    verifier = rpm_rs.Verifier()
    for key in (keys.rsa, keys.ed25519):
        verifier.load_from_asc_bytes(key.public())
    report = rpm_rs.Package.open(str(path)).check_signatures(verifier)
    signed = any(result.is_verified() for result in report.signatures)
    assert (signed and report.digests.is_ok()) == good
    assert (ours(path, trusting(tmp_path, keys.rsa.public(), keys.ed25519.public())) == "") == good


def test_what_rpmsign_signs(keys: Keys, tmp_path: Path) -> None:
    """Header alone, then header and payload; and what it signs with a key that is not trusted."""
    gpgv = trusting(tmp_path, keys.rsa.public())
    for number, (key, options) in enumerate([(keys.rsa, ()), (keys.rsa, ("--rpmv3",)), (keys.stranger, ())]):
        path = tmp_path / f"{number}.rpm"
        path.write_bytes(build_rpm("tool"))
        subprocess.run(
            [
                real_program("rpmsign"),
                "--addsign",
                *options,
                f"--define=_gpg_name {key.fingerprint}",
                f"--define=_gpg_path {key.home}",
                f"--define=__gpg {real_program('gpg')}",
                path,
            ],
            check=True,
            capture_output=True,
        )
        assert (ours(path, gpgv) == "") == (key is keys.rsa)
        assert ours(path) == ""


@pytest.mark.parametrize("version", [4, 6])
def test_what_rpm_rs_signs(keys: Keys, tmp_path: Path, version: int) -> None:
    """Packages of rpm 6 too, which no rpm 4 verifies."""
    (tmp_path / "secret").write_bytes(keys.rsa.secret())
    package = rpm_rs.Package.from_bytes(build_rpm("tool") if version == 4 else build_rpm6("tool"))
    package.sign(rpm_rs.Signer.from_file(str(tmp_path / "secret")))
    path = tmp_path / "tool.rpm"
    path.write_bytes(bytes(package.to_bytes()))
    assert ours(path, trusting(tmp_path, keys.rsa.public())) == ""
    assert "not in gpgkey" in ours(path, trusting(tmp_path, keys.ed25519.public()))
    path.write_bytes(_wrong(path.read_bytes()))
    assert "payload" in ours(path, trusting(tmp_path, keys.rsa.public()))


def test_the_signature_header_is_not_what_is_signed(keys: Keys, tmp_path: Path) -> None:
    """Anybody may add to it, as rpmsign does; the package is as good as before."""
    path = tmp_path / "tool.rpm"
    rpm = Rpm.of(build_rpm("tool")).digested()
    signed = rpm.signed(RSA_HEADER, keys.rsa.sign(rpm.header))
    path.write_bytes(signed.tagged((1008, 7, bytes(4096), 4096)).bytes)
    assert rpmkeys(tmp_path, [path], keys.rsa.public())[path].signatures == {"OK"}
    assert ours(path, trusting(tmp_path, keys.rsa.public())) == ""
