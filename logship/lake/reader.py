"""Edge: lines out of the lake, for readers: which files there are now, and the rows of one.

DuckDB is asked for when the first row is: whose store has no lake needs none. Left to others: what a reader wants of
the lines (``view.older``), writing files, and reading them whole (``parquet``).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

from logship.errors import Fault
from logship.lake.folder import LAKE, MANIFEST, load, load_unended
from logship.lake.manifest import Beginnings, File, Manifest
from logship.lake.sql import TRUE, Sql
from logship.lake.unended import Unended
from logship.values import Invalid
from logship.view.lines import CUT, OPEN, PART, TORN, Line

MEMORY = "300MB"
ROWS_AT_ONCE = 2_000
_PIECE_BYTES = 1 << 20
FLAGS = TORN | PART | CUT | OPEN
_DATA = "coalesce(raw, encode(line)) || encode(terminator)"
ROWS = "read_parquet(?, hive_partitioning = false, file_row_number = true)"
"""Of one file or several, with their numbers."""
COLUMNS = f'stream, "offset", lsn, epoch_ms(received), epoch_ms(ts), {_DATA}, flags'
"""What a Line is made of, and its time."""
_NUMBERED = re.compile(r"file_row_number BETWEEN \d+ AND \d+")
"""What a condition says of the rows of one file alone."""


class Unreadable(Exception):
    """Rows cannot be read; the text says why. ``gone``: the file is not there any more."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.gone = gone


def connected(**config: Any) -> Any:
    """A connection to DuckDB that touches nothing but what it is asked about. Raises Unreadable where there is none."""
    try:
        import duckdb
    except ImportError:
        raise Unreadable("they are in the lake, which only DuckDB reads, and that is not installed") from None
    return duckdb.connect(":memory:", config={"temp_directory": "", "autoload_known_extensions": False, **config})


