"""Run: the alerts of a viewer: one thread that reads, looks and keeps, one for the event stream, one a webhook.

A slow webhook delays nobody but itself, a search nobody here: this thread has its own turns, and reads what is new
once for all alerts. What is told was kept before (``book``).
"""

from __future__ import annotations

import contextlib
import json
import threading
import time

from logship.metrics import Family
from logship.spool.layout import stamp
from logship.view.alerts.book import Book
from logship.view.alerts.kept import Kept
from logship.view.alerts.lines import Lines
from logship.view.alerts.listing import Records, families, records
from logship.view.alerts.telling import Plan, Telling, wall_ms
from logship.view.declared import Declaration, Declared
from logship.view.history import History
from logship.view.journal_reader import Damage, Picture
from logship.view.segments import NoStore

LOOK_SECONDS = 0.25
LOCK_SECONDS = 2.0
"""How often it is tried to become who evaluates."""
KEEP_SECONDS = 10.0
"""So often it is kept how far the journal was read, where nothing else has changed."""
BEYOND_SECONDS = 120.0
"""How long a journal may end before what was read of it, until it is taken for another one."""
JUMP_MS = 10_000
"""A wall's clock that goes on by so much more or less than time does was set."""
BREATH_SECONDS = 0.001
"""Between two steps, where there is much to read: who reads pages comes first."""


