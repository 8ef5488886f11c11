"""PID 1's guard: mistakes are told, counted and bounded; nothing escapes."""

from __future__ import annotations

import pytest

from supervise.init.guard import LINES_A_MINUTE, TEXT_MAX, Guard


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def fail() -> None:
    raise RuntimeError("x" * 10000 + " the end")


def test_an_exception_becomes_a_bounded_report() -> None:
    told: list[tuple[str, str, int]] = []
    guard = Guard(Clock(), lambda *report: told.append(report))
    assert not guard.run("here", fail)
    assert guard.run("here", lambda: None)
    ((where, text, count),) = told
    assert (where, count) == ("here", 1)
    assert text.endswith("the end\n")
    assert len(text) == TEXT_MAX


def test_reports_are_limited_a_minute_and_the_count_goes_on() -> None:
    told: list[int] = []
    clock = Clock()
    guard = Guard(clock, lambda _where, _text, count: told.append(count))
    for _ in range(100):
        guard.run("here", fail)
    assert len(told) == LINES_A_MINUTE
    clock.now = 61
    guard.run("here", fail)
    assert told[-1] == guard.total == 101


def test_a_report_that_fails_is_counted_too() -> None:
    guard = Guard(Clock(), lambda *_: fail())
    assert not guard.run("here", fail)
    assert guard.total == 2


def test_what_is_no_exception_of_ours_goes_through() -> None:
    """SystemExit is how supervisord ends on a broken configuration."""
    guard = Guard(Clock(), lambda *_: None)
    with pytest.raises(SystemExit):
        guard.run("here", lambda: (_ for _ in ()).throw(SystemExit(2)))
