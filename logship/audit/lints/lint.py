"""Core: what a lint is, what it is told of the surroundings, and what it answers.

A lint looks at one parsed configuration and names each place that loses lines or breaks, with the text to write there.
Its ``why`` is one sentence from what was measured (docs/doctor.md holds them all, and a test holds the two together).
What is written there, written, makes the finding go away: tests apply it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

DOCKER_GRACE_SECONDS = 10.0
"""What the engine waits between SIGTERM and SIGKILL where nobody says otherwise."""

Subject = TypeVar("Subject")


class Severity(Enum):
    """``LOSS``: lines are lost, cut or hidden. ``RISK``: something breaks, or a loss could not be seen."""

    LOSS = "loss"
    RISK = "risk"


class Deed(Enum):
    """What to do with the line: put the text in its place, add the text below it, or take it away."""

    REPLACE = "replace"
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file, from 1; 0 where the finding is about the file or the thing as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Flaw:
    """What a lint found: where, what is wrong there, and what to write."""

    place: Place
    what: str
    deed: Deed
    write: str = ""


@dataclass(frozen=True)
class Finding:
    """A flaw with the lint that found it."""

    place: Place
    lint: str
    severity: Severity
    what: str
    why: str
    deed: Deed
    write: str


@dataclass(frozen=True)
class Conditions:
    """What lints are told beyond the files. None: not known, and what depends on it is not looked at.

    ``rate_bytes``: what one source writes a second. ``grace_seconds``: the engine's stop_grace_period.
    ``composed``: a compose file is among the files, and says itself how long the engine waits.
    ``environment``: what variables in the files stand for. ``cpus``, ``nofile`` (hard limit): of the container.
    """

    outage_seconds: float = 3600.0
    rate_bytes: float | None = None
    grace_seconds: float | None = None
    composed: bool = False
    environment: Mapping[str, str] | None = None
    cpus: int | None = None
    nofile: int | None = None


Look = Callable[[Subject, Conditions], Iterable[Flaw]]


@dataclass(frozen=True)
class Lint(Generic[Subject]):
    """One trap. ``id`` is stable: people write it into ``doctor: allow`` comments."""

    id: str
    severity: Severity
    title: str
    why: str
    look: Look[Subject]

    def findings(self, subject: Subject, conditions: Conditions) -> Iterable[Finding]:
        """Every place of ``subject`` that has this trap."""
        for flaw in self.look(subject, conditions):
            yield Finding(flaw.place, self.id, self.severity, flaw.what, self.why, flaw.deed, flaw.write)


def lint(name: str, severity: Severity, title: str, why: str) -> Callable[[Look[Subject]], Lint[Subject]]:
    """Make a Lint of the function that looks."""
    return lambda look: Lint(name, severity, title, why, look)


def span(seconds: float) -> str:
    """A time for people: ``90 s``, ``15 min``, ``36 h``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def size(count: float) -> str:
    """A size for people, in units of 1024: ``50 MiB``."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"


def budget(count: float) -> int:
    """A round number of bytes that holds ``count``: the next multiple of a mebibyte."""
    return -(-int(count) // 1048576) * 1048576
