"""How long a cache may keep a file, by its name; Python, nginx and Apache read the same expressions."""

import re

import pytest

from mirrorpy.rpmmd.freshness import ASK, CHECKSUM_NAME, FOREVER, METADATA, cache_control

MD5, SHA1, SHA256, SHA512 = ("0123456789abcdef" * 8)[:32], "ab" * 20, "0f" * 32, "9e" * 64

KEPT = [
    # path, Cache-Control
    ("repodata/repomd.xml", ASK),
    ("repodata/repomd.xml.asc", ASK),
    ("repodata/repomd.xml.key", ASK),
    ("centos/5/os/i386/repodata/repomd.xml", ASK),
    ("repodata/primary.xml.gz", ASK),
    ("repodata/comps.xml", ASK),
    ("repodata/", ASK),
    ("repodata/below/x.xml", ASK),
    (f"repodata/{SHA256}-primary.xml.gz", FOREVER),
    (f"repodata/{SHA1}-primary.xml.gz", FOREVER),
    (f"repodata/{MD5}-primary.xml.gz", FOREVER),
    (f"repodata/{SHA512}-primary.xml.zst", FOREVER),
    (f"a/b/repodata/{SHA256}-comps.xml", FOREVER),
    (f"repodata/comps-{SHA256}.xml", FOREVER),
    (f"repodata/{SHA256}", FOREVER),
    (f"{SHA256}.rpm", FOREVER),
    # Too short to be a checksum
    (f"repodata/{MD5[:31]}-primary.xml.gz", ASK),
    (f"repodata/{MD5[:31]}g-primary.xml.gz", ASK),
    (f"repodata/{MD5[:16]}-{MD5[16:]}.xml", ASK),
    # Of the folder, not of the name
    (f"repodata/{SHA256}/primary.xml.gz", ASK),
    (f"{SHA256}/repodata/repomd.xml", ASK),
    (f"{SHA256}/bash-5.rpm", None),
    (f"{SHA256}/", None),
    # Neither metadata nor a checksum
    ("Packages/bash-5.1-1.el9.x86_64.rpm", None),
    ("Packages/m-1-1.module_el8+30+2e0b1b8a.rpm", None),
    ("bash-5.1-1.el9.x86_64.rpm", None),
    ("images/boot.iso", None),
    (".treeinfo", None),
    ("", None),
    ("repomd.xml", None),
    ("myrepodata/repomd.xml", None),
    ("repodata.old/repomd.xml", None),
    ("repodata", None),
]


@pytest.mark.parametrize(("path", "expected"), KEPT)
def test_cache_control(path, expected):
    assert cache_control(path) == expected


@pytest.mark.parametrize(("path", "expected"), KEPT)
def test_web_servers_expressions_say_the_same(path, expected):
    """They are matched against the path of a URL, the checksum's before the metadata's."""
    url = f"/{path}"
    got = FOREVER if re.search(f"/[^/]*{CHECKSUM_NAME}", url) else ASK if re.search(METADATA, url) else None
    assert got == expected


def test_values():
    assert ASK == "no-cache"
    assert FOREVER == "public, max-age=31536000, immutable"
