"""Real repositories that nobody here made, where they are at hand; $MIRRORPY_DATA names the folder."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
from pathlib import Path

import pytest
import zstandard
from lxml import etree

from mirrorpy.errors import UpstreamError
from mirrorpy.plan import collect
from mirrorpy.rpmmd.decode import ZCK_MAGIC, open_decoded, verify_open
from mirrorpy.rpmmd.delta import RECORD_TYPES, iter_deltas
from mirrorpy.rpmmd.mirrors import parse_metalink, parse_mirrorlist, parse_mirrors
from mirrorpy.rpmmd.model import Kind, Repomd
from mirrorpy.rpmmd.primary import PrimaryCount, iter_primary
from mirrorpy.rpmmd.repomd import parse_repomd

DATA = Path(os.environ.get("MIRRORPY_DATA") or Path(__file__).parents[3] / "shared/data")
WHY = f"no real data at {DATA}; name it with MIRRORPY_DATA"
UNPACK = {
    b"\x1f\x8b": gzip.decompress,
    b"BZ": bz2.decompress,
    b"\xfd7": lzma.decompress,
    b"\x28\xb5": lambda data: zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read(),
}


def found(*folders: str) -> list:
    """Every repository below these folders, by its path; one that says why to skip where there is none."""
    repos = sorted(path.parent.parent for folder in folders for path in (DATA / folder).rglob("repodata/repomd.xml"))
    return [pytest.param(repo, id=str(repo.relative_to(DATA))) for repo in repos] or [
        pytest.param(None, marks=pytest.mark.skip(reason=WHY))
    ]


def data_file(name: str) -> Path:
    """A file or folder of the data, or a reason to skip."""
    if not (DATA / name).exists():
        pytest.skip(f"no {name} at {DATA}; name it with MIRRORPY_DATA")
    return DATA / name


def unpack(path: Path) -> bytes:
    """Unpack a file independently of mirrorpy."""
    data = path.read_bytes()
    return UNPACK.get(data[:2], bytes)(data)


def decoded(path: Path) -> object:
    return open_decoded(io.BytesIO(path.read_bytes()), size=path.stat().st_size)


def read(repo: Path) -> Repomd:
    return parse_repomd((repo / "repodata/repomd.xml").read_bytes())


@pytest.mark.parametrize("repo", found("repos", "metadata"))
def test_repomd(repo):
    data = (repo / "repodata/repomd.xml").read_bytes()
    repomd = parse_repomd(data)
    assert [record.type for record in repomd.records] == [
        text.decode() for text in re.findall(rb"<data\s+type=[\"']([^\"']+)", data)
    ]
    assert [record.file.href for record in repomd.records] == [
        text.decode() for text in re.findall(rb"<location[^>]*?\shref=[\"']([^\"']+)", data)
    ]
    assert all(record.file.kind is Kind.RECORD for record in repomd.records)


@pytest.mark.parametrize("repo", found("repos", "metadata"))
def test_primary(repo):
    """As many packages as an independent reader counts, each with its location and checksum."""
    path = repo / read(repo).record("primary").file.path
    if not path.exists():
        pytest.skip("comes without its primary")
    count = PrimaryCount()
    files = list(iter_primary(decoded(path), count))
    tree = etree.fromstring(unpack(path))
    names = [location.get("href") for location in tree.iterfind("{*}package/{*}location")]
    sums = [checksum.text for checksum in tree.iterfind("{*}package/{*}checksum")]
    assert [file.href for file in files] == names
    assert [file.checksum.value for file in files] == sums
    assert count.read == len(tree.findall("{*}package"))
    assert count.warning is None
    assert len(collect(files)) == len(set(names))


@pytest.mark.parametrize("repo", found("repos"))
def test_every_record_is_what_repomd_says(repo):
    for record in read(repo).records:
        path = repo / record.file.path
        data = path.read_bytes()
        assert hashlib.new(record.file.checksum.algorithm, data).hexdigest() == record.file.checksum.value, path
        assert record.file.size in (None, len(data))
        verify_open(record, io.BytesIO(data), len(data))


@pytest.mark.parametrize("repo", found("repos"))
def test_every_record_unpacks_to_what_another_unpacker_makes_of_it(repo):
    for record in read(repo).records:
        path = repo / record.file.path
        if path.read_bytes()[:5] == ZCK_MAGIC:
            continue
        stream = decoded(path)
        assert b"".join(iter(lambda stream=stream: stream.read(65536), b"")) == unpack(path), path


@pytest.mark.parametrize("repo", found("repos"))
def test_deltas(repo):
    for record in read(repo).records:
        if record.type in RECORD_TYPES:
            path = repo / record.file.path
            names = re.findall(rb"<filename>\s*([^<]*?)\s*</filename>", unpack(path))
            assert [file.href.encode() for file in iter_deltas(decoded(path), record.type)] == names


@pytest.mark.parametrize("repo", found("repos"))
def test_packages_are_what_primary_says(repo):
    """Of those that came along, the sizes; integration tests hash them."""
    for file in iter_primary(decoded(repo / read(repo).record("primary").file.path)):
        path = repo / file.path
        if path.is_file():
            assert file.size in (None, path.stat().st_size), path


@pytest.mark.parametrize("repo", found("faulty", "odd"))
def test_faulty_repositories_are_read_or_refused_and_nothing_else(repo):
    try:
        repomd = read(repo)
        for record in repomd.records:
            path = repo / record.file.path
            if path.exists():
                verify_open(record, io.BytesIO(path.read_bytes()), path.stat().st_size)
        primary = repo / repomd.record("primary").file.path
        if primary.exists():
            collect(iter_primary(decoded(primary)))
    except UpstreamError as error:
        assert error.message.isprintable()  # noqa: PT017


# librepo's own test data, as its tests take it (tests/test_metalink.c, test_mirrorlist.c)


@pytest.mark.parametrize(("name", "pins"), [("good_01", 1), ("good_02", 0), ("bad_01", 1), ("with_alternates", 2)])
def test_metalinks_that_librepo_takes(name, pins):
    data = data_file(f"odd/librepo/metalinks/metalinks/metalink_{name}").read_bytes()
    got = parse_metalink(data)
    file = data[data.index(b'name="repomd.xml"') :].split(b"</file>")[0]
    usable = re.findall(rb">\s*(?:http|https|file)://[^<]*", file)
    assert len(got.baseurls) == len(set(usable))
    assert len(got.pins) == pins
    assert all(pin.checksum.algorithm == "sha512" for pin in got.pins)
    assert all(url.endswith("/") and "repodata" not in url for url in got.baseurls)
    assert parse_mirrors(data, {}) == got


def test_a_metalinks_first_is_the_one_librepo_would_ask_first():
    got = parse_metalink(data_file("odd/librepo/metalinks/metalinks/metalink_good_01").read_bytes())
    assert got.baseurls[0].startswith("http://mirror.pnl.gov/")
    assert got.pins[0].timestamp == 1337942396
    bad = parse_metalink(data_file("odd/librepo/metalinks/metalinks/metalink_bad_01").read_bytes())
    assert bad.pins[0].timestamp == 0


@pytest.mark.parametrize("name", ["good_03", "bad_02", "really_bad_01", "really_bad_02", "really_bad_03"])
def test_metalinks_that_no_repository_can_be_had_from(name):
    """librepo parses good_03 and bad_02, which name no mirror: nothing can be downloaded by them either."""
    with pytest.raises(UpstreamError, match="metalink"):
        parse_metalink(data_file(f"odd/librepo/metalinks/metalinks/metalink_{name}").read_bytes())


@pytest.mark.parametrize(
    ("name", "baseurls"),
    [
        ("mirrorlists/mirrorlist_01", ("http://foo.bar/fedora/linux/",)),  # its second is ftp
        ("mirrorlists/mirrorlist_02", None),
        ("mirrorlists/mirrorlist_03", None),
        ("mirrorlist", ("http://127.0.0.1:5000/yum/static/01/",)),
    ],
)
def test_mirrorlists(name, baseurls):
    data = data_file(f"odd/librepo/metalinks/{name}").read_bytes()
    if baseurls is None:
        with pytest.raises(UpstreamError, match="no mirror"):
            parse_mirrorlist(data, {})
    else:
        assert parse_mirrorlist(data, {}).baseurls == baseurls


# createrepo_c's own test data


def test_createrepos_odd_primaries():
    """Read, or refused as upstream's fault; what createrepo_c calls an error is refused, a stray `&` read."""
    folder = data_file("odd/createrepo_c/modified_repo_files")
    files = sorted(folder.glob("*primary.xml"))
    assert files
    refused = []
    for path in files:
        try:
            got = list(iter_primary(io.BytesIO(path.read_bytes())))
            assert len(got) == len(re.findall(rb"<package[ >]", path.read_bytes())), path
        except UpstreamError:
            refused.append(path.name)
    assert "error_00-primary.xml" in refused
    assert not {"long_primary.xml", "repo_01_ampersand-primary.xml", "unknown_element_00-primary.xml"} & set(refused)


def test_createrepos_snippets_have_no_root():
    for path in sorted(data_file("odd/createrepo_c/repodata_snippets").glob("primary*")):
        with pytest.raises(UpstreamError):
            list(iter_primary(io.BytesIO(path.read_bytes())))


def test_createrepos_record_without_a_type():
    data = data_file("odd/createrepo_c/modified_repo_files/missing_type-repomd.xml").read_bytes()
    with pytest.raises(UpstreamError, match="without a type"):
        parse_repomd(data)


def test_createrepos_compressed_files():
    folder = data_file("odd/createrepo_c/compressed_files")
    for path in sorted(folder.iterdir()):
        plain = (folder / f"{path.name[:2]}_plain.txt").read_bytes()
        if path.read_bytes()[:5] == ZCK_MAGIC:
            with pytest.raises(UpstreamError, match="zchunk"):
                decoded(path).read(100)
            continue
        stream = decoded(path)
        assert b"".join(iter(lambda stream=stream: stream.read(1000), b"")) == plain, path
