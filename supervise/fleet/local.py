"""The in-container side: ``supervise ctl --local VERB PROGRAM...``.

It does what the fleet's side asks by one exec a container, and answers a JSON line a program; people in a container may
use it, too. It imports little, since the start of Python is most of its time.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from logship.errors import USAGE, Fault
from supervise.fleet.pursuit import Facts, Pursuit, Step
from supervise.fleet.result import Result, result_table, status_of
from supervise.fleet.rpc import Refusal, Supervisord

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Patience:
    """How long a verb may take as a whole, and whether it waits for the programs to be ready, or stopped."""

    timeout_seconds: float
    wait: bool = True


def run(verb: str, programs: Sequence[str], run_dir: Path, patience: Patience, as_json: bool) -> int:
    """Do the verb to the programs of this container, print what came of it, return the exit status."""
    supervisord = Supervisord(run_dir)
    there = ordered(supervisord)
    unknown = [name for name in programs if name not in there]
    if unknown:
        raise Fault("find", " ".join(unknown), "nothing was done", f"there is: {', '.join(there)}", USAGE)
    host = socket.gethostname()
    results = []
    for result in perform(supervisord, verb, [name for name in there if name in programs], patience):
        results.append(replace(result, container=host))
        if as_json:
            print(json.dumps(results[-1].line()), flush=True)
    if not as_json:
        print("\n".join(result_table(results, colour=False)))
    return status_of(results)


def ordered(supervisord: Supervisord) -> list[str]:
    """The container's programs, what is started first first (as state.json has them), else in supervisord's order."""
    snapshot = supervisord.snapshot()
    known = supervisord.programs()
    if snapshot is None:
        return [name for name in known if "." not in name]  # NAME.ready are PID 1's own checks
    return [program.name for program in snapshot.programs if program.name in known]


def perform(supervisord: Supervisord, verb: str, programs: Sequence[str], patience: Patience) -> list[Result]:
    """Stop in reverse order, start in order, one program at a time: what a program needs is there before it.

    ``programs`` come in the order in which they start; so do the Results.
    """
    began = time.monotonic()
    deadline = began + patience.timeout_seconds
    found: dict[str, Result] = {}
    if verb in ("stop", "restart"):
        wait = patience.wait or verb == "restart"
        for name in reversed(programs):
            found[name] = _pursue(supervisord, verb, "stop", name, deadline, wait)
    if verb in ("start", "restart"):
        for name in programs:
            before = found.get(name)
            if before is None or before.result == "done":
                started = _pursue(supervisord, verb, "start", name, deadline, patience.wait)
                found[name] = replace(started, seconds=started.seconds + (before.seconds if before else 0))
    return [found[name] for name in programs]


def _pursue(supervisord: Supervisord, verb: str, goal: str, program: str, deadline: float, wait: bool) -> Result:
    """Bring one program to the goal, or report why not; ``wait`` false: ask, and do not watch what comes of it."""
    began = time.monotonic()
    pursuit = Pursuit(goal)
    while True:
        facts = look(supervisord, program)
        now = time.monotonic()
        step = pursuit.next(facts, now)
        asked = step.kind in ("start", "stop")
        if asked:
            step = _ask(supervisord, pursuit, program, step)
        if asked and step.kind == goal and not wait:
            step = Step("done", "asked for, not waited for")
        if step.kind not in ("done", "failed") and now >= deadline:
            step = Step("timeout", pursuit.overdue(facts))
        if step.kind in ("done", "failed", "timeout"):
            reason = step.reason if verb != "restart" or goal == "start" or step.kind != "done" else ""
            return Result("", program, verb, step.kind, reason, facts.state, facts.pid, time.monotonic() - began)
        time.sleep(POLL_SECONDS)


def _ask(supervisord: Supervisord, pursuit: Pursuit, program: str, step: Step) -> Step:
    try:
        (supervisord.start if step.kind == "start" else supervisord.stop)(program)
    except Refusal as refusal:
        return pursuit.refused(refusal.faultCode, refusal.faultString)
    return step


def look(supervisord: Supervisord, program: str) -> Facts:
    """The program now: its state by supervisord, its readiness by a snapshot that speaks of this very process."""
    info = supervisord.info(program)
    state, pid = str(info["statename"]), int(info["pid"])
    snapshot = supervisord.snapshot()
    said = snapshot.program(program) if snapshot else None
    ready = None if said is None else said.is_well and said.pid == pid
    last = said.last_exit.text if said and said.last_exit else str(info.get("spawnerr") or "")
    return Facts(state, pid, ready, last)
