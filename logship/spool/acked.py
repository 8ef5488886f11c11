"""Edge: deleting what the collector holds: whole segments below the offset that ship noted as acknowledged.

The last 65,536 acknowledged bytes stay (ship proves with them that the stream at the collector is this one, and people
look at them), and so does the last segment, which is written. What is deleted here is no loss and gets no record.

Left to others: noting the offset (``logship.ship``), deleting what is over budget (``run``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from logship.spool.layout import ACKED, parse_segment
from logship.spool.ranges import Segment

KEEP_BYTES = 65_536
_NOTE_BYTES_MAX = 64


def read(folder: Path) -> int:
    """The acknowledged offset of the stream in ``folder``; 0 when ship noted none, or nothing that can be read."""
    try:
        with (folder / ACKED).open("rb") as file:
            note = file.read(_NOTE_BYTES_MAX)
    except OSError:
        return 0
    return parse_segment(note.decode("latin-1").removesuffix("\n")) or 0


def deletable(found: Sequence[Segment], acked: int) -> list[Segment]:
    """The segments of ``found`` that may go when all below ``acked`` is acknowledged."""
    return [segment for segment in found[:-1] if segment.end <= acked - KEEP_BYTES]


def delete(folder: Path, found: Sequence[Segment]) -> list[Segment]:
    """Delete what may go, the oldest first; what is left of ``found``. Raises OSError."""
    gone = deletable(found, read(folder)) if len(found) > 1 else []
    for segment in gone:
        (folder / segment.name).unlink(missing_ok=True)
    return [*found[len(gone) :]]
