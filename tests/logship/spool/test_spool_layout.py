"""Names in a spool folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.spool.layout import (
    incarnation_name,
    parse_incarnation,
    parse_segment,
    segment_name,
    stamp,
    stream_end,
)

offsets = st.integers(0, 10**20 - 1)


@given(offsets)
def test_a_segments_name_gives_its_offset_back(offset: int) -> None:
    assert parse_segment(segment_name(offset)) == offset


@given(offsets, offsets)
def test_names_sort_as_offsets_do(one: int, other: int) -> None:
    assert (segment_name(one) < segment_name(other)) == (one < other)


@pytest.mark.parametrize("offset", [-1, 10**20])
def test_an_offset_without_twenty_digits_has_no_name(offset: int) -> None:
    with pytest.raises(ValueError, match="no offset"):
        segment_name(offset)


@pytest.mark.parametrize("name", ["", "0", "starts.jsonl", "0" * 19, "0" * 21, "+" + "0" * 19, "²" * 20, "٣" * 20])
def test_other_names_are_no_segments(name: str) -> None:
    assert parse_segment(name) is None


def test_a_streams_end_is_its_last_segments_offset_plus_its_size() -> None:
    listing = [(segment_name(100), 7), (segment_name(0), 100), ("starts.jsonl", 5000)]
    assert stream_end(listing) == 107
    assert stream_end([]) == 0


@given(st.datetimes(datetime(2000, 1, 1), datetime(2999, 1, 1)), st.binary(min_size=4, max_size=4))
def test_an_incarnations_name_gives_its_time_back(created: datetime, chance: bytes) -> None:
    created = created.replace(tzinfo=UTC, microsecond=0)
    name = incarnation_name(created, chance)
    assert len(name) == 25
    assert parse_incarnation(name) == created


def test_an_incarnation_is_named_in_utc() -> None:
    created = datetime(2026, 11, 23, 21, 45, tzinfo=timezone(timedelta(hours=1)))
    assert incarnation_name(created, b"\x01\x02\x03\xff") == "20261123T204500Z-010203ff"


@pytest.mark.parametrize(
    "name",
    ["", "lost+found", ".new-20261123T204500Z-010203ff", "20261123T204500Z-010203f", "20261123T204500Z-010203FF",
     "20261323T204500Z-010203ff", "20261123T204500Z_010203ff"],
)  # fmt: skip
def test_other_names_are_no_incarnations(name: str) -> None:
    assert parse_incarnation(name) is None


def test_an_incarnation_needs_a_zone_and_four_bytes() -> None:
    with pytest.raises(ValueError, match="zone"):
        incarnation_name(datetime(2026, 1, 1), b"1234")
    with pytest.raises(ValueError, match="four"):
        incarnation_name(datetime(2026, 1, 1, tzinfo=UTC), b"123")


def test_a_time_is_rfc_3339_with_milliseconds() -> None:
    assert stamp(0.0015) == "1970-01-01T00:00:00.001Z"
    assert stamp(1.0) == "1970-01-01T00:00:01.000Z"
