"""What is raised where an invariant does not hold."""

from __future__ import annotations


class Violation(Exception):
    """An invariant does not hold. ``invariant`` is its name."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
        self.text = text
