"""The command ``logship doctor``."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Mapping, Sequence

from logship import config
from logship.audit import doctor_inside
from logship.audit.doctor import ALL, IDS, Document, examine, refuse_stranger
from logship.audit.doctor_files import document
from logship.audit.doctor_inside import Machine
from logship.audit.doctor_output import record, summary, table, text
from logship.audit.lints.container import Container
from logship.audit.lints.kinds import Kind
from logship.audit.lints.lint import Conditions
from logship.audit.lints.source import Unreadable
from logship.commands import Command
from logship.errors import USAGE, Fault

FOUND = 1


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="supervisord.conf, haproxy.cfg, a logrotate file, supervise.toml, or the output of `docker compose config "
        "--format json`; -: standard input; none: the container this runs in",
    )
    parser.add_argument(
        "--kind",
        choices=[kind.value for kind in Kind],
        help="what the FILEs are, where their content does not say it",
    )
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="for people, or a record a line"
    )
    parser.add_argument(
        "--allow", metavar="LINT", action="append", default=[], help="leave this lint out; may be given again"
    )
    parser.add_argument("--list", action="store_true", help="print every lint with its reason, and look at nothing")
    config.add_options(parser, "outage_seconds", "rate_bytes", "grace_seconds")
    parser.epilog = (
        "A comment `doctor: allow LINT reason` in a file, on the line or right above it, takes a finding back, "
        "`doctor: allow-in-file LINT reason` all of that file. "
        "Exit status: 0 nothing found; 1 findings; 2 usage, or a file that cannot be read."
    )


def _doctor(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = config.load(options, environment)
    for name in ("outage_seconds", "rate_bytes", "grace_seconds"):
        value = getattr(settings, name)
        if not (math.isfinite(value) and value >= 0):
            option = f"--{name.replace('_', '-')}"
            raise Fault("take the setting", option, f"{value} is out of range", "give 0 or more", USAGE)
    for name in options.allow:
        if name not in IDS:
            raise Fault("leave out", name, "there is no such lint", "`logship doctor --list` has all", USAGE)
    if options.list:
        print("\n".join(table(ALL)))
        return 0
    kind = Kind(options.kind) if options.kind else None
    container: Container | None = None
    if options.files:
        files = [document(name, kind) for name in dict.fromkeys(options.files)]
        conditions = _conditions(settings)
    else:
        if kind:
            raise Fault("take", f"--kind {kind.value}", "no FILE is given", "give the file it is about", USAGE)
        machine = Machine(environment, settings=settings)
        files, container, conditions = _inside(machine)
    return _tell(options, files, conditions, container)


def _conditions(settings: config.Settings) -> Conditions:
    return Conditions(settings.outage_seconds, settings.rate_bytes or None, settings.grace_seconds or None)


def _inside(machine: Machine) -> tuple[list[Document], Container, Conditions]:
    """The container that this runs in."""
    files = doctor_inside.documents(machine)
    if not files:
        hint = "give FILEs, or run it in a container: docker exec CONTAINER logship doctor"
        raise Fault("examine", "this machine", "no supervisord, HAProxy or spool is set up here", hint, USAGE)
    given = _conditions(machine.settings)
    conditions = Conditions(
        given.outage_seconds,
        given.rate_bytes,
        given.grace_seconds,
        environment=machine.environment,
        cpus=len(os.sched_getaffinity(0)),
        nofile=doctor_inside.nofile(machine),
    )
    return files, doctor_inside.container(machine, files), conditions


def _tell(
    options: argparse.Namespace, files: Sequence[Document], conditions: Conditions, container: Container | None
) -> int:
    try:
        for item in files if container is None else ():
            refuse_stranger(item)
        findings = examine(files, conditions, container, options.allow)
    except Unreadable as error:
        raise Fault("read", str(error.place), error.cause, "correct it", USAGE) from None
    sources = {source.name: source for item in files for source in item.sources}
    if options.output == "json":
        for finding in findings:
            print(record(finding, sources))
    else:
        for line in text(findings, sources):
            print(line)
        sys.stdout.flush()
        places = [*sources, *(["the container"] if container else [])]
        print(summary(findings, places), file=sys.stderr)
    return FOUND if findings else 0


COMMANDS = {"doctor": Command(_configure, _doctor)}
