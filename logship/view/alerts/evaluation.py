"""Core: one alert over time: lines in the order of their receipt, looks at whole multiples of ``every``, what changed.

A look at T sees the lines received in (T - window, T]. What comes out is a function of lines and their times of
receipt: it is the same when they are read late, or again from a point before. Time never goes back here: a clock that
was set is told by ``shift``, which leaves all that has lasted as long as it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from logship.view.alerts.counts import Counts, Group, read_counts
from logship.view.alerts.rule import Rule
from logship.view.alerts.standing import FIRING, QUIET, RESOLVED, Standing

STANDINGS_MAX = 2000
"""Groups that are known, those without lines among them."""


@dataclass(frozen=True, slots=True)
class Change:
    """A group of an alert begins to fire, or stops: at ``at_ms``, when there were ``value`` lines.

    ``firing``: which of the alert's firings it is, from 1; ``fired_ms``: when that began. ``why``: not by its lines.
    """

    alert: str
    group: Group
    status: str
    at_ms: int
    value: int
    firing: int
    fired_ms: int
    why: str = ""


class Evaluation:
    """One alert. It counts from ``began_ms`` on."""

    def __init__(self, rule: Rule, began_ms: int) -> None:
        self.rule = rule
        self.at_ms = began_ms // rule.every_ms * rule.every_ms
        self.began_ms = self.at_ms
        self.firings = 0
        self.counts = Counts(rule.slots, self.at_ms // rule.every_ms)
        self.standings: dict[Group, Standing] = {}
        if not rule.by:
            self.standings[()] = Standing()

    def line(self, received_ms: int, group: Group) -> list[Change]:
        """A line that is counted, after all looks before its receipt; they may change something."""
        if received_ms <= self.began_ms:
            return []
        changes = self.advance(received_ms - 1)
        self.counts.add(group, -(-received_ms // self.rule.every_ms))
        return changes

    def advance(self, to_ms: int) -> list[Change]:
        """All looks up to this time: all lines received up to then are given."""
        changes: list[Change] = []
        every = self.rule.every_ms
        last = to_ms // every * every
        while self.at_ms < last:
            self.at_ms = self._next(last)
            self.counts.move(self.at_ms // every)
            changes += self._look()
        return changes

    def end(self, why: str) -> list[Change]:
        """Nobody asks for it any more: what fires is over."""
        return [
            self.changed(group, standing, RESOLVED, why)
            for group, standing in self.standings.items()
            if standing.state == FIRING
        ]

    def unseen(self) -> None:
        """Lines were missed: only a window from here on is seen whole."""
        self.began_ms = self.at_ms

    def shift(self, delta_ms: int) -> None:
        """The clock was set: all of it is so much later (or earlier), to a whole look."""
        every = self.rule.every_ms
        slots = delta_ms // every
        self.at_ms += slots * every
        self.began_ms += slots * every
        self.counts.shift(slots)
        for standing in self.standings.values():
            standing.shift(slots * every)

    @property
    def settled(self) -> bool:
        """Whether the window was seen whole."""
        return self.at_ms - self.began_ms >= self.rule.window_ms

    def value(self, group: Group) -> int:
        """How many lines of a group are in the window."""
        return self.counts.value(group)

    def _look(self) -> Iterator[Change]:
        rule, settled = self.rule, self.settled
        for group in self.counts.totals:
            if group not in self.standings and len(self.standings) < STANDINGS_MAX:
                self.standings[group] = Standing(seen_ms=self.at_ms)
        for group, standing in [*self.standings.items()]:
            value = self.counts.value(group)
            if value:
                standing.seen_ms = self.at_ms
            elif rule.by and self._forgets(standing):
                del self.standings[group]
                if standing.state == FIRING:
                    yield self.changed(group, standing, RESOLVED, f"no line of it for {rule.forget_ms // 1000} s")
                continue
            status = standing.look(rule, value, self.at_ms, settled)
            if status == FIRING:
                self.firings += 1
                standing.firing = self.firings
            if status is not None:
                yield self.changed(group, standing, status)

    def _forgets(self, standing: Standing) -> bool:
        """Whether a group without lines in the window is not looked at any more."""
        if not self.rule.wants_lines:
            return standing.state == QUIET
        return self.at_ms - standing.seen_ms >= self.rule.window_ms + self.rule.forget_ms

    def changed(self, group: Group, standing: Standing, status: str, why: str = "") -> Change:
        """What is said of a group whose status is another one now."""
        value = self.counts.value(group)
        return Change(self.rule.name, group, status, self.at_ms, value, standing.firing, standing.fired_ms, why)

    def _next(self, last: int) -> int:
        """The next look at which anything can change."""
        rule, every = self.rule, self.rule.every_ms
        following = self.at_ms + every
        if self.counts:
            return following
        if not self.settled:
            return min(last, max(following, -(-(self.began_ms + rule.window_ms) // every) * every))
        times = []
        for standing in self.standings.values():
            if (found := standing.next_ms(rule)) is not None:
                times.append(found)
            if rule.by:
                times.append(standing.seen_ms + rule.window_ms + rule.forget_ms if rule.wants_lines else 0)
        soonest = -(-min(times, default=last) // every) * every
        return min(last, max(following, soonest))

    # What is kept.

    def fields(self) -> dict[str, Any]:
        """For the file."""
        standings = [[list(group), *one.fields()] for group, one in self.standings.items()]
        return {
            "counted": _counted(self.rule), "by": [key.name for key in self.rule.by], "at": self.at_ms,
            "began": self.began_ms, "firings": self.firings, "counts": self.counts.fields(), "standings": standings,
        }  # fmt: skip


def read_evaluation(rule: Rule, said: Mapping[str, Any]) -> tuple[Evaluation, list[Change]]:
    """The same back again, for an alert that may be declared in another way since, and what that changes.

    What fires goes on where groups are the same, the counts where all is that they hang on.
    """
    found = Evaluation(rule, int(said["at"]))
    found.firings = int(said["firings"])
    same = said["counted"] == _counted(rule)
    standings = {tuple(map(str, group)): Standing(*fields) for group, *fields in said["standings"]}
    if same:
        found.at_ms, found.began_ms = int(said["at"]), int(said["began"])
        found.counts = read_counts(rule.slots, said["counts"])
    elif said["by"] == [key.name for key in rule.by]:
        standings = {group: one for group, one in standings.items() if one.state == FIRING}
    else:
        why, firing = "it is declared in another way", [one for one in standings.items() if one[1].state == FIRING]
        return found, [found.changed(group, one, RESOLVED, why) for group, one in firing]
    found.standings.update(standings)
    return found, []


def _counted(rule: Rule) -> list[Any]:
    """What its counts hang on, as JSON gives it back."""
    return [rule.query, rule.window_ms, rule.every_ms, [key.name for key in rule.by], rule.snapshots]
