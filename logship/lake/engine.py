"""Edge: DuckDB asked about the rows of several files at once, with all processors; each asking can be interrupted.

Left to others: what is asked (``grouping``, ``selection``), which files there are (``reader``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from logship.lake.columns import UNTYPED
from logship.lake.folder import LAKE
from logship.lake.manifest import File
from logship.lake.reader import COLUMNS, FLAGS, ROWS, ROWS_AT_ONCE, Unreadable, connected
from logship.lake.sql import Sql
from logship.view.lines import Line

MEMORY = "600MB"
THREADS_MAX = 8
KNOWN_MAX = 100_000


class TooLarge(Exception):
    """The answer does not fit into memory."""


class Stopped(Exception):
    """Somebody interrupted the asking."""


class Engine:
    """Answers about the lake of the store in ``store``; for any thread."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._connection: Any = None
        self._untyped: dict[str, bool] = {}  # by a file's digest

    def asking(self) -> Asking:
        """Somebody who asks. Raises Unreadable without DuckDB."""
        with self._lock:
            if self._connection is None:
                threads = min(os.cpu_count() or 1, THREADS_MAX)
                self._connection = connected(threads=threads, memory_limit=MEMORY, preserve_insertion_order=False)
                self._connection.execute("SET parquet_metadata_cache = true").fetchall()
            if len(self._untyped) > KNOWN_MAX:
                self._untyped = {}
            return Asking(self._store, self._connection.cursor(), self._untyped)


class Asking:
    """One who asks, one question after another; ``stop`` may come from another thread."""

    def __init__(self, store: Path, cursor: Any, untyped: dict[str, bool]) -> None:
        self._store, self._cursor, self._untyped = store, cursor, untyped
        self._lock = threading.Lock()
        self._stopped = self._closed = False

    def stop(self) -> None:
        """Interrupt what is asked; what is asked after that is Stopped at once."""
        with self._lock:
            self._stopped = True
            if not self._closed:
                self._cursor.interrupt()

    def close(self) -> None:
        """Give it back."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._cursor.close()

    def answer(self, question: Sql, files: Sequence[File]) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of an answer, many at a time. ``{rows}`` in the question are those of the files.

        Raises Unreadable, TooLarge, Stopped.
        """
        paths = [self._store / LAKE / file.name for file in files]
        missing = next((path for path in paths if not path.exists()), None)
        if missing is not None:
            raise Unreadable(f"{missing.name} of the lake is not there", gone=True)
        import duckdb

        text = question.text.replace("{rows}", ROWS, 1)
        try:
            if self._stopped:
                raise Stopped
            self._cursor.execute(text, [[str(path) for path in paths], *question.values])
            while found := self._cursor.fetchmany(ROWS_AT_ONCE):
                yield found
        except duckdb.OutOfMemoryException as error:
            raise TooLarge(str(error)) from error
        except duckdb.InterruptException as error:
            raise Stopped from error
        except duckdb.Error as error:
            gone = not all(path.exists() for path in paths)
            raise Unreadable(f"{', '.join(path.name for path in paths)} of the lake: {error}", gone=gone) from error

    def untyped(self, files: Sequence[File]) -> list[File]:
        """Those with rows whose typed columns may say less than they do: asked once a file; raises as ``answer``."""
        unknown = [file for file in files if file.check not in self._untyped]
        if unknown and not self._are_untyped(unknown):
            self._untyped.update((file.check, False) for file in unknown)
            unknown = []
        for file in unknown:
            self._untyped[file.check] = self._are_untyped([file])
        return [file for file in files if self._untyped[file.check]]

    def _are_untyped(self, files: Sequence[File]) -> bool:
        question = Sql(f"FROM {{rows}} SELECT count(*) WHERE flags >= {UNTYPED}")
        return any(count for rows in self.answer(question, files) for (count,) in rows)

    def lines(self, where: Sql, files: Sequence[File], *, most: int | None = None) -> Iterator[list[tuple[Line, int]]]:
        """The lines of rows for which ``where`` holds, each with its time, in no order; raises as ``answer``.

        ``most``: any so many of them.
        """
        limit = "" if most is None else f" LIMIT {most:d}"
        question = Sql(f"FROM {{rows}} SELECT {COLUMNS} WHERE {where.text}{limit}", where.values)
        for found in self.answer(question, files):
            yield [
                (Line(stream, offset, data, lsn, received_ms, flags & FLAGS), ts_ms)
                for stream, offset, lsn, received_ms, ts_ms, data, flags in found
            ]
