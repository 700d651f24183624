"""Whatever checksums, compressions and records upstream uses: byte for byte."""

import gzip
import re

import pytest

from mirrorpy.sync.report import Options
from tests.simulator import COMPRESS, REPOMD, Repo, Simulator, prestodelta

from .mirror import Mirror, flip, packages

ZCK = b"\0ZCK1 a zchunk, of which only its maker knows what is in it"


@pytest.mark.parametrize("checksum", ["md5", "sha1", "sha", "sha224", "sha256", "sha384", "sha512"])
def test_checksum_types(mirror: Mirror, repo: Repo, checksum: str) -> None:
    repo.publish(checksum=checksum)
    mirror.updates(repo)
    assert mirror.tree() == repo.tree()
    repo.asked()

    mirror.stays(repo)
    assert repo.asked() == [REPOMD]

    mirror.stays(repo, options=Options(checksum=True))
    assert repo.asked() == [REPOMD]


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("named", [True, False])
def test_compressions(mirror: Mirror, repo: Repo, compression: str, named: bool) -> None:
    repo.publish(compression=compression, named=named)
    mirror.updates(repo)
    assert mirror.tree() == repo.tree()

    repo.add("fish")
    repo.publish(compression=compression, named=named)
    mirror.updates(repo)
    assert mirror.tree().items() >= repo.tree().items()


def test_checksums_differ_from_package_to_package(mirror: Mirror, repo: Repo) -> None:
    for kind in ("md5", "sha1", "sha256", "sha512"):
        repo.add(f"by-{kind}", checksum=kind)
    repo.publish(checksum="sha384")

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()


def test_unknown_records_are_copied(mirror: Mirror, repo: Repo) -> None:
    repo.publish({"primary_zck": ZCK, "modules": b"---\n", "productid": b"x", "susedata.de": b"<a/>", "new-one": b""})

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert len(repo.records) == 7
    assert mirror.tree()[repo.records["primary_zck"]] == ZCK


def test_records_outside_repodata(mirror: Mirror, repo: Repo) -> None:
    repo.publish(folder="elsewhere/md/")

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()


def test_unnamed_records_are_swapped_with_their_generation(mirror: Mirror, repo: Repo) -> None:
    repo.publish(named=False)
    mirror.updates(repo)
    old = mirror.tree()
    repo.add("fish")
    repo.publish(named=False)

    mirror.updates(repo)

    assert mirror.tree() == repo.tree() != old


@pytest.mark.parametrize("what", ["revision", "size", "open-size", "open-checksum", "timestamp"])
def test_optional_elements_may_lack(mirror: Mirror, repo: Repo, what: str) -> None:
    repo.publish(edit=lambda text: re.sub(rf"<{what}[ >].*?</{what}>", "", text))
    assert f"<{what}".encode() not in repo.read(REPOMD)

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    mirror.stays(repo)


def test_packages_without_a_size(mirror: Mirror, repo: Repo) -> None:
    repo.add("sizeless", size="")
    repo.add("empty", b"")
    repo.publish()

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    repo.asked()
    mirror.stays(repo)
    assert repo.asked() == [REPOMD]


@pytest.mark.parametrize(
    "href",
    [
        "a b.rpm",
        "a+b.rpm",
        "a~b^c.rpm",
        "a%2Bb.rpm",
        "a?b.rpm",
        "a#b.rpm",
        "pkg:1.rpm",
        "Packages/a&b'c\"d.rpm",
        "ä/ö.rpm",
        "%2e%2e/x.rpm",
        "a\\b.rpm",
    ],
)
def test_odd_names(mirror: Mirror, repo: Repo, href: str) -> None:
    repo.add("odd", href=href)
    repo.publish()

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
    assert href in repo.asked()
    repo.asked()
    mirror.stays(repo)


@pytest.mark.parametrize("base", ["https://cdn.test/pool/", "https://cdn.test/pool", "../../pool/"])
def test_xml_base_is_followed_and_warned_of(mirror: Mirror, simulator: Simulator, base: str) -> None:
    host = "https://cdn.test" if base.startswith("https") else "https://up.test"
    repo = simulator.repository("https://up.test/a/repo/")
    href = repo.add("far", base=base)
    repo.publish()
    repo.drop(href)
    simulator.put(f"{host}/pool/{href}", repo.packages[href].content)

    report = mirror.updates(repo)

    assert mirror.tree()[href] == repo.packages[href].content
    assert any("xml:base" in warning for warning in report.warnings)


