"""``/api/sql`` and ``logship query --sql``: one SELECT over what is sealed, in a process that ends with it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from logship.values import Loss
from tests.logship.lake.lakes import seal
from tests.logship.reading.test_reading_query import query
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_where import FAILED, HAPROXY
from tests.logship.view.viewing import Viewer, eventually


def sealed(shelf: Shelf) -> None:
    shelf.append("ha/1/haproxy/i", f"{HAPROXY}\n{FAILED}\n{HAPROXY}\n".encode())
    shelf.lose(Loss("1", "ha/1/haproxy/i", None, None, 37, "lines", reason="dropped"))
    shelf.rotate()
    seal(shelf.folder)
    shelf.append("ha/1/haproxy/i", f"{HAPROXY}\n".encode())


def asked(viewer: Viewer, sql: str, *more: str) -> list[dict[str, Any]]:
    return viewer.records("&".join([f"/api/sql?sql={quote(sql)}", *more]))


def test_a_select_is_answered_with_types_rows_and_how_far_it_reaches(shelf: Shelf, viewer: Viewer) -> None:
    sealed(shelf)
    begin, rows, end = asked(viewer, "SELECT status, count(*) AS n FROM haproxy GROUP BY ALL ORDER BY ALL")
    assert begin["columns"] == [{"name": "status", "type": "BIGINT"}, {"name": "n", "type": "BIGINT"}]
    assert (begin["files"], begin["lines"], begin["sealed_to"]) == (1, 3, "2026-11-23T20:00:00.000Z")
    assert rows["rows"] == [[200, 2], [503, 1]]
    assert (end["rows"], end["more"]) == (2, False)
    assert asked(viewer, "SELECT count, unit FROM losses")[1]["rows"] == [[37, "lines"]]
    *_, last = asked(viewer, "FROM range(2000)", "rows=700")
    assert (last["rows"], last["more"]) == (700, True)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/sql", "sql wants one SELECT"),
        (f"/api/sql?sql={quote('SELEC 1')}", 'syntax error at or near "SELEC"'),
        (f"/api/sql?sql={quote('SELECT nosuch FROM lines')}", "LINE 1: SELECT nosuch FROM lines"),
        (f"/api/sql?sql={quote('ATTACH 1')}", "one SELECT is answered"),
        (f"/api/sql?sql={quote('SET threads = 1')}", "one SELECT is answered"),
        ("/api/sql?sql=x&rows=0", "rows is a whole number"),
    ],
)
def test_what_is_no_question_is_refused_in_a_sentence(viewer: Viewer, shelf: Shelf, path: str, said: str) -> None:
    shelf.append("web/1/app/i", b"x\n")
    status, _, body = viewer.ask(path)
    assert status == 400, body
    assert said in json.loads(body)["text"]


def test_who_goes_away_ends_the_process_and_another_may_ask(shelf: Shelf, viewer: Viewer) -> None:
    """Two at a time: a third one is refused until one of them has gone."""
    shelf.append("web/1/app/i", b"x\n")
    endless = quote("SELECT count(*) FROM range(1000000000000000)")
    answers = [viewer.lines(f"/api/sql?sql={endless}") for _ in range(2)]
    for answer in answers:
        assert json.loads(next(answer))["type"] == "begin"
    status, _, body = viewer.ask("/api/sql?sql=SELECT%201")
    assert (status, json.loads(body)["error"]) == (503, "sql")
    for answer in answers:
        answer.close()
    eventually(lambda: viewer.ask("/api/sql?sql=SELECT%201")[0] == 200, "those that have gone are still answered")


def test_the_command_prints_a_table_json_and_csv_and_says_what_is_not_in_it(shelf: Shelf, viewer: Viewer) -> None:
    sealed(shelf)
    select = "SELECT server, status FROM haproxy WHERE status > 500"
    found = query(viewer, "--sql", select)
    assert (found.returncode, found.stdout.decode()) == (0, "SERVER   STATUS\n<NOSRV>     503\n")
    assert "3 lines that are sealed, up to 2026-11-23T20:00:00.000Z" in found.stderr.decode()
    found = query(viewer, select, "--sql", "-o", "json")
    assert json.loads(found.stdout) == {"server": "<NOSRV>", "status": 503}
    found = query(viewer, "--sql", "SELECT '=1+1' AS a, NULL AS b", "-o", "csv")
    assert found.stdout.decode() == "a,b\n'=1+1,\n"


def test_bad_sql_ends_the_command_with_status_2_and_the_place(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"x\n")
    found = query(viewer, "--sql", "SELECT 1,\nnosuch FROM lines")
    assert (found.returncode, found.stdout) == (2, b"")
    said = found.stderr.decode()
    assert "cannot understand the SQL" in said
    assert "LINE 2: nosuch FROM lines" in said
    assert query(viewer, "--sql", "SELECT 1", "web").returncode == 2
    assert query(viewer, "--sql", "SELECT 1", "-S", "1h").returncode == 2
