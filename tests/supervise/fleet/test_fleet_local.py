"""The in-container side against a real supervisord on this machine; its programs sleep, fail and refuse to die."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.errors import Fault
from supervise.fleet.local import Patience, look, ordered, perform
from supervise.fleet.result import Result
from supervise.fleet.rpc import Supervisord
from tests.supervise.fleet.places import program, state

CONFIGURATION = """
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/pid
[unix_http_server]
file={folder}/supervisor.sock
chmod=0700
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:alpha]
command=/bin/sleep 1000
autostart=false
startsecs=1
[program:beta]
command=/bin/sleep 1000
autostart=false
startsecs=1
[program:stubborn]
command={python} -c "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(1000)"
autostart=false
startsecs=1
stopwaitsecs=600
[program:failing]
command=/bin/false
autostart=false
startsecs=60
startretries=0
[program:retrying]
command=/bin/false
autostart=false
startsecs=60
startretries=1000
[program:missing]
command=/no/such/program
autostart=false
[program:alpha.ready]
command=/bin/true
autostart=false
startsecs=0
autorestart=false
"""

LONG = Patience(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run folder of a supervisord that runs here."""
    place = tmp_path_factory.mktemp("run")
    (place / "conf").write_text(CONFIGURATION.format(folder=place, python=sys.executable))
    command = [sys.executable, "-c", "from supervisor.supervisord import main; main()", "-c", str(place / "conf")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (place / "supervisor.sock").exists():
            assert process.poll() is None, "supervisord ended"
            assert time.monotonic() < deadline, "supervisord made no socket"
            time.sleep(0.05)
        yield place
        found = Supervisord(place)
        pids = [look(found, name).pid for name in ordered(found)]
        process.kill()
        for pid in filter(None, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def supervisord(folder: Path) -> Supervisord:
    """It, with nothing running."""
    found = Supervisord(folder)
    perform(found, "stop", ["alpha", "beta"], LONG)
    return found


def done(verb: str, *programs: str, reason: str = "") -> list[tuple[str, str, str, str]]:
    return [(name, verb, "done", reason) for name in programs]


def told(results: list[Result]) -> list[tuple[str, str, str, str]]:
    return [(item.program, item.verb, item.result, item.reason.partition(";")[0]) for item in results]


def test_start_waits_until_the_program_runs(supervisord: Supervisord) -> None:
    assert told(perform(supervisord, "start", ["alpha", "beta"], LONG)) == done(
        "start", "alpha", "beta", reason="running"
    )
    assert look(supervisord, "alpha").state == "RUNNING"


def test_restart_gives_a_new_process_and_leaves_the_others_alone(supervisord: Supervisord) -> None:
    perform(supervisord, "start", ["alpha", "beta"], LONG)
    alpha, beta = look(supervisord, "alpha").pid, look(supervisord, "beta").pid
    results = perform(supervisord, "restart", ["alpha"], LONG)
    assert told(results) == done("restart", "alpha", reason="running")
    assert results[0].pid == look(supervisord, "alpha").pid != alpha
    assert look(supervisord, "beta").pid == beta


def test_restart_starts_what_was_stopped(supervisord: Supervisord) -> None:
    assert told(perform(supervisord, "restart", ["beta"], LONG)) == done("restart", "beta", reason="running")


def test_restart_of_a_program_that_was_given_up_tries_again(supervisord: Supervisord) -> None:
    """FATAL and EXITED make supervisord answer NOT_RUNNING to the stop; that is no failure."""
    for _ in range(2):
        (result,) = perform(supervisord, "restart", ["failing"], LONG)
        assert (result.result, result.state) == ("failed", "FATAL")
        assert result.reason.startswith("it was given up: ")
    assert told(perform(supervisord, "stop", ["failing"], LONG)) == done(
        "stop", "failing", reason="it had been given up"
    )


def test_stop_is_done_when_the_program_is_down_and_stays_so(supervisord: Supervisord) -> None:
    perform(supervisord, "start", ["alpha"], LONG)
    assert told(perform(supervisord, "stop", ["alpha"], LONG)) == done("stop", "alpha")
    assert told(perform(supervisord, "stop", ["alpha"], LONG)) == done("stop", "alpha", reason="it was not running")


def test_a_program_that_will_not_end_times_out_with_its_state(supervisord: Supervisord) -> None:
    perform(supervisord, "start", ["stubborn"], LONG)
    pid = look(supervisord, "stubborn").pid
    deadline = time.monotonic() + 60
    while not is_ignored(pid, signal.SIGTERM):
        assert time.monotonic() < deadline, "it does not begin"
        time.sleep(0.02)
    (result,) = perform(supervisord, "stop", ["stubborn"], Patience(0.3))
    assert (result.result, result.reason) == ("timeout", "still STOPPING")


def is_ignored(pid: int | None, number: int) -> bool:
    """Whether the process takes no notice of this signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("\nSigIgn:")[2].split()[0], 16) >> (number - 1) & 1)


def test_a_start_that_fails_again_and_again_times_out(supervisord: Supervisord) -> None:
    (result,) = perform(supervisord, "start", ["retrying"], Patience(0.5))
    assert result.result == "timeout"
    assert result.reason.startswith(("still BACKOFF", "still STARTING"))
    assert perform(supervisord, "stop", ["retrying"], LONG)[0].result == "done"


def test_a_command_that_is_not_there_fails_at_once(supervisord: Supervisord) -> None:
    (result,) = perform(supervisord, "start", ["missing"], LONG)
    assert (result.result, result.reason) == ("failed", "its command is not there")


def test_without_waiting_the_question_is_all(supervisord: Supervisord) -> None:
    (result,) = perform(supervisord, "restart", ["alpha"], Patience(60, wait=False))
    assert (result.result, result.reason) == ("done", "asked for, not waited for")
    assert look(supervisord, "alpha").state in ("STARTING", "RUNNING")


def test_ready_is_what_state_json_says_of_this_very_process(supervisord: Supervisord, folder: Path) -> None:
    """A snapshot that still speaks of the process before the restart says nothing of the new one."""
    perform(supervisord, "start", ["alpha"], LONG)
    pid = look(supervisord, "alpha").pid
    path = folder / "state.json"
    try:
        assert look(supervisord, "alpha").ready is None
        path.write_bytes(state(program("alpha", pid=pid)))
        assert look(supervisord, "alpha").ready is True
        path.write_bytes(state(program("alpha", pid=pid, ready=False)))
        assert look(supervisord, "alpha").ready is False
        assert perform(supervisord, "start", ["alpha"], Patience(0.2))[0].reason == "running, but not ready"
        path.write_bytes(state(program("alpha", pid=pid + 1)))
        assert look(supervisord, "alpha").ready is False
    finally:
        path.unlink()


def test_programs_come_in_the_order_of_state_json_without_the_checks_of_pid_1(
    supervisord: Supervisord, folder: Path
) -> None:
    assert "alpha" in ordered(supervisord)
    assert "alpha.ready" not in ordered(supervisord)
    path = folder / "state.json"
    path.write_bytes(state(program("beta"), program("gone"), program("alpha")))
    try:
        assert ordered(supervisord) == ["beta", "alpha"]
    finally:
        path.unlink()


def asked(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "supervise", "ctl", "--local", "--run-dir", str(folder), *words]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_answers_a_json_line_a_program(supervisord: Supervisord, folder: Path) -> None:
    result = asked("start", "beta", "alpha", "-o", "json", folder=folder)
    assert (result.returncode, result.stderr) == (0, "")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["v"], line["program"], line["result"], line["state"]) for line in lines] == [
        (1, "alpha", "done", "RUNNING"),
        (1, "beta", "done", "RUNNING"),
    ]
    assert lines[0]["pid"] == look(supervisord, "alpha").pid


def test_an_unknown_program_is_refused_before_anything_is_done(supervisord: Supervisord, folder: Path) -> None:
    result = asked("start", "alpha", "gamma", folder=folder)
    assert result.returncode == 2
    assert "cannot find gamma: nothing was done" in result.stderr
    assert "there is: alpha, beta" in result.stderr
    assert look(supervisord, "alpha").state == "STOPPED"


def test_a_failure_is_exit_status_1_and_a_timeout_5(folder: Path) -> None:
    assert asked("start", "missing", folder=folder).returncode == 1
    assert asked("start", "retrying", "--timeout", "0.5", folder=folder).returncode == 5
    assert asked("stop", "retrying", folder=folder).returncode == 0


def test_no_supervisord_is_exit_status_4_with_the_socket_and_the_cause(tmp_path: Path) -> None:
    result = asked("restart", "alpha", folder=tmp_path)
    assert result.returncode == 4
    assert f"{tmp_path}/supervisor.sock: No such file or directory" in result.stderr
    with pytest.raises(Fault, match="No such file"):
        Supervisord(tmp_path).programs()


def test_status_and_pid_within_a_container(folder: Path) -> None:
    path = folder / "state.json"

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        now = time.time()  # an old picture is told as one, however long the commands before took
        path.write_bytes(state(program("alpha", now=now, pid=77), program("beta", "STOPPED", now=now), now=now))
        return asked(*words, folder=folder)

    try:
        shown = command("status")
        assert shown.returncode == 0
        assert [line.split()[2] for line in shown.stdout.splitlines()[1:] if "alpha" in line] == ["RUNNING"]
        assert command("status", "--check").returncode == 3
        assert command("status", "--check", "alpha").returncode == 0
        assert command("status", "gamma").returncode == 2
        assert command("pid", "alpha").stdout == "77\n"
    finally:
        path.unlink()
    assert "has no state.json" in asked("status", folder=folder).stdout


def test_the_in_container_side_imports_neither_the_sdk_nor_a_thread_pool(folder: Path) -> None:
    """It runs on what the image has, and its start is most of its time."""
    code = (
        "import sys; from supervise.cli import main; "
        f"main(['ctl', '--local', '--run-dir', {str(folder)!r}, 'stop', 'alpha'], {{}}); "
        "heavy = {'docker', 'requests', 'concurrent', 'asyncio', 'jinja2', 'loguru', 'supervisor'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.splitlines()[-1] == "[]"
