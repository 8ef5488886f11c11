"""Where lines wait to be shipped: a file that grows, or a spool in which one program's stream does."""

from __future__ import annotations

import json
from pathlib import Path

from bench.content import SEGMENT_BYTES
from bench.loglines import Lines


class GrowingFile:
    """A file that is appended to."""

    def __init__(self, folder: Path, number: int) -> None:
        self.path = folder / f"in{number:02}.log"

    def append(self, lines: Lines) -> None:
        """Write them at its end."""
        with self.path.open("ab") as file:
            for block in lines:
                file.write(block)


class GrowingSpool:
    """The spool folder of an incarnation that is not over: one program, segments as in the images."""

    def __init__(self, folder: Path, number: int) -> None:
        self.path = folder / f"20261130T1200{number:02}Z-9f2c51aa"
        self._program = self.path / "p0"
        self._end = 0

    def append(self, lines: Lines) -> None:
        """Write them as spool would: a segment is filled before the next one is begun."""
        if not self._end:
            self._program.mkdir(parents=True)
            words = {"v": 1, "incarnation": self.path.name, "service": "bench", "host": "bench", "programs": []}
            (self.path / "identity.json").write_text(json.dumps({**words, "created": "2026-11-30T12:00:00.123Z"}))
        for block in lines:
            view = memoryview(block)
            while view:
                start = self._end // SEGMENT_BYTES * SEGMENT_BYTES
                piece = view[: start + SEGMENT_BYTES - self._end]
                with (self._program / f"{start:020}").open("ab") as segment:
                    segment.write(piece)
                self._end += len(piece)
                view = view[len(piece) :]
