"""What is published was signed by a key of the user's own: repomd.xml, every package, and nothing else will do."""

import json
import os
import shutil
import struct
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mirrorpy.sync.report import Options
from tests.simulator import Repo, Simulator, wrong
from tests.sync.mirror import Mirror as InProcess

from .installation import Mirror
from .listing import REPOMD, Snapshot, faults, snapshot
from .programs import real_program
from .signing import (
    DSA_HEADER,
    ENTRY_BYTES,
    GPG,
    HEADER_MAGIC,
    INTRO_BYTES,
    OPENPGP,
    PGP,
    RSA,
    RSA_HEADER,
    SHA1_HEADER,
    STRING,
    STRINGS,
    Key,
    Keys,
    Rpm,
    armoured,
    build_rpm6,
    made_keys,
    run_gpg,
    sign_as_centos,
    sign_as_centos_5,
    sign_as_fedora,
)
from .upstream import Upstream, build_rpm
from .webserver import Serve

ASC, KEY = f"{REPOMD}.asc", f"{REPOMD}.key"
TOOL = "tool.rpm"
UNUSED = 5999
"""A tag that nothing has."""
MAX_RUNS = 50
"""Of gpgv, for one package, however many signatures it claims to have."""

Sign = Callable[[Keys, bytes], bytes]


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    """A publisher's keys."""
    with made_keys() as made:
        yield made


@pytest.fixture
def up(upstream: Callable[[str], Upstream]) -> Upstream:
    """An upstream with one package, published and not signed."""
    up = upstream("up")
    publish(up, tool=build_rpm("tool"))
    return up


@pytest.fixture
def gpgv_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Say how often gpgv was run since the last call."""
    log, folder = tmp_path / "runs", tmp_path / "bin"
    folder.mkdir()
    (folder / "gpgv").write_text(f'#!/bin/sh\necho run >> "{log}"\nexec {real_program("gpgv")} "$@"\n')
    (folder / "gpgv").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def runs() -> int:
        count = len(log.read_text().splitlines()) if log.exists() else 0
        log.unlink(missing_ok=True)
        return count

    return runs


@dataclass(frozen=True, slots=True)
class Case:
    """What became of one repository among many."""

    upstream: Upstream
    published: Path
    report: dict[str, Any]
    lines: list[str]
    """Of stderr, those that name it."""

    def is_published(self) -> None:
        """It went well, and is whole."""
        assert self.report["outcome"] == "updated", self.report["error"]
        assert faults(self.published) == []
        assert self.lines == []

    def is_refused(self, status: int = 5) -> str:
        """Nothing is published; return its one line."""
        assert self.report["outcome"] == "failed"
        assert self.report["error"]["exit"] == status, self.report["error"]
        assert not os.path.lexists(self.published)
        (line,) = self.lines
        assert line.isprintable()
        return line


Judge = Callable[[str, str], Case]


@pytest.fixture(scope="module")
def judged(keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Say what became of a case, by its table and name; one run has them all, each a repository of its own."""
    folder = tmp_path_factory.mktemp("judged")
    mirror = Mirror(folder / "mirror")
    upstreams: dict[str, Upstream] = {}
    repos = []

    def add(table: str, name: str, package: bytes, sign: Sign | None, key: bytes, **checks: bool) -> None:
        repo_id = f"{table.replace(' ', '-')}-{len(repos)}-"
        up = upstreams[f"{table} {name}"] = Upstream(folder / "upstreams" / repo_id)
        publish(up, tool=package)
        if sign is not None:
            up.put(ASC, sign(keys, (up.folder / REPOMD).read_bytes()))
        (mirror.folder / f"key-{repo_id}").write_bytes(key)
        repos.append({"id": repo_id, "baseurl": up.url, "gpgkey": f"key-{repo_id}", **checks})

    tool, ring = build_rpm("tool"), trusted(keys)
    for name, make in {**GOOD, **{name: make for name, (make, _) in REFUSED.items()}}.items():
        add("repomd", name, tool, make, ring, repo_gpgcheck=True)
    for name in SHA1:
        add("sha1", name, tool, REFUSED[name][0], ring, repo_gpgcheck=True, allow_sha1=True)
    for name, load in {**KEY_FILES, **NO_KEYS}.items():
        add("keys", name, tool, GOOD["ASCII"], load(keys), repo_gpgcheck=True)
    for name, build in {**GOOD_PACKAGES, **SHA1_PACKAGES}.items():
        add("package", name, build(keys), None, ring, gpgcheck=True)
    for name, (build, _) in BAD_PACKAGES.items():
        add("package", name, build(keys), None, ring, gpgcheck=True)
    for name, build in SHA1_PACKAGES.items():
        add("sha1 package", name, build(keys), None, ring, gpgcheck=True, allow_sha1=True)
    mirror.configure(*repos, retries=0)
    outcome = mirror.sync("--quiet", expect=None)

    def judge(table: str, name: str) -> Case:
        up = upstreams[f"{table} {name}"]
        repo_id = up.folder.name
        lines = [line for line in outcome.stderr.splitlines() if repo_id in line]
        return Case(up, mirror.published(repo_id), outcome.repos[repo_id], lines)

    return judge


def publish(up: Upstream, **packages: bytes) -> None:
    """Publish these packages and no others; no signature."""
    for name, body in packages.items():
        up.put(f"{name}.rpm", body)
    up.compose({f"{name}.rpm": body for name, body in packages.items()})


def sign(up: Upstream, key: Key) -> None:
    """Sign what is published."""
    up.put(ASC, key.sign((up.folder / REPOMD).read_bytes(), "SHA256", "--armor"))


def trusted(keys: Keys) -> bytes:
    """The user's keyring."""
    known = (keys.rsa, keys.dsa, keys.ed25519, keys.with_subkey, keys.expired, keys.aged, keys.with_expired_subkey)
    return b"".join(key.public() for key in known)


def ask(mirror: Mirror, source: Upstream | str | list[str], *files: bytes, **checks: Any) -> None:
    """Configure the repository `base`, with these key files and checks."""
    names = []
    for number, content in enumerate(files):
        (mirror.folder / f"key-{number}").write_bytes(content)
        names.append(f"key-{number}")
    baseurl = source.url if isinstance(source, Upstream) else source
    mirror.configure({"id": "base", "baseurl": baseurl, "gpgkey": names, **checks}, retries=0)


