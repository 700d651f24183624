"""XML from strangers: every attack is a RepodataError, soon, and reads no file and no network."""

import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.delta import iter_deltas
from mirrorpy.rpmmd.mirrors import parse_metalink
from mirrorpy.rpmmd.primary import iter_primary
from mirrorpy.rpmmd.repomd import parse_repomd

from .documents import COMMON, REPO, delta, package, prestodelta, primary, record, repomd


def read_primary(data: bytes) -> list[str]:
    return [file.href for file in iter_primary(io.BytesIO(data))]


def read_deltas(data: bytes) -> list[str]:
    return [file.href for file in iter_deltas(io.BytesIO(data), "prestodelta")]


def read_repomd(data: bytes) -> list[str | None]:
    repomd_ = parse_repomd(data)
    return [repomd_.revision, *(found.file.href for found in repomd_.records)]


def read_metalink(data: bytes) -> list[str]:
    return list(parse_metalink(data).baseurls)


METALINK = """<metalink><files><file name="repomd.xml"><resources>%s<url>http://%s/</url></resources></file></files>
</metalink>"""
PRESTO = prestodelta(delta("TEXT")).decode().partition("?>")[2].replace("<newp", "%s<newp").replace("TEXT", "%s")
# A place for an element, and one for text that comes out.
READERS = {
    "repomd": (read_repomd, f'<repomd xmlns="{REPO}">%s<revision>%s</revision>{record()}</repomd>'),
    "primary": (
        read_primary,
        f'<metadata xmlns="{COMMON}">%s{package(inside="<x>TEXT</x>")}</metadata>'.replace("TEXT", "%s"),
    ),
    "delta": (read_deltas, PRESTO),
    "metalink": (read_metalink, METALINK),
}
LAUGH = "&a{};"
LAUGHS = '<!DOCTYPE x [<!ENTITY a0 "ha">{}]>'.format(
    "".join(f'<!ENTITY a{number} "{LAUGH.format(number - 1) * 10}">' for number in range(1, 12))
)
QUADRATIC = '<!DOCTYPE x [<!ENTITY a "' + "a" * 200_000 + '">]>'


@pytest.fixture(params=READERS)
def reader(request):
    """A parser, and a function that makes a document for it."""
    parse, template = READERS[request.param]
    return parse, lambda prolog="", element="", text="x": (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + prolog + template % (element, text)
    ).encode()


def refused(parse, data: bytes, within: float = 1.0) -> str:
    began = time.monotonic()
    with pytest.raises(RepodataError) as raised:
        parse(data)
    assert time.monotonic() - began < within
    assert raised.value.message.isprintable()
    return raised.value.message


def test_the_documents_themselves_are_good(reader):
    parse, make = reader
    assert parse(make())


def test_a_doctype_of_any_kind(reader):
    parse, make = reader
    for doctype in ("<!DOCTYPE x>", '<!DOCTYPE x SYSTEM "x.dtd">', '<!DOCTYPE x PUBLIC "-//x" "http://x.invalid/x">'):
        assert "DOCTYPE" in refused(parse, make(doctype))


def test_billion_laughs_in_text(reader):
    parse, make = reader
    refused(parse, make(LAUGHS, text="&a11;"))


def test_billion_laughs_in_an_attribute(reader):
    parse, make = reader
    refused(parse, make(LAUGHS, element='<y z="&a11;"/>'))


def test_quadratic_blow_up(reader):
    parse, make = reader
    refused(parse, make(QUADRATIC, text="&a;" * 20_000))
    refused(parse, make(QUADRATIC, element='<y z="' + "&a;" * 20_000 + '"/>'))


def test_an_external_entity_reads_no_file(reader, tmp_path):
    parse, make = reader
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET")
    for prolog in (
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>',
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret}">]>',
    ):
        assert "TOPSECRET" not in refused(parse, make(prolog, text="&e;"))


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A web server that writes down what it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'<!ENTITY e "gotcha">')

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_no_dtd_nor_entity_is_fetched(reader, listener):
    parse, make = reader
    url, asked = listener
    refused(parse, make(f'<!DOCTYPE x SYSTEM "{url}/x.dtd">'))
    refused(parse, make(f'<!DOCTYPE x [<!ENTITY % p SYSTEM "{url}/p.dtd"> %p;]>', text="&e;"))
    refused(parse, make(f'<!DOCTYPE x [<!ENTITY e SYSTEM "{url}/e">]>', text="&e;"))
    assert asked == []


def test_no_dtd_is_read_from_a_file(reader, tmp_path):
    parse, make = reader
    dtd = tmp_path / "x.dtd"
    dtd.write_text('<!ENTITY e "gotcha">')
    assert "gotcha" not in refused(parse, make(f'<!DOCTYPE x SYSTEM "{dtd}">', text="&e;"))


