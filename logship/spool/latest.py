"""Edge: the link ``latest`` in a program's folder, to its newest segment: `tail -F` follows the stream by it.

For people alone: nothing here reads it, and where it cannot be made it is left as it is until the next segment.
Left to others: when a segment begins (``drain``).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

LATEST = "latest"


def point(folder: Path, segment: str) -> None:
    """Let the link say ``segment`` from now on, in one step: whoever opens it finds the old one or the new one."""
    fresh = folder / f".{LATEST}.new"
    with contextlib.suppress(OSError):
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(segment)
        fresh.replace(folder / LATEST)
