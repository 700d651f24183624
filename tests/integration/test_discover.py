"""`mirrorpy discover`: a distribution behind real web servers, found, configured and mirrored."""

import contextlib
import itertools
import json
import os
import pty
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from mirrorpy.cli.watch import _Nobody
from mirrorpy.discover import Bounds, explore

from .installation import Mirror
from .listing import REPOMD, faults
from .programs import TOP
from .servers import LOOPBACK, free_port, open_folder, run_apache, run_nginx
from .upstream import Upstream

pytestmark = pytest.mark.timeout(120)

RELEASES, NAMES, ARCHITECTURES = ("5.0", "5.10"), ("os", "updates"), ("i386", "x86_64")
REPOSITORIES = sorted(
    f"{release}/{name}/{arch}" for release, name, arch in itertools.product(RELEASES, NAMES, ARCHITECTURES)
)
TREEINFO = "[general]\nfamily = Example\n[images-x86_64]\nkernel = images/vmlinuz\n"
ROBOTS = "User-agent: *\nDisallow: /centos\nCrawl-delay: 5\n"
NGINX = "server {{ listen {address}:{port}; root {root}; autoindex on; {more} }}"
APACHE = """
Listen {port}
<VirtualHost *:{port}>
    DocumentRoot "{root}"
    <Directory "{root}">
        Options Indexes FollowSymLinks
        Require all granted
        {options}
    </Directory>
</VirtualHost>
"""
OPTIONS = {
    "apache-table": "IndexOptions FancyIndexing HTMLTable VersionSort NameWidth=* IconsAreLinks",
    "apache-text": "IndexOptions -HTMLTable FancyIndexing NameWidth=20",
    "apache-plain": "IndexOptions -FancyIndexing",
    "apache-stock": "",
}

Server = Callable[[str], contextlib.AbstractContextManager[str]]


@pytest.fixture(scope="module")
def vault() -> Iterator[Path]:
    """Two releases, two architectures, os and updates, and what lies between them; its parent is served."""
    with open_folder() as folder:
        vault = folder / "www/centos"
        template = Upstream(folder / "template")
        template.add("one")
        template.publish()
        for path in REPOSITORIES:
            (vault / path).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", str(template.folder), str(vault / path)], check=True)
        tree = vault / "5.10/os/x86_64"
        (tree / ".treeinfo").write_text(TREEINFO)
        (tree / "images").mkdir()
        (tree / "images/vmlinuz").write_bytes(b"kernel")
        (vault / "RPM-GPG-KEY-one").write_text("key")
        (vault / "5.10/isos").mkdir()
        (vault / "5.10/isos/index.html").write_text("<title>Our isos</title><a href='../'>up</a><a href='gone/'>x</a>")
        (vault / "5.10/notes").mkdir()
        (vault / "5.10/notes/index.html").write_text("<title>Notes</title><a href='a/'>a</a>")
        (vault / "5.10/broken/repodata").mkdir(parents=True)
        (vault / "5.10/broken/repodata/repomd.xml").write_text("<html>not found</html>")
        (vault.parent / "robots.txt").write_text(ROBOTS)
        yield vault


@contextlib.contextmanager
def served(kind: str, root: Path, more: str = "") -> Iterator[str]:
    """Serve a folder; the URL ends with a slash."""
    if kind == "file":
        yield f"{root.as_uri()}/"
        return
    port = free_port()
    with open_folder() as folder:
        if kind == "nginx":
            block = NGINX.format(address=LOOPBACK, port=port, root=root, more=more)
            with run_nginx(folder / "nginx", block, port) as server:
                yield server.url
        else:
            host = APACHE.format(port=port, root=root, options=OPTIONS[kind])
            with run_apache(folder / "apache", host, port) as server:
                yield server.url


def discover(mirror: Mirror, *args: str, expect: int = 0) -> "subprocess.CompletedProcess[str]":
    done = mirror.run("discover", "--root", str(mirror.root), *args)
    assert done.returncode == expect, done.stderr
    return done


