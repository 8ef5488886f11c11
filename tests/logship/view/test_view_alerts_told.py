"""What is told of alerts, when, and once, whatever stops in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from logship.view.alerts.book import Book, Match, read_book
from logship.view.alerts.evaluation import Change, Evaluation
from logship.view.alerts.notices import Notices
from logship.view.alerts.rule import OF_ALL, OfAll, Rule
from logship.view.alerts.standing import FIRING, RESOLVED
from tests.logship.view.alerting import HOOK, T0, gaps, lines_of, rule, rules


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
