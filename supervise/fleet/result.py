"""Core: what came of a verb on a program, as a row, as a JSON line, and as the exit status of the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from supervise.fleet.table import BAD, PLAIN, WARN, Cell, cell, table

DONE, FAILED, USAGE, NOT_WELL, UNREACHABLE, TIMED_OUT = 0, 1, 2, 3, 4, 5
"""Exit statuses of ``ctl`` and ``ps``. NOT_WELL only with --check."""

RESULT_HEADERS = ("", "CONTAINER", "PROGRAM", "RESULT", "SECONDS", "WHY")


@dataclass(frozen=True)
class Result:
    """What came of a verb on one program: ``result`` is done, failed, timeout, unreachable or would (dry run)."""

    container: str
    program: str
    verb: str
    result: str
    reason: str = ""
    state: str = ""
    pid: int = 0
    seconds: float = 0.0

    def line(self) -> dict[str, Any]:
        """As a JSON line; the in-container side writes it, and the fleet's side reads it back."""
        return {"v": 1, **self.__dict__, "seconds": round(self.seconds, 3)}


def result_from(line: Mapping[str, Any], container: str) -> Result:
    """The Result that an in-container side wrote. Raises ValueError when it is none."""
    try:
        fields = {name: kind(line[name]) for name, kind in _RESULT_KINDS.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a result: {error!r}") from None
    if line.get("v") != 1 or fields["result"] not in _STATUS_OF_RESULT:
        raise ValueError("a result of another version")
    return replace(Result(**fields), container=container)


_RESULT_KINDS: dict[str, Any] = {
    "container": str,
    "program": str,
    "verb": str,
    "result": str,
    "reason": str,
    "state": str,
    "pid": int,
    "seconds": float,
}
_STATUS_OF_RESULT = {"done": DONE, "would": DONE, "failed": FAILED, "timeout": TIMED_OUT, "unreachable": UNREACHABLE}
_WEIGHT = (DONE, TIMED_OUT, FAILED, UNREACHABLE)


def status_of(results: Sequence[Result]) -> int:
    """Exit status of a verb: the gravest of unreachable, failed, timed out, done."""
    return max((_STATUS_OF_RESULT[item.result] for item in results), key=_WEIGHT.index, default=DONE)


def result_table(results: Sequence[Result], colour: bool) -> list[str]:
    """A row a program; what did not succeed is marked."""
    return table(RESULT_HEADERS, [_result_row(item) for item in results], colour)


def _result_row(item: Result) -> list[Cell]:
    style = PLAIN if item.result in ("done", "would") else WARN if item.result == "timeout" else BAD
    done = {"done": _DONE.get(item.verb, "done"), "would": f"would {item.verb}", "timeout": "timed out"}
    return [
        cell("!" if style else " ", style),
        cell(item.container),
        cell(item.program),
        cell(done.get(item.result, item.result), style),
        cell(f"{item.seconds:.1f}" if item.result not in ("would", "unreachable") else ""),
        cell(item.reason),
    ]


_DONE = {"start": "started", "stop": "stopped", "restart": "restarted"}
