"""Core: files of which the collector has open streams, and that are not there.

They were removed while nobody looked, or are compressed now. Between two steps of a rotation a file may have no name
that a pattern leads to, so it is missed for a while before it is taken for gone.

Left to others: what is there (``files``), what becomes of one that is gone (``vanished``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from logship.ship.identity import Evidence, Known

MISSED_SECONDS = 10.0


class Missing:
    """Those that are missed. The list of streams is asked for once at the beginning, and when one was missed enough."""

    def __init__(self, seconds: float = MISSED_SECONDS) -> None:
        self._seconds = seconds
        self.in_question = True  # the list is wanted
        self._now = 0.0
        self._since: dict[str, float] = {}

    def look(self, now: float) -> None:
        """Time has passed."""
        self._now = now
        self.in_question |= any(now - since >= self._seconds for since in self._since.values())

    def listed(
        self, known: Mapping[str, Known], here: Collection[Evidence], family_of: Callable[[str], str | None]
    ) -> list[Known]:
        """Those that are gone: open at the collector, of our patterns, and not ``here`` for a while."""
        there = {(each.inode, each.birth) for each in here}
        self.in_question = False
        missed = {
            each.id: each for each in known.values()
            if each.open and each.links and (each.evidence.inode, each.evidence.birth) not in there
            and family_of(each.path) is not None
        }  # fmt: skip
        self._since = {name: self._since.get(name, self._now) for name in missed}
        gone = [missed[name] for name, since in self._since.items() if self._now - since >= self._seconds]
        for each in gone:
            del self._since[each.id]
        return gone
