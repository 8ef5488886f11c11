"""What our way of logging costs HAProxy: spool, ship and collect beside the same HAProxy writing into a file.

    python -m bench.capture [--quick] [--rounds 20] [--seconds 3]

HAProxy answers every request itself and writes a line of our log format for each; wrk asks it on 64 connections. In
each round both ways are loaded one after the other (in turns of order), with one HAProxy thread and then with two;
the ratio is that of a round. Afterwards every line is looked for: requests = lines stored + lines that HAProxy says it
dropped, exactly, and none twice. An idle container tells what spool and ship cost when nothing happens.
Needs the engine, the images (`make images`) and wrk. Exit status: 1 when a target is missed or a line is.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from bench.balancer import (
    DECLARATION,
    TO_FILE,
    Stored,
    at_collector,
    configuration,
    counters,
    in_file,
    losses,
    streams,
)
from bench.containers import Lab, Unable, docker, lab, wait
from bench.machine import Neighbours, cpu_seconds, described, named, own_cpu_seconds, parent, peak_mib, pss_mib
from bench.table import table

CONNECTIONS = 64
RATIO_MIN = 0.90
IDLE_MIB_MAX = 45.0
IDLE_CORE_MAX = 0.02
OURS = {
    "spool": ("ours", "spool", "--fifo-dir"), "ship": ("ours", "ship"), "counters": ("ours", "counters"),
    "collect": ("collector", "collect"), "audit": ("collector", "audit"),
}  # fmt: skip
"""Programs of ours: their container, and words of their command lines."""
COLUMNS = (*OURS, "engine")
"""Whose use of the processor is told. The engine carries the copy for `docker logs`."""
CFG = "/etc/haproxy/haproxy.cfg"


@dataclass
class Side:
    """One HAProxy and its rounds: requests a second, its CPU microseconds a request, and those of ours, by program."""

    name: str
    rates: list[float] = field(default_factory=list)
    haproxy: list[float] = field(default_factory=list)
    others: dict[str, list[float]] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """CPU microseconds a request, of HAProxy and, where it is ours, of all that follows."""
        return median(self.haproxy) + sum(map(median, self.others.values()))


@dataclass(frozen=True)
class Outcome:
    """What became of the lines of one HAProxy."""

    side: str
    threads: int
    requests: int
    dropped: int
    stored: Stored
    ledger: int | None = None
    """Lines that the ledger says HAProxy dropped, with a number or without; None: nobody audits this log."""

    @property
    def missing(self) -> int:
        """Requests that left neither a line nor a count."""
        return self.requests - self.dropped - self.stored.lines

    def row(self) -> list[str]:
        """For the table."""
        numbers = (self.requests, self.dropped, self.stored.lines, self.missing, self.stored.repeated, self.stored.torn)
        ledger = "" if self.ledger is None else f"{self.ledger:,}"
        return [f"{self.side}, {_threads(self.threads)}", *(f"{number:,}" for number in numbers), ledger]


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


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


def measure(place: Lab, sides: list[Side], rounds: int, seconds: int) -> None:
    """All rounds of one pair."""
    hosts = {side.name: place.address(side.name) for side in sides}
    for number in range(rounds):
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


@dataclass(frozen=True)
class Idle:
    """What spool and ship use while nothing happens: of a core, MiB of PSS, MiB of RSS at most."""

    core: float
    pss: float
    peak: float


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


def missed(pairs: dict[int, list[Side]], outcomes: list[Outcome], quiet: Idle) -> list[str]:
    """Each target that is not met, in a sentence."""
    told = []
    for threads, (file, ours) in pairs.items():
        ratio = median(a / b for a, b in zip(ours.rates, file.rates, strict=True))
        if ratio < RATIO_MIN:
            told.append(
                f"{_threads(threads)}: {ratio:.2f} of the rate with a file, at least {RATIO_MIN} must be reached"
            )
    for each in outcomes:
        if each.side != "ours":
            continue
        where = _threads(each.threads)
        if each.missing or each.stored.torn or each.stored.repeated:
            told.append(f"{where}: {each.missing} missing, {each.stored.torn} torn, {each.stored.repeated} twice")
        if each.ledger != each.dropped:
            told.append(f"{where}: HAProxy dropped {each.dropped} lines, and the ledger says {each.ledger}")
        if each.threads == 1 and each.dropped:
            told.append(f"{where}: HAProxy dropped {each.dropped} lines, and must drop none")
    if quiet.pss > IDLE_MIB_MAX:
        told.append(f"idle: spool and ship have {quiet.pss:.0f} MiB, {IDLE_MIB_MAX:.0f} at most are allowed")
    if quiet.core >= IDLE_CORE_MAX:
        told.append(f"idle: spool and ship use {quiet.core:.1%} of a core, it must be under {IDLE_CORE_MAX:.0%}")
    return told


def report(pairs: dict[int, list[Side]], outcomes: list[Outcome], quiet: Idle) -> None:
    """The tables."""
    rows, costs = [], []
    for threads, (file, ours) in pairs.items():
        ratios = [a / b for a, b in zip(ours.rates, file.rates, strict=True)]
        told = [f"{median(ratios):.2f}", f"{min(ratios):.2f} .. {max(ratios):.2f}"]
        rows.append([_threads(threads), f"{median(file.rates):,.0f}", f"{median(ours.rates):,.0f}", *told])
        shares = [f"{median(ours.others[name]):.1f}" for name in COLUMNS]
        alone, beside = f"{median(file.haproxy):.1f}", f"{median(ours.haproxy):.1f}"
        costs.append([_threads(threads), alone, beside, *shares, f"{ours.cost - file.cost:+.1f}"])
    print(table(("HAProxy with", "to a file, requests/s", "ours", "ratio", "ratios"), rows))
    print()
    print(table(("CPU microseconds a request", "HAProxy to a file", "ours: HAProxy", *COLUMNS, "more in all"), costs))
    print("(the engine's are of all containers of this machine)\n")
    head = ("lines of", "requests", "DroppedLogs", "stored", "missing", "twice", "torn", "in the ledger")
    print(table(head, [each.row() for each in outcomes]))
    print(
        f"\nIdle: spool and ship use {quiet.core:.2%} of a core, {quiet.pss:.1f} MiB PSS (at most {quiet.peak:.1f} RSS)"
    )


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
    parser.add_argument("--rounds", type=int, help="rounds of each pair (default 20)")
    parser.add_argument("--seconds", type=int, help="how long each side is loaded in a round (default 3)")
    parser.add_argument(
        "--no-copy", action="store_true", help="without the copy for `docker logs`, to see what it costs"
    )
    options = parser.parse_args()
    rounds, seconds = options.rounds or (4 if options.quick else 20), options.seconds or (2 if options.quick else 3)
    if rounds < 1 or seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    neighbours, before = Neighbours(), own_cpu_seconds()
    pairs: dict[int, list[Side]] = {}
    outcomes: list[Outcome] = []
    try:
        need_wrk()
        with lab() as place:
            begin_collector(place)
            quiet = idle(place, 5 if options.quick else 20)
            for threads in (1, 2):
                pairs[threads] = [Side("file"), Side("ours")]
                begin(place, threads, *(["-e", "LOGSHIP_COPY_TO="] if options.no_copy else []))
                measure(place, pairs[threads], rounds, seconds)
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