def test_xinclude_is_an_element_like_any_other(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET")
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" parse="text" href="{secret}"/>'
    data = repomd().replace(b"<revision>7", f"<revision>{include}7".encode())
    assert "TOPSECRET" not in str(parse_repomd(data))


def test_depth(reader):
    parse, make = reader
    assert "line 2" in refused(parse, make(element="<d>" * 300 + "</d>" * 300))
    refused(parse, make(element="<d>" * 1_000_000), within=3)


def test_ten_megabytes_of_text(reader):
    parse, make = reader
    refused(parse, make(text="x" * (10 * 1024**2 + 1)))
    refused(parse, make(element='<y z="' + "x" * (10 * 1024**2 + 1) + '"/>'))


def test_an_undeclared_entity(reader):
    parse, make = reader
    assert "line 2" in refused(parse, make(text="&nbsp;"))


@pytest.mark.parametrize(
    "bad", [b"\0", b"\x01", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"&#0;", b"&#x1b;", b"<", b"]]>"]
)
def test_bad_bytes_name_the_line(reader, bad):
    parse, make = reader
    data = make(element="\n\n\n", text="HERE").replace(b"HERE", b"a" + bad + b"b")
    assert "line" in refused(parse, data)


@pytest.mark.parametrize("lines", [0, 1, 5, 400])
def test_truncated_names_the_line(reader, lines):
    parse, make = reader
    data = make(element="\n" * lines, text="HERE")
    message = refused(parse, data[: data.index(b"HERE") + 2])
    assert f"line {lines + 2}" in message


def test_empty_and_blank(reader):
    parse, _ = reader
    for data in (b"", b" ", b"\n\n", b"\xef\xbb\xbf", b'<?xml version="1.0"?>'):
        refused(parse, data)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "iso-8859-1", "windows-1252", "us-ascii"])
def test_encodings(encoding):
    href = "a.rpm" if encoding == "us-ascii" else "grün.rpm"
    label = "utf-8" if encoding == "utf-8-sig" else encoding
    for parse, data in (
        (read_primary, primary(package(href))),
        (read_deltas, prestodelta(delta(href)).replace(b"?>", b' encoding="UTF-8"?>')),
    ):
        assert parse(data.decode().replace("UTF-8", label).encode(encoding)) == [href]


@pytest.mark.parametrize("encoding", ["klingon", "utf-8192"])
def test_encodings_that_nobody_knows(reader, encoding):
    parse, make = reader
    refused(parse, make().replace(b"UTF-8", encoding.encode()))


def test_an_encoding_that_the_bytes_are_not():
    refused(read_primary, primary(package("gr\xfcn.rpm")).decode().replace("UTF-8", "utf-8").encode("latin-1"))


def test_odd_namespaces_are_no_packages_but_another_document(reader):
    if reader[0] not in (read_repomd, read_primary):
        pytest.skip("deltas and metalinks occur with and without a namespace")
    parse, make = reader
    for other in (b"http://example.org/ns", b"", b"HTTP://LINUX.DUKE.EDU/metadata/repo"):
        refused(parse, make().replace(REPO.encode(), other).replace(COMMON.encode(), other))


MEASURE = """
import io
from mirrorpy.errors import RepodataError
from mirrorpy.rpmmd.primary import iter_primary
class Source(io.RawIOBase):
    def __init__(self, element, count):
        self.parts = iter([HEAD, *[element * 1000] * count, TAIL])
    def read(self, size):
        return next(self.parts, b"")
HEAD = b'<metadata xmlns="http://linux.duke.edu/metadata/common">'
TAIL = b"</metadata>"
def run(count):
    try:
        for _ in iter_primary(Source(ELEMENT, count)):
            pass
    except RepodataError:
        pass
    # Not ru_maxrss, which a child has from its parent.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
ELEMENT = %r
few = run(2)
print(run(%d) - few)
"""


def growth(element: bytes, count: int) -> int:
    """MiB that a process grows by, from 2,000 to a thousand times count elements."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE % (element, count)], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout) // 1024


def test_memory_is_flat_over_packages():
    """200,000 of them: the parser's memory, that is."""
    assert growth(package().encode() + b"\n", 200) < 8


@pytest.mark.parametrize("element", [b"<junk/>\n", b"<!-- x -->\n", b"<?x y?>\n", b"<d><e/></d>"])
def test_memory_is_bounded_where_nothing_is_a_package(element):
    """Four million elements of nothing, as a bomb unpacks to: refused, or forgotten as they go by."""
    assert growth(element, 4000) < 400


@pytest.mark.parametrize("between", [b"<junk/>\n", b"<!-- x -->\n", b"<?x y?>\n"])
def test_memory_is_flat_over_junk_between_packages(between):
    assert growth(package().encode() + between, 200) < 8
