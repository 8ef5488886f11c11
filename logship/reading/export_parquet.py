"""Edge: lines as one Parquet file with the columns of the lake (docs/lake.md), in the order in which they are given.

What is held is bounded: rows go into parts, and the parts become the file when all are there.
"""

from __future__ import annotations

import base64
from datetime import datetime
from pathlib import Path
from typing import Any

from logship.lake.batch import Batch
from logship.lake.parquet import Parquet
from logship.reading.client import Record
from logship.view.lines import CUT, OPEN, PART, TORN, Line
from logship.view.select import Identity

PART_BYTES = 64 * 1024 * 1024
"""Of lines in a part."""
_FLAGS = {"torn": TORN, "part": PART, "cut": CUT, "open": OPEN}


class Table:
    """Takes lines, as the API gives them; ``folder`` is for its parts. Raises OSError where the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parquet = Parquet()
        self._parts: list[Path] = []
        self._chunks: list[Any] = []
        self._held = 0
        self._batch = Batch()

    def add(self, record: Record, identity: Identity) -> None:
        """A row."""
        data = base64.b64decode(record["base64"]) if "base64" in record else record["text"].encode()
        data += record["end"].encode()
        flags = sum(_FLAGS[name] for name in record.get("flags", ()))
        line = Line(record["stream"], record["offset"], data, record["lsn"], _ms(record["received"]), flags)
        self._batch.add(identity, line, _ms(record["time"]))
        if self._batch.is_full:
            self._put()
            if self._held >= PART_BYTES:
                self._part()

    def finish(self, path: Path) -> int:
        """Make the file at ``path`` of all rows; its size."""
        self._put()
        if self._chunks or not self._parts:
            self._part()
        if len(self._parts) == 1:
            self._parts[0].rename(path)
        else:
            self._parquet.join(self._parts, path)
        return path.stat().st_size

    def _put(self) -> None:
        if len(self._batch):
            self._chunks.append(self._parquet.chunk(self._batch))
            self._held += self._batch.size
            self._batch = Batch()

    def _part(self) -> None:
        part = self._folder / f"{len(self._parts):06}.parquet"
        self._parquet.write(part, self._chunks)
        self._parts.append(part)
        self._chunks, self._held = [], 0


def _ms(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)
