"""Core: what is held of a group of lines: a number of lines, of numbers their sum and percentiles, of lines an example.

Each holds what depends on the lines alone, never on their order, and says how heavy it is: so many values are held.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Protocol

EXACT_MAX = 1000
"""Different values of a group up to which percentiles are exact: the times of HAProxy are whole milliseconds."""
SKETCH_ERROR = 0.005
"""Beyond it a percentile is off by this share of it at most: values are rounded before they are counted.

To half of it: then a percentile of whole numbers can be made whole again, and is what it was up to 200.
"""
_BASE = math.log((1 + SKETCH_ERROR * 0.49) / (1 - SKETCH_ERROR * 0.49))
_TINY = 1e-9

Number = int | float


class Cell(Protocol):
    """What is held of a group. ``add`` and ``merge`` (of one of the same kind) say how much heavier it is after.

    ``times``: of so many lines that say the same.
    """

    lines: int
    weight: int

    def add(self, said: Any, times: int = 1) -> int: ...
    def merge(self, other: Any) -> int: ...


class Tally:
    """A number of lines."""

    __slots__ = ("lines", "weight")

    def __init__(self) -> None:
        self.lines, self.weight = 0, 1

    def add(self, _: object, times: int = 1) -> int:
        """One more."""
        self.lines += times
        return 0

    def merge(self, other: Tally) -> int:
        """Those of another one."""
        self.lines += other.lines
        return 0


def rounded(value: Number) -> float:
    """The value that stands for all that are near it, within half of SKETCH_ERROR."""
    if -_TINY < value < _TINY:
        return 0.0
    power = math.ceil(math.log(abs(value)) / _BASE)
    near = 2 * math.exp(power * _BASE) / (math.exp(_BASE) + 1)
    return near if value > 0 else -near


class Numbers:
    """Numbers: how many, sum, least and most; with ``each`` also how often each one came, for percentiles.

    The sum is exact: whole numbers in one, the others by their denominator, which is a power of two. So no order of
    adding can be seen in it.
    """

    __slots__ = ("_each", "_exact_max", "_parts", "_sketched", "_whole", "least", "lines", "most", "weight")

    def __init__(self, each: bool, exact_max: int = EXACT_MAX) -> None:
        self.lines, self.weight = 0, 1
        self.least: Number = math.inf
        self.most: Number = -math.inf
        self._whole = 0
        self._parts: dict[int, int] = {}
        self._each: dict[Number, int] | None = {} if each else None
        self._exact_max = exact_max
        self._sketched = False

    @classmethod
    def of(cls, lines: int, total: int | None, least: int | None, most: int | None) -> Numbers:
        """Whole numbers that somebody else has added up."""
        found = cls(each=False)
        if total is not None and least is not None and most is not None:
            found.lines, found._whole, found.least, found.most = lines, int(total), least, most
        return found

    def add(self, said: Number, times: int = 1) -> int:
        """One more number, a whole one as int."""
        self.lines += times
        if said < self.least:
            self.least = said
        if said > self.most:
            self.most = said
        if type(said) is int:
            self._whole += said * times
        else:
            numerator, denominator = said.as_integer_ratio()
            self._parts[denominator] = self._parts.get(denominator, 0) + numerator * times
        each = self._each
        if each is None:
            return 0
        if not self._sketched and said in each:
            each[said] += times
            return 0
        return self._hold(rounded(said) if self._sketched else said, times)

    def merge(self, other: Numbers) -> int:
        """Those of another one."""
        self.lines += other.lines
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self._whole += other._whole
        for denominator, numerator in other._parts.items():
            self._parts[denominator] = self._parts.get(denominator, 0) + numerator
        grown = 0
        if other._sketched and not self._sketched:
            grown += self._round()
        for value, count in (other._each or {}).items():
            grown += self._hold(rounded(value) if self._sketched and not other._sketched else value, count)
        return grown

    @property
    def is_exact(self) -> bool:
        """Whether percentiles are."""
        return not self._sketched

    @property
    def sum(self) -> Number:
        """All of them together."""
        return _plain(self._total())

    @property
    def mean(self) -> float | None:
        """The sum by the number of them."""
        return float(self._total() / self.lines) if self.lines else None

    def percentiles(self, shares: Sequence[Fraction]) -> list[Number | None]:
        """For each share (of 1) the least value that at least this share of all is not above."""
        if not self.lines or self._each is None:
            return [None] * len(shares)
        ranks = sorted({max(1, math.ceil(share * self.lines)) for share in shares})
        found: dict[int, Number] = {}
        seen = 0
        for value in sorted(self._each):
            seen += self._each[value]
            while len(found) < len(ranks) and ranks[len(found)] <= seen:
                near = round(value) if self._sketched and not self._parts else value
                found[ranks[len(found)]] = min(max(near, self.least), self.most)
            if len(found) == len(ranks):
                break
        return [found[max(1, math.ceil(share * self.lines))] for share in shares]

    def _total(self) -> Fraction:
        return sum((Fraction(over, under) for under, over in self._parts.items()), Fraction(self._whole))

    def _hold(self, value: Number, times: int) -> int:
        each = self._each
        if each is None:
            return 0
        before = each.get(value)
        if before is not None:
            each[value] = before + times
            return 0
        each[value] = times
        if not self._sketched and len(each) > self._exact_max:
            return self._round()
        return self._heavier()

    def _round(self) -> int:
        self._sketched = True
        held, self._each = self._each, {}
        for value, times in (held or {}).items():
            near = rounded(value)
            self._each[near] = self._each.get(near, 0) + times
        return self._heavier()

    def _heavier(self) -> int:
        """A weight never falls, so that it depends on what was added alone, not on when."""
        weight = max(len(self._each or ()), self._exact_max if self._sketched else 1)
        grown, self.weight = weight - self.weight, max(weight, self.weight)
        return max(0, grown)


class Example:
    """Lines that are alike: how many, from when to when, and the first of them."""

    __slots__ = ("first", "last_ms", "lines", "weight")

    def __init__(self) -> None:
        self.lines, self.weight = 0, 1
        self.first: tuple[int, str] | None = None
        self.last_ms = 0

    def add(self, said: tuple[int, str], times: int = 1) -> int:
        """One more: its time and text."""
        self.lines += times
        self._see(said, said[0])
        return 0

    def merge(self, other: Example) -> int:
        """Those of another one."""
        self.lines += other.lines
        if other.first is not None:
            self._see(other.first, other.last_ms)
        return 0

    def _see(self, first: tuple[int, str], last_ms: int) -> None:
        if self.first is None or first < self.first:
            self.first = first
        self.last_ms = max(self.last_ms, last_ms)


def _plain(total: Fraction) -> Number:
    return total.numerator if total.denominator == 1 else float(total)
