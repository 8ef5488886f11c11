"""Whose turn it is, how much may go out, how long is waited: fair, bounded, and making progress on any line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.ship.backoff import ABSENT_SECONDS_MAX, RETRY_AFTER_SECONDS_MAX, SECONDS_MAX, Backoff
from logship.ship.schedule import (
    CHUNK_BYTES_MAX,
    CHUNK_BYTES_MIN,
    GATHER_LONGEST_AT,
    GATHER_SECONDS_MAX,
    GATHER_SECONDS_MIN,
    IN_FLIGHT_MAX,
    OUTAGE_GATHER_SECONDS,
    Gathering,
    Pace,
    Schedule,
)


def test_the_one_served_longest_ago_comes_first() -> None:
    schedule: Schedule[str] = Schedule()
    assert [schedule.pick(["hot", "quiet"], 0, 0) for _ in range(4)] == ["hot", "quiet", "hot", "quiet"]
    assert schedule.pick(["hot"], 0, 0) == "hot"
    assert schedule.pick(["hot", "new"], 0, 0) == "new"


@pytest.mark.case(98)
@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=50))
def test_nobody_waits_for_more_than_one_turn_of_each_other(wanting: list[set[str]]) -> None:
    schedule: Schedule[str] = Schedule()
    waited: dict[str, list[str]] = {}
    for now in wanting:
        key = schedule.pick(sorted(now), 0, 0)
        assert key is not None
        waited = {name: [*waited.get(name, []), key] for name in now if name != key}
        assert all(len(set(others)) == len(others) for others in waited.values())


def test_two_are_in_flight_and_one_while_nobody_answers() -> None:
    schedule: Schedule[str] = Schedule()
    assert schedule.pick("a", IN_FLIGHT_MAX - 1, 0) == "a"
    assert schedule.pick("a", IN_FLIGHT_MAX, 0) is None
    schedule.failed(now=0, chance=0.5)
    assert schedule.pick("a", 0, 0) is None
    assert schedule.pick("a", 0, schedule.held_until) == "a"
    assert schedule.pick("b", 1, schedule.held_until) is None
    schedule.answered()
    assert schedule.pick("b", 1, 0) == "b"


def test_waits_double_up_to_ten_seconds_and_are_spread_by_chance() -> None:
    backoff = Backoff()
    bounds = [backoff.next_seconds(1.0) for _ in range(12)]
    assert bounds[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert bounds[-1] == SECONDS_MAX
    assert backoff.next_seconds(0.25) == SECONDS_MAX / 4
    assert backoff.next_seconds(1.0, absent=True) == ABSENT_SECONDS_MAX, "nobody there is soon looked for again"
    backoff.reset()
    assert backoff.next_seconds(1.0) == pytest.approx(0.1)


@pytest.mark.case(78)
@given(st.integers(0, 10**9), st.floats(0, 1), st.integers(0, 10**6))
def test_what_the_other_side_asks_for_is_kept_up_to_a_minute(asked: int, chance: float, failures: int) -> None:
    backoff = Backoff()
    backoff.failures = failures
    seconds = backoff.next_seconds(chance, asked)
    assert min(asked, RETRY_AFTER_SECONDS_MAX) <= seconds <= 1.25 * RETRY_AFTER_SECONDS_MAX


def appends_over(pace: Pace, bytes_a_second: float, latency: float, count: int) -> tuple[float, int, int]:
    """Seconds, bytes and time-outs of ``count`` appends over a line that carries so much."""
    seconds, done, lost = 0.0, 0, 0
    for _ in range(count):
        size = pace.chunk_bytes
        took = latency + size / bytes_a_second
        if took > pace.timeout_seconds(size):
            seconds += pace.timeout_seconds(size)
            lost += 1
            pace.timed_out()
        else:
            pace.took(size, took)
            seconds += took
            done += size
    return seconds, done, lost


@pytest.mark.case(82)
@pytest.mark.parametrize("speed", [2_500, 8_000, 100_000, 1e7, 1e9])
@pytest.mark.parametrize("latency", [0.001, 0.3])
def test_a_line_of_any_speed_is_used_well_without_time_outs(speed: float, latency: float) -> None:
    pace = Pace()
    assert appends_over(pace, speed, latency, 20)[2] == 0
    seconds, done, lost = appends_over(pace, speed, latency, 20)
    assert lost == 0
    assert done / seconds > 0.5 * min(speed, CHUNK_BYTES_MAX / latency)


@pytest.mark.case(82)
def test_a_line_that_becomes_thin_costs_few_time_outs() -> None:
    pace = Pace()
    appends_over(pace, 1e8, 0.001, 20)
    assert pace.chunk_bytes == CHUNK_BYTES_MAX
    seconds, done, lost = appends_over(pace, 8_000, 0.1, 40)
    assert lost <= 3
    assert done / seconds > 2_000


def test_a_crowded_collector_is_sent_less_at_once_until_it_takes_more_again() -> None:
    pace = Pace()
    appends_over(pace, 1e9, 0.001, 20)
    pace.crowded()
    assert pace.chunk_bytes == CHUNK_BYTES_MAX // 2
    for _ in range(20):
        pace.crowded()
    assert pace.chunk_bytes == CHUNK_BYTES_MIN
    appends_over(pace, 1e9, 0.001, 20)
    assert pace.chunk_bytes == CHUNK_BYTES_MAX


def gathered(bytes_a_second: float, seconds: float) -> Gathering:
    """After a while in which each append carried what came since the one before."""
    gathering = Gathering()
    for _ in range(50):
        gathering.took(int(bytes_a_second * (gathering.seconds + seconds)), seconds)
    return gathering


def test_the_more_is_written_the_longer_lines_are_gathered_but_not_for_long() -> None:
    assert gathered(100, 0.002).seconds == pytest.approx(GATHER_SECONDS_MIN)
    assert gathered(1e9, 0.001).seconds == pytest.approx(GATHER_SECONDS_MAX)
    assert gathered(GATHER_LONGEST_AT * 0.7, 0).seconds == pytest.approx(GATHER_SECONDS_MAX * 0.7, rel=0.05)


def test_lines_are_gathered_for_as_long_as_an_append_takes() -> None:
    assert gathered(100, 0.03).seconds == pytest.approx(0.03)
    assert gathered(100, 10).seconds == pytest.approx(OUTAGE_GATHER_SECONDS)
    gathering = Gathering()
    gathering.failed()
    assert gathering.seconds == OUTAGE_GATHER_SECONDS


def test_small_appends_say_nothing_against_a_fast_line() -> None:
    pace = Pace()
    appends_over(pace, 1e8, 0.001, 20)
    for _ in range(100):
        pace.took(100, 0.5)
        pace.took(20_000, 0.5)
    assert pace.chunk_bytes == CHUNK_BYTES_MAX


@given(st.integers(1, 10**9), st.lists(st.tuples(st.integers(0, 1 << 20), st.floats(0, 100)), max_size=20))
def test_a_chunk_is_never_larger_than_the_collector_takes(limit: int, appends: list[tuple[int, float]]) -> None:
    pace = Pace()
    pace.limit(limit)
    for size, seconds in appends:
        pace.took(size, seconds)
        assert 1 <= pace.chunk_bytes <= max(1, min(limit, CHUNK_BYTES_MAX))
        pace.timed_out()
        assert 1 <= pace.chunk_bytes <= max(1, min(limit, CHUNK_BYTES_MIN))
