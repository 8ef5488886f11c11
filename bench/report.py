"""What every part of `make bench-ship` is given and gives back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import wait_for_quiet
from bench.table import table


@dataclass(frozen=True)
class Options:
    """``rounds`` and ``mib`` are 0 where the part itself knows best; ``folder`` is for what is made and removed."""

    folder: Path
    cache: Path
    quick: bool = False
    rounds: int = 0
    mib: int = 0
    backlog_mib: int = 0
    patience: float = 0.0

    def begin_round(self) -> None:
        """Wait for a quiet machine, as long as was said."""
        wait_for_quiet(self.patience)

    def say(self, text: str) -> None:
        """How far it is."""
        print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Report:
    """A part's table, and each target it missed, in a sentence. ``reached``: what is said when none is."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    missed: Sequence[str]
    reached: str
    notes: Sequence[str] = field(default=())

    def text(self) -> str:
        """Markdown."""
        verdict = [f"MISSED: {sentence}." for sentence in self.missed] or [f"Reached: {self.reached}."]
        return "\n".join([f"### {self.title}", "", table(self.head, self.rows), "", *self.notes, *verdict, ""])
