"""The delta and what becomes of what upstream dropped."""

import pytest

from mirrorpy.errors import GuardError, RepodataError
from mirrorpy.plan import RECORD_GRACE, Entry, Plan, Rules, collect, plan_sync
from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile

from .documents import remote, sha256

NOW = 1_700_000_000
HOUR = 3600


def entry(path: str, content: str = "", kind: Kind = Kind.PACKAGE, retired: int | None = None) -> Entry:
    checksum = sha256(content or path)
    return Entry(path, 1, kind, checksum, checksum, retired)


def named(content: str) -> str:
    """A record's path that holds its checksum."""
    return f"repodata/{sha256(content).value}-primary.xml.gz"


def old_record(content: str, retired: int | None = None) -> Entry:
    return entry(named(content), content, Kind.RECORD, retired)


def plan(wanted, previous=(), have=(), now=NOW, **rules) -> Plan:
    rules.setdefault("allow_shrink", True)
    return plan_sync(collect(wanted), set(have), previous, Rules(**rules), now)


# Wanted and had


def test_first_sync_fetches_everything_once():
    a, b = remote("a"), remote("b")
    twin = RemoteFile("elsewhere/a", a.checksum, 1, Kind.PACKAGE)
    got = plan([a, b, twin])
    assert got.fetch == [a, b]
    assert (got.packages, got.new, got.fetch_bytes, got.changes) == (3, 3, 2, True)
    assert set(got.files) == {"a", "b", "elsewhere/a"}


def test_what_is_here_is_not_fetched():
    a, b = remote("a"), remote("b")
    got = plan([a, b], [entry("a")], have=[a])
    assert got.fetch == [b]
    assert (got.new, got.changes) == (1, True)


def test_no_change():
    a = remote("a")
    got = plan([a], [entry("a"), entry("repodata/repomd.xml", kind=Kind.INDEX)], have=[a])
    assert (got.changes, got.new, got.fetch, got.retired) == (False, 0, [], [])


def test_an_unknown_size_counts_for_nothing():
    assert plan([remote("a", size=None), remote("b", size=5)]).fetch_bytes == 5


def test_a_respun_file_under_its_old_name_is_new_and_not_retired():
    got = plan([remote("a", "new")], [entry("a", "old")])
    assert [file.path for file in got.fetch] == ["a"]
    assert (got.new, got.retired, got.carried, got.expired) == (1, [], [], [])


def test_a_rename_reuses_the_content_and_retires_the_name():
    renamed = RemoteFile("b", sha256("a"), 1, Kind.PACKAGE)
    got = plan([renamed], [entry("a")], have=[renamed])
    assert (got.fetch, got.new, [old.path for old in got.retired]) == ([], 1, ["a"])


def test_a_carried_file_that_upstream_has_again_is_new():
    a = remote("a")
    got = plan([a], [entry("a", retired=NOW - 10)], have=[a], grace=HOUR)
    assert (got.new, got.carried, got.expired, got.retired) == (1, [], [], [])


# Retired


@pytest.mark.parametrize(
    ("grace", "age", "carried", "expired"),
    [
        (0, None, False, False),  # dropped now, at once
        (HOUR, None, True, False),  # dropped now, kept
        (HOUR, HOUR - 1, True, False),
        (HOUR, HOUR, False, True),
        (HOUR, 2 * HOUR, False, True),
        (0, 1, False, True),  # the configuration's grace became shorter
    ],
)
def test_packages_stay_for_grace(grace, age, carried, expired):
    old = entry("old", retired=None if age is None else NOW - age)
    got = plan([remote("a")], [old], grace=grace)
    assert [found.path for found in got.carried] == (["old"] if carried else [])
    assert got.expired == ([old] if expired else [])
    assert got.retired == ([old] if age is None else [])
    if carried:
        assert got.carried[0].retired == (NOW if age is None else NOW - age)


@pytest.mark.parametrize(
    ("age", "carried"), [(None, True), (RECORD_GRACE - 1, True), (RECORD_GRACE, False), (10 * RECORD_GRACE, False)]
)
def test_records_stay_for_72_hours_whatever_grace(age, carried):
    assert RECORD_GRACE == 72 * HOUR
    for grace in (0, HOUR, 1000 * HOUR):
        old = old_record("x", None if age is None else NOW - age)
        got = plan([remote("a")], [old], grace=grace)
        assert bool(got.carried) is carried
        assert bool(got.expired) is (not carried)


def test_a_record_whose_name_holds_no_checksum_cannot_be_carried():
    old = entry("repodata/primary.xml.gz", "x", Kind.RECORD)
    got = plan([remote("a")], [old], grace=HOUR)
    assert (got.carried, got.retired) == ([], [old])


def test_a_record_whose_promise_is_lost_is_judged_by_its_name():
    lost = Entry(named("x"), 1, Kind.RECORD, None, None)
    plain = Entry("repodata/primary.xml.gz", 1, Kind.RECORD, None, None)
    assert [found.path for found in plan([remote("a")], [lost, plain]).carried] == [lost.path]


def test_deltas_are_as_packages():
    old = entry("drpms/x", kind=Kind.DELTA)
    assert plan([remote("a")], [old], grace=0).carried == []
    assert [found.path for found in plan([remote("a")], [old], grace=HOUR).carried] == ["drpms/x"]


