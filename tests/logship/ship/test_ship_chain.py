"""Names of streams, and what a source holds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.ship.chain import Link, Origin, first_path, next_link, parse_list, present
from logship.ship.held import Held, Lost
from logship.spool.ranges import Span
from logship.values import Invalid, Source, StreamPath, parse_source, parse_stream_path
from logship.wire.fields import STARTS_MAX, Start

LIFE = "20261123T201501Z-9f2c51aa"
ORIGIN = Origin("webapp", "3", "serf", LIFE, (("host", "3f2a9c"),))
FIRST = StreamPath(f"webapp/3/serf/{LIFE}")


def line(path: str, continues: str | None = None, program: str = "serf") -> bytes:
    source = {"program": program, "incarnation": LIFE} | ({"continues": continues} if continues else {})
    return json.dumps({"stream": path, "next_offset": 1, "source": source}).encode() + b"\n"


def links(*lines: bytes) -> list[Link]:
    found = parse_list(b"".join(lines))
    assert not isinstance(found, Invalid)
    return found.get("serf", [])


def test_the_first_stream_is_called_like_the_incarnation() -> None:
    assert first_path(ORIGIN) == FIRST
    assert next_link(ORIGIN, 0, None, set()) == Link(FIRST, 0)


def test_a_source_whose_beginning_is_lost_continues_the_stream_that_was_never_made() -> None:
    link = next_link(ORIGIN, 7, None, set())
    assert (link.path, link.base, link.continues) == (f"{FIRST}.{7:020}", 7, FIRST)


def test_a_taken_name_is_given_a_number() -> None:
    taken = {f"{FIRST}.{7:020}", f"{FIRST}.{7:020}.2"}
    assert next_link(ORIGIN, 7, FIRST, taken).path == f"{FIRST}.{7:020}.3"


def test_a_chain_keeps_the_instance_it_began_with() -> None:
    elsewhere = StreamPath(f"webapp/old-id/serf/{LIFE}")
    assert next_link(ORIGIN, 7, elsewhere, set()).path == f"{elsewhere}.{7:020}"


def test_the_present_stream_is_the_one_that_no_other_continues() -> None:
    second, third = f"{FIRST}.{900:020}", f"{FIRST}.{5:020}"
    found = links(line(FIRST), line(third, second), line(second, FIRST))
    last = present(found)
    assert last is not None
    assert last.path == third
    assert present([]) is None


def test_streams_of_other_programs_and_of_other_names_are_left_out() -> None:
    found = parse_list(line(FIRST) + line(f"x/{LIFE}", program="web") + line("webapp/3/serf/mine"))
    assert not isinstance(found, Invalid)
    assert {name: [link.path for link in each] for name, each in found.items()} == {
        "serf": [FIRST],
        "web": [f"x/{LIFE}"],
    }


@pytest.mark.parametrize("body", [b"<html>", b"{}\n", b'{"stream": 1, "source": {}}\n', b"[]\n", b"\xff\n", b'"x"\n'])
def test_what_is_no_list_of_streams_is_told(body: bytes) -> None:
    assert isinstance(parse_list(body), Invalid)


@given(st.integers(0, 2**63 - 1), st.integers(1, 99))
def test_every_name_made_is_read_back(base: int, repeat: int) -> None:
    stem = f"{FIRST}.{base:020}"
    taken = {stem if number == 1 else f"{stem}.{number}" for number in range(1, repeat)}
    link = next_link(ORIGIN, base, FIRST, taken)
    assert links(line(link.path, FIRST)) == [link]
    assert parse_stream_path(link.path) == link.path


def test_the_source_of_a_stream_is_one_the_collector_takes() -> None:
    text = ORIGIN.source_text(FIRST, 12, "over budget")
    assert isinstance(parse_source(text), Source)
    assert isinstance(parse_source(ORIGIN.source_text(FIRST, 0, "")), Source)
    nothing_lost = parse_source(ORIGIN.source_text(FIRST, 0, ""))
    assert isinstance(nothing_lost, Source)
    assert nothing_lost.fields()["lost_bytes"] == 0
    timed = parse_source(ORIGIN.source_text(FIRST, 12, "over budget", ("a", "b")))
    assert isinstance(timed, Source)
    loss = timed.loss(FIRST)
    assert loss is not None
    assert (loss.bytes, loss.from_time, loss.to_time) == (12, "a", "b")
    assert "lost" not in ORIGIN.source_text(None, 0, "")


def test_holes_are_explained_as_far_as_they_are_known() -> None:
    early, late = "2026-11-23T20:15:02.000Z", "2026-11-23T20:15:09.000Z"
    losses = (Lost(Span(10, 5), "over budget", late), Lost(Span(15, 5), "not stored: disk full", early))
    held = Held((Span(20, 5),), 25, True, losses=losses)
    assert held.why(Span(10, 10)) == "over budget; not stored: disk full"
    assert held.why(Span(5, 10)).startswith("over budget; the collector no longer has")
    assert held.why(Span(0, 5)).startswith("the collector no longer has")
    assert held.when(Span(10, 10)) == (early, late)
    assert held.when(Span(12, 2)) == (late, late)
    assert held.when(Span(0, 5)) is None


def test_what_is_held_is_found_from_any_offset() -> None:
    held = Held((Span(10, 5), Span(20, 5)), 30, True)
    assert [held.first(at) for at in (0, 12, 15, 25)] == [10, 12, 20, None]
    assert [held.room(at) for at in (0, 12, 15, 20)] == [0, 3, 0, 5]
    assert [held.bytes_from(at) for at in (0, 12, 22, 30)] == [10, 8, 3, 0]
    assert held.holds(Span(11, 4))
    assert not held.holds(Span(11, 5))


def test_no_message_names_more_starts_than_it_may_and_none_is_left_out() -> None:
    starts = tuple(Start(at, "2026-11-23T20:15:01Z") for at in (0, 0, *range(0, 400, 2), 399))
    held = Held((Span(0, 400),), 400, True, starts=starts)
    offset, told = 0, list[Start]()
    while offset < 400:
        found, size = held.starts_in(offset, 400 - offset)
        assert size > 0
        assert len(found) <= STARTS_MAX
        assert all(offset <= start.offset < offset + size for start in found)
        told += found
        offset += size
    assert sorted({start.offset for start in starts}) == [start.offset for start in told]
