"""Core: a logrotate configuration with the line of every directive, and what each block inherits.

Directives before a block hold for it unless it says otherwise (logrotate.conf(5)); scripts are kept whole. What the
directives mean for a reader of the files is left to the lints.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from logship.audit.lints.lint import Place
from logship.audit.lints.source import Source, Unreadable

SCRIPTS = ("prerotate", "postrotate", "firstaction", "lastaction", "preremove")
PERIODS = {"hourly": 3600.0, "daily": 86400.0, "weekly": 7 * 86400.0, "monthly": 28 * 86400.0, "yearly": 365 * 86400.0}
_OPPOSITES = {
    "copytruncate": "nocopytruncate", "copy": "nocopy", "compress": "nocompress", "delaycompress": "nodelaycompress",
    "create": "nocreate", "olddir": "noolddir", "sharedscripts": "nosharedscripts",
}  # fmt: skip

_COMMON = frozenset(
    (*PERIODS, *_OPPOSITES, *_OPPOSITES.values(), "rotate", "include", "dateext", "missingok", "notifempty", "su",
     "size", "maxsize", "minsize", "maxage", "tabooext")
)  # fmt: skip
"""What stands before blocks, or alone in a file that is included."""


@dataclass(frozen=True)
class Directive:
    """``name argument``; of a script the argument is its text."""

    name: str
    argument: str
    place: Place
    raw: str


@dataclass(frozen=True)
class Block:
    """``PATHS { ... }``: its own directives and those it inherits, in the order of the file."""

    paths: tuple[str, ...]
    place: Place
    inherited: tuple[Directive, ...]
    own: list[Directive] = field(default_factory=list)

    def last(self, *names: str) -> Directive | None:
        """The directive of these names that counts, own ones before inherited ones."""
        found = [item for item in (*self.inherited, *self.own) if item.name in names]
        return found[-1] if found else None

    def on(self, name: str) -> Directive | None:
        """The directive that turns this on, unless its opposite came later."""
        found = self.last(name, _OPPOSITES.get(name, ""))
        return found if found and found.name == name else None

    @property
    def title(self) -> str:
        """Its paths, as people wrote them."""
        return " ".join(self.paths)


class Logrotate:
    """A configuration: its blocks."""

    def __init__(self, sources: Iterable[Source]) -> None:
        """A file and what it includes, in order. Raises Unreadable for a block or script that does not end."""
        self.blocks: list[Block] = []
        self._common: list[Directive] = []
        for source in sources:
            self._read(source)

    @property
    def known(self) -> bool:
        """Whether anything of logrotate stands in it."""
        return bool(self.blocks) or any(item.name in _COMMON for item in self._common)

    def _read(self, source: Source) -> None:
        common = self._common
        block: Block | None = None
        paths: list[str] = []
        lines = iter(enumerate(source.lines(), 1))
        for number, raw in lines:
            text, place = raw.strip(), source.place(number)
            if not text or text.startswith("#"):
                continue
            if block is not None and text.startswith("}"):
                block = None
            elif block is None and (text.endswith("{") or text.startswith(("/", '"', "'"))):
                paths += _words(text.removesuffix("{"))
                if text.endswith("{"):
                    block = Block(tuple(paths), place, tuple(common))
                    self.blocks.append(block)
                    paths = []
            else:
                name, _, argument = re.sub(r"\s*=\s*|\s+", " ", text, count=1).partition(" ")
                if name in SCRIPTS:
                    argument = "\n".join(_script(lines, place))
                (common if block is None else block.own).append(Directive(name, argument.strip(), place, raw))
        if block is not None:
            raise Unreadable(block.place, "the block is not closed by }")


def _script(lines: Iterator[tuple[int, str]], place: Place) -> Iterator[str]:
    for _, raw in lines:
        if raw.strip() == "endscript":
            return
        yield raw.strip()
    raise Unreadable(place, "the script is not closed by endscript")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def byte_size(text: str) -> int | None:
    """``100M`` in bytes; None where it is no size."""
    found = re.fullmatch(r"([0-9]{1,15})([kMG]?)", text)
    return int(found[1]) * 1024 ** (" kMG".index(found[2]) if found[2] else 0) if found else None
