"""The clients' .repo file, as dnf itself reads it: ids, URLs with their variables, keys."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .programs import real_program
from .servers import emitted

BASE = "http://mirror.example.org/pub"
READ = """
import json, sys
import dnf
base = dnf.Base()
base.conf.reposdir = [sys.argv[1]]
base.conf.substitutions.update(releasever=sys.argv[2], basearch=sys.argv[3])
base.read_all_repos()
print(json.dumps({
    repo.id: {
        "name": repo.name,
        "baseurl": list(repo.baseurl),
        "gpgkey": list(repo.gpgkey),
        "gpgcheck": repo.gpgcheck,
        "enabled": repo.enabled,
        "metadata_expire": repo.metadata_expire,
    }
    for repo in base.repos.values()
}))
"""
CENTOS = {
    "id": "centos-$releasever-$repo-$basearch",
    "path": "centos/$releasever/$repo/$basearch",
    "baseurl": "http://up.example.org/$releasever/$repo/$basearch/",
    "vars": {"releasever": ["8", "9"], "repo": ["os", "updates"], "basearch": ["x86_64", "aarch64"]},
}


class Client:
    """dnf with the emitted file as its only one."""

    def __init__(self, folder: Path) -> None:
        self.dnf = real_program("dnf")
        self.folder = folder / "repos"
        self.folder.mkdir()
        self.config = folder / "dnf.conf"
        self.config.write_text(f"[main]\nplugins=0\nreposdir={self.folder}\nvarsdir=/none\n")

    def run(self, *args: str) -> str:
        done = subprocess.run(
            args,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder.parent), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def read(self, text: str, releasever: str = "9", basearch: str = "x86_64") -> dict[str, dict[str, Any]]:
        """What dnf's own library makes of the file."""
        (self.folder / "mirrorpy.repo").write_text(text)
        python = Path(self.dnf).read_text().splitlines()[0].removeprefix("#!").split()
        repos: dict[str, dict[str, Any]] = json.loads(self.run(*python, "-c", READ, self.folder, releasever, basearch))
        return repos


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


def entry(name: str, **options: Any) -> dict[str, Any]:
    """One repository."""
    return {"id": name, "baseurl": "http://up.example.org/", **options}


@pytest.mark.parametrize("releasever", ["8", "9"])
@pytest.mark.parametrize("basearch", ["x86_64", "aarch64"])
def test_a_client_fills_in_its_own_release_and_architecture(mirror, client, releasever, basearch):
    mirror.configure(CENTOS)
    repos = client.read(emitted(mirror, "repo", "--base", BASE), releasever, basearch)
    assert {name: repo["baseurl"] for name, repo in repos.items()} == {
        f"centos-{repo}": [f"{BASE}/centos/{releasever}/{repo}/{basearch}/"] for repo in ("os", "updates")
    }
    assert repos["centos-os"]["name"] == f"centos-{releasever}-os-{basearch}"


def test_options(mirror, client):
    mirror.configure(entry("a", gpgkey=["/k/1", "/k/2 3,4"]), entry("b"))
    repos = client.read(emitted(mirror, "repo"))
    assert repos["a"]["gpgkey"] == ["file:///k/1", "file:///k/2%203%2C4"]
    assert [(repo["gpgcheck"], repo["enabled"], repo["metadata_expire"]) for repo in repos.values()] == [
        (True, True, 3600),
        (False, True, 3600),
    ]


PATHS = [
    ("two words", "two%20words"),
    ("a,b/c;d", "a%2Cb/c%3Bd"),
    ("50%/%20", "50%25/%2520"),
    ("é/鏡", "%C3%A9/%E9%8F%A1"),
    ("#1/?", "%231/%3F"),
    ("'a'/\"b\"", "%27a%27/%22b%22"),
    ("a{b}/[c]", "a{b}/%5Bc%5D"),
    ("back\\slash", "back%5Cslash"),
    ("${releasever}$basearch", "9x86_64"),
    ("${releasever}x/$basearch.d", "9x/x86_64.d"),
    ("${releasever}_x/x$releasever", "9_x/x9"),
    ("é${releasever}ü", "%C3%A99%C3%BC"),
]


@pytest.mark.parametrize(("path", "expected"), PATHS)
def test_paths(mirror, client, path, expected):
    mirror.configure(entry("a", path=path, vars={"releasever": ["9"], "basearch": ["x86_64"]}))
    repos = client.read(emitted(mirror, "repo", "--base", BASE))
    assert repos["a"]["baseurl"] == [f"{BASE}/{expected}/"]


@pytest.mark.parametrize(
    "ids", [["a", "a.b", "a_b", "a:b", "0", "A", "x" * 200], ["a+b", "b"], ["a+b", "a-b"], ["main", "b"]]
)
def test_ids(mirror, client, ids):
    """Every id of mirrorpy's becomes one that dnf takes, and none is lost."""
    mirror.configure(*(entry(name, path=f"p{number}") for number, name in enumerate(ids)))
    repos = client.read(emitted(mirror, "repo", "--base", BASE))
    assert [repo["baseurl"] for repo in repos.values()] == [[f"{BASE}/p{number}/"] for number in range(len(ids))]


def test_dnf_lists_them(mirror, client):
    mirror.configure(CENTOS, entry("other"))
    (client.folder / "mirrorpy.repo").write_text(emitted(mirror, "repo", "--base", BASE))
    listed = client.run(client.dnf, "-c", str(client.config), "--releasever=9", "-q", "repolist", "--all")
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["centos-os", "centos-updates", "other"]
    assert {line.split()[-1] for line in listed.splitlines()[1:]} == {"enabled"}
