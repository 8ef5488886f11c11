"""Whatever goes wrong on the way: nothing is lost without a record, nothing stands twice, and it comes to rest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.ship.states import State
from logship.wire.refusal import Code, Refusal
from tests.logship.ship.world import World

SIZES = st.integers(0, 3000)
STEPS = st.one_of(
    st.tuples(st.just("grow"), SIZES),
    st.tuples(st.just("lose"), st.integers(1, 500)),
    st.tuples(st.just("over budget"), st.integers(0, 4000)),
    st.tuples(st.just("delete acknowledged"), st.integers(0, 4000)),
    st.tuples(st.sampled_from(["step", "deliver", "deliver"]), st.just(0)),
    st.tuples(st.sampled_from(["step and deliver"]), st.integers(1, 8)),
    st.tuples(st.sampled_from(["lose answer", "lose request", "arrive late", "restart", "busy", "free"]), st.just(0)),
    st.tuples(st.sampled_from(["backup", "restore", "wipe"]), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 30)),
)


def play(world: World, steps: list[tuple[str, int]]) -> None:
    older = world.collector.backup()
    for name, number in steps:
        if name == "grow":
            world.grow(number)
        elif name == "lose":
            world.lose(number)
        elif name == "over budget":
            world.delete(min(world.deleted + number, world.end))
            world.look()
        elif name == "delete acknowledged":
            world.delete(min(world.deleted + number, world.acked))
            world.look()
        elif name == "step":
            world.step()
        elif name == "deliver":
            world.deliver()
        elif name == "step and deliver":
            for _ in range(number):
                world.step()
                world.deliver()
        elif name == "lose answer":
            world.lose_answer()
        elif name == "lose request":
            world.lose_request()
        elif name == "arrive late":
            world.arrive_late()
        elif name == "restart":
            world.restart_sender()
        elif name == "busy":
            world.collector.refuse_with = Refusal(Code.NO_ROOM, "full")
        elif name == "free":
            world.collector.refuse_with = None
        elif name == "backup":
            older = world.collector.backup()
        elif name == "restore":
            world.collector.restore(older)
            world.reconnect()
        elif name == "wipe":
            world.collector.wipe()
            world.reconnect()
        else:
            world.now += number
    world.collector.refuse_with = None


@pytest.mark.case(61, 63, 64, 67, 72, 73, 83, 84)
@given(st.lists(STEPS, max_size=60), st.booleans())
@settings(max_examples=400, deadline=None)
def test_every_byte_arrives_once_or_is_recorded_as_lost(steps: list[tuple[str, int]], ends: bool) -> None:
    world = World()
    play(world, steps)
    world.ended = ends
    world.finish()
    # What was still on its way from senders long dead may have changed nothing.
    world.check()
    if ends and world.any:
        assert world.sender.state is State.DRAINED
        assert all(kept.closed for kept in world.collector.streams.values() if kept.data)


@pytest.mark.case(74)
@given(st.lists(STEPS, max_size=40))
@settings(max_examples=200, deadline=None)
def test_a_sender_that_knows_nothing_comes_to_the_same_end(steps: list[tuple[str, int]]) -> None:
    world = World()
    play(world, steps)
    world.finish()
    before = world.chain()
    world.restart_sender()
    world.finish()
    assert world.chain() == before
    assert world.sender.unacknowledged == 0
