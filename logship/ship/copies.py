"""Edge: files that may be copies of another one (copytruncate): which of them holds what.

A rotated file that is younger than the one that is written to is a copy of it, or was until that one was emptied. Which
content a copy holds is seen by the bytes before a place in it, as everywhere: before the end of what is stored, or
before the end at which the original was last seen with that content (``Former``).

Left to others: what follows from it (``files``), looking at the original (``followed``).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from logship.ship.followed import GUARD_BYTES, Former, OpenFile, has_digest
from logship.ship.globs import Place
from logship.ship.identity import Evidence
from logship.ship.states import Prove
from logship.values import StreamPath

Key = tuple[int, int]
"""Device and inode: exact while the file is open, since its inode is not given to another one then."""


@dataclass(eq=False)
class Found:
    """A file that no stream is known of yet.

    ``copy``: it is one of what is shipped from another file, and is left alone: for good where all of it is in the
    stream ``stored``, else until the stream ``until`` was looked at again, or its original holds something else.
    ``fresh``: it was emptied, and a copy has what it had. ``gone`` are bytes of its former contents that are nowhere.
    """

    file: OpenFile
    place: Place
    fresh: bool = False
    copy: bool = False
    stored: StreamPath | None = None
    until: StreamPath | None = None
    gone: int = 0

    def is_asked_about(self) -> None:
        """Whose copy it is is not known any more."""
        if self.stored is None:
            self.copy, self.until = False, None


@dataclass(frozen=True)
class Match:
    """The copy at ``place`` holds what is stored, or the first that was not; ``lost`` bytes seen later are nowhere."""

    place: int
    lost: int


def younger(evidence: Evidence, other: Evidence | None) -> bool:
    """Whether a file was certainly born after another one."""
    if other is None or evidence.birth is None or other.birth is None:
        return False
    return evidence.birth > other.birth


def copies_of(evidence: Evidence, family: str, found: Mapping[Key, Found]) -> list[tuple[Key, Found]]:
    """What may be copies of the file of ``evidence``, the youngest first; not those of which it is known whose."""
    fitting = [
        (key, each) for key, each in found.items()
        if each.place.family == family and each.place.rotated and younger(each.file.evidence, evidence)
        and each.stored is None
    ]  # fmt: skip
    return sorted(fitting, key=lambda each: each[1].file.evidence.birth or 0, reverse=True)


def begins_with(original: OpenFile, copy: OpenFile) -> bool:
    """Whether the original still holds, at its place, what the copy ends with: then it was not emptied since."""
    with contextlib.suppress(OSError):
        size = os.fstat(copy.descriptor).st_size
        start = max(0, size - GUARD_BYTES)
        last = os.pread(copy.descriptor, size - start, start)
        return len(last) == size - start and os.pread(original.descriptor, size - start, start) == last
    return False


def match(proof: Prove, formers: Sequence[Former], files: Sequence[OpenFile]) -> Match | None:
    """Which of ``files``, the youngest first, goes on where an emptied file ended; ``formers`` are the contents it had.

    With a digest that is what is stored of the first of them; else nothing is stored, and the first found anywhere is.
    """
    if proof.digest is not None:
        for place, file in enumerate(files):
            with contextlib.suppress(OSError):
                if has_digest(file, proof.span, proof.digest):
                    return Match(place, nowhere(formers[1:], files))
        return None
    for former in formers:
        place_of = next((place for place, file in enumerate(files) if former.is_in(file)), None)
        if place_of is not None:
            return Match(place_of, nowhere(formers, files))
    return None


def nowhere(formers: Iterable[Former], files: Sequence[OpenFile]) -> int:
    """Bytes of the contents that none of the files holds."""
    return sum(former.size for former in formers if not any(former.is_in(file) for file in files))
