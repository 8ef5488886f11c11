"""When a program is asked whether it is ready, and what its answers mean."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervise.init.readiness import CALM_SECONDS, MISSES_MAX, UNREADY_SECONDS, Readiness, Verdict
from supervise.init.values import Ready

TCP = Ready("tcp", "127.0.0.1:1", interval_seconds=0.1, timeout_seconds=1, within_seconds=10)


def ask(readiness: Readiness, ok: bool, now: float) -> Verdict | None:
    assert readiness.due(now)
    readiness.asked(now)
    return readiness.answered(ok, "yes" if ok else "no", now)


def test_a_started_program_is_asked_at_once_and_again_after_the_interval() -> None:
    readiness = Readiness(TCP)
    assert not readiness.due(100)
    readiness.started(100)
    assert readiness.deadline() == 100
    assert ask(readiness, False, 100) is None
    assert not readiness.due(100.05)
    assert readiness.deadline() == 100.1
    assert ask(readiness, True, 100.1) == Verdict("ready", 100.1 - 100, "yes")
    assert readiness.ready


def test_a_ready_program_is_asked_calmly_and_lost_only_by_three_misses_in_a_row() -> None:
    readiness = Readiness(TCP)
    readiness.started(0)
    ask(readiness, True, 0)
    now = 0.0
    for ok in (False, False, True, False, False):
        now += CALM_SECONDS
        assert readiness.deadline() == now
        assert ask(readiness, ok, now) is None
        assert readiness.ready
        if not ok:
            now -= CALM_SECONDS - UNREADY_SECONDS
    assert MISSES_MAX == 3
    assert ask(readiness, False, now + CALM_SECONDS) == Verdict("unready", now + CALM_SECONDS, "no")
    assert not readiness.ready
    assert readiness.was_ready


def test_lost_readiness_comes_back_and_is_not_called_late() -> None:
    readiness = Readiness(TCP)
    readiness.started(0)
    ask(readiness, True, 0)
    now = CALM_SECONDS
    while readiness.ready:
        ask(readiness, False, now)
        now += CALM_SECONDS
    assert readiness.late(1000) is None
    assert readiness.due(1000)
    verdict = ask(readiness, True, 1000)
    assert verdict is not None
    assert verdict.word == "ready"


def test_late_is_told_once_and_asking_goes_on_more_slowly() -> None:
    readiness = Readiness(TCP)
    readiness.started(0)
    now = 0.0
    while now < 9.95:
        ask(readiness, False, now)
        assert readiness.late(now) is None
        deadline = readiness.deadline()
        assert deadline is not None
        now = deadline
    assert readiness.late(10) == Verdict("late", 10, "no")
    assert readiness.late(11) is None
    ask(readiness, False, 11)
    assert readiness.deadline() == 11 + UNREADY_SECONDS


def test_an_answer_that_takes_too_long_is_overdue_and_the_next_one_is_asked_later() -> None:
    readiness = Readiness(TCP)
    readiness.started(0)
    readiness.asked(0)
    assert not readiness.due(0.5)
    assert readiness.deadline() == 1
    assert not readiness.overdue(0.9)
    assert readiness.overdue(1)
    readiness.answered(False, "no answer", 1)
    assert readiness.due(1)


def test_answers_to_a_program_that_ended_mean_nothing() -> None:
    readiness = Readiness(TCP)
    readiness.started(0)
    readiness.asked(0)
    readiness.ended()
    assert readiness.answered(True, "yes", 0.1) is None
    assert not readiness.ready
    assert readiness.deadline() is None
    readiness.started(1)
    assert readiness.answered(True, "yes", 1) is None
    assert not readiness.ready


def test_running_is_all_that_the_plain_kind_waits_for() -> None:
    readiness = Readiness(Ready(within_seconds=3))
    assert readiness.running(0) is None
    readiness.started(0)
    assert not readiness.due(1)
    assert readiness.deadline() == 3
    assert readiness.running(2) == Verdict("ready", 2, "RUNNING")
    assert readiness.running(3) is None
    assert readiness.deadline() is None
    assert Readiness(TCP).running(1) is None


def test_a_program_that_only_has_to_be_there_is_ready_when_started_and_again_at_each_start() -> None:
    readiness = Readiness(Ready("started"))
    assert readiness.started(1) == Verdict("ready", 0, "started")
    assert not readiness.due(5)
    assert readiness.deadline() is None
    assert readiness.running(3) is None
    readiness.ended()
    assert not readiness.ready
    assert readiness.started(7) == Verdict("ready", 0, "started")


STEPS = st.lists(
    st.tuples(st.sampled_from(["start", "end", "good", "bad", "wait", "running"]), st.floats(0, 20)), max_size=40
)


@given(STEPS)
def test_verdicts_alternate_whatever_happens(steps: list[tuple[str, float]]) -> None:
    """ready and unready take turns within a life, and a deadline is never missed by being forgotten."""
    readiness, now, said = Readiness(TCP), 0.0, "unready"
    alive = False
    for step, seconds in steps:
        now += seconds
        verdict = None
        if step == "start":
            readiness.started(now)
            alive, said = True, "unready"
        elif step == "end":
            readiness.ended()
            alive, said = False, "unready"
        elif step in ("good", "bad"):
            if readiness.due(now):
                readiness.asked(now)
            verdict = readiness.answered(step == "good", step, now)
        elif step == "running":
            verdict = readiness.running(now)
        if verdict:
            assert alive
            assert verdict.word != said
            said = verdict.word
        assert readiness.ready == (said == "ready")
        assert (readiness.deadline() is not None) == alive
