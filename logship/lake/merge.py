"""Run: files of the lake made anew: several small ones as one, or one without the lines of some streams.

The new one is believed when what was read back from it is all of theirs: for each stream the offsets and the exact
bytes of its rows, in order, by digest; of all rows and all columns how many there are and the sum of their hashes. Its
filters are made of what was read back. Left to others: which files (``merging``, ``keep``), publishing (``run``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import xxhash

from logship.errors import Fault
from logship.lake.filters import Broken, Filters
from logship.lake.folder import Folder, sync
from logship.lake.manifest import File, starts_of
from logship.lake.merging import but, query, streams_of
from logship.lake.parquet import Parquet
from logship.lake.seal import NoRoom
from logship.lake.tokens import pack


class Merger:
    """Makes files of ``folder`` anew. ``free_min``: room on the disk that it leaves."""

    def __init__(self, folder: Folder, parquet: Parquet, free_min: int) -> None:
        self._folder = folder
        self._parquet = parquet
        self._free_min = free_min

    def merge(self, files: Sequence[File], without: frozenset[str] = frozenset()) -> File:
        """One file of these, which adjoin, without some streams; it has its name, and no manifest knows of it.

        Raises NoRoom, OSError, TooMuch, and Fault where it is not what they are.
        """
        if self._folder.free_bytes() - sum(file.stored_bytes for file in files) < self._free_min:
            raise NoRoom(f"{len(files)} files are to be made anew")
        first, last = files[0], files[-1]
        parts = [self._folder.path / file.name for file in files]
        fresh = self._folder.fresh(parts[0].parent.name.removeprefix("day="))
        try:
            self._parquet.copy(query([str(part) for part in parts], without), fresh)
            size, check = sync(fresh)
            filters = Filters(self._parquet.row_groups(fresh))
            rows, raw_bytes, *times = self._compare(parts, fresh, without, filters)
            tokens = self._folder.put_beside(fresh, pack(filters.made))
            name = self._folder.rename(fresh, first.first_lsn, last.end_lsn, first.name if len(files) == 1 else "")
        except BaseException:
            self._folder.discard(fresh)
            raise
        streams = {path: found for path, found in streams_of(files).items() if path not in without}
        oldest_ts, newest_ts, oldest_received, newest_received = times
        return File(
            name, first.first_lsn, last.end_lsn, rows, size, raw_bytes, oldest_ts, newest_ts, oldest_received,
            newest_received, streams, check, tokens, starts_of((file.starts for file in files), without),
        )  # fmt: skip

    def _compare(self, parts: Sequence[Path], fresh: Path, without: frozenset[str], filters: Filters) -> list[int]:
        """What there is in the fresh file, but for the sum that it was compared by. What is read makes the filters."""
        differs = ""
        found = self._parquet.sums([fresh], "true")
        try:
            if self._parquet.sums(parts, but(without)) != found:
                differs = "its rows are not theirs"
            elif sorted(self._digests(parts, without).items()) != list(self._digests([fresh], filters=filters).items()):
                differs = "the bytes or the order of a stream's rows are not theirs"
        except Broken as broken:
            differs = str(broken)
        if differs:
            hint = "the files stay as they are; report this"
            raise Fault("make anew", str(fresh), differs, hint)
        return list(found[:-1])

    def _digests(
        self, paths: Sequence[Path], without: frozenset[str] = frozenset(), filters: Filters | None = None
    ) -> dict[str, tuple[str, str]]:
        """By stream, of its rows in order, digests of their offsets and of their exact bytes."""
        found: dict[str, tuple[xxhash.xxh3_128, xxhash.xxh3_128]] = {}
        for path in paths:
            places = iter(self._parquet.places(path))
            left, digests = 0, (xxhash.xxh3_128(), xxhash.xxh3_128())
            chunks = self._parquet.contents(path)
            for offsets, ends, data in chunks if filters is None else filters.through(chunks):
                row = 0
                while row < len(offsets):
                    if not left:
                        stream, _, left = next(places)
                        digests = found.setdefault(stream, (xxhash.xxh3_128(), xxhash.xxh3_128()))
                    last = min(len(offsets), row + left)
                    digests[0].update(offsets[row:last])
                    digests[1].update(data[ends[row] : ends[last]])
                    left -= last - row
                    row = last
        return {
            stream: (offsets.hexdigest(), data.hexdigest())
            for stream, (offsets, data) in found.items()
            if stream not in without
        }
