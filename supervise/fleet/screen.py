"""Standard output of a command, and whether a person looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, TextIO


@dataclass(frozen=True)
class Screen:
    """Where data goes, and whether a person looks at it."""

    out: TextIO
    terminal: bool = False
    colour: bool = False

    @property
    def bytes_out(self) -> BinaryIO:
        return self.out.buffer

    def say(self, lines: Sequence[str]) -> None:
        """Print lines."""
        self.out.writelines(f"{line}\n" for line in lines)
        self.out.flush()
