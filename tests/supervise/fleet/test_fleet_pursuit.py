"""Bringing a program up or down, whatever it does meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.fleet.pursuit import EXITED_SECONDS, Facts, Pursuit, Step

STATES = ("STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN")


def facts(state: str, ready: bool | None = True, last_exit: str = "") -> Facts:
    return Facts(state, 7 if state in ("STARTING", "RUNNING", "STOPPING") else 0, ready, last_exit)


@pytest.mark.parametrize(
    ("goal", "state", "kind"),
    [
        *zip(["start"] * 8, STATES, ["start", "wait", "done", "stop", "wait", "start", "start", "failed"], strict=True),
        *zip(["stop"] * 8, STATES, ["done", "stop", "stop", "stop", "wait", "wait", "done", "failed"], strict=True),
    ],
)
def test_the_first_step_from_every_state(goal: str, state: str, kind: str) -> None:
    assert Pursuit(goal).next(facts(state), 0).kind == kind


@pytest.mark.parametrize(
    ("state", "kind"),
    list(zip(STATES, ["failed", "wait", "done", "wait", "wait", "wait", "failed", "failed"], strict=True)),
)
def test_the_step_from_every_state_once_a_start_was_asked_for(state: str, kind: str) -> None:
    pursuit = Pursuit("start")
    assert pursuit.next(facts("STOPPED"), 0).kind == "start"
    assert pursuit.next(facts(state), 0.1).kind == kind


def test_running_is_not_enough_while_it_is_not_ready() -> None:
    pursuit = Pursuit("start")
    assert pursuit.next(facts("STOPPED"), 0) == Step("start")
    assert pursuit.next(facts("RUNNING", ready=False), 1) == Step("wait")
    assert pursuit.overdue(facts("RUNNING", ready=False)) == "running, but not ready"
    assert pursuit.next(facts("RUNNING"), 2) == Step("done")


def test_what_already_is_as_wanted_is_told_as_that() -> None:
    assert Pursuit("start").next(facts("RUNNING"), 0) == Step("done", "it was running")
    assert Pursuit("stop").next(facts("STOPPED"), 0) == Step("done", "it was not running")
    assert Pursuit("stop").next(facts("FATAL"), 0) == Step("done", "it had been given up")


def test_running_is_enough_where_nobody_says_whether_it_is_ready() -> None:
    step = Pursuit("start").next(facts("RUNNING", ready=None), 0)
    assert (step.kind, "no state.json" in step.reason) == ("done", True)


def test_a_program_that_waits_for_its_next_try_is_begun_anew_at_once() -> None:
    pursuit = Pursuit("start")
    assert [pursuit.next(facts(state), 0).kind for state in ("BACKOFF", "STOPPED", "STARTING", "RUNNING")] == [
        "stop", "start", "wait", "done",
    ]  # fmt: skip


def test_exited_is_believed_only_when_it_lasts() -> None:
    """supervisord restarts a program within a second of its end: what is EXITED for a moment may be up in the next."""
    pursuit = Pursuit("stop")
    assert pursuit.next(facts("EXITED"), 0).kind == "wait"
    assert pursuit.next(facts("STARTING"), 0.5).kind == "stop"
    assert pursuit.next(facts("EXITED"), 1.0).kind == "wait"
    assert pursuit.next(facts("EXITED"), 1.0 + EXITED_SECONDS) == Step("done", "it had ended by itself")


def test_a_start_that_ends_for_good_fails_with_the_last_exit() -> None:
    for state, reason in (("EXITED", "it ended: status 3"), ("FATAL", "it was given up: status 3")):
        pursuit = Pursuit("start")
        assert pursuit.next(facts("STOPPED"), 0).kind == "start"
        pursuit.next(facts(state, last_exit="status 3"), 1)
        assert pursuit.next(facts(state, last_exit="status 3"), 1 + EXITED_SECONDS) == Step("failed", reason)


def test_a_refusal_that_only_says_what_is_already_so_is_looked_at_again() -> None:
    assert Pursuit("start").refused(60, "ALREADY_STARTED: x") == Step("wait")
    assert Pursuit("stop").refused(70, "NOT_RUNNING: x") == Step("wait")


def test_every_other_refusal_ends_it_in_words() -> None:
    assert Pursuit("start").refused(6, "SHUTDOWN_STATE") == Step("failed", "the container is being stopped")
    assert Pursuit("start").refused(10, "BAD_NAME: x") == Step("failed", "the container has no such program")
    assert Pursuit("start").refused(99, "NEW: thing") == Step("failed", "NEW: thing")


class Model:
    """supervisord's own moves, as far as a pursuit can see them; ``whims`` choose what happens by itself."""

    MOVES = {
        "STOPPED": ["STOPPED"],
        "STARTING": ["STARTING", "RUNNING", "BACKOFF"],
        "RUNNING": ["RUNNING", "EXITED"],
        "BACKOFF": ["BACKOFF", "STARTING", "FATAL"],
        "STOPPING": ["STOPPING", "STOPPED"],
        "EXITED": ["EXITED", "STARTING"],
        "FATAL": ["FATAL"],
    }

    def __init__(self, state: str) -> None:
        self.state = state

    def drift(self, whim: int) -> None:
        moves = self.MOVES[self.state]
        self.state = moves[whim % len(moves)]

    def ask(self, kind: str, pursuit: Pursuit) -> Step | None:
        if kind == "start":
            if self.state in ("RUNNING", "STARTING", "BACKOFF"):
                return pursuit.refused(60, "ALREADY_STARTED")
            self.state = "STARTING"
        else:
            if self.state not in ("RUNNING", "STARTING", "BACKOFF"):
                return pursuit.refused(70, "NOT_RUNNING")
            self.state = "STOPPED" if self.state == "BACKOFF" else "STOPPING"
        return None


@given(
    goal=st.sampled_from(["start", "stop"]),
    state=st.sampled_from(sorted(Model.MOVES)),
    whims=st.lists(st.integers(0, 2), max_size=60),
    between=st.lists(st.integers(0, 2), max_size=60),
)
def test_whatever_a_program_does_an_end_is_reached_and_is_true(
    goal: str, state: str, whims: list[int], between: list[int]
) -> None:
    """The program drifts before each look and between look and question; then it settles, and the pursuit ends."""
    model, pursuit, now = Model(state), Pursuit(goal), 0.0
    for turn in range(400):
        if turn < len(whims):
            model.drift(whims[turn])
        elif model.state in ("STARTING", "STOPPING", "BACKOFF"):
            model.drift(1)
        step = pursuit.next(facts(model.state), now)
        now += 0.1
        if step.kind == "done":
            down = ("STOPPED", "FATAL", "EXITED")
            assert model.state in (("RUNNING",) if goal == "start" else down)
            return
        if step.kind == "failed":
            assert model.state in ("EXITED", "FATAL", "STOPPED")
            assert step.reason
            return
        if step.kind in ("start", "stop"):
            if turn < len(between):
                model.drift(between[turn])
            refusal = model.ask(step.kind, pursuit)
            assert refusal is None or refusal.kind == "wait"
    raise AssertionError(f"no end from {state}, last seen {model.state}")
