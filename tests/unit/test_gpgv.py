"""What gpgv says, and what it does not say: a signature is good by its status lines, whatever else it does."""

import os
import random
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mirrorpy.errors import ConfigError, LocalError, SignatureError
from mirrorpy.signatures import Gpgv, Keyring, load_keyring
from tests.integration.programs import real_data, real_program
from tests.integration.signing import Keys, armoured, made_keys

ID, OTHER = "4F2A6C1DE0B35978", "0123456789ABCDEF"
FINGERPRINT = f"{'0' * 24}{ID}"
NEW = "[GNUPG:] NEWSIG user@example.org"
CONSIDERED = f"[GNUPG:] KEY_CONSIDERED {FINGERPRINT} 0"
GOOD = f"[GNUPG:] GOODSIG {ID} User <user@example.org>"
SIGNATURE = b"\x88\x03sig"
"""A packet, as far as its first bytes tell."""
LINE_ENDS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0"]
"""Of these str.splitlines() takes most for the end of a line; gpgv means the first."""


def valid(algorithm: int | str = 8) -> str:
    return f"[GNUPG:] VALIDSIG {FINGERPRINT} 2026-11-23 1795401724 0 4 0 1 {algorithm} 00 {FINGERPRINT}"


Fake = Callable[..., Gpgv]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a gpgv in the PATH that prints these lines and ends with this status, or runs this shell script."""

    def make(*lines: str, exit: int = 0, script: str = "", **settings: bool) -> Gpgv:  # noqa: A002
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "said").write_text("".join(f"{line}\n" for line in lines))
        program = folder / "gpgv"
        program.write_text(f"#!/bin/sh\n{script or f'cat >/dev/null; cat {folder}/said'}\nexit {exit}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        return Gpgv(Keyring(b"\x99keys"), **settings)

    return make


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    with made_keys() as made:
        yield made


def refused(gpgv: Gpgv, signature: bytes = SIGNATURE, data: bytes = b"data") -> str:
    """The cause."""
    with pytest.raises(SignatureError) as raised:
        gpgv.check(signature, data)
    assert raised.value.exit_status == 5
    assert raised.value.message.isprintable()
    return raised.value.cause


# Status lines


@pytest.mark.parametrize("status", [0, 1, 2, 127])
def test_a_good_signature_whatever_the_exit_status(fake, status):
    fake(NEW, CONSIDERED, GOOD, valid(), exit=status).check(SIGNATURE, b"data")


@pytest.mark.parametrize("status", [0, 1, 2])
@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([], "none that gpgv knows"),
        ([NEW], "none that gpgv knows"),
        ([NEW, GOOD], "none that gpgv knows"),
        ([NEW, valid()], "none that gpgv knows"),
        ([NEW, GOOD, "[GNUPG:] VALIDSIG"], "none that gpgv knows"),
        ([NEW, GOOD, f"[GNUPG:] VALIDSIG {FINGERPRINT} 2026-11-23 1 0 4 0 1"], "none that gpgv knows"),
        ([NEW, GOOD, NEW, valid()], "none that gpgv knows"),
        ([GOOD, NEW, valid()], "none that gpgv knows"),
        ([NEW, f"[GNUPG:] BADSIG {ID} User"], "not made over these bytes"),
        ([NEW, f"[GNUPG:] BADSIG {ID} User", GOOD, valid()], "not made over these bytes"),
        ([NEW, f"[GNUPG:] EXPSIG {ID} User", valid()], "has expired"),
        ([NEW, f"[GNUPG:] EXPKEYSIG {ID} User", valid()], f"a key that has expired: {ID}"),
        ([NEW, f"[GNUPG:] REVKEYSIG {ID} User", valid()], f"a key that was revoked: {ID}"),
        ([NEW, f"[GNUPG:] ERRSIG {ID} 1 8 00 1 9", f"[GNUPG:] NO_PUBKEY {ID}"], f"not in gpgkey: {ID}"),
        ([NEW, f"[GNUPG:] ERRSIG {ID} 1 8 00 1 4"], "cannot be checked"),
        (["[GNUPG:] NODATA 1"], "no signature"),
        ([NEW, "[GNUPG:] NO_PUBKEY"], "not in gpgkey"),
        ([NEW, GOOD.lower(), valid().lower()], "none that gpgv knows"),
        ([NEW, f"gpgv: {GOOD}", f" {valid()}"], "none that gpgv knows"),
        ([NEW, GOOD.replace("GOODSIG", "GOODSIG_NOT"), valid()], "none that gpgv knows"),
        (["[GNUPG:]", "[GNUPG:] ", "[GNUPG:]  ", ""], "none that gpgv knows"),
    ],
)
def test_no_good_signature_whatever_the_exit_status(fake, lines, cause, status):
    assert cause in refused(fake(*lines, exit=status))


BAD = (NEW, f"[GNUPG:] BADSIG {ID} User")
UNKNOWN = (NEW, f"[GNUPG:] ERRSIG {OTHER} 1 8 00 1 9", f"[GNUPG:] NO_PUBKEY {OTHER}")
EXPIRED = (NEW, f"[GNUPG:] EXPKEYSIG {OTHER} User", valid())
WEAK = (NEW, GOOD, valid(2))


@pytest.mark.parametrize("other", [BAD, UNKNOWN, EXPIRED, WEAK, ("[GNUPG:] NODATA 4",)])
def test_one_good_signature_is_enough(fake, other):
    good = (NEW, GOOD, valid())
    fake(*other, *good, exit=1).check(SIGNATURE, b"data")
    fake(*good, *other[0:0], *(other if other[0] == NEW else ()), exit=1).check(SIGNATURE, b"data")


@pytest.mark.parametrize("others", [(BAD, UNKNOWN), (UNKNOWN, EXPIRED), (WEAK, BAD), (EXPIRED, EXPIRED, WEAK)])
def test_several_that_are_not_good_are_no_good_one(fake, others):
    refused(fake(*(line for other in others for line in other), exit=0))


@pytest.mark.parametrize("algorithm", [8, 9, 10, 11, 12, 14])
@pytest.mark.parametrize("allow", [True, False])
def test_strong_digests(fake, algorithm, allow):
    fake(NEW, GOOD, valid(algorithm), allow_sha1=allow).check(SIGNATURE, b"data")


def test_sha1(fake):
    assert "allow_sha1" in refused(fake(NEW, GOOD, valid(2)))
    fake(NEW, GOOD, valid(2), allow_sha1=True).check(SIGNATURE, b"data")


@pytest.mark.parametrize("algorithm", [1, 3])
@pytest.mark.parametrize("allow", [True, False])
def test_digests_that_nothing_allows(fake, algorithm, allow):
    assert "allow_sha1" not in refused(fake(NEW, GOOD, valid(algorithm), allow_sha1=allow))


@pytest.mark.parametrize("algorithm", [0, 4, 5, 6, 7, 99, "x", "2\u00a0"])
def test_digests_that_nobody_vouches_for(fake, algorithm):
    """MD2, TIGER and HAVAL have had numbers, too."""
    refused(fake(NEW, GOOD, valid(algorithm)))


@pytest.mark.parametrize("end", [end for end in LINE_ENDS[1:] if "\n" not in end], ids=ascii)
def test_what_a_user_is_called_is_no_line(fake, end):
    """gpgv escapes those that are ASCII, and leaves the others as they are."""
    name = f"User{end}[GNUPG:] NEWSIG{end}{GOOD}{end}{valid()}{end}"
    refused(fake(NEW, f"[GNUPG:] BADSIG {ID} {name}"))


def test_bytes_that_are_no_text(fake):
    fake(script=f"cat >/dev/null; printf '\\377\\376\\n{NEW}\\n{GOOD}\\377\\n{valid()}\\n'").check(SIGNATURE, b"d")


# The program


def test_it_is_told_what_to_check(fake, tmp_path):
    """The keys alone are trusted: neither the user's own keyring nor the environment says otherwise."""
    gpgv = fake(script=f'env >{tmp_path}/env; echo "$@" >{tmp_path}/args; cat >{tmp_path}/data; for last; do :; done')
    refused(gpgv, data=b"the data")
    arguments = (tmp_path / "args").read_text().split()
    assert sum(argument.startswith("--keyring") for argument in arguments) == 1
    assert (tmp_path / "data").read_bytes() == b"the data"
    environment = (tmp_path / "env").read_text()
    assert str(Path.home()) not in environment.replace(str(tmp_path), "")
    assert "LC_ALL=C\n" in environment


