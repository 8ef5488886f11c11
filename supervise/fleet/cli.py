"""The commands ``supervise ctl`` and ``supervise ps``: their options, and who runs them.

What a command does not use it does not import: the in-container side has neither the SDK nor time for it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from logship.commands import Command
from logship.errors import USAGE, Fault
from supervise.config import add_options, load

if TYPE_CHECKING:
    from supervise.fleet.fleet import Fleet
    from supervise.fleet.screen import Screen

_TARGETS = """
TARGET is CONTAINER[:PROGRAM]. CONTAINER is all, SERVICE, SERVICE/NUMBER, a container's name or the beginning of its id;
* stands for any characters: all  webapp  webapp/2  webapp:serf  webapp/2:serf  'web*:*'
"""

_STATUSES = """
exit status: 0 done, 1 something failed, 2 usage (nothing was done), 3 not everything is running and ready (status
--check), 4 engine or container cannot be reached, 5 timed out, 130 interrupted
"""

_VERBS = {
    "start": "start programs and wait until they are running and ready",
    "stop": "stop programs and wait until they are down; a stopped program stays stopped",
    "restart": "stop programs and start them, also those that have exited or were given up",
}


def _configure_ctl(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _TARGETS + _STATUSES
    parser.add_argument("--local", action="store_true", help="inside a container: its own programs, TARGET is PROGRAM")
    add_options(parser, "project", "run_dir")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    status = verbs.add_parser("status", help="a row a program")
    status.add_argument("targets", nargs="*", metavar="TARGET")
    status.add_argument("--check", action="store_true", help="exit with 3 unless everything is running and ready")
    _output(status)

    for name, text in _VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text.capitalize() + ".", epilog=_TARGETS)
        verb.add_argument("targets", nargs="+", metavar="TARGET")
        verb.add_argument("--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="default 60")
        verb.add_argument("--no-wait", action="store_true", help="ask for it, and do not wait for what comes of it")
        verb.add_argument("--dry-run", action="store_true", help="only show what would be touched")
        verb.add_argument("-y", "--yes", action="store_true", help="do not ask before touching several containers")
        _output(verb)

    tail = verbs.add_parser("tail", help="the last lines of what programs wrote")
    tail.add_argument("targets", nargs="+", metavar="TARGET")
    tail.add_argument("-n", "--lines", type=_lines, default="20", metavar="N", help="a number, or all; default 20")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    tail.add_argument("--framed", action="store_true", help=argparse.SUPPRESS)
    tail.add_argument("--while-input", action="store_true", help=argparse.SUPPRESS)

    pid = verbs.add_parser("pid", help="the process ids, as they are inside the containers")
    pid.add_argument("targets", nargs="+", metavar="TARGET")


def _configure_ps(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _TARGETS + _STATUSES
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("-w", "--watch", action="store_true", help="again and again, until interrupted")
    parser.add_argument(
        "--interval", type=_seconds, default=1.0, metavar="SECONDS", help="how often to look with -w; default 1"
    )
    _output(parser)
    add_options(parser, "project", "run_dir")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="json: an object a line")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 86400:
        raise argparse.ArgumentTypeError("is not between 0.1 and 86400 seconds")
    return value


def _lines(text: str) -> str:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor all")
    return text


def run_ctl(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run ``supervise ctl``."""
    if options.local:
        return _run_local(options, load(options, environment).run_dir)
    from supervise.fleet import ctl

    as_json = getattr(options, "output", "table") == "json"
    screen = _screen(environment)
    fleet = _fleet(options, environment)
    if options.verb == "status":
        return ctl.status(fleet, options.targets, screen, as_json, options.check)
    if options.verb == "tail":
        return ctl.tail(fleet, options.targets, screen, options.lines, options.follow)
    if options.verb == "pid":
        return ctl.pids(fleet, options.targets, screen)
    manner = ctl.Manner(
        timeout_seconds=options.timeout,
        wait=not options.no_wait,
        dry_run=options.dry_run,
        yes=options.yes,
        as_json=as_json,
        ask=_ask if sys.stdin is not None and sys.stdin.isatty() else None,
    )
    return ctl.verb(fleet, options.verb, options.targets, screen, manner)


def run_ps(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run ``supervise ps``."""
    from supervise.fleet import ps

    as_json = options.output == "json"
    screen = _screen(environment)
    fleet = _fleet(options, environment)
    if options.watch:
        return ps.watch(fleet, options.targets, screen, as_json, options.interval)
    return ps.once(fleet, options.targets, screen, as_json)


def _run_local(options: argparse.Namespace, run_dir: Path) -> int:
    if options.verb in _VERBS:
        from supervise.fleet import local

        if options.dry_run:
            raise Fault("do", "--dry-run", "it is for the fleet", "leave out --local", USAGE)
        patience = local.Patience(options.timeout, not options.no_wait)
        return local.run(options.verb, options.targets, run_dir, patience, options.output == "json")
    if options.verb == "tail":
        from supervise.fleet import follow

        lines = None if options.lines == "all" else int(options.lines)
        manner = follow.Manner(lines, options.follow, options.framed, options.while_input)
        return follow.run(options.targets, run_dir / "spool", manner)
    from supervise.fleet import inside

    if options.verb == "pid":
        return inside.pids(run_dir, options.targets)
    return inside.status(run_dir, options.targets, options.output == "json", options.check)


def _fleet(options: argparse.Namespace, environment: Mapping[str, str]) -> Fleet:
    from supervise.fleet.engine import Engine
    from supervise.fleet.fleet import Fleet

    settings = load(options, environment)
    return Fleet(Engine.connect(environment), settings.project, PurePosixPath(settings.run_dir), time.time)


def _screen(environment: Mapping[str, str]) -> Screen:
    from supervise.fleet.screen import Screen

    terminal = sys.stdout.isatty()
    colour = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return Screen(sys.stdout, terminal, colour)


def _ask(question: str) -> bool:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


COMMANDS = {"ctl": Command(_configure_ctl, run_ctl), "ps": Command(_configure_ps, run_ps)}
