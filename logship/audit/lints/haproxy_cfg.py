"""Core: a haproxy.cfg with the line of every setting: words, sections, what a proxy inherits, where its lines go.

Quotes, escapes and comments are HAProxy's own (configuration manual 2.2); the checks of settings are HAProxy's, too
(``haproxy -c``): an unknown section or word is passed over here. What the settings mean for log lines is left to the
lints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from logship.audit.lints.lint import Place
from logship.audit.lints.source import Source, Unreadable

SECTIONS = frozenset(
    {
        "global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "mailers", "userlist", "ring",
        "log-forward", "http-errors", "cache", "program", "fcgi-app", "crt-store", "log-profile", "traces", "acme",
        "dynamic-update", "namespace_list",
    }
)  # fmt: skip
PROXIES = ("frontend", "listen")
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
ACCESS_LEVEL = "info"
DEFAULT_LEN = 1024

PIPE, RING, LOG_BACKEND, UNIX, UDP, TCP, UNKNOWN = "pipe", "ring", "log backend", "unix socket", "UDP", "TCP", "unknown"
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)[^}]*\}|(?P<plain>[A-Za-z_][A-Za-z0-9_]*))")


@dataclass(frozen=True)
class Line:
    """One setting: its words without quotes, where it stands, the line as written."""

    words: tuple[str, ...]
    place: Place
    raw: str

    def starts(self, *words: str) -> bool:
        """Whether it begins with these words."""
        return self.words[: len(words)] == words


@dataclass(frozen=True)
class Target:
    """A ``log`` line with an address: where lines go, how long they may be, which of them go at all."""

    line: Line
    address: str
    kind: str
    len_max: int
    sample: str
    level: str

    @property
    def hides(self) -> bool:
        """Whether its level is one at which no request's line is written."""
        return self.level in LEVELS and LEVELS.index(self.level) < LEVELS.index(ACCESS_LEVEL)

    def with_option(self, name: str, value: str) -> str:
        """The line with an option after its address, in the place of the one it had."""
        words = list(self.line.words)
        if name in words[2:]:
            at = words.index(name, 2)
            words[at : at + 2] = [name, value]
        else:
            words[2:2] = [name, value]
        return indented(self.line, " ".join(words))


@dataclass(frozen=True)
class Section:
    """``frontend NAME`` and its lines; ``parent`` is the defaults section that it inherits."""

    kind: str
    name: str
    head: Line
    parent: Section | None
    lines: list[Line] = field(default_factory=list)

    def find(self, *words: str) -> Iterator[Line]:
        """The lines that begin with these words."""
        return (line for line in self.lines if line.starts(*words))

    def last(self, *words: str) -> Line | None:
        """The last such line: the one that counts."""
        return next(iter(list(self.find(*words))[::-1]), None)

    def chain(self) -> Iterator[Section]:
        """This section, then what it inherits, the nearest first."""
        section: Section | None = self
        while section:
            yield section
            section = section.parent

    def inherited(self, *words: str) -> Line | None:
        """The line that counts, of this section or of the defaults."""
        return next((line for line in (section.last(*words) for section in self.chain()) if line), None)

    def option(self, name: str) -> Line | None:
        """``option NAME`` where it is on: said here or in the defaults, and not taken back nearer."""
        for section in self.chain():
            said = [line for line in section.lines if line.starts("option", name) or line.starts("no", "option", name)]
            if said:
                return said[-1] if said[-1].words[0] == "option" else None
        return None

    @property
    def mode(self) -> str:
        """tcp, http or log; HAProxy's default is tcp."""
        line = self.inherited("mode")
        return line.words[1] if line and len(line.words) > 1 else "tcp"

    @property
    def title(self) -> str:
        """As people call it: ``frontend http``."""
        return f"{self.kind} {self.name}".strip()