def served(mirror: Mirror) -> Snapshot:
    """Everything below root but mirrorpy's own state."""
    return {
        path: entry for path, entry in snapshot(mirror.root).items() if path != "." and not path.startswith(".mirrorpy")
    }


def refused(mirror: Mirror, status: int = 5, *args: str) -> str:
    """Sync, which has to fail and to touch nothing that is served; return its one line."""
    before = served(mirror)
    outcome = mirror.sync("--quiet", *args, expect=status)
    (line,) = outcome.stderr.splitlines()
    assert "base" in line
    assert line.isprintable()
    assert served(mirror) == before
    return line


def refused_first(mirror: Mirror, status: int = 5) -> str:
    """Sync for the first time, in vain."""
    line = refused(mirror, status)
    assert not os.path.lexists(mirror.published("base"))
    return line


def findings(mirror: Mirror, *args: str, expect: int) -> list[tuple[str, str]]:
    """What verify finds: kind and path."""
    done = mirror.run("verify", "--format", "json", *args)
    assert done.returncode == expect, done.stderr + done.stdout
    return [(found["kind"], found["path"]) for repo in json.loads(done.stdout)["repos"] for found in repo["findings"]]


# repomd.xml


def _damaged(key: Key, data: bytes) -> bytes:
    """A signature by a trusted key, over other bytes."""
    return key.sign(data + b"\n")


def _of_length(key: Key, data: bytes, remainder: int) -> bytes:
    """A signature that ends so, in units of three bytes: armour pads what is left."""
    made = (key.sign(data, "SHA256", f"--sig-notation=pad@example.org={'x' * more}") for more in range(1, 10))
    return next(signature for signature in made if len(signature) % 3 == remainder)


