"""All lines, oldest first: the first ones are given while the rest is looked for, and the order is that of all."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.lake.engine import Asking
from logship.view import oldest, seeking
from logship.view.api import RECORDS_A_STEP, _step
from logship.view.blocks import SegmentBlocks
from logship.view.history import History
from logship.view.items import DAMAGE, Item, Mark, TimedLine
from logship.view.journal_reader import Journal
from logship.view.merge import Gradual, merged
from tests.logship.lake.lakes import seal, without_duckdb
from tests.logship.lake.test_lake_lines import PIECES, break_bodies, fill
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.test_view_history import at, everything, texts, wanted


def mark(time_ms: int, stream: str, offset: int) -> Item:
    return Mark(time_ms, stream, offset, DAMAGE, "", 0)


def test_what_is_merged_as_it_becomes_known_has_the_order_of_all_of_it() -> None:
    chance = random.Random(5)
    for _ in range(300):
        streams: list[list[Item]] = []
        for path in "abc":
            times = sorted(chance.randrange(30) for _ in range(chance.randrange(12)))
            backwards = [max(0, time - chance.choice([0, 0, 3])) for time in times]
            streams.append([mark(time, path, number // 2) for number, time in enumerate(backwards)])
        gradual, given = Gradual[Item](3), list[Item]()
        done = [0, 0, 0]
        for _ in range(chance.randrange(8)):
            for number, stream in enumerate(streams):
                more = chance.randrange(4)
                gradual.add(number, stream[done[number] : done[number] + more])
                done[number] = min(len(stream), done[number] + more)
            later = [item.time_ms for stream, upto in zip(streams, done, strict=True) for item in stream[upto:]]
            given += gradual.before(min(later, default=chance.randrange(40)))
        assert given == list(merged(streams))[: len(given)]
        given += gradual.rest([stream[upto:] for stream, upto in zip(streams, done, strict=True)])
        assert given == list(merged(streams))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(PIECES, max_size=14), st.integers(0, 6), st.sampled_from(["", "[a1]", "b"]), st.sampled_from([1, 3, 1000])
)
def test_looked_for_in_the_lake_or_read_stream_by_stream_all_is_given_in_one_order(
    pieces: list[Any], drops: int, grep: str, held_max: int
) -> None:
    """Clocks jump by a day, times inside a stream go backwards, streams are damaged, closed, and deleted."""
    folder = Path(tempfile.mkdtemp())
    store = folder / "store"
    shelf = Shelf(store)
    try:
        break_bodies(store, fill(shelf, pieces))
        seal(store)
        shelf.append("b/1/supervisord/i", b"2026-11-22 20:00:01,000 INFO a and b, late\nopen", starts=((0, OLD),))
        shelf.drop_oldest(min(drops, len(Journal(store).segments()) - 1))
        ways = []
        for rows_max in (0, seeking.ROWS_MAX):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(seeking, "ROWS_MAX", rows_max)
                patch.setattr(oldest, "HELD_MAX", held_max)
                asked = wanted(grep=grep, since_ms=None if grep else 1)
                ways.append(everything(History(Journal(store)), asked, with_open=True))
        assert ways[0] == ways[1]
    finally:
        shelf.close()
        shutil.rmtree(folder)


OLD = "2026-11-20T20:00:00Z"


@pytest.fixture
def shelf(tmp_path: Path) -> Any:
    """Six minutes of two streams, a segment each; all sealed, and gone from the journal but for the last one."""
    found = Shelf(tmp_path / "store")
    for minute in range(6):
        found.now_ms = BORN_MS + (minute + 1) * 60_000
        for path in ("web/1/app/i", "web/2/app/i"):
            lines = [at(minute * 60 + second, f"line {minute} {second}") for second in (1, 30)]
            found.append(path, b"".join(lines))
        found.rotate()
    seal(found.folder)
    found.drop_oldest(6)
    yield found
    found.close()


def first_line(history: History, asked: Any) -> tuple[TimedLine, list[str]]:
    """The first line, and the names of the files that were looked at before it was given."""
    looked_at: list[str] = []
    really = Asking.answer
    picture = history.journal.picture()

    def answer(self: Asking, question: Any, files: Any) -> Any:
        looked_at.extend(file.name for file in files)
        return really(self, question, files)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Asking, "answer", answer)
        items = history.everything(picture, asked, picture.end, with_open=False)
        return next(item for item in items if isinstance(item, TimedLine)), list(looked_at)


def test_the_first_lines_are_given_before_later_files_are_looked_at(shelf: Shelf) -> None:
    first, looked_at = first_line(History(Journal(shelf.folder)), wanted(grep="line"))
    assert first.line.data == at(1, "line 0 1")
    assert len(looked_at) == 1


def test_a_line_that_may_come_from_a_later_file_before_it_is_waited_for(shelf: Shelf) -> None:
    """Lines that were late: one is placed by its stream's order, those of other streams before all others."""
    shelf.append("web/1/app/i", b"2026-11-23 19:00:00,000 line of an hour ago\n")
    shelf.append("web/5/app/i", b"2026-11-23 19:15:00,000 line that the last file has\n")
    shelf.rotate()
    seal(shelf.folder)
    shelf.append("web/3/app/i", b"2026-11-23 19:30:00,000 line that only the journal has\n")
    shelf.drop_oldest(1)
    history = History(Journal(shelf.folder))
    found = texts(everything(history, wanted("web/2/app/i", "web/3/app/i", grep="line")))
    assert [text[:23] for text in found[:2]] == [b"2026-11-23 19:30:00,000", at(1, "")[:23]]
    found = texts(everything(history, wanted("web/2/app/i", "web/5/app/i", grep="line")))
    assert [text[11:19] for text in found[:2]] == [b"19:15:00", b"20:00:01"]
    found = texts(everything(history, wanted(grep="line")))
    assert [text[11:19] for text in found[:4]] == [b"19:15:00", b"19:30:00", b"20:00:01", b"20:00:01"]
    late = found.index(b"2026-11-23 19:00:00,000 line of an hour ago\n")
    assert found[late - 1 : late] == [at(330, "line 5 30")], "the order inside a stream is its own"


def test_in_the_journal_nothing_says_an_earlier_time_than_is_said_of_its_blocks(shelf: Shelf) -> None:
    shelf.append("web/4/app/i", b"one\n" + at(5, "two"), starts=((0, OLD),))
    journal = Journal(shelf.folder)
    lsn = journal.segments()[-1]
    blocks = SegmentBlocks(lsn)
    for frame in journal.walk(lsn, lsn, journal.picture().end):
        blocks.add(frame)
    (block,) = blocks.blocks(["web/4/app/i"], 0, journal.picture().end)
    times = [item.time_ms for item in everything(History(journal), wanted("web/4/app/i"))]
    assert block.since_ms <= min(times) < shelf.now_ms - 3 * 86_400_000


def test_without_duckdb_a_search_of_all_says_so_at_its_place(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    without_duckdb(monkeypatch)
    found = everything(History(Journal(shelf.folder)), wanted(grep="line"))
    assert found
    assert all(isinstance(item, Mark) and item.what == DAMAGE for item in found)


def test_a_step_of_a_search_ends_where_nothing_more_is_known_for_the_moment() -> None:
    found = [mark(number, "a", number) for number in range(RECORDS_A_STEP + 1)]
    steps: list[Any] = [found[0], None, None, [found[1], found[2]], *found]
    taken = []
    rest = iter(steps)
    while (part := _step(rest)) is not None:
        taken.append(len(part))
    assert taken == [1, 0, RECORDS_A_STEP, 3]