class Haproxy:
    """A configuration."""

    def __init__(self, source: Source, environment: Mapping[str, str] | None = None) -> None:
        """Raises Unreadable for a quote that is not closed."""
        self.source = source
        self.sections: list[Section] = []
        self._environment = environment
        defaults: Section | None = None
        for number, raw in enumerate(source.lines(), 1):
            words = split(raw, source.place(number))
            if not words:
                continue
            line = Line(tuple(words), source.place(number), raw)
            if words[0] in SECTIONS:
                kind = words[0]
                parent = self._from(words, defaults) if kind in (*PROXIES, "backend", "defaults") else None
                section = Section(kind, words[1] if len(words) > 1 and words[1] != "from" else "", line, parent)
                defaults = section if kind == "defaults" else defaults
                self.sections.append(section)
            elif self.sections:
                self.sections[-1].lines.append(line)

    def _from(self, words: list[str], defaults: Section | None) -> Section | None:
        if "from" in words[1:-1]:
            name = words[words.index("from", 1) + 1]
            return next((one for one in self.all("defaults") if one.name == name), None)
        return None if words[0] == "defaults" else defaults

    def all(self, *kinds: str) -> list[Section]:
        """The sections of these kinds, in the order of the file."""
        return [section for section in self.sections if section.kind in kinds]

    @property
    def globals(self) -> Section | None:
        """The global section, or None; the first where there are several."""
        return next(iter(self.all("global")), None)

    @property
    def whole(self) -> bool:
        """Whether the file can stand alone; one of several given to HAProxy together lacks what others say."""
        return bool(self.all("global", "defaults"))

    def global_line(self, *words: str) -> Line | None:
        """The line of the global sections that counts."""
        found = [line for section in self.all("global") for line in section.find(*words)]
        return found[-1] if found else None

    def targets(self) -> list[Target]:
        """Every ``log`` line with an address, in the order of the file."""
        found = [
            self._target(line)
            for section in self.sections
            if section.kind in ("global", "defaults", "backend", "log-forward", *PROXIES)
            for line in section.find("log")
        ]
        return [target for target in found if target]

    def targets_of(self, proxy: Section) -> list[Target]:
        """Where the lines of a proxy go, inherited and global ones included."""
        found: list[Target] = []
        for section in reversed(list(proxy.chain())):
            for line in section.lines:
                if line.starts("no", "log"):
                    found = []
                elif line.starts("log", "global"):
                    found += [t for one in self.all("global") for t in map(self._target, one.find("log")) if t]
                elif line.starts("log"):
                    found += [target for target in [self._target(line)] if target]
        return found

    def users_of(self, target: Target) -> list[Section]:
        """The frontends and listens whose lines go there."""
        return [proxy for proxy in self.all(*PROXIES) if target in self.targets_of(proxy)]

    def _target(self, line: Line) -> Target | None:
        if len(line.words) < 2 or line.words[1] == "global":
            return None
        options: dict[str, str] = {}
        rest = list(line.words[2:])
        while len(rest) > 1 and rest[0] in ("len", "format", "sample", "profile"):
            options[rest[0]] = rest[1]
            rest = rest[2:]
        length = options.get("len", "")
        level = rest[1] if len(rest) > 1 else "debug"
        address = self.known(line.words[1])
        count = int(length) if length.isdigit() and len(length) < 9 else DEFAULT_LEN
        return Target(line, address, kind_of(address), count, options.get("sample", ""), level)

    def known(self, text: str) -> str:
        """The text with the environment's variables, where they are known."""
        values = self._environment or {}
        return _VARIABLE.sub(lambda found: values.get(found["braced"] or found["plain"], found[0]), text)


def kind_of(address: str) -> str:
    """What stands behind the address of a ``log`` line."""
    scheme, at, _ = address.partition("@")
    if "$" in address:
        return UNKNOWN
    if address in ("stdout", "stderr") or (at and scheme == "fd"):
        return PIPE
    if at and scheme in ("ring", "backend"):
        return RING if scheme == "ring" else LOG_BACKEND
    if at and (scheme.startswith(("tcp", "stream", "quic")) or scheme == "uxst"):
        return TCP
    if address.startswith("/") or (
        at and scheme.removeprefix("dgram+") in ("unix", "uxdg", "abns", "abnsz", "sockpair")
    ):
        return UNIX
    return UDP


def split(raw: str, place: Place) -> list[str]:
    """The words of a line. Raises Unreadable for a quote that is not closed."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    at = 0
    while at < len(raw):
        char = raw[at]
        if quote != "'" and char == "\\" and at + 1 < len(raw):
            at += 1
            escaped = raw[at]
            plain = escaped in " #\\'\"" if not quote else escaped in '\\"$'
            word = (word or "") + (escaped if plain else char + escaped)
        elif quote:
            if char == quote:
                quote = ""
            else:
                word = (word or "") + char
        elif char in "\"'":
            quote, word = char, word or ""
        elif char == "#":
            break
        elif char.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + char
        at += 1
    if quote:
        raise Unreadable(place, f"the quote {quote} is not closed")
    return [*words, word] if word is not None else words


def indented(line: Line, text: str) -> str:
    """The text with the indentation of a line; of a section's head: with four spaces."""
    spaces = line.raw[: len(line.raw) - len(line.raw.lstrip())]
    return (("    " if line.words[0] in SECTIONS and not spaces else spaces) or "") + text
