"""Retention: the oldest finished segments go by age and size; streams of which nothing is left become tombstones."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from logship.collect.retention import ASKED_MS_STEP, DAY_SECONDS, Age, Policy, deletable, ended
from logship.collect.stream import StreamState
from logship.values import StreamPath

SEGMENTS = [Age(0, 100, 1000), Age(100, 200, 2000), Age(200, 300, 3000), Age(300, 310, 3500)]
DAY_MS = DAY_SECONDS * 1000


def test_nothing_goes_without_a_policy() -> None:
    assert deletable(SEGMENTS, Policy(), 10**12) == 0
    assert deletable([], Policy(age_seconds=0), 10**12) == 0


def test_segments_go_when_their_newest_frame_is_too_old_but_never_the_last() -> None:
    for now_ms, count in ((3000, 0), (3001, 1), (4001, 2), (5001, 3), (10**12, 3)):
        assert deletable(SEGMENTS, Policy(age_seconds=2), now_ms) == count, now_ms


def test_segments_go_until_the_journal_is_small_enough() -> None:
    for limit, count in ((310, 0), (309, 1), (210, 1), (209, 2), (10, 3), (0, 3)):
        assert deletable(SEGMENTS, Policy(journal_bytes=limit), 0) == count, limit


@given(st.integers(0, 400), st.integers(0, 5), st.integers(0, 10_000))
def test_what_is_kept_is_within_the_policy_or_only_the_last(limit: int, age: int, now_ms: int) -> None:
    count = deletable(SEGMENTS, Policy(limit, age), now_ms)
    kept = SEGMENTS[count:]
    assert kept
    if len(kept) > 1:
        assert kept[-1].end - kept[0].lsn <= limit
        assert now_ms - kept[0].newest_ms <= age * 1000
    if count:
        before = SEGMENTS[count - 1]
        assert SEGMENTS[-1].end - before.lsn > limit or now_ms - before.newest_ms > age * 1000


STREAM = StreamState(
    StreamPath("a/b"), 10, 1000, "text/plain", next_offset=5, last_lsn=20, last_append_ms=2000, closed=True
)


def ends(stream: StreamState, kept_lsn: int, now_ms: int, first: int = 5, asked: bool = False) -> str:
    """What becomes of one stream."""
    found = ended([stream], lambda _: first, kept_lsn, frozenset([stream.path] if asked else []), Policy(), now_ms)
    return "retire" if found.retire else "forget" if found.forget else "stays"


def test_a_closed_stream_becomes_a_tombstone_when_all_of_it_is_gone() -> None:
    assert ends(STREAM, 20, 10**9, first=0) == "stays"
    assert ends(STREAM, 21, 10**9) == "retire"
    empty = replace(STREAM, next_offset=0, last_lsn=None, last_append_ms=None)
    assert ends(empty, 10, 10**9, first=0) == "stays"
    assert ends(empty, 11, 10**9, first=0) == "retire"


def test_an_open_stream_may_be_quiet_for_long() -> None:
    quiet = replace(STREAM, closed=False)
    assert ends(quiet, 21, 2000 + 90 * DAY_MS) == "stays"
    assert ends(quiet, 21, 2001 + 90 * DAY_MS) == "retire"


def test_a_tombstone_goes_when_nobody_asked_for_it_and_stays_while_somebody_does() -> None:
    tomb = replace(STREAM, retired_ms=0)
    assert ends(tomb, 21, 90 * DAY_MS) == "stays"
    assert ends(tomb, 21, 90 * DAY_MS + 1) == "forget"
    assert ends(tomb, 21, 90 * DAY_MS + 1, asked=True) == "retire", "that it was asked for is recorded"
    assert ends(tomb, 21, ASKED_MS_STEP, asked=True) == "stays", "but not more than once a day"


def test_a_tombstone_whose_bytes_a_lake_has_is_not_forgotten_before_that_has_let_go_of_them() -> None:
    tomb = replace(STREAM, retired_ms=0)
    assert ends(tomb, 21, 900 * DAY_MS, first=2) == "stays"
    assert ends(tomb, 21, 900 * DAY_MS, first=5) == "forget"
