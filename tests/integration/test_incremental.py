"""Only the change moves: what a sync downloads, reuses, keeps for clients, restores and drops."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .installation import Mirror
from .listing import REPOMD, faults, files_below, listing_of, parse_repomd, snapshot
from .upstream import Upstream
from .webserver import Nginx, Request, Serve

Make = Callable[[str], Upstream]

PROBES = frozenset({".treeinfo", "treeinfo", "extra_files.json", "media.1/media", f"{REPOMD}.asc", f"{REPOMD}.key"})
"""What a sync may ask for although no metadata lists it."""

GRACE = 3.0


def repo(server: Nginx, name: str, **options: Any) -> dict[str, Any]:
    """The configuration of an upstream below the served folder."""
    return {"id": name, "baseurl": f"{server.url}{name}", **options}


def fetched(requests: list[Request], name: str) -> list[str]:
    """The hrefs whose bodies one repository's upstream gave, repomd.xml aside; anything odd fails."""
    mine = [request for request in requests if request.href.startswith(f"{name}/")]
    hrefs = {request: request.href.removeprefix(f"{name}/") for request in mine}
    odd = [request for request in mine if request.status != 200 and hrefs[request] not in PROBES | {REPOMD}]
    assert odd == []
    return sorted(
        hrefs[request] for request in mine if request.status == 200 and hrefs[request] not in PROBES | {REPOMD}
    )


def records(upstream: Upstream) -> set[str]:
    """The hrefs of its repomd's records."""
    return {promise.href for promise in listing_of(upstream.folder).records}


def objects_of(mirror: Mirror, body: bytes) -> list[str]:
    """The pool's files with these bytes."""
    pool = mirror.root / ".mirrorpy" / "pool"
    return [name for name in mirror.pool() if (pool / name).read_bytes() == body]


