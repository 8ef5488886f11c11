"""What ship says of itself: enough to act on, never more because of itself."""

from __future__ import annotations

import io
import json

import pytest

from logship.ship.log import SNAPSHOT_SECONDS, SNAPSHOT_SOURCES_MAX, SUMMARY_BYTES_MIN, SUMMARY_SECONDS, Log


def events(out: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in out.getvalue().splitlines()]


@pytest.mark.case(79)
def test_an_outage_is_two_lines_however_long_it_lasts() -> None:
    out = io.StringIO()
    log = Log(out)
    for second in range(1000):
        log.failed("refused", second)
    log.answered(1000)
    log.answered(1001)
    assert events(out) == ["no answer", "answers again"]
    assert json.loads(out.getvalue().splitlines()[1])["failures"] == 1000


def test_a_collector_that_comes_and_goes_is_told_of_once_a_minute_a_cause() -> None:
    out = io.StringIO()
    log = Log(out)
    for second in range(int(SUMMARY_SECONDS)):
        log.failed("503 busy" if second % 2 else "refused", second)
        log.answered(second + 0.5)
    assert events(out) == ["no answer", "answers again"] * 2
    log.failed("refused", SUMMARY_SECONDS + 1)
    assert events(out)[-1] == "no answer"


@pytest.mark.case(110)
def test_little_traffic_is_not_worth_a_line() -> None:
    out = io.StringIO()
    log = Log(out)
    for minute in range(100):
        log.moved(500, 300)
        log.summary(minute * SUMMARY_SECONDS, lambda: 0)
    assert events(out) == []
    log.moved(SUMMARY_BYTES_MIN, 300)
    for second in range(59):
        log.summary(100 * SUMMARY_SECONDS + second, lambda: 7)
    assert events(out) == ["shipped"]


def test_how_far_behind_sources_are_is_told_at_a_fixed_rate_and_in_a_bounded_line() -> None:
    out = io.StringIO()
    log = Log(out)
    sources = [{"program": f"p{number}", "incarnation": "i", "behind_bytes": 0} for number in range(1000)]
    for second in range(5 + int(SNAPSHOT_SECONDS)):
        log.snapshot(100.0 + second, lambda: sources, {"program": 4096})
    assert events(out) == ["snapshot"]
    said = json.loads(out.getvalue())
    assert (len(said["sources"]), said["untold"]) == (SNAPSHOT_SOURCES_MAX, 1000 - SNAPSHOT_SOURCES_MAX)
    assert said["budgets"] == {"program": 4096}
