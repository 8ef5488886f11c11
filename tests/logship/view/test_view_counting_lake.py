"""Counting what is sealed: where journal and lake both have a line it is counted once; and what may go wrong."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from logship.lake.engine import Asking, TooLarge
from logship.lake.folder import LAKE, MANIFEST
from logship.lake.keep import Policy
from logship.lake.reader import Unreadable
from logship.view import query
from logship.view.counting import Counting
from logship.view.history import History
from logship.view.journal_reader import Journal
from logship.view.pipes_result import making_of
from tests.logship.lake.lakes import seal
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.test_view_where import FAILED, HAPROXY


@pytest.fixture
def shelf(tmp_path: Path) -> Any:
    """A store with three lines in each of four segments, all sealed and all in the journal, too."""
    found = Shelf(tmp_path / "store")
    for number in range(4):
        found.now_ms += 60_000
        found.append("ha/1/haproxy/i", f"{HAPROXY}\n{FAILED}\n".encode())
        found.append("web/1/app/i", b"line %d\n" % number)
        found.rotate()
    seal(found.folder)
    yield found
    found.close()


def counting(shelf: Shelf, text: str = "| count by stream", **more: str) -> tuple[Counting, Any]:
    asked = query.parse(
        {"query": [text], **{name: [value] for name, value in more.items()}}, BORN_MS, query.TABLE_PARAMETERS
    )
    assert isinstance(asked, query.Query)
    assert asked.piped.pipe is not None
    history = History(Journal(shelf.folder))
    picture = history.journal.picture()
    making = making_of(asked.piped.pipe, None, None)
    end = picture.end if asked.at is None else asked.at
    return Counting(history, picture, asked.wanted, asked.piped.node, making, end, time.monotonic), making


def counted(shelf: Shelf, text: str = "| count by stream", **more: str) -> tuple[dict[Any, Any], int]:
    """The rows of the table, and how many places are damaged."""
    reading, making = counting(shelf, text, **more)
    for _ in reading.steps():
        pass
    assert reading.progress.share == 1.0
    return {row[0]: row[1] for row in making.tables()[""].rows}, reading.progress.damaged


ALL = {"ha/1/haproxy/i": 8, "web/1/app/i": 4}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("| count by status:class", 12),
        ("src:ha/1 | count 1m by status:class", 8),
        ("src:ha/1 status:200 | count by server", 8),
        ("src:web/1 | p50 t_total by status:class", 4),
        ("/line/ | count", 12),
    ],
)
def test_how_many_lines_were_looked_at_is_known_whether_all_of_them_are_counted_or_not(
    shelf: Shelf, text: str, lines: int
) -> None:
    reading, _ = counting(shelf, text)
    for _ in reading.steps():
        pass
    assert (reading.progress.lines, reading.progress.damaged) == (lines, 0)


def test_what_is_sealed_is_read_out_of_the_lake_though_the_journal_has_it(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.append("web/1/app/i", b"not sealed\n")
    assert counted(shelf) == ({**ALL, "web/1/app/i": 5}, 0)

    def refuse(*_: Any) -> Any:
        raise AssertionError("the lines of a segment that is sealed are read in the journal")

    monkeypatch.setattr("logship.view.window.Windows.lines", refuse)
    reading, _ = counting(shelf, "src:ha/1 | count")
    for _ in reading.steps():
        pass
    assert reading.progress.matched == 8


@pytest.mark.parametrize("ends", ["a line without an end", "a line without an end\n"])
def test_a_line_without_an_end_that_was_begun_before_the_sealed_end_is_counted_once(shelf: Shelf, ends: str) -> None:
    shelf.append("web/2/app/i", b"2026-11-23 20:03:59,000 whole\na line ")
    shelf.rotate()
    seal(shelf.folder)
    assert counted(shelf, "| count 1m by stream", q="web/2")[0] == {"2026-11-23T20:03:00.000Z": "web/2/app/i"}
    assert counted(shelf) == ({**ALL, "web/2/app/i": 2}, 0)
    shelf.append("web/2/app/i", ends.encode())
    assert counted(shelf) == ({**ALL, "web/2/app/i": 2}, 0)


def test_a_reading_that_ends_in_the_midst_of_what_is_sealed_counts_what_was_before(shelf: Shelf) -> None:
    manifest = json.loads((shelf.folder / LAKE / MANIFEST).read_text())
    second = manifest["files"][1]
    assert counted(shelf, at=str(second["end_lsn"])) == ({"ha/1/haproxy/i": 4, "web/1/app/i": 2}, 0)
    assert sum(counted(shelf, at=str(second["end_lsn"] - 1))[0].values()) in (5, 6)


def test_a_file_that_cannot_be_read_is_made_up_for_by_the_journal_and_told_when_that_has_it_not(shelf: Shelf) -> None:
    second = sorted((shelf.folder / LAKE).rglob("*.parquet"))[1]
    second.write_bytes(second.read_bytes()[:-100])
    assert counted(shelf) == (ALL, 0)
    second.unlink()
    assert counted(shelf) == (ALL, 0)
    shelf.drop_oldest(2)
    assert counted(shelf) == ({"ha/1/haproxy/i": 6, "web/1/app/i": 3}, 1)


def test_what_was_not_sealed_is_read_in_the_journal(shelf: Shelf) -> None:
    path = shelf.folder / LAKE / MANIFEST
    said = json.loads(path.read_text())
    first = said["files"].pop(0)
    said["not_sealed"] = [{"first_lsn": first["first_lsn"], "end_lsn": first["end_lsn"], "why": "it was damaged"}]
    path.write_text(json.dumps(said))
    assert counted(shelf) == (ALL, 0)


def test_files_that_retention_takes_while_they_are_asked_for_are_no_damage(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.drop_oldest(4)
    really = Asking.answer
    taken: list[Any] = []

    def answer(self: Asking, question: Any, files: Any) -> Any:
        if not taken:
            taken.append(seal(shelf.folder, Policy(bytes=1)))
            for path in (shelf.folder / LAKE).rglob("*.parquet"):
                path.unlink()
        return really(self, question, files)

    monkeypatch.setattr(Asking, "answer", answer)
    assert counted(shelf) == ({}, 0)


def test_files_that_were_merged_while_they_are_asked_for_are_counted_once(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest files are counted; then all are replaced by one, as merging would."""
    shelf.drop_oldest(4)
    manifest = shelf.folder / LAKE / MANIFEST
    said = json.loads(manifest.read_text())
    really, calls = Asking.answer, []

    def answer(self: Asking, question: Any, files: Any) -> Any:
        calls.append(files)
        if len(calls) == 2:
            first, second = said["files"][:2]
            name = first["name"].replace(".parquet", "-merged.parquet")
            _join(shelf.folder / LAKE, [first["name"], second["name"]], name)
            one = {**first, "name": name, "end_lsn": second["end_lsn"], "rows": first["rows"] + second["rows"]}
            one |= {"newest_ts": second["newest_ts"], "newest_received": second["newest_received"]}
            said["files"][:2] = [one]
            manifest.write_text(json.dumps(said))
        return really(self, question, files)

    monkeypatch.setattr(Asking, "answer", answer)
    assert counted(shelf) == (ALL, 0)
    assert any("merged" in file.name for files in calls for file in files)


