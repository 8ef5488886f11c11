"""What retention took from the journal is read out of the lake: the same lines, in the same order, none twice."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.collect.journal import Entry, Kind
from logship.lake.folder import LAKE, MANIFEST
from logship.lake.keep import Policy
from logship.values import Loss
from logship.view import query
from logship.view.counting import Counting
from logship.view.history import History
from logship.view.items import DAMAGE, DELETED, LOSS, Item, Mark, TimedLine
from logship.view.journal_reader import Journal
from logship.view.lines import CUT
from logship.view.pipes_result import Making
from tests.logship.lake.lakes import seal, without_duckdb
from tests.logship.lake.test_lake_lines import PIECES, fill
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.test_view_history import everything, tail, wanted

Told = tuple[str, int, int, int, bytes, int]


def told(items: list[Item]) -> list[Told]:
    """The lines, by all that tells them apart."""
    return [
        (item.stream, item.offset, item.line.lsn, item.time_ms, item.line.data, item.line.flags)
        for item in items
        if isinstance(item, TimedLine)
    ]


def untimed(line: Told) -> tuple[Any, ...]:
    """Of a line that says no time the first frame of the journal may know less: its neighbour's is in the lake."""
    return (*line[:3], *line[4:])


def marks(items: list[Item]) -> list[str]:
    return [item.text for item in items if isinstance(item, Mark) and item.what == DAMAGE]


def counted(history: History, text: str = "| count") -> dict[str, Any]:
    """What a pipe makes of all lines."""
    asked = query.parse({"query": [text]}, BORN_MS, query.TABLE_PARAMETERS)
    assert isinstance(asked, query.Query)
    assert asked.piped.pipe is not None
    making, picture = Making(asked.piped.pipe), history.journal.picture()
    counting = Counting(history, picture, asked.wanted, asked.piped.node, making, picture.end, lambda: 0.0)
    for _ in counting.steps():
        pass
    return {"lines": counting.progress.lines, "damaged": counting.progress.damaged, "share": counting.progress.share}


@settings(max_examples=25, deadline=None)
@given(st.lists(PIECES, max_size=14), st.integers(1, 6), st.integers(1, 30))
def test_lines_are_the_same_wherever_the_journal_begins(pieces: list[Any], drops: int, count: int) -> None:
    folder = Path(tempfile.mkdtemp())
    store = folder / "store"
    shelf = Shelf(store)
    try:
        # Times of receipt do not fall: collect sees to that (``receipt``).
        fill(shelf, [(*each[:3], "" if each[3] == "damage" else each[3], max(0, each[4])) for each in pieces])
        shelf.append("after/1/x/i", b"a line in a segment that is not finished\n")
        before = told(everything(History(Journal(store)), wanted()))
        seal(store)
        shelf.drop_oldest(min(drops, len(Journal(store).segments()) - 1))
        floor = Journal(store).segments()[0]
        now = everything(History(Journal(store)), wanted())
        newest = tail(History(Journal(store)), wanted(), count)
        number = counted(History(Journal(store)))["lines"]
        with_open = everything(History(Journal(store)), wanted(), with_open=True)
        shutil.move(store / LAKE, folder / "away")
        kept = told(everything(History(Journal(store)), wanted()))
        assert sorted(map(untimed, told(now))) == sorted(map(untimed, before)), "also one that began before the journal"
        whole = {line for line in kept if not line[5] & CUT}
        assert {line for line in before if line[2] < floor} | whole <= {*told(now)}, "with their times"
        assert told(newest) == told(now)[-count:]
        assert number == len(told(with_open))
        places = [(line[0], line[2], line[1]) for line in told(now)]
        for path in {place[0] for place in places}:
            of_it = [place for place in places if place[0] == path]
            assert of_it == sorted(of_it), "the order inside a stream is its own"
    finally:
        shelf.close()
        shutil.rmtree(folder)


@pytest.mark.parametrize("closes", [False, True])
def test_a_torn_line_whose_end_is_told_by_the_first_frame_that_is_kept_is_given(tmp_path: Path, closes: bool) -> None:
    """All its bytes went with the segment before; that it is over is said by its program's start, or by the close."""
    store = tmp_path / "store"
    found = Shelf(store)
    found.append("a/1/x/i", b"to")
    found.append("a/1/x/i", b"rn")
    found.rotate()
    if closes:
        found.append("a/1/x/i", b"", closes=True)
    else:
        found.append("a/1/x/i", b"new\n", starts=((4, "2026-11-23T20:00:00Z"),))
    found.rotate()
    before = told(everything(History(Journal(store)), wanted()))
    assert before[0][4] == b"torn"
    seal(store)
    found.drop_oldest(1)
    assert told(everything(History(Journal(store)), wanted())) == before
    found.close()


