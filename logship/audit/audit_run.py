"""Run: ``logship audit``: follow the journal, say each window's verdict, and put what is missing into the ledger.

What it has found is in the store's ``audit.json``, replaced atomically: for readers the newest windows and the sums,
for itself how far it read. Without that file it begins at the journal's beginning and comes to the same. A record has
the same id whenever it is found, so the ledger takes it once; what was read is noted only after that.
Runs at the lowest priority: intake and readers come first.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from logship.audit.audit_book import Book
from logship.audit.audit_journal import Mark
from logship.audit.audit_life import Window
from logship.audit.audit_losses import Tally, body_of, losses_of, record_of
from logship.audit.audit_reader import Reader
from logship.audit.audit_report import Report, is_stuck
from logship.errors import USAGE, Fault
from logship.files import replace
from logship.ship.http_sink import Place, Sink, Unanswered
from logship.spool.layout import stamp
from logship.values import Invalid, Loss
from logship.view.segments import NoStore

NOTES = "audit.json"
VERSION = 1
LOOK_SECONDS = 2.0
RETRY_SECONDS = (1.0, 30.0)
ANSWER_SECONDS = 10.0
LOSSES_MAX = 500
"""Records in one request; the collector takes 1,000."""
NOTE_SECONDS = 60.0
NOTE_BYTES = 16 << 20
"""How much journal may pass without a note of it, where nothing was found: reading its heads again takes no second."""
NICENESS = 19
RESTARTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """Which store, and where its collector takes loss records."""

    store: Path
    to: Place


class Audit:
    """What runs in a turn. ``say`` writes a line, ``post`` gives records to the ledger (raises Unanswered)."""

    def __init__(
        self,
        store: Path,
        say: Callable[[dict[str, Any]], None],
        post: Callable[[Sequence[Loss]], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = store / NOTES
        self._say = say
        self._post = post
        self._clock = clock
        self._now = now
        self._tally = Tally()
        self._reader = Reader(store)
        self._unsaid: list[Window] = []
        self._noted = 0
        self._noted_at = clock()
        self._failures = 0
        self._why_not = ""
        self._load()

    def turn(self) -> float:
        """One step; seconds until the next one. Raises Fault for a journal that is damaged."""
        restarts = self._reader.restarts
        try:
            if not self._unsaid:
                found, more = self._reader.step()
                if not more:
                    found += self._reader.passed(round(self._now() * 1000))
                self._unsaid = found
            else:
                more = True
        except NoStore as error:
            self._trouble("waiting", str(error))
            return LOOK_SECONDS
        if self._reader.restarts != restarts:
            self._say({"time": self._time(), "event": "overtaken", "by": "retention"})
        if not self._tell():
            least, most = RETRY_SECONDS
            return min(most, least * float(1 << min(self._failures, 10)))
        self._note()
        return 0.0 if more else LOOK_SECONDS

    def stop(self) -> None:
        """Note how far it came."""
        if not self._unsaid:
            self._note(at_once=True)

    def _tell(self) -> bool:
        """The ledger first, then our own log; False when the ledger cannot be reached."""
        records = [loss for window in self._unsaid for loss in losses_of(window)]
        try:
            for start in range(0, len(records), LOSSES_MAX):
                self._post(records[start : start + LOSSES_MAX])
        except Unanswered as error:
            self._failures += 1
            self._trouble("no-ledger", error.cause)
            return False
        self._failures, self._why_not = 0, ""
        for window in self._unsaid:
            self._tally.take(window)
            if not window.verdict.idle:
                self._say({"time": self._time(), "event": "window", **record_of(window)})
        self._noted = self._noted if not self._unsaid else -1
        self._unsaid = []
        return True

    def _trouble(self, event: str, why: str) -> None:
        if why != self._why_not:
            self._why_not = why
            self._say({"time": self._time(), "event": event, "why": why})

    # What is kept.

    def _note(self, *, at_once: bool = False) -> None:
        mark = self._reader.mark
        if mark is None:
            return
        moved = mark.lsn - self._noted
        due = self._noted < 0 or moved >= NOTE_BYTES or (at_once and moved > 0)
        if not due or not (at_once or self._noted < 0 or self._clock() - self._noted_at >= NOTE_SECONDS):
            return
        notes = {
            "v": VERSION,
            "time": self._time(),
            "found": self._tally.state(),
            "mark": asdict(mark),
            "book": self._reader.book.state(),
        }
        try:
            replace(self._path, json.dumps(notes, separators=(",", ":")).encode())
        except OSError as error:
            self._trouble("unnoted", error.strerror or str(error))
            return
        self._noted, self._noted_at = mark.lsn, self._clock()

    def _load(self) -> None:
        try:
            notes = json.loads(self._path.read_bytes())
            if notes["v"] != VERSION:
                raise ValueError(f"version {notes['v']}")
            mark = Mark(**notes["mark"])
            book = Book.load(notes["book"])
            if isinstance(book, Invalid):
                raise ValueError(book.reason)
            self._tally = Tally.load(notes["found"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._say({"time": self._time(), "event": "anew", "why": f"{self._path} cannot be used: {error}"})
            return
        self._reader = Reader(self._path.parent, mark, book)
        self._noted = mark.lsn

    def _time(self) -> str:
        return stamp(self._now())


def run(plan: Plan) -> int:
    """Follow until SIGTERM or SIGINT; the exit status. Raises Fault for a journal that is damaged."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with _signals() as (reader, stopped):
        audit = Audit(plan.store, _print, _poster(plan.to))
        while not stopped:
            wait = audit.turn()
            select.select([reader], [], [], wait)
        audit.stop()
    return 0


