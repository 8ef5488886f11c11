"""Core: a Declaration -> the text of supervisord.conf, and plan.json for PID 1 and ``supervise exec``.

Same declaration, same text. supervisord's part is small: it starts nothing by itself (order.py decides), restarts what
is not essential, and keeps what a first process says before its own output is open.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2

from supervise.init.restart import startretries
from supervise.init.values import CHECK_SUFFIX, COMMAND, PLAN_VERSION, Declaration, Program, program_entry


@dataclass(frozen=True)
class Surroundings:
    """What the text depends on besides the declaration: paths, the interpreter, and supervisord's minfds.

    ``named``: instance and container, as the spool folder notes them; None while they are not known for sure.
    """

    run_dir: str
    spool_dir: str
    python: str
    minfds: int
    named: Mapping[str, str] | None = None


def configuration(declaration: Declaration, around: Surroundings, template: str) -> str:
    """The text of supervisord.conf. Raises jinja2.TemplateError for a template that is not one."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["ini"] = _plain
    programs = [_section(program, around) for program in declaration.programs]
    checks = [
        {"name": program.name + CHECK_SUFFIX, "command": _command(program.name + CHECK_SUFFIX, around)}
        for program in declaration.programs
        if program.ready.kind == COMMAND
    ]
    return environment.from_string(template).render(
        around=around, service=declaration.service, programs=programs, checks=checks
    )


def plan(declaration: Declaration, around: Surroundings) -> str:
    """The text of plan.json: the contract with ``supervise exec`` and all that PID 1 itself needs to know."""
    programs: dict[str, Any] = {}
    for program in declaration.programs:
        fifo = f"{around.run_dir}/fifo/{program.name}" if program.capture else None
        programs[program.name] = program_entry(program, fifo)
        if program.ready.kind == COMMAND:
            programs[program.name + CHECK_SUFFIX] = {**program_entry(_check(program), None), "check_of": program.name}
    found = {
        "v": PLAN_VERSION,
        "service": declaration.service,
        "stop_seconds": declaration.stop_seconds,
        "snapshot_seconds": declaration.snapshot_seconds,
        "run_dir": around.run_dir,
        "spool_dir": around.spool_dir,
        "spool": f"{around.run_dir}/spool",
        "fifo_dir": f"{around.run_dir}/fifo",
        "minfds": around.minfds,
        "named": around.named,
        "programs": programs,
    }
    return json.dumps(found, indent=1) + "\n"


def _check(program: Program) -> Program:
    """The hidden program that asks: the check's command in the program's own surroundings."""
    return Program(
        name=program.name + CHECK_SUFFIX,
        command=program.ready.command,
        user=program.user,
        directory=program.directory,
        environment=program.environment,
        env_files=program.env_files,
        limits=program.limits,
        capture=False,
    )


def _section(program: Program, around: Surroundings) -> dict[str, Any]:
    return {
        "name": program.name,
        "command": _command(program.name, around),
        "autorestart": "false" if program.essential else "true",
        "startsecs": program.restart.start_seconds,
        "startretries": startretries(program.restart),
        "stopsignal": program.stop.signal,
        "stopwaitsecs": program.stop.seconds,
        "group": "true" if program.stop.group else "false",
    }


def _command(name: str, around: Surroundings) -> str:
    words = [around.python, "-I", "-m", "supervise.exec", "--plan", f"{around.run_dir}/plan.json", name]
    return shlex.join(words)


def _plain(text: str) -> str:
    """A value for supervisord's parser: % begins an expansion there (done twice for log files), `` ;`` a comment."""
    if "\n" in text or " ;" in text or "%" in text:
        raise ValueError(f"supervisord.conf cannot hold {text!r}")
    return text
