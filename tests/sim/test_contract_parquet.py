"""Contract of the files of the lake: what stands for Parquet in a world answers as DuckDB's Parquet does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logship.lake.batch import Batch
from logship.lake.parquet import Parquet
from logship.view.lines import Line
from logship.view.select import Identity, identify
from tests.sim.contract import Fake, Machine
from tests.sim.sealing import Packed

ONE, TWO = "webapp/web1/app/20261123T201501Z-00000000", "webapp/web2/app/20261123T201501Z-00000001"
Lines = list[tuple[str, int, bytes, bytes]]
"""Stream, offset, line, terminator."""
LINES: Lines = [
    (ONE, 0, b"first", b"\n"),
    (ONE, 6, b"\xff\x00 no text", b"\r\n"),
    (ONE, 18, b"", b"\n"),
    (ONE, 19, "ä".encode(), b""),
    (TWO, 700, b"torn", b""),
    (TWO, 704, b"x" * 3000, b"\n"),
]


def batch(lines: Lines) -> Batch:
    found, identities = Batch(), dict[str, Identity]()
    for stream, offset, line, terminator in lines:
        identity = identities.setdefault(stream, identify(stream, {"kind": "plain"}))
        found.add(identity, Line(stream, offset, line + terminator, 1000, 0), 0)
    return found


def rows(parquet: Any, path: Path) -> list[tuple[int, bytes]]:
    found = []
    for offsets, ends, data in parquet.contents(path):
        assert len(ends) == len(offsets) + 1
        found += [(offsets[n], bytes(data[ends[n] : ends[n + 1]])) for n in range(len(offsets))]
    return found


def on_both(machine: Machine, body: Callable[[Any, Any], None]) -> None:
    machine.run(lambda on: body(Packed() if isinstance(machine, Fake) else Parquet(), on))


def written(parquet: Any, path: Path, *parts: Lines) -> Path:
    parquet.write(path, [parquet.chunk(batch(part)) for part in parts])
    return path


def test_a_file_has_the_exact_bytes_of_its_lines_in_their_order(machine: Machine) -> None:
    def body(parquet: Any, on: Any) -> None:
        path = written(parquet, on.root / "file", LINES[:2], LINES[2:])
        assert parquet.places(path) == [(ONE, 0, 4), (TWO, 4, 2)]
        assert rows(parquet, path) == [(offset, line + end) for _, offset, line, end in LINES]
        assert sum(parquet.row_groups(path)) == len(LINES)

    on_both(machine, body)


def test_a_file_is_written_anew_from_its_beginning(machine: Machine) -> None:
    def body(parquet: Any, on: Any) -> None:
        written(parquet, on.root / "file", LINES)
        path = written(parquet, on.root / "file", LINES[:1])
        assert rows(parquet, path) == [(0, b"first\n")]

    on_both(machine, body)


def test_files_are_joined_in_order(machine: Machine) -> None:
    def body(parquet: Any, on: Any) -> None:
        parts = [written(parquet, on.root / "one", LINES[:4]), written(parquet, on.root / "two", LINES[4:])]
        parquet.join(parts, on.root / "both")
        assert rows(parquet, on.root / "both") == [(offset, line + end) for _, offset, line, end in LINES]

    on_both(machine, body)


def test_a_file_that_is_not_there_or_is_cut_off_cannot_be_read(machine: Machine) -> None:
    def body(parquet: Any, on: Any) -> None:
        path = written(parquet, on.root / "file", LINES)
        file = on.os.open(path, on.os.O_RDWR)
        on.os.ftruncate(file, on.os.fstat(file).st_size - 3)
        on.os.close(file)
        for name in ("file", "no"):
            for asked in (parquet.places, parquet.row_groups, lambda path: rows(parquet, path)):
                with pytest.raises(OSError, match=r"."):
                    asked(on.root / name)

    on_both(machine, body)


def test_a_stream_that_is_in_two_places_is_refused(machine: Machine) -> None:
    def body(parquet: Any, on: Any) -> None:
        path = written(parquet, on.root / "file", [LINES[0], LINES[4], LINES[1]])
        with pytest.raises(OSError, match="follow"):
            parquet.places(path)

    on_both(machine, body)
