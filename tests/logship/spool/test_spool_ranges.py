"""Ranges of a stream against sets of offsets."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from logship.spool.layout import segment_name
from logship.spool.ranges import Segment, Span, merged, missing, over_budget, segments, without

spans = st.lists(st.builds(Span, st.integers(0, 60), st.integers(1, 12)), max_size=8)


def offsets(ranges: list[Span]) -> set[int]:
    return {offset for span in ranges for offset in range(span.offset, span.end)}


@given(spans, spans)
def test_without_leaves_what_is_in_none_of_the_others(wanted: list[Span], known: list[Span]) -> None:
    assert offsets(without(wanted, known)) == offsets(wanted) - offsets(known)


@given(spans)
def test_merged_ranges_hold_the_same_bytes_and_do_not_touch(ranges: list[Span]) -> None:
    joined = merged(ranges)
    assert offsets(joined) == offsets(ranges)
    assert all(one.end < other.offset for one, other in itertools.pairwise(joined))


@given(spans)
def test_what_is_missing_is_what_no_segment_covers(ranges: list[Span]) -> None:
    held = [Segment(span.offset, span.size) for span in sorted(ranges)]
    end = max((segment.end for segment in held), default=0)
    assert offsets(missing(held)) == set(range(end)) - offsets(ranges)


SIZES = st.lists(st.integers(0, 20), max_size=10)


def stream(sizes: list[int]) -> list[Segment]:
    return [Segment(sum(sizes[:place]), size) for place, size in enumerate(sizes)]


@given(SIZES, st.integers(0, 150))
def test_a_stream_over_its_budget_loses_its_oldest_segments_and_never_the_last(sizes: list[int], budget: int) -> None:
    found = stream(sizes)
    gone = [segment for _, segment in over_budget({"web": found}, budget)]
    assert gone == found[: len(gone)]
    assert len(gone) < len(found) or not found
    left = sum(segment.size for segment in found[len(gone) :])
    assert left <= budget or len(gone) == len(found) - 1 or not found
    assert not gone or left + gone[-1].size > budget


@given(st.dictionaries(st.sampled_from("abcd"), SIZES), st.integers(0, 300), st.booleans())
def test_of_several_streams_the_one_that_holds_most_pays(sizes: dict[str, list[int]], budget: int, last: bool) -> None:
    found = {name: stream(of) for name, of in sizes.items()}
    left = {name: list(of) for name, of in found.items()}
    for name, segment in over_budget(found, budget, last):
        held = {other: sum(one.size for one in of) for other, of in left.items()}
        assert sum(held.values()) > budget
        payers = [other for other, of in left.items() if len(of) > (0 if last else 1)]
        assert held[name] == max(held[other] for other in payers)
        assert left[name].pop(0) == segment
    rest = sum(segment.size for of in left.values() for segment in of)
    assert rest <= budget or (not last and all(len(of) <= 1 or not sum(one.size for one in of) for of in left.values()))


def test_a_flood_does_not_cost_a_quiet_stream_its_old_lines() -> None:
    quiet, flood = stream([5, 5, 5]), stream([10] * 20)
    assert over_budget({"quiet": quiet, "flood": flood}, 100) == [("flood", segment) for segment in flood[:12]]


def test_a_listing_gives_its_segments_in_the_order_of_the_stream() -> None:
    listing = [(segment_name(8), 3), ("starts.jsonl", 9), (segment_name(0), 8)]
    assert segments(listing) == [Segment(0, 8), Segment(8, 3)]
    assert [segment.name for segment in segments(listing)] == [segment_name(0), segment_name(8)]
