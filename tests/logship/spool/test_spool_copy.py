"""The copy for `docker logs`: whole lines, never in the way, what is left out is counted."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from logship.spool.copy import BURST_BYTES, LAG_BYTES_MAX, RATE_BYTES, Copy
from logship.spool.segment import SegmentWriter
from tests.logship.spool.bench import SpoolBench, until


class Target:
    """A FIFO in the place of the container's output, read only when asked."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "output"
        os.mkfifo(self.path)
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.seen = b""

    def read(self) -> bytes:
        """All that has come so far."""
        try:
            while data := os.read(self._descriptor, 65536):
                self.seen += data
        except BlockingIOError:
            pass
        return self.seen

    def close(self) -> None:
        """The engine is gone."""
        os.close(self._descriptor)


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


def stream(spool: Path, name: str, content: bytes, copy: Copy) -> SegmentWriter:
    writer = SegmentWriter(spool / name, 65536)
    writer.write(content)
    copy.grew(name, writer.offset)
    return writer


def drain(copy: Copy, target: Target, now: float) -> bytes:
    """Turns until there is nothing more to do, with a reader that takes everything."""
    for _ in range(10_000):
        copy.unblock()
        more = copy.turn(now)
        target.read()
        if not more and not copy.blocked:
            return target.seen
    raise AssertionError("the copy never came to an end")


def test_every_line_of_every_stream_is_copied_in_its_streams_order(tmp_path: Path, target: Target) -> None:
    copy = Copy(str(target.path), tmp_path / "spool", 5)
    one = b"".join(b"line %d\n" % number for number in range(30_000))
    two = b"".join(b"other %d\n" % number for number in range(30_000))
    stream(tmp_path / "spool", "one", one, copy)
    stream(tmp_path / "spool", "other", two, copy)
    lines = drain(copy, target, 0).splitlines(keepends=True)
    assert b"".join(line[8:] for line in lines if line.startswith(b"one   | ")) == one
    assert b"".join(line[8:] for line in lines if line.startswith(b"other | ")) == two
    assert len(lines) == 60_000
    copy.close()


def test_a_target_that_takes_nothing_is_not_waited_for_and_what_is_left_out_is_counted(
    tmp_path: Path, target: Target
) -> None:
    copy = Copy(str(target.path), tmp_path / "spool", 3)
    writer = stream(tmp_path / "spool", "web", b"", copy)
    produced = 0
    longest = 0.0
    for number in range(300_000):
        writer.write(b"line %08d\n" % number)
        produced += 1
        if number % 5000 == 0:
            copy.grew("web", writer.offset)
            before = time.monotonic()
            copy.turn(float(number))
            longest = max(longest, time.monotonic() - before)
    copy.grew("web", writer.offset)
    assert copy.blocked
    assert longest < 60  # it would have been for ever
    seen = drain(copy, target, 1e6)
    seen = drain(copy, target, 1e6 + 10)
    copied = re.findall(rb"^web \| line (\d{8})$", seen, re.MULTILINE)
    told = re.findall(rb"^spool \| (\d+) lines not copied$", seen, re.MULTILINE)
    assert copied == sorted(copied)
    assert copied[-1] == b"%08d" % (produced - 1)
    assert len(told) >= 1
    assert len(copied) + sum(map(int, told)) == produced
    assert len(copied) * 14 > LAG_BYTES_MAX // 2
    assert seen.count(b"\n") == len(copied) + len(told)
    copy.close()


