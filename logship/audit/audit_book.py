"""Core: all that is audited: HAProxy's and the counters' streams of each container's life, and the verdicts so far.

Fed with the journal's frames in their order and nothing else, so the same journal gives the same verdicts whenever and
however often it is read. What it holds can be kept as JSON and loaded. Left to others: files, time, and telling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from logship.audit.audit_life import COUNTERS, HAPROXY, Life, Window
from logship.values import OFFSET_DIGITS, Invalid

STATE_VERSION = 1
LIVES_MAX = 1000
LINKS_MAX = 64


@dataclass(slots=True)
class Stream:
    """A stream that is audited. ``base``: offset of its first byte in what the program wrote."""

    path: str
    incarnation: str
    program: str
    base: int


class Book:
    """All lives. Give it every stream that is made, and the bytes of those it ``wants``."""

    def __init__(self) -> None:
        self.lives: dict[str, Life] = {}
        self._streams: dict[str, Stream] = {}

    def wants(self, path: str) -> bool:
        """Whether the stream is audited."""
        return path in self._streams

    def opened(self, path: str, source: Mapping[str, Any], *, kept_from: int = 0) -> None:
        """A stream is there; of its bytes those below ``kept_from`` are not kept any more."""
        program, incarnation = source.get("program"), source.get("incarnation")
        if program not in (HAPROXY, COUNTERS) or not isinstance(incarnation, str):
            return
        base = base_of(path, incarnation)
        if base is None:
            return
        life = self.lives.get(incarnation)
        if life is None:
            service, instance, *_ = path.split("/")
            life = self.lives[incarnation] = Life(service, instance, incarnation)
            self._bound()
        self._streams[path] = Stream(path, incarnation, program, base)
        life.over = False
        if program == COUNTERS:
            life.counters_seen, life.counters_closed = True, False
            return
        life.haproxy_closed = False
        life.links = [*life.links, (base, path)][-LINKS_MAX:]
        life.position = max(life.position, base + kept_from)
        # Of a chain whose beginning is not known here the first lines are not, either.
        if kept_from or (base and len(life.links) == 1):
            life.whole, life.kept_from = False, base + kept_from
        lost = source.get("lost_bytes")
        if "continues" in source and lost != 0:
            life.hole(lost if isinstance(lost, int) else None)

    def bytes(self, path: str, offset: int, data: bytes, starts: Sequence[int] = (), time_ms: int = 0) -> list[Window]:
        """Bytes of a stream it wants, in order; they came at ``time_ms``."""
        stream = self._streams[path]
        life = self.lives[stream.incarnation]
        life.seen_ms = max(life.seen_ms, time_ms)
        if stream.program == HAPROXY:
            return life.lines(stream.base + offset, data, [stream.base + start for start in starts])
        return life.counters(data)

    def unreadable(self, path: str, size: int) -> None:
        """Bytes of a stream it wants cannot be read any more."""
        stream = self._streams[path]
        life = self.lives[stream.incarnation]
        if stream.program == HAPROXY:
            life.hole(size)
        else:
            life.counters_held = b""

    def closed(self, path: str, time_ms: int) -> None:
        """Nothing follows in a stream: it was closed, or removed."""
        stream = self._streams.pop(path, None)
        if stream is None:
            return
        life = self.lives[stream.incarnation]
        others = [other for other in self._streams.values() if other.incarnation == stream.incarnation]
        if not any(other.program == stream.program for other in others):
            life.closed(stream.program, time_ms)

    def passed(self, time_ms: int) -> list[Window]:
        """The journal has come to this time."""
        found: list[Window] = []
        for life in [life for life in self.lives.values() if life.haproxy_closed]:
            found += life.passed(time_ms)
            if life.over and not life.workers:
                del self.lives[life.incarnation]
        return found

    def _bound(self) -> None:
        while len(self.lives) > LIVES_MAX:
            oldest = next(iter(self.lives))
            del self.lives[oldest]
            self._streams = {path: item for path, item in self._streams.items() if item.incarnation != oldest}

    def state(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "v": STATE_VERSION,
            "streams": [asdict(stream) for stream in self._streams.values()],
            "lives": [life.state() for life in self.lives.values()],
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Book | Invalid:
        """It again."""
        try:
            if state["v"] != STATE_VERSION:
                return Invalid("is of another version")
            book = cls()
            book._streams = {item["path"]: Stream(**item) for item in state["streams"]}
            book.lives = {item["incarnation"]: Life.load(item) for item in state["lives"]}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Invalid(f"cannot be read ({error!r})")
        return book


def base_of(path: str, incarnation: str) -> int | None:
    """Offset in what the program wrote of a stream's first byte, by its name; None of a stream of another make."""
    segments = path.split("/")
    name = segments[-1]
    if len(segments) != 4 or not name.startswith(incarnation):
        return None
    rest = name.removeprefix(incarnation)
    if not rest:
        return 0
    base = rest.removeprefix(".").partition(".")[0]
    return int(base) if rest.startswith(".") and len(base) == OFFSET_DIGITS and base.isdigit() else None
