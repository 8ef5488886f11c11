"""Somebody who reads: streams from where it was, over the network; what it got must be what was written, for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logship.ship.http_sink import Place, Sink, Unanswered
from logship.values import parse_stream_path

if TYPE_CHECKING:
    from tests.sim.world import World

READ_SECONDS = 1.2


class Reader:
    """A process of its own, on a host of its own."""

    def __init__(self, world: World, place: Place) -> None:
        self._world = world
        self._sink = Sink(place)
        self._at: dict[str, int] = {}

    def run(self) -> int:
        """Read until the faults are over, and then everything once more."""
        world = self._world
        while not world.over:
            world.engine.block(READ_SECONDS * (0.5 + world.os.process.random.random()))
            for path, end in [*world.oracle.wiretap.ends.items()]:
                if self._at.get(path, 0) < end:
                    self._read(path)
        self._at.clear()
        return 0

    def read_all(self) -> int:
        """Every stream from its beginning."""
        for path, end in [*self._world.oracle.wiretap.ends.items()]:
            while self._at.get(path, 0) < end:
                if not self._read(path):
                    self._world.oracle.fail(
                        "a reader gets what is stored", f"{path} cannot be read at {self._at.get(path, 0)}"
                    )
        return 0

    def _read(self, path: str) -> int:
        """What comes next of a stream; how many bytes that was."""
        assert isinstance(parse_stream_path(path), str)
        at = self._at.get(path, 0)
        try:
            reply = self._sink.exchange("GET", f"/v1/stream/{path}?offset={at:020}", (), None, 5.0, 1 << 20)
        except Unanswered:
            return 0
        if reply.status == 410:  # deleted, since it is in the lake: that is judged at the end
            first = reply.headers.get("logship-first-offset")
            self._at[path] = int(first) if first else self._world.oracle.wiretap.ends[path]
            return 1
        if reply.status != 200:
            if reply.status not in (404, 503):
                self._world.oracle.fail(
                    "a reader gets what is stored", f"{path} at {at}: {reply.status} {reply.body!r}"
                )
            return 0
        self._world.oracle.seen(path, at, reply.body)
        self._at[path] = at + len(reply.body)
        return len(reply.body)
