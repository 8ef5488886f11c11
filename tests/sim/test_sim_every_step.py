"""One short history, ended at every step: each system call of each process in turn, and each byte of a request."""

from __future__ import annotations

import pytest

from tests.sim import lab
from tests.sim.network import Fate
from tests.sim.plan import Fault, Knobs, Plan, Write
from tests.sim.play import Outcome, play

WRITES = (Write(0.6, "web1", "app", 200), Write(0.7, "web1", "app", 900), Write(1.3, "web1", "app", 40))
KNOBS = Knobs(chunk_bytes=400, spool_segment_bytes=300, store_segment_bytes=2000, linger=0.0, orphans_wait=0.5)
BEGIN_SECONDS = 0.5
"""By then everything has been started; what is hit is hit after it."""
STEPS_MAX = 4000
VICTIMS = ("kill collect", "crash collector", "kill spool", "kill ship", "crash machine", "kill container")


def history(faults: tuple[Fault, ...] = (), fates: tuple[tuple[int, Fate], ...] = ()) -> Plan:
    return Plan(0, 2.0, KNOBS, ("web1",), WRITES, faults, fates)


def judged(plan: Plan) -> Outcome:
    outcome = play(plan)
    if outcome.violated:
        lab.explain(outcome, "", print)
        pytest.fail(f"{outcome.text} in {plan.lines()}")
    return outcome


def end_everywhere(kind: str, stride: int) -> None:
    """Until the history is over before the step comes."""
    hit: set[str] = set()
    for step in range(1, STEPS_MAX, stride):
        outcome = judged(history((Fault(BEGIN_SECONDS, kind, "web1", step),)))
        if not outcome.met.get(kind):
            assert step > 5 * stride, f"{kind} hit nothing"
            print(f"{kind}: {step} steps, at {sorted(hit)}")
            return
        hit |= {each for each in outcome.met if " hit at " in each}
    pytest.fail(f"more than {STEPS_MAX} steps")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", VICTIMS)
def test_the_history_survives_an_end_at_many_a_system_call(kind: str) -> None:
    end_everywhere(kind, 7)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", VICTIMS)
def test_the_history_survives_an_end_at_every_system_call(kind: str) -> None:
    end_everywhere(kind, 1)


def cut_everywhere(kind: str, numbers: range, parts: int) -> set[int]:
    """At which bytes requests, or answers, were cut."""
    met: set[str] = set()
    for number in numbers:
        for part in range(parts):
            met |= judged(history(fates=((number, Fate(kind, part / parts)),))).met.keys()
    return {int(each.rpartition(" ")[2]) for each in met if " cut at byte " in each}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["cut-request", "cut-answer"])
def test_the_history_survives_a_cut_at_many_a_byte(kind: str) -> None:
    assert len(cut_everywhere(kind, range(4, 10), 10)) >= 30


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", ["cut-request", "cut-answer"])
def test_the_history_survives_a_cut_at_every_byte(kind: str) -> None:
    """Of requests of up to 1000 bytes, of each kind that there is."""
    found = cut_everywhere(kind, range(1, 12), 1000)
    assert {*range(200)} <= found
