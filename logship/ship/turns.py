"""Run: which of the lanes gets the next turn. Of thousands few have anything to do, and only those are looked through.

A lane is awake from when something happens to it until it has nothing to do and waits for nothing. The order is made
anew at each look, and when it is through: whoever was served meanwhile comes after all others in it anyway.

Left to others: who was served when (``schedule``), the order within a family of files (``families``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from logship.ship.plain_states import Plain
from logship.ship.schedule import Schedule
from logship.ship.sources import Lane, Sources
from logship.ship.states import State

_WAIT = frozenset({State.WAITING, State.PARKED, Plain.WAITING, Plain.PARKED})


class Turns:
    """``of_files`` says of lanes, among them all that are not through, those of files whose turn it may be, and all
    others. ``own_only``: adopted ones have no turn any more."""

    def __init__(self, sources: Sources, schedule: Schedule[Lane]) -> None:
        self.of_files: Callable[[Sequence[Lane]], list[Lane]] = list
        self.own_only = False
        self.listing: set[str] = set()  # incarnations whose list is asked for
        self._sources = sources
        self._schedule = schedule
        self._awake: dict[Lane, None] = {}
        self._order: list[Lane] = []  # the next one is the last

    def woke(self, lane: Lane) -> None:
        """Something happened to it."""
        self._awake[lane] = None

    def forget(self, lane: Lane) -> None:
        """It is over."""
        self._schedule.forget(lane)
        self._awake.pop(lane, None)

    def looked(self) -> None:
        """Others may come first now."""
        self._order = []

    @property
    def awake(self) -> list[Lane]:
        """The lanes that have something to do, or wait."""
        for lane in [lane for lane in self._awake if _sleeps(lane)]:
            del self._awake[lane]
        return [*self._awake]

    def next(self) -> Lane | None:
        """The one whose turn it is."""
        lane = self._pop()
        if lane is None:
            self._order = self._schedule.order(filter(self._may, self.of_files(self.awake)))[::-1]
            lane = self._pop()
        return lane

    def _pop(self) -> Lane | None:
        while self._order:
            lane = self._order.pop()
            if self._may(lane):
                return lane
        return None

    def _may(self, lane: Lane) -> bool:
        if not lane.sender.want or lane.listed_in(self.listing) or lane not in self._awake:
            return False
        return not lane.adopted or not (self.own_only or (self._sources.own and self._adopted_out))

    @property
    def _adopted_out(self) -> bool:
        return any(lane.adopted and lane.sender.out for lane in self._awake)


def _sleeps(lane: Lane) -> bool:
    sender = lane.sender
    return sender.settled and not sender.want and sender.state not in _WAIT