class Alerts:
    """The alerts that ``declaration`` has, of the lines that ``history`` reads. For any thread."""

    def __init__(self, plan: Plan, declaration: Declaration, history: History) -> None:
        self._plan, self._declaration, self._history = plan, declaration, history
        self._kept = Kept(plan.store)
        self._book: Book | None = None
        self._declared: Declared | None = None
        self._lines: Lines | None = None
        self._store: int | None = None
        self._beyond_at: float | None = None
        self._saved = -1
        self._saved_at = self._saved_cursor = 0.0
        self._clocks: tuple[float, float] | None = None
        self._troubles: dict[str, str] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._end = 0
        self._telling = Telling(plan, self._lock, lambda: self._book, self._stopping, self._trouble)

    def start(self) -> None:
        """Begin, where a file may declare any."""
        if self._declaration.path is not None:
            self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End in order; what is on its way goes on at the next start."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def records(self, now_ms: int) -> Records:
        """All alerts as they stand now, for programs."""
        with self._lock:
            return records(self._book, self._declaration.now.alerts, dict(self._troubles), self._end, now_ms)

    def families(self) -> list[Family]:
        """Measures, for ``/metrics``."""
        with self._lock:
            return families(self._book, self._end)

    # The thread that looks.

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait = LOOK_SECONDS
            try:
                wait = self.turn()
            except NoStore as error:
                self._trouble("store", str(error))
            except Damage as error:
                self._trouble("store", str(error))
                wait = LOCK_SECONDS
            except Exception as error:  # one mistake must not end all alerts for ever: it is told, and tried again
                self._trouble("fault", f"{type(error).__name__}: {error}")
                wait = LOCK_SECONDS
            self._stopping.wait(wait)
        if self._book is not None and self._kept.is_there():
            self._save(self._book)
        self._kept.give_back()

    def turn(self) -> float:
        """One step; seconds until the next one. Raises NoStore, Damage."""
        book = self._opened()
        if book is None:
            return LOCK_SECONDS
        now_ms = wall_ms()  # before the picture: what was received until then is in it, but for what is synced just now
        picture = self._history.journal.picture()
        more = self._read(book, picture)
        with self._lock:
            self._end = picture.end
            if not more:
                book.caught_up(now_ms)
            book.post_due(wall_ms())
        self._save(book)
        self._telling.start(book)
        self._trouble("store", "")
        self._trouble("fault", "")
        return BREATH_SECONDS if more else LOOK_SECONDS

    def _opened(self) -> Book | None:
        """The book, when it is ours to write."""
        self._history.journal.durable()  # raises NoStore: no lock lies where no store is
        declared = self._declaration.now
        if self._book is not None and not self._kept.is_there():
            with self._lock:  # another store, or none
                self._kept.give_back()
                self._book, self._declared, self._saved = None, None, -1
        if self._book is None:
            if not declared.alerts and not self._kept.exists():
                return None
            why = self._kept.take()
            self._trouble("lock", why)
            if why:
                return None
            book, why = self._kept.load()
            self._trouble("state", why)
            with self._lock:
                self._book, self._declared, self._saved = book, None, -1
        assert self._book is not None
        if self._declared is not declared:
            with self._lock:
                self._book.declare(declared.alerts, declared.of_all, wall_ms())
            self._declared = declared
            self._lines = Lines(self._history, declared.alerts.values(), self._book.is_stopped)
        return self._book

    def _read(self, book: Book, picture: Picture) -> bool:
        """Read a step; whether there is more."""
        assert self._lines is not None
        now_ms = wall_ms()
        clocks = time.time(), time.monotonic()
        jump_ms = 0 if self._clocks is None else set_by_ms(self._clocks, clocks)
        self._clocks = clocks
        if jump_ms:
            with self._lock:
                book.shift(jump_ms)
        replaced = (self._store is not None and picture.store != self._store) or self._is_beyond(book, picture)
        self._store = picture.store
        if book.cursor is None or replaced:
            with self._lock:
                if replaced:
                    book.missed("there is another store", picture.end, now_ms)
                book.cursor = picture.end
                book.changes += 1
            return False
        if book.cursor == picture.end:
            return False
        step = self._lines.step(picture, book.cursor)
        with self._lock:
            book.take(step.matches, step.read_ms, step.end, now_ms)
            for alert, why in step.slow:
                book.too_slow(alert, why, now_ms)
            if step.missed:
                book.missed(step.missed, step.end, now_ms)
        return step.end < picture.end

    def _is_beyond(self, book: Book, picture: Picture) -> bool:
        """Whether the journal ends before what was read of it, for good.

        After a crash of the machine it does until the collector has looked at what is there. Raises NoStore until then.
        """
        now = time.monotonic()
        if (book.cursor or 0) <= picture.end:
            self._beyond_at = None
            return False
        if self._beyond_at is None:
            self._beyond_at = now
        if now - self._beyond_at < BEYOND_SECONDS:
            raise NoStore(f"the journal ends at {picture.end}, before what was read of it; its collector may mend it")
        self._beyond_at = None
        return True

    def _save(self, book: Book) -> None:
        """Keep what must be kept before it is told, and now and then how far the journal was read."""
        now = time.monotonic()
        moved = book.cursor != self._saved_cursor and now - self._saved_at > KEEP_SECONDS
        if book.changes == self._saved and not moved and not self._stopping.is_set():
            return
        with self._lock:
            changes, cursor, numbers = book.changes, book.cursor or 0, (book.posts_number, book.lines_number)
            text = json.dumps(book.fields(), separators=(",", ":"))
        why = self._kept.save(text)  # nobody waits for the disk but this thread
        self._trouble("keep", why)
        if not why:
            self._saved, self._saved_at, self._saved_cursor = changes, now, cursor
            with self._lock:
                book.outbox.kept(*numbers)

    def _trouble(self, of: str, why: str) -> None:
        """What goes wrong; it is said once, as a line of the viewer's own."""
        with self._lock:
            before = self._troubles.get(of, "")
            if why == before:
                return
            self._troubles = {key: text for key, text in self._troubles.items() if key != of}
            if why:
                self._troubles[of] = why
        if why and of not in ("events", "store"):
            line = {"time": stamp(time.time()), "event": "alerts trouble", "of": of, "why": why}
            with contextlib.suppress(OSError):
                print(json.dumps(line), flush=True)


def set_by_ms(before: tuple[float, float], after: tuple[float, float]) -> int:
    """By how much the wall's clock was set between two readings of it and of the steady one; 0: it was not."""
    jump_ms = round((after[0] - before[0] - (after[1] - before[1])) * 1000)
    return jump_ms if abs(jump_ms) > JUMP_MS else 0
