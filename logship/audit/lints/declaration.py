"""Core: lints over a supervise.toml: whether what programs say is captured, kept, shipped, and given time to end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from logship.audit.lints.lint import Conditions, Deed, Flaw, Lint, Severity, budget, lint, size, span
from logship.audit.lints.supervise_toml import PIPE_BYTES, Declaration, Program

PIPE_BYTES_MAX = 1048576
BUDGETS = {
    "spool-bytes-max": 2 * 1024**3,
    "spool-container-bytes-max": 4 * 1024**3,
    "spool-volume-bytes-max": 16 * 1024**3,
}
"""The options of `logship spool` that bound what it keeps, with their defaults (a test holds them to the settings)."""
DRAIN_SECONDS = 3.0
NEVER_BLOCKS = ("haproxy",)
"""Programs that throw a line away rather than wait for their pipe."""


def _set(conf: Declaration, path: tuple[str, ...], what: str, text: str) -> Flaw:
    """A key of a table to write: in its line, or below the table's head."""
    table: Any = conf.container if path[0] == "container" else {p.name: p.table for p in conf.programs}[path[1]]
    there = path[-1] in table
    return Flaw(conf.place(*path), what, Deed.REPLACE if there else Deed.ADD, text)


@lint(
    "declaration-no-spool",
    Severity.LOSS,
    "nobody takes what programs say",
    "without `logship spool` PID 1 empties the pipes after 10 s and throws away what is in them.",
)
def no_spool(conf: Declaration, _: Conditions) -> Iterator[Flaw]:
    captured = [program.name for program in conf.programs if program.table.get("capture", True)]
    if captured and conf.spool is None:
        write = '[program.spool]\ncommand = ["/usr/local/bin/logship", "spool"]\ncapture = false\n'
        write += "ready = { started = true }\nrestart = { tries = 0 }\nstop = { seconds = 3 }"
        last = conf.source.place(len(conf.source.lines()))
        yield Flaw(last, f"nothing reads the output of {', '.join(captured)}", Deed.ADD, write)


@lint(
    "declaration-no-ship",
    Severity.RISK,
    "nothing leaves the container",
    "without `logship ship` the spool only fills, and at its budget the oldest goes.",
)
def no_ship(conf: Declaration, _: Conditions) -> Iterator[Flaw]:
    if conf.spool and conf.ship is None:
        write = '[program.ship]\ncommand = ["/usr/local/bin/logship", "ship", "--drain-seconds", "2"]\n'
        write += "ready = { started = true }\nrestart = { tries = 0 }\nstop = { seconds = 4 }"
        last = conf.source.place(len(conf.source.lines()))
        yield Flaw(last, "no program brings the spool to the collector", Deed.ADD, write)


