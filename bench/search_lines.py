"""The lines of `make bench-search`: a day of a fleet, always the same for so many lines, made by DuckDB in SQL.

Line ``i`` is of one program of one container, decided by a hash of ``i``, and says its own time; times rise with ``i``.
Left to others: where the lines are put (``search_store``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

BORN_MS = 1_795_392_000_000
"""2026-11-23T00:00:00Z; the day begins so."""
DAY_MS = 86_400_000
FRAME_LINES = 4096
"""So many lines of all streams are received at a time; those of one stream are one append."""
_AT_ONCE = 64 * FRAME_LINES
RARE = 20
"""Lines in all that have the word ``deadlock``."""


@dataclass(frozen=True)
class Program:
    """Who writes: the stream's path, what its lines look like (``_FORMS``), and its part of 1000 lines."""

    path: str
    form: str
    weight: int


PROGRAMS = (
    Program("ha/1/haproxy/i", "ours", 420),
    Program("ha/2/haproxy/i", "ours", 400),
    Program("edge/1/haproxy/i", "stock", 30),
    *(Program(f"webapp/{number}/webapp/i", "json", 25) for number in range(1, 5)),
    *(Program(f"webapp/{number}/serf/i", "serf", 4) for number in range(1, 5)),
    *(Program(f"ha/{number}/serf/i", "serf", 4) for number in range(1, 3)),
    Program("ha/1/supervisord/i", "supervisord", 5),
    Program("webapp/1/supervisord/i", "supervisord", 5),
    Program("ha/1/supervise/i", "events", 5),
    Program("webapp/1/supervise/i", "events", 5),
    Program("webapp/1/cron/i", "syslog", 4),
    Program("webapp/1/jobs/i", "plain", 2),
)
"""82 % HAProxy's lines as our images log them, 3 % in its stock form, 10 % JSON, the rest of the other kinds."""
JOBS = len(PROGRAMS) - 1

_CLIENT = (
    "10 + h % 200 || '.' || (h >> 8) % 256 || '.' || (h >> 16) % 256 || '.' || (h >> 24) % 256 || ':' || "
    "1024 + (h >> 32) % 60000"
)
_SERVER = "'webapp-' || 1 + (g % 4) || '-172-28-0-' || 11 + (g % 4)"
_TIMERS = "'0/' || (g >> 4) % 3 || '/' || (g >> 6) % 4 || '/' || total || '/' || total + (g >> 6) % 4 + (g >> 4) % 3"
_STATUS = "['200','200','200','200','200','200','204','301','304','404'][1 + (g >> 8) % 10]"
_PATH = (
    "CASE (g >> 12) % 8 WHEN 0 THEN '/' WHEN 1 THEN '/cart' WHEN 2 THEN '/checkout' WHEN 3 THEN '/static/app.js' "
    "WHEN 4 THEN '/api/orders/' || (g >> 16) % 100000 || '/lines' WHEN 5 THEN '/search?q=' || (g >> 16) % 5000 "
    "ELSE '/api/items/' || (g >> 16) % 20000 END"
)
_REQUEST = (
    "client || ' [' || strftime(t, '%d/%b/%Y:%H:%M:%S.%g') || '] http app/' || server || ' ' || "
    f"{_TIMERS} || ' ' || status || ' ' || (h >> 20) % 60000 || ' - - ' || "
    "CASE (g >> 40) % 50 WHEN 0 THEN 'cD--' WHEN 1 THEN 'sH--' ELSE '----' END || ' ' || (h >> 40) % 90 || '/' || "
    "(h >> 44) % 80 || '/' || (h >> 48) % 20 || '/' || (h >> 52) % 6 || '/0 0/0 \"' || "
    "CASE WHEN (g >> 44) % 5 = 0 THEN 'POST ' ELSE 'GET ' END || path || ' HTTP/1.1\"'"
)
_LEVEL = "CASE WHEN (g >> 8) % 100 = 0 THEN 'WARN' ELSE 'INFO' END"
_FORMS = {
    "ours": f"{_REQUEST} || ' id=' || request(i) || ' pid=31 lc=' || i || ' tt=' || total || ' n=' || i",
    "stock": _REQUEST,
    "json": '\'{"time": "\' || strftime(t, \'%Y-%m-%dT%H:%M:%S.%g\') || \'Z", "method": "GET", "path": "\' || path '
    "|| '\", \"status\": ' || status || ', \"ms\": ' || total || '.' || (h >> 30) % 1000 || ', \"session\": \"' || "
    "printf('%08x', (h >> 3) % 4294967296) || '\", \"request_id\": \"' || request(i - 1) || '\"}'",
    "serf": f"'    ' || strftime(t, '%Y/%m/%d %H:%M:%S') || ' [' || {_LEVEL} || '] serf: ' || CASE (g >> 3) % 3 "
    "WHEN 0 THEN 'EventMemberUpdate: ' || server || ' 172.28.0.' || 11 + g % 4 "
    "WHEN 1 THEN 'Re-joined to previously known node: ' || server ELSE 'attempting reconnect to ' || server || "
    "' 172.28.0.' || 11 + g % 4 || ':7946' END",
    "supervisord": f"strftime(t, '%Y-%m-%d %H:%M:%S,%g') || ' ' || {_LEVEL} || ' success: webapp entered RUNNING "
    "state, process has stayed up for > than ' || (h >> 8) % 60 || ' seconds (startsecs)'",
    "events": '\'{"time": "\' || strftime(t, \'%Y-%m-%dT%H:%M:%S.%g\') || \'Z", "event": "state", "program": '
    '"webapp", "from": "STARTING", "state": "RUNNING", "pid": \' || 100 + (h >> 8) % 30000 || \'}\'',
    "syslog": "'<78>' || strftime(t, '%b %d %H:%M:%S') || ' webapp-1 cron[' || (h >> 8) % 30000 || "
    "']: (root) CMD (run-parts /etc/cron.hourly)'",
    "plain": "strftime(t, '%Y-%m-%d %H:%M:%S.%g') || CASE WHEN rare THEN ' ERROR pool-3: deadlock after ' || "
    "100 + h % 900 || ' ms in order ' || i ELSE ' INFO pool-' || h % 4 || ': größe ' || (h >> 8) % 4096 || ' KiB' END",
}


