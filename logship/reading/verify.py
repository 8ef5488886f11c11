"""Run: a source as it lies here against what the viewer says is stored, by digests; and all that is stored, by itself.

The store's bytes are not fetched: both sides digest the same steps, and only where two digests differ it is asked on,
in ever smaller steps, until the few bytes there can be looked at. Left to others: what is where (``chain``), words
(``proof``), the source's bytes (``originals``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from logship.errors import Fault
from logship.reading.chain import LOST, NOT_KEPT, Extent, Missing, clipped
from logship.reading.client import Client, Lost, Record
from logship.reading.originals import Vanished
from logship.reading.proof import AFTER, BEFORE, Difference, Proof
from logship.spool.ranges import Span

STEP_BYTES = 4 * 1024 * 1024
STEP_BYTES_MIN = 4096
NARROWING = 16

Tell = Callable[[int], None]
"""Is told of each so many bytes that were looked at."""


class Original(Protocol):
    """The bytes of a source; see ``originals``."""

    def spans(self) -> list[Span]: ...
    def read(self, start: int, end: int) -> Iterator[bytes]: ...


def digests(client: Client, stream: str, start: int | None, end: int | None, step: int) -> Iterator[Record]:
    """The digests of a range of a stream (None: all that is kept), and the total. Raises Fault."""
    asked = [("stream", stream), ("step", str(step))]
    asked += [(name, str(number)) for name, number in (("from", start), ("to", end)) if number is not None]
    answered = ended = False
    try:
        for record in client.records("/api/digest", asked):
            answered = True
            if record is None:
                continue
            if record["type"] == "error":
                raise Fault("verify", stream, record["text"])
            ended = record["type"] == "total"
            yield record
        if not ended:
            raise Lost("the answer was cut off")
    except Lost as lost:
        if not answered:
            raise client.unreachable(str(lost)) from None
        raise Fault("read from the viewer at", client.url, str(lost), "ask again") from None


class Comparison:
    """Compares sources with their streams. ``tell`` is told of progress."""

    def __init__(self, client: Client, tell: Tell = lambda _: None) -> None:
        self._client = client
        self._tell = tell
        self._every = hashlib.sha256()

    def run(
        self, proof: Proof, original: Original, places: Sequence[Extent | Missing], start: int, end: int | None
    ) -> Proof:
        """Compare the source's bytes from ``start`` to ``end`` (None: all); what is found is put into ``proof``."""
        stored_end = max((one.end for one in places), default=0)
        spans = original.spans()
        source_end = max((span.end for span in spans), default=0)
        proof.start, proof.end = start, max(stored_end, source_end) if end is None else end
        self._every = hashlib.sha256()
        for place in clipped(places, start, end):
            if isinstance(place, Missing):
                self._missing(proof, place)
                continue
            for span in _held(spans, place.start, place.end, proof, source_end):
                part = clipped([place], span.offset, span.end)[0]
                assert isinstance(part, Extent)
                proof.difference = self._compare(proof, original, part)
                if proof.difference is not None:
                    return proof
            if place.end > source_end:
                proof.difference = self._beyond(original, place, max(source_end, place.start), proof)
                break
        else:
            self._unstored(proof, spans, max(stored_end, start), source_end if end is None else min(source_end, end))
        proof.sha256 = self._every.hexdigest()
        return proof

    def _unstored(self, proof: Proof, spans: Sequence[Span], start: int, end: int) -> None:
        """What lies behind the end of what is stored."""
        for span in spans:
            low, high = max(span.offset, start), min(span.end, end)
            if low > start:
                proof.lost += min(low, end) - start
                proof.note(start, min(low, end), LOST, "nothing holds them; the ledger is told with what comes next")
            if high > low:
                proof.not_stored += high - low
                proof.note(low, high, "not stored", "the streams end before it: it may be on its way")
            start = max(start, min(max(low, high), end))

    def _missing(self, proof: Proof, place: Missing) -> None:
        size = place.end - place.start
        if place.what == LOST:
            proof.lost += size
        elif place.what == NOT_KEPT:
            proof.not_kept += size
        else:
            proof.unexplained += size
        proof.note(place.start, place.end, place.what, place.text)

    def _compare(self, proof: Proof, original: Original, part: Extent) -> Difference | None:
        """One range that both sides have."""
        ahead = part.start - part.offset
        for record in digests(self._client, part.path, part.offset, part.offset + part.end - part.start, STEP_BYTES):
            if record["type"] == "total":
                proof.damages += record["damages"]
                proof.damaged += record["damaged_bytes"]
                proof.not_kept += record["not_kept_bytes"]
                proof.unreadable += record["unreadable_bytes"]
            if record["type"] != "digest":
                continue
            start, end = record["from"] + ahead, record["to"] + ahead
            self._tell(end - start)
            for hole in record["holes"]:
                proof.note(hole["from"] + ahead, hole["to"] + ahead, hole["what"], hole["text"])
            try:
                digest, before = hashlib.sha256(), self._every.copy()
                for low, high in _around(record["holes"], start, end, ahead):
                    for data in original.read(low, high):
                        digest.update(data)
                        self._every.update(data)
            except Vanished:
                self._every = before
                proof.not_held += end - start
                proof.note(start, end, "not held", "the source has let go of it meanwhile")
                continue
            if digest.hexdigest() != record["sha256"]:
                for low, high in _around(record["holes"], start, end, ahead):
                    found = self._locate(original, Extent(low, high, part.path, low - ahead), part.end)
                    if found is not None:
                        return found
            proof.compared += record["bytes"]
        return None

    def _locate(self, original: Original, part: Extent, shown_end: int) -> Difference | None:
        """The first byte that differs in a range, shown up to ``shown_end``; None when nothing does (any more)."""
        ahead = part.start - part.offset
        start, end = part.start, part.end
        while end - start > STEP_BYTES_MIN:
            step = max(STEP_BYTES_MIN, -(-(end - start) // NARROWING))
            for record in digests(self._client, part.path, start - ahead, end - ahead, step):
                if record["type"] != "digest":
                    continue
                low, high = record["from"] + ahead, record["to"] + ahead
                if _digest(original, low, high) != record["sha256"]:
                    start, end = low, high
                    break
            else:
                return None
        ours, stored = b"".join(original.read(start, end)), self._stored(part.path, start - ahead, end - ahead)
        for number in range(end - start):
            if ours[number : number + 1] != stored[number : number + 1]:
                at = start + number
                shown_from, until = max(at - BEFORE, part.start), min(at + AFTER, shown_end)
                ours = b"".join(original.read(shown_from, until))
                stored = self._stored(part.path, shown_from - ahead, until - ahead)
                return Difference(at, part.path, at - ahead, shown_from, ours, stored)
        return None

    def _beyond(self, original: Original, place: Extent, at: int, proof: Proof) -> Difference:
        """What is stored goes on where the source ends."""
        ahead = place.start - place.offset
        shown_from = max(at - BEFORE, place.start)
        ours = b"".join(original.read(shown_from, at)) if at > shown_from else b""
        stored = self._stored(place.path, shown_from - ahead, min(at + AFTER, place.end) - ahead)
        proof.note(at, place.end, "beyond", "the source ends before what is stored of it")
        return Difference(at, place.path, at - ahead, shown_from, ours, stored)

    def _stored(self, path: str, start: int, end: int) -> bytes:
        asked = [("stream", path), ("from", str(start)), ("to", str(end))]
        try:
            return b"".join(self._client.body("/api/bytes", asked))
        except Lost as lost:
            raise Fault("read from the viewer at", self._client.url, str(lost), "ask again") from None


def _held(spans: Sequence[Span], start: int, end: int, proof: Proof, source_end: int) -> Iterator[Span]:
    """The parts of a range that the source has; what it has not any more is noted, but for what is behind its end."""
    at = start
    for span in [*spans, Span(max(source_end, start), 0)]:
        low, high = max(span.offset, start), min(span.end, end)
        gap_end = min(max(low, at), end, source_end)
        if gap_end > at:
            proof.not_held += gap_end - at
            proof.note(at, gap_end, "not held", "the source has let go of it: it was acknowledged")
            at = gap_end
        if high > low:
            yield Span(low, high - low)
            at = high


def _around(holes: Sequence[Record], start: int, end: int, ahead: int) -> list[tuple[int, int]]:
    """The parts of a range of the source that are in no hole."""
    parts, at = [], start
    for hole in holes:
        if hole["from"] + ahead > at:
            parts.append((at, hole["from"] + ahead))
        at = max(at, hole["to"] + ahead)
    return [*parts, (at, end)] if end > at else parts


def _digest(original: Original, start: int, end: int) -> str:
    digest = hashlib.sha256()
    for data in original.read(start, end):
        digest.update(data)
    return digest.hexdigest()
