"""What alerts read: each line that completes once, in the order of its receipt, out of journal and lake."""

from __future__ import annotations

from typing import Any

import pytest

from logship.lake.keep import Policy
from logship.view.alerts import lines as alert_lines
from logship.view.alerts.book import Match
from logship.view.alerts.lines import Lines, Step
from logship.view.alerts.rule import Rule
from logship.view.history import History
from logship.view.journal_reader import Journal
from tests.logship.lake.lakes import seal
from tests.logship.view.alerting import rule
from tests.logship.view.shelf import Shelf

EVENTS = '{"kind": "events", "program": "alerts"}'


def named(name: str, **said: Any) -> Rule:
    found = rule(**said)
    return Rule(**{key: getattr(found, key) for key in Rule.__slots__} | {"name": name})


def read(shelf: Shelf, rules: list[Rule], start: int = 0, **how: Any) -> tuple[list[Match], list[Step]]:
    """All there is from a cursor on."""
    history = History(Journal(shelf.folder))
    reading = Lines(history, rules, how.get("stopped", lambda _: False))
    picture = history.journal.picture()
    steps = list[Step]()
    while start < picture.end:
        steps.append(reading.step(picture, start))
        assert steps[-1].end > start
        start = steps[-1].end
    return [match for step in steps for match in step.matches], steps


def busy(shelf: Shelf) -> list[tuple[int, str]]:
    """Lines of two streams in halves, over segments and blocks; when each was received, and whose it is."""
    wanted, held = [], {"a": "", "b": ""}
    for number in range(400):
        shelf.now_ms += 500
        for name in held:
            text = f"line {number} of {name} {'timeout' if number % 3 == 0 else 'fine'}\n"
            cut = number % len(text)
            shelf.append(f"{name}/1/app/i", (held[name] + text[:cut]).encode())
            if number and (number - 1) % 3 == 0:
                wanted.append((shelf.now_ms, name))  # the one before is whole now
            held[name] = text[cut:]
        if number % 90 == 80:
            shelf.rotate()
    shelf.now_ms += 500
    for name, rest in held.items():
        shelf.append(f"{name}/1/app/i", rest.encode())
        wanted.append((shelf.now_ms, name))
    return wanted


@pytest.mark.parametrize("step", [1, 5_000, 1 << 20])
def test_each_line_is_counted_once_in_the_order_of_receipt_however_it_is_cut(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    wanted = busy(shelf)
    monkeypatch.setattr(alert_lines, "STEP_BYTES_MAX", step)
    found, steps = read(shelf, [named("t", query="timeout", by=["service"]), named("all", query="line")])
    assert [(one.received_ms, *one.group) for one in found if one.alert == "t"] == sorted(wanted)
    assert sum(one.alert == "all" for one in found) == 800
    received = [one.received_ms for one in found]
    assert received == sorted(received)
    assert len(steps) > 1 or step > 5_000
    assert [one.read_ms for one in steps] == sorted(one.read_ms for one in steps)


def test_what_retention_took_is_read_in_the_lake(shelf: Shelf) -> None:
    wanted = busy(shelf)
    before, _ = read(shelf, [named("t", query="timeout", by=["service"])])
    seal(shelf.folder)
    shelf.drop_oldest(3)
    after, steps = read(shelf, [named("t", query="timeout", by=["service"])])
    assert [(one.received_ms, *one.group) for one in after] == sorted(wanted)
    assert after == before
    assert not [one.missed for one in steps if one.missed]


def test_a_part_of_the_journal_without_a_line_has_no_file_and_is_not_missed(shelf: Shelf) -> None:
    for number in range(3):
        shelf.create(f"other/{number}/app/i")
        shelf.rotate()
        shelf.append("web/1/app/i", b"a timeout\n")
        shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(5)
    found, steps = read(shelf, [named("t", query="timeout")])
    assert len(found) == 3
    assert not [one.missed for one in steps if one.missed]


def test_what_retention_took_from_the_lake_too_is_told(shelf: Shelf) -> None:
    busy(shelf)
    seal(shelf.folder)
    shelf.drop_oldest(3)
    seal(shelf.folder, Policy(bytes=1))
    found, steps = read(shelf, [named("t", query="timeout")])
    assert found
    assert "out of the lake, too" in "".join(one.missed for one in steps)


def test_what_is_in_neither_is_told(shelf: Shelf) -> None:
    busy(shelf)
    shelf.drop_oldest(2)
    found, steps = read(shelf, [named("t", query="timeout")])
    assert found
    assert [one.missed for one in steps if one.missed] == ["lines were taken by retention before they were looked at"]
    assert steps[0].end == Journal(shelf.folder).segments()[0]


def test_lines_of_alerts_are_none_of_theirs_and_snapshots_only_of_who_asks(shelf: Shelf) -> None:
    shelf.create("collector/1/alerts/x", EVENTS)
    shelf.append("collector/1/alerts/x", b'{"event":"alert","alert":"all"}\n')
    shelf.append("web/1/alerts/x", b"a program of somebody's that is called alerts\n")
    shelf.append("web/1/supervise/x", b'{"time": "2026-11-23T20:00:00.000Z", "event": "snapshot"}\n')
    shelf.append("web/1/supervise/x", b'{"time": "2026-11-23T20:00:00.000Z", "event": "started"}\n')
    found, _ = read(shelf, [named("all", query="-nothing", by=["program"])])
    assert [one.group for one in found] == [("alerts",), ("supervise",)]
    found, _ = read(shelf, [named("all", query="event:snapshot", by=["program", "event"], snapshots=True)])
    assert [one.group for one in found] == [("supervise", "snapshot")]


def test_a_pattern_that_is_too_slow_is_told_and_a_stopped_alert_is_left_out(shelf: Shelf) -> None:
    shelf.append("web/1/app/i", b"a" * 5000 + b"b\nfine\n")
    rules = [named("slow", query=r"/^(a|aa)+$/"), named("fine", query="fine")]
    found, steps = read(shelf, rules)
    assert [one.alert for one in found] == ["fine"]
    assert [alert for one in steps for alert, _ in one.slow] == ["slow"]
    assert "takes too long" in steps[0].slow[0][1]
    found, steps = read(shelf, rules, stopped=lambda name: name == "slow")
    assert [one.alert for one in found] == ["fine"]
    assert not [one.slow for one in steps if one.slow]


def test_damage_is_told_and_what_is_behind_it_is_read(shelf: Shelf) -> None:
    shelf.append("web/1/app/i", b"one timeout\n")
    lsn = shelf.append("web/1/app/i", b"two timeout\n")
    shelf.append("web/2/app/i", b"three timeout\n")
    segment = next((shelf.folder / "journal").iterdir())
    data = segment.read_bytes()
    at = data.index(b"two timeout")
    assert at > lsn
    segment.write_bytes(data[:at] + b"TWO" + data[at + 3 :])
    found, steps = read(shelf, [named("t", query="timeout", by=["instance"])])
    assert [one.group for one in found] == [("1",), ("2",)]
    assert "cannot be read" in "".join(one.missed for one in steps)
