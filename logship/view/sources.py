"""Run: a record a stream of what is known of it: bytes, lines, rate, lag, last line, losses, the outage it survives.

Whatever cannot be known is null, and ``unknown`` says why. Memory is bounded by the streams there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from logship.collect.stream import StreamState
from logship.lake.tallies import Tallies, Tally
from logship.view.counts import LineCounts
from logship.view.extents import Extents
from logship.view.history import History
from logship.view.items import TimedLine
from logship.view.journal_reader import Damage, Picture
from logship.view.ledger import Sum
from logship.view.moment import own_ms
from logship.view.recent import LEAST_MS
from logship.view.records import stamp
from logship.view.reports import REPORT_MS, Report, newest
from logship.view.segments import Gone
from logship.view.select import Identity, Pattern, Target, Wanted, parse_pattern, parse_targets
from logship.view.standing import Found, Outage, Shippers, lag, present

COUNT_SECONDS = 3.0
"""How long who asks for lines waits for them to be counted; who asks again goes on."""
LAST_LINES_MAX = 2000
"""Streams whose last line is looked at anew in one answer; each costs the reading of a frame."""
REPORTS_MAX = 10_000
SHIP = "ship"


class SourceRecords:
    """Makes the records; for any thread."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._journal = history.journal
        self._extents = Extents(history.journal, history.older.exact)
        self._counts = LineCounts(history.journal, Tallies(history.older.reader))
        self._last: dict[str, tuple[tuple[int, int], int]] = {}  # stream -> (store, LSN of its last frame), time

    def records(
        self, picture: Picture, targets: Sequence[Target], now_ms: int, *, lines: bool, last_lines: bool = True
    ) -> list[dict[str, Any]]:
        """The records of streams that are meant, by place and program.

        ``lines``: count them, for a while. ``last_lines``: look at the last line of each stream that has a new one.
        """
        wanted = Wanted(tuple(targets))
        streams = [stream for stream in picture.streams.values() if wanted.stream(picture.identities[stream.path])]
        counted = self._counts.count(picture, COUNT_SECONDS) if lines else None
        shippers = self.shippers(picture, now_ms)
        rates = self._rates(picture, now_ms)
        in_chain = present(picture.streams.values(), picture.identities)
        lost = losses_of(picture)
        self._last = {path: held for path, held in self._last.items() if path in picture.streams}
        budget = LAST_LINES_MAX if last_lines else 0
        found = []
        for stream in streams:
            identity = picture.identities[stream.path]
            facts = self._facts(stream, identity, lost.get(stream.path, Sum()))
            budget -= self._last_line(picture, stream, facts, budget > 0)
            self._lines(stream, facts, counted)
            behind = shippers.behind(identity)
            lag(stream, stream.path in in_chain, behind, facts)
            self._outage(stream, identity, shippers, rates, facts)
            found.append({**facts.known, "unknown": facts.unknown})
        return sorted(found, key=lambda one: (one["place"], one["program"] or "", one["stream"]))

    def shippers(self, picture: Picture, now_ms: int) -> Shippers:
        """What shippers say of themselves at present."""
        return Shippers(now_ms, self._reports(picture, now_ms), _spoke(picture))

    def _reports(self, picture: Picture, now_ms: int) -> dict[str, Report]:
        targets, pattern = parse_targets([f"*:{SHIP}"]), parse_pattern('"snapshot"', False)
        assert isinstance(targets, list)
        assert isinstance(pattern, Pattern)
        wanted = Wanted(tuple(targets), pattern, since_ms=now_ms - REPORT_MS, snapshots=True)
        *_, items = self._history.tail(picture, wanted, REPORTS_MAX, picture.end, with_open=False)
        return newest(item for item in items or () if isinstance(item, TimedLine))

    def _rates(self, picture: Picture, now_ms: int) -> dict[str, float] | None:
        """Bytes a second of each stream, as they come in; None while too short a time is known."""
        seconds = self._journal.recent.seconds(now_ms)
        if seconds is None:
            return None
        return {path: self._journal.recent.bytes(path, now_ms) / seconds for path in picture.streams}

    def _facts(self, stream: StreamState, identity: Identity, lost: Sum) -> Found:
        listing = stream.listing(self._extents.first_offset(stream))
        return Found({
            "source": identity.label, "place": identity.place, "program": identity.program, "kind": identity.kind,
            "stream": stream.path, "bytes": stream.next_offset,
            "kept_bytes": stream.next_offset - listing["first_offset"],
            "last_append": listing["last_append"], "closed": stream.closed, "retired": stream.retired,
            "losses": lost.records, "lost_bytes": lost.bytes, "lost_counts": lost.counts, "lost_unknown": lost.unknown,
        })  # fmt: skip

    def _lines(self, stream: StreamState, facts: Found, counted: float | None) -> None:
        """How many lines are kept, and since when."""
        found: Tally | str = "they are counted only for who asks for it"
        if counted is not None and counted < 1.0:
            found = f"they are being counted: {counted:.0%} of what is kept; ask again"
        elif counted is not None:
            found = self._counts.of(stream)
        if isinstance(found, str):
            facts.add("lines", None, found)
            facts.add("oldest", None, found)
        else:
            facts.add("lines", found.lines)
            facts.add("oldest", None if found.oldest_ms is None else stamp(found.oldest_ms))

    def _last_line(self, picture: Picture, stream: StreamState, facts: Found, may_look: bool) -> bool:
        """When the last line was written; whether that had to be looked for."""
        lsn = stream.last_lsn
        if lsn is None or stream.retired:
            facts.add("last_line", None, "" if lsn is None else "it is not kept")
            return False
        held = self._last.get(stream.path)
        if held is not None and held[0] == (picture.store, lsn):
            facts.add("last_line", stamp(held[1]))
            return False
        if not may_look:
            facts.add("last_line", None, f"only {LAST_LINES_MAX} are looked for at a time; ask again")
            return False
        try:
            frame = self._journal.frame(lsn)
            body = self._journal.body(frame)
            text = body[body.rfind(b"\n", 0, max(0, len(body) - 1)) + 1 :]
            received_ms = frame.entry.time_ms
            own = own_ms(text, received_ms)
            time_ms = received_ms if own is None else own
        except (Gone, Damage):
            facts.add("last_line", None, "it cannot be read")
            return True
        self._last[stream.path] = (picture.store, lsn), time_ms
        facts.add("last_line", stamp(time_ms))
        return True

    def _outage(
        self, stream: StreamState, identity: Identity, shippers: Shippers, rates: dict[str, float] | None, facts: Found
    ) -> None:
        if rates is None:
            why = f"the viewer has seen less than {LEAST_MS // 1000} s of what comes"
            facts.add("rate", None, why)
            facts.add("survives_seconds", None, why)
            return
        rate = rates[stream.path]
        facts.add("rate", round(rate, 1))
        report, behind = shippers.report(identity), shippers.behind(identity)
        if stream.closed or stream.retired:
            facts.add("survives_seconds", None)
        elif report is None or isinstance(behind, str):
            facts.add("survives_seconds", None, str(behind))
        else:
            beginning = f"{identity.service}/{identity.instance}/"
            same = sum(each for path, each in rates.items() if path.startswith(beginning))
            seconds = Outage(report, behind.bytes or 0, rate, same).seconds()
            if isinstance(seconds, str):
                facts.add("survives_seconds", None, seconds)
            else:
                facts.add("survives_seconds", seconds and int(seconds))


def losses_of(picture: Picture) -> dict[str | None, Sum]:
    """What losses add up to, by stream; of those without one under None."""
    found: dict[str | None, Sum] = {}
    for _, loss in picture.losses:
        found.setdefault(loss.stream, Sum()).add(loss)
    return found


def _spoke(picture: Picture) -> Callable[[Identity], int | None]:
    """Says when a shipper's own lines came last, by place; of a followed file, whose place is its host, by that."""
    latest: dict[str, int] = {}
    for stream in picture.streams.values():
        identity = picture.identities[stream.path]
        if identity.program == SHIP and stream.last_append_ms is not None:
            host = stream.source.fields().get("host") if stream.source else None
            for place in {identity.place, f"{identity.service}/{host}"}:
                latest[place] = max(latest.get(place, 0), stream.last_append_ms)
    return lambda identity: latest.get(identity.place)