@pytest.mark.parametrize("script", ["kill -9 $$", "kill -SEGV $$", "exec >&-", "exit 0"])
def test_a_gpgv_that_crashes_says_nothing_good(fake, script):
    assert "none that gpgv knows" in refused(fake(script=script))


def test_a_gpgv_that_reads_nothing(fake):
    """A pipe would break; it is a file."""
    fake(script=f"echo '{NEW}'; echo '{GOOD}'; echo '{valid()}'").check(SIGNATURE, b"d" * 10_000_000)


def test_a_gpgv_that_hangs(fake, monkeypatch, tmp_path):
    """It is ended, and the signature is not good: an hour of every sync is not for upstream to take."""
    monkeypatch.setattr("mirrorpy.signatures.gpgv.SECONDS", 0.3)
    gpgv = fake(script=f"echo $$ >{tmp_path}/pid; exec sleep 60")
    began = time.monotonic()
    with pytest.raises(SignatureError, match="gpgv"):
        gpgv.check(SIGNATURE, b"data")
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_gpgv_that_hangs_after_a_good_word(fake, monkeypatch):
    monkeypatch.setattr("mirrorpy.signatures.gpgv.SECONDS", 0.3)
    with pytest.raises(SignatureError):
        fake(script=f"echo '{NEW}'; echo '{GOOD}'; echo '{valid()}'; exec sleep 60").check(SIGNATURE, b"d")


