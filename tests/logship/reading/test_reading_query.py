"""``logship query``, as people and scripts run it, against a real viewer."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from logship.reading.tables import Shown
from logship.values import Loss
from logship.view.language import Piped, parse_piped
from supervise.init import events
from tests.logship.reading.test_reading_logs import logs
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import PATIENCE_SECONDS, TREE, Viewer, environment, on_terminal

LINE = (
    "10.0.0.{0}:1 [23/Nov/2026:20:0{1}:30.000] http app/s{0} 0/0/0/{2}/{2} {3} 295 - - ---- 1/1/0/0/0 0/0 "
    '"GET /p/{0}?q=1 HTTP/1.1"\n'
)


def query(viewer: Viewer, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return logs(viewer, *arguments, command="query")


def requests(shelf: Shelf) -> None:
    """Ten in each of minutes 0 and 2; every fourth one fails."""
    shelf.now_ms += 5 * 60_000
    lines = [LINE.format(n % 3, 2 * (n % 2), n * 10, 503 if n % 4 == 0 else 200) for n in range(20)]
    shelf.append("ha/1/haproxy/i", "".join(lines).encode())


def test_a_table_into_a_pipe_is_plain(shelf: Shelf, viewer: Viewer) -> None:
    requests(shelf)
    found = query(viewer, "| p50,max,avg t_total by server, status:class", "ha")
    assert (found.returncode, found.stdout) == (0, b"")  # option httplog has no t_total
    assert found.stderr.decode().splitlines() == [
        "logship query: no line matches", "logship query: 20 lines have no t_total",
    ]  # fmt: skip
    found = query(viewer, "| p50,max,avg t_response by server, status:class", "ha")
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout.decode().splitlines() == [
        "SERVER  STATUS:CLASS  COUNT  P50  MAX  AVG",
        "s0      2xx               5   90  180  102",
        "s0      5xx               2    0  120   60",
        "s1      2xx               5  100  190  100",
        "s1      5xx               2   40  160  100",
        "s2      2xx               5  110  170   98",
        "s2      5xx               1   80   80   80",
    ]
    assert query(viewer, "status:5xx | count").stdout == b"5\n"


def test_spans_of_time_are_rows_and_groups_are_columns(shelf: Shelf, viewer: Viewer) -> None:
    requests(shelf)
    assert query(viewer, "| count 1m by status").stdout.decode().splitlines() == [
        "TIME                 200  503",
        "2026-11-23 20:00:00    5    5",
        "2026-11-23 20:01:00    0    0",
        "2026-11-23 20:02:00   10    0",
    ]
    assert query(viewer, "| rate 2m").stdout.decode().splitlines() == [
        "TIME                 COUNT   RATE",
        "2026-11-23 20:00:00     10  0.083",
        "2026-11-23 20:02:00     10  0.083",
    ]


def test_json_and_csv_are_for_programs(shelf: Shelf, viewer: Viewer) -> None:
    requests(shelf)
    shelf.append("ha/1/supervise/i", events.line(shelf.now_ms / 1000, "snapshot", {"v": 1}))
    shelf.lose(Loss("x", "ha/1/haproxy/i", None, None, 37, "lines"))
    found = query(viewer, "| top 2 path:bare", "-o", "json")
    *rows, total, losses = map(json.loads, found.stdout.splitlines())
    assert rows == [
        {"type": "row", "path:bare": "/p/0", "count": 7}, {"type": "row", "path:bare": "/p/1", "count": 7},
    ]  # fmt: skip
    assert (total["counted"], total["rest"], total["groups"], total["hidden"]) == (20, 6, 3, 1)
    assert (losses["type"], losses["counts"]) == ("losses", {"lines": 37})
    told = found.stderr.decode()
    assert "logship query: the numbers may be short by 37 lines\n" in told
    assert "1 snapshots are not counted; --snapshots counts them" in told
    shelf.append("web/1/app/i", b'{"x": "a,\\"b\\""}\n{"x": "=1+1"}\n')
    found = query(viewer, "| count by json.x", "-o", "csv")
    assert list(csv.reader(found.stdout.decode().splitlines())) == [
        ["json.x", "count"], ["", "20"], ["'=1+1", "1"], ['a,"b"', "1"],
    ]  # fmt: skip
    assert list(csv.reader(query(viewer, "| top 1 server", "-o", "csv").stdout.decode().splitlines())) == [
        ["server", "count"], ["s0", "7"], ["(the rest)", "13"],
    ]  # fmt: skip
    assert query(viewer, "| count by program", "--snapshots", "supervise*", "ha:supervise").returncode == 2
    assert query(viewer, "| count", "--snapshots", "ha").stdout == b"21\n"


def test_patterns_are_lines_that_are_alike(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"took 5 ms\ntook 7 ms\n\x1b[31mred \xe2\x80\xae\n")
    assert query(viewer, "| patterns").stdout.decode().splitlines() == [
        "COUNT  PATTERN", "    2  took <n> ms", r"    1  red \u202e",
    ]  # fmt: skip


def test_without_a_pipe_it_is_logs(shelf: Shelf, viewer: Viewer) -> None:
    requests(shelf)
    asked = ("status:503 path:/p/1*", "ha")
    assert query(viewer, *asked).stdout == logs(viewer, "-q", *asked).stdout != b""
    assert query(viewer, *asked, "-o", "json").stdout == logs(viewer, "-q", *asked, "-o", "json").stdout
    assert query(viewer, *asked, "-o", "csv").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["| coutn"], 2, "did you mean count?"),
        (["| count by servre"], 2, "did you mean server?; at character 12: | count by »servre"),
        (["| count", "webb"], 2, "did you mean web"),
        (["| count", "--since", "soon"], 2, "is no time"),
        (["| count", "--url", "http://127.0.0.1:9"], 4, "cannot reach the viewer"),
        ([], 2, "QUERY"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_sentence(
    shelf: Shelf, viewer: Viewer, arguments: list[str], status: int, said: str
) -> None:
    shelf.append("web/1/app/i", b"x\n")
    found = query(viewer, *arguments)
    assert (found.returncode, found.stdout) == (status, b"")
    assert said in found.stderr.decode()
    assert "Traceback" not in found.stderr.decode()


def test_a_terminal_shows_bars_and_how_far_it_is(shelf: Shelf, viewer: Viewer) -> None:
    requests(shelf)
    shown = on_terminal(viewer, "query", "| count by status", NO_COLOR="1")
    assert "\x1b" not in shown
    assert re.search(r"\rsearched back to Nov 23 20:0\d:00, 100%, 20 lines, 20 match\r +\r", shown)
    lines = [line for line in shown.replace("\r", "\n").splitlines() if "█" in line]
    assert [line.split()[:2] for line in lines] == [["200", "15"], ["503", "5"]]
    assert [line.count("█") for line in lines] == [30, 10]
    assert "\x1b[36m" in on_terminal(viewer, "query", "| count by status")


def test_interrupted_it_says_how_far_it_was(shelf: Shelf, viewer: Viewer) -> None:
    data = (LINE.format(1, 1, 7, 200) * 5000).encode()
    for number in range(60):
        shelf.append(f"ha/{number % 3}/haproxy/i", data, packed=True)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "logship", "query", "| patterns", "--url", viewer.url]
    process = subprocess.Popen(command, cwd=TREE, env=environment(), stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    told = b""
    while b"match" not in told:
        told += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    try:
        while data := os.read(ours, 65536):
            told += data
    except OSError:
        pass
    os.close(ours)
    assert process.wait(PATIENCE_SECONDS) == 130
    assert process.stdout is not None
    assert process.stdout.read() == b""
    process.stdout.close()
    last = [line for line in told.decode().replace("\r", "\n").splitlines() if line.strip()][-1]
    assert re.fullmatch(
        r"logship query: interrupted: searched (back to [^,]+, )?\d+%, [\d,]+ lines, [\d,]+ match", last
    )


def test_a_table_says_what_was_folded_and_what_is_beyond_the_limit() -> None:
    def table(text: str, **said: Any) -> list[str]:
        found = parse_piped(text)
        assert isinstance(found, Piped)
        assert found.pipe is not None
        full = {"rest": 0, "others": [], "keys": 1, **said}
        return Shown(found.pipe, lambda moment: moment, False, False).table(full)

    assert table("| count by server", columns=["server", "count"], rows=[["a", 2]], others=[[None, 7]]) == [
        "SERVER    COUNT", "a             2", "(others)      7",
    ]  # fmt: skip
    assert table("| top 1 server", columns=["server", "count"], rows=[["a", 2]], rest=5) == [
        "SERVER      COUNT", "a               2", "(the rest)      5",
    ]  # fmt: skip
    at = "2026-11-23T20:00:00.000Z"
    assert table(
        "| count 1m by server", columns=["time", "server", "count"], keys=2, rows=[[at, "a", 2], [at, None, 1]],
        others=[[at, None, 7]],
    ) == ["TIME                 (OTHERS)  A  -", "2026-11-23 20:00:00         7  2  1"]  # fmt: skip


def test_the_reader_of_the_pipe_may_go_away(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    shelf.append("web/1/app/i", b"".join(b'{"n": %d}\n' % n for n in range(20_000)))
    command = (
        f"{sys.executable} -m logship query '| count by json.n' --url {viewer.url} 2>{tmp_path / 'err'} | head -n 1; "
        "exit ${PIPESTATUS[0]}"
    )
    found = subprocess.run(
        ["bash", "-c", command], cwd=TREE, env=environment(), capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert (found.returncode, found.stdout, (tmp_path / "err").read_text()) == (141, b"JSON.N  COUNT\n", "")
