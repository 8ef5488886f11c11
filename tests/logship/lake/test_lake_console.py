"""SQL over the views: what they say is what the language of queries says, and nothing but one SELECT is answered."""

from __future__ import annotations

import datetime
import decimal
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from logship.lake import console
from logship.lake.columns import COLUMNS
from logship.lake.console import Refused
from logship.lake.folder import LAKE
from logship.lake.views import VIEWS
from logship.view.fields import FIELDS, of_line
from tests.logship.lake.lakes import seal
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_where import EVENT, FAILED, HAPROXY, SERF, STOCK, TCP

MEMBER = "    2026/11/30 13:05:25 [INFO] serf: EventMemberJoin: web-2 172.28.0.4"
LOSS = {"id": "1", "stream": "ha/1/haproxy/i", "bytes": 512, "from_time": "2026-11-23T20:00:00.000Z", "reason": "full"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A lake with lines of each kind."""
    shelf = Shelf(tmp_path_factory.mktemp("console") / "store")
    shelf.append("ha/1/haproxy/i", "\n".join([HAPROXY, FAILED, TCP, "[NOTICE] (7) : none", ""]).encode())
    shelf.append("foreign/stream", f"{STOCK}\n".encode())
    shelf.append("web/1/serf/i", f"{SERF}\n{MEMBER}\n".encode())
    shelf.append("ha/1/balance/i", f"{EVENT}\n".encode())
    shelf.rotate()
    seal(shelf.folder)
    shelf.close()
    return [str(path) for path in sorted((shelf.folder / LAKE).rglob("*.parquet"))]


@pytest.fixture
def connection(files: list[str]) -> Iterator[Any]:
    """As the process has it that answers questions."""
    found = console._confined(duckdb, files, [LOSS], 1)
    yield found
    found.close()


def answered(connection: Any, sql: str, most: int = 100) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = connection.execute(console.wrapped(duckdb, connection, sql, most)).fetchall()
    return found


def test_haproxys_view_has_the_fields_by_the_names_and_with_the_values_of_the_language(connection: Any) -> None:
    names = [name for name, field in FIELDS.items() if not field.of_stream and name not in ("level", "event")]
    rows = answered(connection, f"SELECT line, {', '.join(names)} FROM haproxy ORDER BY line")
    assert [row[0] for row in rows] == sorted([HAPROXY, FAILED, STOCK, TCP])
    for line, *values in rows:
        fields = of_line("plain", line)
        assert dict(zip(names, values, strict=True)) == {name: fields.get(name) for name in names}, line


def test_the_other_views_say_what_their_lines_say(connection: Any) -> None:
    assert answered(connection, "SELECT level, event, member, address FROM serf ORDER BY ALL") == [
        ("info", "EventMemberJoin", "web-2", "172.28.0.4"),
        ("warn", "EventMemberLeave", "38e2e6dbeff8", "172.28.0.4"),
    ]
    found = answered(connection, "SELECT service, program, event, line ->> '$.user.id' FROM events")
    assert found == [("ha", "balance", "generation", "7")]
    found = answered(connection, "SELECT stream, bytes, from_time, reason FROM losses")
    assert found == [("ha/1/haproxy/i", 512, datetime.datetime(2026, 11, 23, 20, 0), "full")]
    names = [row[0] for row in answered(connection, "DESCRIBE lines")]
    assert names == [column.name for column in COLUMNS]
    assert answered(connection, "SELECT count(*) FROM lines") == [(8,)]


def test_without_a_file_the_views_are_there_and_empty() -> None:
    connection = console._confined(duckdb, [], [], 1)
    for name in ("lines", "losses", *VIEWS):
        assert answered(connection, f"SELECT * FROM {name}") == []


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT 1;", [(1,)]),
        ("SELECT 1 -- and no more", [(1,)]),
        ("FROM range(5) AS t(n) SELECT n ORDER BY n DESC", [(4,), (3,), (2,), (1,), (0,)]),
        ("WITH a AS (SELECT 1 AS n) SELECT n + 1 FROM a", [(2,)]),
        ("VALUES (1), (2)", [(1,), (2,)]),
        ("SELECT ';' AS \"copy\"", [(";",)]),
    ],
)
def test_a_select_is_answered_in_its_order(connection: Any, sql: str, rows: list[Any]) -> None:
    assert answered(connection, sql) == rows


ATTEMPTS = [
    "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')", "FROM '/etc/passwd'",
    "SELECT * FROM read_blob('/proc/self/environ')", "SELECT * FROM glob('/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/etc/passwd')", "SELECT * FROM read_parquet('http://127.0.0.1/x.parquet')",
    "SELECT * FROM read_json('https://127.0.0.1/x')", "SELECT * FROM duckdb_secrets()",
    "COPY lines TO '{file}'", "COPY (SELECT 1) TO '{folder}/x.parquet'", "EXPORT DATABASE '{folder}/x'",
    "WITH a AS (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT * FROM a",
    "WITH a AS MATERIALIZED (COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)) SELECT 1",
    "SELECT * FROM query('WITH a AS (COPY (SELECT 1) TO ''{file}'') FROM a')",
    "WITH a AS (INSERT INTO losses (id) VALUES ('x') RETURNING *) SELECT * FROM a",
    "WITH a AS (DELETE FROM losses RETURNING *) SELECT * FROM a",
    "ATTACH '{folder}/x.db'", "ATTACH ':memory:' AS other", "INSTALL httpfs", "LOAD httpfs", "LOAD '{file}'",
    "PRAGMA threads = 4", "PRAGMA database_list", "SET threads = 4", "SET enable_external_access = true",
    "SET lock_configuration = false", "RESET lock_configuration", "SET allowed_paths = ['/etc/passwd']",
    "CREATE TABLE t AS SELECT 1", "DROP VIEW lines", "INSERT INTO losses (id) VALUES ('x')", "DELETE FROM losses",
    "SELECT 1; SELECT 2", "SELECT 1; COPY lines TO '{file}'",
    "SELECT 1) AS a; COPY lines TO '{file}'; SELECT * FROM (SELECT 2",
    "SELECT 1) UNION ALL (SELECT 2", "EXPLAIN ANALYZE SELECT 1", "CALL pragma_version()", "PREPARE p AS SELECT 1",
    "SELECT * FROM a_list_of_python", "", "-- nothing",
]  # fmt: skip
"""What nobody gets by SQL."""


@pytest.mark.parametrize("sql", ATTEMPTS)
def test_nothing_is_read_but_the_lake_and_nothing_is_written(
    connection: Any, files: list[str], tmp_path: Path, sql: str
) -> None:
    a_list_of_python = [1, 2, 3]
    before = [Path(file).read_bytes() for file in files]
    with pytest.raises((Refused, duckdb.Error)):
        answered(connection, sql.replace("{file}", files[0]).replace("{folder}", str(tmp_path)))
    assert [Path(file).read_bytes() for file in files] == before
    assert list(tmp_path.iterdir()) == []
    assert answered(connection, "SELECT count(*) FROM losses") == [(1,)]
    assert a_list_of_python


def test_values_are_written_as_json_has_them() -> None:
    moment = datetime.datetime(2026, 11, 23, 20, 0, 0, 5000)
    assert console.plain([moment, moment.replace(tzinfo=datetime.UTC)]) == ["2026-11-23T20:00:00.005Z"] * 2
    assert console.plain([decimal.Decimal("2.00"), decimal.Decimal("0.5"), math.nan, math.inf]) == [2, 0.5, None, None]
    assert console.plain({1: b"\xff", "t": datetime.timedelta(seconds=90)}) == {"1": "/w==", "t": 90.0}


def test_a_mistake_is_told_with_its_place_in_what_was_asked() -> None:
    said = "Binder Error: no such column\n\nLINE 3: select nocol\n               ^"
    assert console._placed(said) == "Binder Error: no such column\nLINE 2: select nocol\n               ^"
    assert console._placed("Out of luck") == "Out of luck"
