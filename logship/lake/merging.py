"""Core: which small files of the lake become one, and the query that gives its rows in order.

Files that adjoin and are of one day become one of at most RAW_BYTES_MAX of lines: as soon as that is at least half
full, or of FILES_MIN files, or nothing can be added any more. So a line is written anew a few times at most, however
small the files were that it came in. Left to others: doing it (``merge``).
"""

from __future__ import annotations

from collections.abc import Sequence

from logship.lake import plan
from logship.lake.manifest import File, Manifest
from logship.lake.sql import quoted, rows_of

FILES_MIN = 16


def mergeable(manifest: Manifest, left_out: frozenset[str] = frozenset()) -> tuple[int, int] | None:
    """Which files become one next: the first one, and how many; None: none do. ``left_out`` are names of files."""
    holes = {missing.first_lsn for missing in manifest.not_sealed}
    files = manifest.files
    first = total = 0
    for at, file in enumerate(files):
        is_small = file.name not in left_out and file.raw_bytes <= plan.RAW_BYTES_MAX // 2
        adjoins = at > first and _adjoin(files[at - 1], file, holes)
        if at > first and not (is_small and adjoins and total + file.raw_bytes <= plan.RAW_BYTES_MAX):
            if at - first > 1:
                return first, at - first
            first, total = at, 0
        if not is_small:
            first, total = at + 1, 0
            continue
        total += file.raw_bytes
    count = len(files) - first
    if count >= FILES_MIN or (count > 1 and total >= plan.RAW_BYTES_MAX // 2):
        return first, count
    return None


def _adjoin(before: File, file: File, holes: set[int]) -> bool:
    """One day, and nothing between them that is not sealed; a hole is marked where a file ends."""
    same_day = before.name.partition("/")[0] == file.name.partition("/")[0]
    return same_day and not any(before.end_lsn <= lsn < file.first_lsn for lsn in holes)


def streams_of(files: Sequence[File]) -> dict[str, tuple[int, int]]:
    """By stream where the first line of all these files begins and the last one ends."""
    found: dict[str, tuple[int, int]] = {}
    for file in files:
        for path, (first, end) in file.streams.items():
            found[path] = found.get(path, (first, end))[0], end
    return dict(sorted(found.items()))


def query(paths: Sequence[str], without: frozenset[str] = frozenset()) -> str:
    """The rows of the files at ``paths`` in the order of one: by stream, LSN and offset. ``without``: streams left out.

    Sorted as a whole: DuckDB gives a union of ranges out of order where it writes a file of it. One has its order.
    """
    order = ' ORDER BY stream, lsn, "offset"' if len(paths) > 1 else ""
    return f"FROM {rows_of(paths)} WHERE {but(without)}{order}"


def but(without: frozenset[str]) -> str:
    """The condition that a row is of no such stream."""
    return f"stream NOT IN ({', '.join(map(quoted, sorted(without)))})" if without else "true"
