"""Core: the text of a query -> its tree, or what is wrong with it and where.

The grammar stands in language.lark beside this; which fields there are in ``fields``. Left to others: what it means
for a line (``where``).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from lark import Lark, Token
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError

from logship.values import Invalid
from logship.view.fields import FIELDS, JSON, Sort, is_level, number
from logship.view.pipes import Pipe, PipeBuilder, Wrong, misunderstood, start_of
from logship.view.select import Pattern, parse_pattern

CHARACTERS_MAX = 2000
PARTS_MAX = 100
DEPTH_MAX = 50
ORDERS = frozenset({">", ">=", "<", "<="})
_GLUED = re.compile(r"\|(?:count|rate|top|patterns|p\d+|min|max|avg|sum)?$")
_GLUED_SAID = "a pipe wants a space before it; a text with | in it wants quotes"
_TOO_DEEP = f"the query has more than {DEPTH_MAX} parentheses or negations in each other"


@dataclass(frozen=True, slots=True)
class Word:
    """A whole word, whatever its case; ``*`` stands for more of it."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text as it stands, whatever its case."""

    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """A regular expression."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Plain:
    """A value without quotes: a number, a range ``400..499``, a class ``5xx``, a text with ``*`` in it."""

    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field against a value; ``operator`` is one of : = != > >= < <=."""

    field: str
    operator: str
    value: Plain | Phrase | Match


@dataclass(frozen=True, slots=True)
class Not:
    """What its part does not match."""

    part: Node


@dataclass(frozen=True, slots=True)
class Every:
    """What each of its parts matches."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """What one of its parts matches."""

    parts: tuple[Node, ...]


Node = Word | Phrase | Match | Comparison | Not | Every | Either


@dataclass(frozen=True, slots=True)
class Piped:
    """Lines, and what is made of them: ``node`` None is every line, ``pipe`` None the lines themselves."""

    node: Node | None
    pipe: Pipe | None


def parse(text: str) -> Node | Invalid:
    """The tree of a query that has no pipe. Invalid says the place as a character's number, from 1, and shows it."""
    found = parse_piped(text) if text.strip() else _told(text, 0, "the query is empty")
    if isinstance(found, Invalid):
        return found
    if found.pipe is not None or found.node is None:
        return _told(text, text.rfind("|"), "a pipe makes a table of lines; here lines are asked for: logship query")
    return found.node


def parse_piped(text: str) -> Piped | Invalid:
    """A query with what stands behind its pipe, if there is one; nothing before the pipe means every line."""
    if len(text) > CHARACTERS_MAX:
        return Invalid(f"the query is longer than {CHARACTERS_MAX:,} characters")
    try:
        tree = _grammar().parse(text)
        found: Piped = _Builder().transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, Wrong):
            return _told(text, error.orig_exc.at, error.orig_exc.reason)
        raise
    except UnexpectedInput as error:
        if isinstance(error, UnexpectedToken) and error.token.type == "$END":
            return _told(text, len(text), _unfinished(text))
        at = error.pos_in_stream or 0
        return _told(text, at, _unexpected(text, at))
    except RecursionError:
        return Invalid(_TOO_DEEP)
    if found.node is None:
        return found
    parts = _count(found.node)
    if parts > PARTS_MAX:
        return Invalid(f"the query has {parts} parts, more than {PARTS_MAX}")
    return Invalid(_TOO_DEEP) if _height(found.node) > DEPTH_MAX else found


@cache
def _grammar() -> Lark:
    text = resources.files("logship.view").joinpath("language.lark").read_text("utf-8")
    return Lark(text, parser="lalr", lexer="contextual", start="piped", maybe_placeholders=False)


class _Builder(PipeBuilder):
    """Tokens -> nodes, each value checked against its field."""

    def piped(self, parts: list[Any]) -> Piped:
        pipe = parts[-1] if isinstance(parts[-1], Pipe) else None
        return Piped(None if parts[0] is pipe else parts[0], pipe)

    def alternatives(self, parts: list[Node]) -> Node:
        return Either(tuple(parts))

    def together(self, parts: list[Node]) -> Node:
        return Every(tuple(parts))

    def negation(self, parts: list[Node]) -> Node:
        return Not(parts[0])

    def word(self, tokens: list[Token]) -> Word:
        text = str(tokens[0])
        if text.lower() in ("or", "and", "not"):
            raise Wrong(f'{text} stands between two parts; the word itself wants quotes: "{text}"', start_of(tokens[0]))
        if not any(each.isalnum() or each == "_" for each in text):
            raise Wrong(f'a text without letters and digits wants quotes: "{text}"', start_of(tokens[0]))
        if (glued := _GLUED.search(text)) is not None:
            raise Wrong(_GLUED_SAID, start_of(tokens[0]) + glued.start())
        return Word(text)

    def phrase(self, tokens: list[Token]) -> Phrase:
        text = _unescaped(tokens[0][1:-1])
        if not text:
            raise Wrong("the quotes hold nothing", start_of(tokens[0]))
        return Phrase(text)

    def pattern(self, tokens: list[Token]) -> Match:
        token = tokens[0]
        ignore_case = token.endswith("i")
        found = parse_pattern(token[1 : -2 if ignore_case else -1].replace("\\/", "/"), ignore_case)
        if isinstance(found, Invalid):
            raise Wrong(found.reason, start_of(token))
        return Match(found)

    def plain(self, tokens: list[Token]) -> tuple[Plain, int]:
        return Plain(str(tokens[0])), start_of(tokens[0])

    def comparison(self, parts: list[Any]) -> Comparison:
        name, operator, value = parts
        if isinstance(value, tuple):
            value, place = value
        else:
            place = start_of(operator) + len(operator)
        _check(name, str(operator), value, place)
        return Comparison(str(name), str(operator), value)


