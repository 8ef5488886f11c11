"""The runs of ``supervise ctl`` on the host: look, do, tell."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logship.errors import Fault
from supervise.fleet.fleet import Fleet, members, pick
from supervise.fleet.report import chosen, status_lines, status_table
from supervise.fleet.result import DONE, NOT_WELL, USAGE, Result, result_table, status_of
from supervise.fleet.screen import Screen
from supervise.fleet.select import Choice, select
from supervise.fleet.snapshot import View
from supervise.fleet.table import harmless
from supervise.fleet.tail import Tail

OWN_STREAMS = ("supervise", "supervisord")
"""Streams of PID 1 itself: its events, and supervisord's own log. They can be read, not started."""


@dataclass(frozen=True)
class Manner:
    """How a verb is to be done. ``ask`` puts a question to a person, true for yes; None: there is nobody to ask."""

    timeout_seconds: float = 60
    wait: bool = True
    dry_run: bool = False
    yes: bool = False
    as_json: bool = False
    ask: Callable[[str], bool] | None = None


def status(fleet: Fleet, targets: Sequence[str], screen: Screen, as_json: bool, check: bool) -> int:
    """Show every program the TARGETs select (none: all). With ``check``: NOT_WELL unless all are running and ready."""
    views = _views(fleet)
    picked = pick(views, targets or ["all"])
    now = fleet.clock()
    if as_json:
        screen.say([json.dumps(line) for line in status_lines(picked, now)])
    else:
        screen.say(status_table(picked, now, screen.colour))
    well = all(not view.reason and all(p.is_well for p in chosen(view, names)) for view, names in picked)
    return NOT_WELL if check and not well else DONE


def pids(fleet: Fleet, targets: Sequence[str], screen: Screen) -> int:
    """Print ``CONTAINER:PROGRAM PID`` for each selected program that has one; pids are those inside the container."""
    picked = pick(_views(fleet), targets)
    found = [(view, program) for view, names in picked for program in chosen(view, names) if program.pid]
    screen.say([harmless(f"{view.container.label}:{program.name} {program.pid}") for view, program in found])
    return DONE


def verb(fleet: Fleet, word: str, targets: Sequence[str], screen: Screen, manner: Manner) -> int:
    """Start, stop or restart the selected programs and report each; nothing is done when a TARGET is unknown."""
    views = _views(fleet)
    selected = select(targets, members(views), for_verb=True)
    choices = [item for item in selected if item.programs or not item.asked]
    if not any(item.programs for item in choices):
        raise _nothing_to_do(word, selected)
    if manner.dry_run:
        results = [Result(item.container.label, name, word, "would") for item in choices for name in item.programs]
    else:
        _confirm(word, choices, manner)
        results = _done(fleet, word, choices, manner)
    if manner.as_json:
        screen.say([json.dumps(item.line()) for item in results])
    else:
        screen.say(result_table(results, screen.colour))
    return status_of(results)


def _done(fleet: Fleet, word: str, choices: Sequence[Choice], manner: Manner) -> list[Result]:
    try:
        return fleet.do(word, choices, manner.timeout_seconds, manner.wait)
    except KeyboardInterrupt:
        print(f"interrupted: the {word} goes on in the containers", file=sys.stderr)
        raise


def _views(fleet: Fleet) -> list[View]:
    views = fleet.views()
    if not views:
        raise fleet.absence()
    return views


def _nothing_to_do(word: str, selected: Sequence[Choice]) -> Fault:
    labels = ", ".join(item.container.label for item in selected)
    if any(not item.asked for item in selected):
        return Fault(word, labels, "it does not say which programs it has", "look at it: supervise ctl status", 4)
    hint = "its own programs are touched only by name, as in webapp/1:spool"
    return Fault(word, labels, "it has no other programs than logship's", hint, USAGE)


def _confirm(word: str, choices: Sequence[Choice], manner: Manner) -> None:
    """Raises Fault unless one container is meant, or somebody said yes."""
    if len(choices) < 2 or manner.yes:
        return
    programs = sum(len(choice.programs) for choice in choices)
    what = f"{programs} programs of {len(choices)} containers"
    if manner.ask is None:
        raise Fault(word, what, "more than one container, and nobody to ask", "add --yes (--dry-run shows them)", USAGE)
    for choice in choices:
        print(f"  {choice.container.label}: {' '.join(choice.programs)}", file=sys.stderr)
    if not manner.ask(f"{word.capitalize()} {what}? [y/N] "):
        raise Fault(word, what, "not confirmed, nothing was done")


def tail(fleet: Fleet, targets: Sequence[str], screen: Screen, lines: str, follow: bool) -> int:
    """Print the last lines of the selected programs' streams, and with ``follow`` what comes."""
    views = _views(fleet)
    selected = select(targets, members(views, OWN_STREAMS), for_verb=True)
    choices = [item for item in selected if item.programs and item.container.is_running]
    for item in selected:
        if item not in choices:
            print(f"{item.container.label}: {_unread(item, views)}", file=sys.stderr)
    if not choices:
        raise Fault("read", ", ".join(item.container.label for item in selected), "none of them can be read", "", 4)
    argv = ["supervise", "ctl", "--local", "--run-dir", str(fleet.run_dir), "tail", "--framed", "-n", lines]
    argv += ["-f", "--while-input"] if follow else ["--while-input"]
    return Tail(fleet.engine, choices, screen.bytes_out, screen.terminal, screen.colour).run(argv, follow)


def _unread(choice: Choice, views: Sequence[View]) -> str:
    reason = next(view.reason for view in views if view.container.id == choice.container.id)
    return reason or "its own streams are read only by name, as in webapp/1:spool"
