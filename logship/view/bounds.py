"""Core: which LSNs and times a reading is of, and which blocks of the journal can have lines of it."""

from __future__ import annotations

from dataclasses import dataclass

from logship.view.blocks import Block
from logship.view.moment import DAY_MS
from logship.view.select import Wanted


@dataclass(frozen=True, slots=True)
class Bounds:
    """The LSNs whose lines are wanted; ``with_open``: also lines that have no end yet."""

    start: int
    end: int
    with_open: bool = False


def too_old(newest_ms: int, wanted: Wanted, enough_ms: int | None) -> bool:
    """Whether what was received up to then is of no use: no line's time is after its receipt."""
    return (wanted.since_ms is not None and newest_ms < wanted.since_ms) or (
        enough_ms is not None and newest_ms < enough_ms
    )


def out_of_range(block: Block, wanted: Wanted) -> bool:
    """Whether no line of the block can be in the range: a line's time is at most a day before its receipt."""
    return (wanted.since_ms is not None and block.newest_ms < wanted.since_ms) or (
        wanted.until_ms is not None and block.oldest_ms - DAY_MS >= wanted.until_ms
    )
