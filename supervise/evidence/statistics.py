"""HAProxy's statistics: asked once, or watched for the moments at which servers come and go.

An edge; what the columns mean is in ``values.py``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Self
from urllib.request import ProxyHandler, build_opener

from logship.errors import Fault
from supervise.evidence.values import servers_of

CSV_BYTES_MAX = 4 << 20
EVERY_SECONDS = 0.05

_OPENER = build_opener(ProxyHandler({}))


def csv(page: str) -> str:
    """The statistics of the page at ``page`` as CSV. Raises Fault."""
    url = f"{page};csv"
    try:
        with _OPENER.open(url, timeout=5) as answer:
            return str(answer.read(CSV_BYTES_MAX).decode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        raise Fault("read the statistics at", url, str(error)) from None


class Watch:
    """Asks twenty times a second and notes when each server changed its status; use it as a context.

    ``changes`` are (reading of the monotonic clock, server, status); status None: the server is no more.
    """

    def __init__(self, page: str) -> None:
        self.changes: list[tuple[float, str, str | None]] = []
        self._page = page
        self._known: dict[str, str] = {}
        self._ending = Event()
        self._thread = Thread(target=self._run, name="watch", daemon=True)

    def first(self, host: str, after: float, is_wanted: Callable[[str | None], bool]) -> float | None:
        """The first moment from ``after`` on at which the server on ``host`` came to a wanted status."""
        return next(
            (
                at
                for at, name, status in list(self.changes)
                if name.startswith(host) and at >= after and is_wanted(status)
            ),
            None,
        )

    def __enter__(self) -> Self:
        self._look()  # before anything changes: a server that was never seen cannot be seen to go
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._ending.wait(EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        with contextlib.suppress(Fault):  # a lost sample comes with the next one
            now = servers_of(csv(self._page))
            at = time.monotonic()
            for name in sorted(self._known.keys() | now.keys()):
                if self._known.get(name) != now.get(name):
                    self.changes.append((at, name, now.get(name)))
            self._known = now
