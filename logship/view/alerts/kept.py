"""Edge: what alerts keep in their store: ``alerts.json``, replaced atomically, and the lock of who evaluates them.

A viewer that has not the lock evaluates none: two would tell everything twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from logship.files import replace
from logship.view.alerts.book import Book, read_book

FILE, LOCK = "alerts.json", "alerts.lock"


class Kept:
    """In the store ``folder``. ``now`` is the wall's clock in seconds."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._folder, self._now = folder, now
        self._lock: int | None = None

    def take(self) -> str:
        """Take the lock; why not, or nothing."""
        if self._lock is not None:
            return ""
        try:
            descriptor = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            return f"{self._folder / LOCK} cannot be opened: {error.strerror}"
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return "another viewer of this store evaluates them"
        self._lock = descriptor
        return ""

    def is_there(self) -> bool:
        """Whether the store is still the one whose lock was taken."""
        if self._lock is None:
            return False
        try:
            found = (self._folder / LOCK).stat()
        except OSError:
            return False
        own = os.fstat(self._lock)
        return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)

    def exists(self) -> bool:
        """Whether anything was kept."""
        return (self._folder / FILE).exists()

    def give_back(self) -> None:
        """Let go of the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> tuple[Book, str]:
        """What was kept; where that cannot be used a new book, and why."""
        try:
            return read_book(json.loads((self._folder / FILE).read_bytes())), ""
        except FileNotFoundError:
            return self._new(), ""
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            return self._new(), f"{self._folder / FILE} cannot be used: {error!r}"

    def save(self, text: str) -> str:
        """Keep it; why that went wrong, or nothing."""
        try:
            replace(self._folder / FILE, text.encode(), 0o600)
        except OSError as error:
            return f"{self._folder / FILE} cannot be written: {error.strerror}"
        return ""

    def _new(self) -> Book:
        return Book(f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(self._now()))}-{secrets.token_hex(4)}")
