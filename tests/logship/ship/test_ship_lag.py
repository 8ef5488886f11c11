"""How old the oldest byte is that waits: never said younger than it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logship.ship.lag import MARKS_MAX, Age, Waiting


def test_nothing_waits_where_all_is_acknowledged() -> None:
    age = Age()
    age.found(0, 1.0)
    assert age.waiting(0) is None
    age.found(10, 2.0)
    assert age.waiting(10) is None


def test_the_oldest_byte_is_as_old_as_the_look_that_found_it() -> None:
    age = Age()
    age.found(0, 1.0)
    age.found(10, 2.0)
    age.found(20, 3.0)
    assert age.waiting(5) == Waiting(2.0, False)
    assert age.waiting(10) == Waiting(3.0, False)
    assert age.waiting(20) is None


def test_what_was_there_at_the_first_look_is_older_than_that() -> None:
    age = Age()
    age.found(100, 1.0)
    age.found(200, 5.0)
    assert age.waiting(40) == Waiting(1.0, True)
    assert age.waiting(150) == Waiting(5.0, False)


def test_a_source_that_became_shorter_holds_other_bytes() -> None:
    age = Age()
    age.found(100, 1.0)
    age.found(30, 2.0)
    assert age.waiting(0) == Waiting(2.0, False)


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0.01, 5)), min_size=1, max_size=2000), st.data())
def test_an_age_is_never_said_too_short_and_little_is_held(looks: list[tuple[int, float]], data: st.DataObject) -> None:
    age, end, now = Age(), 0, 0.0
    age.found(0, now)
    found: list[tuple[int, float]] = []
    for size, pause in looks:
        end, now = end + size, now + pause
        age.found(end, now)
        found.append((end, now))
    assert len(age._marks) <= MARKS_MAX
    acknowledged = data.draw(st.integers(0, end - 1))
    waiting = age.waiting(acknowledged)
    assert waiting is not None
    assert waiting.since <= next(at for upto, at in found if upto > acknowledged)
