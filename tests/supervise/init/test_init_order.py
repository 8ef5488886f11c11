"""Who starts next, who stops next, and which orders are impossible."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from supervise.init.order import find_cycles, start_order, startable, stoppable

HA = {"spool": [], "serf": ["spool"], "haproxy": ["spool"], "balance": ["haproxy", "serf"]}


def test_programs_start_after_what_they_wait_for_else_as_declared() -> None:
    assert start_order(HA) == ["spool", "serf", "haproxy", "balance"]
    assert start_order({"b": ["a"], "c": [], "a": []}) == ["c", "a", "b"]


def test_only_what_has_all_predecessors_ready_may_start() -> None:
    assert startable(HA, begun=[], ready=[]) == ["spool"]
    assert startable(HA, begun=["spool"], ready=[]) == []
    assert startable(HA, begun=["spool"], ready=["spool"]) == ["serf", "haproxy"]
    assert startable(HA, begun=["spool", "serf", "haproxy"], ready=["spool", "serf"]) == []


def test_only_what_nothing_up_depends_on_may_stop() -> None:
    assert stoppable(HA, {"spool", "serf", "haproxy", "balance"}) == ["balance"]
    assert stoppable(HA, {"spool", "serf", "haproxy"}) == ["haproxy", "serf"]
    assert stoppable(HA, {"spool"}) == ["spool"]
    assert stoppable(HA, set()) == []


def test_a_program_stays_while_a_distant_follower_is_up() -> None:
    """The one between them is down already: it crashed."""
    assert stoppable({"a": [], "b": ["a"], "c": ["b"]}, {"a", "c"}) == ["c"]


def test_a_circle_is_found_and_named() -> None:
    assert find_cycles({"x": ["a"], "a": ["b"], "b": ["a"]}) == [["a", "b", "a"]]
    assert find_cycles({"a": ["a"]}) == [["a", "a"]]
    assert find_cycles({"a": ["elsewhere"]}) == []
    assert find_cycles(HA) == []
    several = {"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"], "e": ["e"], "f": ["a"]}
    assert find_cycles(several) == [["a", "b", "a"], ["c", "d", "c"], ["e", "e"]]


NAMES = [f"p{number}" for number in range(8)]
ACYCLIC = st.lists(st.sets(st.integers(0, 7)), min_size=8, max_size=8).map(
    lambda sets: {name: [NAMES[other] for other in sorted(sets[at]) if other < at] for at, name in enumerate(NAMES)}
)
ANY = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3), max_size=8)


@given(ACYCLIC)
def test_an_order_without_circles_starts_and_stops_everything(after: dict[str, list[str]]) -> None:
    """Starting and stopping by the rules ends, in one order and its reverse rule, whatever the graph."""
    assert find_cycles(after) == []
    order = start_order(after)
    assert all(order.index(other) < order.index(name) for name in after for other in after[name])
    up: set[str] = set()
    while len(up) < len(after):
        found = startable(after, up, up)
        assert found
        assert all(other in up for name in found for other in after[name])
        up.update(found)
    while up:
        found = stoppable(after, up)
        assert found
        up.difference_update(found)
        assert all(other in up for name in up for other in after[name])


@given(ANY)
def test_a_reported_circle_is_one_and_none_is_missed(after: dict[str, list[str]]) -> None:
    cycles = find_cycles(after)
    known = {name: [other for other in others if other in after] for name, others in after.items()}
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert all(later in after[earlier] for earlier, later in pairwise(cycle))
    assert len({name for cycle in cycles for name in cycle}) == sum(len(cycle) - 1 for cycle in cycles)
    if not cycles:
        assert sorted(start_order(known)) == sorted(after)
