"""Edge: the folder of a store: its lock, its format, the names of its segments.

    format          ``logship-store 1``; made last, so a folder without it was never a store
    lock            flock of the ``logship collect`` that works in it
    durable         the watermark (``disk``)
    view.sock       where `logship view` answers collect
    journal/<LSN>   segments; a name is the LSN of the first byte, so that a segment's end is the next one's name

Left to others: what is in the segments.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from logship.errors import USAGE, Fault
from logship.files import replace

FORMAT = b"logship-store 1\n"
JOURNAL = "journal"
DURABLE = "durable"
SOCKET = "view.sock"
LSN_DIGITS = 20
FILE_MODE = 0o640


@dataclass(slots=True)
class Segment:
    """A file of the journal: its bytes are those from ``lsn`` to ``end``, the first of them a checkpoint.

    ``begun_ms`` is the checkpoint's time, ``newest_ms`` the newest frame's; both are what ``recover`` finds.
    """

    lsn: int
    end: int
    checkpoint_end: int = 0
    begun_ms: int = 0
    newest_ms: int = 0


def segment_name(lsn: int) -> str:
    """File name of the segment that begins at ``lsn``."""
    return f"{lsn:0{LSN_DIGITS}}"


@contextlib.contextmanager
def socket_path(folder: Path) -> Iterator[str]:
    """The name of the viewer's socket for a moment, short in any folder: the kernel takes 107 bytes. Raises OSError."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def take(folder: Path) -> int:
    """Make the folder if need be and lock it; the descriptor holds the lock. Raises Fault when another has it."""
    try:
        (folder / JOURNAL).mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise Fault("open the store", str(folder), str(error), "give a folder this user may write", USAGE) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        hint = "stop the other `logship collect`, or give another folder"
        raise Fault("lock the store", str(folder), "another process works in it", hint) from None
    return lock


def prepare(folder: Path, first_segment: bytes) -> list[Segment]:
    """The segments of the locked ``folder``, in order; one that is no store yet becomes one with ``first_segment``.

    Raises Fault for another version, and for a journal that is not whole as far as names and sizes tell.
    """
    journal = folder / JOURNAL
    try:
        for leftover in journal.glob(".*.new"):
            leftover.unlink()
        try:
            found = (folder / "format").read_bytes()
        except FileNotFoundError:
            _make(folder, first_segment)
            found = FORMAT
        if found != FORMAT:
            hint = "run the logship that wrote it, or a newer one; nothing was changed"
            cause = f"its format is {found[:40]!r}, this program knows {FORMAT!r}"
            raise Fault("open the store", str(folder), cause, hint)
        return _whole(journal)
    except OSError as error:
        raise Fault("open the store", str(folder), str(error), "see to the disk; nothing was changed") from error


def _make(folder: Path, first_segment: bytes) -> None:
    """A new store. What a crash in here left before is made anew; anything more is somebody's journal."""
    first = folder / JOURNAL / segment_name(0)
    others = [path for path in (folder / JOURNAL).iterdir() if path != first]
    if others or (first.exists() and first.stat().st_size > len(first_segment)):
        hint = "restore the file `format`, or move the journal away to begin a new one"
        raise Fault("open the store", str(folder), "it has a journal, but no file `format`", hint)
    replace(first, first_segment, FILE_MODE)
    replace(folder / "format", FORMAT, FILE_MODE)
    sync_folder(folder.parent)


def listed(journal: Path) -> list[Segment]:
    """The segments as names and sizes tell, in order; whether they fit is not asked. Raises OSError."""
    names = sorted(path.name for path in journal.iterdir() if path.name.isdigit() and len(path.name) == LSN_DIGITS)
    return [Segment(int(name), int(name) + (journal / name).stat().st_size) for name in names]


def _whole(journal: Path) -> list[Segment]:
    hint = "run `logship fsck` on the store; nothing was changed"
    found = listed(journal)
    if not found:
        raise Fault("open the journal", str(journal), "it holds no segment", hint)
    for one, other in pairwise(found):
        if one.end != other.lsn:
            cause = f"it ends at LSN {one.end}, but the next segment begins at {other.lsn}"
            raise Fault("open the segment", str(journal / segment_name(one.lsn)), cause, hint)
    return found


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