class Fleet:
    """``count`` lines."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._connection = duckdb.connect(config={"threads": 2})
        self._connection.execute("SET enable_progress_bar = false")
        for name, words in _MACROS.items():
            self._connection.execute(f"CREATE MACRO {name}(i) AS {words.replace('COUNT', str(count))}")

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        """What is received, in order: (when, in ms; which program; its lines)."""
        for start in range(0, self.count, _AT_ONCE):
            end = min(start + _AT_ONCE, self.count)
            for frame, program, text in self._rows(
                f"SELECT i // {FRAME_LINES}, program, string_agg(line || chr(10), '' ORDER BY i) "
                f"FROM ({_lines(start, end)}) GROUP BY ALL ORDER BY 1, 2"
            ):
                last = min((frame + 1) * FRAME_LINES, self.count) - 1
                yield BORN_MS + last * DAY_MS // self.count, program, text.encode()

    def needle(self) -> str:
        """A request id that HAProxy and, in the next line, a webapp wrote; in the middle of all lines."""
        json = [number for number, program in enumerate(PROGRAMS) if program.form == "json"]
        ours = [number for number, program in enumerate(PROGRAMS) if program.form == "ours"]
        query = (
            f"SELECT request(i) FROM range({self.count * 3 // 7}, {self.count}) r(i) "
            f"WHERE list_contains({ours}, program(i)) AND list_contains({json}, program(i + 1)) ORDER BY i LIMIT 1"
        )
        return str(self._rows(query)[0][0])

    def minute(self) -> datetime:
        """A minute in the middle of the day."""
        return datetime.fromtimestamp(BORN_MS / 1000 + 12 * 3600 + 34 * 60, UTC)

    def _rows(self, query: str) -> list[Any]:
        return self._connection.execute(query).fetchall()


def _program() -> str:
    """Which program line ``i`` is of; a rare line is of the last one."""
    words, bound = f"CASE WHEN is_rare(i) THEN {JOBS}", 0
    for number, program in enumerate(PROGRAMS):
        bound += program.weight
        words += f" WHEN hash(i) % 1000 < {bound} THEN {number}"
    return f"{words} END"


_MACROS = {
    "is_rare": f"COUNT >= {RARE} AND i % (COUNT // {RARE}) = 7 AND i // (COUNT // {RARE}) < {RARE}",
    "at_ms": f"{BORN_MS} + i * {DAY_MS} // COUNT",
    "request": "printf('%012x', at_ms(i)) [1:8] || '-' || printf('%012x', at_ms(i)) [9:12] || '-7' || "
    "printf('%03x', (hash(i, 5) % 4096)::BIGINT) || '-' || printf('%04x', (32768 + hash(i, 6) % 16384)::BIGINT) || '-' "
    "|| printf('%012x', (hash(i, 7) % 281474976710656)::BIGINT)",
    "program": _program(),
}


def _lines(start: int, end: int) -> str:
    """SQL for the lines from ``start`` to ``end``."""
    forms = " ".join(
        f"WHEN program IN ({', '.join(str(n) for n, each in enumerate(PROGRAMS) if each.form == form)}) THEN {words}"
        for form, words in _FORMS.items()
    )
    return (
        f"SELECT i, program, CASE {forms} END AS line FROM (SELECT *, {_CLIENT} AS client, {_SERVER} AS server, "
        f"{_PATH} AS path, CASE WHEN (g >> 24) % 200 = 0 THEN '50' || 2 + (g >> 32) % 3 ELSE {_STATUS} END AS status, "
        "exp((g >> 20) % 10000 / 10000.0 * 8)::BIGINT AS total FROM "
        "(SELECT i, make_timestamp_ms(at_ms(i)) AS t, program(i) AS program, is_rare(i) AS rare, "
        f"(hash(i, 1) >> 1)::BIGINT AS h, (hash(i, 2) >> 1)::BIGINT AS g FROM range({start}, {end}) r(i)))"
    )
