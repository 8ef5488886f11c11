"""Edge: the folder of the lake: its lock, its manifest, its files.

    lake/lock                                       flock of the ``logship seal`` that works in it
    lake/manifest.json                              what is published; replaced as a whole
    lake/day=YYYY-MM-DD/<first LSN>-<end LSN>.parquet     files; what the manifest does not name is none
    lake/day=YYYY-MM-DD/<first LSN>-<end LSN>.parquet.tokens    the filters of its tokens (``tokens``)
    lake/unended-<LSN>.jsonl                        lines that have no end there (``unended``)

A file is written under a name of its own (``.`` before, ``.new`` behind), synced, verified, renamed, its folder synced,
and only then named by the manifest; what is beside it likewise. Left to others: what is in them (``parquet``,
``tokens``), when (``seal``).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import xxhash

from logship.collect.folder import FILE_MODE, segment_name, sync_folder
from logship.errors import USAGE, Fault
from logship.files import replace
from logship.lake.manifest import TOKENS, Beginnings, Manifest, Sidecar, parse
from logship.lake.unended import Unended
from logship.lake.unended import parse as parse_unended
from logship.values import Invalid

LAKE = "lake"
MANIFEST = "manifest.json"
UNENDED = "unended"
_PIECE_BYTES = 1 << 20


class Folder:
    """The lake of the store in ``store``, locked. Raises Fault when another process works in it."""

    def __init__(self, store: Path) -> None:
        self.path = store / LAKE
        self._store = store
        try:
            self.path.mkdir(exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise Fault("open the lake", str(self.path), str(error), "see to folder and disk", USAGE) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            hint = "one `logship seal` a store is enough; stop the other one"
            raise Fault("lock the lake", str(self.path), "another process works in it", hint) from None

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._lock)

    # The manifest.

    def load(self) -> Manifest:
        """What is published; a new lake begins with an empty manifest. Raises Fault, and OSError."""
        found = load(self._store)
        if found is None:
            if any(self._files()):
                hint = "restore the manifest, or move the folder away: it is made anew from what the journal holds"
                raise Fault("read", str(self.path / MANIFEST), "it is missing, though there are files", hint)
            found = Manifest()
            self.publish(found)
        return found

    def publish(self, manifest: Manifest) -> None:
        """Replace the manifest. Raises OSError, then the old one holds."""
        replace(self.path / MANIFEST, manifest.pack(), FILE_MODE)

    # Files.

    def fresh(self, day: str) -> Path:
        """Where a file of that day is to be written. Raises OSError."""
        folder = self.path / f"day={day}"
        if not folder.is_dir():
            folder.mkdir()
            sync_folder(self.path)
        return folder / ".fresh.new"

    def rename(self, fresh: Path, first_lsn: int, end_lsn: int, instead: str = "") -> str:
        """Give a synced file its name, and what is beside it; the name within the lake. Raises OSError.

        ``instead`` is the file of the same LSNs that it takes the place of: names are counted on, none is given twice.
        """
        count = int(found[1]) + 1 if (found := re.search(r"\.(\d+)\.parquet$", instead)) else int(bool(instead))
        ending = f".{count}" if count else ""
        name = f"{fresh.parent.name}/{segment_name(first_lsn)}-{segment_name(end_lsn)}{ending}.parquet"
        if beside(fresh).exists():
            beside(fresh).rename(beside(self.path / name))
        fresh.rename(self.path / name)
        sync_folder(fresh.parent)
        return name

    def keep_unended(self, content: bytes, end_lsn: int) -> Beginnings:
        """Make the file of the lines that have no end at ``end_lsn``, durable. Raises OSError."""
        name = f"{UNENDED}-{segment_name(end_lsn)}.jsonl"
        replace(self.path / name, content, FILE_MODE)
        return Beginnings(name, len(content), xxhash.xxh3_128(content).hexdigest())

    def unended(self, manifest: Manifest) -> Mapping[str, Unended]:
        """The lines that have no end yet. Raises Fault."""
        found = load_unended(self._store, manifest)
        if isinstance(found, Invalid):
            assert manifest.unended is not None
            hint = "bring the file back; without it beginnings of lines are lost"
            raise Fault("read", str(self.path / manifest.unended.name), f"it {found.reason}", hint)
        return found

    def put_beside(self, fresh: Path, content: bytes) -> Sidecar:
        """Write the filters of a fresh file, durable and read back. Raises OSError."""
        path = beside(fresh)
        path.write_bytes(content)
        size, check = sync(path)
        if check != xxhash.xxh3_128_hexdigest(content):
            raise OSError(errno.EIO, "what is read is not what was written", str(path))
        return Sidecar(size, check)

    def discard(self, fresh: Path) -> None:
        """Remove what was not finished."""
        for path in (fresh, beside(fresh)):
            with contextlib.suppress(OSError):
                path.unlink()

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, and folders with nothing left in them. Raises OSError."""
        for name in names:
            path = self.path / name
            beside(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def sweep(self, manifest: Manifest) -> list[str]:
        """Delete what a crash left: files that no manifest ever named. Their names."""
        known = {file.name for file in manifest.files} | {one.name for one in manifest.leaving}
        known |= {f"{name}{TOKENS}" for name in known}
        known |= set() if manifest.unended is None else {manifest.unended.name}
        found = [name for name in self._files() if name not in known]
        self.delete(found)
        return found

    def missing(self, manifest: Manifest) -> list[str]:
        """Files that are named and not there, or of another size."""
        return [file.name for file in manifest.files if self._size(file.name) != file.bytes]

    def free_bytes(self) -> int:
        """What an unprivileged process may still write on this file system."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def _size(self, name: str) -> int | None:
        try:
            return (self.path / name).stat().st_size
        except FileNotFoundError:
            return None

    def _files(self) -> Iterable[str]:
        for folder in sorted(self.path.glob("day=*")):
            for path in sorted(folder.iterdir()):
                if path.suffix in (".parquet", ".new", TOKENS):
                    yield f"{folder.name}/{path.name}"
        for path in sorted(self.path.glob(f"*{UNENDED}-*")):
            yield path.name


def beside(path: Path) -> Path:
    """Where the filters of a file are."""
    return path.with_name(f"{path.name}{TOKENS}")


def load(store: Path) -> Manifest | None:
    """The manifest of a store's lake, for any reader; None where there is none. Raises Fault."""
    path = store / LAKE / MANIFEST
    try:
        found = parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fault("read", str(path), error.strerror or str(error), "see to the disk") from None
    if isinstance(found, Invalid):
        hint = "run the logship that wrote it, or move the lake away: it is made anew from what the journal holds"
        raise Fault("read", str(path), f"it {found.reason}", hint)
    return found


def load_unended(store: Path, manifest: Manifest) -> Mapping[str, Unended] | Invalid:
    """The lines that had no end where the lake of a store is sealed up to, by stream."""
    if manifest.unended is None:
        return {}
    try:
        content = (store / LAKE / manifest.unended.name).read_bytes()
    except OSError as error:
        return Invalid(f"cannot be read: {error.strerror}")
    if xxhash.xxh3_128(content).hexdigest() != manifest.unended.check:
        return Invalid("is not what was written")
    return parse_unended(content)


def sync(path: Path) -> tuple[int, str]:
    """Make a file durable, and as private as the journal; its size and its xxh3_128. Raises OSError."""
    digest = xxhash.xxh3_128()
    size = 0
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, FILE_MODE)
        os.fsync(descriptor)
        while piece := os.read(descriptor, _PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
    finally:
        os.close(descriptor)
    return size, digest.hexdigest()
