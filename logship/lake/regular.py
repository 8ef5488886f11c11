"""Core: HAProxy's lines in their usual form, which DuckDB takes apart itself, ten times as fast as Python.

``FORM`` is narrower than what ``view.fields`` understands: of a line that has it, cutting at spaces gives the same
values (a property test holds them to it). Any other line is taken apart by ``columns.typed``.
"""

from __future__ import annotations

_TIME = r"-?[0-9]{1,9}"
_COUNTS = r"[0-9]{1,15}"
_VISIBLE = r"[!-~]"
FORM = " ".join([
    r"[0-9a-fA-F.:]{1,64}:[0-9]{1,5}",
    r"\[[!-\\^-~]{0,64}\]",
    rf"{_VISIBLE}+",
    rf"[!-.0-~]+/{_VISIBLE}+",
    rf"{_TIME}/{_TIME}/{_TIME}/{_TIME}/[+-]?[0-9]{{1,9}}",
    _TIME,
    rf"\+?{_COUNTS}",
    rf"{_VISIBLE}+",
    rf"{_VISIBLE}+",
    r"[A-Za-z-]{4}",
    rf"{_COUNTS}/{_COUNTS}/{_COUNTS}/{_COUNTS}/\+?{_COUNTS}",
    rf"{_COUNTS}/{_COUNTS}",
    r'"[A-Z]+',
    r"[!#-~]+",
    rf'HTTP/[0-9.]+"(?: id=[!#-~]+ pid={_COUNTS} lc={_COUNTS} tt=[+-]?{_COUNTS}(?: n={_COUNTS})?)?',
])  # fmt: skip
"""For RE2: the whole line, printable ASCII, without captured headers and with one request between its two quotes."""

NEVER = frozenset({"serf", "supervisord"})
"""Kinds whose lines are never looked at so."""

WORDS = "string_split(line, ' ')"
"""``w`` below; ``t`` are the timers."""
TIMERS = "string_split(w[5], '/')"

VALUES = {
    "frontend": "w[3]",
    "backend": "split_part(w[4], '/', 1)",
    "server": "substr(w[4], instr(w[4], '/') + 1)",
    "status": "w[6]::BIGINT",
    "t_queue": "t[2]::BIGINT",
    "t_connect": "t[3]::BIGINT",
    "t_response": "t[4]::BIGINT",
    "t_active": "t[5]::BIGINT",
    "t_total": "substr(w[19], 4)::BIGINT",
    "bytes": "w[7]::BIGINT",
    "state": "w[10]",
    "method": "substr(w[13], 2)",
    "path": "w[14]",
}
"""By column how its value is got from a line of this form; the other typed columns are null."""
