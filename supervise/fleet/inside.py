"""Looking at a container from within: ``supervise ctl --local status`` and ``pid``, for people who are in there."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from logship.errors import USAGE, Fault
from supervise.fleet.container import Container
from supervise.fleet.report import chosen, status_lines, status_table
from supervise.fleet.result import DONE, NOT_WELL
from supervise.fleet.snapshot import STATE_BYTES_MAX, View, view


def status(run_dir: Path, programs: Sequence[str], as_json: bool, check: bool) -> int:
    """Print the state of this container's programs (none named: all); with ``check`` NOT_WELL unless all are well."""
    seen, names = _seen(run_dir, programs)
    now = time.time()
    if as_json:
        print("\n".join(json.dumps(line) for line in status_lines([(seen, names)], now)))
    else:
        print("\n".join(status_table([(seen, names)], now, colour=False)))
    well = not seen.reason and all(program.is_well for program in chosen(seen, names))
    return NOT_WELL if check and not well else DONE


def pids(run_dir: Path, programs: Sequence[str]) -> int:
    """Print the pid of each named program that has one."""
    seen, names = _seen(run_dir, programs)
    for program in chosen(seen, names):
        if program.pid:
            print(program.pid)
    if seen.reason:
        print(seen.reason, file=sys.stderr)
    return DONE


def _seen(run_dir: Path, programs: Sequence[str]) -> tuple[View, Sequence[str]]:
    path = run_dir / "state.json"
    answer: bytes | Fault | None
    try:
        with path.open("rb") as file:
            answer = file.read(STATE_BYTES_MAX)
    except FileNotFoundError:
        answer = None
    except OSError as error:
        answer = Fault("read", str(path), error.strerror or str(error))
    host = socket.gethostname()
    container = Container(host, host, host, 0, "running", "", "", (), 0)
    seen = view(container, answer, time.time())
    there = [program.name for program in seen.snapshot.programs] if seen.snapshot else []
    unknown = [name for name in programs if name not in there]
    if unknown and seen.snapshot:
        raise Fault("find", " ".join(unknown), "there is no such program", f"there is: {', '.join(there)}", USAGE)
    return seen, programs or there
