"""Core: a text with its name, its lines, and the allowances written into it.

``# doctor: allow LINT reason`` (or behind ``;``) takes a finding back: on its own line for the next line that is no
comment, behind a setting for that line; ``allow-in-file`` for every line. It needs a reason, because the next reader
will ask for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from logship.audit.lints.lint import Place

TEXT_BYTES_MAX = 4 * 1024 * 1024
REASON_LETTERS_MIN = 3
EVERY = -1

_COMMENT = re.compile(r"^\s*[#;]")
_ALLOW = re.compile(r"(?:^|\s)[#;]+\s*doctor:\s*allow(-in-file)?(?![\w-])[ \t]*([a-z0-9-]*)[ \t]*(.*)$")


class Unreadable(Exception):
    """A text that the reader of its kind does not understand: where, and why."""

    def __init__(self, place: Place, cause: str) -> None:
        super().__init__(place, cause)
        self.place = place
        self.cause = cause


@dataclass(frozen=True)
class Allowance:
    """One comment: where it stands, the line it is about (or EVERY), the lint it names and why (either may be "")."""

    place: Place
    line: int
    lint: str
    reason: str

    @property
    def reasoned(self) -> bool:
        """Whether it says why."""
        return sum(char.isalpha() for char in self.reason) >= REASON_LETTERS_MIN


@dataclass(frozen=True)
class Source:
    """A file's name as people gave it, and its text."""

    name: str
    text: str
    allowances: tuple[Allowance, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowances", tuple(self._allowances()))

    def place(self, line: int) -> Place:
        """A line of this file."""
        return Place(self.name, line)

    def line(self, number: int) -> str:
        """The line as it stands, without its end; "" where there is none."""
        lines = self.lines()
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def lines(self) -> list[str]:
        """All lines. Only newlines end them: a form feed in a value is no end."""
        lines = self.text.split("\n")
        return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]

    def allows(self, lint: str, line: int) -> bool:
        """Whether somebody wrote, with a reason, that this lint may find this line."""
        return any(item.lint == lint and item.line in (line, EVERY) and item.reasoned for item in self.allowances)

    def _allowances(self) -> Iterator[Allowance]:
        waiting: list[tuple[int, str, str]] = []
        for number, line in enumerate(self.lines(), 1):
            found = _ALLOW.search(line)
            alone = bool(_COMMENT.match(line))
            if found and found[1]:
                yield Allowance(self.place(number), EVERY, found[2], found[3].strip())
            elif found:
                waiting.append((number, found[2], found[3].strip()))
            if waiting and not alone and line.strip():
                yield from (Allowance(self.place(at), number, lint, reason) for at, lint, reason in waiting)
                waiting = []
        yield from (Allowance(self.place(at), 0, lint, reason) for at, lint, reason in waiting)
