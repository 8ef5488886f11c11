"""What our way of logging costs HAProxy: spool, ship and collect beside the same HAProxy writing into a file.

    python -m bench.capture [--quick] [--rounds 20] [--seconds 3]

HAProxy answers every request itself and writes a line of our log format for each; wrk asks it on 64 connections. In
each round both ways are loaded one after the other (in turns of order), with one HAProxy thread and then with two;
the ratio is that of a round. Afterwards every line is looked for: requests = lines stored + lines that HAProxy says it
dropped, exactly, and none twice. An idle container tells what spool and ship cost when nothing happens.
Needs the engine, the images (`make images`) and wrk. Exit status: 1 when a target is missed or a line is, 2 for usage.
A signal removes the containers, too.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from functools import partial

from bench.balancer import (
    DECLARATION,
    TO_FILE,
    at_collector,
    configuration,
    counters,
    in_file,
    losses,
    streams,
)
from bench.capture_report import RATIO_MIN, Idle, Outcome, Side, missed, report
from bench.containers import Lab, Unable, docker, lab, wait
from bench.given import a_time, at_least, ended_by_signals
from bench.machine import (
    WAIT_HELP,
    Neighbours,
    cpu_seconds,
    described,
    named,
    own_cpu_seconds,
    parent,
    peak_mib,
    pss_mib,
    wait_for_quiet,
)

CONNECTIONS = 64
OURS = {
    "spool": ("ours", "spool", "--fifo-dir"), "ship": ("ours", "ship"), "counters": ("ours", "counters"),
    "collect": ("collector", "collect"), "audit": ("collector", "audit"),
}  # fmt: skip
"""Programs of ours: their container, and words of their command lines. Beside them the engine is told: it carries the
copy for `docker logs`."""
CFG = "/etc/haproxy/haproxy.cfg"


def begin_collector(place: Lab) -> None:
    """The collector, taking appends."""
    place.start("collector", "collector", files={})
    wait("the collector is healthy", lambda: _healthy(place, "collector"))


def _healthy(place: Lab, name: str) -> bool:
    return docker("inspect", "-f", "{{.State.Health.Status}}", place.full(name)) == "healthy"


def begin(place: Lab, threads: int, *options: str) -> None:
    """Both HAProxys; ``options`` are for the container of ours."""
    files = {CFG: configuration(threads)}
    volume = ("-v", "/var/spool/logship")
    place.start("file", "ha", *volume, "--entrypoint", "/bin/sh", files=files, command=TO_FILE)
    ours = {**files, "/etc/supervise/supervise.toml": DECLARATION}
    place.start("ours", "ha", *volume, "--hostname", _host(threads), *options, files=ours)
    for name in ("file", "ours"):
        wait(f"the HAProxy of {name} answers", partial(_answers, place.address(name)))


def _host(threads: int) -> str:
    return f"threads{threads}"


def _answers(host: str) -> bool:
    try:
        return counters(host).dropped >= 0
    except (OSError, ValueError, StopIteration, KeyError):
        return False


def _is_quiet(host: str) -> bool:
    return counters(host) == counters(host)


def load(host: str, seconds: int) -> float:
    """Requests a second that HAProxy answered. Raises Unable when wrk saw an error."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://{host}/"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise Unable(f"wrk saw errors, so its rate means nothing:\n{said}")
    found = re.search(r"Requests/sec: *([0-9.]+)", said)
    assert found, said
    return float(found[1])


def measure(place: Lab, sides: list[Side], rounds: int, seconds: int, patience: float) -> None:
    """All rounds of one pair."""
    hosts = {side.name: place.address(side.name) for side in sides}
    for number in range(rounds):
        wait_for_quiet(patience)
        for side in sides if number % 2 == 0 else sides[::-1]:
            before = used(place, side.name)
            side.rates.append(load(hosts[side.name], seconds))
            requests = side.rates[-1] * seconds
            time.sleep(1)  # what one side left to do is not done in the other's time
            for name, cpu in used(place, side.name).items():
                found = side.haproxy if name == "haproxy" else side.others.setdefault(name, [])
                found.append((cpu - before[name]) / requests * 1e6)
            print(f"round {number + 1} of {rounds}: {side.name}: {side.rates[-1]:.0f} requests/s", file=sys.stderr)


def processes(place: Lab, side: str) -> dict[str, list[int]]:
    """HAProxy's worker, and on our side those of the columns; the engine's are dockerd and our container's shim."""
    worker = place.pids(side, "/usr/sbin/haproxy")[-1:]
    if side == "file":
        return {"haproxy": worker}
    found = {name: place.pids(where, *words) for name, (where, *words) in OURS.items()}
    missing = [name for name, pids in found.items() if len(pids) != 1]
    if missing:
        raise Unable(f"{', '.join(missing)} did not run all the time")
    first = int(docker("inspect", "-f", "{{.State.Pid}}", place.full("ours")))
    return {"haproxy": worker, **found, "engine": [parent(first), *named("dockerd")]}


