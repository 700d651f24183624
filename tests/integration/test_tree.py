"""A whole distribution behind nginx and Apache: what `tree` brings, what it leaves, and what verify says of it."""

import contextlib
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .installation import Mirror
from .programs import real_program
from .servers import LOOPBACK, free_port, open_folder, run_apache
from .upstream import Upstream
from .webserver import Nginx

pytestmark = pytest.mark.timeout(120)

RELEASES, REPOS, ARCHES = ("5.0", "5.1"), ("os", "updates"), ("i386", "x86_64")
IMAGES = ("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/boot.iso")
KEYS = ("RPM-GPG-KEY-test", "NOTES/release notes.txt")
BESIDE = (".discinfo", "EULA")
"""What lies beside an os repository, promised by nobody."""
APACHE = """
Listen {address}:{port}
<VirtualHost {address}:{port}>
    DocumentRoot "{served}"
    <Directory "{served}">
        Options Indexes FollowSymLinks
        Require all granted
        {options}
    </Directory>
</VirtualHost>
"""


def treeinfo(images: dict[str, bytes]) -> bytes:
    """A .treeinfo in the old format, as of its time."""
    sums = "".join(f"{href} = sha256:{hashlib.sha256(body).hexdigest()}\n" for href, body in images.items())
    named = "".join(f"{href.rpartition('/')[2].replace('.', '')} = {href}\n" for href in images)
    return f"[general]\nfamily = Test\nversion = 5\n[images-x86_64]\n{named}[checksums]\n{sums}".encode()


@pytest.fixture(scope="module")
def distribution() -> Iterator[Path]:
    """Two releases of two repositories for two architectures, the installer in each os, keys above."""
    with open_folder() as folder:
        top = folder / "dist"
        for release in RELEASES:
            for repo in REPOS:
                for arch in ARCHES:
                    upstream = Upstream(top / release / repo / arch)
                    upstream.add(f"{repo}-{release}-{arch}", href=f"Packages/{repo}.rpm")
                    upstream.publish()
                    if repo == "os":
                        images = {href: f"{release} {arch} {href}".encode() * 100 for href in IMAGES}
                        for href, body in {**images, ".treeinfo": treeinfo(images)}.items():
                            upstream.put(href, body)
                        for href in BESIDE:
                            upstream.put(href, f"{release} {arch} {href}".encode())
        beside = Upstream(top)
        for href in KEYS:
            beside.put(href, href.encode())
        for path in top.rglob("*"):
            os.utime(path, (1_700_000_000, 1_700_000_000))
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield top


@contextlib.contextmanager
def serving(kind: str, served: Path) -> Iterator[str]:
    """Serve a folder with listings; the URL has a slash at its end."""
    with open_folder() as folder:
        if kind == "file":
            yield served.as_uri() + "/"
        elif kind == "nginx":
            with Nginx(real_program("nginx"), folder / "nginx", served, server="autoindex on;") as server:
                yield server.url
        else:
            options = {"table": "IndexOptions FancyIndexing HTMLTable", "plain": "IndexOptions -FancyIndexing"}
            host = APACHE.format(
                address=LOOPBACK, port=(port := free_port()), served=served, options=options[kind.partition(" ")[2]]
            )
            with run_apache(folder / "apache", host, port) as found:
                yield found.url


