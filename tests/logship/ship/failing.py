"""``logship`` with a point at which it is killed: for tests alone, nothing of it is in the code itself.

``python -m tests.logship.ship.failing POINT NTH ship|collect ...``: the process sends itself SIGKILL when the point is
reached for the NTH time. A point is a function and a moment: before it, in the middle of what it writes, or after it.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

POINTS: Mapping[str, tuple[str, str, str]] = {
    "collect: before the write": ("logship.collect.disk", "Disk.append", "before"),
    "collect: in the write": ("logship.collect.disk", "_write", "half"),
    "collect: between write and sync": ("logship.collect.disk", "Disk.sync", "before"),
    "collect: between sync and watermark": ("logship.collect.disk", "Disk.publish", "before"),
    "collect: between watermark and memory": ("logship.collect.disk", "Disk.publish", "after"),
    "collect: between memory and answer": ("logship.collect.commit", "Committer._publish", "after"),
    "ship: before the request": ("logship.ship.http_sink", "Sink.exchange", "before"),
    "ship: in the request": ("logship.ship.http_sink", "Sink._send", "half"),
    "ship: between request and answer": ("logship.ship.http_sink", "Sink._receive", "before"),
    "ship: between answer and memory": ("logship.ship.run", "Ship._take", "before"),
    "ship: after the answer was taken": ("logship.ship.run", "Ship._take", "after"),
}


def arm(place: tuple[str, str, str], nth: int) -> None:
    """From now on."""
    module_name, path, moment = place
    owner: Any = importlib.import_module(module_name)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    setattr(owner, name, _armed(getattr(owner, name), moment, nth))


def _armed(function: Callable[..., Any], moment: str, nth: int) -> Callable[..., Any]:
    reached = 0

    def armed(*given: Any, **named: Any) -> Any:
        nonlocal reached
        reached += 1
        if reached == nth and moment == "half":
            function(*_halved(given), **named)
        if reached == nth and moment != "after":
            _die()
        found = function(*given, **named)
        if reached == nth:
            _die()
        return found

    return armed


def _halved(given: Sequence[Any]) -> list[Any]:
    """The bytes among the arguments that are written last, cut in the middle: a body, the last buffer of a list."""
    halved = list(given)
    at = max(place for place, each in enumerate(halved) if isinstance(each, (bytes, list)))
    if isinstance(halved[at], list):
        *before, last = halved[at]
        halved[at] = [*before, last[: len(last) // 2]]
    else:
        halved[at] = halved[at][: len(halved[at]) // 2]
    return halved


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # until it has come


if __name__ == "__main__":
    from logship.cli import main

    arm(POINTS[sys.argv[1]], int(sys.argv[2]))
    sys.exit(main(sys.argv[3:], os.environ))
