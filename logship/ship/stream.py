"""Core: the present stream as this shipper knows it: where it begins and ends, and the producer's numbers.

Left to others: the source (``held``), what to do next (``sender``).
"""

from __future__ import annotations

from dataclasses import replace

from logship.ship.chain import Link
from logship.values import Producer, StreamPath
from logship.wire.fields import Start
from logship.wire.replies import Answer
from logship.wire.requests import DEFAULT_CONTENT_TYPE, Append, Look


class Stream:
    """``base`` and ``end`` are spool offsets. ``won`` says that an append of the present epoch was taken."""

    def __init__(self, link: Link, producer_id: str) -> None:
        self.path: StreamPath = link.path
        self.base = link.base
        self.end = link.base
        self.closed = False
        self.won = False
        self.fenced = False
        self._producer_id = producer_id
        self._epoch = 0
        self._sequence = 0

    def look(self) -> Look:
        """Where does it end?"""
        return Look(self.path, self._producer_id)

    def found(self, answer: Answer) -> None:
        """As the collector says. An epoch is kept while it is the newest there, else the next one is to be claimed."""
        assert answer.next_offset is not None
        self.end = self.base + answer.next_offset
        self.closed = answer.closed
        self.fenced = self.won and answer.epoch is not None and answer.epoch > self._epoch
        if self.won and answer.epoch == self._epoch and answer.sequence is not None:
            self._sequence = answer.sequence + 1
            return
        # A collector restored from a backup may know an epoch older than ours: claiming ours again is right then.
        self._epoch = max(self._epoch, 0 if answer.epoch is None else answer.epoch + 1)
        self._sequence, self.won = 0, self.fenced

    def taken(self, sent: int, answer: Answer) -> bool:
        """An append of ``sent`` bytes was answered as a success; whether the stream ends where it then must."""
        if answer.next_offset != self.end - self.base + sent:
            return False
        self.end += sent
        self._sequence += 1
        self.won = True
        return True

    def append(self, starts: tuple[Start, ...], source_path: str | None = None) -> Append:
        """The next append; ``starts`` are at spool offsets, ``source_path`` is where the source is now."""
        local = tuple(replace(start, offset=start.offset - self.base) for start in starts)
        offset = self.end - self.base
        return Append(
            self.path, DEFAULT_CONTENT_TYPE, producer=self._producer(), expected_offset=offset, starts=local,
            source_path=source_path,
        )  # fmt: skip

    def closing(self) -> Append:
        """The end of it."""
        return Append(self.path, closes=True, producer=self._producer(), expected_offset=self.end - self.base)

    def _producer(self) -> Producer:
        return Producer(self._producer_id, self._epoch, self._sequence)
