"""Clocks that jump: lines are shown in the order of time as far as a clock can be believed, and none is left out."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from logship.view.history import History
from logship.view.journal_reader import Journal
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.test_view_history import everything, tail, texts, wanted

HOUR_MS = 3_600_000


@pytest.mark.case(96)
@pytest.mark.parametrize("seed", range(20))
def test_the_last_lines_are_the_last_of_all_whichever_source_s_clock_jumps(shelf: Shelf, seed: int) -> None:
    """The collector's goes forward alone (logship/collect/receipt.py), the sources' back and forth by up to an hour."""
    chance = random.Random(seed)
    clock, skews = BORN_MS + 10 * HOUR_MS, [0, 0, 0]
    for number in range(60):
        clock += 1000
        if chance.random() < 0.1:
            clock += chance.randrange(HOUR_MS)
        if chance.random() < 0.1:
            skews[chance.randrange(3)] = chance.randrange(-HOUR_MS, HOUR_MS)
        shelf.now_ms = clock
        source = chance.randrange(3)
        text = b"no time %d\n" % number if chance.random() < 0.3 else stamped(clock + skews[source], number)
        shelf.append(f"s/{source}/x/i", text)
        if chance.random() < 0.2:
            shelf.rotate()
    history = History(Journal(shelf.folder))
    found = texts(everything(history, wanted()))
    assert len(found) == 60
    for count in (1, 5, 20, 60):
        assert texts(tail(history, wanted(), count)) == found[-count:], count


def stamped(time_ms: int, number: int) -> bytes:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S},{time_ms % 1000:03} line {number}\n".encode()
