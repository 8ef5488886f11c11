"""What stands for ``set`` where the members of one are gone through: in the order they came, not in that of memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from typing import Any

from uvicorn.server import ServerState


class Ordered(MutableSet[Any]):
    """A set whose order is that of its history, so that a world does not depend on addresses and seeds of hashes."""

    def __init__(self, members: Iterable[Any] = ()) -> None:
        self._members = dict.fromkeys(members)

    def __contains__(self, member: object) -> bool:
        return member in self._members

    def __iter__(self) -> Iterator[Any]:
        return iter([*self._members])

    def __len__(self) -> int:
        return len(self._members)

    def add(self, value: Any) -> None:
        self._members[value] = None

    def discard(self, value: Any) -> None:
        self._members.pop(value, None)


class OrderedState(ServerState):
    """What uvicorn's protocol counts in: connections and tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = Ordered()  # type: ignore[assignment]  # as good as a set
        self.tasks = Ordered()  # type: ignore[assignment]
