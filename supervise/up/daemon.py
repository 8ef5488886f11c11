"""Edge: this machine's own Docker engine: leftovers of a killed one, and starting it with or without an init system."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from logship.errors import Fault
from supervise.up.shell import Shell

PID_FILES = {"dockerd": Path("/var/run/docker.pid"), "containerd": Path("/var/run/docker/containerd/containerd.pid")}
"""Pid files that keep dockerd from starting as long as their number belongs to any process."""

LOG = Path("/var/log/logship-dockerd.log")
START_SECONDS = 60
SERVICE_SECONDS = 30


def stale_pid_files(files: dict[str, Path] | None = None, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """Pid files whose process is gone, is a zombie, or is another program that got the number.

    One that may not be read is nobody's business here: only root could remove it, and root may read it.
    """
    found = (files or PID_FILES).items()
    return tuple(str(path) for program, path in found if _is_stale(path, program, proc))


def _is_stale(path: Path, program: str, proc: Path) -> bool:
    try:
        text = path.read_text()
    except OSError:  # there is none, or it may not be read
        return False
    except ValueError:
        return True
    return not _is_running(text, program, proc)


def _is_running(pid: str, program: str, proc: Path) -> bool:
    try:
        stat = (proc / str(int(pid)) / "stat").read_text()
    except (OSError, ValueError):
        return False
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return name == program and rest.split()[0] not in ("Z", "X")


def start(shell: Shell, starter: str, answers: Callable[[], bool], say: Callable[[str], None]) -> None:
    """Start the engine and wait until it answers. Raises Fault with the daemon's last lines when it does not.

    ``starter`` is systemd, service or hand; where a service does not bring it up, it is started by hand.
    """
    if starter == "systemd":
        shell.must(
            "start the engine", "systemctl", "start", "docker", seconds=START_SECONDS, hint="journalctl -u docker"
        )
        if not _wait(answers, START_SECONDS):
            raise Fault("start", "the Docker engine", f"no answer for {START_SECONDS} s", "journalctl -u docker")
        return
    if starter == "service":
        outcome = shell.run("service", "docker", "start", seconds=SERVICE_SECONDS)
        if outcome.status == 0 and _wait(answers, SERVICE_SECONDS):
            return
        why = f"it said: {outcome.last}" if outcome.status else f"no answer for {SERVICE_SECONDS} s"
        say(f"engine: `service docker start` did not help ({why}); starting dockerd by hand, its log is {LOG}")
    _by_hand(shell, answers)


def _by_hand(shell: Shell, answers: Callable[[], bool]) -> None:
    dockerd = shell.find("dockerd")
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            [dockerd], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=shell.environment, start_new_session=True
        )
    if _wait(lambda: process.poll() is not None or answers(), START_SECONDS) and process.poll() is None:
        return
    cause = f"it ended with status {process.returncode}" if process.poll() is not None else "it does not answer"
    last = "\n".join(LOG.read_text(errors="replace").splitlines()[-10:])
    raise Fault("start", dockerd, f"{cause}\n{last}", f"its log is {LOG}")


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.25)
    return True
