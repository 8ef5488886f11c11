"""Edge: filters of tokens as they lie beside the files of the lake: in which rows of a file a need may be met.

A file of filters is believed when it is what the manifest says, by its digest; that is looked at once. Without one, and
where it cannot be read, all rows are. Left to others: what is asked (``tokens``), reading rows (``reader``).
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import xxhash

from logship.lake.manifest import TOKENS, File
from logship.lake.tokens import BLOCK_BYTES, Directory, Need, answered, block, hashed, is_in, parse
from logship.values import Invalid

KNOWN_MAX = 10_000
"""Directories that are held, a few hundred bytes each."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows of a file in which something may be: numbers of the first ones and of those behind the last.

    ``rows`` and ``raw_bytes`` are how many rows the others are, and how many bytes their lines had.
    """

    ranges: tuple[tuple[int, int], ...]
    rows: int
    raw_bytes: int


class Sidecars:
    """Those of the lake in ``lake``; for any thread."""

    def __init__(self, lake: Path) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Directory | None] = {}

    def candidates(self, file: File, need: Need | None) -> Candidates | None:
        """The rows in which the need may be met; None where all of them are to be read."""
        if need is None or file.tokens is None:
            return None
        try:
            descriptor = os.open(self._lake / f"{file.name}{TOKENS}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            directory = self._directory(file, descriptor)
            return None if directory is None else _candidates(directory, need, descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _directory(self, file: File, descriptor: int) -> Directory | None:
        assert file.tokens is not None
        known = file.name, file.tokens.check
        with self._lock:
            if known in self._known:
                return self._known[known]
        with os.fdopen(os.dup(descriptor), "rb") as content:
            whole = content.read()
        found = parse(whole)
        is_right = xxhash.xxh3_128_hexdigest(whole) == file.tokens.check
        directory = None if isinstance(found, Invalid) or not is_right else found
        if directory is not None and sum(group.rows for group in directory.groups) != file.rows:
            directory = None
        with self._lock:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[known] = directory
        return directory


def _candidates(directory: Directory, need: Need, descriptor: int) -> Candidates | None:
    def ask(key: bytes) -> int:
        number = hashed(key)
        found = 0
        for place, (group, start) in enumerate(zip(directory.groups, directory.starts, strict=False)):
            if group.blocks:
                at = start + block(number, group.blocks) * BLOCK_BYTES
                if not is_in(os.pread(descriptor, BLOCK_BYTES, at), number):
                    continue
            found |= 1 << place
        return found

    found = answered(need, ask)
    if found == (1 << len(directory.groups)) - 1:
        return None
    ranges: list[tuple[int, int]] = []
    first = rows = raw_bytes = 0
    for place, group in enumerate(directory.groups):
        end = first + group.rows
        if not found >> place & 1:
            rows += group.rows
            raw_bytes += group.raw_bytes
        elif ranges and ranges[-1][1] == first:
            ranges[-1] = ranges[-1][0], end
        else:
            ranges.append((first, end))
        first = end
    return Candidates(tuple(ranges), rows, raw_bytes)
