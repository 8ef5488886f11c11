"""Core: alerts as a table for people, those that fire first; what is wrong with their evaluation, in words."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from logship.reading.columns import ago, aligned
from logship.values import Invalid
from logship.view.shown import harmless

Record = dict[str, Any]
HEADS = ("ALERT", "STATE", "SINCE", "VALUE", "GROUP", "CONDITION")
ORDER = ("firing", "pending", "unknown", "quiet")


def chosen(records: Sequence[Record], names: Sequence[str]) -> list[Record] | Invalid:
    """The alerts that are named, all where none is; or which name is none."""
    there = sorted({one["alert"] for one in records})
    for name in names:
        if name not in there:
            near = difflib.get_close_matches(name, there, 1, 0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            return Invalid(f"no alert is called {name}; {hint}there are: {', '.join(there) or 'none'}")
    return [one for one in records if not names or one["alert"] in names]


def table(records: Sequence[Record], now: datetime) -> list[str]:
    """The lines of the table, with its head."""
    rows = sorted(records, key=lambda one: (ORDER.index(one["state"]), one["alert"]))
    return aligned([HEADS, *(tuple(harmless(cell) for cell in _row(one, now)) for one in rows)])


def _row(one: Record, now: datetime) -> tuple[str, ...]:
    since = "-" if one["since"] is None else ago(one["since"], now)
    group = " ".join(f"{name}={value}" for name, value in one.get("group", {}).items()) or "-"
    value = "?" if one["value"] is None else f"{one['value']:,}"
    state = "stopped" if "stopped" in one else one["state"]
    return one["alert"], state, since, value, group, one["condition"]


def notes(records: Sequence[Record], whole: Record) -> list[str]:
    """What people must know besides."""
    found = [f"{one['alert']} is stopped: {one['stopped']}" for one in records if "stopped" in one]
    if not whole["evaluates"] and whole["alerts"]:
        found.append("they are not evaluated")
    found += whole["troubles"]
    for hook in whole.get("webhooks", ()):
        if hook["trouble"]:
            found.append(f"{hook['waiting']:,} notifications wait for {hook['webhook']}: {hook['trouble']}")
    if whole.get("given_up"):
        found.append(f"{whole['given_up']:,} notifications were given up: logship logs -q event:alert-not-told")
    if whole.get("lines_given_up"):
        found.append(f"{whole['lines_given_up']:,} lines of alerts were given up, no collector took them")
    return [*dict.fromkeys(found)]