@pytest.mark.parametrize("base", ["https://[bad/", "https:///", "ftp://cdn.test/", "file:///etc/", "javascript:x"])
def test_odd_xml_bases(mirror: Mirror, repo: Repo, base: str) -> None:
    mirror.updates(repo)
    repo.add("far", base=base)
    repo.publish()

    report = mirror.sync(repo)

    if report.error is None:
        assert mirror.tree().items() >= repo.tree().items()
    else:
        assert report.error.exit in (3, 4), report.error.message


def test_wrong_count_of_packages_is_a_warning(mirror: Mirror, repo: Repo) -> None:
    repo.publish(edit_primary=lambda text: text.replace('packages="2"', 'packages="7"'))

    report = mirror.updates(repo)

    assert any("packages=" in warning for warning in report.warnings)
    assert report.packages == 2


def test_delta_rpms_are_mirrored(mirror: Mirror, repo: Repo) -> None:
    deltas = {"drpms/one.drpm": b"delta one", "drpms/two.drpm": b"delta two"}
    for href, content in deltas.items():
        repo.put(href, content)
    repo.publish({"prestodelta": prestodelta(deltas)})

    report = mirror.updates(repo)

    assert mirror.tree() == repo.tree() | deltas
    assert report.packages == 2
    repo.asked()
    mirror.stays(repo)
    assert repo.asked() == [REPOMD]


def test_a_lacking_delta_rpm_is_a_warning(mirror: Mirror, repo: Repo) -> None:
    deltas = {"drpms/one.drpm": b"delta one", "drpms/two.drpm": b"delta two"}
    repo.put("drpms/one.drpm", deltas["drpms/one.drpm"])
    repo.publish({"prestodelta": prestodelta(deltas)})

    report = mirror.updates(repo)

    assert mirror.tree() == repo.tree() | {"drpms/one.drpm": b"delta one"}
    assert any("drpms/two.drpm" in warning for warning in report.warnings)
    repo.asked()
    mirror.stays(repo)
    assert repo.asked() == [REPOMD]


def test_empty_repository(mirror: Mirror, simulator: Simulator) -> None:
    repo = simulator.repository("https://up.test/empty/")
    repo.publish()

    report = mirror.updates(repo)

    assert report.packages == 0
    assert mirror.tree() == repo.tree()
    mirror.stays(repo)


def _edit(old: str, new: str):
    return lambda text: text.replace(old, new)


def _nothing(_text: str) -> str:
    return ""


MALFORMED_REPOMD = {
    "empty": _nothing,
    "wrong root": _edit("repomd", "metadata"),
    "html": lambda _text: "<html><body>Sign in to the hotel's network</body></html>",
    "cut short": lambda text: text[:-20],
    "no primary": _edit('type="primary"', 'type="secondary"'),
    "no type": _edit('type="primary"', ""),
    "doctype": _edit("<repomd", '<!DOCTYPE r [<!ENTITY e "x">]><repomd'),
    "unknown checksum": _edit('type="sha256"', 'type="crc32"'),
    "no hex": _edit('<checksum type="sha256">', '<checksum type="sha256">xy'),
    "short checksum": _edit('type="sha256"', 'type="sha512"'),
    "negative size": _edit("<size>", "<size>-"),
    "huge size": _edit("<size>", "<size>9223372036854775808"),
    "text as size": _edit("<size>", "<size>many"),
    "dots": _edit('href="repodata/', 'href="../repodata/'),
    "absolute": _edit('href="repodata/', 'href="/repodata/'),
    "scheme": _edit('href="repodata/', 'href="file:///etc/'),
    "itself": lambda text: text.replace('href="repodata/', 'href="repodata/repomd.xml" was="'),
}


@pytest.mark.parametrize("name", MALFORMED_REPOMD)
@pytest.mark.parametrize("published", [True, False])
def test_malformed_repomd(mirror: Mirror, repo: Repo, name: str, published: bool) -> None:
    if published:
        mirror.updates(repo)
    repo.add("fish")
    repo.publish(edit=MALFORMED_REPOMD[name])
    repo.asked()

    assert "repomd" in mirror.fails(4, repo)

    assert set(repo.asked()) == {REPOMD}


