"""Core: what one reading looks for in the picture it has: streams, the fate of each line, losses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from logship.collect.stream import StreamState
from logship.lake.selection import Selection
from logship.view.lines import Line
from logship.view.losses import Placed
from logship.view.select import Identity, Wanted, is_snapshot


class Fate(Enum):
    """What becomes of a line."""

    GIVEN = "given"
    HIDDEN = "hidden"  # it matches, and is one of those that nobody asked for: it is counted
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Sought:
    """``streams`` to be read; ``placed`` are the losses that stand in them, by stream; ``events``: lines by events.

    ``selection`` says the same of rows of the lake.
    """

    streams: list[StreamState]
    keep: Callable[[Line], Fate]
    placed: dict[str, Placed] = field(default_factory=dict)
    events: bool = False
    selection: Selection | None = None

    @property
    def paths(self) -> list[str]:
        """The paths of the streams."""
        return [stream.path for stream in self.streams]


def streams_of(
    streams: Iterable[StreamState], identities: dict[str, Identity], wanted: Wanted, sealed: Collection[str] = ()
) -> list[StreamState]:
    """The streams that are wanted and have anything to be read; of those that are retired only the ``sealed`` ones."""
    found = [stream for stream in streams if not stream.retired or stream.path in sealed]
    return [stream for stream in found if wanted.stream(identities[stream.path])]


def keeper(wanted: Wanted, streams: Sequence[StreamState], identities: dict[str, Identity]) -> Callable[[Line], Fate]:
    """Says the fate of lines of these streams. What it returns raises Slow."""
    hiding = {stream.path for stream in streams if wanted.hides_snapshots(identities[stream.path])}
    tests: dict[str, Callable[[bytes], bool]] = {}
    for stream in streams:
        test = True if wanted.where is None else wanted.where(identities[stream.path])
        if not isinstance(test, bool):
            tests[stream.path] = test
    if wanted.grep is None and wanted.exclude is None and not tests:
        if not hiding:
            return lambda _: Fate.GIVEN
        return lambda line: Fate.HIDDEN if line.stream in hiding and is_snapshot(line.data) else Fate.GIVEN

    def fate(line: Line) -> Fate:
        text = line.text
        test = tests.get(line.stream)
        if not wanted.text(text) or (test is not None and not test(text)):
            return Fate.LEFT_OUT
        return Fate.HIDDEN if line.stream in hiding and is_snapshot(line.data) else Fate.GIVEN

    return fate
