"""The judgement of a load: counts, quantiles, sessions."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.evidence.tally import FAILURES_KEPT_MAX, SERVERS_MAX, Failure, Latencies, Session, Tally


@given(st.lists(st.floats(0.001, 60_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.99, 1.0]))
def test_a_quantile_is_within_two_percent_of_the_exact_one(values: list[float], share: float) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert exact / 1.001 <= latencies.quantile(share) <= exact * 1.0201
    assert latencies.largest == max(values)


def test_without_requests_everything_is_zero_and_there_is_no_bound() -> None:
    outcome = Tally().outcome(1.0, set())
    assert (outcome.requests, outcome.failed, outcome.p50, outcome.max, outcome.bound) == (0, 0, 0.0, 0.0, None)


def test_the_rule_of_three_bounds_the_share_of_failures_when_there_was_none() -> None:
    tally = Tally()
    for _ in range(3000):
        tally.good("close", "a", 1.0, 0.5)
    assert tally.outcome(2.0, set()).bound == pytest.approx(0.001)
    assert tally.outcome(2.0, set()).rate == 1500
    tally.bad(Failure("t", "close", "reset"))
    assert tally.outcome(2.0, set()).bound is None


def test_every_failure_is_counted_and_the_first_hundred_are_kept() -> None:
    tally = Tally()
    for number in range(FAILURES_KEPT_MAX + 50):
        tally.bad(Failure(f"t{number}", "close", "reset" if number % 2 else "timeout", "why"))
    outcome = tally.outcome(1.0, set())
    assert outcome.failed == outcome.requests == FAILURES_KEPT_MAX + 50
    assert len(outcome.failures) == FAILURES_KEPT_MAX
    assert outcome.by_reason == {"timeout": 75, "reset": 75}
    assert outcome.by_kind == {"close": {"requests": 150, "failed": 150}}


def test_first_and_last_answer_of_each_server_are_told() -> None:
    tally = Tally()
    for server, at in (("a", 0.1), ("b", 2.0), ("a", 3.0), ("b", 2.5)):
        tally.good("close", server, 1.0, at)
    outcome = tally.outcome(4.0, set())
    assert outcome.first_answer == {"a": 0.1, "b": 2.0}
    assert outcome.last_answer == {"a": 3.0, "b": 2.5}


def test_servers_without_number_do_not_fill_the_memory() -> None:
    tally = Tally()
    for number in range(SERVERS_MAX + 10):
        tally.good("close", str(number), 1.0, 0.0)
    assert len(tally.by_server) == SERVERS_MAX + 1
    assert tally.by_server["(others)"] == 10


def test_a_session_that_stays_and_counts_is_neither_moved_nor_reset() -> None:
    tally, session = Tally(), Session()
    for counter in (1, 2, 3):
        tally.session(session, "a", counter)
    outcome = tally.outcome(1.0, set())
    assert (outcome.sessions, outcome.sessions_moved, outcome.sessions_reset) == (1, 0, 0)


def test_a_session_that_left_a_living_server_moved_without_a_known_reason() -> None:
    tally = Tally()
    for server in ("a", "b"):
        session = Session()
        tally.session(session, server, 1)
        tally.session(session, "c", 1)
        tally.session(session, "c", 2)
    outcome = tally.outcome(1.0, {"a"})
    assert (outcome.sessions, outcome.sessions_moved, outcome.sessions_moved_unexplained) == (2, 2, 1)
    assert outcome.sessions_reset == 0


@pytest.mark.parametrize("counter", [1, 5, 7, 0])
def test_a_session_whose_counter_does_not_grow_by_one_was_reset(counter: int) -> None:
    tally, session = Tally(), Session("a", 5)
    tally.session(session, "a", counter)
    assert tally.outcome(1.0, set()).sessions_reset == 1


def test_a_new_session_that_does_not_begin_at_one_is_counted_as_reset() -> None:
    tally = Tally()
    tally.session(Session(), "a", 17)
    assert tally.outcome(1.0, set()).sessions_reset == 1


def test_the_outcome_is_plain_json_and_a_text_that_names_each_reason() -> None:
    tally = Tally()
    tally.good("close", "a", 1.0, 0.5)
    tally.bad(Failure("2026-01-01T00:00:00.000Z", "close", "status 503", "no server"))
    outcome = tally.outcome(1.0, set())
    again = json.loads(json.dumps(outcome.as_json()))
    assert again["failures"][0]["reason"] == "status 503"
    assert again["requests"] == 2
    text = str(outcome)
    assert "2 requests in 1.0 s" in text
    assert "1 x status 503" in text
    assert "no server" in text
