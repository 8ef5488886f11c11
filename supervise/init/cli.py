"""The commands ``supervise check`` and ``supervise init`` (stage 1 of PID 1)."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from logship.commands import Command
from logship.errors import USAGE, Fault
from supervise.config import Settings, add_options, load
from supervise.init import declaration, folders, machine, order, outlets
from supervise.init.values import Declaration


class Asked(Protocol):
    """A question for this container's number that is out: ``logship.spool.instance.Question``."""

    def answer(self, seconds: float) -> str | None:
        """The number, if it comes within so many seconds."""


NUMBER_SECONDS = 0.1
"""How long PID 1 waits for the engine's DNS, once all else is ready; an idle machine has answered by then."""
INSTANCE_SETTING, INSTANCE_OPTION = "LOGSHIP_INSTANCE", "--instance"

TEMPLATE = "supervisord.conf.j2"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HELD = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


class Faulty(Exception):
    """A declaration with faults, each a line for people."""


def read(path: Path, on: declaration.Machine | None) -> Declaration:
    """The declaration in ``path``. Raises Fault when it cannot be read, Faulty when it is not good."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = "name it with --declaration or SUPERVISE_DECLARATION"
        raise Fault("read the declaration", str(path), error.strerror or str(error), hint, USAGE) from None
    except UnicodeDecodeError as error:
        raise Faulty(f"{path}:1: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    found, flaws = declaration.parse(text, on)
    if found is None:
        raise Faulty("\n".join(flaw.tell(str(path)) for flaw in flaws))
    return found


def check(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """``supervise check``: 0 and one line, or 2 and all faults."""
    path = Path(options.file) if options.file else load(options, environment).declaration
    on = None if options.no_files else machine.ThisMachine(environment.get("PATH", DEFAULT_PATH))
    try:
        found = read(path, on)
    except Faulty as faulty:
        print(faulty, file=sys.stderr)
        return USAGE
    count = len(found.programs)
    print(f"ok: {count} program{'s' * (count != 1)}, start order: {', '.join(order.start_order(found.after()))}")
    return 0


def init(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """``supervise init``: returns only with faults (2); else this process becomes stage 2."""
    # The kernel drops a signal that PID 1 has no handler for; one that is blocked waits. Stage 2 unblocks them. (The
    # command in the images, images/base/bin/supervise, does the same before its first import.)
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        plan = prepare(load(options, environment), environment)
    except Faulty as faulty:
        print(faulty, file=sys.stderr)
        return USAGE
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-m", "supervise.init", str(plan)])
    raise AssertionError("execv returned")


def prepare(settings: Settings, environment: Mapping[str, str]) -> Path:
    """Stage 1: from the declaration to the run folder with supervisord.conf and plan.json, whose path it returns.

    Raises Faulty, before anything is changed, and Fault.
    """
    from logship.spool.instance import Question  # here: signals are blocked by now (and `check` needs none of it)

    question = Question()  # the engine answers while the rest is done
    import jinja2

    from supervise.init import render

    found = read(settings.declaration, machine.ThisMachine(environment.get("PATH", DEFAULT_PATH)))
    outlets.check(found.programs, environment)
    run_dir = settings.run_dir.absolute()
    spool_dir, called = str(settings.spool_dir.absolute()), named(found, environment, question)
    around = render.Surroundings(str(run_dir), spool_dir, sys.executable, machine.minfds(), called)
    template = settings.templates / TEMPLATE
    try:
        text = render.configuration(found, around, template.read_text(encoding="utf-8"))
    except (OSError, ValueError, jinja2.TemplateError) as error:
        raise Fault("render", str(template), str(error), "see --templates and --run-dir") from error
    folders.prepare_run_dir(run_dir)
    try:
        folders.replace_file(run_dir / folders.CONFIGURATION, text.encode(), 0o600)
        folders.replace_file(run_dir / folders.PLAN, render.plan(found, around).encode(), 0o600)
    except OSError as error:
        raise Fault("write in", str(run_dir), str(error), "make it writable for PID 1") from error
    return run_dir / folders.PLAN


def named(found: Declaration, environment: Mapping[str, str], question: Asked) -> dict[str, str] | None:
    """What the streams of this container are called, where that is sure by now; else ship notes it as soon as it knows.

    Whoever ships the folder of a container that did not live so long has nobody else to ask.
    """
    from logship.spool.instance import container_id

    told = [environment, *(dict(program.environment) for program in found.programs)]
    words = (word.partition("=")[0] for program in found.programs for word in program.command)
    if any(INSTANCE_SETTING in variables for variables in told) or INSTANCE_OPTION in words:
        return None  # ship's to say
    number = question.answer(NUMBER_SECONDS)
    return {"instance": number, "container": container_id(socket.gethostname())} if number else None


def _configure_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", help="the declaration to check")
    parser.add_argument(
        "--no-files", action="store_true", help="leave out what depends on this machine: program files, users, folders"
    )
    add_options(parser, "declaration")


def _configure_init(parser: argparse.ArgumentParser) -> None:
    add_options(parser, "declaration", "run_dir", "spool_dir", "templates")


COMMANDS = {"init": Command(_configure_init, init), "check": Command(_configure_check, check)}