def paths(document: str) -> list[str]:
    """What `--json` says that was found."""
    return [found["path"] for found in json.loads(document)["found"]]


@pytest.mark.parametrize("kind", ["nginx", *OPTIONS, "file"])
def test_what_is_printed_mirrors_each_repository(vault: Path, mirror: Mirror, kind: str) -> None:
    with served(kind, vault.parent) as url:
        done = discover(mirror, f"{url}centos/")
        mirror.config.write_text(done.stdout)
        (entry,) = yaml.safe_load(done.stdout)["repos"]
        assert entry == {
            "id": "centos-$releasever-$repo-$basearch",
            "path": "centos/$releasever/$repo/$basearch",
            "baseurl": f"{url}centos/$releasever/$repo/$basearch/",
            "vars": {"releasever": list(RELEASES), "repo": list(NAMES), "basearch": list(ARCHITECTURES)},
        }
        assert "# 8 repositories, 1 installer tree\n" in done.stdout
        outcome = mirror.sync()
    assert {repo["outcome"] for repo in outcome.repos.values()} == {"updated"}
    published = mirror.published("centos")
    assert sorted(str(one.parent.parent.relative_to(published)) for one in published.glob(f"*/*/[!.]*/{REPOMD}")) == (
        REPOSITORIES
    )
    assert [faults(published / path) for path in REPOSITORIES] == [[]] * len(REPOSITORIES)


def test_the_page_shows_what_is_printed(vault: Path, mirror: Mirror) -> None:
    page = (TOP / "docs/how-to/whole-distribution.md").read_text()
    shown = page.partition("```yaml\n")[2].partition("```")[0]
    with served("nginx", vault.parent) as url:
        printed = discover(mirror, f"{url}centos/", "--root", "/pub").stdout.replace(url, "https://vault.example.org/")
    assert shown.partition("repos:\n")[2].strip() == printed.partition("repos:\n")[2].strip()
    settings = yaml.safe_load(printed)
    assert {key: settings[key] for key in ("root", "grace")} == {"root": "/pub", "grace": "48h"}


def test_the_page_of_json_has_every_key(vault: Path, mirror: Mirror) -> None:
    page = (TOP / "docs/reference/json.md").read_text().partition("### The report of `discover`\n")[2]
    document = json.loads(discover(mirror, vault.as_uri(), "--json").stdout)
    assert re.findall(r"^\| `(\w+)` \|", page.partition("\n#")[0], re.MULTILINE) == list(document)
    assert all(f"`{key}`" in page for kind in ("found", "families") for key in document[kind][0])


