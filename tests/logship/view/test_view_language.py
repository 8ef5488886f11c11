"""The language of queries: text -> tree, and what is wrong with it, and where."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.values import Invalid
from logship.view.fields import FIELDS
from logship.view.language import (
    Comparison,
    Either,
    Every,
    Match,
    Node,
    Not,
    Phrase,
    Piped,
    Plain,
    Word,
    parse,
    parse_piped,
)
from logship.view.pipes import Key, Pipe


def tree(text: str) -> Any:
    found = parse(text)
    assert not isinstance(found, Invalid), found
    return found


def comparison(field: str, operator: str, value: str) -> Comparison:
    return Comparison(field, operator, Plain(value))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("timeout", Word("timeout")),
        ("10.0.0.1:80", Word("10.0.0.1:80")),
        ("12:30:01", Word("12:30:01")),
        ("/health", Word("/health")),
        ("order", Word("order")),
        ("android note", Every((Word("android"), Word("note")))),
        ('"GET /x"', Phrase("GET /x")),
        (r'"a\"b\\"', Phrase('a"b\\')),
        ("a b", Every((Word("a"), Word("b")))),
        ("a and b", Every((Word("a"), Word("b")))),
        ("a AND b", Every((Word("a"), Word("b")))),
        ("a or b c", Either((Word("a"), Every((Word("b"), Word("c")))))),
        ("(a or b) c", Every((Either((Word("a"), Word("b"))), Word("c")))),
        ("-a", Not(Word("a"))),
        ("not (a b)", Not(Every((Word("a"), Word("b"))))),
        ("a-b", Word("a-b")),
        ("status:5xx", comparison("status", ":", "5xx")),
        ("status:400..499", comparison("status", ":", "400..499")),
        ("status!=200", comparison("status", "!=", "200")),
        ("t_response:-1", comparison("t_response", ":", "-1")),
        ("t_total>1.5s", comparison("t_total", ">", "1.5s")),
        ("t_total>=1", comparison("t_total", ">=", "1")),
        ("path:/api/*", comparison("path", ":", "/api/*")),
        ("path:/a/b/", comparison("path", ":", "/a/b/")),
        ("state:----", comparison("state", ":", "----")),
        ("src:web-*", comparison("src", ":", "web-*")),
        ("level>=warn", comparison("level", ">=", "warn")),
        ("json.user.id=7", comparison("json.user.id", "=", "7")),
        ('path:"a b"', Comparison("path", ":", Phrase("a b"))),
        ("-status:200 -b", Every((Not(comparison("status", ":", "200")), Not(Word("b"))))),
    ],
)  # fmt: skip
def test_a_query_has_the_tree_it_looks_like(text: str, wanted: Node) -> None:
    assert tree(text) == wanted


def test_slashes_at_both_ends_make_a_pattern() -> None:
    found = tree(r"/a b\/c\d+/")
    assert isinstance(found, Match)
    assert found.pattern.text == r"a b/c\d+"
    assert tree("/Error/i").pattern.finds(b"an error")
    assert not tree("/Error/").pattern.finds(b"an error")
    assert tree("path:/a.*b/").value.pattern.text == "a.*b"


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        ("", "the query is empty", 1),
        ("a or", "something is missing at the end", 5),
        ("or a", "or stands between two parts", 1),
        ("(a", "a parenthesis is not closed", 3),
        ("a)", "a parenthesis closes that was not opened", 2),
        ("()", "a parenthesis closes", 2),
        ('a "b', "the quotes are not closed", 3),
        ('""', "the quotes hold nothing", 1),
        ("a | count", "a pipe makes a table of lines; here lines are asked for", 3),
        ("a|count", "a pipe wants a space before it", 2),
        ("status:5xx|count", "a pipe wants a space before it", 11),
        ("a -> b", "an operator stands behind the name of a field", 4),
        ("statsu:500", "did you mean status?", 1),
        ("x http://y", "no field is called http; a key of JSON lines is json.http; a text wants quotes", 3),
        ("status:many", "status is a number, 400..499, 5xx or *", 8),
        ("status>many", "status> wants a number", 8),
        ("status:/5../", "status is a number, not a text or pattern", 8),
        ("level:loud", "level is a level, as info or error", 7),
        ("level>5", "level> wants a level", 7),
        ("server>3", "server is a text, which has no order", 1),
        ("a /[/", "is no pattern", 3),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, reason: str, place: int) -> None:
    found = parse(text)
    assert isinstance(found, Invalid)
    assert reason in found.reason
    assert f"at character {place}:" in found.reason


SERVER, CLASS = Key("server"), Key("status", "class")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("| count", Pipe("count")),
        ("|COUNT by server,status:class", Pipe("count", (SERVER, CLASS))),
        ("| count 1m", Pipe("count", (), 60_000)),
        ("| count 2h by server", Pipe("count", (SERVER,), 7_200_000)),
        ("| rate 5s by status:class", Pipe("rate", (CLASS,), 5000)),
        ("| p50,p99.9 , MAX t_total by server", Pipe("measure", (SERVER,), None, "t_total", ("p50", "p99.9", "max"))),
        ("| avg json.took 1d", Pipe("measure", (), 86_400_000, "json.took", ("avg",))),
        ("| top 3 path:bare, server", Pipe("top", (Key("path", "bare"), SERVER), limit=3)),
        ("| top path", Pipe("top", (Key("path"),), limit=10)),
        ("| patterns", Pipe("patterns", limit=50)),
        ("| patterns 7", Pipe("patterns", limit=7)),
        ("| count by json.by, json.count:shape", Pipe("count", (Key("json.by"), Key("json.count", "shape")))),
    ],
)
def test_what_stands_behind_a_pipe_is_what_it_looks_like(text: str, wanted: Pipe) -> None:
    assert parse_piped(text) == Piped(None, wanted)
    assert parse_piped(f'a "| x" or /b|c/ {text}') == Piped(tree('a "| x" or /b|c/'), wanted)


@pytest.mark.parametrize(
    ("text", "reason", "place"),
    [
        ("a |", "behind a pipe stands count, rate, top, patterns", 4),
        ("a | coutn", "did you mean count?", 5),
        ("| count by", "something is missing at the end", 11),
        ("| count server", "here stands a span of time, as 1m, or by and the names of fields", 9),
        ("| count by servre", "did you mean server?", 12),
        ("| count by status:klass", "status:klass is no way to group; status:class is", 12),
        ("| count by status:shape", "status:shape is no way to group; status:class is", 12),
        ("| count by a.b", "a key of JSON lines is json.a.b", 12),
        ("| count by server src", "between two fields stands a comma", 19),
        ("| count by server,", "something is missing at the end", 19),
        ("| count by server, server", "server stands here twice", 20),
        ("| count by src, kind, level, path, state", "more than 4 fields to group by", 36),
        ("| count by server | top 3", "there is one pipe in a query", 19),
        ("| count 0m", "a span of time is one from 1s to 366d", 9),
        ("| rate by server", "rate wants a span of time first", 8),
        ("| p50 server", "p50 wants a number, as t_total or bytes; server is a text", 7),
        ("| p50 by server", "the name of a field stands here", 10),
        ("| p50", "something is missing at the end", 6),
        ("| p101 t_total", "p101 is no percentile", 3),
        ("| p50,p50 t_total", "p50 is asked for twice", 7),
        ("| top 0 path", "a number of rows is one from 1 to 1,000", 7),
        ("| top 10", "something is missing at the end", 9),
    ],
)
def test_what_is_wrong_behind_a_pipe_is_told_with_its_place(text: str, reason: str, place: int) -> None:
    found = parse_piped(text)
    assert isinstance(found, Invalid)
    assert reason in found.reason
    assert f"at character {place}:" in found.reason


PIPE_WORDS = [
    "|",
    "count",
    "rate",
    "p50",
    ",",
    "1m",
    "by",
    "status",
    ":class",
    "top",
    "3",
    "patterns",
    "json.x",
    "(",
    "x",
]


@given(st.lists(st.sampled_from(PIPE_WORDS), max_size=9))
@settings(max_examples=500)
def test_any_mixture_of_the_words_of_pipes_is_one_or_told_what_is_wrong(words: list[str]) -> None:
    parse_piped(" ".join(words))
    parse_piped("".join(words))


@pytest.mark.parametrize(
    "text", ["x" * 2001, "a " * 101, "-" * 1500 + "a", "not " * 400 + "a", "(-" * 60 + "a" + ")" * 60]
)
def test_a_query_has_bounds(text: str) -> None:
    found = parse(text)
    assert isinstance(found, Invalid)
    assert re.search(r"longer than 2,000 characters|more than 100|more than 50", found.reason)


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_any_text_is_a_query_or_told_what_is_wrong(text: str) -> None:
    parse(text)


@given(st.text(alphabet='ab ()"/:<>=!-*|.5xor\\', max_size=25))
@settings(max_examples=500)
def test_any_mixture_of_its_signs_is_a_query_or_told_what_is_wrong(text: str) -> None:
    parse(text)


def test_every_field_of_the_design_can_be_asked_for() -> None:
    for name in FIELDS:
        assert isinstance(tree(f"{name}:*"), Comparison)
