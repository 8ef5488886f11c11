"""Core: rows gathered as the buffers of columns, so that what is held is their bytes and no object a row.

Texts are checked here: bytes that are no UTF-8 would be written, and the file could not be read. Left to others: the
library that takes the buffers (``parquet``).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

from logship.lake.columns import NOTHING, TYPED, typed
from logship.view.lines import Line
from logship.view.select import Identity

BATCH_BYTES_MAX = 4 << 20
BATCH_ROWS_MAX = 65_536


class Batch:
    """Rows in order: those of a stream follow on each other. ``size`` is the raw bytes of their lines."""

    def __init__(self) -> None:
        self.size = 0
        self.streams: list[tuple[int, Identity]] = []
        self.offset, self.lsn = array("q"), array("q")
        self.received_ms, self.ts_ms = array("q"), array("q")
        self.flags = array("h")
        self.line: list[bytes] = []
        self.raw: list[bytes | None] = []
        self.terminator: list[bytes] = []
        self._typed: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self.line)

    @property
    def is_full(self) -> bool:
        """Whether it is to be written before more is added."""
        return self.size >= BATCH_BYTES_MAX or len(self.line) >= BATCH_ROWS_MAX

    def add(self, identity: Identity, line: Line, ts_ms: int) -> None:
        """The row of a whole line."""
        data, terminator = line.data, line.terminator
        content = data[: len(data) - len(terminator)] if terminator else data
        try:
            text, raw = content.decode(), None
        except UnicodeDecodeError:
            text, raw = content.decode("utf-8", "replace"), content
            content = text.encode()
        values, flag = typed(identity.kind, text)
        if not self.streams or self.streams[-1][1] is not identity:
            self.streams.append((len(self.line), identity))
        self.terminator.append(terminator)
        self.offset.append(line.offset)
        self.lsn.append(line.lsn)
        self.received_ms.append(line.received_ms)
        self.ts_ms.append(ts_ms)
        self.flags.append(line.flags | flag)
        self.line.append(content)
        self.raw.append(raw)
        self._typed.append(values)
        self.size += len(data)

    def runs(self) -> Iterator[tuple[Identity, int]]:
        """Whose the rows are: a stream and how many rows, in order."""
        ends = [first for first, _ in self.streams[1:]] + [len(self)]
        for (first, identity), end in zip(self.streams, ends, strict=True):
            yield identity, end - first

    def typed(self) -> dict[str, list[Any]]:
        """The typed columns; of one in which nothing is said an empty list."""
        if all(values is NOTHING for values in self._typed):
            return {column.name: [] for column in TYPED}
        columns = zip(*self._typed, strict=True)
        return {column.name: list(values) for column, values in zip(TYPED, columns, strict=True)}
