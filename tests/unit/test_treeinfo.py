"""`.treeinfo`, old and new, read as productmd reads it."""

import contextlib
import tracemalloc
from pathlib import PurePosixPath

import productmd.treeinfo
import pytest

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.model import Checksum
from mirrorpy.rpmmd.treeinfo import MAX_ENTRIES, MAX_TREEINFO, TREEINFO_HREFS, TreeFile, Treeinfo, parse_treeinfo

from .test_real_data import DATA, WHY

HEADER = "[header]\nversion = 1.2\n"
OLD = "[general]\nfamily = Example\n"
SHA256, SHA1, MD5 = "ab" * 32, "cd" * 20, "ef" * 16


def parse(text):
    return parse_treeinfo(text.encode())


def files(text):
    return {file.href: str(file.checksum) if file.checksum else None for file in parse(text).files}


def test_the_sections_of_a_tree():
    tree = parse(
        f"{HEADER}[images-x86_64]\nkernel = images/vmlinuz\nboot.iso = images/boot.iso\n[images-xen]\n"
        "kernel = images/vmlinuz\n[stage2]\nmainimage = images/install.img\n[variant-Server]\nrepository = .\n"
        "packages = Packages\n[addon-Server-HA]\nrepository = addons/HA/\n"
        "[variant-Other]\nrepository = ../../other/os\n"
        f"[checksums]\nimages/vmlinuz = sha256:{SHA256}\nimages/efiboot.img = md5:{MD5}\n"
        f"repodata/repomd.xml = sha256:{SHA256}\naddons/HA/repodata/repomd.xml = sha256:{SHA256}\n"
    )
    assert tree == Treeinfo(
        files=(
            TreeFile("images/boot.iso", None),
            TreeFile("images/efiboot.img", Checksum("md5", MD5)),
            TreeFile("images/install.img", None),
            TreeFile("images/vmlinuz", Checksum("sha256", SHA256)),
        ),
        repositories=("../../other/os", "addons/HA"),
        warnings=(),
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"a = sha256:{SHA256}", {"a": f"sha256:{SHA256}"}),
        (f"a = sha256:{SHA256.upper()}", {"a": f"sha256:{SHA256}"}),
        (f"a = sha1:{SHA1}", {"a": f"sha1:{SHA1}"}),
        (f"a = sha:{SHA1}", {"a": f"sha1:{SHA1}"}),
        (f"a = {MD5}", {"a": f"md5:{MD5}"}),
        (f"a = {SHA1}", {"a": f"sha1:{SHA1}"}),
        (f"a = {SHA256}", {"a": f"sha256:{SHA256}"}),
        (f"a: sha256:{SHA256}", {"a": f"sha256:{SHA256}"}),
        (f"  a=sha256:{SHA256}\r\n  A=md5:{MD5}", {"a": f"sha256:{SHA256}", "A": f"md5:{MD5}"}),
        (f"a%20b%(c)s = md5:{MD5}", {"a%20b%(c)s": f"md5:{MD5}"}),
        (f"./a//b = md5:{MD5}", {"a/b": f"md5:{MD5}"}),
        (f"# a = md5:{MD5}\n; b = md5:{MD5}", {}),
        (f".treeinfo = md5:{MD5}\n./treeinfo = md5:{MD5}", {}),
        (f"repodata = md5:{MD5}", {}),
    ],
)
def test_checksums(line, expected):
    assert files(f"{HEADER}[checksums]\n{line}\n") == expected


@pytest.mark.parametrize(
    ("line", "href", "warning"),
    [
        ("a = sha256:1234", "a", "a is not verified: sha256 checksum '1234' has 2 bytes instead of 32"),
        ("a = crc32:12345678", "a", "a is not verified: unknown checksum type 'crc32'"),
        ("a = 1234", "a", "a is not verified: unknown checksum type None"),
        ("a =", "a", "a is not verified: unknown checksum type None"),
        ("a = sha256:None", "a", "a is not verified: checksum 'none' is not hexadecimal"),
        (f"../a = md5:{MD5}", None, "../a is left out: href leaves the repository"),
        (f"/a = md5:{MD5}", None, "/a is left out: href is absolute"),
        (f"a\x01b = md5:{MD5}", None, r"a\x01b is left out: href has a control character"),
        (f"a/ = md5:{MD5}", None, "a/ is left out: href names a folder"),
        (f".mirrorpy/x = md5:{MD5}", None, ".mirrorpy/x is left out: href points into .mirrorpy"),
        (f"a = md5:{MD5}\n./a = sha256:{SHA256}", "a", "a has two checksums; the first counts"),
        (f"= md5:{MD5}", None, "a file without a name is left out: has no location"),
    ],
)
def test_what_cannot_be_used_is_said(line, href, warning):
    tree = parse(f"{HEADER}[checksums]\n{line}\n")
    assert [file.href for file in tree.files] == ([href] if href else [])
    assert tree.warnings == (warning,)


def test_a_name_of_other_bytes_than_utf8():
    tree = parse_treeinfo(f"{HEADER}[images-x]\n".encode() + b"a = caf\xe9\n")
    assert tree.files == ()
    assert tree.warnings == (r"caf\udce9 is left out: href has a control character",)


