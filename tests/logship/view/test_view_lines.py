"""Lines: exact bytes, torn and endless ones, however the bytes come."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.view import lines
from logship.view.lines import CUT, OPEN, PART, TORN, Chunk, Line, Splitter

LONG = 16
"""LINE_BYTES_MAX of these tests."""


@pytest.fixture(autouse=True)
def _short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES_MAX", LONG)


def expected(data: bytes, starts: set[int], closed: bool) -> list[tuple[int, bytes, int]]:
    """What the lines of a whole stream are, said in another way: (offset, bytes, flags)."""
    found = []
    ends = {at + 1 for at, byte in enumerate(data) if byte == 10} | {start for start in starts if start}
    begin = 0
    for end in sorted(ends | {len(data)}):
        if end == begin:
            continue
        whole = data[begin:end].endswith(b"\n")
        last = end == len(data) and not whole and not closed and end not in starts
        cuts = [cut for cut in range(begin + 1, end) if cut % LONG == 0] if end - begin > LONG else []
        edges = [begin, *cuts, end]
        for low, high in pairwise(edges):
            if not (last and high == end):
                flags = (PART if cuts else 0) | (TORN if high == end and not whole else 0)
                found.append((low, data[low:high], flags))
        begin = end
    return found


def fed(data: bytes, cuts: list[int], starts: set[int], closed: bool, tell_early: bool) -> list[Line]:
    """The lines of a stream that comes in chunks cut at ``cuts``; a start at a cut is told before, after or twice."""
    splitter = Splitter("s", 0)
    found: list[Line] = []
    edges = sorted({0, *cuts, len(data)})
    for number, (low, high) in enumerate(pairwise(edges)):
        said = [
            start
            for start in sorted(starts)
            if low <= start < high or (start == high and (tell_early or high == len(data)))
        ]
        found += splitter.feed(Chunk(low, data[low:high], number, 0, said, closes=closed and high == len(data)))
    return found


@pytest.mark.case(46)
@given(
    st.text("ab\n", max_size=120).map(str.encode),
    st.lists(st.integers(0, 120), max_size=10),
    st.sets(st.integers(0, 120), max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_lines_do_not_depend_on_how_the_bytes_come(
    data: bytes, cuts: list[int], starts: set[int], closed: bool, tell_early: bool
) -> None:
    cuts = [cut for cut in cuts if cut < len(data)]
    starts = {start for start in starts if start <= len(data)}
    wanted = expected(data, starts, closed and bool(data))
    for some in (cuts, [], list(range(len(data)))):
        found = fed(data, some, starts, closed, tell_early)
        assert [(line.offset, line.data, line.flags) for line in found] == wanted


@pytest.mark.case(51, 52, 53)
def test_a_line_is_its_exact_bytes_with_its_terminator() -> None:
    data = b"a\r\nb\rc\n\n\x00\xff\n"
    found = fed(data, [], set(), False, False)
    assert [(line.text, line.terminator) for line in found] == [
        (b"a", b"\r\n"), (b"b\rc", b"\n"), (b"", b"\n"), (b"\x00\xff", b"\n"),
    ]  # fmt: skip
    assert b"".join(line.data for line in found) == data


@pytest.mark.case(123)
def test_a_torn_last_line_is_not_glued_to_the_next_start() -> None:
    found = fed(b"half a lifresh\n", [], {9}, False, False)
    assert [(line.data, line.flags) for line in found] == [(b"half a li", TORN), (b"fresh\n", 0)]


@pytest.mark.case(6, 46, 49)
def test_a_line_without_an_end_is_open_until_something_ends_it() -> None:
    splitter = Splitter("s", 0)
    assert splitter.feed(Chunk(0, b"half", 1, 5)) == []
    assert splitter.open_line(1, 5) == Line("s", 0, b"half", 1, 5, TORN | OPEN)
    assert splitter.feed(Chunk(4, b"", 2, 6, closes=True)) == [Line("s", 0, b"half", 2, 6, TORN)]
    assert splitter.open_line(2, 6) is None


def test_the_rest_of_a_line_whose_beginning_is_gone_says_so() -> None:
    splitter = Splitter("s", 100, CUT)
    found = splitter.feed(Chunk(100, b"rest\nwhole\n", 1, 0))
    assert [(line.offset, line.flags) for line in found] == [(100, CUT), (105, 0)]
