"""Run: ``logship logs``: print what the viewer answers; when it goes away while following, go on where it stopped.

Progress is the cursor the viewer gives after each batch. What came after the last cursor may come again: lines are
known by their address (stream and offset), and before the first cursor by their number, since the same question, ended
at the same place, has the same answer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from logship.errors import Fault
from logship.reading.client import Client, Lost, Record, Replaced
from logship.reading.output import Output, snapshots, summary

WAITS_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Between tries to reach a viewer that went away; the last one for ever."""


@dataclass(slots=True)
class Progress:
    """How far a reading is. ``at`` is where its history ends, ``cursor`` what is done; ``seen`` since the cursor.

    ``hidden`` snapshots up to the cursor, ``pending`` ones since.
    """

    at: str | None = None
    cursor: str | None = None
    lines: int = 0
    gaps: int = 0
    losses: int = 0
    hidden: int = 0
    pending: int = 0
    skip: int = 0
    seen: set[tuple[str, int, str]] = field(default_factory=set)

    def question(self, asked: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The parameters that go on from here."""
        if self.cursor is not None:
            self.pending = 0
            return [*(pair for pair in asked if pair[0] not in ("n", "since")), ("cursor", self.cursor)]
        self.skip = len(self.seen)
        self.pending = 0
        return [*asked, ("at", self.at)] if self.at is not None else asked

    def fresh(self, record: Record) -> bool:
        """Whether a line or a mark has not been given before."""
        what = record.get("what", "") + record.get("loss", {}).get("id", "")
        address = (record["stream"], record["offset"], what)
        if self.cursor is None:
            if self.skip:
                self.skip -= 1
                return False
        elif address in self.seen:
            return False
        self.seen.add(address)
        return True


class Reading:
    """Prints lines to ``out``, and everything else to standard error."""

    def __init__(
        self, client: Client, output: Output, out: BinaryIO, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._output = output
        self._out = out
        self._pause = pause
        self._progress = Progress()
        self._answered = False
        self._told_hidden = False

    def run(self, asked: list[tuple[str, str]], follow: bool) -> int:
        """Read to the end, or for ever. Raises Fault."""
        try:
            while True:
                try:
                    self._read(asked, follow)
                    if not follow:
                        return 0
                    raise Lost("it ended the connection")
                except Lost as lost:
                    if not follow or self._progress.at is None:
                        raise self._broken(lost) from None
                    self._wait(str(lost))
                except Replaced as replaced:
                    if not follow:
                        raise Fault("go on at", str(self._progress.cursor), str(replaced)) from None
                    self._say(f"{replaced}; going on with what comes now")
                    before = self._progress
                    self._progress = Progress(lines=before.lines, gaps=before.gaps + 1, hidden=before.hidden)
                    asked = [pair for pair in asked if pair[0] not in ("n", "since")] + [("n", "0")]
        except KeyboardInterrupt:
            self._out.flush()
            if follow:
                progress = self._progress
                self._say(summary(progress.lines, progress.gaps, progress.losses, progress.hidden))
            return 130

    def _read(self, asked: list[tuple[str, str]], follow: bool) -> None:
        done = False
        for record in self._client.records("/api/logs", self._progress.question(asked)):
            if record is not None:
                done = self._take(record)
            if done and not self._told_hidden:
                self._tell_hidden()
            if follow and (record is None or done):
                self._out.flush()
        if not done and not follow:
            raise Lost("the answer was cut off")
        self._out.flush()

    def _take(self, record: Record) -> bool:
        """One record; whether everything before it is done with it."""
        progress = self._progress
        kind = record["type"]
        self._answered = True
        if kind == "line":
            if progress.fresh(record):
                progress.lines += 1
                self._out.write(self._output.line(record))
        elif kind in ("mark", "gap"):
            if kind == "gap" or progress.fresh(record):
                progress.gaps += kind == "gap"
                progress.losses += record.get("what") == "loss"
                self._mark(record)
        elif kind == "begin":
            progress.at = progress.at or record["at"]
        elif kind == "hidden":
            progress.pending += record["lines"]
        elif kind == "cursor":
            progress.cursor = record["cursor"]
            progress.hidden += progress.pending
            progress.pending = 0
            progress.seen.clear()
            return True
        elif record.get("error") == "replaced":
            raise Replaced(record["text"])
        elif kind == "error":
            raise Fault("read on after", f"{progress.lines:,} lines", record["text"])
        return False

    def _mark(self, record: Record) -> None:
        data, on_output = self._output.mark(record)
        if on_output:
            self._out.write(data)
        else:
            sys.stderr.buffer.write(data)
            sys.stderr.flush()

    def _tell_hidden(self) -> None:
        """Once, after what was: while following, the summary at the end tells the rest."""
        self._told_hidden = True
        hidden = self._progress.hidden
        if hidden:
            self._out.flush()
            self._say(f"{snapshots(hidden)} hidden; --snapshots shows them")

    def _wait(self, cause: str) -> None:
        """Until the viewer answers again."""
        self._out.flush()
        self._say(f"the viewer is gone ({cause}); going on when it is back")
        tries = 0
        while True:
            self._pause(WAITS_SECONDS[min(tries, len(WAITS_SECONDS) - 1)])
            if self._client.alive():
                return
            tries += 1

    def _broken(self, lost: Lost) -> Fault:
        if not self._answered:
            return self._client.unreachable(str(lost))
        text = f"{lost}, after {self._progress.lines:,} lines"
        return Fault("read from the viewer at", self._client.url, text, "ask again", 1)

    def _say(self, text: str) -> None:
        print(f"logship logs: {text}", file=sys.stderr, flush=True)
