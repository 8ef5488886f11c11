"""`supervise init` as a real process: start in order, readiness, restarts, exit status."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.supervise.init.conftest import until

Life = Any

SLEEP = 'command = ["/bin/sleep", "1000"]\nrestart = { start_seconds = 1 }\n'
FAILS = 'command = ["/bin/sh", "-c", "exit 9"]\n'


def listener(port: int, after_seconds: float) -> str:
    """A program that accepts on ``port`` some time after its start."""
    code = (
        f"import socket, time; time.sleep({after_seconds}); s = socket.create_server(('127.0.0.1', {port}))\n"
        "while True: s.accept()[0].close()"
    )
    return f'command = ["{sys.executable}", "-c", {json.dumps(code)}]\n'


def test_programs_start_when_what_they_wait_for_is_ready_and_stop_in_reverse(life: Life, free_port: int) -> None:
    life.start(
        f"[program.a]\n{listener(free_port, 0.3)}ready = {{ tcp = '127.0.0.1:{free_port}' }}\n"
        f"restart = {{ start_seconds = 1 }}\n"
        f"[program.b]\n{SLEEP}after = ['a']\nready = {{ command = ['/bin/true'] }}\n"
        f"[program.c]\n{SLEEP}after = ['b']\n"
        f"[program.d]\n{SLEEP}after = ['a', 'c']\n"
    )
    life.wait_healthy()
    assert life.order("start", "ready") == [f"{kind} {name}" for name in "abcd" for kind in ("start", "ready")]
    assert life.wait("init")["programs"] == ["a", "b", "c", "d"]
    assert life.wait("ready", program="a")["text"] == "connected"
    state = life.state()
    assert (state["phase"], state["service"], state["v"]) == ("running", "test", 1)
    for program in state["programs"]:
        assert (program["state"], program["ready"], program["restarts"]) == ("RUNNING", True, 0)
        assert program["rss_bytes"] > 0
        assert program["pid"] == life.wait("start", program=program["name"])["pid"]
    assert life.end() == 0
    assert life.order("stopping", "stopped") == [
        f"{kind} {name}" for name in "dcba" for kind in ("stopping", "stopped")
    ]
    assert life.wait("ended")["status"] == 0
    assert life.output.read_text() == ""
    assert life.state()["phase"] == "stopping"


def test_waits_between_tries_grow_until_it_is_given_up_and_others_live_on(life: Life) -> None:
    life.start(
        f"[program.loop]\n{FAILS}restart = {{ start_seconds = 60, tries = 4, backoff_seconds = 0.2 }}\n"
        f"[program.calm]\n{SLEEP}"
    )
    life.wait("gave_up", program="loop")
    assert [event["milliseconds"] for event in life.events("backoff")] == [200, 400, 800]
    assert [event["text"] for event in life.events("exit", program="loop")] == ["exit status 9"] * 4
    times = [_seconds(event) for event in life.events("start", program="loop")]
    ends = [_seconds(event) for event in life.events("exit", program="loop")]
    waits = [start - end for end, start in zip(ends, times[1:], strict=False)]
    # Not before the wait is over; a slow machine may be later.
    assert all(waited >= declared - 0.01 for waited, declared in zip(waits, (0.2, 0.4, 0.8), strict=True))
    loop = life.wait_program("loop", state="FATAL")
    assert (loop["restarts"], loop["pid"], loop["next_try"]) == (3, None, None)
    assert loop["last_exit"]["status"] == 9
    life.wait("state", program="calm", to="RUNNING")
    assert not life.state()["healthy"]
    assert life.end() == 0


def _seconds(event: dict[str, Any]) -> float:
    """When an event was, in seconds."""
    return datetime.fromisoformat(event["time"]).timestamp()


def test_a_wait_longer_than_supervisords_own_holds(life: Life) -> None:
    """supervisord takes it for a jump of the clock and cuts it to 1 s, unless it is said in every turn."""
    life.start(f"[program.loop]\n{FAILS}restart = {{ start_seconds = 60, tries = 2, backoff_seconds = 2.5 }}\n")
    backoff = life.wait("backoff")
    assert backoff["milliseconds"] == 2500
    assert life.wait("start", count=2)["time"] >= backoff["next_try"]
    assert life.wait("gave_up")["failures"] == 2


@pytest.mark.parametrize(
    ("command", "start_seconds", "status", "told"),
    [
        ("exit 3", 60, 3, "exit status 3"),
        ("kill -SEGV $$", 60, 139, "killed by SIGSEGV"),
        ("exit 0", 60, 70, "exit status 0"),
        ("sleep 1.3; exit 5", 1, 5, "exit status 5"),
        ("sleep 1.3; exit 0", 1, 0, "exit status 0"),
        ("sleep 1.3; kill -KILL $$", 1, 137, "killed by SIGKILL"),
    ],
)
def test_the_end_of_an_essential_program_is_the_containers(
    life: Life, command: str, start_seconds: int, status: int, told: str
) -> None:
    """Before it was up, and after."""
    life.start(
        f"[program.base]\n{SLEEP}\n"
        f'[program.web]\ncommand = ["/bin/sh", "-c", "{command}"]\nessential = true\n'
        f"restart = {{ tries = 2, backoff_seconds = 0.1, start_seconds = {start_seconds} }}\n"
    )
    assert life.status() == status
    essential = life.wait("essential")
    assert (essential["program"], essential["status"]) == ("web", status)
    assert essential["text"].startswith(told)
    assert life.wait("stopped", program="base")["text"] == "killed by SIGTERM"
    assert life.wait("ended")["status"] == status
    assert not life.events("fault")


def test_a_program_killed_from_outside_is_back_and_all_is_told(life: Life) -> None:
    life.start(f"[program.web]\n{SLEEP}")
    life.wait_healthy()
    first = life.program("web")["pid"]
    os.kill(first, signal.SIGKILL)
    second = life.wait("start", count=2, program="web")
    assert second["pid"] != first
    ended = life.wait("exit", program="web")
    assert (ended["pid"], ended["status"], ended["signal"], ended["text"]) == (
        first,
        None,
        "SIGKILL",
        "killed by SIGKILL",
    )
    assert ended["milliseconds"] >= 1000
    life.wait("health", healthy=False)
    life.wait("ready", count=2, program="web")
    life.wait("health", count=2, healthy=True)
    web = life.wait_program("web", ready=True)
    assert (web["restarts"], web["pid"]) == (1, second["pid"])
    assert web["last_exit"]["signal"] == "SIGKILL"


def test_a_program_that_was_up_is_started_again_at_once(life: Life) -> None:
    """Not in supervisord's next turn, a second later: once at least, since a machine may be slow, but not each time."""
    life.start(f"[program.web]\n{SLEEP}")
    gaps = [float("inf")]
    while min(gaps) >= 0.5 and len(gaps) < 20:
        number = len(gaps)
        life.wait("state", count=number, to="RUNNING")
        os.kill(life.wait("start", count=number)["pid"], signal.SIGKILL)
        life.wait("start", count=number + 1)
        gaps.append(_seconds(life.events("start")[number]) - _seconds(life.events("exit")[number - 1]))
    assert min(gaps) < 0.5, gaps


