"""What follows the end of a program, and what an end is called."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.init.exits import exit_of
from supervise.init.restart import (
    GiveUp,
    Wait,
    after_failure,
    startretries,
    status_after_exit,
    status_after_giving_up,
)
from supervise.init.values import Restart


def test_waits_double_up_to_their_maximum() -> None:
    policy = Restart(tries=0, backoff_seconds=1, backoff_seconds_max=30)
    assert [after_failure(policy, count) for count in range(1, 8)] == [Wait(s) for s in (1, 2, 4, 8, 16, 30, 30)]


def test_the_last_try_is_followed_by_giving_up() -> None:
    policy = Restart(tries=3)
    assert [after_failure(policy, count) for count in (1, 2, 3, 4)] == [Wait(1), Wait(2), GiveUp(), GiveUp()]


def test_supervisord_gives_up_at_the_same_failure() -> None:
    """It goes to FATAL when failures > startretries."""
    for tries in (1, 5, 1000):
        policy = Restart(tries=tries)
        first = next(count for count in range(1, 2000) if isinstance(after_failure(policy, count), GiveUp))
        assert first == startretries(policy) + 1
    assert startretries(Restart(tries=0)) == 2**31 - 1


@given(st.floats(0.05, 3600), st.floats(0.05, 86400), st.integers(1, 10**6))
def test_no_number_of_failures_makes_a_wait_longer_than_its_maximum(first: float, most: float, count: int) -> None:
    decided = after_failure(Restart(tries=0, backoff_seconds=first, backoff_seconds_max=max(first, most)), count)
    assert isinstance(decided, Wait)
    assert first <= decided.seconds <= max(first, most)


def test_the_containers_status_is_the_newest_failure_that_was_one() -> None:
    assert status_after_giving_up([3, 3]) == 3
    assert status_after_giving_up([3, 139, 0]) == 139
    assert status_after_giving_up([0, 0, 0]) == 70
    assert status_after_giving_up([None]) == 70
    assert status_after_giving_up([]) == 70
    assert status_after_exit(0) == 0
    assert status_after_exit(139) == 139


@pytest.mark.parametrize(
    ("code", "text", "status", "name", "container"),
    [
        ("import os; os._exit(0)", "exit status 0", 0, None, 0),
        ("import os; os._exit(3)", "exit status 3", 3, None, 3),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL", None, "SIGKILL", 137),
        ("import os; os.kill(os.getpid(), 15)", "killed by SIGTERM", None, "SIGTERM", 143),
        ("import os; os.kill(os.getpid(), 40)", "killed by signal 40", 168, None, 168),
    ],
)
def test_an_end_is_told_in_words(code: str, text: str, status: int | None, name: str | None, container: int) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            for number in (signal.SIGTERM, 40):  # the process of the tests may have its own way with them
                signal.signal(number, signal.SIG_DFL)
            exec(code)
        finally:
            os._exit(99)  # never go on as a second process of tests
    raw = os.waitpid(pid, 0)[1]
    found = exit_of(pid, raw)
    assert (found.text, found.status, found.signal, found.container_status) == (text, status, name, container)


def test_a_core_dump_and_a_lack_of_memory_are_told() -> None:
    assert exit_of(1, signal.SIGSEGV | 0x80).text == "killed by SIGSEGV, core dumped"
    assert exit_of(1, signal.SIGKILL, out_of_memory=True).text == "killed by SIGKILL, out of memory"


def test_a_start_that_failed_has_its_reason_and_no_status() -> None:
    found = exit_of(0, None, "can't find command")
    assert (found.text, found.status, found.signal, found.container_status) == ("can't find command", None, None, None)
