"""Whose turn it is, of lanes that are looked through only while they are awake."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from logship.ship.chain import Origin
from logship.ship.schedule import Schedule
from logship.ship.sources import Lane, Sources
from logship.ship.states import State
from logship.ship.turns import Turns


@dataclass
class Stub:
    """A sender of which it is said what it wants."""

    name: str
    want: bool = False
    out: bool = False
    state: State = State.SENDING
    origin: Origin = field(init=False)

    def __post_init__(self) -> None:
        self.origin = Origin("shop", "host", "file", self.name)

    @property
    def settled(self) -> bool:
        return not self.want and not self.out


@dataclass
class Source:
    adopted: bool = False
    program: str = "file"


class Lanes:
    """So many of them; ``adopted`` are those of the numbers from there on."""

    def __init__(self, count: int, adopted: int = 99) -> None:
        self.senders = [Stub(f"{number}") for number in range(count)]
        self.lanes = [Lane(cast("object", Source(at >= adopted)), each) for at, each in enumerate(self.senders)]  # type: ignore[arg-type]
        self.schedule: Schedule[Lane] = Schedule()
        sources = cast("Sources", type("Some", (), {"own": self.lanes[:adopted]}))
        self.turns = Turns(sources, self.schedule)

    def wants(self, *numbers: int) -> None:
        """A look finds that these grew."""
        for number in numbers:
            self.senders[number].want = True
            self.turns.woke(self.lanes[number])
        self.turns.looked()

    def serve(self) -> int | None:
        """The one whose turn it is sends."""
        lane = self.turns.next()
        if lane is None:
            return None
        self.schedule.pick([lane], 0, 0.0)
        number = self.lanes.index(lane)
        self.senders[number].want, self.senders[number].out = False, True
        self.turns.woke(lane)
        return number

    def answered(self, number: int, *, more: bool = False) -> None:
        """Its request is answered, and it has ``more`` to send."""
        self.senders[number].out, self.senders[number].want = False, more
        self.turns.woke(self.lanes[number])


def test_the_one_served_longest_ago_comes_first_also_of_those_that_wanted_more_since() -> None:
    lanes = Lanes(3)
    lanes.wants(0, 1, 2)
    found = []
    for _ in range(6):
        number = lanes.serve()
        assert number is not None
        found.append(number)
        lanes.answered(number, more=True)
    assert found == [0, 1, 2, 0, 1, 2]


def test_who_wakes_at_a_look_does_not_wait_for_all_others() -> None:
    lanes = Lanes(5)
    lanes.wants(4)
    assert lanes.serve() == 4
    lanes.answered(4)
    lanes.wants(0, 1, 2)
    assert lanes.serve() == 0
    lanes.answered(0, more=True)
    lanes.wants(3)
    assert lanes.serve() in (1, 2, 3), "none of them was served yet"
    lanes.wants(4)
    assert {lanes.serve() for _ in range(2)} <= {1, 2, 3}
    assert lanes.serve() == 4, "before the one that was served after it"


def test_who_has_nothing_to_do_and_waits_for_nothing_sleeps() -> None:
    lanes = Lanes(3)
    lanes.wants(0, 1, 2)
    lanes.senders[1].want, lanes.senders[1].state = False, State.PARKED
    lanes.senders[2].want = False
    assert lanes.turns.awake == lanes.lanes[:2]
    assert lanes.serve() == 0
    assert lanes.turns.awake == lanes.lanes[:2], "an answer will come, a wait will be over"
    lanes.answered(0)
    assert lanes.turns.awake == [lanes.lanes[1]]


def test_who_is_over_has_no_turn_though_it_was_in_the_order() -> None:
    lanes = Lanes(2)
    lanes.wants(0, 1)
    assert lanes.serve() == 0
    lanes.turns.forget(lanes.lanes[1])
    assert lanes.serve() is None


def test_of_adopted_ones_one_at_a_time_has_a_turn_and_none_at_the_end() -> None:
    lanes = Lanes(4, adopted=2)
    lanes.wants(2, 3)
    assert lanes.serve() == 2
    assert lanes.serve() is None, "one of them is out"
    lanes.answered(2)
    assert lanes.serve() == 3
    lanes.answered(3, more=True)
    lanes.turns.own_only = True
    assert lanes.serve() is None
    lanes.wants(1)
    assert lanes.serve() == 1


def test_a_list_that_another_has_asked_for_is_not_asked_for_twice() -> None:
    lanes = Lanes(2)
    lanes.wants(0, 1)
    lanes.senders[1].state = State.LISTING
    lanes.turns.listing = {"1"}
    assert lanes.serve() == 0
    assert lanes.serve() is None
    lanes.turns.listing = set()
    assert lanes.serve() == 1


@given(st.lists(st.one_of(st.just("serve"), st.tuples(st.sampled_from(("grow", "answer", "more")), st.integers(0, 5)))))
def test_the_order_that_is_kept_is_the_one_that_would_be_made_anew(steps: list[str | tuple[str, int]]) -> None:
    lanes, served, turn = Lanes(6), dict.fromkeys(range(6), 0), 0
    for step in steps:
        if isinstance(step, str):
            wanting = [number for number in range(6) if lanes.senders[number].want]
            found = lanes.serve()
            assert (found is None) == (not wanting)
            if found is not None:
                assert served[found] == min(served[number] for number in wanting)
                turn += 1
                served[found] = turn
            continue
        what, number = step
        if what == "grow" and not lanes.senders[number].out:
            lanes.wants(number)
        elif what != "grow" and lanes.senders[number].out:
            lanes.answered(number, more=what == "more")
