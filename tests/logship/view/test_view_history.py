"""Reading a journal on disk: windows that share nothing and miss nothing, the last lines, and what comes."""

from __future__ import annotations

import shutil
import tempfile
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.collect import journal as journal_format
from logship.values import Invalid, Loss
from logship.view import blocks, lines, segments, window
from logship.view import history as history_module
from logship.view.history import History
from logship.view.items import Batch, Item, Mark, TimedLine
from logship.view.journal_reader import Journal
from logship.view.lines import CUT, OPEN, TORN
from logship.view.segments import NoStore
from logship.view.select import Wanted, parse_pattern, parse_targets
from tests.logship.view.shelf import BORN_MS, Shelf

LONG = 16


def wanted(*targets: str, grep: str = "", since_ms: int | None = None, until_ms: int | None = None) -> Wanted:
    parsed = parse_targets(targets)
    assert not isinstance(parsed, Invalid)
    pattern = parse_pattern(grep, False) if grep else None
    assert not isinstance(pattern, Invalid)
    return Wanted(tuple(parsed), pattern, None, since_ms, until_ms)


def tail(history: History, asked: Wanted, count: int, **how: Any) -> list[Item]:
    picture = history.journal.picture()
    *_, last = history.tail(picture, asked, count, how.pop("end", picture.end), with_open=how.pop("with_open", False))
    assert last is not None
    return last


def everything(history: History, asked: Wanted, *, with_open: bool = False) -> list[Item]:
    picture = history.journal.picture()
    found = history.everything(picture, asked, picture.end, with_open=with_open)
    return [item for item in found if item is not None]


def batches(history: History, asked: Wanted, start: int = 0) -> list[Batch]:
    picture = history.journal.picture()
    found = []
    while start < picture.end:
        found.append(history.batch(picture, asked, start))
        start = found[-1].end
    return found


def texts(items: list[Item]) -> list[bytes]:
    return [item.line.data for item in items if isinstance(item, TimedLine)]


def at(second: float, text: str) -> bytes:
    return f"2026-11-23 20:00:{second:06.3f} {text}\n".replace(".", ",").encode()


# However it is cut.

PIECES = st.tuples(
    st.sampled_from(["a/1/x/i", "b/1/y/i"]),
    st.text("ab\n", min_size=1, max_size=40).map(str.encode),
    st.lists(st.integers(0, 40), max_size=2),
    st.sampled_from(["", "", "", "rotate", "close", "packed"]),
)


@pytest.mark.case(131)
@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=14), st.integers(1, 5), st.randoms(use_true_random=False))
def test_every_line_completes_in_exactly_one_batch_wherever_the_batches_are_cut(
    pieces: list[tuple[str, bytes, list[int], str]], a_block: int, chance: Any
) -> None:
    folder = Path(tempfile.mkdtemp())
    patch = pytest.MonkeyPatch()
    patch.setattr(lines, "LINE_BYTES_MAX", LONG)
    patch.setattr(window, "LINE_BYTES_MAX", LONG)
    patch.setattr(blocks, "BLOCK_FRAMES_MAX", a_block)
    shelf = Shelf(folder / "store")
    try:
        cuts = _fill(shelf, pieces)
        whole = History(Journal(folder / "store"))
        picture = whole.journal.picture()
        some = sorted({0, picture.end, *chance.sample(cuts, min(len(cuts), 4))})
        every = [0, *cuts, picture.end]
        one = _lines_by_stream([0, picture.end], whole)
        assert _lines_by_stream(some, History(Journal(folder / "store"))) == one
        assert _lines_by_stream(every, whole) == one
        for path, stream in picture.streams.items():
            data = b"".join(data for _, data, _ in one.get(path, []))
            assert len(data) == stream.next_offset or not stream.closed
            offsets = [offset for offset, _, _ in one.get(path, [])]
            assert offsets == sorted(set(offsets))
        found = texts(everything(whole, wanted()))
        assert sorted(found) == sorted(data for found_lines in one.values() for _, data, _ in found_lines)
        assert texts(tail(whole, wanted(), 1000)) == found
        assert texts(tail(whole, wanted(), 3)) == found[-3:]
    finally:
        shelf.close()
        patch.undo()
        shutil.rmtree(folder)


