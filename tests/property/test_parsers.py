"""Whatever the bytes are, parsers give a value or the documented error, which is one printable line."""

import bz2
import gzip
import io
import lzma
from pathlib import Path

import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from mirrorpy.config.document import read_document
from mirrorpy.config.load import load_config
from mirrorpy.errors import ConfigError, UpstreamError
from mirrorpy.plan import collect
from mirrorpy.rpmmd.decode import open_decoded, verify_open
from mirrorpy.rpmmd.delta import iter_deltas
from mirrorpy.rpmmd.mirrors import SCHEMES, parse_metalink, parse_mirrorlist, parse_mirrors
from mirrorpy.rpmmd.model import DIGEST_BYTES, MAX_SIZE, Checksum, Kind, Record, RemoteFile
from mirrorpy.rpmmd.primary import iter_primary
from mirrorpy.rpmmd.repomd import parse_repomd
from tests.unit.documents import delta, package, prestodelta, primary, record, repomd, sha256

from .strategies import bytes_like, one_line

SIZES = "<timestamp>17.5</timestamp><size>12</size><open-size>5</open-size>"
FULL = f'<open-checksum type="sha256">{"b" * 64}</open-checksum>{SIZES}'
REPOMD = repomd(record(inside=FULL), record("other", "a/ü.xml", ("sha", "c" * 40), base="http://x/"))
PRIMARY = primary(package(), package("b/c+d~e.rpm", ("md5", "0" * 32), None, name="b", base="../"), "<junk/>")
DELTA = prestodelta(delta(), delta("drpms/b c.drpm", size=None))
METALINK = f"""<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager"><files>
<file name="repomd.xml"><mm0:timestamp>13</mm0:timestamp><verification><hash type="md5">{"0" * 32}</hash>
<hash type="sha256">{"a" * 64}</hash></verification><mm0:alternates><mm0:alternate><verification>
<hash type="sha256">{"b" * 64}</hash></verification></mm0:alternate></mm0:alternates><resources>
<url preference="99">http://a/repodata/repomd.xml</url><url>rsync://b/</url></resources></file></files></metalink>""".encode()
MIRRORLIST = b"# repo\nhttp://a/$releasever/\n/srv\n\nhttps://b/${basearch}\n# error: no\n"
CONFIG = """\
root: /pub
keep: 2
grace: 48h
max_shrink: 50%
minrate: 1k
sslverify: true
password: ${SECRET}
headers: {X-Token: "${SECRET}"}
repos:
  - id: a-$r
    path: a/$r
    baseurl: [https://a/$r/, "file:///b"]
    vars: {r: ["5.0", 6, 7.5]}
  - {id: b, metalink: "http://m/", keep: 3, timeout: !!float "5"}
"""
ODD = "a: &x [1, 2.5, null, 2024-01-01, 0x1f, 1:30, yes, .inf, !!binary aGk=]\nb: *x\nc: !!int '5'\nd: {? e : f}\n"


def test_the_documents_themselves_are_good(tmp_path):
    """Damage to what is refused anyway would prove nothing."""
    file = tmp_path / "m.yaml"
    file.write_text(CONFIG)
    assert len(load_config(file, {"SECRET": "s"}).repos) == 4
    assert read_document(file, ODD).values["c"] == 5
    assert len(parse_repomd(REPOMD).records) == 2
    assert len(collect(iter_primary(io.BytesIO(PRIMARY)))) == 2
    assert len(list(iter_deltas(io.BytesIO(DELTA), "x"))) == 2
    assert len(parse_metalink(METALINK).pins) == 2
    assert len(parse_mirrors(MIRRORLIST, {}).baseurls) == 3


@given(bytes_like(REPOMD))
def test_repomd(data):
    try:
        got = parse_repomd(data)
    except UpstreamError as error:
        one_line(error.message)
        return
    assert got.record("primary") is not None
    for found in got.records:
        assert found.type
        assert_good(found.file)
        assert found.open_size is None or 0 <= found.open_size <= MAX_SIZE
        assert found.timestamp >= 0
    assert got.timestamp >= 0


@given(bytes_like(PRIMARY))
def test_primary(data):
    try:
        files = list(iter_primary(io.BytesIO(data)))
    except UpstreamError as error:
        one_line(error.message)
        return
    for file in files:
        assert_good(file)


@given(bytes_like(DELTA))
def test_delta(data):
    try:
        files = list(iter_deltas(io.BytesIO(data), "prestodelta"))
    except UpstreamError as error:
        one_line(error.message)
        return
    for file in files:
        assert_good(file)


@given(bytes_like(PRIMARY))
def test_collect(data):
    try:
        files = collect(iter_primary(io.BytesIO(data)))
    except UpstreamError as error:
        one_line(error.message)
        return
    assert all(path == file.path for path, file in files.items())