def _join(lake: Path, names: list[str], name: str) -> None:
    import duckdb

    paths = [str(lake / each) for each in names]
    rows = "read_parquet(?, hive_partitioning = false)"
    duckdb.execute(f"COPY (FROM {rows}) TO '{lake / name}' (FORMAT parquet)", [paths])
    for path in paths:
        Path(path).unlink()


@pytest.mark.parametrize(("error", "damaged"), [(TooLarge("too large"), 0), (Unreadable("no"), 0)])
def test_an_answer_that_does_not_come_is_made_up_for_row_by_row(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, error: Exception, damaged: int
) -> None:
    really = Asking.answer

    def answer(self: Asking, question: Any, files: Any) -> Any:
        if "GROUP BY" in question.text:
            raise error
        return really(self, question, files)

    monkeypatch.setattr(Asking, "answer", answer)
    assert counted(shelf) == (ALL, damaged)


def test_who_stops_a_reading_ends_what_duckdb_is_about(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that would take minutes; it ends when it is stopped, not when it is done."""
    endless = "FROM range(100000000) AS a, range(100000000) AS b SELECT sum(a.range * b.range)"
    asked = threading.Event()
    really = Asking.answer

    def answer(self: Asking, question: Any, files: Any) -> Any:
        asked.set()
        return really(self, type(question)(f"{endless}, (SELECT count(*) FROM {{rows}})"), files)

    monkeypatch.setattr(Asking, "answer", answer)
    reading, _ = counting(shelf)
    thread = threading.Thread(target=lambda: list(reading.steps()), daemon=True)
    thread.start()
    assert asked.wait(30)
    thread.join(0.3)
    assert thread.is_alive(), "it ended by itself"
    reading.stop()
    thread.join(30)
    assert not thread.is_alive()
    reading.stop()
