"""Core: lines of several streams in one order: by time, the order inside a stream never violated.

Where times inside a stream go backwards its own order wins: the later line is placed as if it were written with the
latest one before it. Ties are broken by stream, then offset, so the order is the same at every reading.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

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


def keyed(items: Iterable[Item]) -> Iterator[tuple[tuple[int, str, int, int], Item]]:
    """The items of one stream with the keys that put them in place among others."""
    latest = 0
    for number, item in enumerate(items):
        latest = max(latest, item.time_ms)
        yield (latest, item.stream, item.offset, number), item


def merged(streams: Iterable[Iterable[Item]]) -> Iterator[Item]:
    """All items of streams that are each in their own order. Lazy: one item a stream is held."""
    for _, item in heapq.merge(*(keyed(items) for items in streams), key=lambda pair: pair[0]):
        yield item