@pytest.fixture
def shelf(tmp_path: Path) -> Any:
    """A store with one line in each of four segments, sealed; the two oldest are gone from the journal."""
    found = Shelf(tmp_path / "store")
    for number in range(4):
        found.now_ms += 60_000
        found.append("web/1/app/i", b"line %d %s\n" % (number, b"x" * (20_000 if number == 0 else 1)))
        found.rotate()
    seal(found.folder)
    found.drop_oldest(2)
    yield found
    found.close()


def test_history_goes_on_before_the_journal_begins(shelf: Shelf) -> None:
    history = History(Journal(shelf.folder))
    assert [line[4].split()[1] for line in told(everything(history, wanted()))] == [b"0", b"1", b"2", b"3"]
    assert [line[4].split()[1] for line in told(tail(history, wanted(), 3))] == [b"1", b"2", b"3"]
    assert len(told(everything(history, wanted(grep="line [01]")))) == 2
    assert len(told(everything(history, wanted(until_ms=BORN_MS + 100_000)))) == 1
    assert len(told(everything(history, wanted(since_ms=BORN_MS + 100_000)))) == 3
    assert counted(history) == {"lines": 4, "damaged": 0, "share": 1.0}


def test_the_last_lines_are_those_of_all_also_where_a_program_says_earlier_times_than_before(tmp_path: Path) -> None:
    """What follows on a later time stands behind it, and so behind lines of others, though it says an earlier one."""
    shelf = Shelf(tmp_path / "store")
    shelf.now_ms += 10_000
    shelf.append("a/1/app/i", b"2026-11-23 20:00:05,000 later\n2026-11-23 20:00:01,000 earlier\n")
    shelf.append("b/1/app/i", b"2026-11-23 20:00:03,000 between\n")
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(1)
    found = told(everything(History(Journal(shelf.folder)), wanted()))
    assert [line[4][24:-1] for line in found] == [b"between", b"later", b"earlier"]
    for count in (1, 2, 3):
        assert told(tail(History(Journal(shelf.folder)), wanted(), count)) == found[-count:]
    shelf.close()


def test_of_a_long_line_all_bytes_can_be_had(shelf: Shelf) -> None:
    history = History(Journal(shelf.folder))
    item = next(item for item in everything(history, wanted()) if isinstance(item, TimedLine))
    assert len(item.line.data) < item.size == len(b"line 0 \n") + 20_000
    assert history.whole(item.line, item.size) == b"line 0 " + b"x" * 20_000 + b"\n"


def test_a_stream_that_is_a_tombstone_is_still_read(shelf: Shelf) -> None:
    shelf._commit(Kind.RETIRE, 0, Entry(shelf.now_ms, "web/1/app/i"), b"")
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(3)
    assert len(told(everything(History(Journal(shelf.folder)), wanted("web")))) == 4


def test_what_retention_takes_while_it_is_read_is_read_on_out_of_the_lake(shelf: Shelf) -> None:
    history = History(Journal(shelf.folder))
    picture = history.journal.picture()
    steps = history.everything(picture, wanted(), picture.end, with_open=False)
    first = next(steps)
    shelf.drop_oldest(1)
    assert len(told([first, *steps])) == 4  # type: ignore[list-item]  # none of them is None
    newest = history.tail(picture, wanted(), 10, picture.end, with_open=False)
    next(newest)
    shelf.drop_oldest(1)
    *_, last = newest
    assert last is not None
    assert len(told(last)) == 4


def test_what_retention_takes_while_it_is_counted_is_counted_out_of_the_lake(shelf: Shelf) -> None:
    """All segments but the newest go while the second block is read."""
    for number in range(4, 8):
        shelf.append("web/1/app/i", b"line %d\n" % number)
        shelf.append("web/2/app/i", b"line %d\n" % number)
        shelf.rotate()
    seal(shelf.folder)
    history = History(Journal(shelf.folder))
    really, calls = history.windows.lines, iter(range(100))

    def lines(*given: Any, **how: Any) -> Any:
        if next(calls) == 2:
            history.journal._frames.clear()  # as if they had been read long ago
            shelf.drop_oldest(len(history.journal.segments()) - 1)
        return really(*given, **how)

    history.windows.lines = lines  # type: ignore[method-assign]
    assert counted(history)["lines"] == 4 + 8


