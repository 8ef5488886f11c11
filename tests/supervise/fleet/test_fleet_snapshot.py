"""state.json: what is taken from it, and what a container is worth whose file is missing, torn, old or strange."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import Fault
from supervise.fleet.snapshot import parse, view
from tests.supervise.fleet.places import NOW, container, ended, program, state


def test_every_field_is_taken() -> None:
    text = state(
        program("webapp", "BACKOFF", restarts=3, essential=True, last_exit=ended("killed by SIGKILL", signal="SIGKILL"))
    )
    snapshot = parse(text)
    found = snapshot.program("webapp")
    assert found is not None
    assert (snapshot.time, snapshot.phase, snapshot.healthy) == (NOW - 2, "running", True)
    assert (found.state, found.ready, found.restarts, found.essential, found.pid) == ("BACKOFF", False, 3, True, 0)
    assert found.last_exit is not None
    assert (found.last_exit.signal, found.last_exit.status, found.last_exit.time) == ("SIGKILL", None, NOW - 5)
    assert snapshot.program("other") is None


def test_a_program_is_well_when_it_is_running_and_ready() -> None:
    snapshot = parse(state(program("a"), program("b", ready=False), program("c", "STARTING")))
    assert [item.is_well for item in snapshot.programs] == [True, False, False]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "has no state.json"),
        (b"", "state.json is unreadable: not JSON"),
        (b"[1]", "state.json is unreadable: not an object"),
        (state()[:-20], "state.json is unreadable: not JSON"),
        (state(v=2), "state.json is unreadable: version 2, this command knows 1"),
        (state(programs=None), "state.json is unreadable: programs is None"),
        (state(programs=[1]), "state.json is unreadable: a program is not an object"),
        (state(program("a", restarts="many")), "state.json is unreadable: restarts is 'many'"),
        (state(program("a", started="yesterday")), "state.json is unreadable: started is 'yesterday'"),
        (state(program("a", started="2026-11-23T21:00:00")), "state.json is unreadable: started has no time zone"),
        (state(time=None), "state.json is unreadable: time is null"),
        (Fault("read", "it", "no route to host"), "cannot be asked: no route to host"),
        (b"[" * 100_000, "state.json is unreadable: not JSON"),
    ],
)
def test_a_container_that_cannot_be_understood_has_a_reason_and_no_programs(
    answer: bytes | Fault | None, reason: str
) -> None:
    seen = view(container(), answer, NOW)
    assert seen.snapshot is None
    assert seen.reason.startswith(reason)
    assert not seen.is_well


def test_an_old_state_is_shown_but_not_believed() -> None:
    seen = view(container(), state(program("a"), age=75), NOW)
    assert seen.reason == "state.json is 75 s old: PID 1 hangs, or clocks differ"
    assert seen.snapshot is not None
    assert not seen.is_well
    assert view(container(), state(program("a"), age=59), NOW).is_well


def test_a_stopped_container_says_so_in_the_engines_words() -> None:
    seen = view(container(state="exited"), None, NOW)
    assert seen.reason == "exited (137) 3 minutes ago"


def test_a_container_that_is_being_stopped_is_not_well() -> None:
    assert view(container(), state(program("a"), phase="stopping"), NOW).reason == "is being stopped"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(name=st.sampled_from(sorted(program("a"))), value=JSON)
def test_a_program_with_any_value_in_any_field_is_taken_or_refused(name: str, value: object) -> None:
    text = state(program("a", fields={name: value}))
    seen = view(container(), text, NOW)
    assert seen.snapshot is not None or seen.reason.startswith("state.json is unreadable: ")


@given(name=st.sampled_from(sorted(json.loads(state()))), value=JSON)
def test_a_file_with_any_value_in_any_field_is_taken_or_refused(name: str, value: object) -> None:
    seen = view(container(), state(fields={name: value}), NOW)
    assert seen.snapshot is not None or seen.reason.startswith("state.json is unreadable: ")


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    seen = view(container(), data, NOW)
    assert seen.snapshot is None
    assert seen.reason
