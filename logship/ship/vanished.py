"""Edge: a file that is gone, though its stream goes on: what of it was not read may be in a compressed file.

Compressed files are read by a thread, once, since that takes a while. Where none holds what is stored, what was written
to the file after that is lost, nobody knows how much of it.

The collector may tell the digest of a few bytes alone, of a stream whose other ones it keeps elsewhere. Such a proof
counts where it is of as many bytes as hardly come twice, and where what it fits is one file.

Left to others: which files are gone (``files``), compressed files (``packed``), what follows from it (``sender``).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Sequence

from logship.ship.held import Held
from logship.ship.identity import PROGRAM
from logship.ship.packed import BROKEN, Compressed, Content, content
from logship.ship.states import Prove
from logship.spool.ranges import Span

TAIL_BYTES = 4096
"""The collector tells the digest of so many bytes before the end, or of fewer."""
PROOF_BYTES_MIN = 32
"""What ends with fewer of the same bytes, and goes on before them, may be any file that is written line by line."""


class VanishedFile:
    """A file that is gone as a source; ``stored`` bytes of it are at the collector."""

    adopted = False
    program = PROGRAM

    def __init__(self, path: str, stored: int, candidates: Sequence[str]) -> None:
        self.path = path
        self.acked: int | None = None
        self.acked_at = 0.0
        tail = min(TAIL_BYTES, stored)
        self._span = Span(stored - tail, tail)
        self._candidates = tuple(candidates)
        self._found: dict[str, Content] = {}
        self._packed: Compressed | None = None
        self._told = False
        self._searching = threading.Thread(target=self._search, daemon=True)
        self._searching.start()

    @property
    def name(self) -> str:
        """For people."""
        return self.path

    @property
    def watched(self) -> None:
        """Nothing is heard of it."""

    def look(self, _ended: bool = False) -> Held | None:
        """That it is gone, when it is known what the compressed files hold."""
        if self._told or self._searching.is_alive():
            return None
        self._told = True
        there = f"; {', '.join(self._candidates)} do not hold it" if self._candidates else ""
        reason = f"the file is gone{there}; what was written to it after what is stored is not known"
        return Held((), 0, True, True, path=self.path, vanished=reason)

    def proves(self, command: Prove) -> tuple[bool, Held | None]:
        """Whether a compressed file holds what is stored; and what it holds."""
        fitting = {path: found for path, found in self._found.items() if self._fits(found, command)}
        if not fitting or (command.span != self._span and len({*fitting.values()}) > 1):
            return False, None
        path, found = next(iter(fitting.items()))
        self._packed, self.path = Compressed(path), path
        spans = (Span(0, found.size),) if found.size else ()
        return True, Held(spans, found.size, True, True, path=path)

    def _fits(self, found: Content, command: Prove) -> bool:
        """Whether the compressed file has, at their place, the bytes that the proof is of."""
        span, most = command.span, self._span
        enough = min(PROOF_BYTES_MIN, most.size) <= span.size <= most.size
        if command.digest is None or span.end != most.end or not enough:
            return False
        return hashlib.sha256(found.part[most.size - span.size :]).digest() == command.digest.value

    def has_digest(self, *_: object) -> None:
        """Nobody asks that of a file that is gone."""
        raise AssertionError

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from exactly ``offset``. Raises OSError."""
        assert self._packed is not None
        return self._packed.read(offset, size)

    def note_acked(self, offset: int, now: float) -> None:
        """Nobody needs to know."""
        self.acked, self.acked_at = offset, now

    def delete_acked(self) -> None:
        """Nothing is there."""

    def close(self) -> None:
        """Let go of the compressed file."""
        if self._packed is not None:
            self._packed.close()

    def _search(self) -> None:
        for path in self._candidates:
            with contextlib.suppress(*BROKEN):
                found = content(path, self._span)
                if found.size >= self._span.end:
                    self._found[path] = found
