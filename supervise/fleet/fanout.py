"""Ask many containers at once: a thread each, up to a bound, and an answer for every one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from logship.errors import Fault

WIDTH = 32
"""Questions under way at a time; the engine keeps as many connections."""

T = TypeVar("T")
R = TypeVar("R")


def at_once(ask: Callable[[T], R], items: Sequence[T]) -> list[R | Fault]:
    """``ask`` of every item, in the order of the items; a Fault stands where its answer would.

    Every question bounds its own time. Other exceptions are defects and are raised.
    """

    def asked(item: T) -> R | Fault:
        try:
            return ask(item)
        except Fault as fault:
            return fault

    if len(items) < 2:
        return [asked(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(WIDTH, len(items)), thread_name_prefix="ask") as pool:
        return list(pool.map(asked, items))