def _fill(shelf: Shelf, pieces: list[tuple[str, bytes, list[int], str]]) -> list[int]:
    cuts = []
    for path, data, starts, what in pieces:
        stream = shelf.state.streams.get(path)
        if stream is not None and stream.closed:
            continue
        begin = stream.next_offset if stream else 0
        said = tuple((begin + start, "2026-11-23T20:00:00Z") for start in sorted(starts) if start <= len(data))
        shelf.now_ms += 10
        cuts.append(shelf.append(path, data, starts=said, packed=what == "packed", closes=what == "close"))
        if what == "rotate":
            shelf.rotate()
    return cuts


def _lines_by_stream(edges: list[int], history: History) -> dict[str, list[tuple[int, bytes, int]]]:
    picture = history.journal.picture()
    found: dict[str, list[tuple[int, bytes, int]]] = {}
    for low, high in pairwise(edges):
        bound = type(picture)(high, picture.streams, picture.identities, picture.losses)
        start = low
        while start < high:
            batch = history.batch(bound, wanted(), start)
            start = batch.end
            for item in batch.items:
                if isinstance(item, TimedLine):
                    found.setdefault(item.stream, []).append((item.offset, item.line.data, item.line.flags))
    return found


# The last lines.


@pytest.mark.case(130)
def test_lines_of_several_streams_are_merged_by_their_own_times_not_by_receipt(shelf: Shelf) -> None:
    shelf.now_ms += 20_000
    shelf.append("a/1/x/i", at(1, "a1") + at(3, "a3"))
    shelf.append("b/1/y/i", at(2, "b2") + at(4, "b4"))
    history = History(Journal(shelf.folder))
    assert [text[24:26] for text in texts(tail(history, wanted(), 10))] == [b"a1", b"b2", b"a3", b"b4"]
    assert [text[24:26] for text in texts(tail(history, wanted(), 2))] == [b"a3", b"b4"]
    assert [text[24:26] for text in texts(everything(history, wanted()))] == [b"a1", b"b2", b"a3", b"b4"]


@pytest.mark.case(133)
def test_the_count_is_of_lines_that_match_from_the_end(shelf: Shelf) -> None:
    for number in range(50):
        shelf.now_ms += 1000
        shelf.append("a/1/x/i", b"hit %d\n" % number if number % 10 == 0 else b"miss %d\n" % number)
        if number % 7 == 0:
            shelf.rotate()
    history = History(Journal(shelf.folder))
    assert texts(tail(history, wanted(grep="hit"), 3)) == [b"hit 20\n", b"hit 30\n", b"hit 40\n"]
    assert texts(tail(history, wanted(grep="hit"), 0)) == []


def test_what_was_received_late_is_found_among_the_last_lines_by_its_time(shelf: Shelf) -> None:
    """A collector that was down gets old lines after new ones."""
    for second in range(10, 30):
        shelf.now_ms = BORN_MS + second * 1000
        shelf.append("a/1/x/i", at(second, "a"))
    shelf.rotate()
    shelf.now_ms = BORN_MS + 40_000
    shelf.append("b/1/y/i", b"".join(at(second + 0.5, "late") for second in range(10, 20)))
    history = History(Journal(shelf.folder))
    last = texts(tail(history, wanted(), 12))
    assert [text[17:23] for text in last] == [
        b"18,500", b"19,000", b"19,500", *(b"%d,000" % second for second in range(20, 30)),
    ][1:]  # fmt: skip


def test_since_and_until_are_by_the_lines_own_times(shelf: Shelf) -> None:
    for second in range(10):
        shelf.now_ms = BORN_MS + second * 1000 + 500
        shelf.append("a/1/x/i", at(second, str(second)))
    history = History(Journal(shelf.folder))
    asked = wanted(since_ms=BORN_MS + 3000, until_ms=BORN_MS + 6000)
    assert [text[24:25] for text in texts(everything(history, asked))] == [b"3", b"4", b"5"]
    assert [text[24:25] for text in texts(tail(history, asked, 2))] == [b"4", b"5"]


@pytest.mark.case(6)
def test_a_line_without_an_end_is_shown_last_but_not_to_who_follows(shelf: Shelf) -> None:
    shelf.append("a/1/x/i", b"whole\nha")
    shelf.append("a/1/x/i", b"lf")
    history = History(Journal(shelf.folder))
    last = tail(history, wanted(), 5, with_open=True)[-1]
    assert isinstance(last, TimedLine)
    assert (last.line.data, last.line.flags) == (b"half", TORN | OPEN)
    assert texts(everything(history, wanted(), with_open=True)) == [b"whole\n", b"half"]
    assert texts(tail(history, wanted(), 5)) == [b"whole\n"]
    end = history.journal.picture().end
    shelf.append("a/1/x/i", b" line\n")
    (batch,) = batches(history, wanted(), end)
    assert texts(batch.items) == [b"half line\n"]


