"""Core: the fleet at a glance, a row a container and a column a program."""

from __future__ import annotations

from collections.abc import Sequence

from supervise.fleet.report import chosen, mark_of, troubles, uptime
from supervise.fleet.snapshot import Program, View
from supervise.fleet.table import BAD, DIM, PLAIN, WARN, Cell, cell, harmless, painted, table

_HEALTH_STYLE = {"healthy": PLAIN, "starting": WARN, "unhealthy": BAD}


def matrix(views: Sequence[tuple[View, Sequence[str]]], now: float, colour: bool) -> list[str]:
    """Lines of the table, then a line a trouble. Columns stand in the order in which containers name their programs.

    A cell is the uptime of a program that is well, else its state (``waiting``: PID 1 has not started it yet), then its
    restarts as ``x2``.
    """
    columns = list(dict.fromkeys(program.name for view, names in views for program in chosen(view, names)))
    headers = ["", "CONTAINER", "HEALTH", *(harmless(name.upper()) for name in columns)]
    rows = []
    for view, names in views:
        programs = {program.name: program for program in chosen(view, names)}
        mark = cell(" ") if not view.reason and all(p.is_well for p in programs.values()) else _mark(view, programs)
        cells = [_cell(programs[name], view, now) if name in programs else cell("", DIM) for name in columns]
        rows.append([mark, cell(view.container.label), _health(view), *cells])
    said = [text for view, names in views for text in troubles(view, now, names)]
    lines = table(headers, rows, colour)
    return lines + ([""] if said else []) + [painted(f"! {harmless(text)}", BAD, colour) for text in said]


def _mark(view: View, programs: dict[str, Program]) -> Cell:
    only_stopped = not view.reason and all(p.is_well or p.state == "STOPPED" for p in programs.values())
    return cell("-", DIM) if only_stopped else cell("!", BAD)


def _health(view: View) -> Cell:
    if not view.container.is_running:
        return cell(view.container.state, BAD)
    return cell(view.container.health, _HEALTH_STYLE.get(view.container.health, PLAIN))


def _cell(program: Program, view: View, now: float) -> Cell:
    style = DIM if view.reason else mark_of(program)[1]
    if program.is_well:
        text = uptime(program, now)
    elif program.state == "RUNNING":
        text = f"not ready {uptime(program, now)}".strip()
    elif program.state == "STOPPED" and view.snapshot and view.snapshot.phase == "starting":
        text = "waiting"  # for what it comes after
    else:
        text = program.state.lower()
    if program.restarts:
        text += f" x{program.restarts}"
        style = style or WARN
    return cell(text, style)
