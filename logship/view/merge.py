"""Core: lines of several streams in one order: by time, the order inside a stream never violated.

Where times inside a stream go backwards its own order wins: the later line is placed as if it were written with the
latest one before it. Ties are broken by stream, then offset, so the order is the same at every reading.
"""

from __future__ import annotations

import heapq
import itertools
import operator
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

REORDER_MS = 150
"""How long a follower's lines are gathered before they are put in order and shown. What arrives later stands later."""


class Placed(Protocol):
    """What has a place: when, and the address that breaks ties."""

    @property
    def time_ms(self) -> int: ...
    @property
    def stream(self) -> str: ...
    @property
    def offset(self) -> int: ...


Item = TypeVar("Item", bound=Placed)
Key = tuple[int, str, int, int]


class Keys:
    """Gives the items of one stream, in its order, the keys that put them in place among others."""

    def __init__(self) -> None:
        self._latest = self._count = 0

    def of(self, items: Iterable[Item]) -> Iterator[tuple[Key, Item]]:
        """The next items with their keys, which do not fall."""
        for item in items:
            if item.time_ms > self._latest:
                self._latest = item.time_ms
            yield (self._latest, item.stream, item.offset, self._count), item
            self._count += 1


def merged(streams: Iterable[Iterable[Item]]) -> Iterator[Item]:
    """All items of streams that are each in their own order. Lazy: one item a stream is held."""
    return _in_order(Keys().of(items) for items in streams)


class Gradual(Generic[Item]):
    """``count`` streams merged while what they hold becomes known: the order is that of ``merged``."""

    def __init__(self, count: int) -> None:
        self._keys = [Keys() for _ in range(count)]
        self._known: list[deque[tuple[Key, Item]]] = [deque() for _ in range(count)]

    @property
    def held(self) -> int:
        """How many items are known and not given."""
        return sum(map(len, self._known))

    def add(self, number: int, items: Iterable[Item]) -> None:
        """What comes next in a stream."""
        self._known[number].extend(self._keys[number].of(items))

    def before(self, time_ms: float) -> list[Item]:
        """What is known and placed before a time; no stream may have anything earlier that is not known yet."""
        found = [pair for known in self._known for pair in _taken(known, time_ms)]
        found.sort(key=_key)  # as a merge does it: of equal ones that of the earlier stream is first
        return [item for _, item in found]

    def rest(self, streams: Sequence[Iterable[Item]]) -> Iterator[Item]:
        """All that was not given, and what comes after it in each stream. Lazy."""
        whole = zip(self._known, self._keys, streams, strict=True)
        return _in_order(itertools.chain(known, keys.of(items)) for known, keys, items in whole)


_key = operator.itemgetter(0)


def _taken(known: deque[tuple[Key, Item]], time_ms: float) -> Iterator[tuple[Key, Item]]:
    while known and known[0][0][0] < time_ms:
        yield known.popleft()


def _in_order(keyed: Iterable[Iterable[tuple[Key, Item]]]) -> Iterator[Item]:
    for _, item in heapq.merge(*keyed, key=_key):
        yield item
