"""What a shipper is to do: values alone.

Left to others: how people say it (``cli``, ``given``), doing it (``run``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from logship.ship.folder import SpoolFolder
from logship.ship.given import Given
from logship.ship.http_sink import Place
from logship.ship.schedule import CHUNK_BYTES_MAX

SERVICE = "host"
"""The service that files are of where nothing says another one."""


@dataclass(frozen=True)
class Plan:
    """What to ship, where to, and how to end. Times in seconds, sizes in bytes."""

    place: Place
    spools: tuple[Path, ...]
    adopt: tuple[Path, ...] = ()
    instance: str = ""
    once: bool = False
    drain_seconds: float = 3.0
    patience_seconds: float = 30.0
    chunk_bytes_max: int = CHUNK_BYTES_MAX
    budgets: Mapping[str, int] = field(default_factory=dict)
    """What a program, a container, a volume may keep in the spool: only to be told."""
    follow: tuple[str, ...] = ()
    """Patterns of files, besides those that the containers of ``spools`` declare."""
    service: str = ""
    again: Callable[[], Given] | None = None
    """Reads place and patterns once more. Raises Fault."""
    state: Path | None = None
    """Where checkpoints are kept, for servers that are no collectors of ours."""


def declared(folders: Sequence[SpoolFolder]) -> list[str]:
    """Patterns of the files that programs declare."""
    return [pattern for folder in folders for pattern in folder.files]
