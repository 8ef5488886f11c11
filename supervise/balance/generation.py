"""Core: one numbered change of the balancer: cause, difference, actions, outcome.

Owns the form of the record (ARCHITECTURE.md 6) and which generations are old. ``store`` keeps them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from supervise.balance.reconcile import Action
from supervise.balance.server import Server

KEEP = 1000
"""Generations kept; older ones are deleted."""

RUNTIME, RELOAD, FILE = "runtime", "reload", "file"
APPLIED, REJECTED = "applied", "rejected"

_ALERT = re.compile(r"^\[ALERT\][ \t]*(?:\(\d+\) : )?(.+)$", re.MULTILINE)
_FOLDER = re.compile(r"[0-9]{6,12}\Z")


def headline(error: str) -> str:
    """The one line that says most of what HAProxy, or we, had against a file: its first alert, else the first line."""
    alert = _ALERT.search(error)
    return alert[1] if alert else error.partition("\n")[0]


@dataclass(frozen=True)
class Generation:
    """A change that was applied, or rejected by HAProxy's check.

    ``time`` is RFC 3339, UTC; ``milliseconds`` says how long each step took (detect, apply, verify, render, check,
    publish, reload), ``error`` what went wrong, "" for nothing.
    """

    number: int
    time: str
    causes: tuple[str, ...]
    servers: tuple[Server, ...]
    actions: tuple[Action, ...]
    method: str
    result: str
    error: str = ""
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As it is kept and logged."""
        return {
            "n": self.number,
            "time": self.time,
            "cause": list(self.causes),
            "members": [
                {"name": server.name, "address": server.address, "port": server.port, "weight": server.weight}
                for server in self.servers
            ],
            "actions": [
                {"kind": action.kind, "server": action.server, "reason": action.reason} for action in self.actions
            ],
            "method": self.method,
            "milliseconds": {name: round(value, 1) for name, value in self.milliseconds.items()},
            "result": self.result,
            "error": self.error,
        }


def folder_name(number: int) -> str:
    """Name of a generation's folder."""
    return f"{number:06d}"


def numbers(names: Iterable[str]) -> list[int]:
    """The generations among the names of a folder's entries, oldest first."""
    return sorted(int(name) for name in names if _FOLDER.match(name))


def surplus(kept: Collection[int], keep: int = KEEP) -> list[int]:
    """The generations to delete, oldest first."""
    return sorted(kept)[: max(0, len(kept) - keep)]


def difference(before: str, after: str, old: str, new: str) -> str:
    """Unified diff of two configurations; "" where they are equal."""
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), old, new)
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def method(actions: Sequence[Action], is_reloaded: bool) -> str:
    """How a change reached HAProxy."""
    return RELOAD if is_reloaded else RUNTIME if actions else FILE
