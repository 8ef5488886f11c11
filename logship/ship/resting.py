"""Core: files that are at rest: all of them is stored, and they are not open.

A file that was quiet for a while is let go of, so that ten thousand files need the descriptors of a hundred. What is
remembered is its size and time of change, so that the next look sees that it changed, and its chain of streams, so that
nobody has to be asked which they are. That it is stored as remembered is proved when it is opened again; where the
collector may have forgotten it (it was restored, or is another one), its list of streams tells.

Left to others: looking at files, opening them (``files``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from logship.ship.chain import present
from logship.ship.copies import Key
from logship.ship.globs import Place
from logship.ship.identity import Evidence, Known


@dataclass(slots=True)
class Rest:
    """A file at rest. ``stored`` is the end of its present stream; ``closed``: it was over.

    ``known`` is None where who it is must be asked again: of a plain server's checkpoints.
    """

    size: int
    changed_ns: int
    place: Place
    evidence: Evidence
    known: Known | None
    stored: int
    closed: bool

    def is_as_it_was(self, size: int, changed_ns: int, place: Place) -> bool:
        """Whether there is nothing to do about it. One that was renamed away is to be closed."""
        return (size, changed_ns) == (self.size, self.changed_ns) and (
            self.closed or place.rotated == self.place.rotated
        )


class Resting:
    """All of them."""

    def __init__(self) -> None:
        self.doubted = False  # whether they are stored is to be asked
        self._files: dict[Key, Rest] = {}
        self._late: set[Key] = set()  # put since the list was asked for

    def __bool__(self) -> bool:
        return bool(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def get(self, key: Key) -> Rest | None:
        """The file, if it is at rest."""
        return self._files.get(key)

    def put(self, key: Key, rest: Rest) -> None:
        """It rests from now on."""
        self._files[key] = rest
        self._late.add(key)

    def pop(self, key: Key) -> Rest | None:
        """It does not, any more."""
        return self._files.pop(key, None)

    def keep(self, seen: Mapping[Key, Place]) -> None:
        """Forget those that have no pattern's name any more."""
        for key in [key for key in self._files if key not in seen]:
            del self._files[key]

    def ids(self) -> Iterable[str]:
        """The names of their streams."""
        return [rest.known.id for rest in self._files.values() if rest.known is not None]

    def evidence(self) -> Iterator[Evidence]:
        """What tells them from others."""
        return (rest.evidence for rest in self._files.values())

    def originals(self) -> Iterator[tuple[str, Evidence]]:
        """Those that are written to, by family."""
        return ((rest.place.family, rest.evidence) for rest in self._files.values() if not rest.place.rotated)

    def asked(self) -> None:
        """The list is asked for."""
        self._late = set()

    def listed(self, known: Mapping[str, Known]) -> None:
        """The collector has these streams. Files of which it does not have all are found anew.

        Those that came to rest since the list was asked for may be in it or not.
        """
        self.doubted = False
        for key, rest in [each for each in self._files.items() if each[0] not in self._late]:
            there = None if rest.known is None else known.get(rest.known.id)
            last = None if rest.known is None else present(rest.known.links)
            if there is None or last is None or there.sizes.get(last.path) != rest.stored:
                del self._files[key]
