"""What HAProxy 3.0.11 answers, word for word, and what is said of it."""

from __future__ import annotations

import json

import pytest

from logship.audit import counters
from logship.audit.counters import LINE_BYTES_MAX, Reading, Said, Teller, parse_said
from logship.values import Invalid

INFO = """Name: HAProxy
Version: 3.0.11-1+deb13u5
Nbthread: 1
Pid: 23445
Uptime: 0d 0h00m00s
CurrConns: 3
CumReq: 2
Stopping: 0
Jobs: 7
Unstoppable Jobs: 1
DroppedLogs: 17
Start_time_sec: 1795479435
"""
TABLE = "# table: http, type: integer, size:16, used:1\n0x7f9f04832288: key=1 use=0 exp=0 shard=0 gpc0=119425\n"
EMPTY = "# table: http, type: integer, size:16, used:0\n"
NO_VARIABLE = "Variable not found.\n"
VARIABLE = "proc.lines: type=sint value=<119425>\n"
STAT = """# pxname,svname,qcur,req_tot,end,
http,FRONTEND,,12,x,
stats,FRONTEND,,3,x,
app,BACKEND,,9,x,
odd,FRONTEND,,,x,
"""
PROC = """#<PID>          <type>          <reloads>       <uptime>        <version>
23442           master          1 [failed: 0]   0d00h00m01s     3.0.11-1+deb13u5
# workers
23490           worker          0               0d00h00m01s     3.0.11-1+deb13u5
# old workers
23445           worker          1               0d00h00m01s     3.0.11-1+deb13u5
# programs

"""


def reading(*, lines: int = 5, dropped: int = 0, threads: int = 1, stopping: bool = False) -> Reading:
    return Reading(7, 100, threads, lines, (dropped, dropped), 1, stopping)


def test_a_cut_is_read_from_the_answers() -> None:
    found = counters.reading_of([INFO, TABLE, VARIABLE, INFO.replace("DroppedLogs: 17", "DroppedLogs: 19"), STAT])
    assert found == Reading(23445, 1795479435, 1, 119425, (17, 19), 3, False, (("http", 12), ("stats", 3)))
    assert not found.exact
    assert not found.final


def test_a_stopping_worker_without_connections_is_final() -> None:
    over = INFO.replace("Stopping: 0", "Stopping: 1").replace("CurrConns: 3", "CurrConns: 0")
    found = counters.reading_of([over, EMPTY, VARIABLE, over, STAT])
    assert isinstance(found, Reading)
    assert found.final
    assert found.lines == 119425, "its table is empty already, its variable is not"


@pytest.mark.parametrize(
    ("table", "variable", "lines"),
    [
        (TABLE, VARIABLE, 119425),
        (TABLE, "proc.lines: type=sint value=<119424>\n", 119425),
        (EMPTY, NO_VARIABLE, 0),
        ("No such table\n", NO_VARIABLE, None),
    ],
)
def test_the_last_number_is_in_the_table_or_in_the_variable(table: str, variable: str, lines: int | None) -> None:
    assert counters.parse_lines(table, variable) == lines


def test_answers_that_are_none_are_refused() -> None:
    assert isinstance(counters.parse_info("Unknown command\n"), Invalid)
    other = INFO.replace("Pid: 23445", "Pid: 1")
    assert isinstance(counters.reading_of([INFO, TABLE, VARIABLE, other, STAT]), Invalid)
    assert counters.parse_requests("Permission denied\n") == ()


def test_workers_are_those_of_the_master_old_ones_too() -> None:
    assert counters.parse_workers(PROC) == (23445, 23490)


def test_what_is_said_is_read_again() -> None:
    taken = reading(lines=9, dropped=2)
    line = json.dumps(counters.counted("2026-11-23T20:00:00.000Z", taken, True, 4711, [7, 8])).encode()
    assert parse_said(line) == Said("2026-11-23T20:00:00.000Z", 7, 100, 4711, (7, 8), taken, False, True)
    line = json.dumps(counters.gone("2026-11-23T20:00:00.000Z", 7, 100, None, [])).encode()
    assert parse_said(line) == Said("2026-11-23T20:00:00.000Z", 7, 100, None, (), None)


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"{}", b'{"event": "counted"}', b'{"event": "gone", "pid": []}', b"x" * (LINE_BYTES_MAX + 1), b"\xff"],
)
def test_what_nobody_said_is_no_cut(line: bytes) -> None:
    assert isinstance(parse_said(line), Invalid)


def test_other_events_are_passed_over() -> None:
    assert parse_said(b'{"event": "silent"}') is None


def test_a_line_is_worth_saying_when_it_says_something_new() -> None:
    teller = Teller(600)
    assert teller.worth(reading(), True, [7], 0)
    assert not teller.worth(reading(), True, [7], 10)
    assert teller.worth(reading(), True, [7, 8], 20), "another worker is there"
    assert teller.worth(reading(dropped=1), True, [7, 8], 30)
    assert not teller.worth(reading(dropped=1), True, [7, 8], 40)
    assert teller.worth(reading(dropped=1), True, [7, 8], 640), "now and then, so that it is known to live"
    teller.forget(7)
    assert teller.worth(reading(dropped=1), True, [7, 8], 641)


def test_of_several_threads_a_count_is_settled_when_it_has_stood_for_a_while() -> None:
    teller = Teller(600)
    assert teller.settled(reading(), 0), "one thread numbers and writes in one go"
    teller.forget(7)
    assert not teller.settled(reading(threads=2), 0)
    assert teller.settled(reading(threads=2), 1)
    assert not teller.settled(reading(threads=2, lines=6), 2)
    assert not teller.settled(reading(threads=2, lines=6), 2.1)
