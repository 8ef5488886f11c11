"""What is shown: tables as they are read, JSON lines as they are parsed, sentences of trouble."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from supervise.fleet.matrix import matrix
from supervise.fleet.report import container_line, status_lines, status_table, troubles
from supervise.fleet.result import Result, result_from, result_table, status_of
from supervise.fleet.snapshot import View, view
from supervise.fleet.table import Cell, clipped, duration, harmless, painted, table
from tests.supervise.fleet.places import NOW, container, ended, program, state


def fleet() -> list[tuple[View, tuple[str, ...]]]:
    """One of everything."""
    killed = ended("killed by SIGKILL", signal="SIGKILL")
    nodes = [
        (container("ha", 1), state(program("haproxy", pid=1234), program("serf", restarts=2, last_exit=killed))),
        (
            container("webapp", 1, health="unhealthy"),
            state(
                program("webapp", "BACKOFF", restarts=2, next_try="2026-11-23T21:00:03.000Z", last_exit=killed),
                program("serf", ready=False),
                program("spool", "FATAL", last_exit=ended("exited with status 3", ago=90000, status=3)),
            ),
        ),
        (container("webapp", 2), state(program("webapp", "STOPPED"), program("serf", "STARTING"))),
        (container("webapp", 3, state="exited"), None),
        (container("webapp", 4), state(program("webapp"), program("serf"), age=75)),
        (container("webapp", 5), None),
    ]
    views = [view(item, answer, NOW) for item, answer in nodes]
    return [(v, tuple(p.name for p in v.snapshot.programs) if v.snapshot else ()) for v in views]


STATUS = """
   CONTAINER  PROGRAM  STATE     READY  PID   UPTIME  RESTARTS  LAST EXIT
   ha/1       haproxy  RUNNING   yes    1234  1h00m   0         -
   ha/1       serf     RUNNING   yes    40    1h00m   2         killed by SIGKILL 5s ago
!  webapp/1   webapp   BACKOFF   no     -     -       2         killed by SIGKILL 5s ago, next try in 3 s
!  webapp/1   serf     RUNNING   no     40    1h00m   0         -
!  webapp/1   spool    FATAL     no     -     -       0         exited with status 3 1d01h ago
-  webapp/2   webapp   STOPPED   no     -     -       0         -
!  webapp/2   serf     STARTING  no     40    1h00m   0         -
!  webapp/3   -        exited    -      -     -       -         exited (137) 3 minutes ago
!  webapp/4   -        unknown   -      -     -       -         state.json is 75 s old: PID 1 hangs, or clocks differ
?  webapp/4   webapp   RUNNING   yes    40    1h00m   0         -
?  webapp/4   serf     RUNNING   yes    40    1h00m   0         -
!  webapp/5   -        unknown   -      -     -       -         has no state.json: is PID 1 supervise init?
"""

MATRIX = """
   CONTAINER  HEALTH     HAPROXY  SERF             WEBAPP      SPOOL
   ha/1       healthy    1h00m    1h00m x2         -           -
!  webapp/1   unhealthy  -        not ready 1h00m  backoff x2  fatal
!  webapp/2   healthy    -        starting         stopped     -
!  webapp/3   exited     -        -                -           -
!  webapp/4   healthy    -        1h00m            1h00m       -
!  webapp/5   healthy    -        -                -           -

