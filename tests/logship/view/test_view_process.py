"""The viewer as a process: its API over HTTP, from history to what comes."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from logship.values import Loss
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import Viewer, eventually


@pytest.mark.case(46, 129)
def test_history_goes_over_into_what_comes_without_hole_or_duplicate(shelf: Shelf, viewer: Viewer) -> None:
    """While somebody writes all the time, into two streams, with segments that end."""
    enough, done = threading.Event(), threading.Event()
    written: list[int] = []
    found: list[str] = []

    def write() -> None:
        number = -1
        while not (enough.wait(0.001) and number % 2):
            if len(written) > len(found) + 300:
                continue  # the viewer is nice to others: on a busy machine it would never come near the end
            number += 1
            written.append(number)
            shelf.now_ms += 1
            text = f"line {number}\n".encode()
            path = f"web/{number % 2}/app/i"
            shelf.append(path, text[:4])  # every line comes in two halves
            shelf.append(path, text[4:])
            if number % 50 == 0:
                shelf.rotate()
        done.set()

    shelf.create("web/0/app/i")
    shelf.create("web/1/app/i")
    writer = threading.Thread(target=write)
    writer.start()
    cursors = 0
    eventually(lambda: len(written) > 100, "nothing was written")
    for line in viewer.lines("/api/logs?n=all&follow=1"):
        record = json.loads(line) if line else {}
        if record.get("type") == "line":
            found.append(record["text"])
        cursors += record.get("type") == "cursor"
        if cursors > 5:
            enough.set()
        if done.is_set() and len(found) >= len(written):
            break
    writer.join()
    total = len(written)
    assert len(found) == total
    for stream in (0, 1):
        mine = [text for text in found if int(text[5:]) % 2 == stream]
        assert mine == [f"line {number}" for number in range(stream, total, 2)]


@pytest.mark.case(128)
def test_a_live_reader_that_lost_its_connection_goes_on_after_its_last_event(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"old\n")
    (begin, *_, cursor) = viewer.records("/api/logs?n=5")
    assert begin["type"] == "begin"
    found: list[str] = []
    last_id = None
    for number in range(3):
        shelf.append("web/1/app/i", f"a {number}\nb {number}\n".encode())
        for name, identity, data in viewer.events(f"/api/logs/live?cursor={cursor['cursor']}", last_id):
            assert name == "lines"
            found += [record["text"] for record in data]
            last_id = identity
            break  # the connection is closed here
    assert found == ["a 0", "b 0", "a 1", "b 1", "a 2", "b 2"]


@pytest.mark.case(127)
def test_a_reader_too_far_behind_is_told_what_it_is_not_given_and_can_load_it(shelf: Shelf, viewer: Viewer) -> None:
    start = shelf.end
    for number in range(12):
        shelf.append("web/1/app/i", b"%02d " % number + b"x" * 1_000_000 + b"\nhit %d\n" % number)
    events = viewer.events(f"/api/logs/live?cursor={start}&grep=hit")
    first, identity, gap = next(events)
    assert first == "gap"
    rest: list[str] = []
    for _, _, data in events:
        rest += [record["text"] for record in data or []]
        if len(rest) + gap["lines"] >= 12:
            break
    loaded = viewer.records(f"/api/logs?grep=hit&cursor={gap['cursor']}&at={gap['at']}")
    assert identity == gap["at"]
    missed = [record["text"] for record in loaded if record["type"] == "line"]
    assert len(missed) == gap["lines"]
    assert missed + rest == [f"hit {number}" for number in range(12)]


def bytes_of(record: dict[str, Any]) -> bytes:
    text: str = record.get("text", "")
    end: str = record["end"]
    return (base64.b64decode(record["base64"]) if "base64" in record else text.encode()) + end.encode()


@pytest.mark.case(51, 52, 53, 54)
def test_lines_are_given_with_their_exact_bytes(shelf: Shelf, viewer: Viewer) -> None:
    data = b"text\r\n\n\x00\xff\xfe\nlong " + b"y" * 9000 + b"\ntorn"
    shelf.append("web/1/app/i", data, packed=True)
    found = [record for record in viewer.records("/api/logs?n=all&bytes=all") if record["type"] == "line"]
    given = b"".join(
        (base64.b64decode(one["base64"]) if "base64" in one else one["text"].encode()) + one["end"].encode()
        for one in found
    )
    assert given == data
    assert found[-1]["flags"] == ["torn", "open"]
    short = [record for record in viewer.records("/api/logs?n=2") if record["type"] == "line"]
    assert (len(short[0]["text"]), short[0]["left_out"]) == (4096, 9005 - 4096)


def test_the_first_page_keeps_the_question(viewer: Viewer) -> None:
    assert viewer.ask("/")[1]["location"] == "/logs"
    assert viewer.ask("/?query=status%3A200&n=50")[1]["location"] == "/logs?query=status%3A200&n=50"


@pytest.mark.case(108)
@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/logs?q=nosuch", 404, "no stream is meant by nosuch"),
        ("/api/logs?q=we/b/<script>", 400, "is no TARGET"),
        ("/api/logs?grep=(", 400, "is no pattern"),
        ("/api/logs?since=soon", 400, "is no time"),
        ("/api/logs?n=10001", 400, "n is a whole number up to 10000, or all"),
        ("/api/logs?cursor=999999", 409, "lies beyond the journal's end"),
        ("/api/logs/live?cursor=-1", 400, "cursor is a whole number"),
        ("/api/logs?colour=red", 400, "no parameter is called 'colour'"),
        ("/api/logs?n=1&n=2", 400, "n is said more than once"),
        ("/api/logs?follow=1&until=now", 400, "cannot follow"),
        ("/../../etc/passwd", 404, ""),
        ("/static/..%2f..%2frun.py", 404, ""),
        ("/api/logs?grep=" + "x" * 9000, 414, "longer than"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(
    shelf: Shelf, viewer: Viewer, path: str, status: int, said: str
) -> None:
    shelf.append("web/1/app/i", b"x\n")
    found, headers, body = viewer.ask(path)
    assert found == status, body
    assert said in body.decode()
    assert "default-src 'none'" in headers["content-security-policy"]


def test_a_page_of_somebody_else_cannot_ask_under_its_own_name(viewer: Viewer) -> None:
    for name, status in [
        ("evil.example", 421), ("127.0.0.1.evil.example:8080", 421), ("", 421), ("127.0.0.1:1234", 200),
        ("LOCALHOST", 200), ("[::1]:8080", 200),
    ]:  # fmt: skip
        assert viewer.ask("/api/sources", {"Host": name})[0] == status, name
    status, headers, _ = viewer.ask("/api/sources", method="POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_pattern_that_takes_for_ever_ends_the_answer_with_a_reason(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"a" * 80 + b"!\n")
    *_, last = viewer.records("/api/logs?grep=%5E(a%7Caa)%2B%24")
    assert last["type"] == "error"
    assert "takes too long" in last["text"]
    assert viewer.ask("/logs?grep=%5E(a%7Caa)%2B%24")[0] == 400


def test_streams_losses_and_sources_are_listed(shelf: Shelf, viewer: Viewer) -> None:
    shelf.create("web/1/app/i", '{"host":"h1","kind":"json"}')
    shelf.append("web/1/app/i", b"x\n", closes=True)
    shelf.append("web/2/app/i", b"yy\n")
    shelf.lose(Loss("one", "web/1/app/i", 2, 77, reason="over budget"))
    streams = viewer.records("/v1/streams")
    assert [stream["stream"] for stream in streams] == ["web/1/app/i", "web/2/app/i"]
    assert streams[0] == shelf.state.streams["web/1/app/i"].listing(0)
    assert [one["stream"] for one in viewer.records("/v1/streams?source.host=h1")] == ["web/1/app/i"]
    assert [one["stream"] for one in viewer.records("/v1/streams?prefix=web/2")] == ["web/2/app/i"]
    (loss,) = viewer.records("/v1/losses")
    assert (loss["id"], loss["bytes"]) == ("one", 77)
    one, two = viewer.records("/api/sources")
    assert (one["source"], one["kind"], one["closed"], one["losses"], one["lost_bytes"]) == (
        "web/1:app",
        "json",
        True,
        1,
        77,
    )
    assert (two["bytes"], two["closed"]) == (3, False)


def test_a_viewer_may_come_before_its_store_and_ends_in_order_with_readers(tmp_path: Path) -> None:
    viewer = Viewer(tmp_path / "store")
    viewer.start()
    status, _, body = viewer.ask("/healthz")
    assert (status, json.loads(body)["error"]) == (503, "no-store")
    assert viewer.ask("/logs")[0] == 503
    shelf = Shelf(tmp_path / "store")
    shelf.append("web/1/app/i", b"now\n")
    eventually(lambda: viewer.ask("/healthz")[0] == 200, "it did not find the store")
    reader = viewer.lines("/api/logs?follow=1")
    assert json.loads(next(reader))["type"] == "begin"
    assert viewer.stop() == 0
    shelf.close()
