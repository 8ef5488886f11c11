"""Core: what an operator asked for, by server. Input to the policy, so it survives reloads and restarts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from supervise.balance.membership import WEIGHT_MAX, is_name

VERSION = 1

WISHES_MAX = 2000
"""More is a damaged file."""


@dataclass(frozen=True)
class Wishes:
    """``drained`` servers take no new sessions (their own clients may stay); ``weights`` stand above Serf's tags."""

    drained: frozenset[str] = frozenset()
    weights: Mapping[str, int] = field(default_factory=dict)

    def weight(self, name: str, tagged: int) -> int:
        """The weight of a server whose tag says ``tagged``."""
        return 0 if name in self.drained else self.weights.get(name, tagged)

    def drain(self, name: str) -> Wishes:
        """Also drain ``name``."""
        return Wishes(self.drained | {name}, self.weights)

    def weigh(self, name: str, weight: int) -> Wishes:
        """Also give ``name`` this weight; it is drained no more."""
        return Wishes(self.drained - {name}, {**self.weights, name: weight})

    def ready(self, name: str) -> Wishes:
        """Take back everything asked for ``name``."""
        return self.only(({*self.drained, *self.weights}) - {name})

    def only(self, names: Collection[str]) -> Wishes:
        """The wishes for these servers alone."""
        kept = {name: weight for name, weight in self.weights.items() if name in names}
        return Wishes(self.drained & frozenset(names), kept)

    def text(self) -> str:
        """As a file; the same wishes give the same bytes."""
        record = {"v": VERSION, "drain": sorted(self.drained), "weight": dict(sorted(self.weights.items()))}
        return json.dumps(record, indent=1) + "\n"


def read_wishes(text: str) -> Wishes:
    """The Wishes of a file. Raises ValueError that says what is wrong with it."""
    try:
        record = json.loads(text)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if not isinstance(record, dict) or record.get("v") != VERSION:
        raise ValueError(f'it is no object with "v": {VERSION}')
    drain, weight = record.get("drain", []), record.get("weight", {})
    if not isinstance(drain, list) or not isinstance(weight, dict) or len(drain) + len(weight) > WISHES_MAX:
        raise ValueError(f'"drain" is no list, "weight" no object, or there are more than {WISHES_MAX} wishes')
    for name in [*drain, *weight]:
        if not isinstance(name, str) or not is_name(name):
            raise ValueError("a name in it is no server's name")
    for number in weight.values():
        if type(number) is not int or not 0 <= number <= WEIGHT_MAX:
            raise ValueError(f"a weight in it is not a whole number from 0 to {WEIGHT_MAX}")
    return Wishes(frozenset(drain), dict(weight))
