"""Core: what ``supervise lb`` prints: tables for people, objects for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from supervise.balance.generation import headline
from supervise.balance.runtime import Actual, Entry
from supervise.balance.server import APP, PANIC
from supervise.fleet.table import BAD, DIM, PLAIN, WARN, cell, harmless, painted, table

VERSION = 1

STATUS_HEADERS = ("SERVER", "ADDRESS", "WEIGHT", "SERF", "STATE", "CHECK", "SESSIONS", "REQUESTS", "NOTE")
HISTORY_HEADERS = ("N", "TIME", "RESULT", "BY", "MS", "CAUSE")


def status_lines(record: Mapping[str, Any], actual: Actual | None, last: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object for the balancer, then one a server, then one a refused member."""
    lines: list[dict[str, Any]] = [
        {
            "v": VERSION,
            "kind": "balancer",
            "generation": record.get("generation", 0),
            "changed": last.get("time", ""),
            "cause": last.get("cause", []),
            "troubles": record.get("troubles", {}),
            "haproxy": {"pid": actual.pid, "started": actual.started, "version": actual.version} if actual else None,
        }
    ]
    for server in record.get("servers", []):
        entry = actual.entries.get((APP, server["name"])) if actual else None
        found = {
            "state": state(actual, server["name"]),
            "check": entry.check if entry else "",
            "sessions": entry.sessions if entry else 0,
            "requests": entry.requests if entry else 0,
        }
        lines.append({"v": VERSION, "kind": "server", **server, **found})
    leaving = sorted(_leaving(record, actual)) if actual else []
    lines += [{"v": VERSION, "kind": "leaving", "name": name} for name in leaving]
    return lines + [{"v": VERSION, "kind": "refused", **refused} for refused in record.get("refused", [])]


def state(actual: Actual | None, name: str) -> str:
    """One word for a server: up, down, joining (no good check yet), drain, leaving, absent, unknown."""
    if actual is None:
        return "unknown"
    entry = actual.entries.get((APP, name))
    if entry is None:
        return "absent"
    if entry.in_maintenance:
        return "leaving"
    if (PANIC, name) not in actual.entries:
        return "joining"
    if entry.operating == 0:
        return "down"
    return "up" if entry.weight else "drain"


def _leaving(record: Mapping[str, Any], actual: Actual) -> set[str]:
    return {name for _, name in actual.entries} - {server["name"] for server in record.get("servers", [])}


def status_table(
    record: Mapping[str, Any], actual: Actual | None, last: Mapping[str, Any], colour: bool = False
) -> list[str]:
    """The balancer in a line or more, then a table of its servers."""
    lines = [f"generation {record.get('generation', 0)}  {last.get('time', '')}  {'; '.join(last.get('cause', []))}"]
    lines += [painted(f"! {name}: {reason}", BAD, colour) for name, reason in record.get("troubles", {}).items()]
    lines += [
        painted(f"! refused {refused['member']}: {refused['reason']}", WARN, colour)
        for refused in record.get("refused", [])
    ]
    styles = {"up": PLAIN, "down": BAD, "absent": BAD, "unknown": WARN, "joining": WARN, "drain": WARN}
    rows = []
    for line in status_lines(record, actual, last)[1:]:
        if line["kind"] == "server":
            notes = [f"operator: {line['wish']}"] if line["wish"] else []
            notes += [f"{line['verdict']}: {line['reason']}"] if line["verdict"] != "in" else []
            rows.append(
                [
                    cell(line["name"]),
                    cell(line["address"]),
                    cell(line["weight"]),
                    cell(line["serf"]),
                    cell(line["state"], styles.get(line["state"], PLAIN)),
                    cell(line["check"]),
                    cell(line["sessions"]),
                    cell(line["requests"]),
                    cell("; ".join(notes)),
                ]
            )
        elif line["kind"] == "leaving":
            rows.append([cell(line["name"], DIM), *[cell("")] * 3, cell("leaving", DIM), *[cell("")] * 4])
    return [harmless(line) for line in lines] + table(STATUS_HEADERS, rows, colour)


def history_table(records: Sequence[Mapping[str, Any]], colour: bool = False) -> list[str]:
    """A line a generation; milliseconds are from the listing to the read-back, the file not counted."""
    rows = []
    for record in records:
        spent = record.get("milliseconds", {})
        live = sum(spent.get(step, 0) for step in ("detect", "apply", "verify"))
        style = PLAIN if record.get("result") == "applied" else BAD
        error = headline(record.get("error", ""))
        note = f" ({error})" if error and error not in record.get("cause", []) else ""
        rows.append(
            [
                cell(record.get("n", "")),
                cell(record.get("time", "")),
                cell(record.get("result", ""), style),
                cell(record.get("method", "")),
                cell(f"{live:.0f}"),
                cell("; ".join(record.get("cause", [])) + note),
            ]
        )
    return table(HISTORY_HEADERS, rows, colour)


def diff_text(record: Mapping[str, Any], diff: str, colour: bool = False) -> list[str]:
    """Cause and difference of one generation, and what was said against it."""
    head = f"generation {record.get('n')}  {record.get('time', '')}  {'; '.join(record.get('cause', []))}"
    styles = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
    lines = []
    for line in map(harmless, diff.splitlines()):
        style = styles.get(line[:1], "") if colour else ""
        lines.append(f"{style}{line}\x1b[0m" if style else line)
    error = [painted(f"! {harmless(line)}", BAD, colour) for line in record.get("error", "").splitlines()]
    return [harmless(head), *error, *(lines or ["(the file did not change)"])]


def wish_text(verb: str, name: str, entry: Entry) -> str:
    """What to tell an operator whose wish was done."""
    under_way = f"{entry.sessions} requests under way"
    if verb == "drain":
        return f"{name}: no new sessions; its own clients may stay ({under_way})"
    return f"{name}: weight {entry.weight} ({under_way})"