@pytest.mark.parametrize("kind", ["nginx", "apache-table", "apache-plain", "file"])
def test_the_entry_for_everything_mirrors_everything(vault: Path, mirror: Mirror, kind: str) -> None:
    """What rsync would take: `diff -r` finds nothing, but for pages that stand in the place of listings."""
    with served(kind, vault.parent) as url:
        head, _, entries = discover(mirror, f"{url}centos/", "--exclude", "5.10/broken").stdout.partition("repos:\n")
        comment = entries.partition("in place of all:\n")[2]
        mirror.config.write_text(f"{head}repos:\n{comment.replace('  # ', '  ')}    exclude: [isos, notes, broken]\n")
        mirror.sync()
    differing = subprocess.run(
        ["diff", "-r", "-x", "isos", "-x", "notes", "-x", "broken", str(vault), str(mirror.published("centos"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (differing.returncode, differing.stdout) == (0, "")


def test_bounds(vault: Path) -> None:
    def found(**bounds: float) -> tuple[int, list[str]]:
        survey = explore(vault.as_uri(), Bounds(**bounds), _Nobody())
        return survey.pages, [warning for warning in survey.warnings if "folders are left out" in warning]

    assert found(pages=3) == (3, ["7 folders are left out: 3 were looked at"])
    assert found(pages=8, depth=1) == (3, [])
    assert found(seconds=-1) == (
        0,
        [f"1 folders are left out, such as {vault.as_uri()}/: -1 seconds are over"],
    )


def test_what_is_left_out_is_said(vault: Path, mirror: Mirror) -> None:
    """robots.txt is shown; a page that is no listing, and a repomd.xml that is none, are named."""
    with served("nginx", vault.parent) as url:
        said = discover(mirror, f"{url}centos/").stderr.splitlines()
    assert [line.removeprefix("mirrorpy: warning: ").split(": ")[0] for line in said] == [
        f"{url}robots.txt asks robots to keep away from here",
        f"{url}robots.txt asks robots to wait 5 seconds between requests",
        "left out",
        "left out",
        "left out",
    ]
    assert "5.10/broken/repodata/repomd.xml" in said[2]
    assert f"{url}centos/5.10/isos/gone/: HTTP 404" in said[3]
    assert f"{url}centos/5.10/notes/: is a web page, but no listing of a folder" in said[4]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--match", "5.10/*"], [path for path in REPOSITORIES if path.startswith("5.10/")]),
        (["--match", "x86_64", "--match", "/5.0/os/i386/"], ["5.0/os/i386", *(p for p in REPOSITORIES if "64" in p)]),
        (["--exclude", "updates"], [path for path in REPOSITORIES if "/os/" in path]),
        (
            ["--exclude", "*/updates/i386", "--exclude", "5.0"],
            ["5.10/os/i386", "5.10/os/x86_64", "5.10/updates/x86_64"],
        ),
    ],
)
def test_globs(vault: Path, mirror: Mirror, options: list[str], expected: list[str]) -> None:
    done = discover(mirror, vault.as_uri(), "--json", *options)
    assert paths(done.stdout) == expected


def test_depth(vault: Path, mirror: Mirror) -> None:
    done = discover(mirror, vault.as_uri(), "--depth", "2", expect=2)
    assert "8 folders lie deeper than 2" in done.stderr
    assert "no repository lies below it" in done.stderr
    assert done.stdout == ""
    assert len(paths(discover(mirror, vault.as_uri(), "--depth", "3", "--json").stdout)) == 8


def test_a_family_with_gaps_comes_out_as_what_works(tmp_path: Path, mirror: Mirror) -> None:
    for path in ("5/os/i386", "5/os/x86_64", "6/os/x86_64", "6/updates/x86_64"):
        upstream = Upstream(tmp_path / "up" / path)
        upstream.compose({})
    mirror.config.write_text(discover(mirror, (tmp_path / "up").as_uri()).stdout)
    done = mirror.sync("--allow-shrink")
    assert sorted(done.repos) == ["up-5-os-i386", "up-5-os-x86_64", "up-6-os-x86_64", "up-6-updates-x86_64"]


def test_a_repository_at_the_url_itself_needs_no_listing(vault: Path, mirror: Mirror) -> None:
    with served("nginx", vault.parent, "location /centos/5.0/os/i386/ { autoindex off; }") as url:
        done = discover(mirror, f"{url}centos/5.0/os/i386", "--json")
    (family,) = json.loads(done.stdout)["families"]
    assert family["baseurl"] == f"{url}centos/5.0/os/$basearch/"


# Bad input


def test_links_in_circles_end(tmp_path: Path, mirror: Mirror) -> None:
    """nginx follows them for ever; what is found is found once for each name that it has."""
    with open_folder() as folder:
        Upstream(folder / "up/5/os").compose({})
        for name, target in (("5/here", "."), ("5/above", ".."), ("latest", "5"), ("outside", "/etc")):
            (folder / "up" / name).symlink_to(target)
        for kind in ("nginx", "apache-table", "file"):
            with served(kind, folder / "up") as url:
                done = discover(mirror, url, "--json", "--exclude", "outside")
            assert paths(done.stdout) == ["5/os", "latest/os"], kind
            assert json.loads(done.stdout)["pages"] < 20, kind


SOFT_404 = "error_page 404 =200 /soft.html; location = /soft.html { default_type text/html; }"


def test_a_server_that_has_a_page_for_everything(tmp_path: Path, mirror: Mirror) -> None:
    """Soft 404: no repomd.xml, no .treeinfo and no listing is what the page says of itself."""
    with open_folder() as folder:
        (folder / "soft.html").write_text(
            "<!DOCTYPE html><title>Not found</title><a href='../'>up</a><a href='/'>home</a>"
        )
        (folder / "images").mkdir()
        (folder / "empty/repodata").mkdir(parents=True)
        Upstream(folder / "os").compose({})
        with served("nginx", folder, SOFT_404) as url:
            done = discover(mirror, url, "--json")
            (found,) = json.loads(done.stdout)["found"]
            assert found == {"path": "os", "repository": True, "tree": False}
            assert discover(mirror, f"{url}os/gone/", expect=2).stdout == ""


def test_names_that_differ_in_case_and_encoding(mirror: Mirror) -> None:
    with open_folder() as folder:
        names = ["OS", "os", "caf\u00e9", "cafe\u0301", "a b", "a%20b", "a+b", "a$releasever", "a#b?c"]
        for name in names:
            upstream = Upstream(folder / "up" / name)
            upstream.compose({})
        for kind in ("nginx", "apache-plain", "file"):
            with served(kind, folder) as url:
                mirror.config.write_text(discover(mirror, f"{url}up/").stdout)
                done = mirror.sync("--dry-run", "--allow-shrink")
            assert [repo["outcome"] for repo in done.repos.values()] == ["planned"] * len(names), kind


def test_a_large_listing(mirror: Mirror) -> None:
    """Thousands of files beside a repository cost one page."""
    with open_folder() as folder:
        Upstream(folder / "os").compose({})
        for number in range(5_000):
            os.close(os.open(folder / f"package-{number}.rpm", os.O_CREAT | os.O_WRONLY))
        with served("nginx", folder) as url:
            document = json.loads(discover(mirror, url, "--json").stdout)
    assert [found["path"] for found in document["found"]] == ["os"]
    assert document["pages"] == 2


def test_nothing_outside_is_asked_for(mirror: Mirror) -> None:
    """Of a page that leads everywhere, only what lies right below it is followed."""
    links = (
        "../",
        "/",
        "//127.0.0.2/x/",
        "http://127.0.0.2/y/",
        "%2e%2e/",
        "a%2fb/",
        "?C=N;O=D",
        "file:///etc/",
        "os/",
    )
    with open_folder() as folder:
        Upstream(folder / "top/os").compose({})
        Upstream(folder / "other").compose({})
        page = "<title>Index of /</title>" + "".join(f'<a href="{link}">x</a>' for link in links)
        (folder / "top/index.html").write_text(page)
        with served("nginx", folder) as url:
            document = json.loads(discover(mirror, f"{url}top/", "--json").stdout)
    assert ([found["path"] for found in document["found"]], document["pages"]) == (["os"], 2)


@pytest.mark.parametrize(
    ("url", "status", "reason"),
    [
        ("ftp://up.test/", 2, "is no http://, https:// or file:// URL"),
        ("centos", 2, "is no http://, https:// or file:// URL"),
        ("http://up.test/?a=b", 2, "has a query"),
        ("file:///nowhere/at/all/", 3, "file:///nowhere/at/all/: cannot be listed: No such file or directory"),
    ],
)
def test_urls_that_are_none(mirror: Mirror, url: str, status: int, reason: str) -> None:
    assert reason in discover(mirror, url, expect=status).stderr


def test_a_server_that_does_not_answer(mirror: Mirror) -> None:
    done = discover(mirror, f"http://{LOOPBACK}:{free_port()}/", expect=3)
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)


def test_progress_on_a_terminal(vault: Path, mirror: Mirror) -> None:
    control, terminal = pty.openpty()
    done = subprocess.run(
        [*mirror.command("discover", vault.as_uri())],
        env=mirror.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
        check=True,
        timeout=60,
    )
    os.close(terminal)
    drawn = b""
    with contextlib.suppress(OSError):
        while block := os.read(control, 65536):
            drawn += block
    os.close(control)
    assert b"all" in drawn
    assert yaml.safe_load(done.stdout)["repos"]
