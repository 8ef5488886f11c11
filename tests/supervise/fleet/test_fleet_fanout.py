"""Many questions at once."""

from __future__ import annotations

import threading

import pytest

from logship.errors import Fault
from supervise.fleet.fanout import WIDTH, at_once


def test_answers_come_in_the_order_of_the_questions_and_a_fault_stands_in_its_place() -> None:
    fault = Fault("ask", "two", "it would not say")

    def ask(number: int) -> int:
        if number == 2:
            raise fault
        return number * 10

    assert at_once(ask, range(5)) == [0, 10, fault, 30, 40]
    assert at_once(ask, []) == []


def test_all_are_under_way_together_up_to_the_bound() -> None:
    together = threading.Barrier(WIDTH, timeout=60)
    assert at_once(lambda _: together.wait() >= 0, range(WIDTH)) == [True] * WIDTH


def test_a_defect_is_raised_and_not_taken_for_an_answer() -> None:
    with pytest.raises(ZeroDivisionError):
        at_once(lambda number: 1 // number, [1, 0])


def test_an_interrupt_does_not_wait_for_those_who_hang() -> None:
    release = threading.Event()

    def ask(number: int) -> None:
        if number:
            raise KeyboardInterrupt
        release.wait(60)

    try:
        with pytest.raises(KeyboardInterrupt):
            at_once(ask, [0, 1])
        assert not release.is_set()
    finally:
        release.set()
