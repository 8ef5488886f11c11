"""What comes from outside is checked once: offsets, paths, times, sources, loss records."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.values import (
    INTEGER_MAX,
    Invalid,
    Loss,
    Source,
    StreamPath,
    loss_of,
    offset_text,
    parse_integer,
    parse_loss,
    parse_offset,
    parse_source,
    parse_stream_path,
    parse_time,
)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_offsets_are_read_back_and_sort_as_numbers_do(one: int, other: int) -> None:
    assert parse_offset(offset_text(one)) == one
    assert (offset_text(one) < offset_text(other)) == (one < other)


@pytest.mark.parametrize(
    "text", ["", "-1", "now", "1", "0" * 19, "0" * 21, "+" + "0" * 19, "\u0660" * 20, "0" * 19 + "\n"]
)
def test_an_offset_is_twenty_digits_and_nothing_else(text: str) -> None:
    assert isinstance(parse_offset(text), Invalid)


@pytest.mark.parametrize(
    "text", ["", "-0", "+1", "01", "1.0", "1e3", " 1", "1 ", "1\n", "\u0663", "0x1", str(INTEGER_MAX + 1)]
)
def test_a_whole_number_has_no_sign_no_leading_zero_and_no_space(text: str) -> None:
    assert isinstance(parse_integer(text), Invalid)


@pytest.mark.parametrize("number", [0, 1, 10, INTEGER_MAX])
def test_whole_numbers_up_to_what_javascript_counts_are_taken(number: int) -> None:
    assert parse_integer(str(number)) == number


@pytest.mark.parametrize(
    "text",
    ["a", "webapp/1/serf/20261123T201501Z-9f2c51aa.00000000000000000042", "a/b/c/d/e/f/g/h", "~", "...", "x" * 128],
)
def test_a_path_of_plain_segments_is_a_stream(text: str) -> None:
    assert parse_stream_path(text) == text


@pytest.mark.case(108)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/%2e%2e/b",
        "%2E",
        "a%00",
        "a%2",
        "a%zz",
        "a b",
        "a%20b",
        "ä",
        "%C3%A4",
        "a\\b",
        "a%5cb",
        "a?b",
        "a;b",
        "a/b/c/d/e/f/g/h/i",
        "x" * 129,
        "/".join(["x" * 120] * 5),
        "a%252e",
        "a\n",
        "a%0A",
        "-" * 513,
    ],
)
def test_tricks_in_a_path_are_refused(text: str) -> None:
    assert isinstance(parse_stream_path(text), Invalid)


def test_a_path_is_percent_decoded_once() -> None:
    assert parse_stream_path("web%61pp%2F1/x") == "webapp/1/x"


@given(st.text())
def test_no_text_breaks_the_path_parser_and_what_it_takes_is_plain(text: str) -> None:
    path = parse_stream_path(text)
    if not isinstance(path, Invalid):
        assert parse_stream_path(path) == path
        assert len(path) <= 512


@pytest.mark.parametrize(
    "text", ["2026-11-23T20:15:01Z", "2026-11-23T20:15:01.123z", "2026-11-23t20:15:01.123456789+01:00"]
)
def test_rfc_3339_times_are_taken(text: str) -> None:
    assert not isinstance(parse_time(text), Invalid)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-23", "2026-11-23T20:15:01", "2026-13-23T20:15:01Z", "20261123T201501Z"]
)
def test_other_times_are_not(text: str) -> None:
    assert isinstance(parse_time(text), Invalid)


def test_a_source_keeps_the_keys_it_does_not_know() -> None:
    source = parse_source('{"host": "a", "later": [1, {"x": null}]}')
    assert isinstance(source, Source)
    assert source.fields() == {"host": "a", "later": [1, {"x": None}]}
    assert source.loss(StreamPath("a/b")) is None


def test_a_source_says_which_stream_it_continues_and_what_is_lost() -> None:
    source = parse_source('{"continues":"webapp/1/serf/x","lost_bytes":17,"lost_reason":"over budget"}')
    assert isinstance(source, Source)
    loss = source.loss(StreamPath("webapp/1/serf/x.17"))
    assert loss is not None
    assert (loss.stream, loss.offset, loss.bytes, loss.reason) == ("webapp/1/serf/x.17", 0, 17, "over budget")
    assert "continues webapp/1/serf/x" in str(loss.how)


def test_a_stream_that_continues_without_a_hole_has_no_loss_and_one_that_does_not_say_has_an_unknown_one() -> None:
    for text, expected in (('{"continues":"x","lost_bytes":0}', False), ('{"continues":"x"}', True)):
        source = parse_source(text)
        assert isinstance(source, Source)
        loss = source.loss(StreamPath("y"))
        assert (loss is not None) is expected
        assert loss is None or loss.bytes is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        '"x"',
        '{"host":1}',
        '{"host":null}',
        '{"host":"a","host":"b"}',
        '{"a":NaN}',
        '{"lost_bytes":1}',
        '{"continues":"x","lost_bytes":-1}',
        '{"continues":"x","lost_bytes":1.5}',
        '{"continues":"x","lost_bytes":true}',
        '{"continues":"../x"}',
        '{"host":"ä"}',
        '{"host":"\\ud800"}',
        '{"a":"' + "x" * 4096 + '"}',
        '{"a":' * 1200 + "1" + "}" * 1200,
    ],
)
def test_a_malformed_source_is_refused_with_a_reason(text: str) -> None:
    source = parse_source(text)
    assert isinstance(source, Invalid)
    assert source.reason


def test_a_loss_record_is_read_whole() -> None:
    fields = {
        "id": "haproxy:42",
        "stream": "ha/1/haproxy/x",
        "offset": 1,
        "bytes": 2,
        "count": 3,
        "unit": "lines",
        "from": "2026-11-23T20:15:01Z",
        "to": "2026-11-23T20:15:02Z",
        "reason": "ring full",
        "how": "DroppedLogs",
    }
    loss = parse_loss(json.dumps({**fields, "lsn": 7, "later": []}).encode())
    assert isinstance(loss, Loss)
    assert loss.fields() == fields
    assert loss_of(loss.fields()) == loss


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id":""}',
        b'{"id":1}',
        b'{"id":"x","bytes":-1}',
        b'{"id":"x","bytes":"1"}',
        b'{"id":"x","reason":1}',
        b'{"id":"' + b"x" * 129 + b'"}',
        b'{"id":"x","reason":"' + b"x" * 2048 + b'"}',
        b'{"id":"\xff"}',
        b'{"id":"\\udc00"}',
    ],
)
def test_a_malformed_loss_record_is_refused(line: bytes) -> None:
    assert isinstance(parse_loss(line), Invalid)