def test_a_gpgv_that_is_gone_by_now(fake, tmp_path):
    gpgv = fake(NEW, GOOD, valid())
    (tmp_path / "bin" / "gpgv").unlink()
    with pytest.raises(LocalError, match="gpgv"):
        gpgv.check(SIGNATURE, b"data")


def test_a_gpgv_that_may_not_be_run(fake, tmp_path):
    gpgv = fake(NEW, GOOD, valid())
    (tmp_path / "bin" / "gpgv").chmod(0o644)
    with pytest.raises(LocalError, match="gpgv"):
        gpgv.check(SIGNATURE, b"data")


def test_no_gpgv(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="gpgv") as raised:
        Gpgv(Keyring(b""))
    assert "install" in raised.value.message


def test_gpgv2_will_do(fake, tmp_path, monkeypatch):
    fake(NEW, GOOD, valid())
    (tmp_path / "bin" / "gpgv").rename(tmp_path / "bin" / "gpgv2")
    (tmp_path / "bin" / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin" / "gpgv2").write_text(
        (tmp_path / "bin" / "gpgv2").read_text().replace("cat ", f"{tmp_path}/bin/cat ")
    )
    Gpgv(Keyring(b"")).check(SIGNATURE, b"data")


def test_what_is_trusted_has_a_name(fake):
    """Verdicts are kept under it."""
    fake()
    one, other = Gpgv(Keyring(b"one")), Gpgv(Keyring(b"other"))
    weak = Gpgv(Keyring(b"one"), allow_sha1=True)
    assert one.id == Gpgv(Keyring(b"one")).id
    assert len({one.id, other.id, weak.id}) == 3
    assert all(gpgv.id.isprintable() and "\n" not in gpgv.id for gpgv in (one, other, weak))


def test_no_descriptors_are_left(fake):
    gpgv = fake(NEW, GOOD, valid())
    gpgv.check(SIGNATURE, b"data")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        gpgv.check(SIGNATURE, b"data")
    assert len(os.listdir("/proc/self/fd")) == before


# The real one


def real(tmp_path: Path, *keys: bytes, **settings: bool) -> Gpgv:
    real_program("gpgv")
    (tmp_path / "key").write_bytes(b"".join(keys))
    return Gpgv(load_keyring([str(tmp_path / "key")]), **settings)


def test_a_file_is_read_from_where_it_stands(tmp_path, keys):
    """As signatures over header and payload need it."""
    gpgv = real(tmp_path, keys.rsa.public())
    (tmp_path / "file").write_bytes(b"lead and so on" + b"signed" * 100_000)
    with (tmp_path / "file").open("rb") as file:
        os.lseek(file.fileno(), 14, os.SEEK_SET)
        gpgv.check(keys.rsa.sign(b"signed" * 100_000), file)
        os.lseek(file.fileno(), 14, os.SEEK_SET)
        several = (keys.stranger.sign(b"x"), keys.rsa.sign(b"bad"), keys.rsa.sign(b"signed" * 100_000))
        gpgv.check(b"".join(several), file)
        os.lseek(file.fileno(), 13, os.SEEK_SET)
        with pytest.raises(SignatureError):
            gpgv.check(keys.rsa.sign(b"signed" * 100_000), file)


@pytest.mark.parametrize("bad", range(3))
@pytest.mark.parametrize("form", ["binary", "ASCII", "ASCII each"])
def test_one_good_signature_among_bad_ones(tmp_path, keys, bad, form):
    """gpgv by itself stops at the first that is bad."""
    signatures = [keys.rsa.sign(b"other data")] * 2
    signatures.insert(bad, keys.ed25519.sign(b"data"))
    data = {"binary": b"".join(signatures), "ASCII": armoured(*signatures)}.get(form)
    gpgv = real(tmp_path, keys.rsa.public(), keys.ed25519.public())
    gpgv.check(data or b"\n".join(map(armoured, signatures)), b"data")


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_signature(fake, seed, tmp_path):
    """Whatever lengths it claims: it ends, and soon."""
    gpgv = fake(script=f"echo run >>{tmp_path}/runs")
    refused(gpgv, b"\x88" + random.Random(seed).randbytes(2000))
    refused(gpgv, bytes([0xC2, 0x00] * 1000))
    assert len((tmp_path / "runs").read_text().splitlines()) <= 40


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_data_of_any_size(tmp_path, keys, size):
    gpgv = real(tmp_path, keys.rsa.public())
    gpgv.check(keys.rsa.sign(bytes(size)), bytes(size))
    refused(gpgv, keys.rsa.sign(bytes(size)), bytes(size + 1))


