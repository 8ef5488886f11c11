"""``/api/query``: what a pipe makes of the lines of a store, told while it is made."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from logship.values import Loss
from logship.view import query
from logship.view.counting import STEP_SECONDS, Counting
from logship.view.history import History
from logship.view.items import Hidden, TimedLine
from logship.view.journal_reader import Journal
from logship.view.pipes_result import Making
from logship.view.where import Subject
from supervise.init import events
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.test_view_where import FAILED, HAPROXY
from tests.logship.view.viewing import Viewer, eventually

STAMP = "2026-11-23T20:00:03Z"
QUESTIONS = ("| count by program", "| count 30s by level", "status:* | p50,max t_active by status", "-plain | patterns")


def asked(text: str, *more: str) -> str:
    return "&".join([f"/api/query?query={quote(text)}", *more])


def table(viewer: Viewer, text: str, *more: str) -> dict[str, Any]:
    (found,) = [one for one in viewer.records(asked(text, *more)) if one["type"] == "table" and not one["partial"]]
    return found


def filled(shelf: Shelf) -> None:
    """Two streams over two segments, with a line that goes over their border and one that has no end yet."""
    shelf.append("ha/1/haproxy/i", f"{HAPROXY}\n{FAILED}\n{HAPROXY[:50]}".encode(), packed=True)
    shelf.append("web/1/app/i", b'{"level": "error", "n": 7, "long": "' + b"x" * 9000 + b'"}\nplain\n')
    shelf.rotate()
    shelf.now_ms += 60_000
    shelf.append("ha/1/haproxy/i", f"{HAPROXY[50:]}\n{FAILED}".encode())
    shelf.append("web/1/supervise/i", events.line(shelf.now_ms / 1000, "snapshot", {"v": 1}))


@pytest.mark.parametrize(
    ("text", "more", "columns", "rows"),
    [
        ("| count by program", [], ["program", "count"], [["haproxy", 4], ["app", 2]]),
        ("| count by program", ["snapshots=1"], ["program", "count"], [["haproxy", 4], ["app", 2], ["supervise", 1]]),
        ("status:200 | count by src, status", [], ["src", "status", "count"], [["ha/1", 200, 2]]),
        ("| max json.n by level", [], ["level", "count", "max"], [["error", 1, 7]]),
        ("kind:haproxy | p50 t_active by status", [], ["status", "count", "p50"], [[200, 2, 10], [503, 2, 5]]),
        ("| count", ["q=web"], ["count"], [[2]]),
        ("| count", ["exclude=plain"], ["count"], [[5]]),
        ("| count", [f"since=@{BORN_MS // 1000 + 30}"], ["count"], [[2]]),
        ("nothing | count", [], ["count"], [[0]]),
    ],
)
def test_a_question_is_answered_with_a_table_and_how_far_it_got(
    shelf: Shelf, viewer: Viewer, text: str, more: list[str], columns: list[str], rows: list[list[Any]]
) -> None:
    filled(shelf)
    found = viewer.records(asked(text, *more))
    assert [one["type"] for one in found if not one.get("partial")][:1] == ["begin"]
    assert [one["type"] for one in found if not one.get("partial")][-4:] == ["progress", "table", "losses", "cursor"]
    progress, last, losses, cursor = [one for one in found if not one.get("partial")][-4:]
    assert (last["columns"], last["rows"], last["row_count"]) == (columns, rows, len(rows))
    assert (progress["share"], progress["matched"]) == (1.0, last["counted"] + last["without"])
    assert (losses["records"], losses["text"]) == (0, "")
    assert cursor["cursor"] == found[0]["at"]


def test_as_many_lines_are_counted_as_are_shown_and_what_is_hidden_is_told(shelf: Shelf, viewer: Viewer) -> None:
    filled(shelf)
    lines = [one for one in viewer.records("/api/logs?n=all") if one["type"] in ("line", "hidden")]
    found = viewer.records(asked("| count"))
    assert table(viewer, "| count")["rows"] == [[len(lines) - 1]]
    assert next(one for one in reversed(found) if one["type"] == "progress")["hidden"] == 1
    assert lines[-1]["lines"] == 1


def test_a_reading_that_ends_at_a_cursor_counts_what_was_before_it(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"one\ntwo\n")
    end = shelf.end
    shelf.append("web/1/app/i", b"three\n")
    assert table(viewer, "| count", f"at={end}")["rows"] == [[2]]
    assert table(viewer, "| count")["rows"] == [[3]]


def test_a_range_of_time_is_one_of_lines_not_of_what_they_came_with(shelf: Shelf, viewer: Viewer) -> None:
    lines = [f"2026-11-23 19:5{minute}:00,000 x\n  goes on\n" for minute in range(10)]
    shelf.append("web/1/app/i", "".join(lines).encode())
    since, until = "since=2026-11-23T19:52:00Z", "until=2026-11-23T19:57:00Z"
    assert table(viewer, "| count", since)["rows"] == [[16]]
    assert table(viewer, "| count", until)["rows"] == [[14]]
    assert table(viewer, "x | count", since, until)["rows"] == [[5]]
    assert [row[1] for row in table(viewer, "| count 5m", since, until)["rows"]] == [6, 4]


def test_losses_in_the_range_are_told_with_the_number(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("ha/1/haproxy/i", f"{HAPROXY}\n".encode())
    shelf.append("web/1/app/i", b"x\n")
    first, last = "2026-11-23T19:00:00Z", "2026-11-23T19:01:00Z"
    shelf.lose(Loss("1", "ha/1/haproxy/i", None, None, 37, "lines", from_time=first, to_time=last))
    shelf.lose(Loss("2", "web/1/app/i", 2, 512))
    shelf.lose(Loss("3", "web/1/app/i", 2))

    def losses(text: str, *more: str) -> dict[str, Any]:
        return next(one for one in viewer.records(asked(text, *more)) if one["type"] == "losses")

    found = losses("| count")
    assert (found["records"], found["bytes"], found["counts"], found["unknown"]) == (3, 512, {"lines": 37}, 1)
    assert found["text"] == (
        "the numbers may be short by 37 lines, the lines in 512 bytes, 1 loss of which nobody knows how much"
    )
    assert losses("kind:haproxy | count")["text"] == "the numbers may be short by 37 lines"
    assert losses("kind:haproxy | count", "since=2026-11-23T19:30:00Z")["records"] == 0
    assert losses("| count", "q=ha")["records"] == 1


def test_a_damaged_place_is_told_with_the_number(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"sound\n")
    lsn = shelf.append("web/1/app/i", b"damaged\n")
    shelf.append("web/1/app/i", b"sound, too\n")
    segment = next((shelf.folder / "journal").iterdir())
    data = segment.read_bytes()
    at = data.index(b"damaged", lsn)
    segment.write_bytes(data[:at] + b"DAMAGED" + data[at + 7 :])
    found = viewer.records(asked("| count"))
    (losses,) = [one for one in found if one["type"] == "losses"]
    assert losses["damage"] == {"places": 1, "bytes": 8}
    assert losses["text"] == "the numbers may be short by what 1 damaged place holds"
    assert table(viewer, "| count")["rows"] == [[2]]


def test_a_store_whose_beginning_is_gone_says_from_when_on_it_counts(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"gone\n")
    shelf.now_ms += 5000
    shelf.rotate()
    shelf.append("web/1/app/i", b"kept\n")
    assert viewer.records(asked("| count"))[0]["kept_from"] is None
    shelf.drop_oldest(1)
    eventually(lambda: table(viewer, "| count")["rows"] == [[1]], "what is gone is counted")
    assert viewer.records(asked("| count"))[0]["kept_from"] == "2026-11-23T20:00:05.000Z"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/query", 400, "a table wants a pipe in its query"),
        (asked("status:5xx"), 400, "a table wants a pipe in its query"),
        (asked("| coutn"), 400, "did you mean count?"),
        (asked("| count by servre"), 400, "did you mean server?; at character 12"),
        (asked("| count", "n=5"), 400, "no parameter is called 'n'"),
        (asked("| count", "q=nosuch"), 404, "no stream is meant by nosuch"),
        (asked("| count", "at=999999"), 409, "lies beyond the journal's end"),
        ("/api/logs?query=" + quote("a | count"), 400, "a pipe makes a table of lines"),
    ],
)
def test_what_makes_no_table_is_refused_in_a_sentence(
    shelf: Shelf, viewer: Viewer, path: str, status: int, said: str
) -> None:
    shelf.append("web/1/app/i", b"x\n")
    found, _, body = viewer.ask(path)
    assert found == status, body
    assert said in json.loads(body)["text"]


def test_what_has_no_bound_ends_the_answer_with_a_reason(shelf: Shelf, viewer: Viewer) -> None:
    for number in range(12):
        stamps = (f"2026-11-23 {8 + number:02}:{at // 60:02}:{at % 60:02}\n" for at in range(0, 3600, 3))
        shelf.append("web/1/app/i", "".join(stamps).encode())
    last = viewer.records(asked("| count 1s"))[-1]
    assert (last["type"], last["error"]) == ("error", "too-much")
    assert "more than 10,000 spans" in last["text"]
    shelf.append("web/2/app/i", b"a" * 80 + b"!\n")
    slow = viewer.records(asked(r"src:web/2 /^(a|aa)+$/ | count"))[-1]
    assert slow["type"] == "error"
    assert "takes too long" in slow["text"]
    _, _, body = viewer.ask(asked(r"src:web/2 /^(a|aa)+$/ | count"), {"Accept": "text/event-stream"})
    assert body.decode().splitlines()[-3:-1] == ["event: error", f"data: {json.dumps(slow, separators=(',', ':'))}"]


def test_the_same_comes_as_events_for_who_asks_for_events(shelf: Shelf, viewer: Viewer) -> None:
    filled(shelf)
    _, headers, body = viewer.ask(asked("| count by program"), {"Accept": "text/event-stream"})
    assert headers["content-type"].startswith("text/event-stream")
    names = [line[7:] for line in body.decode().splitlines() if line.startswith("event: ")]
    assert next(name for name in names if name != "progress") == "begin"
    assert names[-2:] == ["losses", "cursor"]
    data = [json.loads(line[6:]) for line in body.decode().splitlines() if line.startswith("data: ")]
    assert [one["type"] for one in data] == names


def test_a_long_table_comes_in_several_records(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"".join(b'{"n": %d}\n' % number for number in range(2500)))
    found = viewer.records(asked("| count by json.n"))
    parts = [one for one in found if one["type"] in ("table", "rows") and not one.get("partial")]
    assert [len(one["rows"]) for one in parts] == [1000, 1000, 500]
    assert parts[0]["row_count"] == 2500
    assert sorted(int(row[0]) for one in parts for row in one["rows"]) == [*range(2500)]


@pytest.mark.parametrize("seed", range(12))
def test_of_a_store_written_by_chance_a_table_is_that_of_the_lines_that_are_shown(shelf: Shelf, seed: int) -> None:
    """Streams, frames, segments, starts and long lines by chance, against the lines of a reading in order."""
    print("seed", seed)
    chance = random.Random(seed)
    paths = ["ha/1/haproxy/i", "web/1/app/i", "web/2/app/i", "web/1/supervise/i", "foreign/stream"]
    ends = dict.fromkeys(paths, 0)
    for _ in range(60):
        path = chance.choice(paths)
        snapshot = events.line(shelf.now_ms / 1000, "snapshot", {"v": 1}).decode().rstrip("\n")
        lines = chance.choices(
            [HAPROXY, FAILED, '{"level": "error", "n": 7}', f"{STAMP} said", "plain", "x" * 5000, snapshot, ""], k=9
        )
        data = "\n".join(lines).encode()[: chance.randrange(1, 9000)] + chance.choice([b"", b"\n"])
        start = ends[path] + chance.randrange(len(data) + 1)
        starts = ((start, STAMP),) if chance.random() < 0.2 else ()
        shelf.append(path, data, starts=starts, packed=chance.random() < 0.5)
        ends[path] += len(data)
        shelf.now_ms += chance.randrange(20_000)
        if chance.random() < 0.15:
            shelf.rotate()
    history = History(Journal(shelf.folder))
    picture = history.journal.picture()
    for text in (
        "| count by program",
        "| count 30s by level",
        "status:* | p50,max t_active by status",
        "-plain | patterns",
    ):
        since = BORN_MS + chance.randrange(600_000) if chance.random() < 0.5 else None
        parameters = {"query": [text], **({} if since is None else {"since": [f"@{since / 1000}"]})}
        found = query.parse(parameters, shelf.now_ms, query.TABLE_PARAMETERS)
        assert isinstance(found, query.Query)
        assert found.piped.pipe is not None
        making, wanted = Making(found.piped.pipe), Making(found.piped.pipe)
        reading = Counting(history, picture, found.wanted, found.piped.node, making, picture.end, time.monotonic)
        for _ in reading.steps():
            pass
        hidden = 0
        for item in history.everything(picture, found.wanted, picture.end, with_open=True):
            hidden += isinstance(item, Hidden)
            if isinstance(item, TimedLine):
                identity = picture.identities[item.stream]
                data = history.windows.whole(item.line, item.size)[: item.size - len(item.terminator)]
                wanted.add(item.time_ms, identity, Subject(identity.kind, data).get)
        assert making.table() == wanted.table(), (text, since)
        assert (reading.progress.hidden, reading.progress.damaged) == (hidden, 0)


# Steps: a reading is never long without saying so, and who goes away ends it.


def counting(shelf: Shelf, text: str, clock: Callable[[], float]) -> Counting:
    history = History(Journal(shelf.folder))
    picture = history.journal.picture()
    found = query.parse({"query": [text]}, shelf.now_ms, query.TABLE_PARAMETERS)
    assert isinstance(found, query.Query)
    assert found.piped.pipe is not None
    making = Making(found.piped.pipe)
    return Counting(history, picture, found.wanted, found.piped.node, making, picture.end, clock)


@pytest.mark.parametrize("text", ["| count by status", "nothing_of_it | count"])
def test_a_step_ends_when_its_time_is_over_whether_lines_match_or_not(shelf: Shelf, text: str) -> None:
    for _ in range(4):
        shelf.append("ha/1/haproxy/i", f"{HAPROXY}\n".encode() * 500)
    now = 0.0

    def clock() -> float:  # each look at it costs half a step
        nonlocal now
        now += STEP_SECONDS / 2
        return now

    reading = counting(shelf, text, clock)
    seen = [0]
    for _ in reading.steps():
        seen.append(reading.progress.lines)
    assert seen[-1] == 2000
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 200


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_client_that_goes_away_ends_the_work(shelf: Shelf, viewer: Viewer) -> None:
    """Measured in the processor time of the viewer, so a busy machine changes nothing: the rest would take seconds."""
    data = f"{HAPROXY}\n".encode() * 5000
    for number in range(60):
        shelf.append(f"ha/{number % 3}/haproxy/i", data, packed=True)
    assert viewer.process is not None
    answer = viewer.lines(asked("| patterns"))
    for text in answer:
        said = json.loads(text)
        if said["type"] == "progress" and said["lines"]:
            assert said["share"] < 0.5
            break
    answer.close()
    used = cpu_seconds(viewer.process.pid)
    idle_since = time.monotonic()
    before = used
    while time.monotonic() - idle_since < 0.5:  # until it has used none for a while
        time.sleep(0.05)
        now = cpu_seconds(viewer.process.pid)
        if now - before > 0.02:
            idle_since = time.monotonic()
        before = now
        assert now - used < 3, "it goes on"
    assert before - used < 0.1