def test_what_keeps_a_program_from_starting_stands_in_its_exit(life: Life) -> None:
    life.start(
        f'[program.web]\n{SLEEP}env_files = ["/nowhere/secrets.env"]\n'.replace(
            "start_seconds = 1", "tries = 1, start_seconds = 60"
        )
    )
    ended = life.wait("exit", program="web")
    assert ended["status"] == 126
    assert "/nowhere/secrets.env" in ended["said"]
    life.wait("gave_up")


def test_a_check_that_fails_again_and_again_ends_readiness_and_never_the_program(life: Life, tmp_path: Path) -> None:
    good = tmp_path / "good"
    life.start(
        f"[program.web]\n{SLEEP}"
        f"ready = {{ command = ['/usr/bin/test', '-e', '{good}'], interval_seconds = 0.3, within_seconds = 0.5 }}\n"
    )
    assert life.wait("late", program="web")["text"] == "the check failed"
    good.touch()
    life.wait("ready", program="web")
    good.unlink()
    assert life.wait("unready", program="web")["text"] == "the check failed"
    unhealthy = life.wait("health", count=2, healthy=False)
    assert unhealthy["because"] == ["web is not ready"]
    assert life.program("web")["restarts"] == 0
    good.touch()
    life.wait("ready", count=2, program="web")
    assert [program["name"] for program in life.state()["programs"]] == ["web"]
    assert life.end() == 0
    assert not life.events("fault")


