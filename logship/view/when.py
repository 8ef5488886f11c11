"""Core: times as people say them -> milliseconds since 1970.

10m  2h30m  1d      that long ago               2026-11-23T20:15:01Z     RFC 3339
today  yesterday 17:30  17:30  2026-11-23 8:00  by the reader's own clock    @1795464901   seconds since 1970
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from logship.values import Invalid, parse_time
from logship.view.shown import harmless

_AGO = re.compile(r"-?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?")
_DAY = re.compile(r"(?:(today|yesterday|\d{4}-\d\d-\d\d)(?:[ T]|$))?(?:(\d{1,2}):(\d\d)(?::(\d\d))?)?")
_EPOCH = re.compile(r"@(\d{1,12})(?:\.(\d{1,9}))?")
TIME_GRAMMAR = "say it as 10m, 2h30m, today, 'yesterday 17:30', 17:30, 2026-11-23T20:15:01Z or @1795464901"

LocalMs = Callable[[datetime], int]
"""Milliseconds since 1970 of a time without a zone, as the reader's clock on the wall shows it."""


def parse_moment(text: str, now: datetime, local_ms: LocalMs) -> int | Invalid:
    """A point in time as people say it. ``now`` is without zone, by the wall; ``local_ms`` knows its zone."""
    said = text.strip()
    if not isinstance(exact := parse_time(said.replace(" ", "T")), Invalid):
        return round(exact.timestamp() * 1000)
    if match := _EPOCH.fullmatch(said):
        return int(match[1]) * 1000 + int((match[2] or "0")[:3].ljust(3, "0"))
    if said == "now":
        return local_ms(now)
    try:
        if said not in ("", "-") and (match := _AGO.fullmatch(said)):
            days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
            ago = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
            return local_ms(now) - ago // timedelta(milliseconds=1)
        if said and (match := _DAY.fullmatch(said)):
            return local_ms(_day(match[1], now).replace(hour=int(match[2] or 0), minute=int(match[3] or 0),
                                                        second=int(match[4] or 0)))  # fmt: skip
    except (ValueError, OverflowError):
        pass
    return Invalid(f"{harmless(text[:60])!r} is no time: {TIME_GRAMMAR}")


def _day(said: str | None, now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if said is None or said == "today":
        return midnight
    return midnight - timedelta(days=1) if said == "yesterday" else datetime.fromisoformat(said)
