"""What follows of an alert from lines and time: as counting anew at every look says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from logship.view.alerts.counts import GROUPS_MAX, OTHERS
from logship.view.alerts.evaluation import Change, Evaluation, read_evaluation
from logship.view.alerts.rule import Rule
from logship.view.alerts.standing import FIRING, RESOLVED
from tests.logship.view.alerting import T0, Lines, gaps, lines_of, rule, rules


def expected(one: Rule, lines: Lines, to_ms: int, began_ms: int) -> list[tuple[int, tuple[str, ...], str, int]]:
    """The same by counting all lines anew at every look."""
    found = []
    states: dict[tuple[str, ...], dict[str, Any]] = {} if one.by else {(): {"state": "quiet", "seen": 0}}
    for at in range(began_ms + one.every_ms, to_ms + 1, one.every_ms):
        values = Counter(group for received, group in lines if at - one.window_ms < received <= at)
        settled = at - began_ms >= one.window_ms
        for group in values:
            states.setdefault(group, {"state": "quiet", "seen": at})
        for group, standing in [*states.items()]:
            value = values[group]
            standing["seen"] = at if value else standing["seen"]
            missing = one.above is None
            if one.by and not value:
                gone = (
                    at - standing["seen"] >= one.window_ms + one.forget_ms if missing else standing["state"] == "quiet"
                )
                if gone:
                    if standing["state"] == "firing":
                        found.append((at, group, RESOLVED, 0))
                    del states[group]
                    continue
            firing = standing["state"] == "firing"
            holds = one.holds(value, firing)
            if not settled and holds == missing:
                standing["state"] = "firing" if firing else "quiet"
            elif firing and holds:
                standing["over"] = None
            elif firing:
                standing["over"] = standing["over"] or at
                if at - standing["over"] >= one.resolve_ms:
                    standing["state"] = "quiet"
                    found.append((at, group, RESOLVED, value))
            elif not holds:
                standing["state"] = "quiet"
            else:
                if standing["state"] == "quiet":
                    standing |= {"state": "pending", "since": at}
                if at - standing["since"] >= one.for_ms:
                    standing |= {"state": "firing", "over": None}
                    found.append((at, group, FIRING, value))
    return found


def seen(changes: Sequence[Change]) -> Counter[tuple[int, tuple[str, ...], str, int]]:
    return Counter((one.at_ms, one.group, one.status, one.value) for one in changes)


@given(rules, gaps, st.integers(0, 2_000_000))
def test_what_changes_is_what_counting_anew_at_every_look_says(
    one: Rule, said: list[tuple[int, int]], rest: int
) -> None:
    lines = lines_of(one, said)
    to_ms = (lines[-1][0] if lines else T0) + rest
    evaluation = Evaluation(one, T0)
    changes: list[Change] = []
    for received_ms, group in lines:
        changes += evaluation.line(received_ms, group)
    changes += evaluation.advance(to_ms)
    assert seen(changes) == Counter(expected(one, lines, to_ms, T0))
    assert [each.firing for each in changes if each.status == FIRING] == [*range(1, evaluation.firings + 1)]


@given(rules, gaps, st.data())
def test_it_is_the_same_however_often_it_stops_and_goes_on(one: Rule, said: list[tuple[int, int]], data: Any) -> None:
    straight, broken = Evaluation(one, T0), Evaluation(one, T0)
    for received_ms, group in lines_of(one, said):
        if data.draw(st.booleans()):
            broken, changes = read_evaluation(one, json.loads(json.dumps(broken.fields())))
            assert changes == []
        assert straight.line(received_ms, group) == broken.line(received_ms, group)
    assert straight.advance(T0 + 10**7) == broken.advance(T0 + 10**7)


@given(rules, gaps, st.integers(-(10**9), 10**9), st.integers(0, 59))
def test_a_clock_that_is_set_changes_nothing_but_the_times(
    one: Rule, said: list[tuple[int, int]], by_ms: int, cut: int
) -> None:
    by_ms = by_ms // one.every_ms * one.every_ms
    straight, moved = Evaluation(one, T0), Evaluation(one, T0)
    for number, (received_ms, group) in enumerate(lines_of(one, said)):
        if number == cut:
            moved.shift(by_ms)
        since_ms = by_ms if number >= cut else 0
        want = straight.line(received_ms, group)
        found = moved.line(received_ms + since_ms, group)
        assert [(each.at_ms + since_ms, each.status, each.value) for each in want] == [
            (each.at_ms, each.status, each.value) for each in found
        ]


def test_a_line_that_comes_late_counts_in_the_next_look_and_a_silent_year_costs_nothing() -> None:
    one = rule(above=0)
    evaluation = Evaluation(one, T0)
    assert evaluation.advance(T0 + 100_000) == []
    assert evaluation.line(T0 + 95_000, ()) == []
    assert [each.at_ms for each in evaluation.advance(T0 + 110_000)] == [T0 + 110_000]
    year_ms = 365 * 86_400_000
    looks = 0

    class Counted(Evaluation):
        def _look(self) -> Any:
            nonlocal looks
            looks += 1
            return super()._look()

    absent = Counted(rule(above=None, absent=True), T0)
    changes = absent.advance(T0 + year_ms)
    assert [each.at_ms for each in changes] == [T0 + 60_000]
    assert looks < 20


def test_what_was_received_before_an_alert_was_declared_counts_for_none() -> None:
    evaluation = Evaluation(rule(above=0), T0)
    assert evaluation.line(T0 - 1, ()) == []
    assert evaluation.line(T0, ()) == []
    assert evaluation.advance(T0 + 60_000) == []
    assert evaluation.line(T0 + 60_001, ()) == []
    assert len(evaluation.advance(T0 + 70_000)) == 1


def test_what_is_missing_needs_a_window_that_was_seen_whole() -> None:
    evaluation = Evaluation(rule(above=None, absent=True), T0)
    assert evaluation.advance(T0 + 50_000) == []
    assert [each.status for each in evaluation.advance(T0 + 60_000)] == [FIRING]
    evaluation.unseen()
    assert evaluation.advance(T0 + 110_000) == []  # it goes on to fire: nobody knows better
    assert evaluation.line(T0 + 111_000, ()) == []
    assert [each.status for each in evaluation.advance(T0 + 140_000)] == [RESOLVED]


def test_groups_beyond_the_bound_are_counted_together() -> None:
    evaluation = Evaluation(rule(by=["client_ip"], above=50), T0)
    for number in range(GROUPS_MAX + 60):
        assert evaluation.line(T0 + 1, (f"10.0.{number // 250}.{number % 250}",)) == []
    changes = evaluation.advance(T0 + 10_000)
    assert [(each.group, each.value) for each in changes] == [((OTHERS,), 60)]


def test_what_fires_goes_on_when_only_the_threshold_changes_and_ends_when_the_groups_do() -> None:
    one = rule(by=["server"])
    evaluation = Evaluation(one, T0)
    for _ in range(5):
        evaluation.line(T0 + 1, ("s1",))
    assert [each.status for each in evaluation.advance(T0 + 10_000)] == [FIRING]
    fields = json.loads(json.dumps(evaluation.fields()))
    same, changes = read_evaluation(rule(by=["server"], above=4), fields)
    assert (changes, same.value(("s1",))) == ([], 5)
    other, changes = read_evaluation(rule(by=["server"], query="status:4xx"), fields)
    assert (changes, other.value(("s1",)), [*other.standings]) == ([], 0, [("s1",)])
    _, changes = read_evaluation(rule(by=["status"]), fields)
    assert [(each.status, each.why) for each in changes] == [(RESOLVED, "it is declared in another way")]
