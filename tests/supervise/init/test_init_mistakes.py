"""Mistakes put into PID 1: it survives them, tells them, and what it cannot survive ends the container in bounds."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from supervise.config import Settings
from supervise.init import cli
from tests.supervise.init.conftest import until

Life = Any

SLEEP = 'command = ["/bin/sleep", "1000"]\nrestart = { start_seconds = 1 }\n'

BROKEN = """
import sys
from pathlib import Path
from supervise.init import __main__ as stage2, run
turns, notes = run.Conductor._start_turn, run.Conductor.note
count = [0, 0]
def start_turn(self, *words):
    count[0] += 1
    if count[0] % 2:
        raise RuntimeError("a turn that fails")
    return turns(self, *words)
def note(self, change):
    notes(self, change)
    count[1] += 1
    if count[1] == 2:
        raise RuntimeError("a callback that fails")
run.Conductor._start_turn, run.Conductor.note = start_turn, note
{more}
sys.exit(stage2.main(Path(sys.argv[1])))
"""


def launch_broken(life: Life, more: str = "") -> None:
    """Stage 2 with mistakes put into it."""
    settings = Settings(declaration=life.declaration, run_dir=life.run_dir, spool_dir=life.spool_dir)
    plan = cli.prepare(settings, dict(os.environ))
    life.launch([sys.executable, "-c", BROKEN.replace("{more}", more), str(plan)])


def test_pid_1_survives_its_own_mistakes_and_tells_them(life: Life) -> None:
    life.declare(f"[program.a]\n{SLEEP}[program.b]\n{SLEEP}after = ['a']\n")
    launch_broken(life)
    life.wait("ready", program="b")
    told = {event["where"]: event["text"] for event in life.events("fault")}
    assert "a turn that fails" in told["start"]
    assert "a callback that fails" in told["event"]
    life.wait("health", healthy=True)
    assert life.end() == 0


def test_a_stop_that_keeps_failing_still_ends(life: Life) -> None:
    life.declare(f"[program.a]\n{SLEEP}[program.b]\n{SLEEP}after = ['a']\nready = {{ command = ['/bin/true'] }}\n")
    launch_broken(life, "def fails(*_): raise RuntimeError('a stop that fails')\nrun.OrderedStop.turn = fails")
    life.wait("ready", program="b")
    pids = [life.wait("start", program=name)["pid"] for name in "ab"]
    assert life.end() == 0
    assert any("a stop that fails" in event["text"] for event in life.events("fault"))
    until("its programs are gone", lambda: not any(map(lives, pids)))


def test_a_loop_that_keeps_failing_ends_the_container_and_its_programs(life: Life) -> None:
    life.declare(f"[program.a]\n{SLEEP}")
    more = (
        "from supervise.init import pid1\n"
        "def reap(self, *_, **__):\n"
        "    if self.process_groups['a'].processes['a'].pid: raise RuntimeError('a loop that fails')\n"
        "pid1.Supervisor.reap = reap"
    )
    launch_broken(life, more)
    assert life.status() == 70
    start = life.wait("start", program="a")
    assert any(event["where"] == "supervisord's loop" for event in life.events("fault"))
    until("its program is gone", lambda: not lives(start["pid"]))


def lives(pid: int) -> bool:
    """Whether the process is there and no zombie: who takes in an orphan may take its time to reap it."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("group", ["true", "false"])
def test_a_stop_signal_in_the_middle_of_fork_and_exec_ends_the_child(life: Life, group: str) -> None:
    """The window is held open until the signal has come; one that is lost would leave it open."""
    life.declare(f"[program.a]\n{SLEEP}stop = {{ seconds = 600, group = {group} }}\n")
    more = (
        "import os, time\n"
        "from supervise.init import pid1\n"
        "pid1.Options.setpgrp = lambda self: (time.sleep(1000), os.setpgrp())"
    )
    launch_broken(life, more)
    life.wait("start", program="a")
    life.rpc.stopProcess("a", False)
    assert life.wait("exit")["signal"] == "SIGTERM"
    assert life.end() == 0
