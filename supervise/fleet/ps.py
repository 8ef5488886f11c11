"""``supervise ps``: one line a container, one cell a program, and every trouble in words; once or again and again."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence

from logship.errors import Fault
from supervise.fleet.fleet import Fleet, pick
from supervise.fleet.matrix import matrix
from supervise.fleet.report import container_line, rfc3339
from supervise.fleet.result import DONE
from supervise.fleet.screen import Screen
from supervise.fleet.table import clipped

_HOME, _CLEAR_LINE, _CLEAR_BELOW, _CLEAR = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[2J"


def once(fleet: Fleet, targets: Sequence[str], screen: Screen, as_json: bool) -> int:
    """Show the selected containers (no TARGET: all) as they are now."""
    screen.say(_look(fleet, targets, screen, as_json))
    return DONE


def watch(fleet: Fleet, targets: Sequence[str], screen: Screen, as_json: bool, every_seconds: float) -> int:
    """Show them again every ``every_seconds`` until interrupted; the engine is left alone for as long as a look takes.

    A terminal is redrawn; a pipe gets block after block, each under a line with its time. When the engine goes away
    that is shown, and asked again. TARGETs are resolved anew each time, so new containers come in; the first time an
    unknown TARGET is a Fault.
    """
    drawn = False
    while True:
        began = time.monotonic()
        try:
            lines = _look(fleet, targets, screen, as_json)
        except Fault as fault:
            if not drawn:
                raise
            lines = [json.dumps({"v": 1, "fault": str(fault)})] if as_json else str(fault).splitlines()
        _draw(lines, fleet, screen, as_json, every_seconds, first=not drawn)
        drawn = True
        took = time.monotonic() - began
        time.sleep(max(every_seconds - took, took))


def _look(fleet: Fleet, targets: Sequence[str], screen: Screen, as_json: bool) -> list[str]:
    views = fleet.views()
    if not views:
        raise fleet.absence()
    picked = pick(views, targets or ["all"])
    now = fleet.clock()
    if as_json:
        return [json.dumps(container_line(view, names, now)) for view, names in picked]
    return matrix(picked, now, screen.colour)


def _draw(lines: list[str], fleet: Fleet, screen: Screen, as_json: bool, every_seconds: float, first: bool) -> None:
    if as_json:
        screen.say(lines)
        return
    title = f"{rfc3339(fleet.clock())}, every {every_seconds:g} s"
    if not screen.terminal:
        screen.say([title, *lines, ""])
        return
    width, height = shutil.get_terminal_size()
    shown = [title, *lines]
    if len(shown) > height - 1:
        hidden = len(shown) - height + 2
        shown = [*shown[: height - 2], f"... and {hidden} lines for a taller window; a TARGET chooses among them"]
    screen.out.write((_CLEAR if first else "") + _HOME)
    screen.out.write("".join(f"{clipped(line, width)}{_CLEAR_LINE}\n" for line in shown) + _CLEAR_BELOW)
    screen.out.flush()