def test_starts_and_losses_stand_where_they_happened(shelf: Shelf) -> None:
    shelf.append("a/1/x/i", b"torn")
    shelf.now_ms += 1000
    shelf.append("a/1/x/i", b"fresh\n", starts=((4, "2026-11-23T20:00:00.900Z"),))
    shelf.lose(Loss("one", "a/1/x/i", 10, 512, reason="over budget"))
    shelf.lose(Loss("two", "other/1/x/i", 10, 99))
    history = History(Journal(shelf.folder))
    found = tail(history, wanted("a"), 10)
    said = [item.line.data if isinstance(item, TimedLine) else getattr(item, "text", "") for item in found]
    assert said == [b"torn", "the program was started", b"fresh\n", "512 bytes are lost: over budget"] or said == [
        "the program was started", b"torn", b"fresh\n", "512 bytes are lost: over budget",
    ]  # fmt: skip


@pytest.mark.case(50)
def test_all_bytes_of_a_long_line_can_be_had(shelf: Shelf) -> None:
    shelf.append("a/1/x/i", b"first\n" + b"l" * 5000)
    shelf.append("b/1/y/i", b"between\n")
    shelf.append("a/1/x/i", b"o" * 5000 + b"ng\nnext\n", packed=True)
    history = History(Journal(shelf.folder))
    long = next(item for item in tail(history, wanted("a"), 10) if isinstance(item, TimedLine) and item.size > 100)
    assert long.size == 10_003
    assert len(long.line.data) < 5000
    assert history.windows.whole(long.line, long.size) == b"l" * 5000 + b"o" * 5000 + b"ng\n"


# A journal that another process writes, and cuts.


@pytest.mark.case(131)
def test_nothing_beyond_the_watermark_is_read(shelf: Shelf) -> None:
    shelf.append("a/1/x/i", b"durable\n")
    journal = Journal(shelf.folder)
    history = History(journal)
    end = journal.picture().end
    entry = journal_format.Entry(shelf.now_ms, "a/1/x/i", 8, 5, shelf.state.streams["a/1/x/i"].last_lsn)
    frame = journal_format.encode(journal_format.Kind.APPEND, 0, end, end, entry, b"soon\n")
    shelf.disk.append([frame[:30]])
    assert journal.picture().end == end
    shelf.disk.append([frame[30:], b"soon\n"])
    assert texts(everything(history, wanted())) == [b"durable\n"]
    shelf.disk.publish()
    assert texts(everything(history, wanted())) == [b"durable\n", b"soon\n"]


def test_a_watermark_whose_halves_disagree_is_not_believed(shelf: Shelf) -> None:
    journal = Journal(shelf.folder)
    assert journal.durable() == shelf.end
    durable = shelf.folder / "durable"
    content = durable.read_bytes()
    durable.write_bytes((1 << 40).to_bytes(8, "little") + content[8:])
    with pytest.raises(NoStore):
        journal.durable()
    durable.write_bytes(content)
    assert journal.durable() == shelf.end


def test_segments_may_be_finished_and_deleted_while_somebody_reads(shelf: Shelf) -> None:
    for number in range(8):
        shelf.append("a/1/x/i", b"line %d\nbegun " % number)
        shelf.rotate()
    history = History(Journal(shelf.folder))
    assert len(texts(everything(history, wanted()))) == 8
    reading = history.everything(history.journal.picture(), wanted(), shelf.end, with_open=False)
    assert isinstance(first := next(reading), TimedLine)
    assert first.line.data == b"line 0\n"
    shelf.drop_oldest(5)
    rest = [item for item in reading if isinstance(item, TimedLine)]
    assert rest[-1].line.data == b"begun line 7\n"
    fresh = everything(History(Journal(shelf.folder)), wanted())
    mark, line = fresh[:2]
    assert isinstance(mark, Mark)
    assert isinstance(line, TimedLine)
    assert (line.line.data, line.line.flags) == (b"line 5\n", CUT)
    assert history.journal.first_offset(history.journal.picture().streams["a/1/x/i"]) == line.offset == mark.bytes


def test_a_reader_that_slept_through_the_life_of_segments_goes_on(shelf: Shelf) -> None:
    journal = Journal(shelf.folder)
    journal.picture()
    for number in range(4):
        shelf.append("a/1/x/i", b"line %d\n" % number)
        shelf.rotate()
    shelf.drop_oldest(4)
    shelf.append("a/1/x/i", b"newest\n")
    assert texts(everything(History(journal), wanted())) == [b"newest\n"]
    assert journal.picture().streams["a/1/x/i"].next_offset == 35


