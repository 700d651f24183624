"""`mirrorpy verify`: whatever is wrong with a repository is found and named, and in a mirror it is mended."""

import contextlib
import fcntl
import gzip
import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from junitparser import JUnitXml

from mirrorpy.cli import main
from mirrorpy.config.load import load_config
from mirrorpy.store.layout import Layout
from mirrorpy.verify import FindingKind, Settings, Verdict, verify_repository
from mirrorpy.verify.repair import repair_all

from .installation import Mirror
from .listing import REPOMD, differing, faults, files_below, listing_of, opened, parse_repomd
from .programs import data_folder, real_data, real_program, repositories_below
from .upstream import Upstream, build_rpm, sha256
from .webserver import Serve

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("as_it_was")]

NAMES = ["alpha", "bravo", "delta", "hotel"]
"""Of equal length, so that their packages are of equal size."""
ALPHA, BRAVO, DELTA, HOTEL = (f"Packages/{name}-1.0-1.noarch.rpm" for name in NAMES)
ORPHAN, MISSING, SIZE, CHECKSUM, METADATA = "orphan", "missing", "size", "checksum", "metadata"
OLD = 1_600_000_000
WEEK = 7 * 86_400

Make = Callable[[str], Upstream]
Found = set[tuple[str, str]]
"""Kinds and paths."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a run of verify said."""

    exit: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Of standard output; only a newline ends one."""
        return self.out.split("\n")[:-1]

    @property
    def repos(self) -> dict[str, dict[str, Any]]:
        """The verdicts of a JSON document, by id."""
        return {repo["id"]: repo for repo in json.loads(self.out)["repos"]}

    @property
    def found(self) -> Found:
        """The findings of a JSON document about one repository."""
        (repo,) = self.repos.values()
        return found(repo["findings"])


def found(findings: list[dict[str, str]]) -> Found:
    """Without the messages."""
    return {(finding["kind"], finding["path"]) for finding in findings}


Verify = Callable[..., Said]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run `verify` within this process: an exception is a failure."""

    def run(*args: object) -> Said:
        capsys.readouterr()
        try:
            code = main(["verify", *map(str, args)])
        except SystemExit as error:
            code = int(error.code or 0)
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    """A mirror of two repositories, `one` and `two`, that share an upstream; nobody may change either."""
    place = tmp_path_factory.mktemp("template")
    upstream = Upstream(place / "upstream")
    for name in NAMES:
        upstream.add(name)
    upstream.publish()
    mirror = Mirror(place / "mirror")
    configure(mirror, upstream.url)
    mirror.sync()
    return mirror


@pytest.fixture
def whole(template: Mirror) -> Path:
    """What upstream looks like."""
    return template.folder.parent / "upstream"


@pytest.fixture
def copy(mirror: Mirror, template: Mirror, whole: Path) -> Mirror:
    """That mirror, for one test to damage; its hard links are its own."""
    subprocess.run(["cp", "-a", f"{template.root}/.", str(mirror.root)], check=True)
    configure(mirror, whole.as_uri())
    return mirror


@pytest.fixture
def foreign(tmp_path: Path, whole: Path) -> Path:
    """A copy of upstream that mirrorpy knows nothing of."""
    return Path(shutil.copytree(whole, tmp_path / "foreign"))


def configure(mirror: Mirror, url: str, **options: Any) -> None:
    """Both repositories of one upstream."""
    mirror.configure(*({"id": name, "baseurl": url} for name in ("one", "two")), retries=0, **options)


def pool_is_right(mirror: Mirror) -> bool:
    """Every object is what its name says."""
    pool = mirror.root / ".mirrorpy/pool"
    return all(
        hashlib.new(name.partition("/")[0], (pool / name).read_bytes()).hexdigest() == name.rpartition("/")[2]
        for name in mirror.pool()
    )


def same_tree(mirror: Mirror, name: str, upstream: Path) -> bool:
    """Whether a published repository is upstream's, file by file and byte by byte."""
    published, names = mirror.published(name), files_below(upstream)
    return files_below(published) == names and differing(names, upstream, published) == []


# Damage: what to do to a repository's folder, and what is to be found then


def overwrite(path: Path, data: bytes) -> None:
    """In place, as bit rot does, with the same time: a published file and its pool object are one."""
    info = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
    path.chmod(info.st_mode)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def flip(path: Path) -> None:
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    overwrite(path, bytes(data))


