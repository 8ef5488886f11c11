"""Edge: Parquet files, written and read whole by DuckDB; nanoarrow, which hands rows over, is imported here alone.

One thread and a bound of memory: sealing may lag, it must not be felt. Files are for any engine: Parquet version 1
(version 2 breaks some), row groups of ROWS rows, zstd 1. Left to others: names, syncing, renaming (``folder``).
"""

from __future__ import annotations

import errno
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import duckdb
import nanoarrow
from nanoarrow.c_array_stream import CArrayStream

from logship.lake.batch import Batch
from logship.lake.columns import COLUMNS, TYPED, Column, Type
from logship.lake.regular import FORM, TIMERS, VALUES, WORDS
from logship.lake.sql import quoted, rows_of

ROWS = 20_480
"""Of a row group: small ones make a window of a minute cheap."""
MEMORY = "300MB"
_OF_STREAM = ("stream", "service", "instance", "program", "kind")
_ARROW = {
    Type.TEXT: nanoarrow.string(),
    Type.BYTES: nanoarrow.binary(),
    Type.NUMBER: nanoarrow.int64(),
    Type.SMALL: nanoarrow.int16(),
    Type.TIME: nanoarrow.int64(),
}
_SCHEMA = nanoarrow.struct({**{column.name: _ARROW[column.type] for column in COLUMNS}, "regular": nanoarrow.int8()})
OPTIONS = (
    f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROWS}, PARQUET_VERSION V1, "
    "USE_TMP_FILE false)"
)
_NO_ROOM = ("No space left", "Disk quota exceeded")


_Joined = tuple["array[int]", bytes]
"""Texts as one, and where each ends, from 0 on."""


class TooMuch(Exception):
    """The rows of a file do not fit into memory: it has to be made of fewer."""


