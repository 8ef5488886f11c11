"""Core: when a line was written: its own time, else that of the line it came with in its stream, else its receipt.

Each kind of log says its time in its own way; one without a zone is taken for UTC, which is what containers run in.
An own time more than a day off the receipt is not believed, and none lies after the receipt (a clock that is ahead is
set back to it): so what was received by some moment was written by it, and a reading backwards in the order of receipt
knows when it has seen enough. All times are whole milliseconds since 1970.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from logship.view.lines import Line

DAY_MS = 24 * 3600 * 1000
LOOKED_AT_BYTES = 512
"""Where in a line its time is looked for: one that comes later is a word, not a stamp."""
INHERITED_BYTES_MAX = 65_536
"""A line farther than this from the last one with a time does not take that one's: then the receipt is nearer."""
INHERITED_MS_MAX = 2000
"""Nor one received later than this after it: what a program says after minutes of quiet was not said before them."""
EARLIER_MS_MAX = DAY_MS + INHERITED_MS_MAX
"""By so much a line's time is before its receipt at most."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), start=1
    )
}
_HAPROXY = re.compile(rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?: ([+-]\d{4}))?\]")
_BEGINNING = rb"[0-9a-f.:]{1,80} \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d)\.(\d{3})\]"
_USUAL = re.compile(_BEGINNING)
"""How nearly all lines of HAProxy begin: its client, its time. Found so, the rest need not be tried."""
_REST = rb"[^\n]*"
"""Taken with what is looked for, so that the next line is where the search goes on."""
_ALL_USUAL = re.compile(rb"^" + _BEGINNING + _REST, re.MULTILINE)
_ALL_JSON = re.compile(rb'^\{"time": ?"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)\.(\d{3})Z"' + _REST, re.MULTILINE)
"""How lines of JSON begin that our programs write, and many others."""
_ALL_STAMPS = re.compile(
    rb"^ {0,4}(\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d)(?:,(\d{3}))? [A-Za-z\[]" + _REST, re.MULTILINE
)
"""And those of Serf and supervisord."""
_STAMP = re.compile(
    rb"[ \t]*(?:<\d{1,3}>1? ?)?\[?(\d{4})[-/](\d\d)[-/](\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?"
    rb" ?([Zz]|[+-]\d\d:?\d\d)?(?!\d)"
)
_SYSLOG = re.compile(rb"(?:<\d{1,3}>)?([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d\d:\d\d:\d\d) ")
_JSON = re.compile(
    rb'"(?:time|ts|timestamp|@timestamp)"\s*:\s*(?:"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?'
    rb' ?([Zz]|[+-]\d\d:?\d\d)?"|(\d{10,13})(?:\.(\d{1,9}))?[,}\s])'
)


def own_ms(text: bytes, received_ms: int) -> int | None:
    """The time a line says of itself, None when it says none that can be believed."""
    found = said_ms(text, received_ms)
    if found is None or abs(found - received_ms) > DAY_MS:
        return None
    return min(found, received_ms)


def all_own_ms(data: bytes, count: int, received_ms: int) -> list[int] | None:
    """What ``own_ms`` finds of ``count`` whole lines; None where not all of them begin in one of the usual ways."""
    usual, second_ms = next(((usual, second_ms) for usual, second_ms in _ALL if usual.match(data)), (None, None))
    if usual is None or second_ms is None:
        return None
    stamps = usual.findall(data)
    if len(stamps) != count:
        return None
    seconds = {stamp: second_ms(stamp) for stamp in {stamp for stamp, _ in stamps}}
    known = {stamp: second for stamp, second in seconds.items() if second is not None}
    if len(known) < len(seconds) or any(abs(second - received_ms) > DAY_MS - 1000 for second in known.values()):
        return None
    times = [known[stamp] + _FRACTIONS[fraction] for stamp, fraction in stamps]
    return times if max(times) <= received_ms else [min(time_ms, received_ms) for time_ms in times]


def said_ms(text: bytes, near_ms: int) -> int | None:
    """The time a line says of itself, whether it can be believed or not; without a year it is one near ``near_ms``."""
    usual = _USUAL.match(text)
    if usual is not None:
        second_ms = _second_ms(usual[1])
        return None if second_ms is None else second_ms + int(usual[2])
    head = text[:LOOKED_AT_BYTES]
    if head.startswith(b"{"):
        return _json_ms(head)
    return _stamp_ms(head) or _haproxy_ms(head) or _syslog_ms(head, near_ms)


def says_time(head: bytes) -> bool:
    """Whether a line that is no JSON has the look of one that says its time, believed or not."""
    syslog = _SYSLOG.match(head)
    return bool(_STAMP.match(head) or (syslog and syslog[1] in _MONTHS) or _HAPROXY.search(head))


def _stamp_ms(head: bytes) -> int | None:
    match = _STAMP.match(head)
    return _ms(*match.groups()) if match else None


def _haproxy_ms(head: bytes) -> int | None:
    match = _HAPROXY.search(head)
    if match is None or match[2] not in _MONTHS:
        return None
    return _ms(match[3], b"%02d" % _MONTHS[match[2]], match[1], match[4], match[5], match[6])


@lru_cache(maxsize=1024)
def _second_ms(stamp: bytes) -> int | None:
    """The beginning of a second, as HAProxy says it."""
    return _haproxy_ms(b"[%b]" % stamp)


@lru_cache(maxsize=1024)
def _stamped_ms(stamp: bytes) -> int | None:
    """The same, as a stamp says it."""
    return _stamp_ms(stamp)


_FRACTIONS = {b"": 0, **{b"%03d" % number: number for number in range(1000)}}
_ALL = (_ALL_USUAL, _second_ms), (_ALL_JSON, _stamped_ms), (_ALL_STAMPS, _stamped_ms)


def _syslog_ms(head: bytes, received_ms: int) -> int | None:
    """A stamp without a year: the year that brings it nearest to the receipt."""
    match = _SYSLOG.match(head)
    if match is None or match[1] not in _MONTHS:
        return None
    year = datetime.fromtimestamp(received_ms / 1000, UTC).year
    tried = (
        _ms(b"%d" % one, b"%02d" % _MONTHS[match[1]], b"%02d" % int(match[2]), match[3], None, None)
        for one in (year - 1, year, year + 1)
    )
    return min((ms for ms in tried if ms is not None), key=lambda ms: abs(ms - received_ms), default=None)


def _json_ms(head: bytes) -> int | None:
    match = _JSON.search(head)
    if match is None:
        return None
    year, month, day, clock, fraction, zone, number, decimals = match.groups()
    if number is None:
        return _ms(year, month, day, clock, fraction, zone)
    return int(number) if len(number) == 13 else int(number) * 1000 + _fraction_ms(decimals)


def _ms(year: bytes, month: bytes, day: bytes, clock: bytes, fraction: bytes | None, zone: bytes | None) -> int | None:
    try:
        minute = _minute_ms(year, month, day, clock[:5], zone or b"")
    except ValueError:
        return None
    second = int(clock[6:])
    return None if second > 60 else minute + second * 1000 + _fraction_ms(fraction)


def _fraction_ms(digits: bytes | None) -> int:
    return int((digits or b"0")[:3].ljust(3, b"0"))


@lru_cache(maxsize=1024)
def _minute_ms(year: bytes, month: bytes, day: bytes, clock: bytes, zone: bytes) -> int:
    """The beginning of a minute; lines come many to one. Raises ValueError for a day that is none."""
    moment = datetime(int(year), int(month), int(day), int(clock[:2]), int(clock[3:5]), tzinfo=UTC)
    if len(zone) > 1:
        ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        moment += ahead if zone.startswith(b"-") else -ahead
    return round(moment.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Said:
    """Of a line that says its time: where it begins, that time, and when it was received."""

    offset: int
    own_ms: int
    received_ms: int

    def is_near(self, received_ms: int) -> bool:
        """Whether what was received then can have been said with it."""
        return received_ms - self.received_ms <= INHERITED_MS_MAX


class Times:
    """The times of a stream's lines, given in order. ``earlier``: one before them that says its time (``Said``).

    Not to be carried over a start of the program: what comes after has nothing to do with what was before.
    """

    def __init__(self, earlier: Said | None = None) -> None:
        self._last = earlier

    def note(self, said: Said) -> None:
        """A line that says its time, and whose time is taken already."""
        self._last = said

    def of(self, line: Line, found: int | None) -> int:
        """When ``line`` was written; ``found`` is its own time (``own_ms``)."""
        if found is not None:
            self._last = Said(line.offset, found, line.received_ms)
            return found
        last = self._last
        if last is None or line.offset - last.offset > INHERITED_BYTES_MAX:
            return line.received_ms
        return min(last.own_ms, line.received_ms) if last.is_near(line.received_ms) else line.received_ms
