"""What the file may say of an alert, and what is told of what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.view.alerts.declaring import parse_of_all, parse_rule
from logship.view.alerts.rule import OF_ALL, OfAll, Rule, said_duration
from logship.view.saved import Fault
from tests.logship.view.alerting import HOOK, QUERIES, rule


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