class Parquet:
    """Writes and reads files; for one thread."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(
            ":memory:",
            config={"threads": 1, "memory_limit": MEMORY, "temp_directory": "", "autoload_known_extensions": False},
        )

    def write(self, path: Path, chunks: Sequence[Any]) -> None:
        """Make a file of all rows, in order. Raises OSError, and TooMuch."""
        rows = nanoarrow.Array(CArrayStream.from_c_arrays(list(chunks), nanoarrow.c_schema(_SCHEMA)))
        selected = ", ".join(f'{_selected(column)} AS "{column.name}"' for column in COLUMNS)
        words = f"SELECT *, CASE WHEN regular <> 0 THEN {WORDS} END AS w FROM rows"
        timers = f"SELECT *, CASE WHEN regular <> 0 THEN {TIMERS} END AS t FROM ({words})"
        try:
            self._connection.register("rows", rows)
            self._connection.execute(f"COPY (SELECT {selected} FROM ({timers})) TO {quoted(path)} {OPTIONS}").fetchall()
        except duckdb.OutOfMemoryException as error:
            raise TooMuch(str(error)) from error
        except duckdb.Error as error:
            raise _failed(error) from error
        finally:
            self._connection.unregister("rows")

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Make a file of the rows of several, in order. Raises OSError, and TooMuch."""
        self.copy(f"FROM {rows_of(parts)}", path)

    def copy(self, query: str, path: Path) -> None:
        """Make a file of what a query gives, in order. Raises OSError, and TooMuch."""
        try:
            self._connection.execute(f"COPY ({query}) TO {quoted(path)} {OPTIONS}").fetchall()
        except duckdb.OutOfMemoryException as error:
            raise TooMuch(str(error)) from error
        except duckdb.Error as error:
            raise _failed(error) from error

    def sums(self, paths: Sequence[Path], where: str) -> tuple[int, ...]:
        """Of files: how many rows they have, of how many bytes of lines, the oldest and the newest ``ts``, the same of
        ``received``, and the sum of the hashes of their rows, of all columns, in whatever order. Raises OSError.
        """
        size = "octet_length(coalesce(raw, encode(line))) + octet_length(encode(terminator))"
        times = ", ".join(f"epoch_ms({which}({name}))" for name in ("ts", "received") for which in ("min", "max"))
        try:
            columns = f"count(*), sum({size}), {times}, sum(hash(one)::HUGEINT)"
            query = f"SELECT {columns} FROM {rows_of(paths)} one WHERE {where}"
            (found,) = self._connection.execute(query).fetchall()
        except duckdb.Error as error:
            raise _failed(error) from error
        return tuple(map(int, found))

    def chunk(self, batch: Batch) -> Any:
        """The rows of a batch as ``write`` takes them; their typed columns are filled here. Raises OSError."""
        lines = _joined(batch.line)
        batch.type(self._regular(lines, batch) if batch.may_be_regular else None)
        return _chunk(batch, lines)

    def regular(self, batch: Batch) -> Sequence[int] | None:
        """Which rows have the form that ``write`` takes apart: 1 or 0 each; None where none can. Raises OSError."""
        return self._regular(_joined(batch.line), batch) if batch.may_be_regular else None

    def _regular(self, texts: _Joined, batch: Batch) -> Sequence[int]:
        lines = nanoarrow.c_array_from_buffers(
            nanoarrow.struct({"line": nanoarrow.string()}), len(batch), [None], children=[_all_texts(texts)]
        )
        found = bytearray()
        try:
            self._connection.register("rows", nanoarrow.Array(lines))
            query = f"SELECT regexp_full_match(line, '{FORM}')::TINYINT AS regular FROM rows"
            for part in nanoarrow.ArrayStream(self._connection.sql(query)):
                found += memoryview(part.child(0).buffers[1]).cast("B")[: len(part)]
        except duckdb.Error as error:
            raise _failed(error) from error
        finally:
            self._connection.unregister("rows")
        return found

    def places(self, path: Path) -> list[tuple[str, int, int]]:
        """Which rows of a file are of which stream: its path, its first row, how many. Raises OSError.

        Rows of another stream between them are an OSError, too: then the file is not in order.
        """
        query = (
            "SELECT stream, min(file_row_number), max(file_row_number), count(*) "
            f"FROM read_parquet({quoted(path)}, hive_partitioning = false, file_row_number = true) "
            "GROUP BY stream ORDER BY 2"
        )
        try:
            found = self._connection.execute(query).fetchall()
        except duckdb.Error as error:
            raise _failed(error) from error
        if any(last - first + 1 != count for _, first, last, count in found):
            raise OSError(errno.EIO, "the rows of a stream do not follow on each other", str(path))
        return [(stream, first, count) for stream, first, _, count in found]

    def row_groups(self, path: Path) -> list[int]:
        """How many rows each row group has, in order. Raises OSError."""
        query = (
            f"SELECT max(row_group_num_rows) FROM parquet_metadata({quoted(path)}) GROUP BY row_group_id "
            "ORDER BY row_group_id"
        )
        try:
            return [rows for (rows,) in self._connection.execute(query).fetchall()]
        except duckdb.Error as error:
            raise _failed(error) from error

    def contents(self, path: Path) -> Iterator[tuple[memoryview[int], memoryview[int], memoryview[int]]]:
        """The rows of a file in order, many at a time: offsets in the stream, ends of their bytes, those bytes.

        The ends are one more than the rows: the first is where the first row begins. Raises OSError.
        """
        query = (
            'SELECT "offset", coalesce(raw, encode(line)) || encode(terminator) AS data '
            f"FROM read_parquet({quoted(path)}, hive_partitioning = false)"
        )
        try:
            for chunk in nanoarrow.ArrayStream(self._connection.sql(query)):
                offsets, data = chunk.child(0), chunk.child(1)
                yield _whole(offsets, 1, "q"), _whole(data, 1, "i"), memoryview(data.buffers[2]).cast("B")
        except duckdb.Error as error:
            raise _failed(error) from error


def _whole(column: Any, number: int, code: Literal["i", "q"]) -> memoryview[int]:
    assert column.offset == 0, "DuckDB gives chunks that begin at their first row"
    return memoryview(column.buffers[number]).cast("B").cast(code)


def _failed(error: Exception) -> OSError:
    number = errno.ENOSPC if any(words in str(error) for words in _NO_ROOM) else errno.EIO
    return OSError(number, str(error))


