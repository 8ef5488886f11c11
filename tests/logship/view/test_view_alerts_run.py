"""The thread that evaluates alerts, a turn at a time, over a store that a test writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.ship.http_sink import Place
from logship.view.alerts import run
from logship.view.alerts.kept import FILE
from logship.view.alerts.run import Alerts
from logship.view.alerts.telling import Plan, wall_ms
from logship.view.declared import Declaration
from logship.view.history import History
from logship.view.journal_reader import Journal
from logship.view.segments import NoStore
from tests.logship.view.shelf import Shelf

RULES = '[alert.it]\nquery = "timeout"\nabove = 0\nwindow = "10s"\nevery = "1s"\nresolve_after = "0s"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "logship.toml"
    found.write_text(RULES)
    return found


@pytest.fixture
def alerts(shelf: Shelf, file: Path) -> Iterator[Alerts]:
    found = made(shelf, file)
    yield found
    found.stop()


def made(shelf: Shelf, file: Path) -> Alerts:
    """Those of the file; the collector that takes their lines is not there."""
    shelf.now_ms = wall_ms()
    plan = Plan(shelf.folder, Place("127.0.0.1", 9), "1")
    return Alerts(plan, Declaration(file), History(Journal(shelf.folder)))


def whole(alerts: Alerts) -> dict[str, Any]:
    return alerts.records(wall_ms())[-1]


def kept(shelf: Shelf) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shelf.folder / FILE).read_text())
    return found


def test_nothing_is_written_into_a_store_without_alerts(shelf: Shelf, file: Path) -> None:
    file.write_text("")
    alerts = made(shelf, file)
    before = sorted(path.name for path in shelf.folder.iterdir())
    alerts.turn()
    assert sorted(path.name for path in shelf.folder.iterdir()) == before
    assert whole(alerts)["evaluates"] is False


def test_what_was_there_before_the_first_turn_counts_for_none(shelf: Shelf, alerts: Alerts) -> None:
    shelf.append("web/1/app/i", b"a timeout\n")
    alerts.turn()
    assert (whole(alerts)["evaluates"], whole(alerts)["cursor"]) == (True, str(shelf.end))
    shelf.now_ms = wall_ms() + 1500
    shelf.append("web/1/app/i", b"one more timeout\n")
    alerts.turn()
    assert alerts._book is not None
    assert alerts._book.evaluations["it"].counts.totals == {(): 1}
    assert whole(alerts)["behind_bytes"] == 0


def test_a_journal_that_ends_before_what_was_read_is_waited_for_before_it_is_taken_for_another(
    shelf: Shelf, file: Path, alerts: Alerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.append("web/1/app/i", b"something\n")
    alerts.turn()
    alerts.stop()
    alerts._kept.give_back()
    said = kept(shelf)
    (shelf.folder / FILE).write_text(json.dumps({**said, "cursor": shelf.end + 1000}))
    later = made(shelf, file)
    with pytest.raises(NoStore, match="before what was read"):
        later.turn()
    monkeypatch.setattr(run, "BEYOND_SECONDS", 0.0)
    later.turn()
    later.stop()
    assert whole(later)["cursor"] == str(shelf.end)
    assert "there is another store" in kept(shelf)["outbox"]["lines"][0][1]


def test_what_cannot_be_kept_is_not_told(shelf: Shelf, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(RULES + 'webhook = "http://127.0.0.1:9/"\ngroup_wait = "0s"\n')
    alerts = made(shelf, file)
    alerts.turn()
    started: list[Any] = []
    monkeypatch.setattr(alerts._telling, "start", started.append)
    save = alerts._kept.save
    monkeypatch.setattr(alerts._kept, "save", lambda _: "the disk is full")
    book = alerts._book
    assert book is not None
    book.too_slow("it", "for a line of its own", wall_ms())
    for _ in range(20):
        book.too_slow("it", "for a line of its own", wall_ms())
    alerts.turn()
    assert whole(alerts)["troubles"] == ["the disk is full"]
    assert book.outbox.lines
    assert book.outbox.next_lines(10) == []
    monkeypatch.setattr(alerts._kept, "save", save)
    alerts.turn()
    assert whole(alerts)["troubles"] == []
    assert [json.loads(text)["event"] for _, text in book.outbox.next_lines(10)] == ["alert-stopped"]
    assert started
    alerts.stop()


def test_another_store_at_the_same_place_is_another_book(shelf: Shelf, alerts: Alerts) -> None:
    alerts.turn()
    before = kept(shelf)["id"]
    for name in ("alerts.lock", FILE):
        (shelf.folder / name).unlink()
    alerts.turn()
    assert kept(shelf)["id"] != before
    assert (shelf.folder / "alerts.lock").exists()
