"""Core: lints over several files at once: what one rotates and another writes, who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from logship.audit.lints.compose_json import Compose, Service
from logship.audit.lints.lint import Conditions, Deed, Flaw, Lint, Place, Severity, lint
from logship.audit.lints.logrotate_conf import Block, Logrotate
from logship.audit.lints.supervise_toml import Declaration
from logship.audit.lints.supervisord_conf import Output, Supervisord

REOPENS = ("USR2", "SIGUSR2", "-12")


@dataclass(frozen=True)
class Files:
    """All that was read, by kind."""

    supervisord: tuple[Supervisord, ...] = ()
    logrotate: tuple[Logrotate, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    compose: tuple[Compose, ...] = ()


def _both(files: Files) -> Iterator[tuple[Block, Output, str]]:
    """Every output of supervisord that a block of logrotate takes in."""
    outputs = [
        (output, program.name)
        for conf in files.supervisord
        for program in conf.programs
        for output in program.outputs()
        if output.file
    ]
    for rotation in files.logrotate:
        for block in rotation.blocks:
            for output, name in outputs:
                if any(fnmatch(output.path or "", path) for path in block.paths):
                    yield block, output, name


@lint(
    "together-two-rotators",
    Severity.LOSS,
    "supervisord and logrotate rotate the same file",
    "each renames and deletes without the other's knowledge, so generations are lost that nobody had read.",
)
def two_rotators(files: Files, _: Conditions) -> Iterator[Flaw]:
    for block, output, name in _both(files):
        if output.bytes_max:
            key = output.key("_maxbytes")
            deed = Deed.REPLACE if key in output.section.settings else Deed.ADD
            what = f"{output.path} of {name} is rotated by supervisord and by logrotate ({block.place})"
            yield Flaw(output.section.where(key, output.key()), what, deed, f"{key}=0")


@lint(
    "together-no-usr2",
    Severity.LOSS,
    "logrotate renames a file of supervisord, and nobody tells it",
    "supervisord opens its files anew at SIGUSR2 alone; until then it writes into the renamed one.",
)
def no_usr2(files: Files, _: Conditions) -> Iterator[Flaw]:
    told: set[Place] = set()
    for block, output, name in _both(files):
        script = block.last("postrotate", "lastaction")
        if script and not any(word in script.argument for word in REOPENS) and script.place not in told:
            told.add(script.place)
            what = f"{output.path} is written by supervisord for {name}, and the script sends it no USR2"
            indent = script.raw[: len(script.raw) - len(script.raw.lstrip())]
            write = f"{indent}    kill -USR2 $(cat /run/supervisord.pid)"
            yield Flaw(script.place, what, Deed.ADD, write)


@lint(
    "together-grace",
    Severity.RISK,
    "the engine's patience is shorter than the ordered stop",
    "when stop_grace_period ends the engine kills the whole container, and what is in its pipes is gone.",
)
def grace(files: Files, _: Conditions) -> Iterator[Flaw]:
    for declaration in files.declarations:
        for compose in files.compose:
            for service in compose.services:
                if service.name == declaration.service and service.grace_seconds <= declaration.stop_seconds:
                    what = f"{service.name} is killed after {service.grace_seconds:g} s, and its ordered stop may take "
                    what += f"{declaration.stop_seconds:g} s ({declaration.place('container', 'stop_seconds')})"
                    yield _longer(compose, service, declaration.stop_seconds, what)
    for conf in files.supervisord:
        needed, slowest = conf.stop_seconds()
        homes = _homes(conf, files)
        if slowest and homes and all(service.grace_seconds <= needed for _, service in homes):
            compose, service = max(homes, key=lambda home: home[1].grace_seconds)
            others = "" if len(homes) == 1 else " (the others, one of which may run it, not later)"
            what = f"{service.name} is killed after {service.grace_seconds:g} s{others}, and the stops of "
            what += f"{len(slowest)} groups may take {needed} s ({slowest[0].section.place.file})"
            yield _longer(compose, service, needed, what)


def _longer(compose: Compose, service: Service, seconds: float, what: str) -> Flaw:
    deed = Deed.REPLACE if "stop_grace_period" in service.table else Deed.ADD
    write = f'"stop_grace_period": "{int(seconds) + 5}s",'
    return Flaw(compose.place("services", service.name, "stop_grace_period"), what, deed, write)


def _homes(conf: Supervisord, files: Files) -> list[tuple[Compose, Service]]:
    """The services that may run a supervisord.conf: those that mount it, else all that have no supervise.toml here."""
    declared = {declaration.service for declaration in files.declarations}
    every = [(compose, service) for compose in files.compose for service in compose.services]
    mounting = [home for home in every if any(conf.is_file(path) for path in home[1].binds)]
    return mounting or [home for home in every if home[1].name not in declared]


LINTS: tuple[Lint[Files], ...] = (two_rotators, no_usr2, grace)
