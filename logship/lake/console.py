"""Run: a process that answers one question in SQL and ends: one SELECT over the views, and nothing else.

It is a process of its own so that whoever asks too much is ended with it. What it may touch is decided before the
question is read: the files of the lake that are named to it, no other file, no network, no extension, and none of that
can be changed back. A question is one SELECT, asked inside of another: there DuckDB takes no statement that writes.

On standard input a question (JSON), on standard output records, one a line: begin (names, types), rows, end or error.
"""

from __future__ import annotations

import base64
import json
import math
import resource
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from typing import Any

from logship.lake.sql import quoted
from logship.lake.views import LOSSES, statements

ROWS_AT_ONCE = 500
MEMORY = "400MB"
BAD, NO_DUCKDB, FAILED, TOO_MUCH = "bad-sql", "no-duckdb", "failed", "too-much"


class Refused(Exception):
    """A question that is none, or that has no answer."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error, self.text = error, text


def main() -> None:
    """Answer the question on standard input."""
    asked = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _answer(asked)
    except Refused as refused:
        _say({"type": "error", "error": refused.error, "text": refused.text})


def _answer(asked: Mapping[str, Any]) -> None:
    try:
        import duckdb
    except ImportError:
        raise Refused(NO_DUCKDB, "SQL wants DuckDB beside the viewer, which is not installed") from None
    connection = _confined(duckdb, asked["files"], asked["losses"], asked["threads"])
    try:
        connection.execute(wrapped(duckdb, connection, asked["sql"], 0)).fetchall()  # here its mistakes are said
        question = wrapped(duckdb, connection, asked["sql"], asked["rows_max"] + 1)
        found = connection.sql(question)
    except duckdb.Error as error:
        raise Refused(BAD, _placed(str(error))) from error
    columns = [{"name": name, "type": str(kind)} for name, kind in zip(found.columns, found.types, strict=True)]
    _say({"type": "begin", "columns": columns})
    given = size = 0
    more = False
    try:
        connection.execute(question)
        while not more and (rows := connection.fetchmany(ROWS_AT_ONCE)):
            more = given + len(rows) > asked["rows_max"] or size > asked["bytes_max"]
            rows = rows[: asked["rows_max"] - given]
            given += len(rows)
            size += _say({"type": "rows", "rows": [[plain(value) for value in row] for row in rows]})
    except duckdb.OutOfMemoryException:
        raise Refused(TOO_MUCH, f"the answer wants more than {MEMORY} of memory; ask for less at once") from None
    except duckdb.Error as error:
        raise Refused(FAILED, _placed(str(error))) from error
    _say({"type": "end", "rows": given, "more": more})


def wrapped(duckdb: Any, connection: Any, sql: str, most: int) -> str:
    """The question inside of another SELECT. Raises Refused for what is not one SELECT, and duckdb.Error."""
    found = connection.extract_statements(sql)
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        raise Refused(BAD, "one SELECT is answered, and nothing else (DESCRIBE, SUMMARIZE and VALUES are some)")
    text = f"SELECT * FROM (\n{found[0].query.strip().rstrip(';')}\n) LIMIT {most:d}"
    again = connection.extract_statements(text)
    if len(again) != 1 or again[0].type != duckdb.StatementType.SELECT:
        raise Refused(BAD, "one SELECT is answered, and nothing else")
    return text


def _confined(duckdb: Any, files: Sequence[str], losses: Sequence[Mapping[str, Any]], threads: int) -> Any:
    """A connection with the views, that reads these files and nothing else."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": MEMORY,
            "temp_directory": "",
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        },
    )
    for text in statements(files):
        connection.execute(text)
    if losses:
        columns = [[loss.get(name) for loss in losses] for name in LOSSES]
        connection.execute(f"INSERT INTO losses SELECT {', '.join(['unnest(?)'] * len(LOSSES))}", columns)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET allowed_paths = [{', '.join(map(quoted, files))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _placed(text: str) -> str:
    """DuckDB's sentence with its place in the question, which begins a line later than it was written."""
    head, word, rest = text.partition("\nLINE ")
    number, colon, line = rest.partition(":")
    if not (word and colon and number.isdigit()):
        return text
    return f"{head.rstrip()}\nLINE {max(1, int(number) - 1)}:{line}" if int(number) > 1 else text


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "") + "Z"
    if isinstance(value, date | clock):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(plain(name)): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value)


def _say(record: Mapping[str, Any]) -> int:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
    sys.stdout.buffer.flush()
    return len(text)
