"""The book of losses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logship.spool import losses
from logship.spool.losses import LossBook, read
from logship.spool.ranges import Span


def test_a_loss_is_one_json_line_with_all_that_is_known(tmp_path: Path) -> None:
    assert LossBook(tmp_path, clock=lambda: 0.0).record("web", [Span(5, 10)], "over budget") == 10
    assert json.loads((tmp_path / "losses.jsonl").read_text()) == {
        "stream": "web", "offset": 5, "bytes": 10, "time": "1970-01-01T00:00:00.000Z", "reason": "over budget",
    }  # fmt: skip


def test_a_range_is_recorded_once_also_after_a_restart(tmp_path: Path) -> None:
    LossBook(tmp_path).record("web", [Span(0, 10)], "over budget")
    again = LossBook(tmp_path)
    assert again.record("web", [Span(0, 15)], "found at start") == 5
    assert again.record("other", [Span(0, 15)], "found at start") == 15
    assert [(loss.stream, loss.span) for loss in read(tmp_path / "losses.jsonl")] == [
        ("web", Span(0, 10)), ("web", Span(10, 5)), ("other", Span(0, 15)),
    ]  # fmt: skip


def test_a_line_torn_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "losses.jsonl"
    LossBook(tmp_path).record("web", [Span(0, 10)], "over budget")
    path.write_bytes(path.read_bytes() + b'{"stream": "we')
    LossBook(tmp_path).record("web", [Span(10, 10)], "over budget")
    assert [loss.span for loss in read(path)] == [Span(0, 10), Span(10, 10)]


def test_records_wait_for_a_disk_that_refuses(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    book = LossBook(folder)
    assert book.record("web", [Span(0, 10)], "not stored") == 10
    assert book.record("web", [Span(0, 10)], "not stored") == 0
    assert book.waiting
    folder.mkdir()
    book.retry()
    assert not book.waiting
    assert [loss.span for loss in read(folder / "losses.jsonl")] == [Span(0, 10)]


def test_the_book_is_made_anew_with_touching_ranges_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "BOOK_BYTES_MAX", 2000)
    book = LossBook(tmp_path)
    for place in range(200):
        book.record("web", [Span(place * 8, 8)], "over budget")
        book.record("app", [Span(place * 16, 8)] if place < 3 else [], "not stored")
    assert (tmp_path / "losses.jsonl").stat().st_size <= 2000 + 200
    held = list(read(tmp_path / "losses.jsonl"))
    assert sum(loss.span.size for loss in held if loss.stream == "web") == 1600
    assert [loss.span for loss in held if loss.stream == "app"] == [Span(0, 8), Span(16, 8), Span(32, 8)]


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "WAITING_MAX", 5)
    book = LossBook(tmp_path / "never")
    for place in range(100):
        book.record("web", [Span(place * 8, 8)], "not stored")
    (tmp_path / "never").mkdir()
    book.retry()
    assert sum(loss.span.size for loss in read(tmp_path / "never" / "losses.jsonl")) == 800