def _check(name: Token, operator: str, value: Plain | Phrase | Match, place: int) -> None:
    """Raises Wrong where the field is not known, or the value is none of its sort."""
    field = FIELDS.get(name)
    if field is None and not name.startswith(JSON):
        near = difflib.get_close_matches(name, [*FIELDS], 1)
        hint = (
            f"did you mean {near[0]}?"
            if near
            else f'a key of JSON lines is {JSON}{name}; a text wants quotes: "{name}:"'
        )
        raise Wrong(f"no field is called {name}; {hint}", start_of(name))
    sort = Sort.ANY if field is None else field.sort
    text = value.text if isinstance(value, Plain) else None
    if text is not None and (glued := _GLUED.search(text)) is not None:
        raise Wrong(_GLUED_SAID, place + glued.start())
    if operator in ORDERS and sort is Sort.TEXT:
        raise Wrong(f"{name} is a text, which has no order: use {name}:", start_of(name))
    if operator in ORDERS and (text is None or not _has_order(sort, text)):
        wanted = "a level, as warning" if sort is Sort.LEVEL else "a number, as 500, or 1.5s"
        raise Wrong(f"{name}{operator} wants {wanted}", place)
    if operator in (":", "=", "!=") and text is not None and not _fits(sort, text):
        wanted = "a number, 400..499, 5xx or *" if sort is Sort.NUMBER else "a level, as info or error"
        raise Wrong(f"{name} is {wanted}", place)
    if sort is Sort.NUMBER and text is None:
        raise Wrong(f"{name} is a number, not a text or pattern", place)


def _has_order(sort: Sort, text: str) -> bool:
    return is_level(text) if sort is Sort.LEVEL else number(text) is not None


def _fits(sort: Sort, text: str) -> bool:
    if text == "*" or sort in (Sort.TEXT, Sort.ANY):
        return True
    if sort is Sort.LEVEL:
        return is_level(text)
    return number(text) is not None or span(text) is not None


def span(text: str) -> tuple[float, float] | None:
    """The two ends of ``400..499`` or of ``5xx``, both within; None for another text."""
    low, dots, high = text.partition("..")
    if dots:
        ends = number(low), number(high)
        return None if ends[0] is None or ends[1] is None else (ends[0], ends[1])
    if len(text) == 3 and text[0].isdigit() and text[1:].lower() == "xx":
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    return None


def _unescaped(text: str) -> str:
    return text.replace('\\"', '"').replace("\\\\", "\\")


def _count(node: Node) -> int:
    if isinstance(node, Every | Either):
        return sum(map(_count, node.parts))
    return _count(node.part) if isinstance(node, Not) else 1


def _height(node: Node) -> int:
    if isinstance(node, Every | Either):
        return 1 + max(map(_height, node.parts))
    return 1 + _height(node.part) if isinstance(node, Not) else 1


def _unfinished(text: str) -> str:
    if (said := misunderstood(text, len(text))) is not None:
        return said
    if text.count("(") > text.count(")"):
        return "a parenthesis is not closed"
    return "something is missing at the end" if text.strip() else "the query is empty"


def _unexpected(text: str, at: int) -> str:
    if (said := misunderstood(text, at)) is not None:
        return said
    character = text[at : at + 1]
    if character == '"':
        return "the quotes are not closed"
    if character == ")":
        return "a parenthesis closes that was not opened, or holds nothing"
    if character and character in ":=<>":
        return 'an operator stands behind the name of a field, as status:5xx; a text with it wants quotes: "a=b"'
    if text[at : at + 3].lower().strip() in ("or", "and"):
        return "it stands between two parts"
    return "something is missing here" if not character.strip() else "this is not understood here"


def _told(text: str, at: int, reason: str) -> Invalid:
    """The reason with the place, and the text around it."""
    shown = text[max(0, at - 20) : at] + "»" + text[at : at + 20]
    return Invalid(f"{reason}; at character {at + 1}: {' '.join(shown.split())}")
