"""Alerts as values: what is declared, what follows from lines and time, what is told, whatever stops in between."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.view.alerts.book import Book, Match, read_book
from logship.view.alerts.counts import GROUPS_MAX, OTHERS
from logship.view.alerts.declaring import parse_of_all, parse_rule
from logship.view.alerts.evaluation import Change, Evaluation, read_evaluation
from logship.view.alerts.notices import Notices
from logship.view.alerts.outbox import AGAIN, LINES_MAX, QUEUE_MAX, REFUSED, TAKEN, Outbox, Post
from logship.view.alerts.rule import OF_ALL, OfAll, Rule, said_duration
from logship.view.alerts.standing import FIRING, RESOLVED
from logship.view.saved import Fault, Saved

T0 = 1_795_464_000_000
HOOK = "http://127.0.0.1:9/hook"
QUERIES = {"errors": Saved("errors", "status:5xx"), "table": Saved("table", "| count by server")}


def rule(**said: Any) -> Rule:
    """One as the file would make it."""
    table = {"query": "status:5xx", "above": 3, "window": "1m", "every": "10s", "resolve_after": "20s", **said}
    found = parse_rule("it", {key: value for key, value in table.items() if value is not None}, OfAll(OF_ALL), QUERIES)
    assert isinstance(found, Rule), found
    return found


# What is declared.


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ({"above": None}, "", "no threshold"),
        ({"below": 2}, "below", "above and below"),
        ({"above": None, "absent": False}, "absent", "no threshold"),
        ({"above": -1}, "above", "no number of lines"),
        ({"above": True}, "above", "no number of lines"),
        ({"above": "3"}, "above", "no number of lines"),
        ({"above": None, "below": 0}, "below", "never fewer than 0"),
        ({"clear": 4}, "clear", "over at once"),
        ({"above": None, "below": 3, "clear": 2}, "clear", "over at once"),
        ({"above": None, "absent": True, "clear": 2}, "clear", "absent has no clear"),
        ({"query": None}, "", "no query"),
        ({"query": "status:=5"}, "query", "status is a number"),
        ({"query": "status:5xx | count"}, "query", "it has a pipe"),
        ({"query": "@table"}, "query", "it has a pipe"),
        ({"query": "@eror"}, "query", "did you mean @errors?"),
        ({"query": ""}, "query", "empty"),
        ({"query": 7}, "query", "no text"),
        ({"window": "soon"}, "window", "no span of time"),
        ({"window": "0s"}, "window", "no time at all"),
        ({"window": "32d"}, "window", "longer than 31 days"),
        ({"window": "25s"}, "every", "is not so many times"),
        ({"window": "1d"}, "every", "is not so many times"),
        ({"by": "sever"}, "by", "did you mean server?"),
        ({"by": ["status:klass"]}, "by", "no way to group"),
        ({"by": ["server", "server"]}, "by", "twice"),
        ({"by": ["a", "b", "c", "d", "e"]}, "by", "at most 4"),
        ({"by": ["server by status"]}, "by", ""),
        ({"webhook": "ftp://x"}, "webhook", "no plain URL"),
        ({"webhook": "http://me:secret@x/"}, "webhook", "no plain URL"),
        ({"webhook": "http://x:70000/"}, "webhook", "no plain URL"),
        ({"labels": {"alertname": "x"}}, "labels", "no name of a label"),
        ({"labels": {"a": 1}}, "labels", "no text"),
        ({"abov": 3}, "abov", "there is no abov"),
        ({"snapshots": "yes"}, "snapshots", "not true or false"),
    ],
)
def test_what_is_wrong_with_an_alert_names_its_key_and_what_to_do(table: dict[str, Any], key: str, words: str) -> None:
    whole = {"query": "status:5xx", "above": 3, "window": "1m", "every": "10s", **table}
    found = parse_rule("it", {name: said for name, said in whole.items() if said is not None}, OfAll(OF_ALL), QUERIES)
    assert isinstance(found, Fault)
    assert found.key == key
    assert words in found.cause or words in found.hint
    assert found.hint


def test_what_holds_for_all_alerts_is_their_default() -> None:
    of_all = parse_of_all({"webhook": HOOK, "quiet": "5m", "url": "http://logs:8080/"})
    assert isinstance(of_all, OfAll)
    table = {"query": "@errors path:/x", "above": 3, "window": "1h", "by": "status:class"}
    found = parse_rule("it", table, of_all, QUERIES)
    assert isinstance(found, Rule)
    assert (found.webhook, found.quiet_ms, found.every_ms, found.resolve_ms) == (HOOK, 300_000, 15_000, 60_000)
    assert (found.query, [key.name for key in found.by]) == ("(status:5xx) path:/x", ["status:class"])
    assert (found.condition, of_all.url) == ("more than 3 lines in 1h", "http://logs:8080")
    for wrong in ({"quit": "5m"}, {"webhook": "x"}, {"repeat": "x"}, {"quiet": 5}):
        assert isinstance(parse_of_all(wrong), Fault)


@given(st.integers(0, 31 * 86_400))
def test_a_span_of_time_is_said_as_it_is_read(seconds: int) -> None:
    assert rule(**{"for": said_duration(seconds * 1000)}).for_ms == seconds * 1000


# What follows from lines and time.

Lines = list[tuple[int, tuple[str, ...]]]


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


thresholds = st.sampled_from([
    {"above": 2}, {"above": 4, "clear": 1}, {"above": 0}, {"above": None, "below": 2},
    {"above": None, "below": 1, "clear": 3}, {"above": None, "absent": True},
])  # fmt: skip
rules = st.builds(
    lambda threshold, for_s, resolve, by, forget: rule(
        **threshold, **{"for": for_s}, resolve_after=resolve, by=by, forget=forget
    ),
    thresholds, st.sampled_from(["0s", "10s", "30s"]), st.sampled_from(["0s", "20s", "1m"]),
    st.sampled_from([[], ["server"]]), st.sampled_from(["30s", "5m"]),
)  # fmt: skip
gaps = st.lists(
    st.tuples(st.one_of(st.integers(0, 9_000), st.sampled_from([0, 10_000, 60_000, 700_000])), st.integers(0, 2)),
    max_size=60,
)


def lines_of(one: Rule, said: Sequence[tuple[int, int]]) -> Lines:
    """Lines with so many milliseconds between them, each of one of three servers."""
    at, found = T0 + 1, list[tuple[int, tuple[str, ...]]]()
    for gap, server in said:
        at += gap
        found.append((at, (f"s{server}",) if one.by else ()))
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


# What is told.


def matches(one: Rule, said: Sequence[tuple[int, int]]) -> list[Match]:
    return [Match(received_ms, one.name, group) for received_ms, group in lines_of(one, said)]


def run(book: Book, found: Sequence[Match], steps: Sequence[int], restart: Any) -> Book:
    """A journal read in steps, the clock a second behind the lines; ``restart`` may make another book of one."""
    at = 0
    now_ms = T0
    for size in [*steps, len(found)]:
        part = found[at : at + size]
        at += len(part)
        now_ms = max(now_ms, part[-1].received_ms if part else now_ms) + 1000
        book = restart(book)
        if part:
            book.take(part, part[-1].received_ms, at, now_ms)
        book.caught_up(now_ms)
        book.post_due(now_ms)
    for _ in range(30):
        now_ms += 60_000
        book = restart(book)
        book.caught_up(now_ms)
        book.post_due(now_ms)
    return book


def anew(book: Book, one: Rule) -> Book:
    """As a process that was killed after it had kept its book."""
    found = read_book(json.loads(json.dumps(book.fields())))
    found.declare({one.name: one}, OfAll(OF_ALL), T0)
    return found


@given(rules, gaps, st.lists(st.integers(1, 9), max_size=30), st.data())
def test_killed_at_any_step_it_comes_to_the_same_from_what_was_kept_before(
    one: Rule, said: list[tuple[int, int]], steps: list[int], data: Any
) -> None:
    """What was not kept follows once more, with the same numbers, however much later it is read."""
    found = matches(one, said)
    straight, kept = Book("id"), Book("id")
    for book in (straight, kept):
        book.declare({one.name: one}, OfAll(OF_ALL), T0)
    straight = run(straight, found, steps, lambda book: book)
    now_ms, at, ends = T0, 0, [sum(steps[: number + 1]) for number in range(len(steps))]
    saved = json.dumps(kept.fields())
    while at < len(found):
        if data.draw(st.booleans()):  # killed: what happened since is forgotten
            kept = read_book(json.loads(saved))
            kept.declare({one.name: one}, OfAll(OF_ALL), now_ms)
            at = kept.cursor or 0
            now_ms += data.draw(st.integers(0, 500_000))
        end = next((each for each in ends if each > at), len(found))
        part = found[at:end]
        if not part:
            break
        at += len(part)
        now_ms = max(now_ms, part[-1].received_ms + 1000)
        kept.take(part, part[-1].received_ms, at, now_ms)
        if data.draw(st.booleans()):
            saved = json.dumps(kept.fields())
    kept.caught_up(T0 + 10**8)
    straight.caught_up(T0 + 10**8)

    def what(book: Book) -> list[dict[str, Any]]:
        lines = [json.loads(text) for _, text in book.outbox.lines]
        return [{key: line[key] for key in line.keys() - {"time", "late_seconds"}} for line in lines]

    assert what(kept) == what(straight)


hooked = rules.map(lambda one: replace(one, webhook=HOOK))


@given(hooked, gaps, st.lists(st.integers(1, 9), max_size=30), st.data())
def test_a_restart_at_any_step_tells_the_same(
    one: Rule, said: list[tuple[int, int]], steps: list[int], data: Any
) -> None:
    straight, broken = Book("id"), Book("id")
    for book in (straight, broken):
        book.declare({one.name: one}, OfAll(OF_ALL), T0)
    found = matches(one, said)
    straight = run(straight, found, steps, lambda book: book)
    broken = run(broken, found, steps, lambda book: anew(book, one) if data.draw(st.booleans()) else book)
    assert broken.outbox.lines == straight.outbox.lines
    assert broken.outbox.fields() == straight.outbox.fields()


@given(hooked, gaps, st.lists(st.integers(1, 9), max_size=30))
def test_each_firing_is_told_to_the_webhook_once_and_none_too_often(
    one: Rule, said: list[tuple[int, int]], steps: list[int]
) -> None:
    book = Book("id")
    book.declare({one.name: one}, OfAll(OF_ALL), T0)
    book = run(book, matches(one, said), steps, lambda each: each)
    lines = [json.loads(text) for _, text in book.outbox.lines]
    fired = [line["firing"] for line in lines if line["status"] == FIRING]
    posts = book.outbox.hooks[HOOK].posts if fired else []
    bodies = [json.loads(post.body) for post in posts]
    told = [int(part) for body in bodies for entry in body["alerts"] for part in _fresh(entry)]
    assert sorted({*told}) == fired
    made = [post.made_ms for post in posts]
    assert all(later - earlier >= one.quiet_ms for earlier, later in pairwise(made))
    assert [body["notification"] for body in bodies] == [*range(1, len(bodies) + 1)]
    assert [line["number"] for line in lines] == [*range(1, len(lines) + 1)]


def _fresh(entry: dict[str, Any]) -> list[str]:
    return str(entry["annotations"]["firing"]).split(", ")


def flapping(one: Rule, times: int) -> tuple[Book, int]:
    """A book whose alert has fired so often, each time for a moment, and the time then."""
    book = Book("id")
    book.declare({one.name: one}, OfAll(OF_ALL), T0)
    now_ms = T0
    for number in range(times):
        now_ms += 10_000 if number % 2 else 100_000
        book.take([Match(now_ms - 5, one.name, ())] * 5, now_ms, number, now_ms)
        for _ in range(20):
            now_ms += 5_000
            book.caught_up(now_ms)
            book.post_due(now_ms)
    return book, now_ms


def test_flapping_is_told_in_few_notifications_that_name_every_firing() -> None:
    one = rule(webhook=HOOK, quiet="10m", resolve_after="0s")
    book, now_ms = flapping(one, 20)
    lines = [json.loads(text) for _, text in book.outbox.lines]
    assert [line["status"] for line in lines] == [FIRING, RESOLVED] * 20
    book.post_due(now_ms + 600_000)
    posts = [json.loads(post.body) for post in book.outbox.hooks[HOOK].posts]
    assert len(posts) <= (now_ms - T0) / 600_000 + 1 < 10
    told = [part for body in posts for entry in body["alerts"] for part in _fresh(entry)]
    assert {*map(int, told)} == {*range(1, 21)}


def test_a_threshold_with_a_clear_below_it_does_not_flap_between_the_two() -> None:
    def firings(one: Rule) -> int:
        evaluation = Evaluation(one, T0)
        for number in range(60):
            for _ in range(11 if number % 2 else 9):
                evaluation.line(T0 + number * 10_000 + 1, ())
        evaluation.advance(T0 + 600_000)
        return evaluation.firings

    assert firings(rule(window="10s", above=10, resolve_after="0s")) == 30
    assert firings(rule(window="10s", above=10, clear=5, resolve_after="0s")) == 1
    assert firings(rule(window="10s", above=10, resolve_after="20s")) == 1


def test_several_groups_of_an_alert_go_in_one_notification() -> None:
    one = rule(webhook=HOOK, by=["server"], labels={"severity": "page"}, summary="too many errors")
    book = Book("id")
    book.declare({one.name: one}, OfAll({**OF_ALL, "url": "http://logs:8080"}), T0)
    lines = [Match(T0 + 5, one.name, (server,)) for server in ("s1", "s2") for _ in range(4)]
    lines += [Match(T0 + 12_000, one.name, ("s3",))] * 4
    book.take(lines, T0 + 12_000, 1, T0 + 12_100)
    for seconds in range(12, 36):
        book.caught_up(T0 + seconds * 1000)
        book.post_due(T0 + seconds * 1000)
    (post,) = book.outbox.hooks[HOOK].posts
    body = json.loads(post.body)
    assert [entry["labels"] for entry in body["alerts"]] == [
        {"alertname": "it", "server": server, "severity": "page"} for server in ("s1", "s2", "s3")
    ]
    entries = body.pop("alerts")
    assert body == {
        "version": "4", "groupKey": '{}:{alertname="it"}', "truncatedAlerts": 0, "status": "firing",
        "receiver": "logship", "groupLabels": {"alertname": "it"},
        "commonLabels": {"alertname": "it", "severity": "page"},
        "commonAnnotations": {"summary": "too many errors", "condition": "more than 3 lines in 1m",
                              "query": "status:5xx", "value": "4"},
        "externalURL": "http://logs:8080", "notification": 1,
    }  # fmt: skip
    entry = entries[0]
    del entry["labels"]
    assert len(entry.pop("fingerprint")) == 16
    assert entry == {
        "status": "firing",
        "annotations": {"summary": "too many errors", "condition": "more than 3 lines in 1m", "query": "status:5xx",
                        "value": "4", "firing": "1"},
        "startsAt": "2026-11-23T20:00:10.000Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://logs:8080/logs?query=status%3A5xx&since=2026-11-23T19%3A58%3A10.000Z",
    }  # fmt: skip


def test_what_fires_is_told_again_after_a_while_and_what_is_late_says_so() -> None:
    one = rule(webhook=HOOK, repeat="1h", resolve_after="10s")
    book = Book("id")
    book.declare({one.name: one}, OfAll(OF_ALL), T0)
    now_ms = T0 + 3_600_000  # it was down for an hour
    book.take([Match(T0 + 5, "it", ())] * 9, T0 + 5, 1, now_ms)
    book.take([Match(T0 + 3_599_000, "it", ())] * 9, T0 + 3_599_500, 2, now_ms)
    first, second, *_ = [json.loads(text) for _, text in book.outbox.lines]
    assert (first["status"], first["at"], first["late_seconds"]) == (FIRING, "2026-11-23T20:00:10.000Z", 3590)
    assert second["status"] == RESOLVED
    for step in range(2 * 60 + 10):
        now_ms += 60_000
        book.take([Match(now_ms, "it", ())] * 9, now_ms, step + 3, now_ms)
        book.caught_up(now_ms)
        book.post_due(now_ms)
    posts = [json.loads(post.body) for post in book.outbox.hooks[HOOK].posts]
    assert [body["alerts"][0]["annotations"]["firing"] for body in posts] == ["1, 2", "2", "2"]
    assert [body["status"] for body in posts] == ["firing"] * 3


def test_an_alert_that_is_taken_away_while_it_fires_is_told_as_over() -> None:
    one = rule(webhook=HOOK)
    book = Book("id")
    book.declare({one.name: one}, OfAll(OF_ALL), T0)
    book.take([Match(T0 + 5, "it", ())] * 9, T0 + 20_000, 1, T0 + 20_000)
    book.post_due(T0 + 40_000)
    kept = json.loads(json.dumps(book.fields()))
    book.declare({}, OfAll(OF_ALL), T0 + 50_000)
    last = json.loads(book.outbox.hooks[HOOK].posts[-1].body)
    assert (last["status"], last["alerts"][0]["annotations"]["why"]) == ("resolved", "the alert is not there any more")
    assert json.loads(book.outbox.lines[-1][1])["status"] == RESOLVED
    late = read_book(kept)
    late.declare({}, OfAll(OF_ALL), T0 + 50_000)
    assert json.loads(late.outbox.lines[-1][1])["why"] == "the alert is not there any more"


def test_a_clock_that_was_set_back_keeps_no_notification_waiting() -> None:
    one = rule(webhook=HOOK)
    notices = Notices()
    notices.change(one, Change("it", (), FIRING, T0, 9, 1, T0), T0 + 86_400_000)
    assert notices.due({"it": one}, T0) == []
    assert len(notices.due({"it": one}, T0 + one.quiet_ms)) == 1


# How it gets there.


def test_a_webhook_is_tried_with_growing_pauses_until_it_takes_it_or_time_is_over() -> None:
    outbox = Outbox()
    post = Post(1, "it", "{}", T0)
    assert outbox.post(HOOK, post) == []
    assert outbox.next_post(HOOK, T0) is None  # it is not kept yet
    outbox.kept(1, 0)
    now_ms, pauses = T0, []
    while (one := outbox.next_post(HOOK, now_ms)) is not None:
        gone = outbox.answered(HOOK, one, AGAIN, "it answers 500", now_ms, 600_000)
        if gone:
            break
        before = now_ms
        while outbox.next_post(HOOK, now_ms) is None:
            now_ms += 500
        pauses.append((now_ms - before) // 1000)
    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [each.why for each in gone] == ["it answers 500"]
    assert 600_000 <= now_ms - T0 <= 660_000
    assert (outbox.given_up, outbox.taken, outbox.failed) == (1, 0, len(pauses) + 1)


def test_what_is_refused_for_good_is_given_up_at_once_and_the_next_one_goes_out() -> None:
    outbox = Outbox()
    outbox.kept(9, 9)
    for number in (1, 2):
        outbox.post(HOOK, Post(number, "it", "{}", T0))
    first = outbox.next_post(HOOK, T0)
    assert first is not None
    assert [each.post.number for each in outbox.answered(HOOK, first, REFUSED, "it answers 404", T0, 10**9)] == [1]
    second = outbox.next_post(HOOK, T0)
    assert second is not None
    assert outbox.answered(HOOK, second, TAKEN, "", T0, 10**9) == []
    assert (outbox.taken, outbox.given_up, outbox.next_post(HOOK, T0)) == (1, 1, None)


def test_what_waits_is_bounded_and_what_is_given_up_is_counted_and_told() -> None:
    book = Book("id")
    one = rule(webhook=HOOK)
    book.declare({one.name: one}, OfAll(OF_ALL), T0)
    for number in range(QUEUE_MAX + 3):
        change = Change("it", (), FIRING if number % 2 == 0 else RESOLVED, T0, 9, 1 + number // 2, T0)
        book.notices.change(one, change, T0 + number * 3_600_000)
        book.post_due(T0 + number * 3_600_000 + 60_000)
    assert (len(book.outbox.hooks[HOOK].posts), book.outbox.given_up) == (QUEUE_MAX, 3)
    told = [json.loads(text) for _, text in book.outbox.lines]
    assert [(line["event"], line["notification"]) for line in told] == [("alert-not-told", n) for n in (1, 2, 3)]
    assert {line["webhook"] for line in told} == {"http://127.0.0.1:9"}  # what is behind the host may be a secret
    for number in range(LINES_MAX + 5):
        book.outbox.line(number, "{}")
    assert (len(book.outbox.lines), book.outbox.lines_given_up) == (LINES_MAX, 8)


@settings(max_examples=50)
@given(st.lists(st.sampled_from([TAKEN, AGAIN, REFUSED]), max_size=40), st.integers(1, 10))
def test_every_notification_is_taken_or_given_up_in_order_and_none_is_lost(results: list[str], posts: int) -> None:
    outbox = Outbox()
    outbox.kept(posts, 0)
    for number in range(1, posts + 1):
        outbox.post(HOOK, Post(number, "it", "{}", T0))
    tried, now_ms = [], T0
    for result in [*results, *[TAKEN] * posts]:
        now_ms += 61_000
        one = outbox.next_post(HOOK, now_ms)
        if one is not None:
            tried.append(one.number)
            outbox.answered(HOOK, one, result, result, now_ms, 10**9)
    assert tried == sorted(tried)
    assert {*tried} == {*range(1, posts + 1)}
    assert outbox.taken + outbox.given_up == posts