def truncate(path: Path) -> None:
    """Half of it is gone."""
    overwrite(path, path.read_bytes()[: path.stat().st_size // 2])


def lengthen(path: Path) -> None:
    """One byte more."""
    overwrite(path, path.read_bytes() + b"\0")


def zero(path: Path) -> None:
    """As after a crash of a filesystem that had written the size only."""
    overwrite(path, bytes(path.stat().st_size))


def swap(one: Path, other: Path) -> None:
    """Each has the other's name."""
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def instead(path: Path, make: Callable[[Path], object]) -> None:
    """Something else has the name of a file."""
    path.unlink()
    make(path)


def record(base: Path, kind: str) -> Path:
    """The file of a record."""
    _, records = parse_repomd((base / REPOMD).read_bytes())
    return base / records[kind].href


def repack(path: Path, old: bytes, new: bytes) -> None:
    """Edit a record and compress it again; repomd.xml does not know."""
    body = opened(path.read_bytes())
    assert old in body
    instead(path, lambda path: path.write_bytes(gzip.compress(body.replace(old, new))))


def edit_repomd(base: Path, old: bytes, new: bytes) -> None:
    """Change repomd.xml alone."""
    body = (base / REPOMD).read_bytes()
    assert old in body
    instead(base / REPOMD, lambda path: path.write_bytes(body.replace(old, new)))


def describe(base: Path, change: Callable[[bytes], bytes]) -> None:
    """Change primary, and repomd.xml with it: all checksums of the metadata are right."""
    _, records = parse_repomd((base / REPOMD).read_bytes())
    bodies = {kind: opened((base / promise.href).read_bytes()) for kind, promise in records.items()}
    Upstream(base).compose_records(bodies | {"primary": change(bodies["primary"])})


def renamed(base: Path, href: str) -> None:
    """Primary has another href for the first package."""
    describe(base, lambda body: body.replace(ALPHA.encode(), href.encode()))


def repeated(base: Path, href: str) -> None:
    """Primary lists the second package under another href."""
    describe(base, lambda body: body.replace(BRAVO.encode(), href.encode()))


def replaced(base: Path, body: bytes) -> None:
    """The first package is something else, and the metadata says that this is right."""
    path = base / ALPHA
    old = path.read_bytes()
    instead(path, lambda path: path.write_bytes(body))

    def change(primary: bytes) -> bytes:
        return re.sub(
            rb'(<checksum[^>]*>)%s(.*?<size package=")%d"' % (sha256(old).encode(), len(old)),
            rb'\g<1>%s\g<2>%d"' % (sha256(body).encode(), len(body)),
            primary,
            flags=re.DOTALL,
        )

    describe(base, change)


def loops(base: Path) -> None:
    """Links that lead round and round."""
    (base / "Packages/loop").symlink_to(".")
    (base / "up").symlink_to("..")
    (base / "self").symlink_to("self")
    (base / "ping").symlink_to("pong")
    (base / "pong").symlink_to("ping")


def emptied(base: Path) -> None:
    """Only the folder is left."""
    for path in base.iterdir():
        shutil.rmtree(path)


def primary_of(base: Path) -> str:
    """The path of primary, below the repository."""
    return str(record(base, "primary").relative_to(base))


def filelists_of(base: Path) -> str:
    """The path of filelists, below the repository."""
    return str(record(base, "filelists").relative_to(base))


Do = Callable[[Path], object]
P, F = "primary", "filelists"
"""In the table below they stand for the records' paths, as those were before the damage."""

DAMAGE: dict[str, tuple[Do, Found]] = {
    "bit flipped": (lambda base: flip(base / ALPHA), {(CHECKSUM, ALPHA)}),
    "truncated": (lambda base: truncate(base / ALPHA), {(SIZE, ALPHA)}),
    "lengthened": (lambda base: lengthen(base / ALPHA), {(SIZE, ALPHA)}),
    "zero-filled": (lambda base: zero(base / ALPHA), {(CHECKSUM, ALPHA)}),
    "made empty": (lambda base: overwrite(base / ALPHA, b""), {(SIZE, ALPHA)}),
    "removed": (lambda base: (base / ALPHA).unlink(), {(MISSING, ALPHA)}),
    "all packages removed": (
        lambda base: shutil.rmtree(base / "Packages"),
        {(MISSING, path) for path in (ALPHA, BRAVO, DELTA, HOTEL)},
    ),
    "swapped": (lambda base: swap(base / ALPHA, base / BRAVO), {(CHECKSUM, ALPHA), (CHECKSUM, BRAVO)}),
    "renamed": (
        lambda base: (base / ALPHA).rename(base / "Packages/other.rpm"),
        {(MISSING, ALPHA), (ORPHAN, "Packages/other.rpm")},
    ),
    "three at once": (
        lambda base: (flip(base / ALPHA), truncate(base / BRAVO), (base / DELTA).unlink()),
        {(CHECKSUM, ALPHA), (SIZE, BRAVO), (MISSING, DELTA)},
    ),
    "extra file": (lambda base: (base / "Packages/extra.rpm").write_bytes(b"x"), {(ORPHAN, "Packages/extra.rpm")}),
    "extra hidden file": (lambda base: (base / ".extra").write_bytes(b"x"), {(ORPHAN, ".extra")}),
    "extra record": (lambda base: (base / "repodata/x.xml").write_bytes(b"x"), {(ORPHAN, "repodata/x.xml")}),
    "repomd.xml: other checksum": (
        lambda base: edit_repomd(base, sha256(record(base, F).read_bytes()).encode(), b"0" * 64),
        {(MISSING, f"repodata/{'0' * 64}-filelists.xml"), (ORPHAN, F)},
    ),
    "repomd.xml: other open checksum": (
        lambda base: edit_repomd(base, sha256(opened(record(base, F).read_bytes())).encode(), b"0" * 64),
        {(METADATA, F)},
    ),
    "repomd.xml truncated": (lambda base: truncate(base / REPOMD), {(METADATA, REPOMD)}),
    "repomd.xml zero-filled": (lambda base: zero(base / REPOMD), {(METADATA, REPOMD)}),
    "repomd.xml removed": (lambda base: (base / REPOMD).unlink(), {(MISSING, REPOMD)}),
    "repomd.xml a FIFO": (lambda base: instead(base / REPOMD, os.mkfifo), {(MISSING, REPOMD)}),
    "repomd.xml a folder": (lambda base: instead(base / REPOMD, Path.mkdir), {(MISSING, REPOMD)}),
    "repomd.xml HTML": (
        lambda base: instead(base / REPOMD, lambda path: path.write_text("<!DOCTYPE html><html><p>Sign in</html>")),
        {(METADATA, REPOMD)},
    ),
    "no repodata": (lambda base: shutil.rmtree(base / "repodata"), {(MISSING, REPOMD)}),
    "an empty folder": (emptied, {(MISSING, REPOMD)}),
    "primary edited": (
        lambda base: repack(record(base, P), b"<summary>alpha", b"<summary>ALPHA"),
        {(SIZE, P), (METADATA, P)},
    ),
    "primary without a package": (
        lambda base: repack(record(base, P), ALPHA.encode(), b"Packages/elsewhere.rpm"),
        {(SIZE, P), (METADATA, P), (MISSING, "Packages/elsewhere.rpm"), (ORPHAN, ALPHA)},
    ),
    "filelists edited": (
        lambda base: repack(record(base, F), b"/usr/share/alpha.bin", b"/usr/share/ALPHA.bin"),
        {(SIZE, F), (METADATA, F)},
    ),
    "primary zero-filled": (lambda base: zero(record(base, P)), {(CHECKSUM, P), (METADATA, P)}),
    "filelists' bit flipped": (lambda base: flip(record(base, F)), {(CHECKSUM, F), (METADATA, F)}),
    "filelists truncated": (lambda base: truncate(record(base, F)), {(SIZE, F), (METADATA, F)}),
    "primary removed": (lambda base: record(base, P).unlink(), {(MISSING, P)}),
    "filelists removed": (lambda base: record(base, F).unlink(), {(MISSING, F)}),
    "primary a FIFO": (lambda base: instead(record(base, P), os.mkfifo), {(MISSING, P)}),
    "primary a folder": (lambda base: instead(record(base, P), Path.mkdir), {(MISSING, P)}),
    "another RPM": (lambda base: replaced(base, build_rpm("intruder")), {("header", ALPHA)}),
    "another release": (lambda base: replaced(base, build_rpm("alpha", release="2")), {("header", ALPHA)}),
    "no RPM": (lambda base: replaced(base, b"<html>" * 1000), {("header", ALPHA)}),
    "half an RPM": (lambda base: replaced(base, build_rpm("alpha")[:1000]), {("header", ALPHA)}),
    "an RPM with absurd counts": (
        lambda base: replaced(base, build_rpm("alpha")[:312] + b"\xff" * 8 + bytes(1000)),
        {("header", ALPHA)},
    ),
    "href ..": (
        lambda base: renamed(base, "../evil.rpm"),
        {("unsafe-href", "../evil.rpm"), (ORPHAN, ALPHA)},
    ),
    "href absolute": (
        lambda base: renamed(base, "/etc/passwd"),
        {("unsafe-href", "/etc/passwd"), (ORPHAN, ALPHA)},
    ),
    "href of repomd.xml": (
        lambda base: renamed(base, REPOMD),
        {("unsafe-href", REPOMD), (ORPHAN, ALPHA)},
    ),
    "two checksums": (lambda base: repeated(base, ALPHA), {("duplicate", ALPHA), (ORPHAN, BRAVO)}),
    "a file and a folder": (
        lambda base: repeated(base, f"{ALPHA}/x.rpm"),
        {("duplicate", ALPHA), (MISSING, f"{ALPHA}/x.rpm"), (ORPHAN, BRAVO)},
    ),
    "no XML": (lambda base: describe(base, lambda _: b"<metadata"), {(METADATA, P)}),
    "no checksum": (
        lambda base: describe(base, lambda body: re.sub(rb"<checksum.*?</checksum>", b"", body, count=1)),
        {(METADATA, "Packages/?"), (ORPHAN, "Packages/?")},
    ),
    "a FIFO": (lambda base: instead(base / ALPHA, os.mkfifo), {(MISSING, ALPHA)}),
    "a link to itself": (
        lambda base: instead(base / ALPHA, lambda path: path.symlink_to(path.name)),
        {(MISSING, ALPHA)},
    ),
    "a link to nothing": (
        lambda base: instead(base / ALPHA, lambda path: path.symlink_to("/nonexistent")),
        {(MISSING, ALPHA)},
    ),
    "a link to a device": (
        lambda base: instead(base / ALPHA, lambda path: path.symlink_to("/dev/zero")),
        {(MISSING, ALPHA)},
    ),
    "a folder": (lambda base: instead(base / ALPHA, Path.mkdir), {(MISSING, ALPHA)}),
    "a folder with something in it": (
        lambda base: instead(base / ALPHA, lambda path: (path.mkdir(), (path / "x").write_bytes(b"x"))),
        {(MISSING, ALPHA), (ORPHAN, f"{ALPHA}/x")},
    ),
    "a file for the packages' folder": (
        lambda base: (shutil.rmtree(base / "Packages"), (base / "Packages").write_bytes(b"x")),
        {(ORPHAN, "Packages"), *((MISSING, path) for path in (ALPHA, BRAVO, DELTA, HOTEL))},
    ),
    "links that loop": (loops, {(ORPHAN, path) for path in ("Packages/loop", "up", "self", "ping", "pong")}),
    "an extra FIFO": (lambda base: os.mkfifo(base / "fifo"), {(ORPHAN, "fifo")}),
}


def damage(name: str, base: Path) -> Found:
    """Do it; return what is to be found."""
    do, expected = DAMAGE[name]
    paths = {P: primary_of(base), F: filelists_of(base)}
    first = re.findall(rb'<location href="([^"]*)"', opened(record(base, P).read_bytes()))[0].decode()
    do(base)
    if name == "no XML":
        paths[P] = primary_of(base)
    return {
        (kind, paths.get(path, path.replace("Packages/?", first)).replace("filelists.xml", _suffixed(paths[F], path)))
        for kind, path in expected
    }


def _suffixed(filelists: str, path: str) -> str:
    """The suffix that createrepo_c gives to its files, for a record that was renamed."""
    return filelists.partition("-")[2] if path.endswith("filelists.xml") else "filelists.xml"


def and_repomd(expected: Found, base: Path, whole: Path) -> Found:
    """In a mirror an edited repomd.xml is a finding of its own: the mirror knows what it published."""
    old = (whole / REPOMD).read_bytes()
    if not (base / REPOMD).is_file():
        return expected
    new = (base / REPOMD).read_bytes()
    return expected if old == new else expected | {(CHECKSUM if len(old) == len(new) else SIZE, REPOMD)}


# Real repositories


@pytest.mark.parametrize("name", repositories_below("repos") or [pytest.param("", id="absent")])
def test_real_repositories_are_whole(verify: Verify, name: str) -> None:
    """Nothing is wrong with any of them."""
    said = verify(real_data("repos") / name)
    assert said.exit == 0, said.out
    assert " whole, " in said.lines[-1]
    assert all(": orphan: " in line for line in said.lines[:-1])


FAULTY: dict[str, dict[str, int]] = {
    "createrepo_c/repo_01": {SIZE: 1, MISSING: 1},
    "createrepo_c/repo_koji_01": {MISSING: 2},
    "createrepo_c/repo_koji_02": {MISSING: 1},
    "createrepo_c/repo_with_additional_metadata": {MISSING: 1},
    "librepo/repo_yum_03": {MISSING: 21},
    "pulp2/simple_repo_no_comps": {METADATA: 1},
    "pulp2/test_errata_install": {MISSING: 10},
    "repomd-py/empty_repo": {MISSING: 2},
    "repomd-py/repo": {MISSING: 7},
    "yumrepos/00_2016-10-18_889a0c36": {MISSING: 2},
}


@pytest.mark.parametrize("name", repositories_below("faulty") or [pytest.param("", id="absent")])
def test_faulty_repositories(verify: Verify, name: str) -> None:
    """What is wrong with each; orphans are not."""
    said = verify("--format=json", real_data("faulty") / name)
    assert said.exit == 1
    assert Counter(kind for kind, _ in said.found if kind != ORPHAN) == FAULTY[name]


@pytest.mark.parametrize("name", repositories_below("faulty") or [pytest.param("", id="absent")])
def test_faulty_repositories_as_another_reader_finds_them(verify: Verify, name: str) -> None:
    """The same files are named, but for one whose repomd.xml dnf does not take either."""
    base = real_data("faulty") / name
    said = verify(base)
    named = {line.split(": ")[2] for line in said.lines[:-1] if ": orphan: " not in line}
    expected = {fault.partition(": ")[0] for fault in faults(base)}
    if name == "pulp2/simple_repo_no_comps":
        assert named == {REPOMD}
    else:
        assert named == expected


def test_several_at_once(verify: Verify) -> None:
    """One document, one verdict each, and one that is damaged is enough for 1."""
    real_data("faulty")
    folders = [str(data_folder() / "repos" / name) for name in repositories_below("repos")]
    broken = str(data_folder() / "faulty/createrepo_c/repo_01")
    said = verify("--format=json", *folders[:3], broken, *folders[3:])
    assert said.exit == 1
    assert list(said.repos) == [*folders[:3], broken, *folders[3:]]
    assert [name for name, repo in said.repos.items() if repo["outcome"] != "whole"] == [broken]


# Damage is found


def test_the_undamaged_are_whole(verify: Verify, copy: Mirror, foreign: Path) -> None:
    """Damage to what is damaged anyway would prove nothing."""
    for args in (["--config", copy.config], [copy.published("one")], [foreign], [f"{foreign}/"]):
        said = verify(*args)
        assert said.exit == 0
        assert [line for line in said.lines if " whole, 4 packages" not in line] == []


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_to_a_folder(verify: Verify, foreign: Path, name: str) -> None:
    """Everything that is wrong is found, by its kind, and nothing else; with orphans alone it is whole."""
    expected = damage(name, foreign)
    said = verify("--format=json", foreign)
    assert said.found == expected
    assert said.exit == (1 if {kind for kind, _ in expected} != {ORPHAN} else 0)


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_to_a_mirror(verify: Verify, copy: Mirror, whole: Path, name: str) -> None:
    """The same is found, and orphans are damage too; what is not named is as good as before."""
    base = copy.published("one")
    expected = and_repomd(damage(name, base), base, whole)
    said = verify("--config", copy.config, "--format=json", "one")
    assert said.found == expected
    assert said.exit == 1


@pytest.mark.parametrize("name", DAMAGE)
def test_one_line_each(verify: Verify, foreign: Path, name: str) -> None:
    """Kind, path and reason of each finding, then the summary; on standard error warnings only."""
    expected = damage(name, foreign)
    said = verify(foreign)
    *findings, summary = said.lines
    assert {tuple(line.split(": ")[1:3]) for line in findings} == expected
    assert all(re.fullmatch(rf"{foreign}: [a-z-]+: \S+: .+", line) and line.isprintable() for line in findings)
    assert re.fullmatch(rf"{foreign}: (whole|damaged), .+; \d+\.\d s", summary)
    assert all(line.startswith("mirrorpy: warning: ") for line in said.err.splitlines())


def test_a_mirror_knows_its_repomd(verify: Verify, copy: Mirror) -> None:
    """Even a change that breaks nothing is none that the mirror made."""
    base = copy.published("one")
    edit_repomd(base, b"<revision>17", b"<revision>18")
    said = verify("--config", copy.config, "--format=json", "one")
    assert said.found == {(CHECKSUM, REPOMD)}


def test_a_file_that_may_not_be_read(copy: Mirror, foreign: Path) -> None:
    """It is a finding; the others are looked at."""
    (foreign / ALPHA).chmod(0)
    flip(foreign / BRAVO)
    done = unprivileged(copy, "verify", "--format=json", str(foreign))
    assert done.returncode == 1, done.stderr
    assert found(json.loads(done.stdout)["repos"][0]["findings"]) == {(MISSING, ALPHA), (CHECKSUM, BRAVO)}
    assert "ermission denied" in done.stdout


@pytest.mark.parametrize("path", [".", "Packages", "repodata"])
def test_a_folder_that_may_not_be_read(copy: Mirror, foreign: Path, path: str) -> None:
    """It is a finding, or this machine's fault; never a traceback."""
    (foreign / path).chmod(0)
    try:
        done = unprivileged(copy, "verify", str(foreign))
    finally:
        (foreign / path).chmod(0o755)
    assert done.returncode in {1, 6}
    assert "Traceback" not in done.stderr
    assert "ermission denied" in done.stderr + done.stdout or ": missing: " in done.stdout


def unprivileged(mirror: Mirror, *args: str) -> "subprocess.CompletedProcess[str]":
    """Run mirrorpy as one who may not read everything."""
    drop = [real_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*drop, *mirror.command(*args)],
        cwd=mirror.folder,
        env=mirror.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_mirror_that_may_only_be_read(copy: Mirror) -> None:
    """What was hashed cannot be remembered then, which is no fault."""
    folders = [path for path in copy.root.joinpath(".mirrorpy").rglob("*") if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    done = unprivileged(copy, "verify")
    for path in folders:
        path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "one: whole, 4 packages" in done.stdout


STRANGE = [b"new\nline", b"\x1b[31mred", b"\xff\xfe", "é\u2028".encode(), b"<&\"'>]]>", b"\x01\x7f"]


@pytest.mark.parametrize("form", ["text", "json", "junit"])
def test_strange_names(copy: Mirror, foreign: Path, form: str) -> None:
    """Names that are no text or no line are told all the same, one line each, in whatever form."""
    for name in STRANGE:
        Path(os.fsdecode(os.fsencode(foreign) + b"/" + name)).write_bytes(b"")
    done = subprocess.run(
        copy.command("verify", "--format", form, "--fail-on=orphan", str(foreign)),
        env={**copy.environment, "PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr.decode()
    out = done.stdout.decode()
    assert "\x1b" not in out
    if form == "text":
        lines = out.split("\n")[:-1]
        assert len(lines) == len(STRANGE) + 1
        assert all(line.isprintable() for line in lines)
    elif form == "json":
        assert len(json.loads(out)["repos"][0]["findings"]) == len(STRANGE)
    else:
        failure = ET.fromstring(out).find(".//failure")
        assert failure is not None
        assert len((failure.text or "").splitlines()) == len(STRANGE)


def test_a_deep_tree(verify: Verify, foreign: Path) -> None:
    """Deeper than Python recurses, and as deep as Linux can name."""
    path = str(foreign)
    for _ in range((4000 - len(path)) // 2):
        path += "/d"
        os.mkdir(path)
    Path(path, "x").write_bytes(b"")
    try:
        said = verify("--format=json", foreign)
    finally:
        subprocess.run(["rm", "-rf", f"{foreign}/d"], check=True)
    assert said.found == {(ORPHAN, f"{path}/x".removeprefix(f"{foreign}/"))}


def test_a_bomb(verify: Verify, foreign: Path) -> None:
    """Metadata that unpacks to more than it can hold is a finding, soon."""
    bomb = gzip.compress(bytes(300_000_000), compresslevel=1)
    instead(record(foreign, P), lambda path: path.write_bytes(bomb))
    began = time.monotonic()
    said = verify("--format=json", foreign)
    assert {kind for kind, _ in said.found} == {SIZE, METADATA}
    assert time.monotonic() - began < 10


def test_a_repository_within_is_left_alone(verify: Verify, foreign: Path, whole: Path) -> None:
    """Its files are no orphans of the outer one."""
    shutil.copytree(whole, foreign / "inner")
    (foreign / "inner" / "extra").write_bytes(b"")
    assert verify("--format=json", foreign).found == set()


def test_deltas(verify: Verify, tmp_path: Path) -> None:
    """A damaged one is damage; clients do without one that is not there."""
    base = Path(
        shutil.copytree(real_data("repos") / "dnf4/repos_drpm", tmp_path / "deltas", copy_function=shutil.copyfile)
    )
    (delta,) = (base / promise.href for promise in listing_of(base).deltas)
    flip(delta)
    said = verify("--format=json", base)
    assert (said.exit, said.found) == (1, {(CHECKSUM, str(delta.relative_to(base)))})
    delta.unlink()
    said = verify(base)
    assert said.exit == 0
    assert delta.name in said.err


# What the user asks for


@pytest.mark.parametrize(
    ("name", "found_quickly"),
    [("bit flipped", False), ("zero-filled", False), ("truncated", True), ("removed", True), ("a FIFO", True)],
)
def test_quick_is_presence_and_size(verify: Verify, foreign: Path, name: str, *, found_quickly: bool) -> None:
    """No package is hashed."""
    damage(name, foreign)
    said = verify("--quick", "--format=json", foreign)
    (verdict,) = said.repos.values()
    assert verdict["hashed"] == {"files": 0, "bytes": 0}
    assert bool(said.found) is found_quickly
    assert said.exit == int(found_quickly)


@pytest.mark.parametrize(
    ("name", "kinds", "code"),
    [
        ("removed", "missing", 1),
        ("removed", "size,missing", 1),
        ("removed", " missing , size ", 1),
        ("removed", "size", 0),
        ("removed", "orphan", 0),
        ("extra file", "orphan", 1),
        ("extra file", "missing", 0),
        ("renamed", "missing", 1),
        ("renamed", "orphan", 1),
        ("renamed", "checksum", 0),
        ("removed", "", 2),
        ("removed", "missing,", 2),
        ("removed", "Missing", 2),
        ("removed", "retired", 2),
    ],
)
def test_fail_on(verify: Verify, foreign: Path, name: str, kinds: str, code: int) -> None:
    """It decides of the exit status; what is found is told in any case."""
    expected = damage(name, foreign)
    said = verify(f"--fail-on={kinds}", "--format=json", foreign)
    assert said.exit == code
    if code != 2:
        assert said.found == expected


@pytest.mark.parametrize("jobs", [1, 2, 256])
def test_jobs(verify: Verify, foreign: Path, jobs: int) -> None:
    """However many, the same is found, in the same order."""
    damage("three at once", foreign)
    said = verify("--jobs", jobs, foreign)
    assert [line.split(": ")[1] for line in said.lines[:-1]] == [CHECKSUM, SIZE, MISSING]


def test_quiet(verify: Verify, foreign: Path) -> None:
    """Whole is no word; damage is told."""
    assert verify("--quiet", foreign) == Said(0, "", "")
    damage("removed", foreign)
    said = verify("--quiet", foreign)
    assert (said.exit, len(said.lines)) == (1, 1)


def test_the_document(verify: Verify, copy: Mirror, foreign: Path) -> None:
    """Keys that pipelines may rely on, for the mirror's and for others'."""
    damage("removed", foreign)
    for option in ("--json", "--format=json"):
        said = verify("--config", copy.config, option, "one", foreign)
        document = json.loads(said.out)
        assert said.out.count("\n") == 1
        assert list(document) == ["mirrorpy", "started", "seconds", "exit", "repos"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["started"])
        assert (document["exit"], said.exit) == (1, 1)
        assert [
            (repo["id"], repo["outcome"], repo["packages"], repo["retired"], repo["error"])
            for repo in document["repos"]
        ] == [("one", "whole", 4, 0, None), (str(foreign), "damaged", 4, 0, None)]
        for repo in document["repos"]:
            assert set(repo) >= {
                "id",
                "path",
                "outcome",
                "packages",
                "files",
                "bytes",
                "hashed",
                "postponed",
                "retired",
            }
            assert set(repo) >= {"findings", "repaired", "warnings", "seconds", "error"}
        assert document["repos"][1]["findings"] == [{"kind": "missing", "path": ALPHA, "message": "is not there"}]


def test_what_is_counted(verify: Verify, foreign: Path) -> None:
    """Promised files are those of the metadata; hashed are all of them."""
    (verdict,) = verify("--format=json", foreign).repos.values()
    promised = listing_of(foreign).hrefs
    size = sum((foreign / href).stat().st_size for href in promised)
    assert (verdict["files"], verdict["bytes"]) == (len(promised), size)
    assert verdict["hashed"] == {"files": len(promised), "bytes": size}
    assert verdict["postponed"] == {"files": 0, "bytes": 0}


def junit(said: Said) -> dict[str, Any]:
    """The suites of a JUnit document, by name, as junitparser reads it."""
    return {suite.name: suite for suite in JUnitXml.fromstring(said.out.encode())}


def test_junit(verify: Verify, copy: Mirror, foreign: Path) -> None:
    """A suite for each repository, a case for each kind, a failure for each kind that occurs."""
    damage("three at once", foreign)
    said = verify("--config", copy.config, "--format=junit", "one", foreign)
    suites = junit(said)
    assert list(suites) == ["one", str(foreign)]
    assert [(suite.tests, suite.failures, suite.errors, suite.skipped) for suite in suites.values()] == [
        (len(FindingKind), 0, 0, 0),
        (len(FindingKind), 3, 0, 0),
    ]
    failed = {case.name: result for case in suites[str(foreign)] for result in case.result}
    assert set(failed) == {CHECKSUM, SIZE, MISSING}
    assert failed[MISSING].text == f"{DELTA}: is not there"
    assert said.exit == 1


def test_junit_counts_what_it_holds(verify: Verify, foreign: Path) -> None:
    """The attributes agree with the elements, and many findings of a kind are one failure with a line each."""
    damage("all packages removed", foreign)
    (suite,) = junit(verify("--format=junit", foreign)).values()
    results = [result for case in suite for result in case.result]
    assert (len(list(suite)), len(results)) == (suite.tests, suite.failures)
    assert results[0].text.splitlines() == [f"{path}: is not there" for path in sorted([ALPHA, BRAVO, DELTA, HOTEL])]


@pytest.mark.parametrize("options", [[], ["--fail-on=missing"]])
def test_junit_fails_where_the_exit_status_does(verify: Verify, foreign: Path, options: list[str]) -> None:
    """GitLab and Jenkins show the failures: orphans that are none must not be shown as such."""
    damage("extra file", foreign)
    said = verify("--format=junit", *options, foreign)
    (suite,) = junit(said).values()
    assert (said.exit, suite.failures) == (0, 0)


def test_junit_of_a_repository_that_cannot_be_verified(verify: Verify, copy: Mirror) -> None:
    """It is an error, beside the other's success."""
    link = copy.published("one")
    link.unlink()
    link.mkdir()
    said = verify("--config", copy.config, "--format=junit")
    suites = junit(said)
    assert [(suite.errors, suite.failures) for suite in suites.values()] == [(1, 0), (0, 0)]
    assert said.exit == 6


# Exit status


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["one"], 0),
        (["o*"], 0),
        (["nosuch"], 2),
        (["one", "nosuch"], 2),
        (["./nosuch"], 2),
        (["/nosuch/folder"], 2),
        (["/etc/passwd"], 2),
        (["--repair", "/"], 2),
        (["--format=xml"], 2),
        (["--jobs=0"], 2),
        (["--jobs=257"], 2),
        (["--jobs=-1"], 2),
        (["--jobs=²"], 2),
        (["--budget=soon"], 2),
        (["--budget=-1"], 2),
        (["--since-last=1y"], 2),
    ],
)
def test_exit_status(verify: Verify, copy: Mirror, args: list[str], code: int) -> None:
    """Usage is 2, with one line on standard error and nothing on standard output."""
    said = verify("--config", copy.config, *args)
    assert said.exit == code
    if code:
        assert said.out == ""
        assert said.err


def test_exit_status_of_what_was_never_published(verify: Verify, mirror: Mirror, whole: Path) -> None:
    """It is damage: a pipeline that expects a repository must not go on without one."""
    configure(mirror, whole.as_uri())
    said = verify("--config", mirror.config, "--format=json", "one")
    assert (said.exit, said.found) == (1, {(MISSING, "")})


@pytest.mark.parametrize("text", ["", "root: [", "root: relative\nrepos: []\n", "nonsense: 1\n"])
def test_exit_status_of_a_bad_configuration(verify: Verify, mirror: Mirror, text: str) -> None:
    """Before anything is looked at."""
    mirror.config.write_text(text)
    said = verify("--config", mirror.config)
    assert (said.exit, said.out) == (2, "")


def test_a_folder_needs_no_configuration(verify: Verify, mirror: Mirror, foreign: Path) -> None:
    """Not even one that could be read."""
    mirror.config.write_text("nonsense")
    assert verify("--config", mirror.config, foreign).exit == 0


def test_damage_is_1_whatever_else_went_wrong(verify: Verify, copy: Mirror) -> None:
    """One repository that cannot be verified hides no damage of another."""
    link = copy.published("one")
    link.unlink()
    link.mkdir()
    (copy.published("two") / ALPHA).unlink()
    assert verify("--config", copy.config, "one").exit == 6
    assert verify("--config", copy.config).exit == 1


# Repair


@pytest.mark.parametrize("name", DAMAGE)
def test_repair(verify: Verify, copy: Mirror, whole: Path, name: str) -> None:
    """Afterwards the tree is upstream's, and the pool's objects are what their names say."""
    base = copy.published("one")
    expected = and_repomd(damage(name, base), base, whole)
    said = verify("--config", copy.config, "--repair", "--format=json", "one")
    assert said.exit == 0, said.out
    assert found(said.repos["one"]["repaired"]) == expected
    assert said.repos["one"]["findings"] == []
    assert same_tree(copy, "one", whole)
    assert same_tree(copy, "two", whole)
    assert pool_is_right(copy)
    assert verify("--config", copy.config).exit == 0


def test_repair_says_what_it_mended(verify: Verify, copy: Mirror) -> None:
    """A line each, and the summary is that of the mended repository."""
    damage("three at once", copy.published("one"))
    said = verify("--config", copy.config, "--repair", "one")
    lines = [line for line in said.lines if line.startswith("one: ")]
    assert [line for line in lines if ": repaired: " in line] == [
        f"one: repaired: checksum: {ALPHA}",
        f"one: repaired: size: {BRAVO}",
        f"one: repaired: missing: {DELTA}",
    ]
    assert lines[-1].startswith("one: whole, 4 packages")


@pytest.mark.parametrize("name", ["bit flipped", "truncated", "zero-filled"])
def test_nothing_is_mended_in_place(verify: Verify, copy: Mirror, name: str) -> None:
    """The mended file is another one; who has the damaged one open still reads that."""
    base = copy.published("one")
    damage(name, base)
    damaged = (base / ALPHA).read_bytes()
    with (base / ALPHA).open("rb") as reader:
        assert verify("--config", copy.config, "--repair").exit == 0
        assert reader.read() == damaged
        assert os.fstat(reader.fileno()).st_ino != (base / ALPHA).stat().st_ino
    assert (base / ALPHA).read_bytes() == build_rpm("alpha")


@pytest.mark.parametrize("name", ["bit flipped", "truncated", "zero-filled"])
def test_all_who_share_the_file_are_mended(verify: Verify, copy: Mirror, whole: Path, name: str) -> None:
    """Even when only one was asked for; the other is named too."""
    damage(name, copy.published("one"))
    assert verify("--config", copy.config, "two").exit == 1
    said = verify("--config", copy.config, "--repair", "--format=json", "one")
    assert said.exit == 0
    assert list(said.repos) == ["one", "two"]
    assert same_tree(copy, "two", whole)
    shared = {copy.published(name).joinpath(ALPHA).stat().st_ino for name in ("one", "two")}
    assert len(shared) == 1
    assert verify("--config", copy.config).exit == 0


def test_who_shares_the_file_needs_no_upstream(verify: Verify, mirror: Mirror, whole: Path, nginx: Serve) -> None:
    """What one repository's repair brought mends the other, though its own upstream cannot be asked."""
    server = nginx(whole.parent)
    one, two = {"id": "one", "baseurl": whole.as_uri()}, {"id": "two", "baseurl": f"{server.url}{whole.name}"}
    mirror.configure(one, two, retries=0)
    mirror.sync()
    server.stop()
    damage("bit flipped", mirror.published("one"))
    said = verify("--config", mirror.config, "--repair")
    assert (said.exit, "not repaired" in said.err) == (0, False)
    assert same_tree(mirror, "two", whole)


def test_a_repair_does_not_go_back(verify: Verify, mirror: Mirror, upstream: Callable[[str], Upstream]) -> None:
    """An upstream that is older than what is published is refused, whatever byte of that is damaged."""
    up = upstream("up")
    up.add("one")
    up.publish()
    older = shutil.copytree(up.folder, mirror.folder / "older")
    up.add("two")
    up.publish()
    mirror.configure({"id": "base", "baseurl": up.url})
    mirror.sync()
    mirror.configure({"id": "base", "baseurl": older.as_uri()})
    repomd = mirror.published("base") / "repodata" / "repomd.xml"
    text = repomd.read_bytes()
    repomd.chmod(0o644)
    repomd.write_bytes(text.replace(b"<revision>1", b"<revision>2"))
    assert verify("--config", mirror.config, "--repair").exit == 1
    assert (mirror.published("base") / "Packages" / "two-1.0-1.noarch.rpm").is_file()


def test_only_what_is_damaged_is_fetched(verify: Verify, mirror: Mirror, whole: Path, nginx: Serve) -> None:
    """Over HTTP: the damaged package, and repomd.xml to know that it is still wanted."""
    server = nginx(whole.parent)
    configure(mirror, f"{server.url}{whole.name}")
    mirror.sync()
    server.requests()
    damage("bit flipped", mirror.published("one"))
    assert verify("--config", mirror.config, "--repair").exit == 0
    fetched = [request.href.removeprefix(f"{whole.name}/") for request in server.requests() if request.status == 200]
    assert [href for href in fetched if not href.startswith("repodata/")] == [ALPHA]
    assert same_tree(mirror, "one", whole)


def test_what_is_whole_is_not_published_anew(verify: Verify, copy: Mirror) -> None:
    """Nor is anything asked of upstream."""
    configure(copy, "http://127.0.0.1:9/")
    before = {name: os.readlink(copy.published(name)) for name in ("one", "two")}
    assert verify("--config", copy.config, "--repair").exit == 0
    assert {name: os.readlink(copy.published(name)) for name in ("one", "two")} == before


def own(upstream: Make, mirror: Mirror, **options: Any) -> Upstream:
    """An upstream that a test may change, mirrored."""
    made = upstream("own")
    for name in NAMES:
        made.add(name)
    made.publish()
    configure(mirror, made.url, **options)
    mirror.sync()
    return made


def test_what_upstream_lost_stays_a_finding(verify: Verify, upstream: Make, mirror: Mirror) -> None:
    """It is named, with the reason, and the other damage too."""
    made = own(upstream, mirror)
    damage("bit flipped", mirror.published("one"))
    made.remove(ALPHA)
    said = verify("--config", mirror.config, "--repair", "--format=json", "one")
    assert said.exit == 1
    assert (CHECKSUM, ALPHA) in found(said.repos["one"]["findings"])
    assert said.repos["one"]["repaired"] == []
    assert any("not repaired: " in warning and ALPHA in warning for warning in said.repos["one"]["warnings"])


def test_what_upstream_dropped_is_not_wanted_any_more(verify: Verify, upstream: Make, mirror: Mirror) -> None:
    """Upstream published without the damaged package: so does the mirror."""
    made = own(upstream, mirror)
    damage("bit flipped", mirror.published("one"))
    made.remove(ALPHA)
    made.publish()
    said = verify("--config", mirror.config, "--repair", "--format=json")
    assert said.exit == 0
    assert found(said.repos["one"]["repaired"]) == {(CHECKSUM, ALPHA)}
    assert not (mirror.published("one") / ALPHA).exists()
    assert differing(files_below(made.folder), made.folder, mirror.published("one")) == []


def test_what_was_damaged_never_comes_back(verify: Verify, upstream: Make, mirror: Mirror) -> None:
    """The damaged object is out of the pool even if upstream dropped the package: it may bring it again."""
    made = own(upstream, mirror)
    damage("bit flipped", mirror.published("one"))
    made.remove(ALPHA)
    made.publish()
    assert verify("--config", mirror.config, "--repair").exit == 0
    assert pool_is_right(mirror)
    made.add("alpha")
    made.publish()
    mirror.sync()
    assert verify("--config", mirror.config).exit == 0


def test_repair_takes_upstreams_newer_state(verify: Verify, upstream: Make, mirror: Mirror) -> None:
    """It is a sync too."""
    made = own(upstream, mirror)
    damage("three at once", mirror.published("one"))
    made.add("india")
    made.publish()
    assert verify("--config", mirror.config, "--repair").exit == 0
    assert differing(files_below(made.folder), made.folder, mirror.published("one")) == []


@pytest.mark.parametrize("name", ["removed", "primary edited"])
def test_what_the_pool_still_has_needs_no_upstream(verify: Verify, copy: Mirror, whole: Path, name: str) -> None:
    """The published file is another than the pool's by then, or none."""
    damage(name, copy.published("one"))
    configure(copy, "http://127.0.0.1:9/")
    said = verify("--config", copy.config, "--repair", "--format=json", "one")
    assert (said.exit, said.repos["one"]["outcome"], said.repos["one"]["warnings"]) == (0, "whole", [])
    assert same_tree(copy, "one", whole)


@pytest.mark.parametrize("name", ["bit flipped", "repomd.xml removed"])
def test_upstream_that_cannot_be_reached(verify: Verify, copy: Mirror, whole: Path, name: str) -> None:
    """The finding stays, a warning says why, and what was published stays published."""
    base = copy.published("one")
    expected = and_repomd(damage(name, base), base, whole)
    configure(copy, "http://127.0.0.1:9/")
    before = os.readlink(base)
    said = verify("--config", copy.config, "--repair", "--format=json", "one")
    assert said.exit == 1
    assert found(said.repos["one"]["findings"]) == expected
    assert said.repos["one"]["repaired"] == []
    assert any(re.search(r"not repaired: .*127\.0\.0\.1:9.*", warning) for warning in said.repos["one"]["warnings"])
    assert "not repaired" in said.err
    assert os.readlink(base) == before


def test_upstream_comes_back(verify: Verify, copy: Mirror, whole: Path) -> None:
    """A repair that failed spoils none that comes after it."""
    damage("three at once", copy.published("one"))
    configure(copy, "http://127.0.0.1:9/")
    assert verify("--config", copy.config, "--repair").exit == 1
    configure(copy, whole.as_uri())
    assert verify("--config", copy.config, "--repair").exit == 0
    assert same_tree(copy, "one", whole)
    assert pool_is_right(copy)


def test_repair_beside_another_run(verify: Verify, copy: Mirror) -> None:
    """Whoever syncs holds the repository: the finding stays, and the warning names the lock."""
    damage("removed", copy.published("one"))
    with (copy.root / ".mirrorpy/repos/one/lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = verify("--config", copy.config, "--repair", "--format=json", "one")
    assert said.exit == 1
    assert found(said.repos["one"]["findings"]) == {(MISSING, ALPHA)}
    assert any("another run" in warning for warning in said.repos["one"]["warnings"])


def test_time_that_ran_out_repairs_nothing(copy: Mirror) -> None:
    """What was found and is not hashed again, for want of time, is not mended by that."""
    damage("bit flipped", copy.published("one"))
    configure(copy, "http://127.0.0.1:9/")
    config = load_config(copy.config, {})
    before = verify_repository(config.repos[0], Layout.of(config.root), Settings(), Nobody())
    assert before.outcome == "damaged"
    late = Settings(deadline=time.monotonic() - 1)
    after = repair_all(config, [before], late, Nobody())[0]
    assert after.repaired == []
    assert (after.outcome, [finding.path for finding in after.findings]) == ("damaged", [ALPHA])


class Nobody:
    """Watches nothing."""

    def step(self, repo_id: str, doing: str | None) -> None:
        """Do not care."""

    def expect(self, repo_id: str, files: int, size: int) -> None:
        """Do not care."""

    def receive(self, repo_id: str, size: int) -> None:
        """Do not care."""

    def land(self, repo_id: str) -> None:
        """Do not care."""


class Visitor(Nobody):
    """At every turn of a run, looks at what is published."""

    def __init__(self, published: Path) -> None:
        self.published = published
        self.seen: Counter[tuple[str, ...]] = Counter()
        self._lock = threading.Lock()

    def step(self, repo_id: str, doing: str | None) -> None:
        """Look."""
        self._look()

    def expect(self, repo_id: str, files: int, size: int) -> None:
        """Look."""
        self._look()

    def receive(self, repo_id: str, size: int) -> None:
        """Look."""
        self._look()

    def land(self, repo_id: str) -> None:
        """Look."""
        self._look()

    def _look(self) -> None:
        with self._lock:
            # One client's view: the generation that it began to read.
            generation = self.published.resolve(strict=True)
            self.seen[tuple(faults(generation))] += 1


def test_what_is_served_stays_whole_during_a_repair(copy: Mirror) -> None:
    """At every moment everything is there, and nothing but what was damaged is wrong."""
    base = copy.published("one")
    flip(base / ALPHA)
    zero(base / BRAVO)
    config = load_config(copy.config, {})
    settings = Settings()
    before = verify_repository(config.repos[0], Layout.of(config.root), settings, Nobody())
    damaged, visitor = tuple(faults(base)), Visitor(base)
    after = repair_all(config, [before], settings, visitor)
    assert [verdict.outcome for verdict in after] == ["whole", "whole"]
    assert len(damaged) == 2
    assert set(visitor.seen) == {damaged, ()}


@pytest.mark.parametrize(
    "name",
    ["dnf4/repos_drpm", "fluidity-sha1", "minima/zstrepo", "pulp/modular", "createrepo_c/repo_with_duplicate_packages"],
)
def test_repair_of_real_repositories(verify: Verify, mirror: Mirror, name: str) -> None:
    """Weak checksums, deltas, names without checksums: everything is damaged but what lists the rest, and mended."""
    real = real_data("repos") / name
    mirror.configure({"id": "real", "baseurl": real.as_uri()})
    mirror.sync()
    base, promised = mirror.published("real"), listing_of(real).hrefs
    damaged = {path for path in promised if not re.search(r"(primary|prestodelta)\.xml", path)}
    for path in {(base / path).stat().st_ino: path for path in damaged}.values():
        flip(base / path)
    assert {path for _, path in verify("--config", mirror.config, "--format=json").found} == damaged
    said = verify("--config", mirror.config, "--repair", "--format=json")
    assert (said.exit, said.found) == (0, set())
    assert differing(promised | {REPOMD}, real, base) == []
    assert pool_is_right(mirror)


@pytest.mark.parametrize("name", ["bit flipped", "truncated", "removed", "primary edited"])
def test_repair_without_state(verify: Verify, copy: Mirror, whole: Path, name: str) -> None:
    """Everything in .mirrorpy but the pool is lost: it costs time, never data."""
    shutil.rmtree(copy.root / ".mirrorpy/repos")
    assert verify("--config", copy.config).exit == 0
    damage(name, copy.published("one"))
    assert verify("--config", copy.config, "one").exit == 1
    assert verify("--config", copy.config, "--repair").exit == 0
    assert same_tree(copy, "one", whole)
    assert same_tree(copy, "two", whole)
    assert pool_is_right(copy)


# What is kept for grace


def retired(upstream: Make, mirror: Mirror) -> Upstream:
    """Upstream dropped the first package, and the mirror keeps it."""
    made = own(upstream, mirror, grace="1h")
    made.remove(ALPHA)
    made.publish()
    mirror.sync()
    assert (mirror.published("one") / ALPHA).is_file()
    return made


def test_retired_files_are_no_finding(verify: Verify, upstream: Make, mirror: Mirror) -> None:
    """They are counted, and hashed as the others."""
    retired(upstream, mirror)
    said = verify("--config", mirror.config, "--format=json", "one")
    assert (said.exit, said.found) == (0, set())
    assert said.repos["one"]["retired"] >= 1
    assert " retired" in verify("--config", mirror.config, "one").out


@pytest.mark.parametrize("name", ["bit flipped", "truncated", "removed", "a FIFO"])
def test_damaged_retired_files_are(verify: Verify, upstream: Make, mirror: Mirror, name: str) -> None:
    """Clients may still ask for them."""
    retired(upstream, mirror)
    expected = damage(name, mirror.published("one"))
    said = verify("--config", mirror.config, "--format=json", "one")
    assert (said.exit, said.found) == (1, expected)


@pytest.mark.parametrize("name", ["bit flipped", "removed"])
def test_a_damaged_retired_file_is_dropped_or_named(verify: Verify, upstream: Make, mirror: Mirror, name: str) -> None:
    """Nobody has it any more: repair may not end with a damaged file that is said to be whole."""
    retired(upstream, mirror)
    base = mirror.published("one")
    damage(name, base)
    said = verify("--config", mirror.config, "--repair", "--format=json", "one")
    findings = found(said.repos["one"]["findings"])
    whole_again = (base / ALPHA).exists() and (base / ALPHA).read_bytes() == build_rpm("alpha")
    if (base / ALPHA).exists() and not whole_again:
        assert (said.exit, findings) == (1, {(CHECKSUM, ALPHA)})
    else:
        assert said.exit == 0
        assert verify("--config", mirror.config).exit == 0
    assert faults(base) == []


# A little every night


class Clock:
    """Time in which each file that is looked at takes a second, and a night is a day."""

    def __init__(self) -> None:
        self.now = float(OLD)

    def time(self) -> float:
        """Since the epoch."""
        return self.now

    monotonic = time

    def rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be the time of this process, wherever it is asked for."""
        monkeypatch.setattr(time, "time", self.time)
        monkeypatch.setattr(time, "monotonic", self.monotonic)


class Hashing(Nobody):
    """Lets a second pass with each file."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def receive(self, repo_id: str, size: int) -> None:
        """One more."""
        self.clock.now += 1


@dataclass
class Nights:
    """Runs of one repository's verification, a day apart, one file at a time."""

    mirror: Mirror
    clock: Clock

    def __post_init__(self) -> None:
        self.config = load_config(self.mirror.config, {})
        self.hashed = self.mirror.root / ".mirrorpy/repos/one/hashed"

    def run(self, budget: float | None, since: float | None = WEEK) -> Verdict:
        """One night."""
        self.clock.now += 86_400 - self.clock.now % 86_400
        settings = Settings(jobs=1, since=since, deadline=None if budget is None else self.clock.now + budget + 0.5)
        return verify_repository(self.config.repos[0], Layout.of(self.config.root), settings, Hashing(self.clock))

    def proofs(self) -> dict[str, int]:
        """When each checksum was proved."""
        lines = self.hashed.read_text().splitlines() if self.hashed.exists() else []
        return {checksum: int(seconds) for checksum, seconds in map(str.split, lines)}


@pytest.fixture
def nights(copy: Mirror, monkeypatch: pytest.MonkeyPatch) -> Nights:
    """With a clock of their own."""
    clock = Clock()
    clock.rule(monkeypatch)
    return Nights(copy, clock)


FILES = 4 + 3 + 1
"""Packages, records, and repomd.xml."""


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (1, [1, 1, 1, 1, 1, 1, 1, 1]),
        (2, [2, 2, 2, 2, 0, 0, 0, 2]),
        (3, [3, 3, 2, 0, 0, 0, 0, 3]),
        (5, [5, 3, 0, 0, 0, 0, 0, 5]),
        (8, [8, 0, 0, 0, 0, 0, 0, 8]),
        (99, [8, 0, 0, 0, 0, 0, 0, 8]),
    ],
)
def test_small_budgets_cover_everything(nights: Nights, budget: int, expected: list[int]) -> None:
    """Within the duration each file is hashed once, none twice; then it begins again."""
    first = nights.run(budget)
    rest = [nights.run(budget) for _ in range(7)]
    assert [verdict.hashed.files for verdict in [first, *rest]] == expected
    assert first.postponed.files == FILES - expected[0]
    assert {verdict.outcome for verdict in [first, *rest]} == {"whole"}
    assert len(nights.proofs()) == FILES


def test_the_oldest_come_first(nights: Nights) -> None:
    """What was hashed first is hashed first again."""
    order: list[set[str]] = []
    for _ in range(8):
        before = nights.proofs()
        nights.run(3, since=0)
        order.append({checksum for checksum, seconds in nights.proofs().items() if before.get(checksum) != seconds})
    assert [len(files) for files in order] == [3] * 8
    assert len(set().union(*order[:3])) == FILES
    for number in range(3, 8):
        assert not order[number] & order[number - 1]
        assert len(order[number] | order[number - 1] | order[number - 2]) == FILES


def test_without_a_budget_all_that_is_due_is_hashed(nights: Nights) -> None:
    """And then nothing, until the duration has passed."""
    assert [nights.run(None).hashed.files for _ in range(9)] == [FILES, 0, 0, 0, 0, 0, 0, FILES, 0]


def test_without_a_duration_everything_is_hashed(nights: Nights) -> None:
    """Every time."""
    assert [nights.run(None, since=None).hashed.files for _ in range(2)] == [FILES, FILES]


def test_damage_is_found_in_a_later_run(nights: Nights) -> None:
    """All of it, once everything has been hashed; a file that has been found stays found each night."""
    nights.run(None)
    for name in (ALPHA, DELTA):
        flip(nights.mirror.published("one") / name)
    for _ in range(6):
        assert nights.run(2).findings == []
    seen = [{finding.path for finding in nights.run(3).findings} for _ in range(4)]
    assert seen[-1] == {ALPHA, DELTA}
    assert all(earlier <= later for earlier, later in itertools.pairwise(seen))


def test_size_and_presence_are_looked_at_every_night(nights: Nights) -> None:
    """They cost nothing."""
    nights.run(None)
    truncate(nights.mirror.published("one") / ALPHA)
    (nights.mirror.published("one") / BRAVO).unlink()
    verdict = nights.run(0)
    assert [(finding.kind, finding.path) for finding in verdict.findings] == [(SIZE, ALPHA), (MISSING, BRAVO)]
    assert verdict.hashed.files == 0


def test_a_new_package_is_hashed_first(upstream: Make, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never was."""
    made = own(upstream, mirror)
    clock = Clock()
    clock.rule(monkeypatch)
    nights = Nights(mirror, clock)
    nights.run(None)
    before = nights.proofs()
    made.add("india")
    made.publish()
    mirror.sync()
    nights.run(5)
    new = nights.proofs().keys() - before.keys()
    assert f"sha256:{sha256(build_rpm('india'))}" in new
    assert len(new) == 5


def test_what_is_gone_is_forgotten(upstream: Make, mirror: Mirror, verify: Verify) -> None:
    """The file of proofs grows with the repository, and no longer."""
    made = own(upstream, mirror)
    args = ("--config", mirror.config, "--since-last=7d", "one")
    assert verify(*args).exit == 0
    made.remove(ALPHA)
    made.publish()
    mirror.sync()
    assert verify(*args).exit == 0
    proofs = (mirror.root / ".mirrorpy/repos/one/hashed").read_text()
    assert sha256(build_rpm("alpha")) not in proofs
    assert sha256(build_rpm("bravo")) in proofs


def test_damaged_proofs_cost_a_hashing(verify: Verify, copy: Mirror) -> None:
    """No more."""
    args = ("--config", copy.config, "--format=json", "--since-last=7d", "one")
    assert verify(*args).repos["one"]["hashed"]["files"] == FILES
    assert verify(*args).repos["one"]["hashed"]["files"] == 0
    hashed = copy.root / ".mirrorpy/repos/one/hashed"
    hashed.write_bytes(b"\xff\0" * 1000)
    said = verify(*args)
    assert (said.exit, said.repos["one"]["hashed"]["files"]) == (0, FILES)


def test_proofs_from_the_future_do_not_count(verify: Verify, copy: Mirror) -> None:
    """A clock that was wrong once does not keep a file from being hashed for years."""
    args = ("--config", copy.config, "--format=json", "--since-last=7d", "one")
    verify(*args)
    hashed = copy.root / ".mirrorpy/repos/one/hashed"
    hashed.write_text(re.sub(r" \d+\n", " 99999999999\n", hashed.read_text()))
    assert verify(*args).repos["one"]["hashed"]["files"] == FILES


@pytest.mark.parametrize("options", [["--budget=0"], ["--budget=0s", "--since-last=7d"]])
def test_no_budget_hashes_nothing_and_says_so(verify: Verify, copy: Mirror, options: list[str]) -> None:
    """Presence and size are looked at."""
    damage("bit flipped", copy.published("one"))
    said = verify("--config", copy.config, *options, "one")
    assert said.exit == 0
    assert f"0 files hashed (0 B), {FILES} postponed" in said.out
    (copy.published("one") / BRAVO).unlink()
    assert verify("--config", copy.config, *options, "one").exit == 1


# Beside a sync


class Changing:
    """A small upstream in which every publication replaces a package."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._releases = itertools.count(1)
        self._hrefs = [upstream.add(name) for name in NAMES]
        upstream.publish()

    def turn(self) -> None:
        """Replace the oldest package and publish."""
        self.upstream.remove(self._hrefs.pop(0))
        release = next(self._releases)
        self._hrefs.append(self.upstream.add(NAMES[release % len(NAMES)], "2.0", str(release)))
        self.upstream.publish()


class Publishing(Nobody):
    """Publishes at one turn of a verification, so many times at most."""

    def __init__(self, publish: Callable[[], None], times: int, doing: str) -> None:
        self.publish, self.left, self.doing = publish, times, doing

    def step(self, repo_id: str, doing: str | None) -> None:
        """Now is the time."""
        if doing == self.doing and self.left:
            self.left -= 1
            self.publish()


@pytest.mark.parametrize("doing", ["reading metadata", "hashing"])
@pytest.mark.parametrize("times", [1, 2, 3, 10])
def test_a_publication_in_the_middle_is_no_damage(upstream: Make, mirror: Mirror, times: int, doing: str) -> None:
    """Not even in the middle of each attempt: nothing is found that is not so."""
    busy = Changing(upstream("busy"))
    mirror.configure({"id": "busy", "baseurl": busy.upstream.url}, keep=1)
    mirror.sync()

    def publish() -> None:
        busy.turn()
        assert main(["sync", "--quiet", "--config", str(mirror.config)]) == 0

    config = load_config(mirror.config, {})
    watch = Publishing(publish, times, doing)
    verdict = verify_repository(config.repos[0], Layout.of(config.root), Settings(), watch)
    assert watch.left < times
    assert [(finding.kind, finding.path) for finding in verdict.findings] == []
    assert verdict.outcome in ({"whole"} if times < 3 else {"whole", "failed"})


def test_verify_beside_a_sync_that_publishes_over_and_over(verify: Verify, upstream: Make, mirror: Mirror) -> None:
    """Never a false finding."""
    busy = Changing(upstream("busy"))
    mirror.configure({"id": "busy", "baseurl": busy.upstream.url}, keep=1)
    mirror.sync()
    ended = threading.Event()
    failures: list[str] = []
    published = 0

    def publish() -> None:
        nonlocal published
        while not ended.is_set() and not failures:
            busy.turn()
            done = mirror.run("sync", "--quiet")
            failures.extend([done.stderr] if done.returncode else [])
            published += 1

    thread = threading.Thread(target=publish)
    thread.start()
    runs = []
    try:
        while published < 8 and not failures:
            runs.append(verify("--config", mirror.config))
    finally:
        ended.set()
        thread.join()
    assert failures == []
    assert [said.out for said in runs if said.exit] == []
    assert len(runs) > published


def test_verify_leaves_the_mirror_as_it_is(verify: Verify, copy: Mirror) -> None:
    """But for what it remembers."""
    with contextlib.suppress(FileNotFoundError):
        (copy.root / ".mirrorpy/repos/one/hashed").unlink()
    before = {path: os.lstat(copy.root / path).st_ino for path in files_below(copy.root)}
    damage("bit flipped", copy.published("one"))
    verify("--config", copy.config)
    after = {path: os.lstat(copy.root / path).st_ino for path in files_below(copy.root)}
    assert {path: after.get(path) for path in before} == before
    assert {path.rpartition("/")[2] for path in after.keys() - before.keys()} <= {"hashed"}
