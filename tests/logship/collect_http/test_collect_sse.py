"""Server-sent events: what a reader of events puts together again is what the stream holds."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.collect.sse import control_event, data_event, is_text, whole_characters


def parsed(events: bytes) -> list[tuple[str, str]]:
    """Events as the standard reads them: line ends of three kinds, one space after the colon taken away."""
    found: list[tuple[str, str]] = []
    name = ""
    data: list[str] = []
    for line in events.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "" and (name or data):
            found.append((name, "\n".join(data)))
            name, data = "", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return found


@given(st.binary(max_size=300))
def test_a_binary_event_is_the_very_bytes(data: bytes) -> None:
    assert parsed(data_event(data, text=False)) == [("data", base64.b64encode(data).decode())]


@given(
    st.lists(
        st.sampled_from([" ", "\n", "\r", ":", "a", "é", "event: control", "data: x", "\x00", "\u2028"]), max_size=40
    ).map("".join)
)
def test_a_text_event_is_the_text_with_plain_line_ends_and_nothing_breaks_out_of_it(text: str) -> None:
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    assert parsed(data_event(text.encode(), text=True)) == [("data", plain)]


@given(st.binary(max_size=40))
def test_bytes_that_are_no_text_become_replacement_characters(data: bytes) -> None:
    ((name, found),) = parsed(data_event(data, text=True))
    assert name == "data"
    assert found == data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


@given(st.text(max_size=30), st.integers(0, 200))
def test_a_text_is_never_cut_within_a_character(text: str, cut: int) -> None:
    encoded = text.encode("utf-8", "replace")[:cut]
    whole = encoded[: whole_characters(encoded)]
    assert len(encoded) - len(whole) <= 3
    whole.decode()


@given(
    st.lists(st.sampled_from(["é", "€", "🜚", "\r\n", "\r", "x", "\n"]), max_size=20).map("".join),
    st.lists(st.integers(1, 7), max_size=90),
)
def test_text_that_comes_in_pieces_is_put_together_as_if_it_were_whole(text: str, sizes: list[int]) -> None:
    data, found, position, end = text.encode(), "", 0, 0
    for size in [*sizes, len(data)]:
        end = min(len(data), max(end, position) + size)
        batch = data[position:end]
        batch = batch if end == len(data) else batch[: whole_characters(batch)]
        position += len(batch)
        found += "".join(value for _, value in parsed(data_event(batch, text=True)))
    assert found == text.replace("\r\n", "\n").replace("\r", "\n")


def test_bytes_that_never_become_a_character_are_not_waited_for() -> None:
    assert whole_characters(b"\x80\x80\x80\x80") == 4
    assert whole_characters(b"\xff") == 1
    assert whole_characters(b"\xc3") == 0
    assert whole_characters(b"a\xf0\x9f\x9c") == 1


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("text/plain", True),
        ("TEXT/html; charset=x", True),
        ("application/json", True),
        ("application/ndjson", False),
        ("application/octet-stream", False),
    ],
)
def test_text_and_json_streams_have_text_events(content_type: str, text: bool) -> None:
    assert is_text(content_type) is text


def test_a_control_event_says_where_to_go_on_or_that_it_is_over() -> None:
    going = json.loads(parsed(control_event(7, cursor=12, up_to_date=True, closed=False))[0][1])
    assert going == {"streamNextOffset": f"{7:020}", "streamCursor": "12", "upToDate": True}
    behind = json.loads(parsed(control_event(7, cursor=12, up_to_date=False, closed=False))[0][1])
    assert behind == {"streamNextOffset": f"{7:020}", "streamCursor": "12"}
    over = json.loads(parsed(control_event(7, cursor=12, up_to_date=True, closed=True))[0][1])
    assert over == {"streamNextOffset": f"{7:020}", "streamClosed": True, "upToDate": True}
