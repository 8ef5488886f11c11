"""Core: what is asked of the collector about files: which it knows, and how streams end that one may be a copy of.

The list is asked for while there are files in question, one at a time; first the tails that the last list left open.

Left to others: which files are in question (``files``), what the answers mean (``families``).
"""

from __future__ import annotations

from collections.abc import Iterable

from logship.ship.identity import PROGRAM, Tail, tail_of
from logship.values import StreamPath
from logship.wire.replies import Answer

LIST_KEY = ("", PROGRAM)
TAIL_KEY = ("", f"{PROGRAM} tail")
"""Of the jobs that ask: no lane has them."""
AGAIN_SECONDS = 1.0


class Inquiry:
    """What is out, and what is known of tails by now."""

    def __init__(self) -> None:
        self.listing = False  # the list is asked for
        self.tails: dict[StreamPath, Tail | None] = {}
        self._out: set[StreamPath] = set()
        self._at = 0.0

    def wants(self, now: float, asked: Iterable[StreamPath], in_question: bool) -> bool | StreamPath:
        """Which stream's tail is to be asked for; True: the list is."""
        if self.listing or now < self._at:
            return False
        missing = [path for path in asked if path not in self.tails]
        if missing:
            return next((path for path in missing if path not in self._out), False)
        return in_question

    def asks(self, path: StreamPath) -> None:
        """The tail of this stream is asked for."""
        self._out.add(path)

    def told(self, path: StreamPath, answer: Answer | None, now: float) -> None:
        """What came of that; None: nothing did."""
        if path not in self._out:
            return
        self._out.discard(path)
        if answer is None or answer.status in (408, 425, 429) or answer.status >= 500:
            self.fails(now)
        else:
            self.tails[path] = tail_of(answer)

    def fails(self, now: float) -> None:
        """It is asked again after a while."""
        self._at = now + AGAIN_SECONDS

    def over(self) -> None:
        """What is known of tails is used, or not to be trusted any more."""
        self.tails, self._out = {}, set()
