"""Stack traces are one event, however the journal is cut; bytes and order stay; each line is given at most once."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.view import blocks
from logship.view.events import EVENT_BYTES_MAX, EVENT_LINES_MAX, NEAR_MS, Grouping, Look, look
from logship.view.history import History
from logship.view.items import TimedLine
from logship.view.journal_reader import Journal
from logship.view.lines import Line
from logship.view.select import Wanted, parse_pattern, parse_targets
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import Viewer

STAMP = "2026-11-23 20:00:01,000 "

PYTHON = """Traceback (most recent call last):
  File "/srv/app.py", line 3, in inner
    return 1 / 0
           ~~^~~
ZeroDivisionError: division by zero

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/app.py", line 7, in <module>
    outer()
  File "/srv/app.py", line 5, in outer
    raise Odd("no") from None
odd.Odd: no
"""
JAVA = """java.lang.IllegalStateException: cannot serve
\tat com.example.Web.serve(Web.java:31)
\tat com.example.Main.main(Main.java:7)
Caused by: java.io.IOException: reset by peer
\tat com.example.Net.read(Net.java:12)
\t... 2 more
"""
NODE = """/srv/app.js:3
    throw new TypeError('no user');
    ^

TypeError: no user
    at serve (/srv/app.js:3:11)
    at Object.<anonymous> (/srv/app.js:6:1) {
  code: 'ENOENT'
}
"""
GO = """panic: runtime error: index out of range [3] with length 3
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4]

goroutine 1 [running]:
main.(*Server).Serve(0xc000012345, {0x1, 0x2})
\t/srv/main.go:31 +0x1d
main.main()
\t/srv/main.go:7 +0x25

