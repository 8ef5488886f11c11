"""Core: how one group of an alert stands, and what a look at it changes: one table, every cell filled.

quiet --holds--> pending --held for `for`--> firing --not held for `resolve_after`--> quiet
                 pending --does not hold--> quiet          firing --holds--> firing, its end is forgotten
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from logship.view.alerts.rule import Rule

QUIET, PENDING, FIRING = "quiet", "pending", "firing"
RESOLVED = "resolved"


@dataclass(slots=True)
class Standing:
    """``since_ms``: it holds since then. ``over_ms``: it fires, and does not hold since then.

    ``fired_ms``: since when it fires; ``firing``: the number of that. ``seen_ms``: the last look that saw a line.
    """

    state: str = QUIET
    since_ms: int = 0
    over_ms: int | None = None
    fired_ms: int = 0
    firing: int = 0
    seen_ms: int = 0

    def look(self, rule: Rule, value: int, at_ms: int, settled: bool) -> str | None:
        """What became of it at this look: FIRING, RESOLVED or nothing. ``settled``: the window was seen whole."""
        firing = self.state == FIRING
        holds = rule.holds(value, firing)
        if not settled and holds == rule.wants_lines:  # lines that were not seen could change it
            self.state = FIRING if firing else QUIET
            return None
        if firing:
            return self._firing(rule, holds, at_ms)
        if not holds:
            self.state = QUIET
            return None
        if self.state == QUIET:
            self.state, self.since_ms = PENDING, at_ms
        if at_ms - self.since_ms < rule.for_ms:
            return None
        self.state, self.fired_ms, self.over_ms = FIRING, at_ms, None
        return FIRING

    def _firing(self, rule: Rule, holds: bool, at_ms: int) -> str | None:
        if holds:
            self.over_ms = None
            return None
        if self.over_ms is None:
            self.over_ms = at_ms
        if at_ms - self.over_ms < rule.resolve_ms:
            return None
        self.state = QUIET
        return RESOLVED

    def next_ms(self, rule: Rule) -> int | None:
        """When a look can change anything where there are no lines; 0: the next one does, None: none ever."""
        holds = rule.holds(0, self.state == FIRING)
        if self.state == QUIET:
            return 0 if holds else None
        if self.state == PENDING:
            return self.since_ms + rule.for_ms if holds else 0
        if holds:
            return None if self.over_ms is None else 0
        return 0 if self.over_ms is None else self.over_ms + rule.resolve_ms

    def shift(self, delta_ms: int) -> None:
        """The clock was set by so much: how long everything has lasted stays."""
        self.since_ms += delta_ms
        self.fired_ms += delta_ms
        self.seen_ms += delta_ms
        if self.over_ms is not None:
            self.over_ms += delta_ms

    def fields(self) -> list[Any]:
        """For the file."""
        return [self.state, self.since_ms, self.over_ms, self.fired_ms, self.firing, self.seen_ms]
