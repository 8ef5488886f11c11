"""Core: the columns of the lake, one row a line, and what a line says in the typed ones.

A typed column holds what ``view.fields.of_line`` finds under that name. Where it cannot (a JSON line that says
``"status": "none"``, a line too long to be taken apart) it is null and the row has the flag UNTYPED: then ``line``
is to be asked. The other fields of lines are computed from ``line`` when somebody asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from logship.view.fields import of_line

UNTYPED = 16
"""Besides the flags of ``view.lines`` (TORN 1, PART 2, CUT 4, OPEN 8): a typed column is null, the line may say it."""
TYPED_BYTES_MAX = 16_384
"""A longer line is not taken apart: what that costs may grow with the square of its length."""
_INT64_MAX = 2**63 - 1


class Type(Enum):
    """What a column holds, by the word of DuckDB."""

    TEXT = "VARCHAR"
    BYTES = "BLOB"
    NUMBER = "BIGINT"
    SMALL = "SMALLINT"
    TIME = "TIMESTAMP"


@dataclass(frozen=True, slots=True)
class Column:
    """A column and its meaning, with its unit."""

    name: str
    type: Type
    means: str


COLUMNS = (
    Column("stream", Type.TEXT, "path of the stream"),
    Column("service", Type.TEXT, "service, as webapp; null for a stream that is not of our shipper"),
    Column("instance", Type.TEXT, "which of its containers, as 2; null likewise"),
    Column("program", Type.TEXT, "program, as serf; null likewise"),
    Column("kind", Type.TEXT, "haproxy, serf, supervisord, events, or what the source says; else plain"),
    Column("offset", Type.NUMBER, "where the line begins in its stream, bytes"),
    Column("lsn", Type.NUMBER, "where the frame begins in the journal with which the line was known to be over, bytes"),
    Column("received", Type.TIME, "when the collector took that frame, UTC"),
    Column("ts", Type.TIME, "when the line was written: its own time, else its neighbour's, else `received`; UTC"),
    Column("line", Type.TEXT, "the line without its terminator; bytes that are no UTF-8 are shown as U+FFFD"),
    Column("raw", Type.BYTES, "the line's exact bytes without its terminator, where `line` is not them; else null"),
    Column("terminator", Type.TEXT, "LF, CR LF, or nothing: the characters themselves"),
    Column("flags", Type.SMALL, "sum of 1 torn, 2 part, 4 cut, 8 open, 16 untyped; 0 for most lines"),
    Column("level", Type.TEXT, "level, as the line writes it"),
    Column("event", Type.TEXT, "what happened, in our programs' own lines"),
    Column("frontend", Type.TEXT, "HAProxy's frontend"),
    Column("backend", Type.TEXT, "HAProxy's backend"),
    Column("server", Type.TEXT, "HAProxy's server"),
    Column("status", Type.NUMBER, "HTTP status; -1: none"),
    Column("t_queue", Type.NUMBER, "time in the queue, ms; -1: never came so far"),
    Column("t_connect", Type.NUMBER, "time to connect to the server, ms; -1 likewise"),
    Column("t_response", Type.NUMBER, "time until the server's first bytes, ms; -1 likewise"),
    Column("t_active", Type.NUMBER, "time the request was active, ms"),
    Column("t_total", Type.NUMBER, "time in all, ms"),
    Column("bytes", Type.NUMBER, "bytes sent to the client"),
    Column("state", Type.TEXT, "how the session ended, HAProxy's two or four letters"),
    Column("method", Type.TEXT, "HTTP method"),
    Column("path", Type.TEXT, "path of the request, with its query"),
)
TYPED = COLUMNS[13:]
NOTHING: tuple[Any, ...] = (None,) * len(TYPED)
_PLACES = {column.name: (place, column.type is Type.NUMBER) for place, column in enumerate(TYPED)}

Typed = tuple[tuple[Any, ...], int]
"""The values of the typed columns, and UNTYPED or 0."""


def typed(kind: str, text: str) -> Typed:
    """What the typed columns hold for a line of this kind."""
    if len(text) > TYPED_BYTES_MAX:
        return NOTHING, UNTYPED
    fields = _of_json(text) if text.startswith("{") else of_line(kind, text)
    if not fields:
        return NOTHING, 0
    found: list[Any] = [None] * len(TYPED)
    flag = 0
    for name, value in fields.items():
        place, is_number = _PLACES.get(name, _NOWHERE)
        if place < 0 or value is None:
            continue
        if _fits_number(value) if is_number else _fits_text(value):
            found[place] = value
        else:
            flag = UNTYPED
    return tuple(found), flag


_NOWHERE = -1, False
_JSON_OF = json.JSONDecoder().raw_decode
_JSON_SPACE = " \t\n\r"


def _of_json(text: str) -> Mapping[str, Any]:
    """What ``of_line`` says of a JSON line under the names of typed columns, without all its other keys."""
    try:
        said, end = _JSON_OF(text)
    except (ValueError, RecursionError):
        return {}
    if type(said) is not dict or text[end:].strip(_JSON_SPACE):
        return {}
    return {name: value for name in _PLACES.keys() & said.keys() if not isinstance(value := said[name], dict | list)}


def _fits_number(value: Any) -> bool:
    return type(value) is int and -_INT64_MAX <= value <= _INT64_MAX


def _fits_text(value: Any) -> bool:
    """Half of a surrogate pair, which JSON can say, is no text elsewhere."""
    return type(value) is str and (value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value))
