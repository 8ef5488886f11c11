"""Times of receipt: they do not go back by little, and a clock that was far off is followed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.collect.receipt import BACK_MS_MAX, Receipt
from logship.view.history import History
from logship.view.journal_reader import Journal
from tests.logship.collect.shop import SMALL, Clock, everything, make, opened, put, run
from tests.logship.view.test_view_history import everything as read
from tests.logship.view.test_view_history import tail, texts, wanted

STEPS = st.lists(st.integers(-2 * BACK_MS_MAX, 2 * BACK_MS_MAX), max_size=30)


@pytest.mark.case(96)
@given(STEPS)
def test_a_time_is_never_before_the_one_before_but_where_the_clock_went_back_by_more_than_an_hour(
    steps: list[int],
) -> None:
    clock = Clock(10 * BACK_MS_MAX)
    receipt = Receipt(clock, 0)
    before = receipt()
    for step in steps:
        clock.ms += step
        now = receipt()
        assert now == clock.ms or 0 < now - clock.ms <= BACK_MS_MAX
        assert now >= before or before - clock.ms > BACK_MS_MAX
        before = now


@pytest.mark.case(96)
@pytest.mark.parametrize("restarts", [False, True], ids=["while it runs", "between two lives"])
def test_a_clock_that_is_set_back_hides_no_line_that_was_received_before(tmp_path: Path, restarts: bool) -> None:
    """Found: the last lines, and those since a time, left out what was received just before the clock went back."""
    clock, lines = Clock(), []

    async def write(first: int, count: int) -> None:
        async with opened(tmp_path, SMALL, clock) as store:
            if not first:
                await make(store)
            for number in range(first, first + count):
                clock.ms += 1000
                lines.append(b"%d %s\n" % (number, b"x" * 1000))
                await put(store, lines[-1])
            assert await everything(store) == b"".join(lines)

    async def both() -> None:
        async with opened(tmp_path, SMALL, clock) as store:
            await make(store)
            for number in range(40):
                clock.ms += 1000 if number != 20 else -BACK_MS_MAX // 2
                lines.append(b"%d %s\n" % (number, b"x" * 1000))
                await put(store, lines[-1])

    if restarts:
        run(write(0, 20))
        clock.ms -= BACK_MS_MAX // 2
        run(write(20, 20))
    else:
        run(both())
    before_ms = Clock().ms + 10_000
    history = History(Journal(tmp_path / "store"))
    assert len(list((tmp_path / "store" / "journal").iterdir())) > 2
    for count in (1, 25, 40):
        assert texts(tail(history, wanted(), count)) == lines[-count:]
    assert texts(read(history, wanted(since_ms=before_ms))) == lines[9:]
