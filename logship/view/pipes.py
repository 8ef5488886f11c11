"""Core: what is made of the lines that a query finds: the part behind its ``|``, as values, and how words become them.

The grammar stands in language.lark, together with that of the query before the pipe. Left to others: what a pipe does
with lines (``pipes_result``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lark import Token, Transformer

from logship.view.fields import FIELDS, JSON, Sort

COUNT, RATE, MEASURE, TOP, PATTERNS, HAPROXY = "count", "rate", "measure", "top", "patterns", "haproxy"
WORDS = ("count", "rate", "top", "patterns", "haproxy", "p50", "p99", "min", "max", "avg", "sum")
FORMS = {
    "class": "of the status: 2xx, 4xx",
    "pair": "of the state of a HAProxy line: its first two letters",
    "bare": "of the path: what stands before its ?",
    "shape": "of a text: numbers, ids, addresses and quoted values masked",
}
"""What may stand behind a field that is grouped by, with a colon between."""
KEYS_MAX = 4
MEASURES_MAX = 8
LIMIT_DEFAULT, LIMIT_MAX = 10, 1000
PATTERNS_DEFAULT = 50
SPAN_MS_MAX = 366 * 24 * 3600 * 1000
_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Key:
    """What lines are grouped by: a field, or a ``form`` of it, one of FORMS."""

    field: str
    form: str = ""

    @property
    def name(self) -> str:
        """As it is written: ``status:class``."""
        return f"{self.field}:{self.form}" if self.form else self.field


@dataclass(frozen=True, slots=True)
class Pipe:
    """What is made of lines. ``span_ms``: of each span of time on its own. ``limit``: so many rows at most."""

    kind: str
    by: tuple[Key, ...] = ()
    span_ms: int | None = None
    field: str | None = None
    measures: tuple[str, ...] = ()
    limit: int | None = None

    @property
    def needs_time(self) -> bool:
        """Whether it matters when a line was written."""
        return self.span_ms is not None or self.kind == PATTERNS


class Wrong(Exception):
    """A part that the grammar takes and that means nothing; ``at`` is its place."""

    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


def start_of(token: Any) -> int:
    """Where a token begins."""
    return int(getattr(token, "start_pos", 0) or 0)


def per_thousand(measure: str) -> Fraction | None:
    """The share of ``p99.9`` as a fraction of 1; None for what is no percentile."""
    return Fraction(measure[1:]) / 100 if measure[0] == "p" else None


def unknown_field(name: str) -> str:
    """What to say of a field that is not known."""
    near = difflib.get_close_matches(name, [*FIELDS], 1)
    hint = f"did you mean {near[0]}?" if near else f"a key of JSON lines is {JSON}{name}"
    return f"no field is called {name}; {hint}"


class PipeBuilder(Transformer[Token, Any]):
    """Tokens behind the pipe -> a Pipe, each name checked."""

    def count(self, parts: list[Any]) -> Pipe:
        return Pipe(COUNT, _by(parts), _span(parts))

    def rate(self, parts: list[Any]) -> Pipe:
        return Pipe(RATE, _by(parts), _span(parts))

    def measure(self, parts: list[Any]) -> Pipe:
        tokens = [part for part in parts if isinstance(part, Token) and part.type == "MEASURE"]
        names = [str(token).lower() for token in tokens]
        for at, (token, name) in enumerate(zip(tokens, names, strict=True)):
            if name in names[:at]:
                raise Wrong(f"{name} is asked for twice", start_of(token))
            share = per_thousand(name)
            if share is not None and share > 1:
                raise Wrong(f"{name} is no percentile: p0 to p100", start_of(token))
        if len(names) > MEASURES_MAX:
            raise Wrong(f"more than {MEASURES_MAX} measures", start_of(tokens[MEASURES_MAX]))
        token = next(part for part in parts if isinstance(part, Token) and part.type == "GROUP")
        key = _key(token)
        sort = FIELDS[key.field].sort if key.field in FIELDS else Sort.ANY
        if key.form or sort in (Sort.TEXT, Sort.LEVEL):
            raise Wrong(f"{names[0]} wants a number, as t_total or bytes; {key.name} is a text", start_of(token))
        return Pipe(MEASURE, _by(parts), _span(parts), key.field, tuple(names))

    def top(self, parts: list[Any]) -> Pipe:
        tokens = [part for part in parts if part.type == "GROUP"]
        return Pipe(TOP, _keys(tokens), limit=_limit(parts, LIMIT_DEFAULT))

    def patterns(self, parts: list[Any]) -> Pipe:
        return Pipe(PATTERNS, limit=_limit(parts, PATTERNS_DEFAULT))

    def haproxy(self, parts: list[Any]) -> Pipe:
        return Pipe(HAPROXY, _by(parts))

    def by(self, tokens: list[Any]) -> tuple[Key, ...]:
        return _keys(tokens)


def _by(parts: list[Any]) -> tuple[Key, ...]:
    return next((part for part in parts if isinstance(part, tuple)), ())


def _of_type(parts: list[Any], kind: str) -> Token | None:
    return next((part for part in parts if isinstance(part, Token) and part.type == kind), None)


def _span(parts: list[Any]) -> int | None:
    token = _of_type(parts, "SPAN")
    if token is None:
        return None
    span_ms = int(token[:-1]) * _UNITS_MS[token[-1]]
    if not 0 < span_ms <= SPAN_MS_MAX:
        raise Wrong("a span of time is one from 1s to 366d", start_of(token))
    return span_ms


def _limit(parts: list[Any], default: int) -> int:
    token = _of_type(parts, "LIMIT")
    if token is None:
        return default
    if not 0 < int(token) <= LIMIT_MAX:
        raise Wrong(f"a number of rows is one from 1 to {LIMIT_MAX:,}", start_of(token))
    return int(token)


def _keys(tokens: list[Token]) -> tuple[Key, ...]:
    if len(tokens) > KEYS_MAX:
        raise Wrong(f"more than {KEYS_MAX} fields to group by", start_of(tokens[KEYS_MAX]))
    found: list[Key] = []
    for token in tokens:
        key = _key(token)
        if key in found:
            raise Wrong(f"{key.name} stands here twice", start_of(token))
        found.append(key)
    return tuple(found)


def _key(token: Token) -> Key:
    name, colon, form = str(token).partition(":")
    if name not in FIELDS and not name.startswith(JSON):
        raise Wrong(unknown_field(name), start_of(token))
    key = Key(str(name), form.lower())
    if colon and key not in [Key(name, one) for one in forms_of(name)]:
        known = " or ".join(f"{name}:{one}" for one in forms_of(name))
        raise Wrong(f"{token} is no way to group" + (f"; {known} is" if known else ""), start_of(token))
    return key


def forms_of(name: str) -> list[str]:
    """The forms that a field can be grouped by."""
    field = FIELDS.get(name)
    found = ["class"] if name == "status" else []
    found += ["bare"] if name == "path" else ["pair"] if name == "state" else []
    return found + (["shape"] if field is None or field.sort is Sort.TEXT else [])


def misunderstood(text: str, at: int) -> str | None:
    """What to say where a part behind the pipe is not understood; None where ``at`` is not behind one."""
    before = text[:at].rpartition("|")
    if not before[1] or not _is_pipe(text, len(before[0])):
        return None
    said = before[2].split()
    word = "".join(_word(text[at:]))
    if word.startswith("|"):
        return "there is one pipe in a query"
    if not said:
        near = difflib.get_close_matches(word.lower(), WORDS, 1)
        known = "behind a pipe stands count, rate, top, patterns, haproxy, or one of p50 p99 min max avg sum"
        return f"did you mean {near[0]}? {known}" if near else known
    if not word:
        return "something is missing at the end"
    if said[-1].lower() == "by" or said[-1].endswith(",") or said[0].lower() == "top":
        return "the name of a field stands here, as server, status:class or json.KEY"
    if "by" in map(str.lower, said):
        return "between two fields stands a comma"
    if said[0].lower() == "rate" and len(said) == 1:
        return "rate wants a span of time first, as 1m"
    if said[0].lower() == "haproxy":
        return "here stands by and the names of fields"
    if said[0].lower() in ("count", "rate", "patterns") or len(said) > 1:
        return "here stands a span of time, as 1m, or by and the names of fields"
    return "the name of a field that is a number stands here, as t_total"


def _is_pipe(text: str, at: int) -> bool:
    """Whether the sign begins a word outside of quotes."""
    return text[:at].count('"') % 2 == 0 and (at == 0 or text[at - 1] in " \t\r\n()")


def _word(text: str) -> Iterator[str]:
    for character in text:
        if character.isspace() or character == ",":
            return
        yield character
