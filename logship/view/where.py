"""Core: the tree of a query -> a test of a stream's lines.

What the stream alone decides is decided once (``Where.of``): a stream in which no line can match is not read at all.
A line is taken apart once, and only when a field of it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import regex

from logship.view.fields import FIELDS, LEVELS, Fields, Sort, as_number, as_text, number, of_line
from logship.view.language import Comparison, Either, Every, Match, Node, Not, Phrase, Plain, Word, span
from logship.view.select import Identity, Pattern


class Subject:
    """One line: its text and fields, when somebody asks."""

    __slots__ = ("_fields", "_kind", "data")

    def __init__(self, kind: str, data: bytes) -> None:
        self.data = data
        self._kind = kind
        self._fields: Fields | None = None

    @property
    def text(self) -> str:
        """Its text, whatever its bytes are."""
        return self.data.decode("utf-8", "replace")

    @property
    def fields(self) -> Fields:
        """See ``fields.of_line``."""
        if self._fields is None:
            self._fields = of_line(self._kind, self.text)
        return self._fields

    def get(self, name: str) -> Any:
        """The value of a field, None without one; of an empty name the whole text."""
        if not name:
            return self.text
        fields = self._fields
        return (self.fields if fields is None else fields).get(name)


Test = Callable[[Subject], bool] | bool
"""A test of a line; True or False where the stream decides it."""


@dataclass(frozen=True, slots=True)
class Where:
    """A query, for any stream."""

    node: Node

    def of(self, identity: Identity) -> Callable[[bytes], bool] | bool:
        """The test of a stream's lines: True or False when it is the same for all of them. It raises Slow."""
        test = self.test(identity)
        if isinstance(test, bool):
            return test
        return lambda data: test(Subject(identity.kind, data))

    def test(self, identity: Identity) -> Test:
        """The same of lines that somebody else takes apart as well."""
        return _test(self.node, identity)


def _test(node: Node, identity: Identity) -> Test:
    if isinstance(node, Not):
        inner = _test(node.part, identity)
        return not inner if isinstance(inner, bool) else lambda line: not inner(line)
    if isinstance(node, Every | Either):
        return _joined(node, identity)
    if isinstance(node, Word):
        return _finds(_word(node.text))
    if isinstance(node, Phrase):
        return _finds(_pattern(node.text, regex.escape(node.text)))
    if isinstance(node, Match):
        pattern = node.pattern
        return lambda line: pattern.finds(line.data)
    return _comparison(node, identity)


def _joined(node: Every | Either, identity: Identity) -> Test:
    """The parts that are decided go, or decide it all."""
    decides = isinstance(node, Either)
    tests = []
    for part in node.parts:
        test = _test(part, identity)
        if test is decides:
            return decides
        if not isinstance(test, bool):
            tests.append(test)
    if not tests:
        return not decides
    if len(tests) == 1:
        return tests[0]
    if decides:
        return lambda line: any(test(line) for test in tests)
    return lambda line: all(test(line) for test in tests)


def _finds(pattern: Pattern) -> Test:
    return lambda line: pattern.finds(line.data)


def _word(text: str) -> Pattern:
    """A word is whole where no letter, digit or _ stands beside it."""
    inner = r"\w*".join(regex.escape(part) for part in re.split(r"\*+", text))
    before = r"(?<!\w)" if text[0].isalnum() or text[0] == "_" else ""
    after = r"(?!\w)" if text[-1].isalnum() or text[-1] == "_" else ""
    return _pattern(text, f"{before}{inner}{after}")


def _pattern(text: str, expression: str) -> Pattern:
    return Pattern(text, None, regex.compile(expression, regex.IGNORECASE))


def _comparison(node: Comparison, identity: Identity) -> Test:
    field = FIELDS.get(node.field)
    sort = Sort.ANY if field is None else field.sort
    matches = _matches(node, sort)
    if field is not None and field.of_stream:
        value = of_stream(node.field, identity)
        return value is not None and matches(value)
    name = node.field

    def test(line: Subject) -> bool:
        value = line.fields.get(name)
        return value is not None and matches(value)

    return test


def of_stream(name: str, identity: Identity) -> str | None:
    """The value of a field that the stream alone decides; None where a foreign stream has none."""
    if name == "src":
        return identity.place
    if name == "stream":
        return identity.path
    return {
        "service": identity.service,
        "instance": identity.instance,
        "program": identity.program,
        "kind": identity.kind,
    }[name]


def _matches(node: Comparison, sort: Sort) -> Callable[[Any], bool]:
    """The test of a value that is there; a line that has not the field matches no comparison at all."""
    value, operator = node.value, node.operator
    if operator == "!=":
        same = _same(value, sort)
        return lambda said: not same(said)
    if operator in (":", "="):
        return _same(value, sort)
    assert isinstance(value, Plain)
    wanted = LEVELS[value.text.lower()] if sort is Sort.LEVEL else number(value.text)
    assert wanted is not None
    return _ordered(operator, wanted, sort)


def _ordered(operator: str, wanted: float, sort: Sort) -> Callable[[Any], bool]:
    """-1 in a timer or status means that there is none: it is not less than anything."""

    def test(said: Any) -> bool:
        found = LEVELS.get(str(said).lower()) if sort is Sort.LEVEL else as_number(said)
        if found is None or (found < 0 <= wanted):
            return False
        if operator == ">":
            return found > wanted
        if operator == ">=":
            return found >= wanted
        return found < wanted if operator == "<" else found <= wanted

    return test


def _same(value: Plain | Phrase | Match, sort: Sort) -> Callable[[Any], bool]:
    if isinstance(value, Match):
        pattern = value.pattern
        return lambda said: pattern.finds(as_text(said).encode("utf-8", "surrogatepass"))
    if isinstance(value, Phrase):
        text = value.text.casefold()
        return lambda said: as_text(said).casefold() == text
    if value.text == "*":
        return lambda _: True
    if sort is Sort.LEVEL:
        level = LEVELS[value.text.lower()]
        return lambda said: LEVELS.get(str(said).lower()) == level
    ends, one = span(value.text), number(value.text)
    if sort is Sort.NUMBER and ends is not None:
        return lambda said: (found := as_number(said)) is not None and ends[0] <= found <= ends[1]
    if sort is Sort.NUMBER:
        return lambda said: as_number(said) == one
    globbed = regex.compile(
        ".*".join(regex.escape(part) for part in re.split(r"\*+", value.text)), regex.IGNORECASE | regex.DOTALL
    )
    pattern = Pattern(value.text, None, globbed)
    return lambda said: pattern.is_all(as_text(said))
