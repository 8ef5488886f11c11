"""Edge: how far the journal is in the lake: loads the manifest that ``logship seal`` publishes, and looks at its files.

It is believed when it is durable and names no file that is missing: what a crash could take back, or somebody has
removed, is no reason to delete the journal. Left to others: when to delete (``sealed``, ``retention``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from logship.collect.folder import sync_folder
from logship.collect.stream import StreamState
from logship.errors import Fault
from logship.lake.folder import LAKE, MANIFEST, load, load_unended
from logship.lake.manifest import File, Manifest
from logship.values import Invalid


@dataclass(frozen=True, slots=True)
class Held:
    """Everything below LSN ``sealed_end`` is in the lake, or told of there; ``why``: what is wrong, if anything is."""

    sealed_end: int
    why: str = ""


class Lake:
    """The lake of the store in ``store``, if it has one. For one thread at a time."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._folder = store / LAKE
        self._seen: tuple[int, int, int] | None = None
        self._manifest = Manifest()
        self._by_path: dict[str, list[File]] = {}
        self._unended: dict[tuple[str, int], int] = {}
        self._is_ours = False

    def first_offset(self, stream: StreamState) -> int | None:
        """Where what it has of a stream begins, as it was looked at last; None: it has nothing. For any thread."""
        files = self._by_path.get(stream.path, ()) if self._is_ours else ()
        file = next((file for file in files if file.end_lsn > stream.created_lsn), None)
        first = None if file is None else file.streams[stream.path][0]
        if file is not None and file.first_lsn < stream.created_lsn:
            first = 0  # it was made within the file; what the file says may be of an earlier stream of its path
        if first is None and self._is_ours:
            first = self._unended.get((stream.path, stream.created_lsn))
        return first

    def look(self, start: int, end: int) -> Held | None:
        """How far the journal, which has the LSNs from ``start`` to ``end``, is in the lake; None: there is none."""
        try:
            if not self._load():
                return None
        except Fault as fault:
            return Held(0, str(fault))
        except OSError as error:
            return Held(0, f"cannot load the manifest of the lake: {error}")
        sealed_end = self._manifest.sealed_end
        self._is_ours = sealed_end <= end
        if not self._is_ours:
            return Held(
                0, f"the lake is another store's: it is sealed up to LSN {sealed_end}, the journal ends at {end}"
            )
        for file in self._manifest.files:
            if file.end_lsn > start and self._size(file.name) != file.bytes:
                return Held(file.first_lsn, f"{file.name} of the lake is missing, or not of the size it had")
        unended = self._manifest.unended
        if unended is not None and self._size(unended.name) != unended.bytes:
            return Held(0, f"{unended.name} of the lake is missing, or not of the size it had")
        return Held(sealed_end)

    def _load(self) -> bool:
        """Load the manifest if it is another one than before; whether there is one. Raises Fault, and OSError."""
        try:
            facts = (self._folder / MANIFEST).stat()
        except FileNotFoundError:
            self._seen, self._by_path, self._unended = None, {}, {}
            return False
        seen = facts.st_ino, facts.st_mtime_ns, facts.st_size
        if seen != self._seen:
            found = load(self._store)
            if found is None:
                return False
            self._sync()
            self._manifest, self._seen = found, seen
            by_path: dict[str, list[File]] = {}
            for file in found.files:
                for path in file.streams:
                    by_path.setdefault(path, []).append(file)
            self._by_path = by_path
            unended = load_unended(self._store, found)
            held = {} if isinstance(unended, Invalid) else unended
            self._unended = {(path, one.created_lsn): one.offset for path, one in held.items()}
        return True

    def _sync(self) -> None:
        """Whatever manifest is there by now stays there. It names all that the one which was loaded names, or more."""
        descriptor = os.open(self._folder / MANIFEST, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(self._folder)
        sync_folder(self._store)  # the lake's own name: a crash that took it would take all of the lake

    def _size(self, name: str) -> int | None:
        try:
            return (self._folder / name).stat().st_size
        except OSError:
            return None
