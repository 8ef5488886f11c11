"""Lines of HAProxy, fed whole, byte by byte and in between, and what is not whole among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.audit.audit_scan import HELD_BYTES_MAX, Found, Scanner
from tests.logship.audit.audit_world import EVENT, line

TREE = Path(__file__).resolve().parents[3]


def fed(data: bytes, sizes: Sequence[int], starts: Sequence[int] = ()) -> list[Found]:
    """What the pieces of these sizes (the last one again and again) give."""
    scanner, found, offset = Scanner(), [], 0
    for size in [*sizes, *[sizes[-1]] * len(data)]:
        piece = data[offset : offset + size]
        if not piece:
            break
        inside = [start for start in starts if offset <= start <= offset + len(piece)]
        found.append(scanner.take(offset, piece, inside))
        offset += len(piece)
    return found


def numbers(found: Sequence[Found]) -> dict[int, list[int]]:
    merged: dict[int, list[int]] = {}
    for one in found:
        for pid, these in one.numbers.items():
            merged.setdefault(pid, []).extend(these)
    return merged


DATA = b"".join([
    line(7, 1), line(7, 2), EVENT, line(8, 1), b"[NOTICE]   (9) : New worker (8) forked\n", line(7, 3),
    line(7, 4, "/?a= pid=1 lc=1 tt=1 n=99 b"), line(8, 2),
])  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 1000, 1 << 20])
def test_numbers_are_found_whatever_the_pieces(size: int) -> None:
    found = fed(DATA, [size])
    assert numbers(found) == {7: [1, 2, 3, 4], 8: [1, 2]}
    assert sum(one.torn + one.unnumbered for one in found) == 0


@given(st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_pieces_of_any_size_give_the_same(sizes: list[int]) -> None:
    assert numbers(fed(DATA, sizes)) == {7: [1, 2, 3, 4], 8: [1, 2]}


def test_the_pattern_is_that_of_our_template() -> None:
    template = (TREE / "templates" / "haproxy.cfg.j2").read_text()
    assert 'pid=%pid lc=%lc tt=%Tt n=%[sc_inc_gpc(0,2),set-var(proc.lines)]"' in template


OTHER = b"web-1 GET / pid=7 lc=%d tt=1 n=%d\n"


def after_hole(data: bytes, size: int) -> tuple[dict[int, list[int]], int]:
    """Numbers and torn lines of what follows on a hole, in pieces of that size."""
    scanner, merged, torn = Scanner(broken=True), dict[int, list[int]](), 0
    for offset in range(0, len(data), size):
        one = scanner.take(offset, data[offset : offset + size])
        torn += one.torn
        for pid, these in one.numbers.items():
            merged.setdefault(pid, []).extend(these)
    return merged, torn


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
@pytest.mark.parametrize("lost", [12, 40, 100, 150])
def test_after_a_hole_the_rest_of_a_line_is_no_line(size: int, lost: int) -> None:
    assert after_hole(line(7, 1)[lost:] + line(7, 2) + line(8, 1), size) == ({7: [2], 8: [1]}, 1)
    assert after_hole(line(7, 1)[lost:], size) == ({}, 1)


@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_after_a_hole_that_ends_with_a_line_all_lines_count(size: int) -> None:
    assert after_hole(line(7, 1) + line(7, 2), size) == ({7: [1, 2]}, 0)
    assert after_hole(b"\n" + line(7, 1) + line(7, 2)[9:], size)[0] == {7: [1, 2]}, "it is the first line alone"
    assert after_hole(EVENT[30:] + line(7, 1), size) == ({7: [1]}, 0)


def test_after_a_hole_lines_of_another_form_are_not_told_from_their_rests() -> None:
    assert after_hole(OTHER % (0, 1) + OTHER % (1, 2), 1 << 20) == ({7: [1, 2]}, 0)


@pytest.mark.case(116)
def test_a_torn_line_has_the_next_one_glued_to_it() -> None:
    found = fed(line(7, 1) + line(7, 2)[:120] + line(7, 3), [1 << 20])[0]
    assert found.numbers == {7: [1, 3]}
    assert found.glued() == 1
    whole = fed(line(7, 1) + line(7, 2), [1 << 20])[0]
    assert whole.glued() == 0


@pytest.mark.case(116)
def test_a_line_that_was_cut_has_no_number_and_is_counted_as_torn() -> None:
    found = fed(line(7, 1) + line(7, 2)[:150] + b"\n" + line(7, 3), [1 << 20])[0]
    assert found.numbers == {7: [1, 3]}
    assert (found.torn, found.unnumbered) == (1, 0)


def test_a_line_of_a_frontend_that_numbers_none_is_told_apart() -> None:
    old = line(7, 1).replace(b" n=1\n", b"\n")
    unset = line(7, 1).replace(b" n=1\n", b" n=-\n")
    assert fed(old + unset, [1 << 20])[0].unnumbered == 2


def test_what_a_start_cuts_off_is_torn_and_begins_no_line() -> None:
    before = line(7, 1) + line(7, 2)[:60]
    for size in (1, 50, 1 << 20):
        found = fed(before + line(9, 1), [size], [len(before)])
        assert numbers(found) == {7: [1], 9: [1]}
        assert sum(one.torn for one in found) >= 1


def test_a_number_is_found_at_its_line() -> None:
    found = fed(DATA, [1 << 20])[0]
    assert found.locate(3) == DATA.index(line(7, 3))
    assert DATA[found.begins(8) :].startswith(b" pid=8 ")


def test_a_line_without_an_end_is_held_only_so_far() -> None:
    scanner = Scanner()
    for offset in range(0, 10 * HELD_BYTES_MAX, 1 << 16):
        scanner.take(offset, b"x" * (1 << 16))
    assert len(scanner.held) <= HELD_BYTES_MAX