def differences(one: Path, other: Path) -> list[str]:
    """What `diff -r` says of two folders, generations aside; the second folder's name is left out."""
    done = subprocess.run(
        ["diff", "-r", "-x", ".*Z", "-x", ".mirrorpy", str(one), str(other)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    return done.stdout.replace(str(one), "").splitlines()


@pytest.mark.parametrize("kind", ["nginx", "apache table", "apache plain", "file"])
def test_tree_all_is_the_whole(distribution: Path, mirror: Mirror, kind: str) -> None:
    """And a second run finds nothing to do."""
    with serving(kind, distribution) as url:
        mirror.configure({"id": "dist", "baseurl": url, "tree": "all"})
        outcome = mirror.sync().repos["dist"]
        assert (outcome["outcome"], outcome["packages"], outcome["warnings"]) == ("updated", 8, [])
        assert differences(distribution, mirror.published("dist")) == []
        again = mirror.sync().repos["dist"]
        assert (again["outcome"], again["downloaded"]["files"]) == ("unchanged", 0)
    for href in KEYS:
        assert (mirror.published("dist") / href).stat().st_mtime == (distribution / href).stat().st_mtime
    assert verified(mirror)["outcome"] == "whole"


def test_the_default_leaves_what_the_documentation_names(distribution: Path, mirror: Mirror) -> None:
    """Notes, keys and `.discinfo`: what no metadata promises."""
    with serving("nginx", distribution) as url:
        mirror.configure(
            {
                "id": "dist-$releasever-$repo-$basearch",
                "path": "$releasever/$repo/$basearch",
                "baseurl": f"{url}$releasever/$repo/$basearch/",
                "vars": {"releasever": list(RELEASES), "repo": list(REPOS), "basearch": list(ARCHES)},
            }
        )
        mirror.sync()
        told = differences(distribution, mirror.root)
        alone = [f"Only in /{release}/os/{arch}: {name}" for release in RELEASES for arch in ARCHES for name in BESIDE]
        assert sorted(told) == sorted([*alone, "Only in : NOTES", "Only in : RPM-GPG-KEY-test"])
        mirror.configure(
            {"id": "os", "baseurl": f"{url}5.0/os/i386/", "extras": ["EULA", ".discinfo"]},
        )
        mirror.sync()
    assert differences(distribution / "5.0/os/i386", mirror.published("os")) == []


def test_deletions_follow(mirror: Mirror, upstream: Callable[[str], Upstream]) -> None:
    """As `rsync --delete` has it."""
    source = upstream("dist")
    for href in ("a/one", "a/two", "b/three"):
        source.put(href, href.encode())
    with serving("nginx", source.folder) as url:
        mirror.configure({"id": "dist", "baseurl": url, "tree": "all"}, max_shrink="100%")
        mirror.sync()
        source.remove("a/one")
        source.remove("b/three")
        (source.folder / "b").rmdir()
        source.put("a/two", b"another two")
        mirror.sync()
        assert differences(source.folder, mirror.published("dist")) == []
        source.remove("a/two")
        assert mirror.sync(expect=8).repos["dist"]["error"]["kind"] == "GuardError"


# verify


def verified(mirror: Mirror, *args: str, expect: int = 0) -> dict[str, Any]:
    """The verdict of the one repository, or of a folder or URL."""
    done = mirror.run("verify", "--format", "json", *args)
    assert done.returncode == expect, done.stderr + done.stdout
    (verdict,) = json.loads(done.stdout)["repos"]
    return dict(verdict)


def found(verdict: dict[str, Any]) -> list[tuple[str, str]]:
    """Kind and path of what was found."""
    return [(finding["kind"], finding["path"]) for finding in verdict["findings"]]


@pytest.fixture
def tree(mirror: Mirror, distribution: Path) -> Mirror:
    """A mirror of one repository with its tree and an extra."""
    mirror.configure({"id": "os", "baseurl": (distribution / "5.0/os/i386").as_uri(), "extras": "EULA"})
    mirror.sync()
    return mirror


def spoil(path: Path, body: bytes) -> None:
    """Overwrite a published file in place."""
    path.chmod(0o644)
    path.write_bytes(body)


def test_verify_knows_the_tree(tree: Mirror) -> None:
    verdict = verified(tree)
    assert (verdict["outcome"], found(verdict), verdict["warnings"]) == ("whole", [], [])
    assert verdict["hashed"]["files"] == verdict["files"] + 1


def test_verify_finds_damage_and_repairs_it(tree: Mirror) -> None:
    top = tree.published("os")
    kernel, initrd, boot = IMAGES
    size = (top / kernel).stat().st_size
    spoil(top / kernel, b"x" * size)
    spoil(top / initrd, b"short")
    (top / boot).unlink()
    spoil(top / "EULA", b"other".ljust((top / "EULA").stat().st_size))
    (top / "stray").write_bytes(b"")
    assert found(verified(tree, expect=1)) == [
        ("checksum", "EULA"),
        ("missing", boot),
        ("checksum", initrd),
        ("checksum", kernel),
        ("orphan", "stray"),
    ]
    verdict = verified(tree, "--repair")
    assert (verdict["outcome"], len(verdict["repaired"])) == ("whole", 5)


def test_verify_without_the_manifest(tree: Mirror) -> None:
    """.treeinfo still says what the images must be; extras are nobody's then."""
    (manifest,) = (tree.root / ".mirrorpy/repos/os").glob("*.files")
    manifest.unlink()
    spoil(tree.published("os") / IMAGES[0], b"short")
    assert found(verified(tree, expect=1)) == [("orphan", "EULA"), ("checksum", IMAGES[0])]


def test_verify_any_folder_and_url(tree: Mirror, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-rL", str(tree.published("os")), str(copy)], check=True)
    kernel, _, boot = IMAGES
    size = (copy / kernel).stat().st_size
    spoil(copy / kernel, b"x" * size)
    (copy / boot).unlink()
    assert ("orphan", "EULA") in found(verified(tree, str(copy), expect=1))
    damage = [("missing", boot), ("checksum", kernel)]
    assert [one for one in found(verified(tree, str(copy), expect=1)) if one[0] != "orphan"] == damage
    with serving("nginx", copy) as url:
        assert found(verified(tree, url, expect=1)) == [("missing", boot)]
        assert found(verified(tree, "--deep", url, expect=1)) == damage


def test_verify_forgives_what_upstream_had_wrong(mirror: Mirror, upstream: Callable[[str], Upstream]) -> None:
    source = upstream("os")
    source.add("one")
    source.publish()
    source.put(".treeinfo", treeinfo({"images/boot.iso": b"promised", "images/none.img": b"none"}))
    source.put("images/boot.iso", b"another")
    mirror.configure({"id": "os", "baseurl": source.url})
    warnings = mirror.sync().repos["os"]["warnings"]
    assert [any(name in warning for warning in warnings) for name in ("boot.iso", "none.img")] == [True, True]
    verdict = verified(mirror)
    assert (verdict["outcome"], len(verdict["warnings"])) == ("whole", 2)


def test_verify_walks_repositories_inside(mirror: Mirror, upstream: Callable[[str], Upstream]) -> None:
    """A damaged package of an addon is found, in the mirror and in any folder."""
    source, addon = upstream("os"), upstream("os/addons/HA")
    for repository in (addon, source):
        href = repository.add("one")
        repository.publish()
    more = b"[addon-HA]\nid = HA\nname = HA\nrepository = addons/HA\n[header]\nversion = 1.2\n"
    source.put(".treeinfo", treeinfo({}) + more)
    mirror.configure({"id": "os", "baseurl": source.url})
    assert mirror.sync().repos["os"]["packages"] == 2
    assert verified(mirror)["packages"] == 2
    damaged = f"addons/HA/{href}"
    spoil(mirror.published("os") / damaged, b"short")
    assert found(verified(mirror, expect=1)) == [("size", href), ("size", damaged)]
    (source.folder / damaged).write_bytes(b"short")
    assert ("size", damaged) in found(verified(mirror, str(source.folder), expect=1))
    with serving("nginx", source.folder) as url:
        assert found(verified(mirror, url, expect=1)) == [("size", damaged)]
