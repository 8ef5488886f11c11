"""``logship logs``, as people and scripts run it, against a real viewer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logship.values import Loss
from supervise.init import events
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import PATIENCE_SECONDS, TREE, Viewer, environment, eventually, on_terminal

HOSTILE = b"\x1b]0;owned\x07\x1b[2J red \xe2\x80\xaeevil \xff\n"


def logs(viewer: Viewer, *arguments: str, command: str = "logs") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "logship", command, *arguments],
        cwd=TREE, env={**environment(), "LOGSHIP_URL": viewer.url}, capture_output=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip


class Follow:
    """``logship logs -f`` in the background; what it wrote so far."""

    def __init__(self, viewer: Viewer, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logship", "logs", "-f", *arguments],
            cwd=TREE, env={**environment(), "LOGSHIP_URL": viewer.url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.out, self.err = b"", b""
        self._threads = [threading.Thread(target=self._read, args=(name,)) for name in ("stdout", "stderr")]
        for thread in self._threads:
            thread.start()

    def _read(self, name: str) -> None:
        stream = getattr(self.process, name)
        while data := stream.read1(65536):
            if name == "stdout":
                self.out += data
            else:
                self.err += data

    def end(self) -> int:
        """Ctrl-C; the exit status."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(PATIENCE_SECONDS)
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        return status


@contextmanager
def following(viewer: Viewer, *arguments: str) -> Iterator[Follow]:
    found = Follow(viewer, *arguments)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.process.kill()
            found.process.wait()


def test_raw_into_a_pipe_is_exactly_the_stored_bytes(shelf: Shelf, viewer: Viewer) -> None:
    data = b"a\r\nb\rc\n\n\x00\xff\n" + b"l" * 3_000_000 + b"\n" + HOSTILE + b"no end"
    shelf.append("web/1/app/i", data[:1_000_000], packed=True)
    shelf.append("web/1/app/i", data[1_000_000:], starts=((1_000_005, "2026-11-23T20:00:00Z"),))
    found = logs(viewer, "-o", "raw", "-n", "all", "web/1:app")
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout == data


def test_short_says_when_and_whose_and_a_pipe_gets_whole_lines_without_colour(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"2026-11-23 20:00:00,000 hello\n" + b"x" * 9000 + b"\n")
    shelf.append("ha/1/serf/i", b"2026-11-23 19:59:59,250 before\n")
    found = logs(viewer)
    assert found.stdout.splitlines() == [
        b"Nov 23 19:59:59.250 ha/1:serf | 2026-11-23 19:59:59,250 before",
        b"Nov 23 20:00:00.000 web/1:app | 2026-11-23 20:00:00,000 hello",
        b"Nov 23 20:00:00.000 web/1:app | " + b"x" * 9000,
    ]


def test_the_last_lines_are_counted_after_the_filters(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"".join(b"%s %d\n" % (b"HIT" if n % 10 == 0 else b"miss", n) for n in range(100)))
    assert logs(viewer, "-g", "hit", "-i", "-n", "2", "-o", "raw").stdout == b"HIT 80\nHIT 90\n"
    assert logs(viewer, "-v", "[0-8]$", "-n", "1", "-o", "raw").stdout == b"miss 99\n"
    assert logs(viewer, "-q", "hit -80", "-n", "all", "-o", "raw").stdout == b"".join(
        b"HIT %d\n" % n for n in (*range(0, 80, 10), 90)
    )
    assert logs(viewer, "--query=-hit src:web/*", "-g", "5$", "-n", "2", "-o", "raw").stdout == b"miss 85\nmiss 95\n"
    assert logs(viewer, "-q", "kind:haproxy", "-n", "all").stdout == b""
    assert logs(viewer, "-n", "0").stdout == b""


def test_starts_before_the_first_line_shown_are_not_told(shelf: Shelf, viewer: Viewer) -> None:
    for number in range(5):
        begin = 7 * number
        shelf.append("web/1/app/i", b"life %d\n" % number, starts=((begin, f"2026-11-23T20:0{number}:00Z"),))
        shelf.append("web/1/supervise/i", events.line(shelf.now_ms / 1000, "snapshot", {"v": 1}))
        shelf.now_ms += 60_000
    shelf.lose(Loss("x", "web/1/app/i", 0, 99, reason="over budget"))
    assert logs(viewer, "-g", "no such thing", "-n", "50").stderr.count(b"was started") == 0
    assert b"99 bytes are lost" in logs(viewer, "-g", "no such thing", "-n", "50").stderr
    assert logs(viewer, "-g", "life 3", "-n", "50", "web:app").stderr.count(b"was started") == 2
    assert logs(viewer, "-g", "life 3", "-n", "all", "web:app").stderr.count(b"was started") == 2
    assert logs(viewer, "-n", "50", "web:app").stderr.count(b"was started") == 5
    nothing = logs(viewer, "-n", "0")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, b"", b"")


def test_json_is_a_record_a_line(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"one\n" + HOSTILE)
    one, two = map(json.loads, logs(viewer, "-o", "json").stdout.splitlines())
    assert (one["place"], one["program"], one["text"], one["offset"]) == ("web/1", "app", "one", 0)
    assert "base64" in two


def test_marks_go_to_standard_error_when_standard_output_is_a_pipe(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"one\n")
    shelf.lose(Loss("x", "web/1/app/i", 4, 99, reason="over budget"))
    found = logs(viewer)
    assert found.stdout.count(b"\n") == 1
    assert b"-- 99 bytes are lost: over budget --" in found.stderr


