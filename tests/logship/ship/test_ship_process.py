"""``logship ship`` as a real process: every byte once, whatever is killed when."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from logship.wire.refusal import Code, Refusal
from tests.logship.ship.model import Kept
from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import INCARNATION, Shipper, Spool, Writer, until

KILLS = int(os.environ.get("LOGSHIP_TEST_KILLS", "8"))
FAST = ["--patience-seconds", "20", "--chunk-bytes-max", "65536"]


@pytest.fixture
def server() -> Iterator[CollectorServer]:
    made = CollectorServer()
    yield made
    made.stop()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path)
    yield made
    made.end()


@pytest.fixture
def shipper(tmp_path: Path) -> Iterator[Callable[..., Shipper]]:
    made: list[Shipper] = []

    def start(server: CollectorServer, *spools: Spool, options: list[str] | None = None) -> Shipper:
        folders = [spool.path for spool in spools]
        made.append(Shipper(server.url, *folders, options=options, log=tmp_path / "log"))
        return made[-1]

    yield start
    for each in made:
        each.kill()


def path_of(program: str, suffix: str = "") -> str:
    return f"webapp/1/{program}/{INCARNATION}{suffix}"


def stored(server: CollectorServer, program: str, suffix: str = "") -> bytes:
    with server.lock:
        kept = server.model.streams.get(path_of(program, suffix))
        return bytes(kept.data) if kept else b""


def test_a_line_is_at_the_collector_within_a_second(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    spool.write("web", b"first\n")
    shipper(server, spool)
    until(lambda: stored(server, "web") == b"first\n", "the first line is there")
    expected, took = b"first\n", [float("inf")]
    while len(took) < 12 and min(took) >= 1:  # a busy machine is late by itself, but not each time
        time.sleep(0.5)  # an idle shipper looks less often
        expected += b"one more\n"
        spool.write("web", b"one more\n")
        begun = time.monotonic()
        until(lambda: stored(server, "web") == expected, "the next line is there")  # noqa: B023  # called at once
        took.append(time.monotonic() - begun)
    assert min(took) < 1 or os.getloadavg()[0] > 2, f"slow on a machine that is not busy: {took[1:]}"
    spool.write("late", b"a program that came later\n")
    until(lambda: stored(server, "late"), "the later program's line is there")


@pytest.mark.case(71, 84)
def test_every_byte_arrives_once_while_the_shipper_is_killed_and_the_collector_restarted(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    drops = random.Random(seed + 1)
    server.fault = lambda method, _path: "drop" if method == "POST" and drops.random() < 0.05 else ""
    shapes = {"small": (300, 0.002), "large": (200_000, 0.02), "mixed": (20_000, 0.01)}
    writers = {
        name: Writer(spool, name, seed + place, *shape) for place, (name, shape) in enumerate(sorted(shapes.items()))
    }
    for writer in writers.values():
        writer.start()
    for turn in range(KILLS):
        process = shipper(server, spool, options=FAST)
        time.sleep(chance.uniform(0.3, 1.2))
        if turn % 3 == 2:
            server.stop()
            time.sleep(chance.uniform(0, 0.3))
            server.start()
            time.sleep(chance.uniform(0, 0.5))
        process.kill()
    for writer in writers.values():
        writer.enough.set()
        writer.join(60)
    assert shipper(server, spool, options=["--once", *FAST]).process.wait(120) == 0
    for name, writer in writers.items():
        found = stored(server, name)
        assert (len(found), hashlib.blake2b(found).hexdigest()) == (writer.written, writer.digest.hexdigest())
        assert spool.acked(name) == writer.written
    assert len(server.model.streams) == len(shapes)
    assert not server.model.losses
    print({name: writer.written for name, writer in writers.items()}, server.model.appends, "appends")


@pytest.mark.case(50, 51, 52, 53, 54, 58)
def test_lines_of_any_shape_arrive_as_they_are(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    noise = random.Random(7).randbytes(20_000_000)
    shapes = [b"\0\0\n", b"\r\n", b"\r", b"\n\n\n", b"\xff\xfe broken", b"x" * (1 << 20) + b"\n", noise, b"\nno end"]
    for shape in shapes:
        spool.write("web", shape)
    assert shipper(server, spool, options=["--once"]).process.wait(120) == 0
    assert stored(server, "web") == b"".join(shapes)


@pytest.mark.case(113)
def test_sigterm_drains_and_ends_with_0(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper], tmp_path: Path
) -> None:
    process = shipper(server, spool, options=["--drain-seconds", "30"])
    until(lambda: (tmp_path / "log").exists() and "started" in process.events(), "it has started")
    spool.write("web", b"last words\n")
    assert process.stop() == 0
    assert stored(server, "web") == b"last words\n"
    assert process.said()[-1]["behind_bytes"] == 0


@pytest.mark.case(113)
def test_sigterm_gives_up_at_once_where_nobody_listens(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper], tmp_path: Path
) -> None:
    server.stop()
    spool.write("web", b"kept\n")
    process = shipper(server, spool, options=["--drain-seconds", "300"])
    until(lambda: (tmp_path / "log").exists() and "no answer" in process.events(), "it has noticed")
    assert process.stop() == 0
    assert process.said()[-1] == {**process.said()[-1], "event": "stopped", "behind_bytes": 5}


def test_an_outage_is_told_once_and_its_end(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper], tmp_path: Path
) -> None:
    server.stop()
    spool.write("web", b"1\n")
    process = shipper(server, spool)
    until(lambda: (tmp_path / "log").exists() and "no answer" in process.events(), "it has noticed")
    time.sleep(1)
    server.start()
    until(lambda: stored(server, "web") == b"1\n", "the line is there")
    until(lambda: "answers again" in process.events(), "it says so")
    assert process.events().count("no answer") == 1
    assert "Connection refused" in str(process.said()[1]["cause"])


def test_once_ends_with_1_and_says_what_is_left(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    server.model.refuse_with = Refusal(Code.NO_ROOM, "full")
    spool.write("web", b"12345")
    process = shipper(server, spool, options=["--once", "--patience-seconds", "1"])
    assert process.process.wait(60) == 1
    assert process.said()[-1]["bytes"] == {f"{INCARNATION}/web": 5}


@pytest.mark.case(65)
def test_a_second_shipper_waits_for_the_lock_of_the_first(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    spool.write("web", b"1\n")
    first = shipper(server, spool)
    until(lambda: stored(server, "web"), "the first one ships")
    second = shipper(server, spool)
    until(lambda: "trouble" in second.events(), "the second one says that it waits")
    first.kill()
    spool.write("web", b"2\n")
    until(lambda: stored(server, "web") == b"1\n2\n", "the second one ships")


@pytest.mark.case(76)
def test_one_stream_that_is_refused_leaves_the_others_going(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    spool.write("bad", b"1\n")
    spool.write("good", b"1\n")
    server.model.streams[path_of("bad")] = server_stream("text/plain")
    process = shipper(server, spool)
    until(lambda: stored(server, "good") == b"1\n", "the other one is there")
    until(lambda: "parked" in process.events(), "the parked one is told")
    assert "409 content-type" in str(next(line for line in process.said() if line["event"] == "parked")["text"])


def server_stream(content_type: str) -> Kept:
    return Kept(content_type, {"program": "bad", "incarnation": INCARNATION})


@pytest.mark.case(73)
def test_a_wiped_collector_is_filled_again_and_told_what_is_gone(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    content = random.Random(3).randbytes(700_000)
    spool.write("web", content)
    process = shipper(server, spool)
    until(lambda: len(stored(server, "web")) == len(content), "all is there")
    until(lambda: spool.acked("web") == len(content), "and noted")
    spool.segments("web")[0].unlink()  # as spool does with what is acknowledged
    server.stop()
    server.model.wipe()
    server.start()
    spool.write("web", b"more")
    suffix = f".{spool.segment_bytes:020}"
    until(lambda: stored(server, "web", suffix) == content[spool.segment_bytes :] + b"more", "the rest is there anew")
    source = server.model.streams[path_of("web", suffix)].source
    assert (source["lost_bytes"], source["continues"]) == (spool.segment_bytes, path_of("web"))
    assert "forgotten" in process.events()


@pytest.mark.case(123)
def test_where_a_program_was_started_anew_is_passed_on(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    spool.write("web", b"torn li")
    times = ["2026-11-23T20:15:02.000Z", "2026-11-23T20:15:09.000Z"]
    lines = [json.dumps({"offset": at, "pid": 7, "time": time}) + "\n" for at, time in zip((0, 7), times, strict=True)]
    (spool.path / "web" / "starts.jsonl").write_text("".join(lines))
    shipper(server, spool)
    until(lambda: stored(server, "web"), "it is there")
    spool.write("web", b"new life\n")
    until(partial(is_stored, server, b"torn linew life\n"), "the rest is there")
    assert server.model.streams[path_of("web")].starts == [(0, times[0]), (7, times[1])]


def is_stored(server: CollectorServer, content: bytes) -> bool:
    return stored(server, "web") == content


def test_a_program_called_ship_has_its_stream_beside_the_lock(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    first = shipper(server, spool)
    until((spool.path / "ship").is_dir, "the lock is there")
    spool.write("ship", b"my own log\n")
    until(lambda: stored(server, "ship") == b"my own log\n", "it is shipped")
    assert first.stop() == 0


def test_the_streams_of_an_ended_incarnation_are_closed(
    server: CollectorServer, spool: Spool, shipper: Callable[..., Shipper]
) -> None:
    spool.write("web", b"1\n")
    spool.end()
    assert shipper(server, spool, options=["--once"]).process.wait(60) == 0
    assert server.model.streams[path_of("web")].closed


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--to", "https://collector"], "no plain http URL"),
        (["--to", "collector:4437"], "no plain http URL"),
        (["--chunk-bytes-max", "1"], "out of range"),
        (["--drain-seconds", "nan"], "out of range"),
        (["--instance", "a/b"], "cannot be part of a path"),
        (["--spool", "/nowhere"], "No such file"),
    ],
)
def test_bad_input_is_one_clear_sentence(words: list[str], text: str, capfd: pytest.CaptureFixture[str]) -> None:
    from logship.cli import main

    assert main(["ship", *words], {}) == 2
    said = capfd.readouterr().err
    assert text in said
    assert "hint: " in said
