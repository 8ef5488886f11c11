"""Edge: the note of how far the collector holds a stream, and deleting that: whole segments below it.

A note is a small file. On a disk that has not a block left for one it is a link, whose target needs none: else nothing
of what is acknowledged could be deleted, and a disk that an outage had filled would stay full.

The last 65,536 acknowledged bytes stay (ship proves with them that the stream at the collector is this one, and people
look at them), and so does the last segment, which is written. What is deleted here is no loss and gets no record.

Left to others: when to note what (``logship.ship``), deleting what is over budget (``run``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from logship.spool.layout import ACKED, parse_segment, segment_name
from logship.spool.ranges import Segment

KEEP_BYTES = 65_536
_NOTE_BYTES_MAX = 64


_LINK = f"{ACKED}-"
"""What a note that is a link begins with; no file is called so, so whoever opens it finds none."""


def note(folder: Path, offset: int) -> None:
    """Note what is acknowledged of the stream in ``folder``. Not synced: it follows from what the collector says.

    Replaced as a whole, so nobody reads half of it. Raises OSError.
    """
    fresh = folder / f".{ACKED}.new"
    try:
        fresh.write_bytes(f"{segment_name(offset)}\n".encode())
    except OSError:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(_LINK + segment_name(offset))
    fresh.replace(folder / ACKED)


def read(folder: Path) -> int:
    """The acknowledged offset of the stream in ``folder``; 0 when ship noted none, or nothing that can be read."""
    try:
        with (folder / ACKED).open("rb") as file:
            found = file.read(_NOTE_BYTES_MAX).decode("latin-1").removesuffix("\n")
    except OSError:
        found = _linked(folder)
    return parse_segment(found) or 0


def _linked(folder: Path) -> str:
    try:
        return (folder / ACKED).readlink().name.removeprefix(_LINK)
    except OSError:
        return ""


def deletable(found: Sequence[Segment], acked: int) -> list[Segment]:
    """The segments of ``found`` that may go when all below ``acked`` is acknowledged."""
    return [segment for segment in found[:-1] if segment.end <= acked - KEEP_BYTES]


def delete(folder: Path, found: Sequence[Segment]) -> list[Segment]:
    """Delete what may go, the oldest first; what is left of ``found``. Raises OSError."""
    gone = deletable(found, read(folder)) if len(found) > 1 else []
    for segment in gone:
        (folder / segment.name).unlink(missing_ok=True)
    return [*found[len(gone) :]]