! webapp/1: webapp exited: killed by SIGKILL, 2 restarts, next try in 3 s
! webapp/1: serf is running but not ready
! webapp/1: spool was given up: exited with status 3
! webapp/2: serf is starting
! webapp/3 exited (137) 3 minutes ago
! webapp/4 state.json is 75 s old: PID 1 hangs, or clocks differ
! webapp/5 has no state.json: is PID 1 supervise init?
"""


def test_status_shows_every_program_and_a_reason_for_every_container_that_cannot_be_asked() -> None:
    assert status_table(fleet(), NOW, colour=False) == STATUS.strip("\n").splitlines()


def test_ps_shows_a_row_a_container_and_every_trouble_in_words() -> None:
    assert matrix(fleet(), NOW, colour=False) == MATRIX.strip("\n").splitlines()


def test_ps_of_chosen_programs_tells_only_their_troubles() -> None:
    chosen = [(seen, tuple(name for name in names if name == "serf")) for seen, names in fleet()[:3]]
    assert matrix(chosen, NOW, colour=False) == [
        "   CONTAINER  HEALTH     SERF",
        "   ha/1       healthy    1h00m x2",
        "!  webapp/1   unhealthy  not ready 1h00m",
        "!  webapp/2   healthy    starting",
        "",
        "! webapp/1: serf is running but not ready",
        "! webapp/2: serf is starting",
    ]


def test_a_program_that_a_person_stopped_is_marked_but_no_trouble() -> None:
    seen = view(container(), state(program("webapp", "STOPPED"), program("serf")), NOW)
    assert troubles(seen, NOW, ("webapp", "serf")) == []
    assert matrix([(seen, ("webapp", "serf"))], NOW, colour=False)[1].startswith("-  webapp/1")


def test_colour_changes_nothing_but_colour() -> None:
    painted = "\n".join([*status_table(fleet(), NOW, colour=True), *matrix(fleet(), NOW, colour=True)])
    plain = "\n".join([*status_table(fleet(), NOW, colour=False), *matrix(fleet(), NOW, colour=False)])
    assert "\x1b[31m" in painted
    for code in ("\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"):
        painted = painted.replace(code, "")
    assert [line.rstrip() for line in painted.splitlines()] == plain.splitlines()


def test_status_lines_have_one_object_a_program_and_one_for_each_container_without() -> None:
    lines = [json.loads(json.dumps(line)) for line in status_lines(fleet(), NOW)]
    assert [(line["container"], line["program"], line["well"]) for line in lines] == [
        ("ha/1", "haproxy", True),
        ("ha/1", "serf", True),
        ("webapp/1", "webapp", False),
        ("webapp/1", "serf", False),
        ("webapp/1", "spool", False),
        ("webapp/2", "webapp", False),
        ("webapp/2", "serf", False),
        ("webapp/3", None, False),
        ("webapp/4", None, False),
        ("webapp/4", "webapp", False),
        ("webapp/4", "serf", False),
        ("webapp/5", None, False),
    ]
    assert {line["v"] for line in lines} == {1}
    assert lines[2] | {"id": "", "name": ""} == {
        "v": 1,
        "container": "webapp/1",
        "service": "webapp",
        "number": 1,
        "name": "",
        "id": "",
        "program": "webapp",
        "state": "BACKOFF",
        "ready": False,
        "essential": False,
        "pid": None,
        "started": None,
        "uptime_seconds": None,
        "restarts": 2,
        "next_try": "2026-11-23T21:00:03.000Z",
        "rss_bytes": 1048576,
        "cpu_seconds": 1.5,
        "last_exit": {
            "status": None,
            "signal": "SIGKILL",
            "time": "2026-11-23T20:59:55.000Z",
            "text": "killed by SIGKILL",
        },
        "trouble": "exited: killed by SIGKILL, 2 restarts, next try in 3 s",
        "well": False,
    }
    assert lines[7]["trouble"] == "exited (137) 3 minutes ago"


def test_a_container_line_tells_its_programs_and_troubles() -> None:
    line = container_line(*fleet()[1], NOW)
    assert line["health"] == "unhealthy"
    assert line["well"] is False
    assert [item["program"] for item in line["programs"]] == ["webapp", "serf", "spool"]
    assert line["trouble"][1] == "webapp/1: serf is running but not ready"


RESULTS = [
    Result("webapp/1", "webapp", "restart", "done", "", "RUNNING", 40, 2.345),
    Result("webapp/1", "serf", "restart", "failed", "it was given up: exited with status 1", "FATAL", 0, 31.2),
    Result("webapp/2", "webapp", "restart", "timeout", "running, but not ready", "RUNNING", 41, 60),
    Result("webapp/3", "webapp", "restart", "unreachable", "the container is not running", "", 0, 0),
]


def test_results_are_a_row_each_with_the_reason() -> None:
    assert result_table(RESULTS, colour=False) == [
        "   CONTAINER  PROGRAM  RESULT       SECONDS  WHY",
        "   webapp/1   webapp   restarted    2.3      -",
        "!  webapp/1   serf     failed       31.2     it was given up: exited with status 1",
        "!  webapp/2   webapp   timed out    60.0     running, but not ready",
        "!  webapp/3   webapp   unreachable  -        the container is not running",
    ]


def test_the_exit_status_is_that_of_the_gravest_result() -> None:
    assert [status_of(RESULTS[:count]) for count in (0, 1)] == [0, 0]
    assert status_of([RESULTS[0], RESULTS[2]]) == 5
    assert status_of([RESULTS[2], RESULTS[1]]) == 1
    assert status_of(RESULTS) == 4


def test_a_result_survives_the_way_out_of_the_container() -> None:
    for item in RESULTS:
        back = result_from(json.loads(json.dumps(item.line())), item.container)
        assert back == Result(**{**item.__dict__, "seconds": round(item.seconds, 3)})


@given(st.dictionaries(st.sampled_from(sorted(RESULTS[0].line())), st.none() | st.integers() | st.text(), max_size=9))
def test_a_strange_result_line_is_refused_or_taken_and_never_breaks_the_fleet(line: dict[str, object]) -> None:
    try:
        assert result_from({**RESULTS[0].line(), **line}, "webapp/1").container == "webapp/1"
    except ValueError as error:
        assert "result" in str(error)  # noqa: PT017 - either outcome is right, and each has its own check


@given(st.lists(st.lists(st.text(max_size=8), min_size=3, max_size=3), max_size=5))
def test_columns_stay_aligned_whatever_the_cells(rows: list[list[str]]) -> None:
    cells = [[Cell(harmless(text).replace("\n", " ").replace("\t", " ")) for text in row] for row in rows]
    lines = table(("ONE", "TWO", "THREE"), cells, colour=False)
    assert len(lines) == len(rows) + 1
    starts = {line.index("TWO") for line in lines[:1]}
    for line, row in zip(lines[1:], cells, strict=True):
        assert line.ljust(next(iter(starts)))[next(iter(starts)) :].startswith(row[1].text.rstrip())


@given(st.text())
def test_harmless_text_commands_no_terminal(text: str) -> None:
    shown = harmless(text)
    assert all(char in "\n\t" or (char >= " " and not "\x7f" <= char <= "\x9f") for char in shown)
    assert not any("\u202a" <= char <= "\u202e" or "\u2066" <= char <= "\u2069" for char in shown)
    assert harmless(shown) == shown


@given(
    st.lists(st.tuples(st.sampled_from(["", "bad", "dim"]), st.text("ab c", max_size=9)), max_size=4),
    st.integers(0, 30),
)
def test_a_line_is_cut_to_the_width_of_the_terminal_and_colours_take_no_room(
    parts: list[tuple[str, str]], width: int
) -> None:
    plain = "".join(text for _, text in parts)
    coloured = "".join(painted(text, style, colour=True) for style, text in parts)
    assert clipped(plain, width) == plain[:width]
    assert re.sub("\x1b\\[[0-9;]*m", "", clipped(coloured, width)) == plain[:width]
    assert clipped(coloured, width).count("\x1b[0m") == coloured.count("\x1b[0m")


def test_durations_read_as_people_say_them() -> None:
    assert [duration(seconds) for seconds in (-1, 0, 59.9, 60, 3599, 3600, 86399, 86400, 900000)] == [
        "0s", "0s", "59s", "1m00s", "59m59s", "1h00m", "23h59m", "1d00h", "10d10h",
    ]  # fmt: skip


def test_a_program_name_cannot_reach_the_terminal_as_a_command() -> None:
    seen = view(container(), state(program("a\x1b]0;x\x07"), program("b", last_exit=ended("\x1b[2J"))), NOW)
    names = ("a\x1b]0;x\x07", "b")
    for text in (*status_table([(seen, names)], NOW, colour=False), *matrix([(seen, names)], NOW, colour=False)):
        assert "\x1b" not in text


def test_what_a_container_warns_of_is_trouble_though_its_programs_are_well() -> None:
    seen = view(container(), state(program("webapp"), warnings=["the volume takes no spool folder"]), NOW)
    assert troubles(seen, NOW, ["webapp"]) == [f"{seen.container.label}: the volume takes no spool folder"]
    assert container_line(seen, ["webapp"], NOW)["well"]
