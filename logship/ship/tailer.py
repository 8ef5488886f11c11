"""Core: what becomes of one followed file: it grew, was replaced in place, was renamed, is over.

A file is replaced in place when it is shorter than it was, or when the bytes that stood before its end are others
(copytruncate, a writer that begins anew). What was seen of the former content is counted in ``gone``, so that what was
not read of it can be told to the byte. A file is over when no pattern names it any more and nothing was written to it
for a while: until then whoever still has it open is listened to.

What cannot be seen: a file that is emptied and grows beyond its former end between two looks, with the very same bytes
before that end; and what was written between the last look and the moment of the replacement.

Left to others: looking (``followed``), what follows for the streams (``sender``).
"""

from __future__ import annotations

from dataclasses import dataclass

ROTATED_SECONDS = 10.0
"""How long a file that was renamed away, and has a successor, is listened to after its last byte."""
DELETED_SECONDS = 60.0
"""The same for one that has no name any more: when it is let go of, nobody finds it again."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One look. ``same``: the bytes before the end seen last are what they were. ``named``: a pattern leads to it, or
    it has no successor yet. ``linked``: it has a name at all. ``left``: nobody wants what will be written to it."""

    size: int
    same: bool
    named: bool
    linked: bool
    left: bool = False


class Tailer:
    """One file."""

    def __init__(self, gone: int = 0) -> None:
        self.size = 0
        self.gone = gone  # bytes of all contents before the present one
        self.over = False
        self._quiet_since: float | None = None

    def looked(self, sight: Sight, now: float) -> bool:
        """Take in a look; whether anything is other than before."""
        replaced = self.size > 0 and (sight.size < self.size or not sight.same)
        changed = replaced or sight.size != self.size
        if replaced:
            self.gone += self.size
        self.size = sight.size
        if changed or sight.named or self._quiet_since is None:
            self._quiet_since = now
        bound = ROTATED_SECONDS if sight.linked else DELETED_SECONDS
        over = sight.left or (not sight.named and now - self._quiet_since >= bound)
        changed = changed or over != self.over
        self.over = over
        return changed
