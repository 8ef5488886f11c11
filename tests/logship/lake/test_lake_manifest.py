"""The manifest: what is told once is told for good, and read back as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from logship.lake.keep import DAY_SECONDS, GRACE_MS, Policy, by_stream, is_over, removable, thinnable
from logship.lake.manifest import Damaged, Deleted, File, Leaving, Manifest, Missing, Thinned, parse
from logship.values import Invalid


def a_file(number: int, newest_received: int = 0) -> File:
    name = f"day=2026-11-30/{number}"
    streams = {"a/1/x/i": (number * 10, number * 10 + 10)}
    return File(name, number * 100, number * 100 + 100, 5, 1000, 10, 1, 2, 3, newest_received, streams, "ab")


def of_files(count: int) -> Manifest:
    found = Manifest()
    for number in range(count):
        found = found.sealed(number * 100 + 100, a_file(number, number * 1000))
    return found


def test_a_manifest_is_read_as_it_was_written() -> None:
    found = of_files(3).skipped(400, "why").sealed(500, None, (Damaged("a", 1, 2, 450, "broken"),))
    found = found.without_oldest(1, 77)
    assert parse(found.pack()) == found
    assert parse(Manifest().pack()) == Manifest()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"v": 2}', of_files(1).pack()[:-9], b'{"v": 1, "files": [1]}']
)
def test_what_is_no_manifest_of_this_version_is_refused(content: bytes) -> None:
    assert isinstance(parse(content), Invalid)


def test_no_range_is_sealed_twice_or_left_out() -> None:
    with pytest.raises(AssertionError):
        of_files(2).sealed(200, None)
    with pytest.raises(AssertionError):
        of_files(2).sealed(400, a_file(3))


def test_ranges_that_are_not_sealed_for_one_reason_are_one() -> None:
    found = Manifest().skipped(10, "gone").skipped(20, "gone").skipped(30, "broken")
    assert found.not_sealed == (Missing(0, 20, "gone"), Missing(20, 30, "broken"))


def test_what_retention_took_is_remembered_as_one_range() -> None:
    found = of_files(5).without_oldest(1, 7).without_oldest(2, 8)
    assert found.deleted == (Deleted(0, 300, 3, 15, 30, 3, 2000),)
    assert found.leaving == (
        Leaving("day=2026-11-30/0", 7),
        Leaving("day=2026-11-30/1", 8),
        Leaving("day=2026-11-30/2", 8),
    )
    assert [file.first_lsn for file in found.files] == [300, 400]
    assert found.without_leaving(frozenset({"day=2026-11-30/1"})).leaving == (found.leaving[0], found.leaving[2])


@pytest.mark.parametrize(
    ("policy", "count"),
    [
        (Policy(), 0),
        (Policy(bytes=5000), 0),
        (Policy(bytes=4999), 1),
        (Policy(bytes=0), 5),
        (Policy(age_seconds=2), 3),
        (Policy(bytes=1000, age_seconds=4), 4),
    ],
)
def test_the_oldest_files_go_by_size_and_by_age(policy: Policy, count: int) -> None:
    assert removable(of_files(5), policy, 5000) == count


def of_streams(*paths: str, newest_received: int = 0) -> File:
    return replace(a_file(0, newest_received), streams=dict.fromkeys(paths, (0, 10)))


def test_of_a_file_go_those_streams_that_are_kept_less_long_than_others() -> None:
    policy = Policy(age_seconds=100, streams=(("web/*", 10), ("*/audit/*", None), ("ha/*", 200)))
    files = (of_streams("web/1", "x/audit/1", "x/1", "ha/1"), of_streams("x/audit/1", newest_received=9_500))
    for seconds, gone in (
        (10, None),
        (11, {"web/1"}),
        (100, {"web/1"}),
        (101, {"web/1", "x/1"}),
        (201, {"web/1", "x/1", "ha/1"}),
        (10**9, {"web/1", "x/1", "ha/1"}),
    ):
        found = thinnable(Manifest(files=files), policy, seconds * 1000)
        assert found == (None if gone is None else (0, frozenset(gone))), seconds
    assert thinnable(Manifest(files=files), policy, 10**12, frozenset({files[0].name})) is None
    assert thinnable(Manifest(files=files), Policy(age_seconds=1), 10**12) is None


def test_a_file_goes_by_age_when_all_its_streams_are_old_and_by_size_in_any_case() -> None:
    policy = Policy(age_seconds=10, streams=(("web/*", 100), ("log/*", None)))
    assert removable(Manifest(files=(of_streams("x", "y"),)), policy, 10_001) == 1
    assert removable(Manifest(files=(of_streams("x", "web/1"),)), policy, 100_000) == 0
    assert removable(Manifest(files=(of_streams("x", "web/1"),)), policy, 100_001) == 1
    assert removable(Manifest(files=(of_streams("x", "log/1"),)), policy, 10**12) == 0
    assert removable(Manifest(files=(of_streams("log/1"),)), replace(policy, bytes=999), 0) == 1


def test_the_setting_of_streams_is_read_in_order_or_refused() -> None:
    assert by_stream("") == ()
    assert by_stream(" web/*=7\n*=x=0 ") == (("web/*", 7 * DAY_SECONDS), ("*=x", None))
    for wrong in ("web/*", "web/*=", "=7", "web/*=-1", "web/*=1.5", "a=1 b", "a=36501", "a=7d"):
        assert isinstance(by_stream(wrong), Invalid), wrong


def test_what_left_a_file_is_remembered_by_stream_until_all_before_it_is_gone() -> None:
    both = {"a/1/x/i": (0, 10), "b/1/x/i": (5, 25)}
    manifest = of_files(3)
    manifest = replace(manifest, files=tuple(replace(file, streams=both) for file in manifest.files))
    name = manifest.files[0].name
    rest = replace(manifest.files[0], name="rest", rows=2, streams={"b/1/x/i": (5, 25)})
    thin = manifest.thinner(0, rest, frozenset({"a/1/x/i"}), 7)
    assert thin.files == (rest, *manifest.files[1:])
    assert (thin.thinned, thin.leaving) == ((Thinned("a/1/x/i", 100, 10, 0),), (Leaving(name, 7),))
    assert parse(thin.pack()) == thin
    gone = thin.thinner(1, None, frozenset(both), 8)
    assert gone.files == (rest, manifest.files[2])
    assert gone.thinned == (Thinned("a/1/x/i", 200, 10, 1000), Thinned("b/1/x/i", 200, 25, 1000))
    assert gone.without_oldest(1, 9).thinned == gone.thinned, "they are gone up to 200, all else up to 100"
    assert gone.without_oldest(2, 9).thinned == ()
    with pytest.raises(AssertionError):
        manifest.thinner(0, rest, frozenset({"b/1/x/i"}), 7)


def test_a_file_that_has_left_stays_for_a_while_also_when_the_clock_is_set_back() -> None:
    leaving = Leaving("x", 1_000_000)
    assert not is_over(leaving, 1_000_000)
    assert not is_over(leaving, 1_000_000 + GRACE_MS - 1)
    assert is_over(leaving, 1_000_000 + GRACE_MS)
    assert is_over(leaving, 0)
