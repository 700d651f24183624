"""Bad input and a bad machine: one line, the right exit status, and all else as if nothing had happened."""

import gzip
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .installation import Mirror
from .listing import REPOMD, Snapshot, faults, files_below, snapshot
from .programs import real_program
from .upstream import Upstream, build_rpm, companions, primary_xml
from .webserver import Nginx, Serve

Make = Callable[[str], Upstream]
Pair = tuple[Upstream, Upstream, Nginx]
Damage = Callable[[Upstream], str]
"""Make something wrong upstream; returns what the message must name."""

DROPPED = "Packages/dropped-1.0-1.noarch.rpm"


def packages(base: Upstream) -> dict[str, bytes]:
    """What is there, by href."""
    return {f"Packages/{path.name}": path.read_bytes() for path in sorted((base.folder / "Packages").glob("*.rpm"))}


def package_missing(base: Upstream) -> str:
    """Listed, but a 404."""
    href = base.add("broken")
    base.publish()
    base.remove(href)
    return href


def package_corrupt(base: Upstream) -> str:
    """Of the right size, with another content."""
    href = base.add("broken")
    base.publish()
    body = bytearray((base.folder / href).read_bytes())
    body[-100] ^= 0xFF
    base.spoil(href, bytes(body))
    return href


def package_too_long(base: Upstream) -> str:
    """More bytes than primary says."""
    href = base.add("broken")
    base.publish()
    base.spoil(href, (base.folder / href).read_bytes() + b"more")
    return href


def package_short(base: Upstream) -> str:
    """Fewer bytes than primary says."""
    href = base.add("broken")
    base.publish()
    base.spoil(href, (base.folder / href).read_bytes()[:-10])
    return href


def package_is_a_page(base: Upstream) -> str:
    """A proxy's friendly error with status 200."""
    href = base.add("broken")
    base.publish()
    base.spoil(href, b"<html><body>Please log in</body></html>")
    return href


def repomd_is_a_page(base: Upstream) -> str:
    """HTML with status 200."""
    base.spoil(REPOMD, b"<html><head><title>Maintenance</title></head><body><p>Back soon.<br></body></html>")
    return REPOMD


def repomd_is_another_root(base: Upstream) -> str:
    """Well-formed, but no repomd."""
    base.spoil(REPOMD, b"<?xml version='1.0'?><rss><channel/></rss>")
    return REPOMD


def repomd_empty(base: Upstream) -> str:
    """No byte at all."""
    base.spoil(REPOMD, b"")
    return REPOMD