def test_a_check_that_hangs_is_killed_and_asked_again(life: Life) -> None:
    life.start(
        f"[program.web]\n{SLEEP}"
        "ready = { command = ['/bin/sleep', '1000'], timeout_seconds = 0.3, within_seconds = 2 }\n"
    )
    assert life.wait("late")["text"] in ("the check did not end in 0.3 s", "the last check has not ended")
    assert life.end() == 0
    assert not life.events("fault")


def test_a_program_writes_into_its_fifo_and_the_start_is_noted(life: Life) -> None:
    life.start(
        '[program.web]\ncommand = ["/bin/sh", "-c", "echo out; echo err >&2; exec sleep 1000"]\npipe_bytes = 8192\n'
    )
    life.wait("start", program="web")
    fifo = life.run_dir / "fifo" / "web"
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        got: list[bytes] = []

        def all_of_it() -> bool:
            with contextlib.suppress(BlockingIOError):
                got.append(os.read(descriptor, 4096))
            return b"".join(got) == b"out\nerr\n"

        until("what it wrote is in its FIFO", all_of_it)
        assert fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) == 8192
    finally:
        os.close(descriptor)
    facts = fifo.stat()
    assert (stat.S_ISFIFO(facts.st_mode), stat.S_IMODE(facts.st_mode)) == (True, 0o200)
    spool = (life.run_dir / "spool").resolve()
    assert json.loads((spool / "web" / "starts.jsonl").read_text())["pid"] == life.wait("start")["pid"]
    identity = json.loads((spool / "identity.json").read_text())
    assert (identity["v"], identity["service"], identity["programs"]) == (1, "test", ["web"])
    assert identity["incarnation"] == spool.name == life.state()["incarnation"]


def test_the_spool_folder_is_locked_for_the_life_of_pid_1(life: Life) -> None:
    life.start(f"[program.web]\n{SLEEP}")
    life.wait("start", program="web")
    with ((life.run_dir / "spool").resolve() / "alive").open("r+") as alive:
        with pytest.raises(BlockingIOError):
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert life.process is not None
        life.process.kill()
        life.process.wait()
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_orphans_are_reaped_and_counted(life: Life) -> None:
    life.start(
        '[program.web]\ncommand = ["/bin/sh", "-c", "for i in 1 2 3; do (sleep 0.2 & sleep 0.1); done; sleep 99"]\n',
        container="snapshot_seconds = 1",
        before="import ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans come here",
    )
    assert life.wait("snapshot", reaped=3)
    children = Path(f"/proc/{life.pid}/task/{life.pid}/children").read_text().split()
    assert len(children) == 1
    log = b"".join(path.read_bytes() for path in life.spool_dir.glob("2*/supervisord/0*"))
    assert b"spawned: 'web'" in log
    assert b"reaped unknown" not in log


def test_faults_in_the_declaration_end_with_2_and_change_nothing(life: Life) -> None:
    life.start("[program.a]\ncommand = ['/nowhere/program']\n[program.b]\n")
    assert life.status() == 2
    assert life.output.read_text() == (
        f"{life.declaration}:5: 'program.a.command' runs '/nowhere/program': no such file; install or correct it\n"
        f"{life.declaration}:6: 'program.b.command' is missing; add it\n"
    )
    assert not life.run_dir.exists()
    assert not life.spool_dir.exists()


def supervise(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "supervise", *words], check=False, capture_output=True, text=True, timeout=60
    )


def test_check_tells_the_start_order_or_the_faults(life: Life) -> None:
    life.declare("[program.b]\ncommand = ['/nowhere/b']\nafter = ['a']\n[program.a]\ncommand = ['/bin/true']\n")
    found = supervise("check", str(life.declaration), "--no-files")
    assert (found.returncode, found.stdout) == (0, "ok: 2 programs, start order: a, b\n")
    found = supervise("check", "--declaration", str(life.declaration))
    assert (found.returncode, found.stdout) == (2, "")
    assert "runs '/nowhere/b': no such file" in found.stderr


def test_a_declaration_that_is_not_there_is_a_usage_fault(life: Life) -> None:
    found = supervise("check", str(life.folder / "none.toml"))
    assert found.returncode == 2
    assert "cannot read the declaration" in found.stderr
    assert "SUPERVISE_DECLARATION" in found.stderr


def test_a_run_folder_too_deep_for_a_socket_is_told(life: Life) -> None:
    life.run_dir = life.folder / ("deep" * 30)
    life.start(f"[program.a]\n{SLEEP}")
    assert life.status() == 1
    assert "a socket's path cannot be that long" in life.output.read_text()
