"""Documents that are well-formed, with values that are not: every field drawn from what is odd and what is evil."""

from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st

from tests.unit.documents import A64, COMMON, REPO, delta, package, prestodelta, primary, record, repomd

from .mutations import HREFS, NUMBERS

ODD = [*HREFS, "Packages/a-1-1.noarch.rpm", "repodata/primary.xml.gz", "x" * 256, "a/" * 70 + "b", "\u202e", "\x85", ""]
HREF = st.none() | st.sampled_from(ODD)
TEXT = st.sampled_from([number.decode() for number in NUMBERS] + ODD)
CHECKSUM = st.none() | st.tuples(
    st.sampled_from(["sha256", "SHA-256", "sha", "md5", "sha512", "crc32", ""]),
    st.sampled_from([A64, A64.upper(), "0" * 40, "0" * 32, "0" * 128, "", "g" * 64, f" {A64}\n", "٣" * 64]),
)


def element(*names: str) -> st.SearchStrategy[str]:
    """Elements of these names, with odd texts and attributes."""
    one = st.builds(
        lambda name, text, kind: f"<{name} type={quoteattr(kind)}>{escape(text)}</{name}>",
        st.sampled_from(names),
        TEXT,
        TEXT,
    )
    return st.lists(one, max_size=4).map("".join)


def several(one: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """A few of them; now and then many, which is more than a thousand."""
    times = st.sampled_from([1] * 15 + [300])
    return st.builds(lambda few, times: few * times, st.lists(one, max_size=4), times)


def bases() -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(HREFS)


REPOMDS = st.builds(
    lambda records, revision, namespace: repomd(*records, revision=revision, namespace=namespace),
    several(
        st.builds(
            lambda kind, href, checksum, inside, base: record(kind, href, checksum, inside=inside, base=base),
            st.sampled_from([None, "", "primary", "primary", "filelists", "prestodelta", "\u202e"]),
            HREF,
            CHECKSUM,
            element("size", "open-size", "open-checksum", "timestamp", "location", "checksum"),
            bases(),
        )
    ),
    st.none() | TEXT,
    st.sampled_from([REPO, REPO, REPO, COMMON, ""]),
)
PRIMARIES = st.builds(
    lambda packages, count, namespace: primary(*packages, count=quoteattr(count)[1:-1], namespace=namespace),
    several(
        st.builds(
            lambda href, checksum, size, name, base, inside: package(
                href, checksum, size, name=name, base=base, inside=inside
            ),
            HREF,
            CHECKSUM,
            st.none() | st.sampled_from([number.decode() for number in NUMBERS]),
            TEXT,
            bases(),
            element("location", "checksum", "size", "version", "package", "name", "format"),
        )
    ),
    TEXT,
    st.sampled_from([COMMON, COMMON, COMMON, REPO, ""]),
)
DELTAS = st.builds(
    lambda deltas, root: prestodelta(*deltas, root=root),
    several(st.builds(delta, HREF, CHECKSUM, st.none() | TEXT.map(escape))),
    st.sampled_from(["prestodelta", "deltainfo", "metadata"]),
)
METALINKS = st.builds(
    lambda name, urls, inside: (
        '<metalink xmlns="http://www.metalinker.org/"><files>'
        f"<file name={quoteattr(name)}>{inside}<verification>{inside}</verification>"
        f"<alternates><alternate><verification>{inside}</verification></alternate></alternates>"
        f"<resources>{''.join(urls)}</resources></file></files></metalink>"
    ).encode(),
    st.sampled_from(["repomd.xml", "repomd.xml", "other"]),
    several(
        st.builds(
            lambda url, preference: f"<url preference={quoteattr(preference)}>{escape(url)}</url>",
            st.sampled_from([*HREFS, "http://a/repodata/repomd.xml", "https://b/", "file:///c"]),
            TEXT,
        )
    ),
    element("hash", "timestamp", "url"),
)
