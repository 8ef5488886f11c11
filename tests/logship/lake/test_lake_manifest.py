"""The manifest: what is told once is told for good, and read back as it was."""

from __future__ import annotations

import pytest

from logship.lake.keep import GRACE_MS, Policy, is_over, removable
from logship.lake.manifest import Damaged, Deleted, File, Leaving, Manifest, Missing, parse
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


def test_a_file_that_has_left_stays_for_a_while_also_when_the_clock_is_set_back() -> None:
    leaving = Leaving("x", 1_000_000)
    assert not is_over(leaving, 1_000_000)
    assert not is_over(leaving, 1_000_000 + GRACE_MS - 1)
    assert is_over(leaving, 1_000_000 + GRACE_MS)
    assert is_over(leaving, 0)