def test_one_percent_of_changes_moves_one_percent(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Of 300 packages one is replaced, one added, one removed: two files and the metadata are downloaded."""
    base = upstream("base")
    hrefs = [base.add(f"package{number:03d}") for number in range(300)]
    base.publish()
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"), keep=1)
    first = mirror.sync().repos["base"]
    assert (first["outcome"], first["packages"]) == ("updated", 300)
    assert fetched(server.requests(), "base") == sorted(records(base) | set(hrefs))

    replaced = (base.folder / hrefs[10]).read_bytes()
    dropped = (base.folder / hrefs[20]).read_bytes()
    base.remove(hrefs[10])
    base.remove(hrefs[20])
    new = {base.add("package010", version="1.1"), base.add("package300")}
    base.publish()
    report = mirror.sync().repos["base"]
    assert set(fetched(server.requests(), "base")) == records(base) | new
    assert report["outcome"] == "updated"
    assert report["packages"] == 300
    assert report["downloaded"]["files"] == len(records(base)) + 2
    assert report["reused"]["files"] == 298
    published = mirror.published("base")
    assert faults(published) == []
    assert not (published / hrefs[10]).exists()
    assert not (published / hrefs[20]).exists()
    assert objects_of(mirror, replaced) == objects_of(mirror, dropped) == []
    assert len(mirror.generations("base")) == 1
    assert mirror.incoming() == set()


def test_a_dropped_file_stays_in_the_pool_while_a_kept_generation_holds_it(
    upstream: Make, nginx: Serve, mirror: Mirror
) -> None:
    """With keep: 2 it goes with the second publication after it."""
    base = upstream("base")
    dropped = base.add("dropped")
    for name in ("one", "two", "three"):
        base.add(name)
    body = (base.folder / dropped).read_bytes()
    base.publish()
    mirror.configure(repo(nginx(base.folder.parent), "base"), keep=2)
    mirror.sync()
    base.remove(dropped)
    base.publish()
    mirror.sync()
    assert not (mirror.published("base") / dropped).exists()
    assert len(objects_of(mirror, body)) == 1
    base.add("four")
    base.publish()
    mirror.sync()
    assert objects_of(mirror, body) == []
    assert len(mirror.generations("base")) == 2


def test_with_grace_a_dropped_file_stays_and_goes_when_it_ends(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Also when upstream never changes again: only the time has run."""
    base = upstream("base")
    dropped = base.add("dropped")
    kept = [base.add(name) for name in ("one", "two", "three")]
    body = (base.folder / dropped).read_bytes()
    base.publish()
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"), keep=1, grace=f"{GRACE:.0f}s")
    mirror.sync()
    base.remove(dropped)
    base.publish()
    started = time.monotonic()
    report = mirror.sync().repos["base"]
    published = mirror.published("base")
    stays = (published / dropped).read_bytes() == body
    mirror.sync()
    still = (published / dropped).is_file()
    assert (stays, still) == (True, True) or time.monotonic() - started > GRACE
    assert report["packages"] == 3

    time.sleep(max(0.0, GRACE + 0.5 - (time.monotonic() - started)))
    server.requests()
    mirror.sync()
    assert [request for request in server.requests() if request.status == 200] == []
    assert not (published / dropped).exists()
    assert objects_of(mirror, body) == []
    assert faults(published) == []
    assert all((published / href).is_file() for href in kept)


def test_retired_records_stay_for_clients_without_any_grace(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Records whose names hold their checksum are there for those who read the repomd.xml before."""
    base = upstream("base")
    base.add("one")
    base.publish()
    before = records(base)
    mirror.configure(repo(nginx(base.folder.parent), "base"), keep=1)
    mirror.sync()
    base.add("two")
    base.publish()
    mirror.sync()
    assert before <= files_below(mirror.published("base"))


def test_a_moved_package_is_not_downloaded_again(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """The same bytes at another path."""
    base = upstream("base")
    old = base.add("mover")
    base.add("other")
    base.publish()
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"), keep=1)
    mirror.sync()
    server.requests()
    before = records(base)
    new = base.move(old, "elsewhere/m/renamed.rpm")
    base.publish()
    report = mirror.sync().repos["base"]
    assert set(fetched(server.requests(), "base")) == records(base) - before
    assert report["reused"]["files"] == 2
    assert files_below(mirror.published("base")) >= {new}
    assert not (mirror.published("base") / old).exists()
    assert faults(mirror.published("base")) == []


def test_a_changed_file_under_an_unchanged_name(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """A respin: the new bytes come, the old ones go."""
    base = upstream("base")
    href = base.add("respun")
    other = base.add("other")
    base.publish()
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"), keep=1)
    mirror.sync()
    server.requests()
    base.add("respun", size=2_500, href=href)
    base.publish()
    mirror.sync()
    assert set(fetched(server.requests(), "base")) == records(base) | {href}
    assert faults(mirror.published("base")) == []
    assert (mirror.published("base") / other).is_file()


def test_records_whose_names_never_change(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """CentOS 5's layout: sha1, primary.xml.gz under that very name in every generation."""
    base = upstream("base")
    base.add("one")
    layout = ("--checksum=sha", "--repomd-checksum=sha", "--simple-md-filenames", "--database")
    base.publish(*layout)
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"), keep=1)
    mirror.sync()
    server.requests()
    new = base.add("two")
    base.publish(*layout)
    mirror.sync()
    assert set(fetched(server.requests(), "base")) == records(base) | {new}
    published = mirror.published("base")
    assert faults(published) == []
    assert files_below(published) == listing_of(base.folder).hrefs | {REPOMD}


def test_what_another_repository_brought_is_not_downloaded_again(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """A later repository takes it from the pool."""
    one, other = upstream("one"), upstream("other")
    for name in ("shared1", "shared2"):
        one.add(name)
        other.add(name, href=f"rpms/{name}.rpm")
    mine = other.add("mine")
    one.publish()
    other.publish()
    server = nginx(one.folder.parent)
    mirror.configure(repo(server, "one"))
    mirror.sync()
    server.requests()
    mirror.configure(repo(server, "one"), repo(server, "other"))
    mirror.sync()
    assert set(fetched(server.requests(), "other")) == records(other) | {mine}
    assert faults(mirror.published("other")) == []


def test_what_two_repositories_share_is_downloaded_once_in_their_first_run(
    upstream: Make, nginx: Serve, mirror: Mirror
) -> None:
    """They are synced side by side, and the files are slow to come."""
    one, other = upstream("one"), upstream("other")
    names = [f"shared{number}" for number in range(8)]
    for name in names:
        one.add(name, size=150_000)
        other.add(name, size=150_000, href=f"rpms/{name}.rpm")
    one.publish()
    other.publish()
    server = nginx(one.folder.parent, server="limit_rate 100k;")
    mirror.configure(repo(server, "one"), repo(server, "other"), max_parallel_repos=2)
    mirror.sync()
    requests = server.requests()
    got = [href for name in ("one", "other") for href in fetched(requests, name) if href.endswith(".rpm")]
    assert len(got) == len(names), got
    assert faults(mirror.published("one")) == faults(mirror.published("other")) == []


def test_one_file_under_several_names_is_downloaded_once(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """All names are published."""
    base = upstream("base")
    hrefs = [base.add("same", href=f"{folder}/same.rpm") for folder in ("a", "b", "c")]
    base.publish()
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"))
    mirror.sync()
    assert len([href for href in fetched(server.requests(), "base") if href.endswith(".rpm")]) == 1
    assert files_below(mirror.published("base")) >= set(hrefs)
    assert faults(mirror.published("base")) == []


def test_a_weak_checksum_is_not_trusted_across_repositories(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """sha1 serves within the repository that brought it only."""
    one, other = upstream("one"), upstream("other")
    for base in (one, other):
        base.add("shared")
        base.publish("--checksum=sha1")
    server = nginx(one.folder.parent)
    mirror.configure(repo(server, "one"))
    mirror.sync()
    server.requests()
    mirror.configure(repo(server, "one"), repo(server, "other"))
    mirror.sync()
    assert "Packages/shared-1.0-1.noarch.rpm" in fetched(server.requests(), "other")
    one.add("new")
    one.publish("--checksum=sha1")
    mirror.sync("one")
    assert set(fetched(server.requests(), "one")) == records(one) | {"Packages/new-1.0-1.noarch.rpm"}


def unlink(path: Path) -> None:
    """A file vanishes."""
    path.unlink()


def grow(path: Path) -> None:
    """A file is longer than it should be; it shares its inode with the pool."""
    path.chmod(0o644)
    with path.open("ab") as stream:
        stream.write(b"more")


def replace_by_shorter(path: Path) -> None:
    """Somebody put another, shorter file there; the pool's is untouched."""
    path.unlink()
    path.write_bytes(b"short")


@pytest.mark.parametrize("damage", [unlink, grow, replace_by_shorter])
@pytest.mark.parametrize("kind", ["package", "record", "repomd"])
def test_a_vanished_or_resized_file_is_restored(
    upstream: Make, nginx: Serve, mirror: Mirror, damage: Callable[[Path], None], kind: str
) -> None:
    """By the next sync, although upstream did not change."""
    base = upstream("base")
    href = base.add("damaged")
    base.add("other")
    base.publish()
    mirror.configure(repo(nginx(base.folder.parent), "base"))
    mirror.sync()
    published = mirror.published("base")
    damage(published / {"package": href, "record": base.record("primary"), "repomd": REPOMD}[kind])
    mirror.sync()
    assert faults(published) == []
    assert (published / REPOMD).read_bytes() == (base.folder / REPOMD).read_bytes()
    assert mirror.sync().repos["base"]["outcome"] == "unchanged"


def test_a_published_link_that_vanished_is_restored(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """From the pool: no package is downloaded."""
    base = upstream("base")
    base.add("one")
    base.publish()
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"))
    mirror.sync()
    server.requests()
    mirror.published("base").unlink()
    mirror.sync()
    assert faults(mirror.published("base")) == []
    assert [href for href in fetched(server.requests(), "base") if href.endswith(".rpm")] == []


def flip(path: Path) -> None:
    """Change one bit and nothing else that could be seen."""
    info = path.stat()
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.write(body)
    path.chmod(stat.S_IMODE(info.st_mode))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def test_checksum_finds_a_flipped_bit(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """A plain sync trusts size; `--checksum` hashes what is here and fetches the one file again."""
    base = upstream("base")
    href = base.add("rotten")
    base.add("other")
    base.publish()
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"))
    mirror.sync()
    server.requests()
    published = mirror.published("base")
    flip(published / href)
    assert mirror.sync().repos["base"]["outcome"] == "unchanged"
    assert faults(published) != []
    server.requests()
    report = mirror.sync("--checksum").repos["base"]
    assert fetched(server.requests(), "base") == [href]
    assert report["downloaded"]["files"] == 1
    assert faults(published) == []


def test_checksum_repairs_every_repository_that_shares_the_file(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """One inode is published twice, so both are damaged and both are mended."""
    one, other = upstream("one"), upstream("other")
    for base in (one, other):
        base.add("shared")
        base.publish()
    mirror.configure(*(repo(server, name) for server in [nginx(one.folder.parent)] for name in ("one", "other")))
    mirror.sync()
    flip(mirror.published("one") / "Packages/shared-1.0-1.noarch.rpm")
    assert faults(mirror.published("other")) != []
    mirror.sync("--checksum")
    assert faults(mirror.published("one")) == faults(mirror.published("other")) == []


MOVED = ("files", "bytes")


def numbers(report: dict[str, Any]) -> dict[str, Any]:
    """What a plan and its execution must agree on."""
    return {
        "packages": report["packages"],
        "bytes": report["bytes"],
        **{key: {unit: report[key][unit] for unit in MOVED} for key in ("downloaded", "reused", "retired", "pruned")},
    }


@pytest.mark.parametrize("grace", ["0h", "1h"])
def test_a_dry_run_tells_the_numbers_of_the_run_after_it(
    upstream: Make, nginx: Serve, mirror: Mirror, grace: str
) -> None:
    """From an empty root, and for a change; it writes nothing below root and leaves nothing in TMPDIR."""
    base = upstream("base")
    hrefs = [base.add(f"package{number}", size=1_000 + number) for number in range(12)]
    base.publish()
    mirror.configure(repo(nginx(base.folder.parent), "base"), keep=1, grace=grace)

    for _ in range(2):
        before = snapshot(mirror.root)
        planned = mirror.sync("--dry-run").repos["base"]
        assert snapshot(mirror.root) == before
        assert files_below(mirror.temporary) == set()
        assert planned["outcome"] == "planned"
        assert numbers(planned) == numbers(mirror.sync().repos["base"])

        base.remove(hrefs.pop())
        base.move(hrefs.pop(), "elsewhere/moved.rpm")
        base.add("new", size=4_000)
        base.publish()


def test_a_dry_run_with_nothing_to_do_writes_nothing(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Not even a lock."""
    base = upstream("base")
    base.add("one")
    base.publish()
    mirror.configure(repo(nginx(base.folder.parent), "base"))
    mirror.sync()
    before = snapshot(mirror.root)
    report = mirror.sync("--dry-run").repos["base"]
    assert snapshot(mirror.root) == before
    assert (report["downloaded"]["files"], report["pruned"]["files"]) == (0, 0)


@pytest.mark.parametrize("left", [4, 0])
def test_the_guard_refuses_a_repository_that_shrank(upstream: Make, nginx: Serve, mirror: Mirror, left: int) -> None:
    """Exit 8 and nothing touched; `--allow-shrink` takes it."""
    base = upstream("base")
    hrefs = [base.add(f"package{number}") for number in range(10)]
    base.publish()
    mirror.configure(repo(nginx(base.folder.parent), "base"), keep=1)
    mirror.sync()
    for href in hrefs[left:]:
        base.remove(href)
    base.publish()
    published = mirror.published("base")
    before = snapshot(published.resolve())
    refused = mirror.sync("--quiet", expect=8)
    assert len(refused.stderr.splitlines()) == 1
    assert "base" in refused.stderr
    assert refused.repos["base"]["error"]["exit"] == 8
    assert snapshot(published.resolve()) == before
    mirror.sync("--allow-shrink")
    assert {href for href in hrefs if (published / href).is_file()} == set(hrefs[:left])
    assert faults(published) == []


def test_the_guard_lets_half_go_and_counts_net(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Half is not more than half, and new packages make up for old ones."""
    base = upstream("base")
    hrefs = [base.add(f"package{number}") for number in range(10)]
    base.publish()
    mirror.configure(repo(nginx(base.folder.parent), "base"))
    mirror.sync()
    for href in hrefs[:5]:
        base.remove(href)
    base.publish()
    mirror.sync()
    for number, href in enumerate(hrefs[5:]):
        base.remove(href)
        base.add(f"other{number}")
    base.publish()
    assert mirror.sync().repos["base"]["packages"] == 5


def test_an_older_repomd_is_not_taken(upstream: Make, nginx: Serve, mirror: Mirror) -> None:
    """Unchanged with a warning and exit 0; `--allow-rollback` takes it."""
    base = upstream("base")
    base.add("one")
    base.publish()
    old = {href: (base.folder / href).read_bytes() for href in {REPOMD} | records(base)}
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"))
    mirror.sync()
    base.add("two")
    base.publish()
    mirror.sync()
    published = mirror.published("base")
    before = (published.readlink(), snapshot(published.resolve()))

    for href, body in old.items():
        base.put(href, body)
    os.utime(base.folder / REPOMD, (base.revision - 3_600,) * 2)
    report = mirror.sync().repos["base"]
    assert report["outcome"] == "unchanged"
    assert report["warnings"]
    assert (published.readlink(), snapshot(published.resolve())) == before

    report = mirror.sync("--allow-rollback").repos["base"]
    assert report["outcome"] == "updated"
    assert parse_repomd(mirror.revision("base"))[0] == parse_repomd(old[REPOMD])[0]
    assert faults(published) == []


def test_a_missing_file_stops_the_publication_unless_it_is_allowed(
    upstream: Make, nginx: Serve, mirror: Mirror
) -> None:
    """Without `allow_missing` exit 3; with it the rest is published and the file is a warning."""
    base = upstream("base")
    base.add("one")
    base.publish()
    server = nginx(base.folder.parent)
    mirror.configure(repo(server, "base"))
    mirror.sync()
    before = snapshot(mirror.published("base").resolve())
    missing, present = base.add("missing"), base.add("present")
    base.publish()
    base.remove(missing)
    server.requests()
    failed = mirror.sync(expect=3).repos["base"]
    assert missing in failed["error"]["message"]
    assert snapshot(mirror.published("base").resolve()) == before
    assert f"base/{present}" in {request.href for request in server.requests() if request.status == 200}

    mirror.configure(repo(server, "base", allow_missing=True))
    report = mirror.sync().repos["base"]
    assert report["outcome"] == "updated"
    assert any(missing in warning for warning in report["warnings"])
    published = mirror.published("base")
    assert (published / present).is_file()
    assert not (published / missing).exists()
    assert [request.href for request in server.requests() if request.href == f"base/{present}"] == []