goroutine 18 [chan receive, 2 minutes]:
net/http.(*conn).serve(0xc0000a2000)
\t/usr/lib/go/src/net/http/server.go:1930 +0x5
created by net/http.(*Server).Serve in goroutine 1
\t/usr/lib/go/src/net/http/server.go:3102 +0x4
"""


def grouped(text: str, received_ms: int = 0) -> list[str]:
    """The events of lines that are all a program ever wrote."""
    grouping, found, offset = Grouping(), list[str](), 0
    grouping.restart()
    for part in text.splitlines(keepends=True):
        data = part.encode()
        place = grouping.take(Line("s", offset, data, 0, received_ms))
        if place.begins:
            found.append("")
        found[-1] += part
        offset += len(data)
    return found


@pytest.mark.parametrize("trace", [PYTHON, JAVA, NODE, GO], ids=["python", "java", "node", "go"])
def test_a_trace_is_one_event_between_lines_of_a_log(trace: str) -> None:
    before, behind = f"{STAMP}INFO all is well\n", f"{STAMP}INFO again\n"
    assert grouped(before + trace + behind) == [before, trace, behind]
    assert grouped("done\n" + trace + "all done\n") == ["done\n", trace, "all done\n"]
    assert grouped(trace + trace) == [trace, trace]


@pytest.mark.parametrize("trace", [PYTHON, JAVA], ids=["python", "java"])
def test_a_trace_belongs_to_the_line_above_it_that_says_what_went_wrong(trace: str) -> None:
    for head in (f"{STAMP}ERROR cannot serve\n", "ERROR:root:cannot serve\n", '{"level": "error", "text": "no"}\n'):
        assert grouped(head + trace) == [head + trace]
    went_wrong = "2026/11/23 20:00:01 http: panic serving 10.0.0.9:41000: boom\n"
    assert grouped(went_wrong + GO[GO.index("goroutine") :]) == [went_wrong + GO[GO.index("goroutine") :]]


def test_a_real_traceback_of_this_python_is_one_event(tmp_path: Path) -> None:
    program = (
        "import logging\n"
        "def f(n):\n"
        "    try:\n"
        "        {}['x']\n"
        "    except KeyError as error:\n"
        "        raise ExceptionGroup('several', [ValueError(n), OSError('gone')]) from error\n"
        "logging.basicConfig(format='%(asctime)s %(levelname)s %(message)s')\n"
        "for n in range(2):\n"
        "    try:\n"
        "        f(n)\n"
        "    except Exception:\n"
        "        logging.exception('it failed')\n"
        "f(3)\n"
    )
    path = tmp_path / "program.py"
    path.write_text(program)
    said = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False).stderr
    events = grouped(said)
    assert "".join(events) == said
    assert len(events) == 3
    assert ["it failed" in event for event in events] == [True, True, False]


def test_lines_that_say_their_time_and_json_never_go_on() -> None:
    serf = "    2026/11/23 20:00:01 [INFO] serf: EventMemberJoin: web-1\n"
    assert grouped(serf * 3) == [serf] * 3
    assert grouped('{"a": 1}\n{"a": 2}\n') == ['{"a": 1}\n', '{"a": 2}\n']
    assert grouped("one\ntwo: x\nthree\n") == ["one\n", "two: x\n", "three\n"]
    assert look(b"Nov 23 20:00:01 host x: y") is Look.SAYS_TIME


def test_what_is_indented_goes_on_and_a_bracket_closes_it() -> None:
    assert grouped('{\n  "a": {\n    "b": 1\n  }\n}\nnext\n') == ['{\n  "a": {\n    "b": 1\n  }\n}\n', "next\n"]
    assert grouped("  first\n  second\n") == ["  first\n  second\n"]


def test_what_came_long_after_is_no_part_of_it() -> None:
    grouping = Grouping()
    grouping.restart()
    first = grouping.take(Line("s", 0, b"head\n", 0, 1000))
    assert grouping.take(Line("s", 5, b"  near\n", 0, 1000 + NEAR_MS)) == type(first)(0, False, True)
    assert grouping.take(Line("s", 12, b"  far\n", 0, 1001 + 2 * NEAR_MS)).begins


def test_an_event_is_bounded_in_lines_and_bytes() -> None:
    many = "head\n" + "  more\n" * (3 * EVENT_LINES_MAX)
    assert [event.count("\n") for event in grouped(many)] == [EVENT_LINES_MAX] * 3 + [1]
    long = "head\n" + ("  " + "x" * 1021 + "\n") * 200
    assert all(len(event) <= EVENT_BYTES_MAX for event in grouped(long))
    assert len(grouped(long)) == 4


@given(st.binary(max_size=200))
def test_any_bytes_look_like_something(data: bytes) -> None:
    assert look(data) in Look


# Readings.

LINES = st.sampled_from([
    f"{STAMP}INFO x", f"{STAMP}ERROR wrong", "plain", "word: y", "", "  indented hit", "  indented",
    "\tat a.b(C.java:1)",
    "Traceback (most recent call last):", '  File "x.py", line 1, in f', "ValueError: hit", "Caused by: hit", "hit",
    "java.lang.RuntimeException: y", "panic: z", "goroutine 1 [running]:", "main.main()", "}", '{"a": "hit"}',
])  # fmt: skip
WRITTEN = st.lists(
    st.tuples(
        st.sampled_from(["a/1/x/i", "b/1/y/i"]),
        st.lists(LINES, min_size=1, max_size=6),
        st.integers(0, 30),
        st.sampled_from(["", "", "", "later", "start"]),
    ),
    max_size=14,
)


def events_wanted(grep: str = "", events: bool = True) -> Wanted:
    targets, pattern = parse_targets(["all"]), parse_pattern(grep, False)
    assert isinstance(targets, list)
    return Wanted(tuple(targets), pattern if grep else None, events=events)  # type: ignore[arg-type]


def fill(shelf: Shelf, written: list[tuple[str, list[str], int, str]]) -> None:
    for path, texts, cut, what in written:
        data = "".join(f"{text}\n" for text in texts).encode()
        shelf.now_ms += 3000 if what == "later" else 10
        begin = shelf.state.streams[path].next_offset if path in shelf.state.streams else 0
        starts = ((begin, "2026-11-23T20:00:00Z"),) if what == "start" else ()
        if cut:
            shelf.append(path, data[:cut], starts=starts)
        if data[cut:]:
            shelf.append(path, data[cut:], starts=() if cut else starts)
    shelf.now_ms += 10
    for path in shelf.state.streams:
        shelf.append(path, b"2026-11-23 20:00:09 end\n")


def expected(history: History) -> dict[str, list[list[int]]]:
    """By a naive reading of all there is: of each stream the offsets of lines of events with a hit."""
    picture = history.journal.picture()
    found: dict[str, list[list[int]]] = {}
    for path, stream in picture.streams.items():
        items = history.everything(picture, Wanted(tuple(parse(path))), picture.end, with_open=False)
        grouping = Grouping()
        grouping.restart()
        events: list[list[Line]] = []
        starts = starts_of(history, path)
        for item in items:
            if isinstance(item, TimedLine):
                if item.offset in starts:
                    grouping.restart()
                if grouping.take(item.line).begins:
                    events.append([])
                events[-1].append(item.line)
        assert stream.next_offset == sum(len(line.data) for event in events for line in event)
        found[path] = [
            [line.offset for line in event] for event in events if any(b"hit" in line.data for line in event)
        ]
    return found


def parse(path: str) -> list:  # type: ignore[type-arg]
    targets = parse_targets([path])
    assert isinstance(targets, list)
    return targets


def starts_of(history: History, path: str) -> set[int]:
    journal = history.journal
    picture = journal.picture()
    frames = [
        frame
        for segment in journal.segments()
        for block in journal.blocks(segment, picture.end).blocks([path], 0, picture.end)
        for frame in journal.frames(block)
    ]
    return {offset for frame in frames if frame.entry.stream == path for offset, _ in frame.entry.starts}


def by_stream(items: list[object]) -> dict[str, list[tuple[int, int | None]]]:
    found: dict[str, list[tuple[int, int | None]]] = {}
    for item in items:
        if isinstance(item, TimedLine):
            found.setdefault(item.stream, []).append((item.offset, item.event))
    return found


@given(WRITTEN, st.integers(1, 4), st.integers(1, 6), st.randoms(use_true_random=False))
def test_every_reading_gives_each_line_of_a_hit_event_once_wherever_it_is_cut(
    written: list[tuple[str, list[str], int, str]], a_block: int, count: int, chance: random.Random
) -> None:
    folder = Path(tempfile.mkdtemp())
    patch = pytest.MonkeyPatch()
    patch.setattr(blocks, "BLOCK_FRAMES_MAX", a_block)
    shelf = Shelf(folder / "store")
    try:
        fill(shelf, written)
        history = History(Journal(shelf.folder))
        picture = history.journal.picture()
        wanted = events_wanted("hit")
        right = {
            path: [(offset, event[0]) for event in events for offset in event]
            for path, events in expected(history).items()
            if events
        }
        found = [item for item in history.everything(picture, wanted, picture.end, with_open=False) if item is not None]
        assert by_stream(list(found)) == right

        order = [item for item in found if isinstance(item, TimedLine)]
        units = [item.unit for item in order]
        assert [one for one, two in pairwise([*units, None]) if one != two] == list(dict.fromkeys(units)), "together"
        *_, last = history.tail(picture, wanted, count, picture.end, with_open=False)
        newest = list(dict.fromkeys(units))[-count:]
        assert [item.unit for item in last or () if isinstance(item, TimedLine)] == [
            unit for unit in units if unit in newest
        ]

        edges = sorted({0, picture.end, *chance.sample(range(picture.end), min(6, picture.end))})
        came: list[object] = []
        for low, high in pairwise(edges):
            bound = type(picture)(high, picture.streams, picture.identities, picture.losses)
            at = low
            while at < high:
                batch = history.batch(bound, wanted, at)
                at = batch.end
                came += batch.items
        given = by_stream(came)
        assert given == right
    finally:
        patch.undo()
        shelf.close()
        shutil.rmtree(folder)


def test_a_follower_is_given_the_beginning_of_an_event_with_its_first_hit(shelf: Shelf) -> None:
    path = "a/1/x/i"
    cuts = [shelf.end]
    for data in (
        b"2026-11-23 20:00:00 ERROR failed\n", b"Traceback (most recent call last):\n", b'  File "x", line 1\n',
        b"    hit()\n", b"    again()\n", b"2026-11-23 20:00:00 fine\n",
    ):  # fmt: skip
        shelf.append(path, data)
        cuts.append(shelf.end)
    history = History(Journal(shelf.folder))
    picture = history.journal.picture()
    told = []
    for low, high in pairwise(cuts):
        bound = type(picture)(high, picture.streams, picture.identities, picture.losses)
        batch = history.batch(bound, events_wanted("hit"), low)
        told.append([item.line.data[:9] for item in batch.items if isinstance(item, TimedLine)])
        assert len({item.time_ms for item in batch.items}) <= 1
    assert told == [[], [], [], [b"2026-11-2", b"Traceback", b'  File "x', b"    hit()"], [b"    again"], []]


def test_the_api_counts_events_and_says_which_a_line_is_of(shelf: Shelf, viewer: Viewer) -> None:
    text = f"{STAMP}INFO a\n{JAVA}{STAMP}INFO b\n{JAVA}{STAMP}INFO c\n"
    shelf.append("a/1/x/i", text.encode())
    records = [one for one in viewer.records("/api/logs?events=1&n=2&grep=reset") if one["type"] == "line"]
    starts = [text.index(JAVA), text.rindex(JAVA)]
    assert [one["event"] for one in records] == [starts[0]] * 6 + [starts[1]] * 6
    assert "".join(one["text"] + one["end"] for one in records) == JAVA * 2
    assert {one["time"] for one in records[:6]} == {records[0]["time"]}
    (one,) = [one for one in viewer.records("/api/logs?events=1&n=1") if one["type"] == "line"]
    assert (one["text"], one["event"]) == (f"{STAMP}INFO c", one["offset"])
    assert "event" not in viewer.records("/api/logs")[1]
    assert viewer.ask("/api/logs?events=1&n=1001")[0] == 400
    assert len([one for one in viewer.records("/api/logs?events=1&n=all") if one["type"] == "line"]) == 15
