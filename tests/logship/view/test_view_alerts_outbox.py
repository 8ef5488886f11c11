"""How what is told gets there: tried, refused, given up and counted."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from logship.view.alerts.book import Book
from logship.view.alerts.evaluation import Change
from logship.view.alerts.outbox import AGAIN, LINES_MAX, QUEUE_MAX, REFUSED, TAKEN, Outbox, Post
from logship.view.alerts.rule import OF_ALL, OfAll
from logship.view.alerts.standing import FIRING, RESOLVED
from tests.logship.view.alerting import HOOK, T0, rule


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
