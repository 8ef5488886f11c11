"""Run: a question with a pipe, asked of the viewer: progress on a terminal while it goes on, then the table.

What it was when somebody interrupts it is told, too: how far the search was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from logship.errors import Fault
from logship.reading.client import Client, Lost, Record
from logship.reading.tables import Shown, csv_lines, far, json_lines, json_worth, notes
from logship.view.pipes import Pipe

Local = Callable[[datetime], datetime]


@dataclass(slots=True)
class Answer:
    """What came of a question."""

    tables: dict[str, Record] = field(default_factory=dict)
    losses: Record = field(default_factory=dict)
    progress: Record = field(default_factory=dict)
    kept_from: str | None = None

    @property
    def table(self) -> Record:
        """The one there is, of a pipe that makes one."""
        return self.tables[""]


class Question:
    """Asks ``client`` for lines ``since`` then. ``live``: standard error is a terminal that shows how far it is."""

    def __init__(self, command: str, client: Client, local: Local, live: bool, since: datetime | None) -> None:
        self._command, self._client, self._local, self._live = command, client, local, live
        self.since = since
        self._written = 0

    def ask(self, parameters: list[tuple[str, str]]) -> Answer:
        """The whole answer. Raises Fault, and KeyboardInterrupt when it has said how far it was."""
        answer, cursor = Answer(), False
        try:
            for record in self._client.records("/api/query", parameters):
                cursor = record is not None and self._take(answer, record)
        except Lost as lost:
            self._clear()
            if not answer.progress:
                raise self._client.unreachable(str(lost)) from None
            raise Fault(
                "read from the viewer at", self._client.url, f"{lost}; {self._far(answer)}", "ask again"
            ) from None
        except KeyboardInterrupt:
            self._clear()
            self.say(f"interrupted: {self._far(answer)}")
            raise
        self._clear()
        if not cursor:
            raise Fault("read from the viewer at", self._client.url, "the answer was cut off", "ask again")
        return answer

    def say(self, text: str) -> None:
        """A sentence on standard error."""
        print(f"logship {self._command}: {text}", file=sys.stderr, flush=True)

    def _take(self, answer: Answer, record: Record) -> bool:
        """One record; whether it is the last one."""
        kind = record["type"]
        if kind == "begin":
            answer.kept_from = record["kept_from"]
        elif kind == "progress":
            answer.progress = record
            self._show(answer)
        elif kind == "table" and not record["partial"]:
            answer.tables[record["name"]] = record
        elif kind == "rows":
            answer.tables[record["name"]]["rows"] += record["rows"]
        elif kind == "losses":
            answer.losses = record
        elif kind == "error":
            self._clear()
            raise Fault("answer", "the question", record["text"])
        return bool(kind == "cursor")

    def _far(self, answer: Answer) -> str:
        return far(answer.progress, self._local) if answer.progress else "nothing was searched yet"

    def _show(self, answer: Answer) -> None:
        if self._live:
            text = self._far(answer)
            self._written, before = max(len(text), self._written), self._written
            sys.stderr.write(f"\r{text.ljust(before)}")
            sys.stderr.flush()

    def _clear(self) -> None:
        if self._written:
            sys.stderr.write(f"\r{'':{self._written}}\r")
            sys.stderr.flush()
            self._written = 0


def printed(question: Question, pipe: Pipe, answer: Answer, form: str, shown: Shown) -> None:
    """The table on standard output, and what its numbers are worth on standard error."""
    table = answer.table
    if form == "json":
        lines = [*json_lines(table), *json_worth(table, answer.losses, answer.progress)]
    else:
        lines = csv_lines(table) if form == "csv" else shown.table(table) if table["rows"] else []
    for line in lines:
        print(line)
    sys.stdout.flush()
    if not table["rows"] and form == "table":
        question.say("no line matches")
    told(question, pipe, table, answer)


def told(question: Question, pipe: Pipe, table: Record, answer: Answer) -> None:
    """What the numbers are worth, on standard error."""
    for note in notes(pipe, table, answer.losses, answer.progress):
        question.say(note)
    kept = answer.kept_from
    if kept is not None and (question.since is None or question.since < datetime.fromisoformat(kept)):
        question.say(f"what is kept begins at {kept}")