def test_what_the_lake_has_not_is_told_where_it_would_have_been(shelf: Shelf) -> None:
    manifest = shelf.folder / LAKE / MANIFEST
    said = json.loads(manifest.read_text())
    first = said["files"].pop(0)
    said["not_sealed"] = [
        {"first_lsn": first["first_lsn"], "end_lsn": first["end_lsn"], "why": "retention was quicker"}
    ]
    manifest.write_text(json.dumps(said))
    history = History(Journal(shelf.folder))
    for found in (everything(history, wanted()), tail(history, wanted(), 10)):
        assert marks(found) == ["lines are not in the lake: retention was quicker"]
        assert len(told(found)) == 3
    assert counted(history)["damaged"] == 1


def batches(history: History, start: int) -> list[Item]:
    """What somebody is given who comes back with a cursor."""
    picture = history.journal.picture()
    found: list[Item] = []
    while start < picture.end:
        batch = history.batch(picture, wanted(), start)
        assert start < batch.end
        found, start = [*found, *batch.items], batch.end
    return found


def test_who_comes_back_late_reads_on_in_the_lake(shelf: Shelf) -> None:
    history = History(Journal(shelf.folder))
    assert told(batches(history, 0)) == told(everything(history, wanted()))
    second = told(batches(history, 0))[1][2]
    assert [line[4].split()[1] for line in told(batches(history, second))] == [b"1", b"2", b"3"]
    assert marks(batches(history, 0)) == []
    for path in (shelf.folder / LAKE).rglob("*.parquet"):
        path.write_bytes(b"this is none")
    found = batches(History(Journal(shelf.folder)), 0)
    assert all("cannot be read" in text for text in marks(found))
    assert (len(told(found)), len(marks(found))) == (2, 1)
    shutil.rmtree(shelf.folder / LAKE)
    found = batches(History(Journal(shelf.folder)), 0)
    assert (len(told(found)), marks(found)) == (2, [])
    assert [(item.what, item.text) for item in found if isinstance(item, Mark)] == [
        (DELETED, "lines were taken by retention before they were looked at")
    ]


def test_a_file_of_the_lake_that_is_missing_is_told(shelf: Shelf) -> None:
    sorted((shelf.folder / LAKE).rglob("*.parquet"))[1].unlink()
    history = History(Journal(shelf.folder))
    for found in (everything(history, wanted()), tail(history, wanted(), 10)):
        assert [line[4].split()[1] for line in told(found)] == [b"0", b"2", b"3"]
        assert len(marks(found)) == 1


def test_a_loss_is_shown_after_the_journal_has_let_go_of_its_record(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "store")
    shelf.append("web/1/app/i", b"line 1\n")
    shelf.lose(Loss("it", "web/1/app/i", 7, None, 99, "bytes", "", "", "a full disk", "counted"))
    shelf.rotate()
    shelf.append("web/1/app/i", b"line 2\n")
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(1)
    for found in (everything(History(Journal(shelf.folder)), wanted()), batches(History(Journal(shelf.folder)), 0)):
        assert sorted(item.what for item in found if isinstance(item, Mark)) == [LOSS]
        assert len(told(found)) == 2
    shelf.close()


@pytest.mark.parametrize("how", ["manifest", "file"])
def test_a_lake_that_cannot_be_read_is_a_mark_and_never_silence(shelf: Shelf, how: str) -> None:
    for path in (shelf.folder / LAKE).rglob(MANIFEST if how == "manifest" else "*.parquet"):
        path.write_bytes(b"this is none")
    history = History(Journal(shelf.folder))
    for found in (everything(history, wanted()), tail(history, wanted(), 10)):
        assert marks(found)
        assert all("cannot be read" in text for text in marks(found))
        assert len(told(found)) == 2
    assert counted(history)["damaged"]


def test_without_duckdb_it_is_said_that_older_lines_are_there(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    without_duckdb(monkeypatch)
    found = everything(History(Journal(shelf.folder)), wanted())
    assert any("not installed" in text for text in marks(found))
    assert len(told(found)) == 2


def test_files_that_retention_took_from_the_lake_are_no_damage(shelf: Shelf) -> None:
    history = History(Journal(shelf.folder))
    assert len(told(everything(history, wanted()))) == 4
    seal(shelf.folder, Policy(bytes=1))
    for path in sorted((shelf.folder / LAKE).rglob("*.parquet")):
        path.unlink()
    found = everything(history, wanted())
    assert (len(told(found)), marks(found)) == (2, [])


def test_it_is_known_from_when_on_anything_is_kept(shelf: Shelf) -> None:
    older = History(Journal(shelf.folder)).older
    floor = Journal(shelf.folder).segments()[0]
    assert older.oldest_ms(floor) == 0, "all there was"
    assert older.oldest_ms(0) is None
    seal(shelf.folder, Policy(bytes=older.reader.manifest().files[0].bytes * 3))
    assert older.oldest_ms(floor) == BORN_MS + 120_000