def repomd_truncated(base: Upstream) -> str:
    """Half of it."""
    base.add("new")
    base.publish()
    body = (base.folder / REPOMD).read_bytes()
    base.spoil(REPOMD, body[: len(body) // 2])
    return REPOMD


def repomd_with_doctype(base: Upstream) -> str:
    """Entities have no place there."""
    base.add("new")
    base.publish()
    body = (base.folder / REPOMD).read_bytes()
    doctype = b"<!DOCTYPE repomd [<!ENTITY a 'aaaa'>]>"
    base.spoil(REPOMD, body.replace(b"<repomd", doctype + b"\n<repomd", 1))
    return REPOMD


def repomd_without_primary(base: Upstream) -> str:
    """Only the companions."""
    base.compose_records(companions(packages(base)))
    return "primary"


def record_missing(base: Upstream) -> str:
    """A 404 for primary."""
    base.add("new")
    base.publish()
    href = base.record("primary")
    base.remove(href)
    return href


def other_record_missing(base: Upstream) -> str:
    """A record that nobody parses is as necessary."""
    base.add("new")
    base.publish()
    href = base.record("other")
    base.remove(href)
    return href


def record_truncated(base: Upstream) -> str:
    """Half of primary, under its old name."""
    base.add("new")
    base.publish()
    href = base.record("primary")
    body = (base.folder / href).read_bytes()
    base.spoil(href, body[: len(body) // 2])
    return href


def record_corrupt(base: Upstream) -> str:
    """A byte of filelists."""
    base.add("new")
    base.publish()
    href = base.record("filelists")
    body = bytearray((base.folder / href).read_bytes())
    body[-9] ^= 1
    base.spoil(href, bytes(body))
    return href


def primary_is_no_xml(base: Upstream) -> str:
    """As repomd.xml promises it, but rubbish."""
    base.compose_records({"primary": b"\x00\x01 this is not XML", **companions({})})
    return base.record("primary")


def primary_ends_early(base: Upstream) -> str:
    """Its checksum holds, its XML does not end."""
    whole = primary_xml(packages(base))
    base.compose_records({"primary": whole[: len(whole) * 2 // 3], **companions(packages(base))})
    return base.record("primary")


def primary_gzip_ends_early(base: Upstream) -> str:
    """Its checksum holds, its compression does not end."""
    body = primary_xml(packages(base))
    base.publish_records({"primary": (body, gzip.compress(body, mtime=0)[:-20])})
    return base.record("primary")


def open_checksum_wrong(base: Upstream) -> str:
    """What comes out of primary is not what repomd.xml says."""
    body = primary_xml(packages(base))
    base.publish_records({"primary": (body.replace(b"one", b"two"), gzip.compress(body, mtime=0))})
    return base.record("primary")


def unsafe(href: str) -> Damage:
    """A package that wants to be outside of the repository; its file is really there."""

    def damage(base: Upstream) -> str:
        body = build_rpm("escaped")
        base.put("outside.rpm", body)
        (base.folder.parent / "outside.rpm").write_bytes(body)
        base.compose({**packages(base), href: body})
        return href

    return damage


def record_unsafe(base: Upstream) -> str:
    """A record that wants to be outside of the repository."""
    base.compose(packages(base))
    for path in (base.folder / "repodata").glob("*.gz"):
        (base.folder.parent / path.name).write_bytes(path.read_bytes())
    base.spoil(REPOMD, (base.folder / REPOMD).read_bytes().replace(b'href="repodata/', b'href="../'))
    return REPOMD


def one_name_two_checksums(base: Upstream) -> str:
    """No file can be both."""
    body = primary_xml({**packages(base), "twice.rpm": build_rpm("one"), "again.rpm": build_rpm("other")})
    base.compose_records({"primary": body.replace(b"again.rpm", b"twice.rpm"), **companions(packages(base))})
    return "twice.rpm"


BAD: dict[str, tuple[Damage, int]] = {
    damage.__name__: (damage, status)
    for damage, status in [
        (package_missing, 3),
        (package_corrupt, 4),
        (package_too_long, 4),
        (package_short, 4),
        (package_is_a_page, 4),
        (repomd_is_a_page, 4),
        (repomd_is_another_root, 4),
        (repomd_empty, 4),
        (repomd_truncated, 4),
        (repomd_with_doctype, 4),
        (repomd_without_primary, 4),
        (record_missing, 3),
        (other_record_missing, 3),
        (record_truncated, 4),
        (record_corrupt, 4),
        (primary_is_no_xml, 4),
        (primary_ends_early, 4),
        (primary_gzip_ends_early, 4),
        (open_checksum_wrong, 4),
        (record_unsafe, 4),
        (one_name_two_checksums, 4),
    ]
} | {
    f"unsafe {href}": (unsafe(href), 4)
    for href in (
        "../outside.rpm",
        "a/../../outside.rpm",
        "../../etc/outside.rpm",
        "/outside.rpm",
        "repodata/repomd.xml",
    )
}


@pytest.fixture
def pair(upstream: Make, nginx: Serve, mirror: Mirror) -> Pair:
    """Two mirrored repositories, `bad` first; both are about to change and to drop a package."""
    bad, good = upstream("bad"), upstream("good")
    for base in (bad, good):
        for name in ("one", "two", "three", "dropped"):
            base.add(name, size=2_000 + len(base.folder.name))
        base.publish()
    server = nginx(bad.folder.parent)
    mirror.configure(
        {"id": "bad", "baseurl": f"{server.url}bad"},
        {"id": "good", "baseurl": f"{server.url}good"},
        keep=1,
        retries=0,
    )
    mirror.sync()
    for base in (bad, good):
        base.remove(DROPPED)
    good.add("new")
    good.publish()
    return bad, good, server


def state(mirror: Mirror, path: str) -> tuple[Path, Snapshot]:
    """What a published path is: where its link goes, and everything in there."""
    published = mirror.published(path)
    return published.readlink(), snapshot(published.resolve())


def assert_refused(mirror: Mirror, status: int, names: str, before: tuple[Path, Snapshot]) -> None:
    """A sync fails for `bad` alone, in one line, and leaves it as it was."""
    held = {name for name in mirror.pool() if is_linked_from(mirror, name, "bad")}
    outcome = mirror.sync("--quiet", expect=status)
    lines = outcome.stderr.splitlines()
    assert len(lines) == 1, outcome.stderr
    assert "bad" in lines[0]
    assert names in lines[0]
    report = outcome.repos["bad"]
    assert (report["outcome"], report["error"]["exit"]) == ("failed", status)
    assert "\n" not in report["error"]["message"]
    assert state(mirror, "bad") == before
    assert held <= mirror.pool()
    good = outcome.repos["good"]
    assert (good["outcome"], good["error"]) == ("updated", None)
    assert faults(mirror.published("good")) == []
    assert not (mirror.published("good") / DROPPED).exists()


def is_linked_from(mirror: Mirror, name: str, path: str) -> bool:
    """Whether a pool object is also a file of that published tree."""
    published = mirror.published(path)
    inode = (mirror.root / ".mirrorpy" / "pool" / name).stat().st_ino
    return inode in {(published / href).stat().st_ino for href in files_below(published)}


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_is_refused_and_touches_nothing(pair: Pair, mirror: Mirror, fault: str) -> None:
    """Its exit status, one line with repository and cause; the other one is done; later all is well again."""
    bad, _, _ = pair
    damage, status = BAD[fault]
    before = state(mirror, "bad")
    names = damage(bad)
    assert_refused(mirror, status, names, before)

    bad.add("repaired")
    bad.publish()
    mirror.sync()
    assert faults(mirror.published("bad")) == []
    assert not (mirror.published("bad") / DROPPED).exists()
    assert mirror.incoming() == set()


def test_an_unreachable_upstream(pair: Pair, mirror: Mirror) -> None:
    """Connection refused: 3."""
    _, _, server = pair
    before = state(mirror, "bad")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/bad"
        mirror.configure(
            {"id": "bad", "baseurl": url}, {"id": "good", "baseurl": f"{server.url}good"}, keep=1, retries=0
        )
        assert_refused(mirror, 3, url, before)


def test_the_exit_status_is_that_of_the_first_failure(pair: Pair, mirror: Mirror) -> None:
    """In the order of the configuration; each failure has its line."""
    bad, good, server = pair
    repomd_is_a_page(bad)
    package_missing(good)
    repos = [{"id": name, "baseurl": f"{server.url}{name}"} for name in ("bad", "good")]
    for first, second, status in ((0, 1, 4), (1, 0, 3)):
        mirror.configure(repos[first], repos[second], retries=0)
        outcome = mirror.sync("--quiet", expect=status)
        assert len(outcome.stderr.splitlines()) == 2


@pytest.mark.usefixtures("pair")
def test_quiet_runs_print_nothing_when_all_went_well(mirror: Mirror) -> None:
    """Neither a change nor no change; without --quiet there is a short summary."""
    for _ in range(2):
        done = mirror.run("sync", "--quiet", "good")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = mirror.run("sync", "good")
    assert done.returncode == 0
    assert "good" in done.stdout + done.stderr


def test_a_second_run_is_told_that_the_first_holds_the_lock(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Exit 7 in one line, at once; the first run is not disturbed; a killed one leaves the lock free."""
    base = upstream("base")
    base.add("slow", size=200_000)
    base.publish()
    server = nginx(base.folder.parent, server="location ~ [.]rpm$ { limit_rate 50k; }")
    mirror.configure({"id": "base", "baseurl": f"{server.url}base"})
    killed = mirror.start("sync", "--quiet")
    await_download(mirror)
    started = time.monotonic()
    second = mirror.sync("--quiet", expect=7)
    assert time.monotonic() - started < 3
    assert second.repos["base"]["error"]["exit"] == 7
    assert len(second.stderr.splitlines()) == 1
    assert "base" in second.stderr
    killed.kill()
    killed.communicate()
    first = mirror.start("sync", "--quiet")
    await_download(mirror)
    mirror.sync("--quiet", expect=7)
    output = first.communicate(timeout=60)
    assert (first.returncode, output) == (0, ("", ""))
    assert faults(mirror.published("base")) == []


def await_download(mirror: Mirror) -> None:
    """Until a run beside this one has something under way."""
    until = time.monotonic() + 20
    while not mirror.incoming():
        assert time.monotonic() < until, "no download was begun"
        time.sleep(0.01)
    time.sleep(0.2)


HERE = "# here"
"""Ends the lines of which a message may name any."""

MISTAKES = {
    "unknown key at the top": (
        "kept",
        """
kept: 3  # here
repos:
  - id: a
    baseurl: http://x/
""",
    ),
    "unknown key in a repository": (
        "bogus",
        """
repos:
  - id: a
    baseurl: http://x/
    bogus: 1  # here
""",
    ),
    "wrong type at the top": (
        "keep",
        """
keep: many  # here
repos:
  - id: a
    baseurl: http://x/
""",
    ),
    "wrong type in a repository": (
        "timeout",
        """
repos:
  - id: a
    baseurl: http://x/
    timeout: [1, 2]  # here
""",
    ),
    "no duration": (
        "grace",
        """
grace: soon  # here
repos:
  - id: a
    baseurl: http://x/
""",
    ),
    "less than none": (
        "keep",
        """
keep: 0  # here
repos:
  - id: a
    baseurl: http://x/
""",
    ),
    "duplicate id": (
        "id",
        """
repos:
  - id: a  # here
    path: one
    baseurl: http://x/
  - id: a  # here
    path: two
    baseurl: http://y/
""",
    ),
    "the same path": (
        "path",
        """
repos:
  - id: a
    path: one  # here
    baseurl: http://x/
  - id: b
    path: one  # here
    baseurl: http://y/
""",
    ),
    "one inside the other": (
        "path",
        """
repos:
  - id: a
    path: pub/one  # here
    baseurl: http://x/
  - id: b
    path: pub/one/two  # here
    baseurl: http://y/
""",
    ),
    "a path that leaves root": (
        "path",
        """
repos:
  - id: a
    path: ../a  # here
    baseurl: http://x/
""",
    ),
    "an absolute path": (
        "path",
        """
repos:
  - id: a
    path: /a  # here
    baseurl: http://x/
""",
    ),
    "a path over the pool": (
        "path",
        """
repos:
  - id: a
    path: .mirrorpy/pool  # here
    baseurl: http://x/
""",
    ),
    "an id of other characters": (
        "id",
        """
repos:
  - id: a/b  # here
    baseurl: http://x/
""",
    ),
    "a scheme that is none of ours": (
        "baseurl",
        """
repos:
  - id: a
    baseurl: ftp://x/  # here
""",
    ),
    "no upstream": (
        "baseurl",
        """
repos:
  - id: a  # here
    path: one  # here
""",
    ),
    "two upstreams": (
        "baseurl",
        """
repos:
  - id: a  # here
    baseurl: http://x/  # here
    metalink: http://y/  # here
""",
    ),
    "no YAML": (
        "",
        """
repos:
  - id: a
   baseurl: [http://x/  # here
""",
    ),
    "the same key twice": (
        "baseurl",
        """
repos:
  - id: a
    baseurl: http://x/  # here
    baseurl: http://y/  # here
""",
    ),
}
"""The key that is wrong, and a configuration without its first line."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_configuration_is_shown_with_its_place(mirror: Mirror, mistake: str) -> None:
    """Exit 2; a line names the file, the line and the key; nothing is written."""
    key, text = MISTAKES[mistake]
    text = f"root: {mirror.root}{text}"
    numbers = [number for number, line in enumerate(text.splitlines(), start=1) if line.endswith(HERE)]
    mirror.config.write_text(text)
    done = mirror.run("sync")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    placed = [
        line
        for line in done.stderr.splitlines()
        if mirror.config.name in line and key in line and any(re.search(rf"\b{number}\b", line) for number in numbers)
    ]
    assert placed, done.stderr
    assert snapshot(mirror.root).keys() == {"."}


def test_no_configuration_and_no_root(mirror: Mirror) -> None:
    """Exit 2 as well."""
    done = mirror.run("sync")
    assert done.returncode == 2
    assert mirror.config.name in done.stderr
    mirror.config.write_text("repos: []\n")
    done = mirror.run("sync")
    assert done.returncode == 2
    assert "root" in done.stderr


def test_a_repository_that_is_not_configured(pair: Pair, mirror: Mirror) -> None:
    """Naming it is a mistake of usage; nothing else is synced."""
    _, _, server = pair
    server.requests()
    done = mirror.run("sync", "nonesuch")
    assert done.returncode == 2
    assert "nonesuch" in done.stderr
    assert server.requests() == []


@pytest.mark.usefixtures("pair")
def test_globs_choose_repositories(mirror: Mirror) -> None:
    """Only what was named is touched."""
    assert set(mirror.sync("go*").repos) == {"good"}


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 40 MB, so that some may be kept in reserve; the test is skipped where none can be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs to be root")
    mount, umount = real_program("mount"), real_program("umount")
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=40m,mode=0755", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, "--lazy", str(folder)], check=True)


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    upstream: Make, nginx: Serve, mirror: Mirror
) -> None:
    """Exit 6, the published tree intact, no package asked for; the next run with room converges."""
    base = upstream("base")
    base.add("one", size=100_000)
    base.publish()
    server = nginx(base.folder.parent)
    with small_disk(mirror.root):
        mirror.configure({"id": "base", "baseurl": f"{server.url}base"}, keep=1)
        mirror.sync()
        before = state(mirror, "base")
        for number in range(8):
            base.add(f"big{number}", size=6_000_000)
        base.publish()
        server.requests()
        outcome = mirror.sync("--quiet", expect=6)
        assert len(outcome.stderr.splitlines()) == 1
        assert "base" in outcome.stderr
        assert state(mirror, "base") == before
        assert [request for request in server.requests() if request.href.endswith(".rpm")] == []
        for number in range(2, 8):
            base.remove(f"Packages/big{number}-1.0-1.noarch.rpm")
        base.publish()
        mirror.sync()
        assert faults(mirror.published("base")) == []


def test_a_disk_that_becomes_full_in_the_middle(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Exit 6 in one line, the published tree intact; after room was made the next run converges."""
    base = upstream("base")
    base.add("one", size=100_000)
    base.publish()
    server = nginx(base.folder.parent, server="location ~ [.]rpm$ { limit_rate 1m; }")
    with small_disk(mirror.root) as disk:
        mirror.configure({"id": "base", "baseurl": f"{server.url}base"}, keep=1)
        mirror.sync()
        before = state(mirror, "base")
        for number in range(4):
            base.add(f"big{number}", size=4_000_000)
        base.publish()
        run = mirror.start("sync", "--quiet")
        await_download(mirror)
        filler = disk / "somebody-elses-file"
        fill(filler)
        _, stderr = run.communicate(timeout=120)
        assert run.returncode == 6, stderr
        assert len(stderr.splitlines()) == 1, stderr
        assert "base" in stderr
        assert state(mirror, "base") == before
        filler.unlink()
        mirror.sync()
        assert faults(mirror.published("base")) == []
        assert mirror.incoming() == set()


def fill(path: Path) -> None:
    """Take all the room that there is."""
    with path.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(65_536))
        except OSError:
            return


class PruneLoop(threading.Thread):
    """`prune` again and again."""

    def __init__(self, mirror: Mirror) -> None:
        super().__init__(name="prune")
        self.exits: list[int] = []
        self._mirror = mirror
        self._ended = threading.Event()

    def end(self) -> None:
        """Let it finish its run."""
        self._ended.set()

    def run(self) -> None:
        """Until the end."""
        while not self._ended.is_set():
            self.exits.append(self._mirror.run("prune", "--quiet").returncode)


def test_prune_beside_a_sync_takes_nothing(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """One repository drops what another is about to reuse; prune runs all the time; nothing is lost."""
    giver, taker = upstream("giver"), upstream("taker")
    shared = [giver.add(f"shared{number}", size=3_000) for number in range(6)]
    for number in range(6):
        giver.add(f"stays{number}")
    giver.publish()
    server = nginx(
        giver.folder.parent,
        http="limit_req_zone $server_name zone=slow:1m rate=20r/s;",
        server="location ~ /taker/.*[.]rpm$ { limit_req zone=slow burst=500; }",
    )
    mirror.configure(*({"id": name, "baseurl": f"{server.url}{name}"} for name in ("giver", "taker")), keep=1)
    taker.add("own0")
    taker.publish()
    mirror.sync()

    own = [taker.add(f"own{number}", size=3_000 + number) for number in range(1, 60)]
    for href in shared:
        taker.put(href, (giver.folder / href).read_bytes())
        giver.remove(href)
    taker.publish()
    giver.publish()
    server.requests()
    pruning = PruneLoop(mirror)
    run = mirror.start("sync", "--quiet", "taker")
    await_download(mirror)
    pruning.start()
    try:
        mirror.sync("giver")
        _, stderr = run.communicate(timeout=120)
    finally:
        pruning.end()
        pruning.join()
    assert run.returncode == 0, stderr
    assert set(pruning.exits) <= {0, 7}
    assert pruning.exits
    assert faults(mirror.published("giver")) == faults(mirror.published("taker")) == []
    got = [request.href for request in server.requests() if request.href.endswith(".rpm")]
    assert len(got) == len(set(got)), "a file was fetched twice"
    assert set(got) - {f"taker/{href}" for href in own + shared} == set()
    assert {f"taker/{href}" for href in own} <= set(got)


def test_prune_drops_what_nothing_refers_to_and_names_what_left_the_configuration(pair: Pair, mirror: Mirror) -> None:
    """A repository that is not configured any more goes by `--forget` only."""
    _, _, server = pair
    mirror.configure({"id": "good", "baseurl": f"{server.url}good"}, keep=1)
    before = state(mirror, "bad")
    done = mirror.run("prune")
    assert done.returncode == 0, done.stderr
    assert "bad" in done.stdout + done.stderr
    assert state(mirror, "bad") == before
    done = mirror.run("prune", "--forget", "bad")
    assert done.returncode == 0, done.stderr
    assert not os.path.lexists(mirror.published("bad"))
    assert mirror.generations("bad") == []
    assert faults(mirror.published("good")) == []
    linked = {(mirror.published("good") / href).stat().st_ino for href in files_below(mirror.published("good"))}
    pool = mirror.root / ".mirrorpy" / "pool"
    assert [name for name in mirror.pool() if (pool / name).stat().st_ino not in linked] == []


def test_what_is_not_ours_is_left_alone(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Files and folders of others beside what is published, whatever their names look like."""
    base = upstream("base")
    base.add("one")
    base.publish()
    mirror.configure({"id": "base", "path": "pub/base", "baseurl": f"{nginx(base.folder.parent).url}base"}, keep=1)
    strangers = [
        "README",
        "pub/index.html",
        "pub/.base.backup/precious",
        "pub/.base",
        "pub/base.old/precious",
        "pub/.htaccess",
    ]
    for name in strangers:
        path = mirror.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    for number in range(3):
        base.add(f"new{number}")
        base.publish()
        mirror.sync()
    assert mirror.run("prune").returncode == 0
    assert [name for name in strangers if (mirror.root / name).read_text() != "precious"] == []


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_path_that_is_taken(upstream: Make, nginx: Serve, mirror: Mirror, kind: str) -> None:
    """Somebody's folder or file at the published path is not replaced: exit 6, and the message says what to do."""
    base = upstream("base")
    base.add("one")
    base.publish()
    mirror.configure({"id": "base", "baseurl": f"{nginx(base.folder.parent).url}base"})
    published = mirror.published("base")
    if kind == "folder":
        published.mkdir()
        (published / "precious").write_text("precious")
    else:
        published.write_text("precious")
    before = snapshot(published) if kind == "folder" else published.read_text()
    outcome = mirror.sync("--quiet", expect=6)
    assert len(outcome.stderr.splitlines()) == 1
    assert kind == "file" or "adopt" in outcome.stderr
    assert (snapshot(published) if kind == "folder" else published.read_text()) == before
