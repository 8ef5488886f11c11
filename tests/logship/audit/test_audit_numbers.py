"""The numbers of a worker's lines against a plain set."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from logship.audit import audit_numbers
from logship.audit.audit_numbers import WRAP, Numbers, runs


def nowhere(number: int) -> int:
    return number


CHUNKS = st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=12, unique=True), max_size=12)


@given(CHUNKS, st.integers(0, 70))
def test_what_is_missing_is_what_was_not_seen(chunks: list[list[int]], number: int) -> None:
    numbers, seen = Numbers(), set[int]()
    again = 0
    for chunk in chunks:
        numbers.take(chunk, nowhere)
        again += len(seen.intersection(chunk))
        seen.update(chunk)
    assert numbers.end == max(seen, default=0)
    assert numbers.missing(number) == number - len([one for one in seen if one <= number])
    assert numbers.twice == again
    assert numbers.late == 0


@given(CHUNKS, CHUNKS, st.integers(0, 70))
def test_folding_changes_no_count(before: list[list[int]], after: list[list[int]], fold: int) -> None:
    plain, folded = Numbers(), Numbers()
    for chunk in before:
        plain.take(chunk, nowhere)
        folded.take(chunk, nowhere)
    missing = plain.missing(fold)
    folded.fold(fold)
    assert folded.missing(fold) == folded.folded == missing
    late = {number for chunk in after for number in chunk if number <= fold}
    for chunk in after:
        beyond = [number for number in chunk if number > fold]
        for numbers in (plain, folded):
            if beyond:
                numbers.take(beyond, nowhere)
    for number in range(fold, 71):
        assert folded.missing(number) - missing == plain.missing(number) - plain.missing(fold)
    for number in late:
        folded.take([number], nowhere)
    assert folded.late == len(late)
    assert folded.missing(fold) == missing, "what was judged stays judged"


@given(CHUNKS)
def test_it_is_the_same_after_being_kept(chunks: list[list[int]]) -> None:
    numbers = Numbers()
    for chunk in chunks:
        numbers.take(chunk, nowhere)
    assert Numbers.load(json.loads(json.dumps(numbers.state()))) == numbers


def test_a_count_of_32_bits_may_begin_anew() -> None:
    numbers = Numbers(WRAP - 3, WRAP - 3, WRAP - 3)
    numbers.take([WRAP - 2, WRAP - 1], nowhere)
    numbers.take([0, 1, 3], nowhere)
    assert numbers.end == WRAP + 3
    assert numbers.missing(WRAP + 3) == 1


def test_holes_are_bounded_and_none_is_forgotten() -> None:
    numbers = Numbers()
    for number in range(2, 4 * audit_numbers.HOLES_MAX, 2):
        numbers.take([number], nowhere)
    assert len(numbers.holes) <= audit_numbers.HOLES_MAX
    assert numbers.folded_to > 0
    assert numbers.missing(numbers.end) == numbers.end // 2


def test_the_place_of_a_hole_is_that_of_the_line_after_it() -> None:
    numbers = Numbers()
    numbers.take([1, 2, 5, 9], lambda number: number * 1000)
    assert numbers.place == 5000
    numbers.take([12], lambda number: number * 1000)
    numbers.fold(9)
    assert numbers.place == 12_000
    numbers.fold(12)
    assert numbers.place is None


def test_runs_tell_what_is_there_twice() -> None:
    assert list(runs([3, 1, 2, 7, 3])) == [(1, 3), (3, 3), (7, 7)]
