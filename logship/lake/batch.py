"""Core: rows gathered as the buffers of columns, so that what is held is their bytes and no object a row.

Texts are checked here: bytes that are no UTF-8 would be written, and the file could not be read. Left to others: the
library that takes the buffers (``parquet``).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from logship.lake.columns import NOTHING, TYPED, typed
from logship.lake.regular import NEVER
from logship.view.lines import Line
from logship.view.select import Identity


@dataclass(frozen=True, slots=True)
class Rows:
    """Lines that follow on each other from ``offset`` on: ``data``, and each without its newline; and their times."""

    offset: int
    data: bytes
    texts: list[bytes]
    ts_ms: list[int]
    lsn: int
    received_ms: int


BATCH_BYTES_MAX = 4 << 20
BATCH_ROWS_MAX = 65_536
ROW_BYTES = 160
"""What a row takes beside its line."""


class Batch:
    """Rows in order: those of a stream follow on each other. ``size`` is the raw bytes of their lines.

    ``streams`` and ``terminators`` say from which row on whose they are, and how they end; ``raw`` is by row.
    """

    def __init__(self) -> None:
        self.size = 0
        self.streams: list[tuple[int, Identity]] = []
        self.terminators: list[tuple[int, bytes]] = []
        self.offset, self.lsn = array("q"), array("q")
        self.received_ms, self.ts_ms = array("q"), array("q")
        self.flags = array("h")
        self.line: list[bytes] = []
        self.raw: dict[int, bytes] = {}
        self.regular = bytearray()
        self._typed: dict[int, tuple[Any, ...]] = {}

    def __len__(self) -> int:
        return len(self.line)

    @property
    def is_full(self) -> bool:
        """Whether it is to be written before more is added."""
        return self.size >= BATCH_BYTES_MAX or len(self.line) >= BATCH_ROWS_MAX

    @property
    def held(self) -> int:
        """About how many bytes of memory its columns take: of what is no text, several times its size."""
        return sum(map(len, self.line)) + sum(map(len, self.raw.values())) + ROW_BYTES * len(self)

    def add(self, identity: Identity, line: Line, ts_ms: int) -> None:
        """The row of a line."""
        data, terminator = line.data, line.terminator
        self._begin(identity, terminator)
        content = data[: len(data) - len(terminator)] if terminator else data
        if not content.isascii():
            try:
                content.decode()
            except UnicodeDecodeError:
                self.raw[len(self.line)] = content
                content = content.decode("utf-8", "replace").encode()
        self.offset.append(line.offset)
        self.lsn.append(line.lsn)
        self.received_ms.append(line.received_ms)
        self.ts_ms.append(ts_ms)
        self.flags.append(line.flags)
        self.line.append(content)
        self.size += len(data)

    def add_rows(self, identity: Identity, rows: Rows) -> None:
        """The rows of lines that follow on each other."""
        ends = accumulate(map((1).__add__, map(len, rows.texts)), initial=rows.offset)
        if not rows.data.isascii() or b"\r\n" in rows.data:
            for at, text, ts in zip(ends, rows.texts, rows.ts_ms, strict=False):
                self.add(identity, Line(identity.path, at, text + b"\n", rows.lsn, rows.received_ms), ts)
            return
        self._begin(identity, b"\n")
        count = len(rows.texts)
        self.offset.extend(ends)
        self.offset.pop()
        self.lsn.extend(array("q", [rows.lsn]) * count)
        self.received_ms.extend(array("q", [rows.received_ms]) * count)
        self.ts_ms.extend(rows.ts_ms)
        self.flags.extend(array("h", [0]) * count)
        self.line.extend(rows.texts)
        self.size += len(rows.data)

    def _begin(self, identity: Identity, terminator: bytes) -> None:
        row = len(self.line)
        if not self.streams or self.streams[-1][1] is not identity:
            self.streams.append((row, identity))
        if not self.terminators or self.terminators[-1][1] != terminator:
            self.terminators.append((row, terminator))

    def runs(self) -> Iterator[tuple[Identity, int]]:
        """Whose the rows are: a stream and how many rows, in order."""
        return _runs(self.streams, len(self))

    def ends(self) -> Iterator[tuple[bytes, int]]:
        """How the rows end: a terminator and how many rows, in order."""
        return _runs(self.terminators, len(self))

    @property
    def may_be_regular(self) -> bool:
        """Whether lines of the form of ``regular`` may be among them."""
        return any(identity.kind not in NEVER for _, identity in self.streams)

    def type(self, regular: Sequence[int] | None = None) -> None:
        """Fill the typed columns. Of rows that are ``regular`` (a number each, not 0) DuckDB does so itself."""
        self.regular = bytearray(len(self) if regular is None else regular)
        row = 0
        for identity, count in self.runs():
            if identity.kind in NEVER:
                self.regular[row : row + count] = bytes(count)
            place = self.regular.find(0, row, row + count)
            while place >= 0:
                values, flag = typed(identity.kind, self.line[place].decode())
                if values is not NOTHING:
                    self._typed[place] = values
                self.flags[place] |= flag
                place = self.regular.find(0, place + 1, row + count)
            row += count

    def typed(self) -> dict[str, list[Any]]:
        """The typed columns; of one in which nothing is said an empty list."""
        found: dict[str, list[Any]] = {column.name: [] for column in TYPED}
        for number, column in enumerate(TYPED):
            said = [(row, values[number]) for row, values in self._typed.items() if values[number] is not None]
            if said:
                found[column.name] = [None] * len(self)
                for row, value in said:
                    found[column.name][row] = value
        return found


def _runs(begins: Sequence[tuple[int, Any]], size: int) -> Iterator[tuple[Any, int]]:
    nexts = [row for row, _ in begins[1:]] + [size]
    for (row, what), following in zip(begins, nexts, strict=True):
        yield what, following - row
