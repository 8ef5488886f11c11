"""Core: what the collector's list said when it was last asked for, kept for files that waited to be opened by then.

Of ten thousand files that are new the list would else be asked for again and again, a few of them at a time, and it
grows with each. What it said of a file that waited is right still: nobody follows it but this shipper, which has not
begun to. And a stream that it does not tell would be found when it is to be made, since the file has the same name.

Left to others: asking (``inquiry``), which file it is (``families``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from logship.ship.copies import Key
from logship.ship.identity import Known


class Lately:
    """The list as it last came."""

    def __init__(self) -> None:
        self.names: Collection[str] = ()
        self._by_inode: Mapping[int, Mapping[str, Known]] = {}
        self._waited: set[Key] = set()
        self._asked: set[Key] = set()  # wait, now that it is asked for

    def __contains__(self, key: Key) -> bool:
        """Whether the list holds for this file."""
        return key in self._waited

    def asked(self, waiting: Iterable[Key]) -> None:
        """The list is asked for, and these files wait."""
        self._asked = {*waiting}

    def came(self, known: Mapping[str, Known]) -> None:
        """This is it."""
        self._waited, self._asked = self._asked, set()
        self.names = known.keys() if self._waited else ()
        self._by_inode = by_inode(known) if self._waited else {}

    def used(self, key: Key) -> None:
        """What becomes of the file from now on the list does not know."""
        self._waited.discard(key)
        self._asked.discard(key)

    def at(self, inode: int) -> Mapping[str, Known]:
        """What may be the file of that inode."""
        return self._by_inode.get(inode, {})

    def over(self) -> None:
        """Nobody waits, or it is not to be trusted any more."""
        self.names, self._by_inode, self._waited, self._asked = (), {}, set(), set()


def by_inode(known: Mapping[str, Known]) -> dict[int, dict[str, Known]]:
    """The files by inode, which all evidence has in common."""
    found: dict[int, dict[str, Known]] = {}
    for name, each in known.items():
        found.setdefault(each.evidence.inode, {})[name] = each
    return found
