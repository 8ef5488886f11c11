"""Core: the parameters of a reading, as ``/api/logs``, ``/api/logs/live`` and the page take them, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from logship.values import OFFSET_MAX, Invalid
from logship.view import language
from logship.view.lines import LINE_BYTES_MAX
from logship.view.select import Wanted, parse_pattern, parse_targets
from logship.view.when import parse_moment
from logship.view.where import Where

PARAMETERS = {
    "q": "TARGETs, with spaces or commas between; may be repeated; none: all",
    "query": "what lines must match, in the language of docs/query.md, as status:5xx -path:/health; of /api/query with "
    "what is made of them, as status:5xx | count by server",
    "grep": "a pattern that lines must have",
    "exclude": "a pattern that lines must not have",
    "i": "1: both patterns without regard to case",
    "since": "lines from this time on, as 10m or RFC 3339; a day in words is one in UTC",
    "until": "lines before this time",
    "snapshots": "1: also the lines that come by the clock and say how things are; a q that names their program has "
    "them anyway",
    "events": "1: lines that go on with the one before them, as in a stack trace, are one event: where one of them is "
    "wanted, all are, and n counts events",
    "n": "the last N lines, at most 10000, or all; 200 when it is left out",
    "follow": "1: go on with what comes",
    "cursor": "go on after this LSN, instead of the last N lines",
    "at": "end at this LSN instead of now",
    "bytes": "at most so many bytes of a line, or all; 4096 when it is left out",
    "shown": "1: text made harmless and a colour for each container, as the page shows it",
}
"""What there is, with its line of help."""
TABLE_PARAMETERS = ("q", "query", "grep", "exclude", "i", "since", "until", "snapshots", "at")
"""Those of ``/api/query``."""
LOSSES_PARAMETERS = ("q", "since", "until")
"""Those of ``/api/losses``."""
SQL_PARAMETERS = {
    "sql": "one SELECT in DuckDB's SQL over the views lines, haproxy, serf, events, losses",
    "rows": "at most so many rows, 100000 or fewer; 10000 when it is left out",
}
"""Those of ``/api/sql``."""
COUNT_DEFAULT = 200
LINES_MAX = 10_000
"""The most that can be asked for as the last lines; all of them have no such bound."""
EVENTS_MAX = 1000
"""The same of events, whose lines are held until all are known."""
LINE_BYTES_DEFAULT = 4096
ON = frozenset({"1", "true", "on", "yes"})


@dataclass(frozen=True, slots=True)
class Query:
    """A reading that was asked for. ``count`` None: all lines. ``bytes_max``: of a line."""

    wanted: Wanted
    count: int | None = COUNT_DEFAULT
    follow: bool = False
    cursor: int | None = None
    at: int | None = None
    bytes_max: int = LINE_BYTES_DEFAULT
    shown: bool = False
    piped: language.Piped = language.Piped(None, None)


def parse(parameters: Mapping[str, Sequence[str]], now_ms: int, known: Collection[str] = PARAMETERS) -> Query | Invalid:
    """The query that the parameters of a request make, of those that are ``known`` to it.

    One that takes no number of lines makes a table of them: its query may have a pipe.
    """
    strange = sorted(parameters.keys() - set(known))
    if strange:
        return Invalid(f"no parameter is called {strange[0][:40]!r}; there are: {', '.join(sorted(known))}")
    repeated = sorted(name for name, values in parameters.items() if name != "q" and len(values) > 1)
    if repeated:
        return Invalid(f"{repeated[0]} is said more than once")
    one = {name: values[0].strip() for name, values in parameters.items() if values and values[0].strip()}
    piped = _piped(one.get("query"), "n" not in known)
    if isinstance(piped, Invalid):
        return piped
    wanted = _wanted(parameters.get("q", ()), one, now_ms, piped.node)
    if isinstance(wanted, Invalid):
        return wanted
    most = EVENTS_MAX if wanted.events else LINES_MAX
    count = _number("n", one.get("n", str(COUNT_DEFAULT)), most, all_is=None)
    bytes_max = _number("bytes", one.get("bytes", str(LINE_BYTES_DEFAULT)), LINE_BYTES_MAX, all_is=LINE_BYTES_MAX)
    cursor = _number("cursor", one["cursor"], OFFSET_MAX) if "cursor" in one else None
    at = _number("at", one["at"], OFFSET_MAX) if "at" in one else None
    for value in (count, bytes_max, cursor, at):
        if isinstance(value, Invalid):
            return value
    assert not isinstance(count, Invalid)
    assert isinstance(bytes_max, int)
    assert not isinstance(cursor, Invalid)
    assert not isinstance(at, Invalid)
    follow = one.get("follow") in ON
    if follow and at is not None and cursor is not None:
        return Invalid("a reading from cursor to at has an end: it cannot follow")
    if follow and wanted.until_ms is not None:
        return Invalid("a reading that ends at `until` cannot follow")
    return Query(wanted, count, follow, cursor, at, bytes_max, one.get("shown") in ON, piped)


def _piped(text: str | None, with_pipe: bool) -> language.Piped | Invalid:
    if text is None:
        return language.Piped(None, None)
    if with_pipe:
        return language.parse_piped(text)
    node = language.parse(text)
    return node if isinstance(node, Invalid) else language.Piped(node, None)


def _wanted(
    targets_said: Sequence[str], one: Mapping[str, str], now_ms: int, node: language.Node | None
) -> Wanted | Invalid:
    targets = parse_targets(targets_said)
    if isinstance(targets, Invalid):
        return targets
    patterns = {}
    for name in ("grep", "exclude"):
        if name in one:
            pattern = parse_pattern(one[name], one.get("i") in ON)
            if isinstance(pattern, Invalid):
                return pattern
            patterns[name] = pattern
    now = datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None)
    times = {}
    for name in ("since", "until"):
        if name in one:
            moment = parse_moment(one[name], now, _utc_ms)
            if isinstance(moment, Invalid):
                return moment
            times[name] = moment
    return Wanted(
        tuple(targets),
        patterns.get("grep"),
        patterns.get("exclude"),
        times.get("since"),
        times.get("until"),
        one.get("snapshots") in ON,
        None if node is None else Where(node).of,
        one.get("events") in ON,
        node,
    )


def _utc_ms(moment: datetime) -> int:
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)


_NO = object()


def _number(name: str, text: str, most: int, all_is: object = _NO) -> int | Invalid | None:
    if text == "all" and all_is is not _NO:
        assert all_is is None or isinstance(all_is, int)
        return all_is
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= most:
        return int(text)
    return Invalid(f"{name} is a whole number up to {most}" + ("" if all_is is _NO else ", or all"))