@lint(
    "declaration-uncaptured",
    Severity.LOSS,
    "a program's output is not captured",
    "capture = false leaves it to supervisord, which keeps 64 KiB and then empties the file.",
)
def uncaptured(conf: Declaration, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        if program.table.get("capture", True) is False and not program.runs("spool"):
            what = f"the output of {program.name} is not captured"
            yield _set(conf, ("program", program.name, "capture"), what, "capture = true")


@lint(
    "declaration-gives-up",
    Severity.LOSS,
    "spool or ship may be given up",
    "after its tries it stays FATAL: without spool output is thrown away, without ship the spool fills to its budget.",
)
def gives_up(conf: Declaration, _: Conditions) -> Iterator[Flaw]:
    for program in (conf.spool, conf.ship):
        if program and program.sub("restart").get("tries", 5) != 0:
            others = {**program.sub("restart"), "tries": 0}
            text = ", ".join(f"{key} = {json.dumps(value)}" for key, value in others.items())
            what = f"{program.name} is given up after {program.sub('restart').get('tries', 5)} failed starts"
            yield _set(conf, ("program", program.name, "restart"), what, f"restart = {{ {text} }}")


@lint(
    "declaration-stops-after-spool",
    Severity.LOSS,
    "a program outlives its spool",
    "whatever it says once spool is stopped stays in the pipe and dies with the container.",
)
def stops_after_spool(conf: Declaration, _: Conditions) -> Iterator[Flaw]:
    spool = conf.spool
    if spool is None:
        return
    before = conf.before(spool.name)
    for program in conf.programs:
        if (
            program is not spool
            and program is not conf.ship
            and program.name not in before
            and spool.name not in conf.before(program.name)
        ):
            names = ", ".join(f'"{name}"' for name in [*program.after, spool.name])
            what = f"{program.name} does not come after {spool.name}, so it may be stopped after it"
            yield _set(conf, ("program", program.name, "after"), what, f"after = [{names}]")


@lint(
    "declaration-ship-ends-first",
    Severity.RISK,
    "ship is stopped before spool",
    "what programs say at their end is taken by spool, and then nobody is left to send it until somebody adopts it.",
)
def ship_ends_first(conf: Declaration, _: Conditions) -> Iterator[Flaw]:
    spool, ship = conf.spool, conf.ship
    if spool and ship and ship.name not in conf.before(spool.name):
        names = ", ".join(json.dumps(name) for name in [*spool.after, ship.name])
        what = f"{spool.name} does not come after {ship.name}, so {ship.name} may be stopped first"
        yield _set(conf, ("program", spool.name, "after"), what, f"after = [{names}]")


@lint(
    "declaration-stop-budget",
    Severity.RISK,
    "the stops do not fit into the ordered stop",
    "at stop_seconds all that is left is killed at once, with what it still had to say.",
)
def stop_budget(conf: Declaration, _: Conditions) -> Iterator[Flaw]:
    seconds, names = conf.longest_stop()
    if seconds > conf.stop_seconds:
        what = f"stopping {', '.join(names)} may take {seconds:g} s, stop_seconds is {conf.stop_seconds:g}"
        yield _set(conf, ("container", "stop_seconds"), what, f"stop_seconds = {int(-(-seconds // 1)) + 2}")


@lint(
    "declaration-grace",
    Severity.RISK,
    "the engine kills before the ordered stop is over",
    "when stop_grace_period ends the engine kills the whole container, and what is in its pipes is gone.",
)
def grace(conf: Declaration, conditions: Conditions) -> Iterator[Flaw]:
    given = conditions.grace_seconds
    if given and conf.stop_seconds >= given:
        what = f"stop_seconds is {conf.stop_seconds:g}, the engine waits {given:g} s; or raise stop_grace_period"
        yield _set(conf, ("container", "stop_seconds"), what, f"stop_seconds = {max(0.1, given - 2):g}")


@lint(
    "declaration-drain",
    Severity.RISK,
    "ship is killed while it still sends",
    "what ship has not sent by then waits in the spool for whoever adopts it, if anybody does.",
)
def drain(conf: Declaration, conditions: Conditions) -> Iterator[Flaw]:
    ship = conf.ship
    if ship is None:
        return
    said = ship.option("drain-seconds", conditions.environment)
    try:
        seconds = float(said) if said else DRAIN_SECONDS
    except ValueError:
        return
    if seconds >= ship.stop_seconds:
        what = f"{ship.name} drains for {seconds:g} s and is killed after {ship.stop_seconds:g} s"
        others = {key: value for key, value in ship.sub("stop").items() if key != "seconds"}
        words = [f"{key} = {json.dumps(value)}" for key, value in others.items()]
        text = ", ".join([*words, f"seconds = {int(seconds) + 2}"])
        yield _set(conf, ("program", ship.name, "stop"), what, f"stop = {{ {text} }}")


@lint(
    "declaration-small-pipe",
    Severity.LOSS,
    "a small pipe for a program that does not wait",
    "HAProxy drops a line when its pipe is full: at 50 MB/s 64 KiB are 1.3 ms of room, 1 MiB is 20 ms.",
)
def small_pipe(conf: Declaration, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        if any(word.rpartition("/")[2] in NEVER_BLOCKS for word in program.command):
            count = program.table.get("pipe_bytes", PIPE_BYTES)
            if isinstance(count, int) and count < PIPE_BYTES_MAX:
                what = f"the pipe of {program.name} holds {size(count)}"
                path = ("program", program.name, "pipe_bytes")
                yield _set(conf, path, what, f"pipe_bytes = {PIPE_BYTES_MAX}")


@lint(
    "declaration-daemon",
    Severity.LOSS,
    "a program that leaves its parent",
    "a daemon closes its output and ends its first process: nothing is captured, and PID 1 takes it for ended.",
)
def daemon(conf: Declaration, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        words = program.command
        if words and words[0].rpartition("/")[2] in NEVER_BLOCKS and "-D" in words:
            text = ", ".join(f'"{word}"' for word in words if word != "-D")
            what = f"{program.name} puts itself into the background"
            yield _set(conf, ("program", program.name, "command"), what, f"command = [{text}]")


@lint(
    "declaration-outage",
    Severity.LOSS,
    "the spool does not outlast the outage to survive",
    "over its budget the oldest segment goes: the budget divided by the rate is the outage that loses nothing.",
)
def outage(conf: Declaration, conditions: Conditions) -> Iterator[Flaw]:
    spool = conf.spool
    if spool is None or not conditions.rate_bytes:
        return
    wanted = conditions.rate_bytes * conditions.outage_seconds
    small = {name: count for name, count in budgets(spool, conditions.environment).items() if 0 < count < wanted}
    if small:
        name, count = min(small.items(), key=lambda item: item[1])
        lasts = f"{span(count / conditions.rate_bytes)} at {size(conditions.rate_bytes)}/s"
        what = f"{name} is {size(count)}: {lasts}, not {span(conditions.outage_seconds)}"
        words = list(spool.command)
        for name in small:
            words = [word for word in words if not word.startswith(f"--{name}=")]
            if f"--{name}" in words:
                at = words.index(f"--{name}")
                del words[at : at + 2]
            words += [f"--{name}", str(budget(wanted))]
        text = ", ".join(json.dumps(word) for word in words)
        yield _set(conf, ("program", spool.name, "command"), what, f"command = [{text}]")


def budgets(spool: Program, environment: Mapping[str, str] | None) -> dict[str, int]:
    """What spool may keep, by option: of a program, of the container, of the volume; 0 is no bound."""
    said = {name: spool.option(name, environment) for name in BUDGETS}
    return {name: int(said[name]) if said[name].isdigit() else usual for name, usual in BUDGETS.items()}


LINTS: tuple[Lint[Declaration], ...] = (
    no_spool, no_ship, uncaptured, gives_up, stops_after_spool, ship_ends_first, stop_budget, grace, drain, small_pipe,
    daemon, outage,
)  # fmt: skip
