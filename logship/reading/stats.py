"""Core: what HAProxy's lines say of requests, as tables for people: halog's, and what the states mean.

Left to others: making the numbers (``logship.view.pipes_haproxy``), the words of the states (``explain``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from logship.reading.columns import columns_aligned, size
from logship.view.shown import harmless

Record = dict[str, Any]
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
NAMED = {
    "server": "backend, server",
    "path": "path:bare",
    "client": "client_ip",
    "state": "state:pair",
}
"""What ``--by`` takes besides the fields of the language."""
_TIMES = {"t_request": "REQUEST", "t_queue": "QUEUE", "t_connect": "CONNECT", "t_response": "RESPONSE",
          "t_active": "TOTAL"}  # fmt: skip
_HEADS = {"path:bare": "PATH", "client_ip": "CLIENT", "state:pair": "STATE"}
FOOT = "times in ms; one that there was not (-1) is in no average; `logship explain STATE` tells more"


def report(tables: dict[str, Record], meaning: Callable[[str], str]) -> list[str]:
    """The tables of all requests: servers, states, queue, percentiles."""
    (total,) = _rows(tables["total"])
    found = [_sum(total), "", *of_groups(tables["servers"], meaning)]
    found += ["", *of_groups(tables["states"], meaning)]
    waited = [row for row in _rows(tables["servers"]) if row["queued"]]
    if waited:
        found += ["", *_written(_queue(waited))]
    percentiles = tables["percentiles"]
    heads = ["PERCENTILE", *(_TIMES[name] for name in percentiles["columns"][1:])]
    return [*found, "", *_written([heads, *percentiles["rows"]]), "", FOOT]


def of_groups(table: Record, meaning: Callable[[str], str]) -> list[str]:
    """A row a group, those with most requests first; states with what they mean."""
    keys = table["columns"][: table["keys"]]
    rows = [*_rows(table), *({**row, "others": True} for row in _rows({**table, "rows": table["others"]}))]
    states = keys == ["state:pair"]
    classes = [name for name in CLASSES if any(row[name] for row in rows)]
    each = "t_response_p95" in table["columns"]
    by_server = keys == ["backend", "server"]
    heads = ["SERVER"] if by_server else [_HEADS.get(name, name.upper()) for name in keys]
    heads += ["REQUESTS", "ERRORS", *(name.upper() for name in classes)]
    if states:
        return _written(
            [[*heads[:2], "MEANING"], *([row[keys[0]], row["requests"], _means(row, meaning)] for row in rows)]
        )
    heads += ["QUEUE", "CONNECT", "RESPONSE", *(["P95", "P99"] if each else []), "TOTAL"]
    heads += [*(["P95", "P99"] if each else []), "MAX", "BYTES", "RETRIES", "REDISPATCHED"]
    cells: list[list[Any]] = [heads]
    for row in rows:
        name = ["(others)", *[None] * (len(keys) - 1)] if "others" in row else [row[key] for key in keys]
        if by_server:
            name = [name[0] if "others" in row else f"{name[0] or '-'}/{name[1] or '-'}"]
        cell = [*name, row["requests"], row["errors"], *(row[one] for one in classes)]
        cell += [row[f"{one}_avg"] for one in ("t_queue", "t_connect", "t_response")]
        cell += [row["t_response_p95"], row["t_response_p99"]] if each else []
        cell += [row["t_active_avg"], *([row["t_active_p95"], row["t_active_p99"]] if each else [])]
        cells.append([*cell, row["t_active_max"], row["bytes"], row["retries"], row["redispatched"]])
    return _written(cells)


def _sum(total: Record) -> str:
    requests = total["requests"]
    share = f" ({total['errors'] / requests:.1%})" if requests else ""
    return (
        f"{requests:,} requests, {total['errors']:,} errors{share}, {size(total['bytes'])}; {total['retries']:,} "
        f"retries, {total['redispatched']:,} redispatched, {total['queued']:,} queued"
    )


def _queue(rows: Sequence[Record]) -> list[list[Any]]:
    """Who waited, behind how many, and how long."""
    heads = ["QUEUED AT", "REQUESTS", "BEHIND (SERVER)", "BEHIND (BACKEND)", "QUEUE", "P95", "P99", "MAX"]
    return [
        heads,
        *(
            [
                f"{row['backend'] or '-'}/{row['server'] or '-'}", row["queued"], row["srv_queue_max"],
                row["backend_queue_max"], row["t_queue_avg"], row["t_queue_p95"], row["t_queue_p99"],
                row["t_queue_max"],
            ]
            for row in sorted(rows, key=lambda row: -row["queued"])
        ),
    ]  # fmt: skip


def _means(row: Record, meaning: Callable[[str], str]) -> str:
    return meaning(row["state:pair"]) if row["state:pair"] else ""


def _rows(table: Record) -> Iterator[Record]:
    for row in table["rows"]:
        yield dict(zip(table["columns"], row, strict=True))


def _written(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Numbers to the right; averages with one decimal."""
    heads, *rest = rows
    numbers = {at for at in range(len(heads)) if all(isinstance(row[at], int | float | None) for row in rest)}
    return columns_aligned([list(heads), *([harmless(_cell(cell)) for cell in row] for row in rest)], numbers)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