@pytest.mark.case(95)
def test_a_body_that_does_not_check_is_a_mark_and_the_rest_is_read(shelf: Shelf) -> None:
    shelf.append("a/1/x/i", b"before\n")
    lsn = shelf.append("a/1/x/i", b"rotten bytes\n")
    shelf.append("a/1/x/i", b"after\n")
    path = shelf.folder / "journal" / f"{0:020}"
    content = path.read_bytes()
    at = content.index(b"rotten bytes")
    path.write_bytes(content[:at] + b"R" + content[at + 1 :])
    found = everything(History(Journal(shelf.folder)), wanted())
    assert [item.line.data if isinstance(item, TimedLine) else getattr(item, "what", "") for item in found] == [
        b"before\n", "damage", b"after\n",
    ]  # fmt: skip
    assert f"LSN {lsn}" in next(item.text for item in found if isinstance(item, Mark))


def test_there_may_be_no_store_yet(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "store")
    with pytest.raises(NoStore):
        journal.picture()
    shelf = Shelf(tmp_path / "store")
    shelf.append("a/1/x/i", b"now\n")
    assert texts(everything(History(journal), wanted())) == [b"now\n"]
    shelf.close()


def test_another_store_in_the_same_place_is_read_instead(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is as long already, so that its end does not give it away."""
    monkeypatch.setattr(segments, "LOOK_SECONDS", 0.0)
    shelf.append("a/1/x/i", b"old\n")
    shelf.lose(Loss("1", "a/1/x/i", 0, 1))
    journal = Journal(shelf.folder)
    history = History(journal)
    assert texts(everything(history, wanted())) == [b"old\n"]
    before = journal.picture()
    shelf.folder.rename(tmp_path / "kept")
    with pytest.raises(NoStore):
        journal.picture()
    other = Shelf(shelf.folder, BORN_MS + 5000)
    for number in range(20):
        other.append("b/1/y/i", b"new %d\n" % number)
    assert other.end > before.end
    assert len(texts(everything(history, wanted()))) == 20
    after = journal.picture()
    assert after.store != before.store
    assert list(after.streams) == ["b/1/y/i"]
    other.close()


@pytest.mark.case(127)
def test_what_a_slow_reader_is_not_given_is_counted_exactly(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "BATCH_BYTES_MAX", 300)
    start = shelf.end
    for number in range(100):
        shelf.append("a/1/x/i", b"%d hit\n%d\n" % (number, number))
    history = History(Journal(shelf.folder))
    picture = history.journal.picture()
    *_, skipped = history.skip(picture, wanted(grep="hit"), start, picture.end)
    assert skipped is not None
    assert (skipped.lines, skipped.end) == (100, picture.end)


def test_the_last_words_of_a_program_that_was_quiet_for_minutes_are_found_by_their_own_time(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.now_ms += 60_000
    shelf.append("web/1/app/i", at(59, "INFO started"))
    shelf.now_ms += 300_000
    shelf.append("web/1/app/i", b"FATAL without a time\n")
    for cut in (False, True):
        if cut:
            shelf.rotate()
        history = History(Journal(tmp_path))
        asked = wanted("all", since_ms=shelf.now_ms - 60_000)
        assert texts(tail(history, asked, 10)) == texts(everything(history, asked)) == [b"FATAL without a time\n"]


def test_readers_of_the_same_moment_do_not_take_each_other_for_another_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    shelf.append("web/1/app/i", b"one\n")
    journal = Journal(tmp_path)
    assert journal.picture().store == 0
    asked_first, other_done = threading.Event(), threading.Event()
    durable = segments.Segments.durable

    def slow(self: segments.Segments) -> int:
        found = durable(self)
        if threading.current_thread().name == "slow":
            asked_first.set()
            other_done.wait(0.5)  # in vain where the other one has to wait for this one
        return found

    monkeypatch.setattr(segments.Segments, "durable", slow)
    stores: list[int] = []
    reader = threading.Thread(target=lambda: stores.append(journal.picture().store), name="slow")
    reader.start()
    assert asked_first.wait(60)
    shelf.append("web/1/app/i", b"two\n")
    stores.append(journal.picture().store)
    other_done.set()
    reader.join(60)
    assert stores == [0, 0]