def used(place: Lab, side: str) -> dict[str, float]:
    """CPU seconds so far."""
    return {name: sum(map(cpu_seconds, pids)) for name, pids in processes(place, side).items()}


def accounted(place: Lab, threads: int) -> list[Outcome]:
    """What became of every line, once HAProxy counts no more and all is at the collector, or will never be."""
    found = []
    for name in ("file", "ours"):
        host = place.address(name)
        wait("HAProxy counts no more requests", partial(_is_quiet, host))
        counted = counters(host)
        wanted = counted.requests - counted.dropped
        if name == "file":
            stored = in_file(place, name)
        else:
            collector = place.address("collector")
            deadline = time.monotonic() + 120
            while (stored := at_collector(collector, _host(threads))).lines < wanted and time.monotonic() < deadline:
                time.sleep(1)
        ledger = None if name == "file" else in_ledger(place.address("collector"), _host(threads), counted.dropped)
        found.append(Outcome(name, threads, counted.requests, counted.dropped, stored, ledger))
    return found


def in_ledger(collector: str, name: str, wanted: int) -> int:
    """How many lines of HAProxy's in the container ``name`` the ledger says are missing; waits for ``wanted``."""
    deadline = time.monotonic() + 120
    while True:
        own = [item["stream"] for item in streams(collector) if item["source"]["host"] == name]
        found = sum(
            loss["count"] or 0 for loss in losses(collector) if loss["stream"] in own and loss["unit"] == "lines"
        )
        if found >= wanted or time.monotonic() > deadline:
            return found
        time.sleep(1)


def idle(place: Lab, seconds: int) -> Idle:
    """Of a container of the base image, which has nothing but them; measured for so long, after it has settled."""
    place.start("idle", "base", files={})
    wait("the idle container is healthy", lambda: _healthy(place, "idle"))
    time.sleep(5)
    pids = [place.pids("idle", *OURS[name][1:])[0] for name in ("spool", "ship")]
    before, begun = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(seconds)
    core = (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - begun)
    found = Idle(core, sum(map(pss_mib, pids)), sum(map(peak_mib, pids)))
    place.remove("idle")
    return found


def need_wrk() -> None:
    """Install wrk where it is not. Raises Unable."""
    if shutil.which("wrk"):
        return
    print("wrk is missing: installing it (apt-get install wrk)", file=sys.stderr)
    done = subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unable(f"wrk, which makes the load, cannot be installed: {done.stderr.strip()[-300:]}")


def main() -> int:
    """Measure, print, judge; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.capture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="4 rounds of 2 s: does it work, not how fast")
    parser.add_argument("--rounds", type=at_least(), help="rounds of each pair (default 20)")
    parser.add_argument("--seconds", type=at_least(), help="how long each side is loaded in a round (default 3)")
    parser.add_argument(
        "--no-copy", action="store_true", help="without the copy for `docker logs`, to see what it costs"
    )
    parser.add_argument("--wait", type=a_time, default=0, help=WAIT_HELP)
    options = parser.parse_args()
    rounds = options.rounds or (4 if options.quick else 20)
    seconds = options.seconds or (2 if options.quick else 3)
    neighbours, before = Neighbours(), own_cpu_seconds()
    pairs: dict[int, list[Side]] = {}
    outcomes: list[Outcome] = []
    try:
        need_wrk()
        with ended_by_signals(), lab() as place:
            begin_collector(place)
            quiet = idle(place, 5 if options.quick else 20)
            for threads in (1, 2):
                pairs[threads] = [Side("file"), Side("ours")]
                begin(place, threads, *(["-e", "LOGSHIP_COPY_TO="] if options.no_copy else []))
                measure(place, pairs[threads], rounds, seconds, options.wait)
                outcomes += accounted(place, threads)
                place.remove("file", "ours")
            ledger = [loss for loss in losses(place.address("collector")) if loss["unit"] != "lines"]
            version = docker("exec", place.full("collector"), "python3", "--version")
    except Unable as error:
        print(f"bench-capture: {error}", file=sys.stderr)
        return 1
    print(f"{described()}; in the containers {version}")
    print(f"{rounds} rounds of {seconds} s a side, wrk with {CONNECTIONS} connections on this host.")
    print(neighbours.told(own_cpu_seconds() - before) + " (the containers count among others)\n")
    report(pairs, outcomes, quiet)
    verdict = missed(pairs, outcomes, quiet) + [f"in the ledger: {loss}" for loss in ledger]
    print()
    for sentence in verdict:
        print(f"MISSED: {sentence}")
    if not verdict:
        print(f"Reached: ratios at least {RATIO_MIN}, every line stored or counted, none dropped with one thread.")
    return 1 if verdict else 0


if __name__ == "__main__":
    sys.exit(main())