def _selected(column: Column) -> str:
    """How a column of the file is got from the rows that are handed over."""
    if column.type is Type.TIME:
        return f'make_timestamp_ms("{column.name}")'
    if column.name in VALUES:
        return f'CASE WHEN regular <> 0 THEN {VALUES[column.name]} ELSE "{column.name}" END'
    return f'"{column.name}"'


def _chunk(batch: Batch, lines: _Joined) -> Any:
    size = len(batch)
    columns: dict[str, Any] = {
        "offset": _numbers(batch.offset),
        "lsn": _numbers(batch.lsn),
        "received": _numbers(batch.received_ms),
        "ts": _numbers(batch.ts_ms),
        "line": _all_texts(lines),
        "raw": _texts([batch.raw.get(row) for row in range(size)] if batch.raw else [], size, nanoarrow.binary()),
        "terminator": _repeated([(terminator.decode(), count) for terminator, count in batch.ends()]),
        "flags": _numbers(batch.flags, nanoarrow.int16()),
    }
    for name in _OF_STREAM:
        attribute = "path" if name == "stream" else name
        columns[name] = _repeated([(getattr(identity, attribute), count) for identity, count in batch.runs()])
    for name, values in batch.typed().items():
        columns[name] = _typed(name, values, size)
    regular = nanoarrow.c_array_from_buffers(nanoarrow.int8(), size, [None, bytes(batch.regular)])
    children = [*(columns[column.name] for column in COLUMNS), regular]
    return nanoarrow.c_array_from_buffers(_SCHEMA, size, [None], children=children)


def _numbers(values: array[int], kind: Any = None) -> Any:
    return nanoarrow.c_array_from_buffers(kind or nanoarrow.int64(), len(values), [None, values])


def _joined(values: Sequence[bytes]) -> _Joined:
    return array("i", accumulate(map(len, values), initial=0)), b"".join(values)


def _all_texts(values: _Joined) -> Any:
    """A column of texts that are all there."""
    ends, data = values
    return nanoarrow.c_array_from_buffers(nanoarrow.string(), len(ends) - 1, [None, ends, data])


def _texts(values: Sequence[bytes | None], size: int, kind: Any) -> Any:
    """A column of which some are there; of no values: none is."""
    if not values:
        return nanoarrow.c_array_from_buffers(kind, size, [bytes((size + 7) // 8), bytes(4 * size + 4), b""])
    held = [value or b"" for value in values]
    ends = array("i", accumulate(map(len, held), initial=0))
    return nanoarrow.c_array_from_buffers(kind, size, [_validity(values), ends, b"".join(held)])


def _repeated(runs: Sequence[tuple[str | None, int]]) -> Any:
    """A column of texts, each with how many rows have it."""
    ends, data, validity = array("i", [0]), [], []
    for text, count in runs:
        value = (text or "").encode()
        at = ends[-1]
        ends.extend(range(at + len(value), at + len(value) * count + 1, len(value)) if value else [at] * count)
        data.append(value * count)
        validity.append(("0" if text is None else "1") * count)
    size = len(ends) - 1
    bits = _bits("".join(validity))
    return nanoarrow.c_array_from_buffers(nanoarrow.string(), size, [bits, ends, b"".join(data)])


def _typed(name: str, values: Sequence[Any], size: int) -> Any:
    if _TYPES[name] is Type.NUMBER:
        held = array("q", [0 if value is None else value for value in values]) if values else bytes(8 * size)
        validity = _validity(values) if values else bytes((size + 7) // 8)
        return nanoarrow.c_array_from_buffers(nanoarrow.int64(), size, [validity, held])
    return _texts([None if value is None else value.encode() for value in values], size, nanoarrow.string())


def _validity(values: Iterable[Any]) -> bytes:
    return _bits("".join(["0" if value is None else "1" for value in values]))


def _bits(text: str) -> bytes:
    """A bit a row, the first one lowest, as Arrow wants it."""
    return int(text[::-1] or "0", 2).to_bytes((len(text) + 7) // 8, "little")


_TYPES = {column.name: column.type for column in TYPED}
