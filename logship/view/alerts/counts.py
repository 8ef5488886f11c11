"""Core: how many lines of each group there were in the last slices of time, each as long as an alert is looked at.

What is held is bounded: so many slices, in all of them together GROUPS_MAX groups, and of both COUNTS_MAX numbers;
lines of further groups are one group of their own, OTHERS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

GROUPS_MAX = 1000
COUNTS_MAX = 100_000
OTHERS = "(others)"

Group = tuple[str, ...]


class Counts:
    """Lines of the last ``slots`` slices up to the one called ``slot``; ``totals`` are their sums by group."""

    def __init__(self, slots: int, slot: int) -> None:
        self.slot = slot
        self.totals: dict[Group, int] = {}
        self._slots = slots
        self._groups_max = min(GROUPS_MAX, COUNTS_MAX // slots)
        self._slices: dict[int, dict[Group, int]] = {}

    def __bool__(self) -> bool:
        """Whether there is any line."""
        return bool(self._slices)

    def add(self, group: Group, slot: int) -> None:
        """A line; one of a slice that is over counts in the next one."""
        slot = max(slot, self.slot + 1)
        if group not in self.totals and len(self.totals) >= self._groups_max:
            group = (OTHERS,) * len(group)
        one = self._slices.setdefault(slot, {})
        one[group] = one.get(group, 0) + 1
        self.totals[group] = self.totals.get(group, 0) + 1

    def move(self, slot: int) -> None:
        """The window ends with ``slot`` now; what has left it is forgotten."""
        self.slot = slot
        for gone in sorted(one for one in self._slices if one <= slot - self._slots):
            for group, count in self._slices.pop(gone).items():
                self.totals[group] -= count
                if not self.totals[group]:
                    del self.totals[group]

    def value(self, group: Group) -> int:
        """Lines of a group, of the slices up to ``slot``."""
        ahead = self._slices.get(self.slot + 1, {}).get(group, 0)  # those that came since the last look
        return self.totals.get(group, 0) - ahead

    def shift(self, slots: int) -> None:
        """All of it is so many slices later."""
        self.slot += slots
        self._slices = {slot + slots: one for slot, one in self._slices.items()}

    def fields(self) -> list[Any]:
        """For the file: slices, their groups by number."""
        groups = {group: number for number, group in enumerate(self.totals)}
        slices = {slot: [[groups[group], count] for group, count in one.items()] for slot, one in self._slices.items()}
        return [self.slot, [list(group) for group in groups], [*slices.items()]]


def read_counts(slots: int, said: Sequence[Any]) -> Counts:
    """The same back again."""
    slot, groups, slices = said
    found = Counts(slots, int(slot))
    for at, pairs in slices:
        one = {tuple(map(str, groups[number])): int(count) for number, count in pairs}
        found._slices[int(at)] = one
        for group, count in one.items():
            found.totals[group] = found.totals.get(group, 0) + count
    return found
