"""Core: the bounds of ship's settings that are numbers, for ship itself and for PID 1 before it starts anything."""

from __future__ import annotations

from logship.config import Settings
from logship.errors import USAGE, Fault

CHUNK_BYTES = (4096, 8 * 1024 * 1024)
SECONDS_MAX = 3600.0


def check(settings: Settings) -> None:
    """Raises Fault (status 2) for a number that ship cannot work with."""
    chunk = settings.chunk_bytes_max
    if not CHUNK_BYTES[0] <= chunk <= CHUNK_BYTES[1]:
        hint = f"give {CHUNK_BYTES[0]} to {CHUNK_BYTES[1]}"
        raise Fault("take the setting", "--chunk-bytes-max", f"{chunk} is out of range", hint, USAGE)
    for name, seconds in (("drain", settings.drain_seconds), ("patience", settings.patience_seconds)):
        if not 0 <= seconds <= SECONDS_MAX:
            raise Fault("take the setting", f"--{name}-seconds", f"{seconds} is out of range", "give 0 to 3600", USAGE)
