"""Core: what `logship audit --once` prints: a row a worker, then every window that is not plainly good."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from logship.audit.audit_book import Book
from logship.audit.audit_life import Window
from logship.audit.audit_losses import COUNTS, Tally, record_of
from logship.audit.verdict import VERIFIED

WAIT_MS = 60_000
"""What has not come for so long is not only late."""
_HEAD = ("PLACE", "PID", "UNTIL", "PRODUCED", "STORED", "DROPPED", "LOST", "UNKNOWN", "VERDICT", "WHY")
_WINDOW_HEAD = ("PLACE", "PID", "FROM", "TO", "PRODUCED", "STORED", "DROPPED", "LOST", "UNKNOWN", "VERDICT", "WHY")
ROWS_MAX = 1000
"""Windows that are printed as a table; the newest. All of them come with ``-o json``."""


class Report:
    """Takes windows as they are found; ``passed`` is whether nothing is lost and nothing unverified."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._told: list[Window] = []
        self._left_out = 0

    def take(self, window: Window) -> bool:
        """One more; whether it is worth a line in JSON."""
        self._tally.take(window)
        verdict = window.verdict
        if verdict.verdict != VERIFIED or verdict.dropped or verdict.others:
            self._told.append(window)
            if len(self._told) > ROWS_MAX:
                del self._told[0]
                self._left_out += 1
        return not verdict.idle

    @property
    def passed(self) -> bool:
        """Nothing is lost: not by HAProxy, not after it; and nothing unverified."""
        totals = self._tally.totals
        return not any(totals.get(name) for name in ("lost", "unknown", "dropped", "others", "windows_unverified"))

    def waiting(self, book: Book) -> list[dict[str, Any]]:
        """Workers with lines that no verdict covers yet."""
        return [
            {"place": f"{life.service}/{life.instance}", "incarnation": life.incarnation, "pid": judge.pid,
             "lines": judge.waiting(), "counts": len(judge.cuts), "since": judge.judged_time}
            for life in book.lives.values() for judge in life.workers.values()
            if judge.waiting() or judge.cuts
        ]  # fmt: skip

    def text(self, waiting: Sequence[dict[str, Any]]) -> str:
        """The whole as tables."""
        workers = [
            (row.place, row.pid, row.to, row.produced, row.stored, row.dropped + row.others, row.lost, row.unknown,
             row.word, row.why)
            for row in self._tally.workers.values()
        ]  # fmt: skip
        parts = [_table(_HEAD, workers)] if workers else ["no window of any HAProxy has been judged"]
        if self._told:
            rows = [_row(record_of(window)) for window in self._told]
            head = f"\nwindows with something to say{f' (and {self._left_out} older ones)' if self._left_out else ''}:"
            parts += [head, _table(_WINDOW_HEAD, rows)]
        for row in waiting:
            said = f"{row['lines']:,} lines of pid {row['pid']} of {row['place']} are stored and not judged yet"
            parts.append(said + (f": {row['counts']} counts wait for their lines" if row["counts"] else ""))
        return "\n".join(parts)

    def records(self, waiting: Iterable[dict[str, Any]]) -> list[str]:
        """What follows the windows in JSON: a line a worker, those that wait, the sums."""
        rows = [{"type": "worker", **row} for row in self._tally.state()["workers"]]
        rows += [{"type": "waiting", **row} for row in waiting]
        totals = {**dict.fromkeys(COUNTS, 0), **self._tally.totals}
        return [json.dumps(row) for row in [*rows, {"type": "totals", "passed": self.passed, **totals}]]


def is_stuck(book: Book, now_ms: int) -> bool:
    """Whether there are lines without counts, or counts without lines, and for WAIT_MS nothing came that could help."""
    quiet = [life for life in book.lives.values() if now_ms - life.seen_ms >= WAIT_MS]
    return any(judge.waiting() or judge.cuts or judge.gone for life in quiet for judge in life.workers.values())


def _row(record: dict[str, Any]) -> tuple[Any, ...]:
    return (
        record["place"], record["pid"], record["from"], record["to"], record["produced"], record["stored"],
        record["dropped"] + record["others"], record["lost"], record["unknown"], record["verdict"], record["why"],
    )  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    texts = [[_cell(value) for value in row] for row in rows]
    numeric = [all(not isinstance(row[at], str) for row in rows) for at in range(len(head))]
    widths = [max(len(name), *(len(row[at]) for row in texts)) for at, name in enumerate(head)]
    lines = []
    for row in [list(head), *texts]:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) and value >= 10_000 else str(value)