def test_a_flood_is_copied_at_its_pace_and_the_rest_is_counted(tmp_path: Path, target: Target) -> None:
    """10 MiB a second for 5 s; the clock is the test's."""
    copy = Copy(str(target.path), tmp_path / "spool", 3)
    writer = stream(tmp_path / "spool", "web", b"", copy)
    block = b"".join(b"line %08d\n" % number for number in range(256 * 1024 // 14))
    now = 0.0
    for _ in range(200):
        now += 0.025
        writer.write(block)
        copy.grew("web", writer.offset)
        drain(copy, target, now)
    seconds = now
    due = copy.deadline()
    assert due is not None
    while due is not None and due < now + 60:
        now = max(now, due)
        drain(copy, target, now)
        due = copy.deadline()
    seen = target.read()
    allowed = BURST_BYTES + RATE_BYTES * seconds
    assert allowed * 0.9 < len(seen) < allowed + LAG_BYTES_MAX * 2
    told = re.findall(rb"^spool \| (\d+) lines not copied$", seen, re.MULTILINE)
    copied = len(re.findall(rb"^web \| line (\d{8})$", seen, re.MULTILINE))
    assert copied + sum(map(int, told)) == 200 * block.count(b"\n")
    assert now < seconds + 10, "what was held back comes soon after"
    copy.close()


def test_at_the_end_there_is_no_pace(tmp_path: Path, target: Target) -> None:
    copy = Copy(str(target.path), tmp_path / "spool", 3)
    writer = stream(tmp_path / "spool", "web", b"", copy)
    for _ in range(8):
        writer.write(b"x" * 1023 + b"\n" + b"line\n" * 150_000)
        copy.grew("web", writer.offset)
        drain(copy, target, 0)
    writer.write(b"the last one\n")
    copy.grew("web", writer.offset)
    assert not drain(copy, target, 0).endswith(b"the last one\n")
    copy.last_turns()
    assert drain(copy, target, 0).endswith(b"web | the last one\n")
    copy.close()


def test_a_copy_goes_on_where_it_was(tmp_path: Path, target: Target) -> None:
    copy = Copy(str(target.path), tmp_path / "spool", 3)
    writer = stream(tmp_path / "spool", "web", b"one\ntwo\nthr", copy)
    drain(copy, target, 0)
    copy.close()
    again = Copy(str(target.path), tmp_path / "spool", 3)
    writer.write(b"ee\n")
    again.grew("web", writer.offset)
    assert drain(again, target, 0) == b"web | one\nweb | two\nweb | three\n"
    again.close()


def test_a_line_without_an_end_is_shown_after_a_second(tmp_path: Path, target: Target) -> None:
    copy = Copy(str(target.path), tmp_path / "spool", 3)
    writer = stream(tmp_path / "spool", "web", b"fatal: no", copy)
    assert drain(copy, target, 100.0) == b""
    assert copy.deadline() == 101.0
    assert drain(copy, target, 101.0) == b"web | fatal: no\n"
    assert copy.deadline() is None
    writer.write(b" way\n")
    copy.grew("web", writer.offset)
    assert drain(copy, target, 102.0) == b"web | fatal: no\nweb |  way\n"
    copy.close()


def test_a_hole_in_the_stream_is_shown_where_the_lines_would_have_been(tmp_path: Path, target: Target) -> None:
    copy = Copy(str(target.path), tmp_path / "spool", 3)
    writer = SegmentWriter(tmp_path / "spool" / "web", 10)
    writer.write(b"one\ntorn..two\nthree\n" + b"four\n")
    (tmp_path / "spool" / "web" / f"{10:020}").unlink()
    copy.grew("web", writer.offset)
    drain(copy, target, 0)
    assert drain(copy, target, 2) == b"web | one\nweb | torn..\nweb | [10 bytes lost here]\nweb | four\n"
    copy.close()


def test_a_line_beyond_64_kib_is_cut_with_a_mark(tmp_path: Path, target: Target) -> None:
    copy = Copy(str(target.path), tmp_path / "spool", 3)
    stream(tmp_path / "spool", "web", b"x" * 3_000_000 + b"\nnext\n", copy)
    seen = drain(copy, target, 0)
    # The lag's bound passed over the beginning of so long a line; its end is there, marked, and the next line whole.
    assert re.fullmatch(rb"web \| x{65536} \[\d+ bytes cut\]\nweb \| next\n", seen)
    copy.close()


def test_a_target_that_is_not_there_is_tried_again_later(tmp_path: Path) -> None:
    copy = Copy(str(tmp_path / "output"), tmp_path / "spool", 3)
    stream(tmp_path / "spool", "web", b"one\n", copy)
    assert copy.turn(0.0) is False
    assert copy.deadline() == 5.0
    (tmp_path / "output").touch()
    copy.turn(4.0)
    assert (tmp_path / "output").read_bytes() == b""
    copy.turn(5.0)
    assert (tmp_path / "output").read_bytes() == b"web | one\n"
    assert copy.deadline() is None
    copy.close()


def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path, target: Target) -> None:
    copy = Copy(str(target.path), tmp_path / "spool", 3)
    writer = stream(tmp_path / "spool", "web", b"one\n", copy)
    drain(copy, target, 0.0)
    target.close()
    writer.write(b"two\n")
    copy.grew("web", writer.offset)
    assert copy.turn(1.0) is False
    assert copy.descriptor is None
    assert copy.deadline() == 6.0
    copy.turn(6.0)
    assert copy.deadline() == 11.0


def test_the_process_copies_its_programs_pid_1_and_itself_but_no_snapshots(bench: SpoolBench, target: Target) -> None:
    bench.copy_to = str(target.path)
    bench.fifo("web")
    pid_1 = SegmentWriter(bench.spool / "supervise")
    pid_1.write(b'{"event":"begin"}\n')
    bench.start()
    os.write(bench.held["web"], b"hello\n")
    pid_1.write(b'{"event":"snapshot"}\n{"event":"ready"}\n')
    until(lambda: b"ready" in target.read() and b"hello" in target.seen, "the lines are copied")
    lines = [line for line in target.seen.decode().splitlines() if not line.startswith("spool ")]
    assert sorted(lines) == [
        'supervise   | {"event":"begin"}', 'supervise   | {"event":"ready"}', "web         | hello",
    ]  # fmt: skip
    assert '"event":"started"' in target.seen.decode()
    bench.kill()
    os.write(bench.held["web"], b"again\n")
    bench.start()
    until(lambda: b"again" in target.read(), "the copy goes on")
    assert target.seen.count(b"hello") == 1
    pid_1.close()


def test_a_frozen_target_does_not_hold_up_a_program(bench: SpoolBench, target: Target) -> None:
    bench.copy_to = str(target.path)
    bench.fifo("web")
    process = bench.start()
    program = bench.writer("web")
    count = 0
    while count < 400_000:
        os.write(program, b"".join(b"%08d\n" % number for number in range(count, count + 4000)))
        count += 4000
    until(lambda: len(bench.stored("web")) == 9 * count, "all is stored though nothing is copied")
    until(lambda: b"not copied" in target.read() and target.seen.endswith(b"%08d\n" % (count - 1)), "it flows again")
    copied = len(re.findall(rb"^web +\| \d{8}$", target.seen, re.MULTILINE))
    told = sum(map(int, re.findall(rb"\| (\d+) lines not copied", target.seen)))
    assert copied + told == count
    assert process.poll() is None
    os.close(program)
