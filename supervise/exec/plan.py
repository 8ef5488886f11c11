"""Core: what plan.json says of one program, and the environment it runs with.

PID 1 writes the plan from a declaration it found good, so a fault here is a plan of another version or a wrong name.
Left to others: doing any of it (``run``), the output (``output``). Plain classes: dataclasses cost 10 ms at each start.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from logship.errors import Fault

PLAN_VERSION = 1


class Start:
    """One program as it is to be started; paths as text, ``fifo`` None when its output is not captured."""

    def __init__(self, name: str, spool: str, entry: Mapping[str, object]) -> None:
        self.name = name
        self.spool = spool
        self.command = [str(word) for word in _list(entry["command"])]
        self.user = str(entry["user"])
        self.directory = str(entry["directory"])
        self.environment = {str(key): str(value) for key, value in _map(entry["environment"]).items()}
        self.env_files = [str(path) for path in _list(entry["env_files"])]
        self.limits = {str(key): int(str(value)) for key, value in _map(entry["limits"]).items()}
        self.fifo = None if entry["fifo"] is None else str(entry["fifo"])
        if not self.command:
            raise ValueError("the command has no words")

    @property
    def stream(self) -> str:
        """Folder of its stream."""
        return f"{self.spool}/{self.name}"


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _map(value: object) -> dict[object, object]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no table")
    return value


def parse_plan(text: str, path: str, name: str) -> Start:
    """The program ``name`` of the plan ``text``. Raises Fault, naming ``path``, for a plan or name that is wrong."""
    again = "restart the container, so that PID 1 writes the plan anew"
    try:
        plan = json.loads(text)
        if plan["v"] != PLAN_VERSION:
            cause = f"its version is {plan['v']!r}, this code reads {PLAN_VERSION}"
            raise Fault("read the plan", path, cause, again)
        programs = plan["programs"]
        if name not in programs:
            known = ", ".join(sorted(programs)) or "none"
            raise Fault("start", name, f"no such program in {path}", f"its programs: {known}")
        return Start(name, plan["spool"], programs[name])
    except (KeyError, TypeError, ValueError) as error:
        cause = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise Fault("read the plan", path, cause, again) from None


def parse_env_file(text: str, path: str) -> dict[str, str]:
    """The variables of a file of ``KEY=value`` lines; empty lines and lines with ``#`` first are skipped.

    A value is everything after the first ``=``, quotes and all, as in Docker's ``--env-file``. Raises Fault with the
    number of a line that is none, never with what stands in it.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        key, equals, value = line.rstrip("\r").partition("=")
        if (not key.strip() and not equals) or key.lstrip().startswith("#"):
            continue
        key = key.strip()
        if not equals or not key or not key.isidentifier() or "\0" in value:
            raise Fault("read the variables in", f"{path}:{number}", "it is no KEY=value line", "correct the line")
        found[key] = value
    return found


def environment(
    container: Mapping[str, str],
    user: Mapping[str, str],
    declared: Mapping[str, str],
    files: Iterable[Mapping[str, str]],
) -> dict[str, str]:
    """What the program sees, each part over the one before: the container's, ours, the declaration's, the files'."""
    merged = {**container, "PYTHONUNBUFFERED": "1", **user, **declared}
    for variables in files:
        merged.update(variables)
    return merged
