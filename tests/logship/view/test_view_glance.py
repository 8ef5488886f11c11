"""What a block of the journal surely has not is not sought in it line by line; what is found is the same."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.values import Invalid
from logship.view import blocks, window
from logship.view import history as history_module
from logship.view.history import History
from logship.view.items import Item
from logship.view.journal_reader import Journal
from logship.view.language import parse
from logship.view.select import Wanted, parse_targets
from logship.view.where import Where
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_history import tail, texts

PARTS = st.sampled_from([
    b"deadbeef", b" DeadBeef01\n", b"dead", b"beef", b" request=alpha99 ", b"\n", b"caf\xc3\xa9s alpha99", b"\xff",
    b'{"a": "alph\\u006199"}\n', b"tas\xc5\xbfs ", b"TASKS99", b" other words \n",
])  # fmt: skip
PIECES = st.tuples(
    st.sampled_from(["a/1/x/i", "b/1/y/i"]),
    st.lists(PARTS, min_size=1, max_size=5).map(b"".join),
    st.lists(st.integers(0, 40), max_size=1),
    st.sampled_from(["", "", "", "rotate", "close", "packed"]),
)
QUERIES = (
    "deadbeef",
    "deadbeef01 or alpha99",
    '"request=alpha99 "',
    "/other words/",
    "tasks99*",
    "json.a:alpha99",
    "-x",
)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    found = Shelf(tmp_path / "store")
    yield found
    found.close()


def asked(query: str, **how: Any) -> Wanted:
    targets, node = parse_targets([]), parse(query)
    assert not isinstance(targets, Invalid)
    assert not isinstance(node, Invalid)
    return Wanted(tuple(targets), where=Where(node).of, node=node, **how)


def fill(shelf: Shelf, pieces: list[tuple[str, bytes, list[int], str]]) -> None:
    for path, data, starts, what in pieces:
        stream = shelf.state.streams.get(path)
        if stream is not None and stream.closed:
            continue
        begin = stream.next_offset if stream else 0
        said = tuple((begin + start, "2026-11-23T20:00:00Z") for start in starts if start <= len(data))
        shelf.now_ms += 10
        shelf.append(path, data, starts=said, packed=what == "packed", closes=what == "close")
        if what == "rotate":
            shelf.rotate()


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=14), st.integers(1, 4), st.sampled_from(QUERIES), st.booleans())
def test_the_same_lines_and_marks_are_found(pieces: list[Any], a_block: int, query: str, with_open: bool) -> None:
    folder = Path(tempfile.mkdtemp())
    shelf = Shelf(folder / "store")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks, "BLOCK_FRAMES_MAX", a_block)
            fill(shelf, pieces)
            found = tail(History(Journal(folder / "store")), asked(query), 1000, with_open=with_open)
            patch.setattr(history_module, "certain", lambda *_: None)
            wanted = tail(History(Journal(folder / "store")), asked(query), 1000, with_open=with_open)
            assert found == wanted
    finally:
        shelf.close()
        shutil.rmtree(folder)


def test_only_where_the_word_may_be_are_lines_made(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        shelf.append("a/1/x/i", b"one of many words %d\n" % number + (b"a deadbeef\n" if number == 30 else b""))
        shelf.rotate()
    read: list[int] = []
    kept = window.Windows._kept

    def noted(self: Any, stream: Any, frames: Any, *others: Any) -> Iterator[Item]:
        read.append(len(frames))
        return kept(self, stream, frames, *others)

    monkeypatch.setattr(window.Windows, "_kept", noted)
    history = History(Journal(shelf.folder))
    assert texts(tail(history, asked("DEADBEEF"), 10)) == [b"a deadbeef\n"]
    assert read == [1]
    assert texts(tail(history, asked("deadbeef", events=True), 10)) == [b"a deadbeef\n"]
    assert len(read) > 10
