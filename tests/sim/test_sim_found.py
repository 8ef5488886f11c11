"""Histories in which the simulator found a mistake once; shrunk, and played again for ever."""

from __future__ import annotations

import pytest

from tests.sim.plan import Change, Fault, Knobs, Plan, Write
from tests.sim.play import play

KNOBS = Knobs(chunk_bytes=400, look_seconds=0.25, linger=0.01, latency=0.2)


def history(seed: int, *files: Change, faults: tuple[Fault, ...] = ()) -> Plan:
    return Plan(seed, 5.0, KNOBS, ("web1",), (), faults, (), files)


FOUND = {
    "a rotated file was not found before its writer began a new one": history(
        94, Change(1.564, "write", 5000), Change(1.737, "rename")
    ),
    "a copy was shipped again while the file it was made of was empty": history(
        95,
        Change(0.5, "write", 40),
        Change(2.5, "write", 900),
        Change(2.9, "copytruncate"),
        faults=(Fault(2.0, "kill follower"), Fault(2.3, "kill follower"), Fault(2.6, "kill follower")),
    ),
    "a file that was emptied between being found and being looked at made its copy old": history(
        234, Change(2.878, "write", 5000), Change(3.415, "copytruncate")
    ),
    "what a file had before its first look was taken for a copy of what it had then": history(
        36, Change(1.195, "write", 16), Change(1.363, "copytruncate"), Change(1.902, "write", 900)
    ),
    "a copy was shipped again when the file it was made of was renamed": history(
        1,
        Change(0.342, "write", 5000),
        Change(1.097, "copytruncate"),
        Change(4.906, "rename"),
        faults=(Fault(3.248, "kill follower", steps=30),),
    ),
}


@pytest.mark.parametrize("mistake", FOUND)
def test_a_mistake_that_was_found_once_is_not_made_again(mistake: str) -> None:
    outcome = play(FOUND[mistake])
    assert outcome.text == ""
    assert outcome.met["file: write"] > 0


def test_a_lakes_own_name_is_durable_before_anything_is_deleted_that_it_holds() -> None:
    """collect synced the manifest and the folder it is in, and not the folder that one is in."""
    writes = tuple(Write(0.5 * number, "web1", "app", 900) for number in range(1, 8))
    knobs = Knobs(store_segment_bytes=1200, linger=0.0)
    outcome = play(Plan(1, 5.0, knobs, ("web1",), writes, (), seals=1))
    assert outcome.text == ""
    assert outcome.met["said: deleted"] > 0
    assert outcome.met["lines sealed"] > 0
