"""Run: a question in SQL, asked of the viewer, and its rows as people and programs read them."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator

from logship.errors import USAGE, Fault
from logship.reading.cells import FORMULA
from logship.reading.client import Client, Lost, Record
from logship.reading.columns import columns_aligned
from logship.view.shown import harmless

WIDTH_MAX = 200
"""Characters of a cell of a table; JSON and CSV have all of them."""


def ask(client: Client, command: str, sql: str, form: str) -> int:
    """Ask, and print the rows as they come (a table: when all are there); the exit status. Raises Fault."""
    head: Record = {}
    last: Record = {}
    table: list[list[str]] = []
    numbers: set[int] = set()
    try:
        for record in _records(client, sql):
            last = record
            if record["type"] == "begin":
                head = record
                names = [column["name"] for column in head["columns"]]
                numbers = {at for at, column in enumerate(head["columns"]) if _is_number(column["type"])}
                table.append([harmless(name.upper()) for name in names])
                if form == "csv":
                    csv.writer(sys.stdout, lineterminator="\n").writerow(names)
            elif record["type"] == "rows":
                _rows(record["rows"], [column["name"] for column in head["columns"]], form, table)
    except Lost as lost:
        raise Fault("read from the viewer at", client.url, str(lost), "ask again") from None
    if last.get("type") == "error":
        raise Fault("answer", "the question", last["text"])
    if last.get("type") != "end":
        raise Fault("read from the viewer at", client.url, "the answer was cut off", "ask again")
    if form == "table":
        for line in columns_aligned(table, numbers):
            print(line)
    sys.stdout.flush()
    for note in _notes(head, last):
        print(f"logship {command}: {note}", file=sys.stderr, flush=True)
    return 0


def _records(client: Client, sql: str) -> Iterator[Record]:
    """The records; a question that is refused is usage, with the place that DuckDB says."""
    try:
        for record in client.records("/api/sql", [("sql", sql)]):
            if record is not None:
                yield record
    except Fault as fault:
        if fault.status == USAGE:
            raise Fault("understand", "the SQL", fault.cause, fault.hint, USAGE) from None
        raise


def _rows(rows: list[list[object]], names: list[str], form: str, table: list[list[str]]) -> None:
    if form == "json":
        for row in rows:
            print(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, separators=(",", ":")))
    elif form == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([_unrun(value) for value in row] for row in rows)
    else:
        table += [[_cell(value) for value in row] for row in rows]


def _notes(head: Record, last: Record) -> Iterator[str]:
    if head["sealed_to"] is None:
        yield "nothing is sealed yet: the views have no lines (docs/lake.md)"
    else:
        lines, sealed_to = f"{head['lines']:,}", head["sealed_to"]
        yield f"the views have the {lines} lines that are sealed, up to {sealed_to}; later ones are not in them"
    if last["more"]:
        yield f"there are more rows than the {last['rows']:,} that are given"


def _is_number(kind: str) -> bool:
    return kind.partition("(")[0] in (
        "BIGINT",
        "INTEGER",
        "HUGEINT",
        "SMALLINT",
        "TINYINT",
        "DOUBLE",
        "FLOAT",
        "DECIMAL",
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = harmless(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= WIDTH_MAX else f"{text[: WIDTH_MAX - 1]}…"


def _unrun(value: object) -> object:
    """A text that no spreadsheet takes for a formula (``cells``)."""
    return f"'{value}" if isinstance(value, str) and value and value[0] in FORMULA else value