def assert_good(file: RemoteFile) -> None:
    """Values are valid once parsed."""
    assert file.size is None or 0 <= file.size <= MAX_SIZE
    assert len(file.checksum.value) == 2 * DIGEST_BYTES[file.checksum.algorithm]
    assert set(file.checksum.value) <= set("0123456789abcdef")
    assert file.href
    assert file.path


@given(bytes_like(METALINK, MIRRORLIST))
def test_mirrors(data):
    for parse in (
        parse_metalink,
        lambda data: parse_mirrorlist(data, {"releasever": "5"}),
        lambda data: parse_mirrors(data, {"basearch": "x"}),
    ):
        try:
            got = parse(data)
        except UpstreamError as error:
            one_line(error.message)
            continue
        assert got.baseurls
        assert all(url.lower().startswith(SCHEMES) and url.isprintable() for url in got.baseurls)
        assert len(set(got.baseurls)) == len(got.baseurls)


CONTENT = b"".join(b"<package>%d</package>" % number for number in range(100))
PACKED = [
    gzip.compress(CONTENT),
    bz2.compress(CONTENT),
    lzma.compress(CONTENT),
    zstandard.ZstdCompressor(write_checksum=True).compress(CONTENT),
    gzip.compress(CONTENT[:50]) + gzip.compress(CONTENT[50:]),
    b"\0ZCK1" + CONTENT,
    CONTENT,
]
MAGIC = st.sampled_from(
    [b"", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\0ZCK1"]
)


@given(bytes_like(*PACKED) | st.builds(bytes.__add__, MAGIC, st.binary(max_size=100)), st.none() | st.integers(0, 5000))
def test_decode(data, open_size):
    stream = open_decoded(io.BytesIO(data), size=len(data), open_size=open_size)
    read = 0
    try:
        while block := stream.read(1000):
            assert len(block) <= 1000
            read += len(block)
            assert open_size is None or read <= open_size
    except UpstreamError as error:
        one_line(error.message)
        return
    assert stream.position == read


@given(bytes_like(*PACKED), st.none() | st.integers(0, 5000))
def test_verify_open(data, open_size):
    """What passes does have the promised content; zchunk is not read."""
    promise = Record("x", RemoteFile("x", sha256(data), None, Kind.RECORD), sha256(CONTENT), open_size, 0)
    try:
        verify_open(promise, io.BytesIO(data), len(data))
    except UpstreamError as error:
        one_line(error.message)
        return
    if not data.startswith(b"\0ZCK1"):
        stream = open_decoded(io.BytesIO(data), size=len(data))
        assert b"".join(iter(lambda: stream.read(5000), b"")) == CONTENT
        assert open_size in (None, len(CONTENT))


@given(
    st.none() | st.text(max_size=20) | st.sampled_from(list(DIGEST_BYTES)),
    st.none() | st.text() | st.text("0123456789abcdefABCDEF"),
)
def test_checksum(algorithm, value):
    try:
        checksum = Checksum.parse(algorithm, value)
    except UpstreamError as error:
        one_line(error.message)
        return
    assert Checksum.parse(checksum.algorithm, checksum.value) == checksum


WORDS = """
root repos id path baseurl vars keep grace tree &a *a - : ? [ ] { } , | > ! !!int !!bool !!float !!null !!timestamp
!!binary !!set !!map !!seq !!str !!omap !!python/name:os.system ' " # %YAML --- ... 1 0x_ 1:30 .inf .nan yes ~ = <<
2001-01-01 2001-13-99 1e3 $x ${X} 50% 1k ../x https://h/ a/b é
"""
YAML = st.lists(st.sampled_from(WORDS.split()) | st.sampled_from(["\n", "\n  ", "\n- ", " "]), max_size=30).map("".join)


@given(YAML | st.text(max_size=100) | bytes_like(ODD.encode()).map(lambda data: data.decode("utf-8", "replace")))
@example('a: !!int ""')
@example("a: !!bool maybe")
@example("a: !!timestamp soon")
def test_document(text):
    try:
        document = read_document(Path("m.yaml"), text)
    except ConfigError as error:
        one_line(error.message, begins="m.yaml:")
        return
    assert isinstance(document.values, dict)
    assert all(line >= 1 for line in document.lines.values())


@given(bytes_like(CONFIG.encode()) | YAML.map(lambda text: CONFIG.replace("2", text, 1).encode()))
def test_configuration(tmp_path, data):
    file = tmp_path / "m.yaml"
    file.write_bytes(data)
    try:
        config = load_config(file, {"SECRET": "s3cret"})
    except ConfigError as error:
        one_line(error.message, begins=str(file))
        return
    assert config.repos
    assert len({repo.id for repo in config.repos}) == len(config.repos)
    assert config.root.is_absolute()