@pytest.mark.case(55, 109)
def test_a_line_cannot_command_the_terminal_and_colour_is_for_terminals(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", HOSTILE)

    plain = on_terminal(viewer, "logs", NO_COLOR="1")
    assert "\x1b" not in plain
    assert r"web/1:app |  red \u202eevil \xff" in plain
    coloured = on_terminal(viewer, "logs")
    assert "\x1b[2m" in coloured
    assert "\x1b]0;" not in coloured


@pytest.mark.case(128)
def test_following_goes_on_by_itself_after_the_viewer_was_gone(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"".join(b"old %d\n" % number for number in range(50)))
    with following(viewer, "-n", "3", "-o", "raw") as follow:
        eventually(lambda: follow.out.count(b"\n") == 3, "no history")
        shelf.append("web/1/app/i", b"live\n")
        eventually(lambda: b"live\n" in follow.out, "nothing came")
        viewer.stop()
        shelf.append("web/1/app/i", b"meanwhile\n")
        eventually(lambda: b"the viewer is gone" in follow.err, "it did not say so")
        viewer.start()
        eventually(lambda: b"meanwhile\n" in follow.out, "it did not go on")
        shelf.append("web/1/app/i", b"after\n")
        eventually(lambda: b"after\n" in follow.out, "it did not follow")
        assert follow.end() == 130
        assert follow.out == b"old 47\nold 48\nold 49\nlive\nmeanwhile\nafter\n"
        assert follow.err.decode().splitlines()[-1] == "logship logs: 6 lines, 0 gaps"


def test_following_goes_on_with_another_store_and_says_so(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    shelf.append("web/1/app/i", b"old\n")
    with following(viewer, "-o", "raw") as follow:
        eventually(lambda: follow.out == b"old\n", "no history")
        shelf.folder.rename(tmp_path / "kept")
        other = Shelf(shelf.folder)
        other.append("web/1/app/j", b"x" * 4000 + b"\n")
        eventually(lambda: b"there is another store now" in follow.err, "it did not say so")

        def came() -> bool:
            other.append("web/1/app/j", b"after\n")
            return b"after\n" in follow.out

        eventually(came, "it did not go on")
        assert follow.end() == 130
        other.close()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["webb"], 2, "did you mean web"),
        (["a b;c"], 2, "is no TARGET"),
        (["-g", "("], 2, "is no pattern"),
        (["-q", "statsu:500"], 2, "did you mean status?"),
        (["-q", "a or"], 2, "something is missing at the end; at character 5: a or»"),
        (["--since", "soon"], 2, "is no time"),
        (["-n", "many"], 2, "n is a whole number"),
        (["--url", "http://127.0.0.1:9"], 4, "cannot reach the viewer"),
        (["--url", "ftp://x"], 2, "no URL of a viewer"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    shelf: Shelf, viewer: Viewer, arguments: list[str], status: int, said: str
) -> None:
    shelf.append("web/1/app/i", b"x\n")
    found = logs(viewer, *arguments)
    assert (found.returncode, found.stdout) == (status, b"")
    assert said in found.stderr.decode()
    assert "Traceback" not in found.stderr.decode()


@pytest.mark.parametrize("command", ["logs", "losses", "sources"])
def test_a_target_that_means_nothing_does_not_sound_like_a_viewer_that_is_not_there(
    shelf: Shelf, viewer: Viewer, command: str
) -> None:
    shelf.append("web/1/app/i", b"x\n")
    said = logs(viewer, "nosuch", command=command).stderr.decode()
    assert f"cannot read {command}: no stream is meant by nosuch; there is: web" in said
    assert f"hint: asked was the viewer at {viewer.url}" in said


def test_a_reader_of_the_pipe_may_go_away(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"line\n" * 100_000)
    command = f"{sys.executable} -m logship logs -n all -o raw --url {viewer.url} | head -n 1; exit ${{PIPESTATUS[0]}}"
    found = subprocess.run(
        ["bash", "-c", command], cwd=TREE, env=environment(), capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (141, b"line\n", b"")


def test_an_event_comes_whole_and_its_lines_stand_below_each_other_on_a_terminal(shelf: Shelf, viewer: Viewer) -> None:
    trace = b"2026-11-23 20:00:00 ERROR it failed\nTraceback (most recent call last):\n"
    trace += b'  File "x", line 1\nValueError: odd\n'
    shelf.append("web/1/app/i", b"2026-11-23 19:59:59 fine\n" + trace + b"2026-11-23 20:00:00 fine\n")
    found = logs(viewer, "--events", "-n", "1", "-g", "odd", "-o", "raw")
    assert (found.returncode, found.stdout) == (0, trace)
    assert logs(viewer, "--events", "-n", "2", "-o", "raw").stdout == trace + b"2026-11-23 20:00:00 fine\n"
    shown = on_terminal(viewer, "logs", "--events", "-g", "odd", "--no-color").splitlines()
    texts = trace.decode().splitlines()
    assert [line.split(" | ")[1] for line in shown] == texts
    assert "web/1:app" in shown[0]
    assert {line.split(" | ")[0].strip() for line in shown[1:]} == {""}
    assert len({line.index(" | ") for line in shown}) == 1
    piped = logs(viewer, "--events", "-g", "odd").stdout.decode().splitlines()
    assert all("web/1:app | " in line for line in piped)