GOOD: dict[str, Sign] = {
    "without a checksum": lambda keys, data: armoured(_of_length(keys.rsa, data, 0), checked=False),
    "without a checksum, padded": lambda keys, data: armoured(_of_length(keys.rsa, data, 1), checked=False),
    "ASCII": lambda keys, data: keys.rsa.sign(data, "SHA256", "--armor"),
    "binary": lambda keys, data: keys.rsa.sign(data),
    "SHA-512": lambda keys, data: keys.rsa.sign(data, "SHA512"),
    "ed25519": lambda keys, data: keys.ed25519.sign(data),
    "of a subkey": lambda keys, data: keys.with_subkey.sign(data),
    "of version 3": lambda keys, data: keys.rsa.sign_v3(data, "sha256"),
    "over text": lambda keys, data: keys.rsa.sign(data, "SHA256", "--textmode"),
    "for ten years": lambda keys, data: keys.rsa.sign(data, "SHA256", "--default-sig-expire=10y"),
    "two good ones": lambda keys, data: armoured(keys.rsa.sign(data), keys.ed25519.sign(data)),
    "unknown and good": lambda keys, data: armoured(keys.stranger.sign(data), keys.rsa.sign(data)),
    "good and unknown": lambda keys, data: armoured(keys.rsa.sign(data), keys.stranger.sign(data)),
    "bad and good": lambda keys, data: armoured(_damaged(keys.rsa, data), keys.ed25519.sign(data)),
    "good and bad": lambda keys, data: armoured(keys.ed25519.sign(data), _damaged(keys.rsa, data)),
    "SHA-1 and good": lambda keys, data: armoured(keys.rsa.sign(data, "SHA1"), keys.ed25519.sign(data)),
    "expired and good": lambda keys, data: armoured(keys.expired.sign(data), keys.ed25519.sign(data)),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_signature(judged: Judge, name: str) -> None:
    """It is published as it was found, beside the repomd.xml that it signs."""
    case = judged("repomd", name)
    case.is_published()
    assert (case.published / ASC).read_bytes() == (case.upstream.folder / ASC).read_bytes()


def _of_a_day(keys: Keys, data: bytes) -> bytes:
    return keys.aged.sign(data, "SHA256", "--default-sig-expire=1d")


def _cleartext(key: Key, data: bytes) -> bytes:
    return run_gpg(key.home, "-u", key.fingerprint, "--clear-sign", data=data)


def _message(key: Key, data: bytes) -> bytes:
    return run_gpg(key.home, "-u", key.fingerprint, "--sign", data=data)


REFUSED: dict[str, tuple[Sign, str]] = {
    "over other bytes": (lambda keys, data: _damaged(keys.rsa, data), "not made over these bytes"),
    "unknown": (lambda keys, data: keys.stranger.sign(data), "not in gpgkey"),
    "key expired": (lambda keys, data: keys.expired.sign(data), "expired"),
    "subkey expired": (lambda keys, data: keys.with_expired_subkey.sign(data), "expired"),
    "signature expired": (_of_a_day, "expired"),
    "SHA-1": (lambda keys, data: keys.rsa.sign(data, "SHA1"), "allow_sha1"),
    "SHA-1 of version 3": (lambda keys, data: keys.dsa.sign_v3(data), "allow_sha1"),
    "MD5": (lambda keys, data: keys.rsa.sign(data, "MD5"), "signature"),
    "bad and unknown": (lambda keys, data: armoured(_damaged(keys.rsa, data), keys.stranger.sign(data)), "signature"),
    "another text": (lambda keys, data: _cleartext(keys.rsa, b"tested\n"), "signature"),
    "another text, binary": (lambda keys, data: _message(keys.rsa, b"tested\n"), "signature"),
    "not detached": (lambda keys, data: _cleartext(keys.rsa, data), "signature"),
    "not detached, binary": (lambda keys, data: _message(keys.rsa, data), "signature"),
    "a key": (lambda keys, data: keys.rsa.public(), "signature"),
    "cut short": (lambda keys, data: keys.rsa.sign(data)[:-9], "signature"),
    "no signature": (lambda keys, data: armoured(), "signature"),
    "noise": (lambda keys, data: bytes(range(256)), "signature"),
    "text": (
        lambda keys, data: b"GOODSIG VALIDSIG\n[GNUPG:] GOODSIG\n[GNUPG:] VALIDSIG 1 2 3 4 5 6 7 8\n",
        "signature",
    ),
    "empty": (lambda keys, data: b"", "signature"),
    "a page": (lambda keys, data: b"<html>not found</html>", "signature"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_good_signature(judged: Judge, name: str) -> None:
    """One line that names the repository, repomd.xml at its URL, and the cause."""
    case = judged("repomd", name)
    line = case.is_refused()
    assert case.upstream.url + REPOMD in line
    assert REFUSED[name][1] in line


def test_no_signature_at_all(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    ask(mirror, up, trusted(keys), repo_gpgcheck=True)
    assert "repo_gpgcheck" in refused_first(mirror)


def test_a_revoked_key(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """What it signed before counts no more; the line has its id."""
    sign(up, keys.rsa)
    ask(mirror, up, keys.rsa.revoked(), repo_gpgcheck=True)
    line = refused_first(mirror)
    assert "revoked" in line
    assert keys.rsa.id in line


def test_a_revoked_subkey(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """Its key is as good as before."""
    key = keys.make("careless <careless@example.org>", "ed25519", "cert")
    key.add_subkey()
    sign(up, key)
    ask(mirror, up, key.public(), repo_gpgcheck=True)
    mirror.sync("--dry-run")
    key.revoke_subkey()
    ask(mirror, up, key.public(), repo_gpgcheck=True)
    assert "revoked" in refused_first(mirror)


def test_an_unknown_key_is_named(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    sign(up, keys.stranger)
    ask(mirror, up, keys.rsa.public(), repo_gpgcheck=True)
    assert keys.stranger.id in refused_first(mirror)


SHA1 = {
    "SHA-1": True,
    "SHA-1 of version 3": True,
    "MD5": False,
    "over other bytes": False,
    "unknown": False,
    "key expired": False,
    "signature expired": False,
}


@pytest.mark.parametrize("name", SHA1)
def test_to_allow_sha1_allows_nothing_else(judged: Judge, name: str) -> None:
    case = judged("sha1", name)
    if SHA1[name]:
        case.is_published()
    else:
        case.is_refused()


def test_a_bad_signature_on_an_update(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """What is published stays; it is replaced as soon as the signature is good."""
    sign(up, keys.rsa)
    ask(mirror, up, trusted(keys), repo_gpgcheck=True)
    mirror.sync()
    publish(up, tool=build_rpm("tool"), more=build_rpm("more"))
    sign(up, keys.stranger)
    refused(mirror)
    sign(up, keys.rsa)
    mirror.sync()
    assert (mirror.published("base") / "more.rpm").is_file()


def test_a_key_that_the_mirror_offers_is_not_trusted(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    sign(up, keys.stranger)
    up.put(KEY, keys.stranger.public())
    ask(mirror, up, keys.rsa.public(), repo_gpgcheck=True)
    refused_first(mirror)


def test_a_key_that_the_mirror_offers_is_mirrored(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """Clients decide for themselves."""
    sign(up, keys.rsa)
    up.put(KEY, keys.stranger.public())
    ask(mirror, up, keys.rsa.public(), repo_gpgcheck=True)
    mirror.sync()
    assert (mirror.published("base") / KEY).read_bytes() == keys.stranger.public()


def test_a_dry_run_checks_too(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    sign(up, keys.stranger)
    ask(mirror, up, keys.rsa.public(), repo_gpgcheck=True)
    refused(mirror, 5, "--dry-run")
    sign(up, keys.rsa)
    assert mirror.sync("--dry-run").repos["base"]["outcome"] == "planned"
    assert list(mirror.root.iterdir()) == []


def test_of_two_mirrors_the_one_that_is_well_signed(
    up: Upstream, mirror: Mirror, keys: Keys, upstream: Callable[[str], Upstream]
) -> None:
    sign(up, keys.rsa)
    first = upstream("first")
    shutil.copytree(up.folder, first.folder, dirs_exist_ok=True)
    sign(first, keys.stranger)
    ask(mirror, [first.url, up.url], keys.rsa.public(), repo_gpgcheck=True)
    report = mirror.sync().repos["base"]
    assert report["upstream"] == up.url
    assert (mirror.published("base") / ASC).read_bytes() == (up.folder / ASC).read_bytes()


def test_two_mirrors_neither_of_which_is_well_signed(
    up: Upstream, mirror: Mirror, keys: Keys, upstream: Callable[[str], Upstream]
) -> None:
    sign(up, keys.stranger)
    ask(mirror, [up.url, upstream("dead").url], keys.rsa.public(), repo_gpgcheck=True)
    refused_first(mirror)


def test_a_signature_that_came_after_its_repomd_was_published(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """The check is turned on once upstream signs, and upstream has nothing else that is new."""
    ask(mirror, up)
    mirror.sync()
    sign(up, keys.rsa)
    ask(mirror, up, keys.rsa.public(), repo_gpgcheck=True)
    mirror.sync()
    assert (mirror.published("base") / ASC).read_bytes() == (up.folder / ASC).read_bytes()


def test_a_repomd_that_another_key_signs_by_now(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """Upstream has a new key, and the user has followed."""
    sign(up, keys.rsa)
    ask(mirror, up, keys.rsa.public(), repo_gpgcheck=True)
    mirror.sync()
    sign(up, keys.ed25519)
    ask(mirror, up, keys.ed25519.public(), repo_gpgcheck=True)
    mirror.sync()
    assert (mirror.published("base") / ASC).read_bytes() == (up.folder / ASC).read_bytes()


# A publisher who is at it


@pytest.fixture
def signed_repo(repo: Repo, keys: Keys, tmp_path: Path) -> Repo:
    """An upstream in memory whose repomd.xml is signed."""
    (tmp_path / "key").write_bytes(keys.rsa.public())
    repo.put(ASC, keys.rsa.sign(repo.read(REPOMD)))
    return repo


@pytest.fixture
def in_process(tmp_path: Path, simulator: Simulator) -> InProcess:
    """A mirror that syncs from the web in memory."""
    return InProcess(tmp_path / "memory", simulator)


def checked(tmp_path: Path) -> dict[str, Any]:
    return {"repo_gpgcheck": True, "gpgkey": (str(tmp_path / "key"),)}


def test_a_signature_of_the_state_before(signed_repo: Repo, in_process: InProcess, keys: Keys, tmp_path: Path) -> None:
    """repomd.xml is uploaded, its signature a moment later: the pair is read once more."""
    in_process.updates(signed_repo, **checked(tmp_path))
    old = signed_repo.read(ASC)
    signed_repo.add("fish")
    signed_repo.publish()
    signed_repo.put(ASC, keys.rsa.sign(signed_repo.read(REPOMD)))
    signed_repo.fail(ASC, wrong(old))
    in_process.updates(signed_repo, **checked(tmp_path))
    assert in_process.tree()[REPOMD] == signed_repo.read(REPOMD)
    assert in_process.tree()[ASC] == signed_repo.read(ASC)


def test_a_signature_of_the_state_to_come(signed_repo: Repo, in_process: InProcess, keys: Keys, tmp_path: Path) -> None:
    """The signature is there first."""
    in_process.updates(signed_repo, **checked(tmp_path))
    signed_repo.add("fish")
    signed_repo.publish()
    earlier = signed_repo.read(REPOMD)
    signed_repo.add("eel")
    signed_repo.publish()
    signed_repo.put(ASC, keys.rsa.sign(signed_repo.read(REPOMD)))
    signed_repo.fail(REPOMD, wrong(earlier, ETag=None))
    in_process.updates(signed_repo, **checked(tmp_path))
    assert in_process.tree()[REPOMD] == signed_repo.read(REPOMD)


def test_a_signature_that_is_not_there_for_a_moment(
    signed_repo: Repo, in_process: InProcess, keys: Keys, tmp_path: Path
) -> None:
    in_process.updates(signed_repo, **checked(tmp_path))
    signed_repo.add("fish")
    signed_repo.publish()
    signed_repo.put(ASC, keys.rsa.sign(signed_repo.read(REPOMD)))
    signed_repo.fail(ASC, lambda _request, reply: replace(reply, status=404, body=()))
    in_process.updates(signed_repo, **checked(tmp_path))
    assert in_process.tree()[ASC] == signed_repo.read(ASC)


def test_a_signature_that_stays_behind(signed_repo: Repo, in_process: InProcess, tmp_path: Path) -> None:
    """It is no moment's matter then, and not asked for without end."""
    in_process.updates(signed_repo, **checked(tmp_path))
    signed_repo.add("fish")
    signed_repo.publish()
    signed_repo.asked()
    in_process.fails(5, signed_repo, **checked(tmp_path))
    assert len(signed_repo.asked()) < 10


def test_a_signature_that_is_another_each_time(
    signed_repo: Repo, in_process: InProcess, keys: Keys, tmp_path: Path
) -> None:
    """None of them good: that is not asked for without end either."""
    in_process.updates(signed_repo, **checked(tmp_path))
    signed_repo.add("fish")
    signed_repo.publish()
    signed_repo.asked()
    made = iter(range(1000))

    def another(_request: object, reply: Any) -> Any:
        body = keys.rsa.sign(b"%d" % next(made))
        return wrong(body)(None, reply)

    signed_repo.fail(ASC, another, always=True)
    in_process.fails(5, signed_repo, **checked(tmp_path))
    assert len(signed_repo.asked()) < 40


def test_a_dry_run_reads_a_pair_of_two_states_again(signed_repo: Repo, in_process: InProcess, tmp_path: Path) -> None:
    signed_repo.fail(ASC, wrong(b"\x89\x01"))
    report = in_process.sync(signed_repo, options=Options(dry_run=True), **checked(tmp_path))
    assert (report.outcome, report.error) == ("planned", None)


# The user's keys

KEY_FILES: dict[str, Callable[[Keys], bytes]] = {
    "ASCII": lambda keys: keys.rsa.public(),
    "binary": lambda keys: keys.rsa.public(armour=False),
    "several, ASCII": lambda keys: keys.ed25519.public() + keys.rsa.public() + keys.dsa.public(),
    "several, in one block": lambda keys: armoured(
        keys.ed25519.public(armour=False), keys.rsa.public(armour=False), kind="PUBLIC KEY BLOCK"
    ),
    "several, binary": lambda keys: keys.ed25519.public(armour=False) + keys.rsa.public(armour=False),
    "CR LF": lambda keys: keys.rsa.public().replace(b"\n", b"\r\n"),
    "with words around": lambda keys: b"The key of \xc3\x96:\n\n" + keys.rsa.public() + b"\nbye\n",
    "with headers": lambda keys: keys.rsa.public().replace(b"\n\n", b"\nVersion: GnuPG v1.4.5\nComment: x\n\n", 1),
    "with an expired one": lambda keys: keys.expired.public() + keys.rsa.public(),
    "twice the same": lambda keys: keys.rsa.public() * 2,
}


@pytest.mark.parametrize("name", KEY_FILES)
def test_a_key_file(judged: Judge, name: str) -> None:
    judged("keys", name).is_published()


def test_several_key_files(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    sign(up, keys.rsa)
    ask(mirror, up, keys.ed25519.public(), keys.rsa.public(armour=False), keys.dsa.public(), repo_gpgcheck=True)
    mirror.sync()


NO_KEYS: dict[str, Callable[[Keys], bytes]] = {
    "empty": lambda _keys: b"",
    "text": lambda _keys: b"my key\n",
    "noise": lambda _keys: bytes(range(256)),
    "zeros": lambda _keys: bytes(4096),
    "a page": lambda _keys: b"<html>404</html>",
    "private": lambda keys: keys.rsa.secret(),
    "private, binary": lambda keys: keys.rsa.secret(armour=False),
    "signature": lambda keys: keys.rsa.sign(b"x", "SHA256", "--armor"),
    "nothing in it": lambda _keys: armoured(kind="PUBLIC KEY BLOCK"),
    "no base64": lambda _keys: b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!\n-----END PGP PUBLIC KEY BLOCK-----\n",
    "without an end": lambda keys: keys.rsa.public()[:-30],
    "more than any key": lambda keys: keys.rsa.public(armour=False) + bytes(17 * 1024**2),
}


@pytest.mark.parametrize("name", NO_KEYS)
def test_no_key_file(judged: Judge, name: str) -> None:
    """Upstream is not asked; the line names the file."""
    case = judged("keys", name)
    assert f"key-{case.upstream.folder.name}" in case.is_refused(2)
    assert case.report["requests"] == 0


def test_one_good_key_file_does_not_make_up_for_another(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    sign(up, keys.rsa)
    ask(mirror, up, keys.rsa.public(), b"", repo_gpgcheck=True)
    assert str(mirror.folder / "key-1") in refused_first(mirror, 2)


@pytest.mark.parametrize("make", [lambda path: None, os.mkdir, lambda path: os.symlink(path, path)])
def test_a_key_file_that_cannot_be_read(up: Upstream, mirror: Mirror, make: Callable[[Path], None]) -> None:
    make(mirror.folder / "key")
    mirror.configure({"id": "base", "baseurl": up.url, "gpgkey": "key", "gpgcheck": True}, retries=0)
    assert str(mirror.folder / "key") in refused_first(mirror, 2)


@pytest.mark.parametrize("check", ["repo_gpgcheck", "gpgcheck"])
def test_a_check_needs_keys(up: Upstream, mirror: Mirror, check: str) -> None:
    mirror.configure({"id": "base", "baseurl": up.url, check: True})
    done = mirror.run("sync")
    assert done.returncode == 2
    assert "gpgkey" in done.stderr


def test_a_key_on_the_network_is_none(up: Upstream, mirror: Mirror) -> None:
    url = "https://mirror.example.org/RPM-GPG-KEY"
    mirror.configure({"id": "base", "baseurl": up.url, "gpgkey": url, "gpgcheck": True})
    done = mirror.run("sync")
    assert done.returncode == 2
    assert url in done.stderr


def test_a_key_file_by_its_url(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    sign(up, keys.rsa)
    file = mirror.folder / "my key"
    file.write_bytes(keys.rsa.public())
    mirror.configure({"id": "base", "baseurl": up.url, "gpgkey": file.as_uri(), "repo_gpgcheck": True})
    mirror.sync()


@pytest.mark.parametrize("check", ["repo_gpgcheck", "gpgcheck"])
def test_without_gpgv(up: Upstream, mirror: Mirror, keys: Keys, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2, and nothing is published; `verify` says the same."""
    ask(mirror, up, keys.rsa.public(), **{check: True})
    monkeypatch.setenv("PATH", str(mirror.temporary))
    assert "gpgv" in refused_first(mirror, 2)
    done = mirror.run("verify")
    assert done.returncode == 2
    assert "gpgv" in done.stderr


def test_without_gpgv_and_without_checks(up: Upstream, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(mirror, up)
    monkeypatch.setenv("PATH", str(mirror.temporary))
    mirror.sync()


# Packages


def _tag(rpm: Rpm, tag: int, key: Key, digest: str = "SHA256") -> Rpm:
    return rpm.signed(tag, key.sign(rpm.body if tag in (PGP, GPG) else rpm.header, digest))


def _rpm6(rpm: Rpm, *signatures: bytes) -> bytes:
    """With signatures as rpm 6 has them."""
    texts = b"".join(b64encode(signature) + b"\0" for signature in signatures)
    return rpm.tagged((OPENPGP, STRINGS, texts, len(signatures))).bytes


def _tool() -> Rpm:
    return Rpm.of(build_rpm("tool")).digested()


def _old_tool() -> Rpm:
    return Rpm.of(build_rpm("tool")).old.digested()


GOOD_PACKAGES: dict[str, Callable[[Keys], bytes]] = {
    "Fedora": lambda keys: sign_as_fedora(build_rpm("tool"), keys.rsa),
    "Fedora, ed25519": lambda keys: sign_as_fedora(build_rpm("tool"), keys.ed25519),
    "Fedora, subkey": lambda keys: sign_as_fedora(build_rpm("tool"), keys.with_subkey),
    "CentOS 7": lambda keys: sign_as_centos(build_rpm("tool"), keys.rsa, "SHA256", algorithm=RSA),
    "CentOS 6": lambda keys: sign_as_centos_5(build_rpm("tool"), keys.rsa, "sha256", algorithm=RSA),
    "all of it alone": lambda keys: _tag(_old_tool(), PGP, keys.rsa).bytes,
    "header and all": lambda keys: _tag(_tag(_tool(), RSA_HEADER, keys.rsa), PGP, keys.rsa).bytes,
    "unknown and good": lambda keys: _tag(_tag(_tool(), RSA_HEADER, keys.stranger), PGP, keys.rsa).bytes,
    "good and unknown": lambda keys: _tag(_tag(_tool(), RSA_HEADER, keys.rsa), PGP, keys.stranger).bytes,
    "rpm 6": lambda keys: _rpm6(Rpm.of(build_rpm6("tool")), keys.rsa.sign(Rpm.of(build_rpm6("tool")).header)),
    "tag of rpm 6": lambda keys: _rpm6(_tool(), keys.rsa.sign(_tool().header)),
    "tag of rpm 6, two": lambda keys: _rpm6(_tool(), keys.stranger.sign(_tool().header), keys.rsa.sign(_tool().header)),
    "without other digests": lambda keys: _tag(Rpm.of(build_rpm("tool")), RSA_HEADER, keys.rsa).bytes,
}
SHA1_PACKAGES: dict[str, Callable[[Keys], bytes]] = {
    "CentOS 5": lambda keys: sign_as_centos_5(build_rpm("tool"), keys.dsa),
    "CentOS 5, version 4": lambda keys: sign_as_centos(build_rpm("tool"), keys.dsa),
    "SHA-1 of RSA": lambda keys: sign_as_fedora(build_rpm("tool"), keys.rsa, "SHA1"),
}


@pytest.mark.parametrize("name", GOOD_PACKAGES)
def test_a_package_that_is_well_signed(judged: Judge, name: str) -> None:
    judged("package", name).is_published()


@pytest.mark.parametrize("name", SHA1_PACKAGES)
def test_a_package_that_is_signed_over_sha1(judged: Judge, name: str) -> None:
    """The line says how to allow it."""
    assert "allow_sha1" in judged("package", name).is_refused()
    judged("sha1 package", name).is_published()


def _payload_changed(package: bytes) -> bytes:
    return package[:-1] + bytes([package[-1] ^ 1])


def _dribble(rpm: Rpm, tag: int = UNUSED) -> Rpm:
    """One more entry, which no signature covers; those that there are stay good."""
    count, size = struct.unpack_from(">II", rpm.header, 8)
    end = INTRO_BYTES + ENTRY_BYTES * count
    entry = struct.pack(">iIiI", tag, STRING, size, 1)
    header = HEADER_MAGIC + struct.pack(">II", count + 1, size + 2) + rpm.header[INTRO_BYTES:end] + entry
    return replace(rpm, header=header + rpm.header[end:] + b"x\0")


def _renamed(rpm: Rpm, old: int, new: int) -> Rpm:
    """Another tag in the main header, signed with it."""
    header = bytearray(rpm.header)
    count = struct.unpack_from(">I", header, 8)[0]
    places = range(INTRO_BYTES, INTRO_BYTES + ENTRY_BYTES * count, ENTRY_BYTES)
    (place,) = (place for place in places if struct.unpack_from(">I", header, place)[0] == old)
    struct.pack_into(">I", header, place, new)
    return replace(rpm, header=bytes(header), signature=()).digested()


def _claims(rpm: Rpm, entries: int) -> Rpm:
    return replace(rpm, header=rpm.header[:8] + struct.pack(">I", entries) + rpm.header[12:])


BAD_PACKAGES: dict[str, tuple[Callable[[Keys], bytes], str]] = {
    "unsigned": (lambda keys: build_rpm("tool"), "not signed"),
    "unknown": (lambda keys: sign_as_fedora(build_rpm("tool"), keys.stranger), "not in gpgkey"),
    "expired": (lambda keys: sign_as_fedora(build_rpm("tool"), keys.expired), "expired"),
    "another's": (
        lambda keys: _tool().signed(RSA_HEADER, keys.rsa.sign(Rpm.of(build_rpm("other")).header)).bytes,
        "not made over these bytes",
    ),
    "MD5": (lambda keys: sign_as_fedora(build_rpm("tool"), keys.rsa, "MD5"), "signature"),
    "header's SHA-1": (
        lambda keys: _tag(Rpm.of(build_rpm("tool")).digested(sha1="0" * 40), 268, keys.rsa).bytes,
        "sha1",
    ),
    "header's SHA-256": (
        lambda keys: _tag(Rpm.of(build_rpm("tool")).digested(sha256="0" * 64), 268, keys.rsa).bytes,
        "sha256",
    ),
    "MD5 of old": (
        lambda keys: _tag(Rpm.of(build_rpm("tool")).old.digested(md5=bytes(16)), PGP, keys.rsa).bytes,
        "md5",
    ),
    "payload": (lambda keys: _payload_changed(sign_as_fedora(build_rpm("tool"), keys.rsa)), "payload"),
    "payload of old": (
        lambda keys: _payload_changed(sign_as_centos(build_rpm("tool"), keys.rsa, "SHA256", algorithm=RSA)),
        "md5",
    ),
    "payload of old, MD5 too": (
        lambda keys: (
            _tag(replace(tool := _old_tool(), payload=b"evil", signature=()).digested(), DSA_HEADER, keys.rsa)
            .signed(PGP, keys.rsa.sign(tool.body))
            .bytes
        ),
        "not made over these bytes",
    ),
    "payload of old that nothing signs": (lambda keys: _tag(_old_tool(), RSA_HEADER, keys.rsa).bytes, "payload"),
    "payload cut": (lambda keys: sign_as_fedora(build_rpm("tool"), keys.rsa)[:-100], "payload"),
    "dribble": (lambda keys: _dribble(_tag(_tool(), RSA_HEADER, keys.rsa)).bytes, "covered by no signature"),
    "dribble, all signed": (
        lambda keys: _tag(_dribble(Rpm.of(build_rpm("tool")).old), PGP, keys.rsa).bytes,
        "covered by no signature",
    ),
    "dribble of a signature": (
        lambda keys: _dribble(_tag(_tool(), RSA_HEADER, keys.rsa), SHA1_HEADER).bytes,
        str(SHA1_HEADER),
    ),
    "signature in the main header": (
        lambda keys: _tag(_renamed(_tool(), 1006, RSA_HEADER), RSA_HEADER, keys.rsa).bytes,
        str(RSA_HEADER),
    ),
    "absurd counts": (lambda keys: _claims(_tag(_tool(), RSA_HEADER, keys.rsa), 0x7FFFFFFF).bytes, "2147483647"),
    "no base64": (
        lambda keys: _tool().tagged((OPENPGP, STRINGS, b"\xff\xfe!\0", 1)).bytes,
        "signature",
    ),
    "no signature in it": (lambda keys: _tool().signed(RSA_HEADER, b"\0" * 64).bytes, "signature"),
    "empty signature": (lambda keys: _tool().signed(RSA_HEADER, b"").bytes, "sign"),
    "a key for a signature": (
        lambda keys: _tool().signed(RSA_HEADER, keys.rsa.public(armour=False)).bytes,
        "signature",
    ),
    "no RPM": (lambda keys: b"\x1f\x8b no RPM at all", "no RPM"),
    "nothing": (lambda keys: b"", "no RPM"),
}


@pytest.mark.parametrize("name", BAD_PACKAGES)
def test_a_package_that_is_not_well_signed(judged: Judge, name: str) -> None:
    """Its checksum is what the metadata says; one line names repository, package and cause."""
    case = judged("package", name)
    line = case.is_refused()
    assert TOOL in line
    assert BAD_PACKAGES[name][1] in line
    assert case.report["error"]["kind"] == "SignatureError"
    assert case.report["error"]["href"] == TOOL


def test_a_package_of_a_revoked_key(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    publish(up, tool=sign_as_fedora(build_rpm("tool"), keys.rsa))
    ask(mirror, up, keys.rsa.revoked(), gpgcheck=True)
    assert "revoked" in refused_first(mirror)


@pytest.mark.parametrize("bad", [1, 3])
def test_few_of_many_are_not_signed(up: Upstream, mirror: Mirror, keys: Keys, bad: int) -> None:
    """One is named, with the number of the others; what is published stays whole."""
    good = {f"good{number}": sign_as_fedora(build_rpm(f"good{number}"), keys.rsa) for number in range(5)}
    publish(up, **good)
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    mirror.sync()
    publish(up, **good, **{f"bad{number}": build_rpm(f"bad{number}") for number in range(bad)})
    line = refused(mirror)
    assert "bad0.rpm" in line
    assert (f"{bad - 1} more" in line) == (bad > 1)
    assert faults(mirror.published("base")) == []
    assert findings(mirror, expect=0) == []


def test_all_that_are_not_signed_are_named_where_asked(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    publish(up, one=build_rpm("one"), two=build_rpm("two"))
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    done = mirror.run("sync", "--verbose")
    assert done.returncode == 5
    assert "one.rpm" in done.stderr
    assert "two.rpm" in done.stderr


def test_packages_are_not_what_repo_gpgcheck_is_about(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """Nor is repomd.xml what gpgcheck is about."""
    sign(up, keys.rsa)
    ask(mirror, up, keys.rsa.public(), repo_gpgcheck=True)
    mirror.sync()
    publish(up, tool=sign_as_fedora(build_rpm("tool"), keys.rsa))
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    mirror.sync()


def test_thousands_of_signatures_cost_no_thousands_of_processes(
    up: Upstream, mirror: Mirror, keys: Keys, gpgv_runs: Callable[[], int]
) -> None:
    """A package of 60 KB that says to have them must not take a night."""
    publish(up, tool=_rpm6(_tool(), *[keys.stranger.sign(b"x")] * 400))
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    refused_first(mirror)
    assert gpgv_runs() <= MAX_RUNS


# What was found good before


def test_what_came_without_a_check_is_checked(
    up: Upstream, mirror: Mirror, keys: Keys, upstream: Callable[[str], Upstream]
) -> None:
    """Though another repository downloaded it, and nothing is left to download."""
    other = upstream("other")
    publish(other, tool=build_rpm("tool"))
    (mirror.folder / "key").write_bytes(keys.rsa.public())
    free = {"id": "free", "baseurl": other.url}
    mirror.configure(free)
    mirror.sync()
    mirror.configure(free, {"id": "base", "baseurl": up.url, "gpgcheck": True, "gpgkey": "key"})
    assert "base" in refused(mirror)
    assert not os.path.lexists(mirror.published("base"))


def test_a_check_that_is_turned_on_is_for_what_is_published(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """Upstream has not changed; what is published stays, and every run says so."""
    ask(mirror, up)
    mirror.sync()
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    refused(mirror)
    assert TOOL in refused(mirror)


def test_a_package_is_checked_once(up: Upstream, mirror: Mirror, keys: Keys, gpgv_runs: Callable[[], int]) -> None:
    first = {f"p{number}": sign_as_fedora(build_rpm(f"p{number}"), keys.rsa) for number in range(3)}
    publish(up, **first)
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    mirror.sync()
    assert gpgv_runs() == 3
    publish(up, **first, more=sign_as_fedora(build_rpm("more"), keys.rsa))
    mirror.sync()
    assert gpgv_runs() == 1
    ask(mirror, up, keys.rsa.public(), keys.ed25519.public(), gpgcheck=True)
    mirror.sync()
    assert gpgv_runs() == 4, "under other keys it is another question"
    ask(mirror, up, keys.rsa.public(), keys.ed25519.public(), gpgcheck=True, allow_sha1=True)
    mirror.sync()
    assert gpgv_runs() == 4, "as under other rules"


def test_after_a_failure_what_was_good_is_not_checked_again(
    up: Upstream, mirror: Mirror, keys: Keys, gpgv_runs: Callable[[], int]
) -> None:
    good = {f"p{number}": sign_as_fedora(build_rpm(f"p{number}"), keys.rsa) for number in range(3)}
    publish(up, **good, bad=sign_as_fedora(build_rpm("bad"), keys.stranger))
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    refused_first(mirror)
    gpgv_runs()
    publish(up, **good, bad=sign_as_fedora(build_rpm("bad"), keys.ed25519))
    refused_first(mirror)
    assert gpgv_runs() == 1


def test_a_verdict_is_not_for_another_file(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """One that has the name of a file that was good."""
    publish(up, tool=sign_as_fedora(build_rpm("tool"), keys.rsa))
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    mirror.sync()
    publish(up, tool=build_rpm("tool", release="1", size=2_001))
    assert TOOL in refused(mirror)


@pytest.mark.parametrize("check", ["repo_gpgcheck", "gpgcheck"])
def test_other_keys_are_for_what_is_published_too(up: Upstream, mirror: Mirror, keys: Keys, check: str) -> None:
    """Upstream has not changed: what the new keys do not vouch for is an error, and stays published."""
    publish(up, tool=sign_as_fedora(build_rpm("tool"), keys.rsa))
    sign(up, keys.rsa)
    ask(mirror, up, keys.rsa.public(), **{check: True})
    mirror.sync()
    ask(mirror, up, keys.ed25519.public(), **{check: True})
    refused(mirror)
    refused(mirror)
    ask(mirror, up, keys.ed25519.public() + keys.rsa.public(), **{check: True})
    assert mirror.sync().repos["base"]["outcome"] == "unchanged"


def test_a_run_without_news_checks_nothing(
    up: Upstream, mirror: Mirror, keys: Keys, nginx: Serve, gpgv_runs: Callable[[], int]
) -> None:
    """One request, and no gpgv."""
    publish(up, tool=sign_as_fedora(build_rpm("tool"), keys.rsa))
    sign(up, keys.rsa)
    server = nginx(up.folder)
    ask(mirror, server.url, keys.rsa.public(), repo_gpgcheck=True, gpgcheck=True)
    mirror.sync()
    assert gpgv_runs() > 0
    server.requests()
    assert mirror.sync().repos["base"]["outcome"] == "unchanged"
    assert gpgv_runs() == 0
    assert [(request.status, request.href) for request in server.requests()] == [(304, REPOMD)]


@pytest.mark.parametrize("loss", ["verdicts", "all state"])
def test_a_loss_of_what_is_remembered_costs_a_check(
    up: Upstream, mirror: Mirror, keys: Keys, gpgv_runs: Callable[[], int], loss: str
) -> None:
    publish(up, tool=sign_as_fedora(build_rpm("tool"), keys.rsa))
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    mirror.sync()
    gpgv_runs()
    own = mirror.root / ".mirrorpy" / "repos" / "base"
    for file in own.glob("*" if loss == "all state" else "signed"):
        if file.is_file():
            file.unlink()
    publish(up, tool=(up.folder / TOOL).read_bytes(), more=sign_as_fedora(build_rpm("more"), keys.rsa))
    mirror.sync()
    assert gpgv_runs() == 2


# Retired files, other repositories


def test_a_retired_package_that_is_not_well_signed_is_dropped(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """Upstream does not promise it any more: a warning, and clients that read yesterday's metadata do without."""
    good, kept = sign_as_fedora(build_rpm("tool"), keys.rsa), sign_as_fedora(build_rpm("kept"), keys.rsa)
    publish(up, tool=good, kept=kept, bad=build_rpm("bad"))
    ask(mirror, up, keys.rsa.public(), grace="1h")
    mirror.sync()
    publish(up, tool=good)
    ask(mirror, up, keys.rsa.public(), grace="1h", gpgcheck=True, max_shrink="100%")
    (warning,) = mirror.sync().repos["base"]["warnings"]
    assert "bad.rpm" in warning
    assert "not signed" in warning
    assert {path.name for path in mirror.published("base").glob("*.rpm")} == {"tool.rpm", "kept.rpm"}


@pytest.mark.parametrize("failing", ["signature", "keys"])
def test_other_repositories_go_on(
    up: Upstream, mirror: Mirror, keys: Keys, upstream: Callable[[str], Upstream], failing: str
) -> None:
    other = upstream("other")
    publish(other, one=build_rpm("one"))
    (mirror.folder / "key").write_bytes(keys.rsa.public() if failing == "signature" else b"")
    mirror.configure(
        {"id": "base", "baseurl": up.url, "gpgcheck": True, "gpgkey": "key"}, {"id": "free", "baseurl": other.url}
    )
    outcome = mirror.sync(expect=5 if failing == "signature" else 2)
    assert [repo["outcome"] for repo in outcome.document["repos"]] == ["failed", "updated"]
    assert faults(mirror.published("free")) == []


# verify


@pytest.fixture
def whole(up: Upstream, mirror: Mirror, keys: Keys) -> Mirror:
    """A mirror of signed packages under a signed repomd.xml, both of which it checks."""
    publish(up, **{name: sign_as_fedora(build_rpm(name), keys.rsa) for name in ("tool", "more")})
    sign(up, keys.rsa)
    ask(mirror, up, keys.rsa.public(), repo_gpgcheck=True, gpgcheck=True)
    mirror.sync()
    return mirror


def overwrite(path: Path, body: bytes) -> None:
    """Change a published file in place, as only an accident does."""
    path.chmod(0o644)
    path.write_bytes(body)
    path.chmod(0o444)


def test_verify_of_what_is_well_signed(whole: Mirror) -> None:
    assert findings(whole, expect=0) == []


def test_verify_names_the_signature_of_repomd(whole: Mirror, keys: Keys) -> None:
    overwrite(whole.published("base") / ASC, keys.stranger.sign(whole.revision("base")))
    assert ("signature", ASC) in findings(whole, expect=1)


def test_verify_names_a_signature_that_is_gone(whole: Mirror) -> None:
    (whole.published("base") / ASC).unlink()
    assert ("signature", ASC) in findings(whole, expect=1)


def test_verify_names_packages(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """They were published without a check."""
    publish(up, tool=sign_as_fedora(build_rpm("tool"), keys.rsa), bad=build_rpm("bad"))
    ask(mirror, up)
    mirror.sync()
    ask(mirror, up, keys.rsa.public(), repo_gpgcheck=True, gpgcheck=True)
    assert sorted(findings(mirror, expect=1)) == [("signature", "bad.rpm"), ("signature", ASC)]
    assert findings(mirror, "--fail-on", "checksum", expect=0) != []


def test_verify_without_checks_looks_at_no_signature(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    sign(up, keys.stranger)
    ask(mirror, up)
    mirror.sync()
    assert findings(mirror, expect=0) == []


def test_repair_mends_a_package(whole: Mirror, up: Upstream) -> None:
    """Its bytes changed; they come anew, and are checked."""
    body = (up.folder / TOOL).read_bytes()
    overwrite(whole.published("base") / TOOL, _payload_changed(body))
    assert findings(whole, expect=1) == [("checksum", TOOL)]
    assert findings(whole, "--repair", expect=0) == []
    assert (whole.published("base") / TOOL).read_bytes() == body
    assert findings(whole, expect=0) == []


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_repair_mends_a_signature(whole: Mirror, up: Upstream, damage: str) -> None:
    path = whole.published("base") / ASC
    if damage == "changed":
        overwrite(path, path.read_bytes().replace(b"\n\n", b"\n\nA", 1))
    else:
        path.unlink()
    assert findings(whole, "--repair", expect=0) == []
    assert (whole.published("base") / ASC).read_bytes() == (up.folder / ASC).read_bytes()
    assert findings(whole, expect=0) == []


def test_repair_does_not_take_what_is_not_well_signed(up: Upstream, mirror: Mirror, keys: Keys) -> None:
    """It stays a finding, and what is published stays."""
    ask(mirror, up)
    mirror.sync()
    ask(mirror, up, keys.rsa.public(), gpgcheck=True)
    before = served(mirror)
    assert findings(mirror, "--repair", expect=1) == [("signature", TOOL)]
    assert served(mirror) == before


def test_a_signature_that_was_damaged_here_is_brought_again(whole: Mirror, up: Upstream, keys: Keys) -> None:
    """When keys change, upstream is asked before what is here is called bad."""
    path = whole.published("base") / ASC
    overwrite(path, b"x" * len(path.read_bytes()))
    ask(whole, up, keys.rsa.public() + keys.ed25519.public(), repo_gpgcheck=True, gpgcheck=True)
    whole.sync()
    assert (whole.published("base") / ASC).read_bytes() == (up.folder / ASC).read_bytes()