def once(store: Path, *, as_json: bool) -> int:
    """Judge all that is kept now and print it; 0 when nothing is lost or unverified, else 1. Writes nothing."""
    if cause := _is_none(store):
        raise Fault("audit", str(store), cause, "give the folder of a collector's store by --store", USAGE)
    reader, report = Reader(store), Report()
    more = True
    windows: list[Window] = []
    while more:
        try:
            windows, more = reader.step()
        except NoStore as error:
            raise Fault("audit", str(store), str(error), "give the folder of a collector's store by --store") from None
        if reader.restarts > RESTARTS_MAX:
            cause = "its oldest segments are deleted faster than they are read"
            raise Fault("audit", str(store), cause, "keep more: see --keep-bytes of `logship collect`")
        more = more or reader.mark is None
        now_ms = round(time.time() * 1000)
        if not more:
            windows += reader.passed(now_ms)
        for window in windows:
            if report.take(window) and as_json:
                print(json.dumps({"type": "window", **record_of(window)}))
    waiting = report.waiting(reader.book)
    print("\n".join(report.records(waiting)) if as_json else report.text(waiting))
    stuck = is_stuck(reader.book, now_ms)
    if stuck and not as_json:
        print("lines are without counts, or counts without lines, and nothing comes any more: they are unverified")
    return 0 if report.passed and not stuck else 1


def _is_none(store: Path) -> str:
    """Why this can be no store, or "". Of one that is there, and cannot be read, the reader says why."""
    try:
        return "" if stat.S_ISDIR(store.stat().st_mode) else "it is no folder"
    except (FileNotFoundError, NotADirectoryError):
        return "there is no such folder"
    except OSError:
        return ""


def _poster(place: Place) -> Callable[[Sequence[Loss]], None]:
    sink = Sink(place)

    def post(losses: Sequence[Loss]) -> None:
        fields = [("Content-Type", "application/x-ndjson")]
        try:
            reply = sink.exchange("POST", "/v1/losses", fields, body_of(losses), ANSWER_SECONDS)
        except Unanswered as error:
            if not error.stale:
                raise
            reply = sink.exchange("POST", "/v1/losses", fields, body_of(losses), ANSWER_SECONDS)
        if reply.status != 204:
            text = reply.body.decode("utf-8", "replace").strip()
            raise Unanswered(f"the collector answers {reply.status} to loss records: {text[:200]}")

    return post


@contextlib.contextmanager
def _signals() -> Iterator[tuple[int, list[int]]]:
    """A descriptor that can be waited on, and what signals came."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    stopped: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)

    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    yield reader, stopped


def _print(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()
