"""Core: the views that SQL is asked over: ``lines`` with the lake's columns, and what kinds of lines say by name.

Fields that are no columns are taken out of ``line`` where somebody asks for them: DuckDB leaves out what is not named.
"""

from __future__ import annotations

from collections.abc import Sequence

from logship.lake.columns import COLUMNS
from logship.lake.sql import quoted, rows_of

_WHOSE = 'ts, stream, service, instance, "offset"'
_HEAD = r"(?:^|\s)\S+:\d+ \[[^\]]*\] \S+ [^\s/]+/\S+ "
_TO_COUNTS = _HEAD + r"[-+/\d]+ (?:-?\d+ )?\+?\d+ (?:\S+ \S+ )?[A-Za-z-]{2,4} "
_COUNTS = (
    ("actconn", "", r"\d+"), ("feconn", "/", r"\d+"), ("beconn", "/", r"\d+"), ("srvconn", "/", r"\d+"),
    ("redispatched", "/", r"\+?"), ("retries", "", r"\d+"), ("srv_queue", " ", r"\d+"), ("backend_queue", "/", r"\d+"),
)  # fmt: skip
_COLUMNS = (
    "frontend, backend, server, t_queue, t_connect, t_response, t_active, t_total, status, bytes, state, method, path"
)
LOSSES = ("id", "stream", "offset", "bytes", "count", "unit", "from_time", "to_time", "reason", "how")
_NUMBERS, _TIMES = frozenset({"offset", "bytes", "count"}), frozenset({"from_time", "to_time"})


def _text(pattern: str) -> str:
    """What the one group of a pattern has of a line."""
    return f"nullif(regexp_extract(line, {quoted(pattern)}, 1), '')"


def _number(pattern: str) -> str:
    return f"TRY_CAST({_text(pattern)} AS BIGINT)"


def _count(name: str) -> str:
    parts = []
    for each, before, pattern in _COUNTS:
        parts.append(f"{before}({pattern})" if each == name else f"{before}{pattern}")
        if each == name:
            break
    found = _TO_COUNTS + "".join(parts)
    return f"({_text(found)} IS NOT NULL)::BIGINT" if name == "redispatched" else _number(found)


_TAKEN = {
    "client_ip": _text(r"(?:^|\s)(\S+):\d+ \[[^\]]*\] \S+ [^\s/]+/\S+ "),
    "client_port": _number(r"(?:^|\s)\S+:(\d+) \[[^\]]*\] \S+ [^\s/]+/\S+ "),
    "t_request": _number(_HEAD + r"(-?\d+)/-?\d+/-?\d+/-?\d+/\+?-?\d+ "),
    **{name: _count(name) for name, _, _ in _COUNTS},
    "version": _text(r'"\S+ .*? (HTTP/[\d.]+)"'),
    "request_id": _text(r'" (?:.*\s)?id=(\S+)'),
    "pid": _number(r'" (?:.*\s)?pid=(\d+)'),
    "line_count": _number(r'" (?:.*\s)?lc=(\d+)'),
}
"""Of HAProxy's lines what is no column of the lake: as ``view.fields`` takes it out of the line."""

VIEWS = {
    "haproxy": f"SELECT {_WHOSE}, {_COLUMNS}, "
    + ", ".join(f"{expression} AS {name}" for name, expression in _TAKEN.items())
    + ", line FROM lines WHERE frontend IS NOT NULL AND NOT starts_with(line, '{')",
    "serf": f"SELECT {_WHOSE}, lower(level) AS level, "
    + _text(r"\[[A-Z]+\] (.*)")
    + " AS message, "
    + _text(r"serf: (Event\w+)")
    + " AS event, "
    + _text(r"serf: EventMember\w+: (\S+)")
    + " AS member, "
    + _text(r"serf: EventMember\w+: \S+ (\S+)")
    + " AS address, line FROM lines WHERE kind = 'serf'",
    "events": f"SELECT {_WHOSE}, program, event, lower(level) AS level, line FROM lines "
    "WHERE event IS NOT NULL AND starts_with(line, '{')",
}
"""Views over ``lines``; ``losses`` is a table beside them."""


def statements(files: Sequence[str]) -> list[str]:
    """What makes the views of these files, and an empty table of losses."""
    if files:
        rows = f"FROM {rows_of(files)}"
    else:
        nothing = ", ".join(f'NULL::{column.type.value} AS "{column.name}"' for column in COLUMNS)
        rows = f"SELECT {nothing} WHERE false"
    losses = ", ".join(f'"{name}" {_type(name)}' for name in LOSSES)
    return [
        f"CREATE VIEW lines AS {rows}",
        *(f"CREATE VIEW {name} AS {text}" for name, text in VIEWS.items()),
        f"CREATE TABLE losses ({losses})",
    ]


def _type(name: str) -> str:
    return "BIGINT" if name in _NUMBERS else "TIMESTAMP" if name in _TIMES else "VARCHAR"
