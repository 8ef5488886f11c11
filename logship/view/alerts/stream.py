"""Edge: lines of events into their stream at the collector, each once and in order, whatever is cut in between.

A stream is appended to from where it ends as we know it; where it ends farther on, just behind one of our lines, that
one was stored before, and where it ends anywhere else it is another one's, and the lines go to a new stream.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from logship.ship.http1 import Reply
from logship.ship.http_sink import Place, Sink, Unanswered
from logship.values import Invalid, parse_offset

TRY_SECONDS = 10.0
LINES_AT_ONCE = 500
_CREATED, _DONE = (200, 201), (200, 204)
_REPLACED = (403, 404, 409, 410)


@dataclass(frozen=True, slots=True)
class Stored:
    """The lines up to ``number`` (0: none) are in ``stream``, which ends at ``end``; or why nothing was stored."""

    stream: str
    end: int
    number: int = 0
    trouble: str = ""


class EventStream:
    """At the collector ``place``. ``source`` is what its metadata say."""

    def __init__(self, place: Place, source: dict[str, str]) -> None:
        self._place, self._source = place, source
        self._sink = Sink(place)
        self._made = ""

    def append(self, stream: str, end: int, lines: Sequence[tuple[int, str]]) -> Stored:
        """Append numbered lines to ``stream``, which ends at ``end``."""
        try:
            if self._made != stream:
                reply = self._exchange("PUT", stream, [("Logship-Source", json.dumps(self._source))], b"")
                if reply.status not in _CREATED:
                    return self._otherwise(stream, end, reply)
                self._made = stream
            body = "".join(f"{text}\n" for _, text in lines).encode()
            reply = self._exchange("POST", stream, [("Stream-Expected-Offset", f"{end:020}")], body)
        except Unanswered as error:
            return Stored(stream, end, trouble=f"the collector at {self._place.url}: {error.cause}")
        if reply.status in _DONE:
            return Stored(stream, end + len(body), lines[-1][0])
        known = _behind(reply, end, lines)
        return self._otherwise(stream, end, reply) if known is None else Stored(stream, *known)

    def _otherwise(self, stream: str, end: int, reply: Reply) -> Stored:
        if reply.status not in _REPLACED:
            text = reply.body.decode("utf-8", "replace").strip()[:200]
            return Stored(stream, end, trouble=f"the collector at {self._place.url} answers {reply.status}: {text}")
        folder, _, name = stream.rpartition("/")
        base, _, number = name.partition(".")
        self._made = ""
        return Stored(f"{folder}/{base}.{int(number or 1) + 1}", 0)

    def _exchange(self, method: str, stream: str, fields: list[tuple[str, str]], body: bytes) -> Reply:
        said = [("Content-Type", "application/octet-stream"), *fields]
        target = f"/v1/stream/{stream}"
        try:
            return self._sink.exchange(method, target, said, body, TRY_SECONDS)
        except Unanswered as error:
            if not error.stale:
                raise
        return self._sink.exchange(method, target, said, body, TRY_SECONDS)


def _behind(reply: Reply, end: int, lines: Sequence[tuple[int, str]]) -> tuple[int, int] | None:
    """Where the stream ends, and behind which of the lines that is; None: behind none."""
    said = reply.headers.get("stream-next-offset")
    found = parse_offset(said) if reply.status == 409 and said else None
    if found is None or isinstance(found, Invalid):
        return None
    for number, text in lines:
        end += len(text.encode()) + 1
        if end == found:
            return end, number
    return None
