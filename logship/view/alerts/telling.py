"""Run: the threads of alerts that tell: one a webhook, one for the event stream; each ends when nothing waits.

What they take from the book was kept before, and what came of it goes back into the book.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from logship.ship.http_sink import Place
from logship.spool.instance import container_id, instance_name
from logship.spool.layout import stamp
from logship.view.alerts.book import Book
from logship.view.alerts.outbox import RETRY_MS
from logship.view.alerts.post import post
from logship.view.alerts.rule import PROGRAM
from logship.view.alerts.stream import LINES_AT_ONCE, EventStream

LOOK_SECONDS = 0.1
HOOKS_MAX = 20
"""Webhooks that are told at the same time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which store, where its collector takes lines of events, what this container is called ("": it is asked)."""

    store: Path
    to: Place
    instance: str = ""


def wall_ms() -> int:
    """By the wall's clock."""
    return time.time_ns() // 1_000_000


class Telling:
    """``lock`` is held for each look at ``book`` (None: it is not ours now). ``trouble`` takes what goes wrong."""

    def __init__(
        self,
        plan: Plan,
        lock: threading.RLock,
        book: Callable[[], Book | None],
        stopping: threading.Event,
        trouble: Callable[[str, str], None],
    ) -> None:
        self._plan, self._lock, self._book, self._stopping, self._trouble = plan, lock, book, stopping, trouble
        self._threads: dict[str, threading.Thread] = {}
        self._source: dict[str, str] = {}

    def start(self, book: Book) -> None:
        """See that whatever waits has its thread."""
        with self._lock:
            urls = [url for url, hook in book.outbox.hooks.items() if hook.posts][:HOOKS_MAX]
            lines = bool(book.outbox.lines)
        for url in urls:
            self._thread(url, partial(self._post, url))
        if lines:
            self._thread("", self._append)

    def _thread(self, key: str, work: Callable[[], None]) -> None:
        self._threads = {name: thread for name, thread in self._threads.items() if thread.is_alive()}
        if key not in self._threads:
            self._threads[key] = threading.Thread(target=work, name="alerts told", daemon=True)
            self._threads[key].start()

    def _post(self, url: str) -> None:
        """Send what waits for a webhook, as long as anything does."""
        while not self._stopping.is_set():
            with self._lock:
                book = self._book()
                hook = None if book is None else book.outbox.hooks.get(url)
                if book is None or hook is None or not hook.posts:
                    return
                one = book.outbox.next_post(url, wall_ms())
                key = "" if one is None else f"{book.id}-{one.number}"
            if one is None:
                self._stopping.wait(LOOK_SECONDS)
                continue
            result, why = post(url, key, one.body)
            with self._lock:
                if self._book() is book:
                    book.answered(url, one, result, why, wall_ms())

    def _append(self) -> None:
        """Bring lines into the event stream, as long as there are any."""
        if not self._source:
            self._source = self._asked_source()
        stream = EventStream(self._plan.to, self._source)
        wait_ms = RETRY_MS[0]
        while not self._stopping.is_set():
            with self._lock:
                book = self._book()
                if book is None or not book.outbox.lines:
                    return
                lines = book.outbox.next_lines(LINES_AT_ONCE)
                path = book.stream or f"collector/{self._source['instance']}/{PROGRAM}/{book.id}"
                end = book.stream_end
            if not lines:
                self._stopping.wait(LOOK_SECONDS)
                continue
            stored = stream.append(path, end, lines)
            with self._lock:
                if self._book() is book:
                    book.stored(stored.stream, stored.end, stored.number)
            self._trouble("events", stored.trouble)
            if stored.number:
                wait_ms = RETRY_MS[0]
            else:
                self._stopping.wait(wait_ms / 1000)
                wait_ms = min(wait_ms * 2, RETRY_MS[1])

    def _asked_source(self) -> dict[str, str]:
        host = socket.gethostname()
        container = container_id(host)
        return {
            "host": host, "container": container, "service": "collector",
            "instance": self._plan.instance or instance_name(container), "program": PROGRAM, "kind": "events",
            "created": stamp(time.time()),
        }  # fmt: skip