def test_several_threads(tmp_path, keys):
    gpgv, good, bad = real(tmp_path, keys.rsa.public()), keys.rsa.sign(b"good"), keys.rsa.sign(b"bad")
    start = threading.Barrier(8)

    def check(number: int) -> bool:
        start.wait()
        try:
            gpgv.check(bad if number % 2 else good, b"good")
        except SignatureError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(check, range(8))) == [True, False] * 4


@pytest.mark.parametrize("end", LINE_ENDS[:-1], ids=ascii)
def test_a_key_whose_name_looks_like_status_lines(tmp_path, end):
    """Whoever has such a key in the keyring does not trust what it did not sign."""
    with made_keys() as keys:
        name = f"a{end}[GNUPG:] NEWSIG{end}{GOOD}{end}{valid()}"
        key = keys.make(f"{name} <a@example.org>", "ed25519")
        gpgv = real(tmp_path, key.public())
        gpgv.check(key.sign(b"data"), b"data")
        refused(gpgv, key.sign(b"data"), b"other data")


def test_a_signature_with_notations_that_look_like_status_lines(tmp_path, keys):
    """By a key that has expired, whose owner may be anybody by now."""
    end = "\u2028"
    options = (
        f"--sig-notation=a@example.org={end}[GNUPG:] NEWSIG{end}[GNUPG:] GOODSIG {ID}",
        f"--sig-notation=b@example.org={end}[GNUPG:] VALIDSIG 1 2 3 4 5 6 7 8",
    )
    gpgv = real(tmp_path, keys.expired.public())
    assert "expired" in refused(gpgv, keys.expired.sign(b"data", "SHA256", *options), b"data")


def test_the_users_own_keyring_is_not_asked(tmp_path, keys, monkeypatch):
    """gpgv trusts ~/.gnupg/trustedkeys.kbx where nobody names a keyring."""
    home = tmp_path / "home" / ".gnupg"
    home.mkdir(parents=True, mode=stat.S_IRWXU)
    (home / "trustedkeys.gpg").write_bytes(keys.rsa.public(armour=False))
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.setenv("GNUPGHOME", str(home))
    assert "not in gpgkey" in refused(real(tmp_path, keys.ed25519.public()), keys.rsa.sign(b"data"))


def test_hundreds_of_signatures_in_one_file(tmp_path, keys):
    """One good one among the first is found; nobody waits for ever."""
    gpgv = real(tmp_path, keys.rsa.public())
    unknown = keys.stranger.sign(b"data")
    gpgv.check(armoured(unknown, keys.rsa.sign(b"data"), *[unknown] * 300), b"data")
    refused(gpgv, armoured(*[unknown] * 300))


# As others signed

REAL = {
    "librepo": ("repos/librepo/repo_yum_01/repodata/repomd.xml", "odd/librepo/metalinks/key.pub", ""),
    "librepo, static": ("repos/librepo/static_01/repodata/repomd.xml", "odd/librepo/metalinks/key.pub", ""),
    "dnf5": ("odd/dnf5/repos-repomd/repomd-repo1-gpg/repodata/repomd.xml", "odd/dnf5/keys/repo-gpg-key.pub", ""),
    "dnf5, another key": (
        "odd/dnf5/repos-repomd/repomd-repo1-gpg/repodata/repomd.xml",
        "odd/dnf5/keys/key.pub",
        "not in gpgkey: 01F76D0A2ECFAFB4",
    ),
    "librepo, expired": (
        "odd/librepo/metalinks/expired_test/test_data.txt",
        "odd/librepo/metalinks/expired_test/expired_key.asc",
        "expired",
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_real_signatures(tmp_path, name):
    data, key, cause = REAL[name]
    folder = real_data(".")
    gpgv, signature = real(tmp_path, (folder / key).read_bytes()), (folder / f"{data}.asc").read_bytes()
    if cause:
        assert cause in refused(gpgv, signature, (folder / data).read_bytes())
    else:
        gpgv.check(signature, (folder / data).read_bytes())
        refused(gpgv, signature, (folder / data).read_bytes() + b"\n")


def test_rmts_signatures(tmp_path):
    """Of a key that has expired since; the bad one is said to be bad, and its key file holds none."""
    folder = real_data("odd/rmt-gpg")
    gpgv, data = real(tmp_path, (folder / "good.xml.key").read_bytes()), (folder / "dummy.xml").read_bytes()
    assert "expired" in refused(gpgv, (folder / "good.xml.asc").read_bytes(), data)
    assert "not made over these bytes" in refused(gpgv, (folder / "bad.xml.asc").read_bytes(), data)
    with pytest.raises(ConfigError):
        load_keyring([str(folder / "bad.xml.key")])