@pytest.mark.parametrize(
    ("written", "href"),
    [
        ("/mnt/redhat/nightly/x86_64/os/images/boot.iso", "images/boot.iso"),
        ("/images/boot.iso", "images/boot.iso"),
        ("images/boot.iso", "images/boot.iso"),
    ],
)
def test_paths_of_the_build_host(written, href):
    """Old trees have them, and productmd mends them; of a new one they are wrong."""
    assert list(files(f"{OLD}[images-i386]\nboot.iso = {written}\n[checksums]\n{written} = {MD5}\n")) == [href]
    assert list(files(f"{HEADER}[images-i386]\nboot.iso = {written}\n")) == ([] if written[0] == "/" else [href])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (".", ()),
        ("./", ()),
        ("", ()),
        ("repodata", ()),
        ("a/..", ()),
        ("Server/repodata", ("Server",)),
        ("./addons//HA/", ("addons/HA",)),
        ("debug repo", ("debug repo",)),
        ("..a", ("..a",)),
        ("..", ("../",)),
        ("../..", ("../../",)),
        ("../repodata", ("../",)),
        ("a/../../b", ("../b",)),
    ],
)
@pytest.mark.parametrize("section", ["variant-A", "addon-A-B"])
def test_repositories(section, written, expected):
    tree = parse(f"{HEADER}[{section}]\nrepository = {written}\npackages = elsewhere\n")
    assert (tree.repositories, tree.warnings) == (expected, ())


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("/srv/repo", "href is absolute"),
        ("https://other.test/repo", "is a URL"),
        ("../.mirrorpy", "href points into .mirrorpy"),
        ("a\x7fb", "href has a control character"),
        ("a" * 300, "href has more than 2048 bytes, or a name of more than 255"),
    ],
)
def test_repositories_that_are_left_out(written, reason):
    tree = parse(f"{HEADER}[variant-A]\nrepository = {written}\n")
    assert tree.repositories == ()
    assert len(tree.warnings) == 1
    assert tree.warnings[0].startswith("repository ")
    assert tree.warnings[0].endswith(f" is left out: {reason}")


def test_general_counts_in_the_old_format_only():
    section = "repository = Server\n"
    assert parse(f"{OLD}{section}").repositories == ("Server",)
    assert parse(f"{OLD}{section}{HEADER}").repositories == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "none of the sections"),
        (b"[InstallMedia]\nname=x\n", "none of the sections"),
        (b"[checksums]\na = b\n", "none of the sections"),
        (b"<!DOCTYPE html>\n<html></html>", "web page"),
        (b"\n <html>", "web page"),
        (b'{"data": []}', "line 1 is no setting"),
        (b"family = Example\n[general]\n", "line 1 is no setting"),
        (b"[general]\n\nfamily\n", "line 3 is no setting"),
        (b"[general]\nfamily = a\n  b = c\n", "line 3"),
        (b"\0\xff\xfe", "line 1 is no setting"),
        (b"[general]\n" + b"a = b\n" * (MAX_TREEINFO // 6), "more than 1048576 bytes"),
        (
            b"[general]\n[checksums]\n" + b"".join(b"%d =\n" % n for n in range(MAX_ENTRIES + 1)),
            "more than 10000 files",
        ),
    ],
)
def test_refused(data, reason):
    with pytest.raises(RepodataError, match=reason):
        parse_treeinfo(data)


START = "[general]\n[images-x]\n"
WIDE = START + "".join(f"{number:x}=/{number:x}\n" for number in range(MAX_TREEINFO // 13))


@pytest.mark.parametrize(
    "text",
    [WIDE[:MAX_TREEINFO], f"{START}a={'/' * (MAX_TREEINFO - 30)}", START * (MAX_TREEINFO // 22), "\n" * MAX_TREEINFO],
    ids=["files", "path", "sections", "lines"],
)
def test_memory_is_bounded(text):
    tracemalloc.start()
    try:
        with contextlib.suppress(RepodataError):
            parse(text)
        assert tracemalloc.get_traced_memory()[1] < 96 * 1024**2
    finally:
        tracemalloc.stop()


REAL = [path for path in sorted(DATA.joinpath("odd/treeinfo").rglob("*")) if path.is_file()]
TREES = [path for path in REAL if path.parent.name == "productmd" or path.name in TREEINFO_HREFS]


def normal(path):
    """As a filesystem takes it; PurePosixPath drops a leading `.`, and leaves what `..` means."""
    return str(PurePosixPath(path))


def below(variant):
    """Variants and addons below it, at any depth."""
    for child in variant.variants.values():
        yield child
        yield from below(child)


@pytest.mark.skipif(not TREES, reason=WHY)
@pytest.mark.parametrize("path", TREES, ids=lambda path: path.name)
def test_as_productmd_reads_it(path):
    theirs = productmd.treeinfo.TreeInfo()
    theirs.load(str(path))
    images = {image for section in theirs.images.images.values() for image in section.values()}
    images |= {image for image in (theirs.stage2.mainimage, theirs.stage2.instimage) if image}
    promised = {
        normal(href): f"{kind}:{value}"
        for href, (kind, value) in theirs.checksums.checksums.items()
        if "repodata" not in href.split("/")
    }
    paths = [variant.paths for variant in below(theirs.variants)]
    repositories = {
        normal(repository)
        for one in paths
        for repository in (one.repository, one.debug_repository, one.source_repository)
        if repository
    }
    ours = parse_treeinfo(path.read_bytes())
    assert {file.href: str(file.checksum) for file in ours.files if file.checksum} == promised
    assert {file.href for file in ours.files} == {normal(image) for image in images} | promised.keys()
    assert set(ours.repositories) == repositories - {"."}
    assert ours.warnings == ()


@pytest.mark.skipif(not TREES, reason=WHY)
@pytest.mark.parametrize("path", [path for path in REAL if path not in TREES], ids=lambda path: path.name)
def test_the_files_beside_a_tree_are_none(path):
    with pytest.raises(RepodataError):
        parse_treeinfo(path.read_bytes())
