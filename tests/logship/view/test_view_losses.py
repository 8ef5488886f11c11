"""Every kind of loss stands among the lines: at its place in its stream where that is known, else by its time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.values import Invalid, Loss, StreamPath
from logship.view import blocks, history
from logship.view.history import History
from logship.view.items import LOSS, START, Hidden, Item, Mark, loss_mark
from logship.view.journal_reader import Journal
from logship.view.select import Wanted, parse_targets
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.viewing import Viewer


def wanted(*targets: str, since_ms: int | None = None) -> Wanted:
    parsed = parse_targets(targets)
    assert not isinstance(parsed, Invalid)
    return Wanted(tuple(parsed), since_ms=since_ms)


def said(items: list[Item]) -> list[str]:
    """Lines as they are, marks as what they are of."""
    found = []
    for item in items:
        assert not isinstance(item, Hidden)
        if isinstance(item, Mark):
            found.append(item.loss.id if item.loss else item.what)
        else:
            found.append(item.line.text.decode())
    return found


def tail(shelf: Shelf, asked: Wanted, count: int = 100) -> list[Item]:
    reader = History(Journal(shelf.folder))
    *_, last = reader.tail(reader.journal.picture(), asked, count, shelf.end, with_open=False)
    assert last is not None
    return last


def everything(shelf: Shelf, asked: Wanted) -> list[Item]:
    reader = History(Journal(shelf.folder))
    found = reader.everything(reader.journal.picture(), asked, shelf.end, with_open=False)
    return [item for item in found if item is not None]


def live(shelf: Shelf, asked: Wanted, start: int) -> list[Item]:
    reader = History(Journal(shelf.folder))
    return reader.batch(reader.journal.picture(), asked, start).items


def at(second: float, text: str) -> bytes:
    return f"2026-11-23 20:00:{second:06.3f} {text}\n".replace(".", ",").encode()


def test_a_hole_stands_between_the_stream_and_the_one_that_goes_on_after_it(shelf: Shelf) -> None:
    """Shipped an hour later, after an outage: the lines say when they were written, and the hole stands between."""
    shelf.now_ms += 3_600_000
    shelf.append("web/1/app/i", at(1, "before"))
    source = {"continues": "web/1/app/i", "lost_bytes": 4096, "lost_reason": "over budget"}
    shelf.create("web/1/app/i.00000000000000004126", json.dumps(source))
    shelf.append("web/1/app/i.00000000000000004126", at(3, "after"))
    shelf.append("ha/1/serf/i", at(2, "other") + at(4, "last"))
    hole = "continues:web/1/app/i.00000000000000004126"
    lines = [line.decode().strip() for line in (at(1, "before"), at(2, "other"), at(3, "after"), at(4, "last"))]
    expected = [*lines[:2], hole, *lines[2:]]
    assert said(tail(shelf, wanted())) == expected
    assert said(everything(shelf, wanted())) == expected
    assert said(live(shelf, wanted(), 0)) == expected
    assert said(tail(shelf, wanted(), 3)) == [lines[1], hole, *lines[2:]]
    assert said(tail(shelf, wanted("ha"))) == [lines[1], lines[3]]
    (mark,) = [item for item in tail(shelf, wanted()) if isinstance(item, Mark)]
    assert (mark.what, mark.bytes, mark.offset) == (LOSS, 4096, 0)
    assert mark.text.startswith("4,096 bytes are lost: over budget")


def test_a_loss_within_a_stream_stands_at_its_offset_however_late_it_was_recorded(shelf: Shelf) -> None:
    first, second, third = at(1, "one"), at(2, "two"), at(3, "three")
    shelf.append("web/1/app/i", first + second)
    shelf.append("web/1/app/i", third)
    before = shelf.end
    shelf.now_ms += 600_000
    shelf.append("ha/1/serf/i", b"long after\n")
    shelf.now_ms += 1000
    shelf.lose(Loss("late", "web/1/app/i", len(first), reason="the tail differs", how="tail digest"))
    shelf.lose(Loss("end", "web/1/app/i", len(first + second + third), 5))
    names = [line.decode().strip() for line in (first, second, third)]
    expected = [names[0], "late", names[1], names[2], "long after", "end"]
    assert said(everything(shelf, wanted())) == expected
    assert said(tail(shelf, wanted())) == expected
    assert said(tail(shelf, wanted(), 2)) == [names[2], "long after", "end"]
    # Who follows has passed the place: the loss is told when it is recorded.
    assert said(live(shelf, wanted(), before)) == ["long after", "late", "end"]


def test_drops_that_have_a_time_and_no_offset_are_placed_by_it(shelf: Shelf) -> None:
    shelf.now_ms += 60_000
    one, two = at(1, "one"), at(9, "two")
    shelf.append("ha/1/haproxy/i", one + two)
    span = ("2026-11-23T20:00:02.000Z", "2026-11-23T20:00:05.500Z")
    shelf.lose(Loss("drops", "ha/1/haproxy/i", None, None, 37, "lines", *span, "its pipe was full", "DroppedLogs"))
    for found in (tail(shelf, wanted("ha")), everything(shelf, wanted("ha")), live(shelf, wanted("ha"), 0)):
        assert said(found) == [one.decode().strip(), "drops", two.decode().strip()]
    mark = next(item for item in tail(shelf, wanted("ha")) if isinstance(item, Mark))
    assert mark.text == "37 lines are lost within 3.5 s: its pipe was full; DroppedLogs"
    assert said(tail(shelf, wanted("web"))) == []


def test_a_loss_of_a_stream_that_never_came_is_shown_to_who_wants_that_stream(shelf: Shelf) -> None:
    shelf.append("web/1/app/i", b"x\n")
    shelf.now_ms += 1
    shelf.lose(Loss("unknown", "web/9/app/i", 0, 1000, reason="the volume was deleted"))
    for asked, expected in ((wanted(), ["x", "unknown"]), (wanted("web"), ["x", "unknown"]), (wanted("web/1"), ["x"])):
        assert said(tail(shelf, asked)) == expected
        assert said(everything(shelf, asked)) == expected
        assert said(live(shelf, asked, 0)) == expected


def test_a_loss_without_a_stream_may_be_of_any(shelf: Shelf) -> None:
    shelf.append("web/1/app/i", b"x\n")
    shelf.now_ms += 1
    shelf.lose(Loss("anyone's"))
    shelf.lose(Loss("another"))
    for asked in (wanted(), wanted("web")):
        assert said(tail(shelf, asked)) == ["x", "anyone's", "another"]
        assert said(live(shelf, asked, 0)) == ["x", "anyone's", "another"]
    mark = next(item for item in tail(shelf, wanted()) if isinstance(item, Mark))
    assert mark.text == "something is lost, nobody knows how much"


def test_a_loss_whose_place_retention_took_is_placed_by_time(shelf: Shelf) -> None:
    shelf.append("web/1/app/i", b"old\n")
    shelf.rotate()
    shelf.append("web/1/app/i", b"new\n")
    shelf.now_ms += 1
    shelf.lose(Loss("old place", "web/1/app/i", 2, 7))
    shelf.drop_oldest(1)
    assert said(tail(shelf, wanted())) == ["deleted", "new", "old place"]
    assert said(everything(shelf, wanted())) == ["deleted", "new", "old place"]


def test_a_loss_stands_before_the_start_at_the_same_place(shelf: Shelf) -> None:
    shelf.append("web/1/app/i", b"torn")
    shelf.append("web/1/app/i", b"anew\n", starts=((4, "2026-11-23T20:00:00Z"),))
    shelf.lose(Loss("between", "web/1/app/i", 4, 9))
    assert said(everything(shelf, wanted())) == ["torn", "between", START, "anew"]


def test_losses_out_of_the_range_of_time_are_not_shown(shelf: Shelf) -> None:
    shelf.append("web/1/app/i", b"x\n")
    shelf.lose(Loss("placed", "web/1/app/i", 0, 1))
    shelf.lose(Loss("by time"))
    shelf.now_ms += 60_000
    shelf.append("web/1/app/i", b"y\n")
    assert said(tail(shelf, wanted(since_ms=BORN_MS + 1000))) == ["y"]
    assert said(everything(shelf, wanted(since_ms=BORN_MS + 1000))) == ["y"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["a/1/x/i", "b/1/y/i"]), st.sampled_from(["line", "loss", "loss here", "rotate"])),
        max_size=25,
    ),
    st.integers(0, 60),
)
def test_every_loss_is_given_exactly_once_by_history_and_by_batches(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]], share: int
) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("any") / "store")
    ends = [shelf.end]
    for number, (path, step) in enumerate(steps):
        shelf.now_ms += 10
        stream = shelf.state.streams.get(StreamPath(path))
        if step == "line":
            shelf.append(path, b"%d\n" % number)
        elif step == "rotate":
            shelf.rotate()
        else:
            end = stream.next_offset if stream else 0
            shelf.lose(Loss(f"loss {number}", path, end * share // 60 if step == "loss" else end, 1))
        ends.append(shelf.end)
    losses = sorted(f"loss {number}" for number, (_, step) in enumerate(steps) if step.startswith("loss"))
    lines = sorted(str(number) for number, (_, step) in enumerate(steps) if step == "line")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_FRAMES_MAX", 3)
        patch.setattr(history, "BATCH_BYTES_MAX", 200)
        assert sorted(said(everything(shelf, wanted()))) == sorted(losses + lines)
        assert sorted(said(tail(shelf, wanted()))) == sorted(losses + lines)
        reader = History(Journal(shelf.folder))
        cut = ends[len(ends) * share // 61]
        bounded = [item for item in reader.everything(reader.journal.picture(), wanted(), cut, with_open=False) if item]
        picture, at_lsn = reader.journal.picture(), cut
        while at_lsn < picture.end:
            batch = reader.batch(picture, wanted(), at_lsn)
            bounded += batch.items
            at_lsn = batch.end
        assert sorted(said(bounded)) == sorted(losses + lines)
    shelf.close()


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (Loss("1", bytes=1234567), "1,234,567 bytes are lost"),
        (Loss("2", bytes=100, count=3, unit="lines"), "100 bytes (3 lines) are lost"),
        (Loss("3", count=3), "3 units are lost"),
        (Loss("4", reason="why"), "something is lost, nobody knows how much: why"),
        (Loss("5", count=1, unit="lines", from_time="2026-11-23T20:00:00Z", to_time="2026-11-23T20:10:00Z"),
         "1 lines are lost within 600 s"),
    ],
)  # fmt: skip
def test_a_loss_says_what_is_known_of_it(loss: Loss, text: str) -> None:
    assert loss_mark(1, loss, BORN_MS).text == text


def test_the_record_of_a_loss_is_the_ledgers_own_beside_the_mark(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"x\n")
    loss = Loss("an id", "web/1/app/i", 2, 512, 3, "lines", None, "2026-11-23T20:00:00Z", "over budget", "spool")
    shelf.lose(loss)
    for query in ("", "shown=1", "n=all"):
        (record,) = [one for one in viewer.records(f"/api/logs?{query}") if one["type"] == "mark"]
        assert (record["what"], record["stream"], record["offset"], record["bytes"]) == ("loss", "web/1/app/i", 2, 512)
        assert record["loss"] == loss.fields()
    kinds: list[Any] = [one["type"] for one in viewer.records("/api/logs")]
    assert kinds == ["begin", "line", "mark", "cursor"]
