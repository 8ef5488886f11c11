"""Edge: the folder of checkpoints (``--state``): one file a source, below a folder a server.

    <state>/<server>/<incarnation>.<program>.json

A file is replaced atomically and synced with its folder. Whoever ships a source holds its lock (``folder``,
``filelock``), so nobody else writes its file; several shippers may share a folder, and must where one adopts what
another one left. Checkpoints of streams that are over stay, since what they are of may be found again; of these the
CLOSED_MAX youngest.

Left to others: what a checkpoint says (``checkpoint``), when it is written (``plain``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from logship import files
from logship.errors import USAGE, Fault
from logship.ship.checkpoint import CHECKPOINT_BYTES_MAX, Checkpoint, known_file, parse_checkpoint
from logship.ship.http_sink import Place
from logship.ship.identity import Known
from logship.values import Invalid

CLOSED_MAX = 10_000
_MODE, _FOLDER_MODE = 0o640, 0o750
_SUFFIX = ".json"


class Damaged(OSError):
    """A checkpoint that cannot be read: what it was of is not sent until somebody looks."""


class Book:
    """The checkpoints for one server. Raises Fault where the folder cannot be one."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder = folder / server_name(place)
        try:
            self.folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
            probe = self.folder / ".probe"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            hint = "give --state a folder that ship may write to, on a disk that stays"
            raise Fault("keep checkpoints in", str(folder), str(error.strerror), hint, USAGE) from None

    def read(self, incarnation: str, program: str) -> Checkpoint | None:
        """That of one source; None where there is none. Raises OSError."""
        return self._read(self._path(incarnation, program))

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep it; durable when this returns. Raises OSError, then the former one is there, or this one."""
        files.replace(self._path(checkpoint.incarnation, checkpoint.program), checkpoint.text(), _MODE)

    def files(self, host: str, service: str) -> dict[str, Known]:
        """The followed files of a host's service that have checkpoints, by id. Raises OSError."""
        found = {}
        for _, checkpoint in self._all():
            known = known_file(checkpoint)
            if known and checkpoint.service == service and dict(checkpoint.facts).get("host") == host:
                found[known.id] = known
        return found

    def prune(self) -> None:
        """Let go of the oldest checkpoints of streams that are over. Raises OSError."""
        over = [path for path, checkpoint in self._all() if checkpoint.closed]
        if len(over) > CLOSED_MAX:
            ages = sorted((path.stat().st_mtime_ns, path) for path in over)
            for _, path in ages[: len(over) - CLOSED_MAX]:
                path.unlink(missing_ok=True)

    def _all(self) -> Iterator[tuple[Path, Checkpoint]]:
        """What can be read; a damaged one is told when its source is met."""
        with os.scandir(self.folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(_SUFFIX))
        for name in names:
            with contextlib.suppress(OSError):
                checkpoint = self._read(self.folder / name)
                if checkpoint is not None:
                    yield self.folder / name, checkpoint

    def _read(self, path: Path) -> Checkpoint | None:
        try:
            with path.open("rb") as file:
                found = parse_checkpoint(file.read(CHECKPOINT_BYTES_MAX + 1))
        except FileNotFoundError:
            return None
        if isinstance(found, Invalid):
            hint = "without it all that is held is sent anew: look at it, or remove it"
            raise Damaged(0, f"the checkpoint {path} {found.reason}; {hint}")
        return found

    def _path(self, incarnation: str, program: str) -> Path:
        return self.folder / f"{incarnation}.{program}{_SUFFIX}"


def server_name(place: Place) -> str:
    """The folder of a server's checkpoints: readable, and no two servers have the same."""
    text = f"{place.authority}{place.prefix}"
    readable = re.sub(r"[^A-Za-z0-9.-]", "_", text)[:100].lstrip(".")
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
