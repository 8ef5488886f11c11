"""The index: every byte is found by walking back from the next entry, whatever the sizes; entries go with segments."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.collect.index import RUN_BYTES_MAX, RUN_FRAMES_MAX, Index
from logship.collect.journal import Kind
from tests.logship.collect.kit import PATHS, Desk, Operation, batches

Row = tuple[int, int, int, int | None]
"""A frame: LSN, offset, length, LSN of its predecessor."""


def walked(index: Index, rows: dict[int, Row], start: int, end: int) -> list[Row]:
    """The frames that ``chunks`` would look at for these bytes."""
    found: list[Row] = []
    last = max(rows)
    for first, following, *_ in index.stretches("s", start, end):
        lsn: int | None = last if following is None else following
        span = []
        while lsn is not None and lsn >= first:
            if lsn != following:
                span.append(rows[lsn])
            lsn = rows[lsn][3]
        found += reversed(span)
    return found


@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from([60, 60, 60, 5000, 70_000]), st.booleans()),
        min_size=1,
        max_size=300,
    ),
    st.data(),
)
def test_any_range_is_covered_by_the_frames_that_are_walked(
    frames: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    index, rows, lsn, offset, previous = Index(), dict[int, Row](), 0, 0, None
    for length, size, rotates in frames:
        if rotates:
            index.segment_lsn = lsn
        index.add(Kind.APPEND, "s", offset, length, lsn, size)
        rows[lsn] = lsn, offset, length, previous
        previous, lsn, offset = lsn, lsn + size, offset + length
    start = data.draw(st.integers(0, offset - 1))
    end = data.draw(st.integers(start + 1, offset))
    found = walked(index, rows, start, end)
    assert found == sorted(found)
    assert found[0][1] <= start
    assert found[-1][1] + found[-1][2] >= end
    assert all(one[1] + one[2] == other[1] for one, other in pairwise(found))
    needed = sum(1 for row in rows.values() if row[1] < end and row[1] + row[2] > start)
    assert len(found) <= needed + 2 * RUN_FRAMES_MAX


def test_tiny_frames_share_an_entry_and_large_ones_have_their_own() -> None:
    index = Index()
    for number in range(1000):
        index.add(Kind.APPEND, "tiny", number, 1, number * 100, 100)
        index.add(Kind.APPEND, "large", number * 10, 10, 10**9 + number * RUN_BYTES_MAX, RUN_BYTES_MAX)
    assert index.entries() == 1000 + 1000 // RUN_FRAMES_MAX + 1


def test_entries_go_with_their_segment_and_the_first_byte_kept_is_told() -> None:
    index = Index()
    for segment in range(3):
        index.segment_lsn = segment * 1000
        index.add(Kind.APPEND, "s", segment * 7, 7, segment * 1000 + 50, 100)
    index.add(Kind.APPEND, "other", 0, 5, 2200, 100)
    assert [index.first_offset("s", 21), index.first_offset("other", 5), index.first_offset("none", 9)] == [0, 0, 9]
    index.drop_below(1000)
    assert index.first_offset("s", 21) == 7
    index.drop_below(2000)
    assert index.first_offset("s", 21) == 14
    index.drop_below(3000)
    assert (index.first_offset("s", 21), index.entries()) == (21, 0)


def test_a_deleted_stream_and_its_successor_share_nothing() -> None:
    index = Index()
    index.add(Kind.CREATE, "s", 0, 7, 0, 100)
    index.add(Kind.DELETE, "s", 0, 0, 100, 100)
    index.add(Kind.CREATE, "s", 0, 0, 200, 100)
    assert index.first_offset("s", 0) == 0
    index.add(Kind.APPEND, "s", 0, 3, 300, 100)
    assert index.stretches("s", 0, 3) == [(300, None, 0, None)]


@pytest.mark.case(90)
@given(batches)
def test_the_live_index_is_the_one_that_a_restart_finds(history: list[list[tuple[Operation, bytes]]]) -> None:
    desk = Desk()
    for number, batch in enumerate(history):
        if number % 4 == 3:
            desk.rotate()
        desk.batch(batch)
    again = Index()
    for frame in desk.frames():
        if frame.kind is Kind.CHECKPOINT:
            again.segment_lsn = frame.lsn
        entry = frame.entry
        again.add(frame.kind, entry.stream, entry.offset, entry.length, frame.lsn, frame.end - frame.lsn)
    assert again.entries() == desk.index.entries()
    for path in PATHS:
        assert again.stretches(path, 0, 10**6) == desk.index.stretches(path, 0, 10**6)