MALFORMED_PRIMARY = {
    "empty": _nothing,
    "wrong root": _edit("metadata", "metal"),
    "cut short": lambda text: text[:-40],
    "doctype": _edit("<metadata", '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><metadata'),
    "dots": _edit('href="Packages/', 'href="../Packages/'),
    "dots inside": _edit('href="Packages/', 'href="a/../../Packages/'),
    "kubernetes": _edit('href="Packages/', 'href="../../pool/'),
    "absolute": _edit('href="Packages/', 'href="/Packages/'),
    "host": _edit('href="Packages/', 'href="//evil.test/'),
    "scheme": _edit('href="Packages/', 'href="https://evil.test/'),
    "newline": _edit('href="Packages/', 'href="Pack&#10;ages/'),
    "escape": _edit('href="Packages/', 'href="Pack&#155;ages/'),
    "over repodata": _edit('href="Packages/', 'href="repodata/'),
    "over ours": _edit('href="Packages/', 'href=".mirrorpy/'),
    "long name": _edit('href="Packages/', f'href="{"x" * 256}'),
    "no checksum": _edit("checksum", "chequesum"),
    "unknown checksum": _edit('type="sha256"', 'type="sha3"'),
    "negative size": _edit('size package="', 'size package="-'),
    "xml:base": _edit("<location", '<location xml:base="ftp://evil.test/"'),
    "xml:base file": _edit("<location", '<location xml:base="file:///etc/"'),
}


@pytest.mark.parametrize("name", MALFORMED_PRIMARY)
def test_malformed_primary(mirror: Mirror, repo: Repo, name: str) -> None:
    mirror.updates(repo)
    repo.add("fish")
    repo.publish(edit_primary=MALFORMED_PRIMARY[name])
    repo.asked()

    mirror.fails(4, repo)

    assert packages(repo.asked()) == []


def test_malformed_upstream_that_heals(mirror: Mirror, repo: Repo) -> None:
    mirror.updates(repo)
    repo.add("fish")
    repo.publish(edit_primary=_edit("</metadata>", ""))
    mirror.fails(4, repo)
    repo.publish()

    mirror.updates(repo)

    assert mirror.tree().items() >= repo.tree().items()


@pytest.mark.parametrize("kind", ["primary", "filelists"])
@pytest.mark.parametrize("spoil", [flip, lambda data: data[:-1], lambda data: data + b"x", lambda _data: b""])
def test_wrong_bytes_as_a_record(mirror: Mirror, repo: Repo, kind: str, spoil) -> None:
    mirror.updates(repo)
    repo.add("fish")
    repo.publish()
    href = repo.records[kind]
    repo.put(href, spoil(repo.read(href)))

    assert href in mirror.fails(4, repo)


OPEN_LIES = {
    "open-size less": (r"<open-size>\d+", "<open-size>1"),
    "open-size one less": (r"<open-size>(\d+)", lambda match: f"<open-size>{int(match[1]) - 1}"),
    "open-size more": ("<open-size>", "<open-size>9"),
    "open-checksum": ("(<open-checksum[^>]*>).{9}", r"\g<1>000000000"),
}


@pytest.mark.parametrize("lie", OPEN_LIES)
@pytest.mark.parametrize("compression", COMPRESS)
def test_open_lies(mirror: Mirror, repo: Repo, lie: str, compression: str) -> None:
    mirror.updates(repo)
    repo.add("fish")
    repo.publish(compression=compression, edit=lambda text: re.sub(*OPEN_LIES[lie], text))

    mirror.fails(4, repo)


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz", "zst"])
@pytest.mark.parametrize("spoil", ["cut", "junk", "flip"])
def test_damaged_compression_is_found_though_its_checksum_holds(
    mirror: Mirror, repo: Repo, compression: str, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix, pack = COMPRESS[compression]
    spoils = {
        "cut": lambda data: pack(data)[:-12],
        "junk": lambda data: pack(data) + b"junk",
        "flip": lambda data: pack(data)[:-9] + flip(pack(data)[-9:]),
    }
    mirror.updates(repo)
    repo.add("fish")
    monkeypatch.setitem(COMPRESS, compression, (suffix, spoils[spoil]))
    repo.publish(compression=compression)

    mirror.fails(4, repo)


def test_many_members_are_one(mirror: Mirror, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        COMPRESS, "gz", (".gz", lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:], mtime=0))
    )
    repo.publish()

    mirror.updates(repo)

    assert mirror.tree() == repo.tree()
