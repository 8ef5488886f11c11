"""Readings of the lake with filters of tokens and without: the same lines, counts and numbers, with less to be read."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from logship.lake import parquet
from logship.lake.engine import Asking
from logship.lake.selection import Selection
from logship.lake.sql import FALSE
from logship.values import Invalid
from logship.view import query
from logship.view.counting import Counting
from logship.view.history import History
from logship.view.journal_reader import Journal
from logship.view.pipes_result import Making
from logship.view.select import Wanted
from tests.logship.lake.lakes import seal
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.test_view_certain import a_line, a_query
from tests.logship.view.test_view_history import everything, tail
from tests.logship.view.test_view_older import told

GROUP = 2048
FILES, STREAMS = 3, ("web/1/app/i", "ha/1/haproxy/i")
FILLER = "and many of the usual words beside it, so that what is its own is little"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A store of which all but one line is in the lake alone, in several row groups a file; and its lines."""
    chance = random.Random(11)
    shelf = Shelf(tmp_path_factory.mktemp("lake") / "store")
    texts: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "OPTIONS", parquet.OPTIONS.replace(f"SIZE {parquet.ROWS}", f"SIZE {GROUP}"))
        for number in range(FILES):
            for stream in STREAMS:
                lines = [f"{a_line(chance)} {FILLER}".replace("\n", " ") for _ in range(GROUP)]
                if stream == STREAMS[0]:
                    lines[5] += f" needle{number}e5f1 inall0needle"
                texts += lines
                shelf.now_ms += 1000
                data = "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
                shelf.append(stream, data, packed=True)
            shelf.rotate()
        shelf.append(STREAMS[0], b"of the journal\n")
        seal(shelf.folder)
    shelf.drop_oldest(FILES)
    shelf.close()
    return shelf.folder, texts


def asked_of(text: str, **more: str) -> query.Query:
    """The query as the API takes it."""
    names = query.TABLE_PARAMETERS if "|" in text else query.PARAMETERS
    found = query.parse({"query": [text], **{name: [value] for name, value in more.items()}}, BORN_MS, names)
    assert isinstance(found, query.Query), found
    return found


def answers(store: Path, text: str) -> tuple[Any, ...]:
    """All that is said of lines that a query finds, and how much was looked at."""
    history = History(Journal(store))
    wanted = asked_of(text).wanted
    table = asked_of(f"{text} | count by src")
    assert table.piped.pipe is not None
    making, picture = Making(table.piped.pipe), history.journal.picture()
    counting = Counting(history, picture, table.wanted, table.piped.node, making, picture.end, lambda: 0.0)
    for _ in counting.steps():
        pass
    progress = counting.progress
    rows = {name: table.rows for name, table in making.tables().items()}
    looked_at = progress.lines, progress.bytes, progress.matched, progress.hidden, progress.share, progress.damaged
    return told(everything(history, wanted)), told(tail(history, wanted, 7)), rows, looked_at


def candidates(store: Path, wanted: Wanted) -> list[Any]:
    older = History(Journal(store)).older
    return [older.candidates(wanted)(file) for file in older.reader.manifest().files]


def test_filters_change_no_answer_and_no_number(lake: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    store, texts = lake
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    queries = ["needle0e5f1", "inall0needle", "nowhere0needle", "-needle0e5f1 needle1e5f1 or needle2e5f1"]
    queries += [a_query(chance, chance.choice(texts)) for _ in range(3)]
    fewer = 0
    for text in queries:
        if isinstance(query.parse({"query": [text]}, BORN_MS), Invalid):
            continue
        with_filters = answers(store, text)
        fewer += any(each is not None for each in candidates(store, asked_of(text).wanted))
        with monkeypatch.context() as patch:
            patch.setattr("logship.lake.sidecar.Sidecars.candidates", lambda *_: None)
            assert answers(store, text) == with_filters, text
    assert fewer >= 3


def test_only_rows_that_may_have_a_word_are_read(lake: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    store, texts = lake
    read: list[tuple[str, int]] = []
    answer = Asking.answer

    def noting(self: Asking, question: Any, files: Any) -> Any:
        read.append((question.text, len(files)))
        return answer(self, question, files)

    monkeypatch.setattr(Asking, "answer", noting)
    found = told(everything(History(Journal(store)), asked_of("needle1e5f1").wanted))
    assert len(found) == 1
    ((question, files),) = read
    assert (question.count("file_row_number BETWEEN"), files) == (1, 1)
    read.clear()
    assert told(everything(History(Journal(store)), asked_of("nowhere0needle").wanted)) == []
    assert answers(store, "nowhere0needle")[3][0] == len(texts) + 1
    assert all("SELECT count(*)" in question for question, _ in read), "lines are counted, not read"


def test_a_line_wanted_for_another_ones_sake_is_not_left_out(lake: tuple[Path, list[str]]) -> None:
    """Where events are asked for, filters are not."""
    assert candidates(lake[0], asked_of("needle1e5f1", events="1").wanted) == [None] * FILES
    assert candidates(lake[0], asked_of("needle1e5f1").wanted) != [None] * FILES


def test_a_pattern_beside_the_query_is_asked_of_filters_too(lake: tuple[Path, list[str]]) -> None:
    with_grep = query.parse({"grep": ["x nowhere0needle x"]}, BORN_MS)
    assert isinstance(with_grep, query.Query)
    assert all(each is not None and not each.ranges for each in candidates(lake[0], with_grep.wanted))


def test_what_filters_leave_of_a_file_is_in_its_condition(lake: tuple[Path, list[str]]) -> None:
    history = History(Journal(lake[0]))
    picture, wanted = history.journal.picture(), asked_of("needle1e5f1").wanted
    selection = Selection(wanted, picture.streams.values(), picture.identities, history.older.candidates(wanted))
    conditions = [selection.of(file, 0, 1 << 62) for file in history.older.reader.manifest().files]
    assert all(condition is not None for condition in conditions)
    scopes = [condition.scope for condition in conditions if condition is not None]
    assert scopes[0] == FALSE == scopes[2]
    assert "file_row_number" in scopes[1].text
