"""Whose turn it is to adopt, and when an adopted folder is given up."""

from __future__ import annotations

from pathlib import PurePath

from hypothesis import given
from hypothesis import strategies as st

from logship.ship.adoption import (
    ADOPTED_MAX,
    ASIDE_SECONDS,
    BUSY_SECONDS,
    OTHER_SECONDS,
    SIBLING_SECONDS,
    SPREAD,
    STALLED_SECONDS,
    Orphan,
    Progress,
    Queue,
)

OWN = Orphan(PurePath("/a/own"), "webapp", "me")
SIBLING = Orphan(PurePath("/a/sibling"), "webapp", "another")
OTHER = Orphan(PurePath("/b/other"), "ha", "another")


def turns(queue: Queue, orphans: list[Orphan], seconds: float) -> dict[PurePath, float]:
    """When the turn of each came, in tenths of a second."""
    found: dict[PurePath, float] = {}
    for tenth in range(int(seconds * 10)):
        queue.saw(orphans, tenth / 10, 0.5)
        for path in queue.due(tenth / 10, ADOPTED_MAX):
            found.setdefault(path, tenth / 10)
    return found


def test_the_next_life_of_a_container_comes_first_then_a_sibling_then_anybody() -> None:
    found = turns(Queue("webapp", "me"), [OTHER, SIBLING, OWN], 2 * (1 + SPREAD) * OTHER_SECONDS)
    assert list(found) == [OWN.path, SIBLING.path, OTHER.path]
    assert found[OWN.path] == 0
    assert SIBLING_SECONDS <= found[SIBLING.path] <= SIBLING_SECONDS * (1 + SPREAD)
    assert OTHER_SECONDS <= found[OTHER.path] <= OTHER_SECONDS * (1 + SPREAD)


def test_a_person_who_asks_for_it_waits_for_nobody() -> None:
    assert turns(Queue("", "me", at_once=True), [OTHER, SIBLING], 1) == {OTHER.path: 0, SIBLING.path: 0}


def test_one_that_was_held_in_between_is_waited_for_anew() -> None:
    queue = Queue("webapp", "me")
    queue.saw([SIBLING], 0, 0)
    queue.saw([], 2, 0)
    queue.saw([SIBLING], SIBLING_SECONDS, 0)
    assert queue.due(SIBLING_SECONDS, 8) == []
    assert queue.due(2 * SIBLING_SECONDS, 8) == [SIBLING.path]


def test_a_busy_one_makes_room_for_the_next_and_one_set_aside_is_left_alone_for_long() -> None:
    queue = Queue("webapp", "me", at_once=True)
    queue.saw([SIBLING, OTHER], 0, 0)
    assert queue.due(0, 1) == [SIBLING.path]
    queue.busy(SIBLING.path, 0)
    assert queue.due(0, 1) == [OTHER.path]
    queue.set_aside(OTHER.path, 0)
    assert queue.due(0, 1) == []
    assert queue.waiting == 1
    assert queue.aside(ASIDE_SECONDS - 1) == {OTHER.path}
    queue.saw([SIBLING], ASIDE_SECONDS, 0)
    assert queue.aside(ASIDE_SECONDS) == set()
    assert queue.due(BUSY_SECONDS, 1) == [SIBLING.path]


@given(st.integers(0, 40), st.integers(-3, 12))
def test_no_more_are_due_than_there_is_room_for(count: int, room: int) -> None:
    queue = Queue("", "", at_once=True)
    orphans = [Orphan(PurePath(f"/{number:02}"), "webapp", "x") for number in range(count)]
    queue.saw(orphans, 0, 0)
    assert queue.due(0, room) == [orphan.path for orphan in orphans][: max(0, room)]


def test_what_does_not_change_for_long_has_stalled_unless_the_collector_is_away() -> None:
    progress = Progress(0)
    assert not progress.stalled(2, 100, True, 0)
    assert not progress.stalled(2, 100, True, STALLED_SECONDS)
    assert progress.stalled(2, 100, True, STALLED_SECONDS + 1)
    assert not progress.stalled(2, 99, True, STALLED_SECONDS + 1)
    assert not progress.stalled(2, 99, False, 3 * STALLED_SECONDS)
    assert not progress.stalled(2, 99, True, 4 * STALLED_SECONDS)
    assert progress.stalled(2, 99, True, 4 * STALLED_SECONDS + 1)
