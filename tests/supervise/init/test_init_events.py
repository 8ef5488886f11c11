"""Event lines and state.json: their form, and what healthy means."""

from __future__ import annotations

import json
from dataclasses import replace

from supervise.init.events import RUNNING, STARTING, STOPPING, LastExit, ProgramState, line, stamp, state, unwell

WELL = ProgramState("web", "RUNNING", True, True, 7, 1000000000.0, 2, None, 4096, 0.5, None, False)


def test_a_moment_is_told_in_utc_with_milliseconds() -> None:
    assert stamp(1795380000.9994) == "2026-11-22T20:40:00.999Z"
    assert stamp(None) is None


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    fields = {"said": "two\nlines \udcff ü", "program": "web"}
    found = line(0, "exit", fields)
    assert found.count(b"\n") == 1
    assert found.endswith(b"\n")
    assert json.loads(found) == {"time": "1970-01-01T00:00:00.000Z", "event": "exit", **fields}


def test_state_has_the_shape_of_the_architecture() -> None:
    ended = LastExit(None, "SIGKILL", 1000000000.0, "killed by SIGKILL")
    found = state(1000000001.0, "webapp", "h", "i", RUNNING, [replace(WELL, last_exit=ended)])
    assert found == {
        "v": 1,
        "time": "2001-09-09T01:46:41.000Z",
        "service": "webapp",
        "host": "h",
        "incarnation": "i",
        "phase": "running",
        "healthy": True,
        "warnings": [],
        "programs": [
            {
                "name": "web",
                "state": "RUNNING",
                "ready": True,
                "essential": True,
                "pid": 7,
                "started": "2001-09-09T01:46:40.000Z",
                "restarts": 2,
                "next_try": None,
                "rss_bytes": 4096,
                "cpu_seconds": 0.5,
                "last_exit": {
                    "status": None,
                    "signal": "SIGKILL",
                    "time": "2001-09-09T01:46:40.000Z",
                    "text": "killed by SIGKILL",
                },
            }
        ],
    }


def test_healthy_is_every_program_running_and_ready_in_a_running_container() -> None:
    assert unwell(RUNNING, [WELL]) == []
    assert unwell(STARTING, [WELL]) == ["the container is starting"]
    assert unwell(STOPPING, [WELL]) == ["the container is stopping"]
    assert unwell(RUNNING, [WELL, replace(WELL, name="b", state="FATAL")]) == ["b is FATAL"]
    assert unwell(RUNNING, [replace(WELL, ready=False)]) == ["web is not ready"]


def test_a_program_that_a_person_stopped_does_no_harm() -> None:
    stopped = replace(WELL, state="STOPPED", ready=False, pid=None, by_person=True)
    assert unwell(RUNNING, [stopped, WELL]) == []