class Reader:
    """Reads the lake of the store in ``store``; for any thread."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._manifest = Manifest()
        self._paths: frozenset[str] = frozenset()
        self._unended: tuple[Beginnings | None, Mapping[str, Unended]] | None = None
        self._connection: Any = None

    def manifest(self) -> Manifest:
        """What is published now; empty where there is no lake. Raises Unreadable."""
        with self._lock:
            try:
                facts = (self.store / LAKE / MANIFEST).stat()
                seen = facts.st_ino, facts.st_mtime_ns, facts.st_size
                if seen != self._seen:
                    self._manifest = load(self.store) or Manifest()
                    self._paths = frozenset(path for file in self._manifest.files for path in file.streams)
                    self._seen = seen
            except FileNotFoundError:
                self._manifest, self._paths, self._seen = Manifest(), frozenset(), None
            except OSError as error:
                raise Unreadable(f"the lake's manifest cannot be read: {error.strerror}") from error
            except Fault as fault:
                raise Unreadable(str(fault)) from fault
            return self._manifest

    def unended(self, manifest: Manifest) -> Mapping[str, Unended]:
        """The lines that had no end where this manifest, read just now, ends, by stream. Raises Unreadable."""
        with self._lock:
            if self._unended is None or self._unended[0] != manifest.unended:
                found = load_unended(self.store, manifest)
                if isinstance(found, Invalid):
                    assert manifest.unended is not None
                    gone = not (self.store / LAKE / manifest.unended.name).exists()
                    raise Unreadable(f"{manifest.unended.name} of the lake {found.reason}", gone=gone)
                self._unended = manifest.unended, found
            return self._unended[1]

    def paths(self) -> frozenset[str]:
        """The streams of which it has lines. Raises Unreadable."""
        self.manifest()
        return self._paths

    def files(self, start: int, end: int) -> list[File]:
        """The files with lines that complete between two LSNs, in order. Raises Unreadable."""
        return [file for file in self.manifest().files if file.first_lsn < end and file.end_lsn > start]

    def rows(
        self, file: File, streams: Sequence[str], start: int, end: int, besides: Sql = TRUE
    ) -> Iterator[tuple[Line, int]]:
        """Lines of these streams that complete between two LSNs, stream by stream in order, each with its time in ms.

        ``besides`` is what else must hold of their rows. A file that was made anew, alone or with others, is read on
        there, behind the row that was given last: the order is the same, numbers of rows are not. Raises Unreadable.
        """
        last = ("", -1, -1)
        try:
            for line, ts_ms in self._rows(file, streams, start, end, besides):
                last = line.stream, line.lsn, line.offset
                yield line, ts_ms
        except Unreadable as error:
            low, high = max(start, file.first_lsn), min(end, file.end_lsn)
            others = [other for other in self.files(low, high) if other.name != file.name] if error.gone else []
            if not others:
                raise
            anywhere = Sql(_NUMBERED.sub("TRUE", besides.text), besides.values)
            for other in others:
                for line, ts_ms in self.rows(other, streams, low, high, anywhere):
                    if (line.stream, line.lsn, line.offset) > last:
                        yield line, ts_ms

    def _rows(
        self, file: File, streams: Sequence[str], start: int, end: int, besides: Sql
    ) -> Iterator[tuple[Line, int]]:
        where = f"stream IN ({', '.join('?' * len(streams))}) AND lsn >= ? AND lsn < ? AND {besides.text}"
        for found in self._asked(file, COLUMNS, where, [*streams, start, end, *besides.values]):
            for stream, offset, lsn, received_ms, ts_ms, data, flags in found:
                yield Line(stream, offset, data, lsn, received_ms, flags & FLAGS), ts_ms

    def whole(self, line: Line) -> bytes:
        """All bytes of a line. Raises Unreadable."""
        for file in self.files(line.lsn, line.lsn + 1):
            where = 'stream = ? AND lsn = ? AND "offset" = ?'
            for found in self._asked(file, _DATA, where, [line.stream, line.lsn, line.offset]):
                for (data,) in found:
                    return bytes(data)
        raise Unreadable("it is in no file of the lake", gone=True)

    def exact(
        self, file: File, stream: str, created_lsn: int, start: int, end: int
    ) -> Iterator[tuple[int, int, bytes]]:
        """Offset, LSN and exact bytes of a stream's rows that begin between two offsets, in order.

        Left out are those of an earlier stream of its path. Raises Unreadable.
        """
        where = 'stream = ? AND lsn >= ? AND "offset" >= ? AND "offset" < ?'
        for found in self._asked(file, f'"offset", lsn, {_DATA}', where, [stream, created_lsn, start, end]):
            yield from found

    def first(self, file: File, stream: str, created_lsn: int) -> int | None:
        """The offset of the first of those rows; None where there is none. Raises Unreadable."""
        for found in self._asked(file, 'min("offset")', "stream = ? AND lsn >= ?", [stream, created_lsn]):
            return None if found[0][0] is None else int(found[0][0])
        return None

    def before(self, file: File, stream: str, lsn: int, start: int, end: int) -> tuple[int, int, int, bytes] | None:
        """Offset, LSN, flags and exact bytes of a stream's last row that begins between two offsets, and is not older.

        ``lsn`` says how old at most. Raises Unreadable.
        """
        where = 'stream = ? AND lsn >= ? AND "offset" >= ? AND "offset" < ? ORDER BY "offset" DESC LIMIT 1'
        for found in self._asked(file, f'"offset", lsn, flags, {_DATA}', where, [stream, lsn, start, end]):
            offset, completes, flags, data = found[0]
            return offset, completes, flags & FLAGS, bytes(data)
        return None

    def tallies(self, file: File, start: int, end: int) -> dict[str, tuple[int, int]]:
        """By stream how many newlines complete between two LSNs, and when the first line did. Raises Unreadable."""
        columns = "stream, count(*) FILTER (WHERE terminator <> ''), epoch_ms(min(received))"
        rows = self._asked(file, columns, "lsn >= ? AND lsn < ? GROUP BY stream", [start, end])
        return {stream: (lines, oldest_ms) for found in rows for stream, lines, oldest_ms in found}

    def digest(self, file: File) -> str:
        """The digest of a file as it is on the disk now. Raises Unreadable."""
        digest = xxhash.xxh3_128()
        try:
            with (self.store / LAKE / file.name).open("rb") as content:
                while piece := content.read(_PIECE_BYTES):
                    digest.update(piece)
        except FileNotFoundError as error:
            raise Unreadable(f"{file.name} of the lake is not there", gone=True) from error
        except OSError as error:
            raise Unreadable(f"{file.name} of the lake cannot be read: {error.strerror}") from error
        return digest.hexdigest()

    def _asked(self, file: File, columns: str, where: str, values: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
        path = self.store / LAKE / file.name
        if not path.exists():
            raise Unreadable(f"{file.name} of the lake is not there", gone=True)
        cursor = self._cursor()
        import duckdb

        try:
            # One thread reads a file in its own order: by stream and offset.
            query = f"SELECT {columns} FROM {ROWS} WHERE {where}"
            cursor.execute(query, [str(path), *values])
            while found := cursor.fetchmany(ROWS_AT_ONCE):
                yield found
        except duckdb.Error as error:
            raise Unreadable(f"{file.name} of the lake: {error}", gone=not path.exists()) from error
        finally:
            cursor.close()

    def _cursor(self) -> Any:
        with self._lock:
            if self._connection is None:
                self._connection = connected(threads=1, memory_limit=MEMORY)
            return self._connection.cursor()
