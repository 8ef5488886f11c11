"""`supervise init` as a real process: how it ends, starts anew, and survives."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault

import pytest

from tests.supervise.init.conftest import until

Life = Any

SLEEP = 'command = ["/bin/sleep", "1000"]\nrestart = { start_seconds = 1 }\n'


def stubborn(life: Life, name: str) -> str:
    """A program that takes no SIGTERM; ``until_trapped`` waits until that is so."""
    script = f"trap '' TERM; touch {life.folder}/{name}; while :; do sleep 1; done"
    return f"""command = ["/bin/sh", "-c", "{script}"]\n"""


def until_trapped(life: Life, name: str) -> None:
    until(f"{name} begins", (life.folder / name).exists)


def descriptors(pid: int) -> dict[int, str]:
    """Open descriptors of a process, with what they are (numbers of pipes and sockets left out)."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(path.name)] = str(path.readlink()).partition(":[")[0]
        except OSError:
            continue  # the listing's own
    return found


def test_a_program_that_ignores_its_signal_is_killed_after_its_seconds(life: Life) -> None:
    life.start(
        f"[program.a]\n{SLEEP}[program.b]\n{stubborn(life, 'b')}stop = {{ seconds = 1 }}\n"
        "restart = { start_seconds = 1 }\n"
    )
    life.wait_healthy()
    until_trapped(life, "b")
    assert life.end() == 0
    stopped = life.wait("stopped", program="b")
    assert stopped["text"] == "killed by SIGKILL"
    assert stopped["milliseconds"] >= 990
    assert life.wait("ended")["status"] == 0


def test_when_stop_seconds_are_over_everything_is_killed(life: Life) -> None:
    life.start(
        f"[program.a]\n{stubborn(life, 'a')}[program.b]\n{stubborn(life, 'b')}after = ['a']\n"
        "ready = { command = ['/bin/true'] }\nstop = { seconds = 600 }\n",
        container="stop_seconds = 0.5",
    )
    life.wait("start", program="a")
    life.wait("start", program="b")
    until_trapped(life, "a")
    until_trapped(life, "b")
    assert life.end() == 0
    assert [event["program"] for event in life.events("overdue")] != []
    assert {event["text"] for event in life.events("stopped")} == {"killed by SIGKILL"}


@pytest.mark.parametrize("group", ["true", "false"])
def test_no_stop_signal_is_lost_between_fork_and_exec(life: Life, group: str) -> None:
    """Stopped right after its start, 25 times: supervisord alone loses one of about 15, and waits for its SIGKILL."""
    life.start(f"[program.a]\n{SLEEP}stop = {{ seconds = 60, group = {group} }}\n")
    life.wait("start", program="a")
    life.rpc.stopProcess("a")
    for number in range(2, 27):
        life.rpc.startProcess("a", False)
        life.rpc.stopProcess("a", False)
        assert life.wait("exit", count=number)["signal"] == "SIGTERM"
    assert life.end() == 0
    assert not life.events("fault")


def test_a_stop_that_comes_while_programs_start_ends_with_0(life: Life) -> None:
    names = [f"p{number}" for number in range(8)]
    programs = "".join(f"[program.{name}]\n{SLEEP}stop = {{ seconds = 600 }}\n" for name in names)
    life.start(programs, container="stop_seconds = 600")
    life.wait("start", program="p0")
    assert life.end() == 0
    assert {event["signal"] for event in life.events("exit")} == {"SIGTERM"}


def test_a_signal_that_comes_before_supervisord_runs_is_not_lost(life: Life) -> None:
    """The kernel drops what PID 1 has no handler for, so it is blocked from the start."""
    life.start(f"[program.a]\n{SLEEP}")
    until("there is a plan", (life.run_dir / "plan.json").exists, every=0.001)
    assert life.end() == 0
    assert life.wait("ended")["status"] == 0


@pytest.mark.case(120)
def test_sighup_stops_all_in_order_and_starts_it_again_in_the_same_process(life: Life) -> None:
    life.start(f"[program.a]\n{SLEEP}[program.b]\n{SLEEP}after = ['a']\nready = {{ command = ['/bin/true'] }}\n")
    life.wait_healthy()
    pids = {name: life.program(name)["pid"] for name in "ab"}
    # A program's input and the FIFO, nothing of PID 1's, once supervise exec has become the program.
    fifo = str(life.run_dir / "fifo" / "a")
    own = {0: "/dev/null", 1: fifo, 2: fifo}
    until("a has its own descriptors alone", lambda: descriptors(pids["a"]) == own)
    before = descriptors(life.pid)
    life.signal(signal.SIGHUP)
    life.wait("init", life=2)
    life.wait("health", count=2, healthy=True)
    assert life.order("stopping", "stopped") == ["stopping b", "stopped b", "stopping a", "stopped a"]
    assert life.order("start") == ["start a", "start b"] * 2
    again = {name: life.program(name)["pid"] for name in "ab"}
    assert not set(again.values()) & set(pids.values())
    # PID 1: what it holds lies above supervisord's minfds and is what it was; a check may come and go below.
    after = descriptors(life.pid)
    assert {number: what for number, what in after.items() if number >= 256} == {
        number: what for number, what in before.items() if number >= 256
    }
    assert len(after) <= len(before) + 3
    until("a has its own descriptors alone, again", lambda: descriptors(again["a"]) == own)
    assert life.end() == 0
    assert not life.events("fault")


def test_sighup_again_and_again_leaks_nothing(life: Life) -> None:
    life.start(f"[program.a]\n{SLEEP}")
    life.wait("start", program="a")
    counts = []
    for number in range(2, 7):
        life.rpc.getState()
        life.signal(signal.SIGHUP)
        life.wait("init", life=number)
        life.wait("start", count=number, program="a")
        counts.append(len(descriptors(life.pid)))
    assert max(counts) <= min(counts) + 2
    assert life.end() == 0


def test_a_shutdown_while_all_stop_to_start_again_is_a_shutdown(life: Life) -> None:
    life.start(f"[program.a]\n{stubborn(life, 'a')}stop = {{ seconds = 600 }}\n", container="stop_seconds = 600")
    pid = life.wait("start", program="a")["pid"]
    until_trapped(life, "a")
    life.signal(signal.SIGHUP)
    life.wait("stop", mode="restart")
    life.signal(signal.SIGTERM)
    life.wait("stop", mode="shutdown")
    os.kill(pid, signal.SIGKILL)
    assert life.status() == 0
    assert len(life.events("init")) == 1


def test_what_a_person_stops_stays_stopped_and_the_container_healthy(life: Life) -> None:
    life.start(f"[program.a]\n{SLEEP}[program.b]\n{SLEEP}")
    life.wait_healthy()
    life.rpc.stopProcess("b")
    life.wait("operator", action="stop", program="b")
    life.wait("exit", program="b")
    pid = life.program("a")["pid"]
    os.kill(pid, signal.SIGKILL)  # something else happens, and b is no part of it
    life.wait("ready", count=2, program="a")
    life.wait("health", count=2, healthy=True)
    assert life.wait_program("a", ready=True)["restarts"] == 1
    assert life.program("b")["state"] == "STOPPED"
    assert len(life.events("start", program="b")) == 1
    assert life.rpc.startProcess("b") is True
    life.wait("operator", action="start", program="b")
    life.wait_program("b", state="RUNNING", restarts=1)
    assert life.end() == 0


def test_the_rpc_shutdown_is_an_ordered_stop_and_refuses_starts(life: Life) -> None:
    life.start(
        f"[program.a]\n{SLEEP}[program.b]\n{stubborn(life, 'b')}after = ['a']\n"
        "ready = { command = ['/bin/true'] }\nstop = { seconds = 600 }\n",
        container="stop_seconds = 600",
    )
    pid = life.wait("start", program="b")["pid"]
    until_trapped(life, "b")
    with pytest.raises(Fault, match=r"declared in supervise\.toml"):
        life.rpc.removeProcessGroup("a")
    life.rpc.shutdown()
    life.wait("stopping", program="b")
    with pytest.raises(Fault, match="SHUTDOWN_STATE"):
        life.rpc.startProcess("a")
    os.kill(pid, signal.SIGKILL)
    assert life.status() == 0
    assert life.order("stopping") == ["stopping b", "stopping a"]


def test_the_rpc_restart_begins_a_new_life(life: Life) -> None:
    life.start(f"[program.a]\n{SLEEP}")
    life.wait("start", program="a")
    life.rpc.restart()
    life.wait("start", count=2, program="a")
    assert life.wait("stop")["reason"] == "operator"
    assert life.end() == 0


def test_snapshots_come_at_their_interval_and_carry_the_whole_picture(life: Life) -> None:
    life.start(f"[program.a]\n{SLEEP}", container="snapshot_seconds = 1")
    life.wait("snapshot", count=3)
    last = life.events("snapshot")[-1]
    assert last["programs"][0]["name"] == "a"
    assert (last["reaped"], last["faults"], last["dropped_bytes"]) == (0, 0, 0)
    assert {key for key in last if key not in life.state()} == {
        "event",
        "reaped",
        "faults",
        "dropped_bytes",
        "undrained_bytes",
    }
    assert life.end() == 0
