"""The plan partitions what is wanted, and never both keeps and drops a file."""

import tempfile

from hypothesis import given
from hypothesis import strategies as st

from mirrorpy.errors import GuardError, RepodataError
from mirrorpy.plan import RECORD_GRACE, Entry, Rules, collect, plan_sync
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile
from mirrorpy.store.manifest import is_whole, read_manifest, write_manifest
from tests.unit.documents import sha256

NOW = 1_700_000_000
CHECKSUMS = st.integers(0, 6).map(lambda number: sha256(bytes([number])))
NAMES = st.sampled_from(["a", "b", "c", "d", "e-%s"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@st.composite
def files(draw: st.DrawFn) -> RemoteFile:
    """A promised file; names can hold the checksum."""
    checksum = draw(CHECKSUMS)
    path = draw(PATHS).replace("%s", checksum.value)
    kind = draw(st.sampled_from([Kind.PACKAGE, Kind.PACKAGE, Kind.RECORD, Kind.DELTA]))
    return RemoteFile(path, checksum, draw(st.none() | st.integers(0, 99)), kind)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """A file of the last generation, retired or not."""
    file = draw(files())
    kind = draw(st.sampled_from([file.kind, file.kind, Kind.INDEX]))
    retired = draw(st.none() | st.integers(NOW - 2 * RECORD_GRACE, NOW))
    promised = draw(st.sampled_from([file.checksum, None]))
    return Entry(file.path, file.size or 0, kind, promised, file.checksum, None if kind is Kind.INDEX else retired)


def as_tree(found: list[Entry]) -> list[Entry]:
    """What a generation can hold: one file of each path, and no file that is a folder too."""
    paths = {entry.path: entry for entry in found}
    return [entry for path, entry in paths.items() if not any(other.startswith(f"{path}/") for other in paths)]


PREVIOUS = st.lists(entries(), max_size=12).map(as_tree)


@given(st.lists(files(), max_size=12), st.sets(CHECKSUMS), PREVIOUS, st.sampled_from([0, 3600, 10 * RECORD_GRACE]))
def test_partition(promised, pool, previous, grace):
    try:
        wanted = collect(promised)
    except RepodataError:
        return
    have = {file for file in wanted.values() if file.checksum in pool}
    plan = plan_sync(wanted, have, previous, Rules(grace=grace, allow_shrink=True), NOW)

    # Wanted: here, or fetched, once for each checksum.
    fetched = [file.checksum for file in plan.fetch]
    assert len(set(fetched)) == len(fetched)
    assert set(fetched).isdisjoint(file.checksum for file in have)
    for file in wanted.values():
        assert (file in have) != (file.checksum in fetched)
    assert set(plan.files) == {file.path for file in promised}
    assert plan.packages == sum(file.kind is Kind.PACKAGE for file in wanted.values())

    # Not wanted: kept for its time, or gone; nothing else.
    before = {entry.path: entry for entry in previous}
    carried, retired, expired = (
        {entry.path for entry in found} for found in (plan.carried, plan.retired, plan.expired)
    )
    for paths in (carried, retired, expired):
        assert paths <= set(before)
        assert paths.isdisjoint(wanted)
        assert all(before[path].kind is not Kind.INDEX for path in paths)
    assert carried.isdisjoint(expired)
    assert all(before[path].retired is None for path in retired)
    assert all(before[path].retired is not None for path in expired)
    dropped = {path for path, entry in before.items() if path not in wanted and entry.kind is not Kind.INDEX}
    assert retired == {path for path in dropped if before[path].retired is None}
    for entry in plan.carried:
        assert entry.retired is not None
        assert entry.retired <= NOW < entry.due(grace)

    # The next generation is a tree.
    together = set(wanted) | carried
    assert not any(path.startswith(f"{other}/") for path in together for other in together)


@given(st.lists(files(), max_size=12), PREVIOUS)
def test_a_plan_of_what_is_published_changes_nothing(promised, previous):
    """Carrying a plan out and planning again is a plan without changes."""
    try:
        wanted = collect(promised)
    except RepodataError:
        return
    rules = Rules(grace=3600, allow_shrink=True)
    plan = plan_sync(wanted, set(wanted.values()), previous, rules, NOW)
    now_there = [
        Entry(path, file.size or 0, file.kind, file.checksum, file.checksum) for path, file in wanted.items()
    ] + plan.carried
    again = plan_sync(wanted, set(wanted.values()), now_there, rules, NOW)
    assert not again.changes
    assert again.carried == plan.carried


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0, 1))
def test_the_guard(before, after, max_shrink):
    previous = [Entry(f"o{n}", 1, Kind.PACKAGE, sha256(b""), sha256(b"")) for n in range(before)]
    wanted = {f"n{n}": RemoteFile(f"n{n}", sha256(b""), 1, Kind.PACKAGE) for n in range(after)}
    refuse = after < before and (after == 0 or before - after > max_shrink * before + 1e-9)
    try:
        plan_sync(wanted, set(), previous, Rules(max_shrink=max_shrink), NOW)
    except GuardError:
        assert after < before
        assert after == 0 or before - after > max_shrink * before - 1e-9
    else:
        assert not refuse


SUMS = st.sampled_from([None, sha256(b"a"), Checksum("sha1", "0" * 40), Checksum("md5", "1" * 32)])
ANY_ENTRY = st.builds(
    Entry,
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30),
    st.integers(0, 2**53),
    st.sampled_from(Kind),
    SUMS,
    SUMS,
    st.none() | st.integers(1, 2**40),
)


@given(st.lists(ANY_ENTRY, max_size=10))
def test_manifests_go_there_and_back(entries):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/m"
        write_manifest(path, entries)
        assert is_whole(path)
        assert list(read_manifest(path)) == entries


@given(st.lists(ANY_ENTRY, max_size=5), st.data())
def test_damaged_manifests_are_told(entries, data):
    """Whatever is cut or exchanged is noticed."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/m"
        write_manifest(path, entries)
        with open(path, "rb") as file:
            whole = file.read()
        cut = data.draw(st.integers(0, len(whole) - 1))
        middle = data.draw(st.binary(max_size=5))
        for damaged in (whole[:cut], whole[:cut] + middle + whole[cut + 1 :]):
            with open(path, "wb") as file:
                file.write(damaged)
            assert is_whole(path) is (damaged == whole)
