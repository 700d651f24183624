"""How the readers of formats are called, and what has to hold of what they give."""

import io

from mirrorpy.errors import UnsafeHref
from mirrorpy.plan import collect
from mirrorpy.rpmmd.decode import open_decoded, verify_open
from mirrorpy.rpmmd.delta import iter_deltas
from mirrorpy.rpmmd.freshness import cache_control
from mirrorpy.rpmmd.href import MAX_HREF, MAX_SEGMENT, RESERVED, check_href, check_tree
from mirrorpy.rpmmd.media import media_type
from mirrorpy.rpmmd.mirrors import MAX_MIRRORS, SCHEMES, MirrorList, parse_metalink, parse_mirrors
from mirrorpy.rpmmd.model import Kind, Record, RemoteFile
from mirrorpy.rpmmd.package import read_package
from mirrorpy.rpmmd.primary import PrimaryCount, iter_listed, iter_primary
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.upstream.url import file_url, usable_mirrors
from tests.property.strategies import one_line
from tests.property.test_package import ask
from tests.property.test_packages import by_elements, quickly_in
from tests.property.test_parsers import assert_good
from tests.unit.documents import sha256

from .seeds import CONTENT

BASE = "https://up.test/repo/"


def below_root(file: RemoteFile) -> None:
    """A promised file is valid, lies below root, and has a URL or none that can be asked."""
    assert_good(file)
    first, *others = file.path.split("/")
    assert first != RESERVED
    assert not {"", ".", ".."} & {first, *others}
    assert "\0" not in file.path
    url = file_url(BASE, file.href)
    assert url.startswith(BASE)
    assert url.isascii()
    try:
        assert file_url(BASE, file.href, file.location_base).startswith("https:")
    except UnsafeHref as error:
        one_line(error.message)


def repomd(data: bytes) -> None:
    found = parse_repomd(data)
    assert found.record("primary")
    assert found.timestamp >= 0
    for record in found.records:
        below_root(record.file)


def primary(data: bytes) -> None:
    """Both readers see the same packages, and give up at the same places; so do both ways to read them."""
    count, listed = PrimaryCount(), []
    for nevra, found in iter_listed(io.BytesIO(data), count):
        listed.append(found)
        assert isinstance(str(nevra), str)
    one_line(count.warning or "none")
    quick, slow = quickly_in(data, 700), by_elements(data)
    assert (quick[1] is None) == (slow[1] is None), (quick, slow)
    assert quick[0] == slow[0][: len(quick[0])]
    assert quick[1] or len(quick[0]) == len(slow[0])
    files = collect(iter_primary(io.BytesIO(data)))
    assert count.read == len(listed) >= len(files)
    for file in files.values():
        below_root(file)
    check_tree(files)


def packed_primary(data: bytes) -> None:
    primary(read_all(data))


def delta(data: bytes) -> None:
    for file in iter_deltas(io.BytesIO(data), "prestodelta"):
        below_root(file)


def mirrors(data: bytes) -> None:
    good_mirrors(parse_mirrors(data, {"releasever": "9", "basearch": "x86_64"}))


def metalink(data: bytes) -> None:
    found = parse_metalink(data)
    good_mirrors(found)
    for pin in found.pins:
        pin.matches(data)
        assert pin.timestamp >= 0


def good_mirrors(found: MirrorList) -> None:
    assert 0 < len(found.baseurls) <= MAX_MIRRORS
    assert all(url.lower().startswith(SCHEMES) and url.isprintable() for url in found.baseurls)
    for url in usable_mirrors("https://list.test/", found.baseurls):
        assert file_url(url, "repodata/repomd.xml")


def package(data: bytes) -> None:
    """A loose reader takes whatever a strict one does, and calls it the same."""
    loose = read_package(io.BytesIO(data), strict=False)
    one_line(f"{loose.nevra.name!r} {loose.nevra!r}")
    found = read_package(io.BytesIO(data))
    ask(found)
    assert found.nevra == loose.nevra
    assert found.header_at < found.payload_at <= len(data)


def read_all(data: bytes, open_size: int | None = None) -> bytes:
    stream = open_decoded(io.BytesIO(data), size=len(data), open_size=open_size)
    read = b"".join(iter(lambda: stream.read(65536), b""))
    assert stream.position == len(read)
    return read


def decode(data: bytes) -> None:
    """What unpacks is the same whether or not its size was promised, and passes for no other."""
    read = read_all(data)
    assert read_all(data, len(read)) == read
    promise = Record("x", RemoteFile("x", sha256(data), None, Kind.RECORD), sha256(CONTENT), len(CONTENT), 0)
    verify_open(promise, io.BytesIO(data), len(data))
    assert read == CONTENT


def bomb(data: bytes) -> None:
    """Read and thrown away, as who looks for packages does."""
    stream = open_decoded(io.BytesIO(data), size=len(data))
    while stream.read(65536):
        pass


def href(data: bytes) -> None:
    for kind in Kind:
        file = RemoteFile(check_href(data.decode("utf-8", "surrogateescape"), kind), sha256(b""), None, kind)
        below_root(file)
        check_tree({file.path: file})


def name(data: bytes) -> None:
    """Of a file that is there: a path has a length."""
    path = data.decode("utf-8", "surrogateescape")
    if len(path) <= MAX_HREF and all(len(part) <= MAX_SEGMENT for part in path.split("/")):
        cache_control(path)
        assert "/" in media_type(path)