def test_the_index_is_never_carried_nor_retired():
    old = entry("repodata/repomd.xml", kind=Kind.INDEX)
    got = plan([remote("a")], [old], grace=HOUR)
    assert (got.carried, got.retired, got.expired) == ([], [], [])


def test_the_clock_at_zero_is_a_time_too():
    got = plan([remote("a")], [entry("old")], grace=HOUR, now=0)
    assert got.carried[0].retired == 1


def test_carried_files_keep_everything_else():
    old = Entry("old", 77, Kind.PACKAGE, Checksum("sha1", "b" * 40), Checksum("sha256", "c" * 64))
    (carried,) = plan([remote("a")], [old], grace=HOUR).carried
    assert (carried.path, carried.size, carried.kind, carried.promised, carried.key) == (
        old.path,
        old.size,
        old.kind,
        old.promised,
        old.key,
    )


@pytest.mark.parametrize(("old", "new"), [("a/b", "a"), ("a/b/c", "a"), ("a", "a/b"), ("a", "a/b/c"), ("a/b", "a/b/c")])
@pytest.mark.parametrize("retired", [None, NOW - 10])
def test_what_is_in_the_way_of_a_new_file_is_not_carried(old, new, retired):
    got = plan([remote(new)], [entry(old, retired=retired), entry("other")], grace=HOUR)
    assert [found.path for found in got.carried] == ["other"]
    assert got.changes


def test_a_neighbour_is_not_in_the_way():
    got = plan([remote("a/b")], [entry("a/c"), entry("ab"), entry("a.b/x")], grace=HOUR)
    assert {found.path for found in got.carried} == {"a/c", "ab", "a.b/x"}


def test_an_expiry_alone_is_a_change():
    a = remote("a")
    got = plan([a], [entry("a"), entry("old", retired=NOW - 2 * HOUR)], have=[a], grace=HOUR)
    assert got.changes
    assert not got.fetch
    assert got.new == 0


def test_what_is_still_carried_is_no_change():
    a = remote("a")
    assert not plan([a], [entry("a"), entry("old", retired=NOW - 10)], have=[a], grace=HOUR).changes


# The guard


@pytest.mark.parametrize(
    ("before", "after", "max_shrink", "refused"),
    [
        (0, 0, 0.5, False),
        (0, 10, 0.0, False),
        (10, 10, 0.0, False),
        (10, 11, 0.0, False),
        (10, 9, 0.0, True),
        (10, 5, 0.5, False),
        (10, 4, 0.5, True),
        (10, 1, 1.0, False),
        (10, 0, 1.0, True),
        (1, 0, 1.0, True),
        (1000, 499, 0.5, True),
        (1000, 500, 0.5, False),
    ],
)
def test_shrink(before, after, max_shrink, refused):
    previous = [entry(f"old{number}") for number in range(before)]
    wanted = [remote(f"new{number}") for number in range(after)]
    if refused:
        with pytest.raises(GuardError, match=f"from {before} to {after}") as raised:
            plan(wanted, previous, max_shrink=max_shrink, allow_shrink=False)
        assert raised.value.exit_status == 8
        assert "--allow-shrink" in raised.value.message
    else:
        plan(wanted, previous, max_shrink=max_shrink, allow_shrink=False)
    assert plan(wanted, previous, max_shrink=max_shrink).packages == after


def test_shrink_counts_packages_that_upstream_had_and_nothing_else():
    previous = [entry("a"), entry("gone", retired=NOW - 1), entry("d", kind=Kind.DELTA), old_record("x")]
    plan([remote("a")], previous, max_shrink=0.0, allow_shrink=False)
    with pytest.raises(GuardError):
        plan([remote("d", kind=Kind.DELTA), remote("r", kind=Kind.RECORD)], previous, allow_shrink=False)


# Promises that contradict each other


@pytest.mark.parametrize("kind", [Kind.RECORD, Kind.DELTA])
@pytest.mark.parametrize("first", [True, False])
def test_one_path_has_one_kind(kind, first):
    """A package that is promised as metadata too would pass for that, and its signature would not be asked for."""
    package = RemoteFile("a.rpm", sha256("a"), 1, Kind.PACKAGE)
    other = RemoteFile("a.rpm", sha256("a"), 1, kind)
    with pytest.raises(RepodataError, match="and as a"):
        collect([package, other] if first else [other, package])


def test_collect_keeps_order_and_one_of_each_path():
    a, same = remote("a"), remote("./a", "a")
    assert list(collect([remote("b"), a, same])) == ["b", "a"]


@pytest.mark.parametrize("href", ["a", "./a", ".//a"])
def test_one_href_with_two_checksums(href):
    with pytest.raises(RepodataError) as raised:
        collect([remote("a", "one"), remote(href, "two")])
    assert raised.value.href == "a"
    assert str(sha256("one")) in raised.value.message
    assert str(sha256("two")) in raised.value.message


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "x", "a")])
def test_a_file_that_is_a_folder_too(paths):
    with pytest.raises(RepodataError, match="folder"):
        collect(map(remote, paths))
