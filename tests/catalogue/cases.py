"""The catalogue of what may happen to a log line on its way: cases.toml, read and held to its rules."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).resolve().parent / "cases.toml"
CASES_MAX = 134
HALVES = {
    "capture": "bytes are taken before their source destroys them",
    "delivery": "what was taken is at the collector, once, in order, byte for byte",
    "recovery": "the same after a crash, a restart, a wipe",
    "reading": "what is stored is what people see",
    "operation": "set-up, limits and control do no harm",
}
KEYS = {"number", "title", "promise", "half", "peers", "later", "reason", "not_kept", "residual"}


@dataclass(frozen=True)
class Case:
    """One case. `later` names the issue it waits for, `reason` why it is none of ours, `not_kept` what does not hold.

    A case has tests or one of the three; with `not_kept` it may have both. `residual` says what is left over even so.
    """

    number: int
    title: str
    promise: str
    half: str
    group: str
    peers: str = ""
    later: str = ""
    reason: str = ""
    not_kept: str = ""
    residual: str = ""

    @property
    def excused(self) -> bool:
        """Whether it may stand here without a test."""
        return bool(self.later or self.reason or self.not_kept)


def read(text: str) -> tuple[Case, ...]:
    """All cases in the order of their numbers. A broken rule is an AssertionError that names the case."""
    cases = [_case(entry, group["title"]) for group in tomllib.loads(text)["groups"] for entry in group["cases"]]
    assert [case.number for case in cases] == list(range(1, CASES_MAX + 1)), "numbers are 1 to 134, each once, in order"
    return tuple(cases)


def _case(entry: Mapping[str, object], group: str) -> Case:
    number = entry.get("number")
    assert isinstance(number, int), f"a case without a number: {entry}"
    assert not set(entry) - KEYS, f"case {number}: no key is called {sorted(set(entry) - KEYS)}"
    texts = {key: value for key, value in entry.items() if key != "number"}
    assert all(isinstance(value, str) and value.strip() for value in texts.values()), f"case {number}: an empty text"
    case = Case(number=number, group=group, **{key: str(value) for key, value in texts.items()})
    assert case.half in HALVES, f"case {number}: half is one of {', '.join(HALVES)}"
    assert bool(case.later) + bool(case.reason) + bool(case.not_kept) < 2, f"case {number}: more than one excuse"
    assert not case.later or case.later.startswith("issue: "), f"case {number}: later names an issue"
    return case


def load() -> tuple[Case, ...]:
    """The catalogue of this tree."""
    return read(FILE.read_text(encoding="utf-8"))


def numbers() -> frozenset[int]:
    """The numbers there are."""
    return frozenset(range(1, CASES_MAX + 1))
