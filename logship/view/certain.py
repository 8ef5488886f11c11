"""Core: a query -> the tokens that every line surely has which it matches; most row groups of the lake have them not.

Nothing is guessed: where it is not sure that a token stands whole in the line itself, or in another reading of it that
filters know (``lake.tokens.readings``), there is none. Left to others: patterns (``certain_pattern``), filters.
"""

from __future__ import annotations

import re

from logship.lake.tokens import Need, either, every
from logship.view.certain_pattern import EDGE, GAP, Piece, need_of, pieces_of
from logship.view.fields import FIELDS, Sort
from logship.view.language import Comparison, Either, Every, Match, Node, Not, Phrase, Plain, Word
from logship.view.select import Pattern

_MAY_BE_NUMBER = re.compile(r"[0-9]+e?", re.IGNORECASE)
"""How a number of JSON may be shown which its line writes otherwise: 1234567e-2 is 12345.67."""


def certain(node: Node | None, grep: Pattern | None = None) -> Need | None:
    """What is certain of lines that the query and the pattern match; None: nothing that tokens could tell."""
    return every([None if node is None else _of(node), None if grep is None else _of(Match(grep))])


def _of(node: Node) -> Need | None:
    if isinstance(node, Every):
        return every([_of(part) for part in node.parts])
    if isinstance(node, Either):
        return either([_of(part) for part in node.parts])
    if isinstance(node, Word):
        begins = [EDGE] if _is_of_word(node.text[0]) else []
        ends = [EDGE] if _is_of_word(node.text[-1]) else []
        return need_of([*begins, *_globbed(node.text), *ends])
    if isinstance(node, Phrase):
        return need_of(list(node.text))
    if isinstance(node, Match):
        return _matched(node.pattern)
    return None if isinstance(node, Not) else _compared(node)


def _compared(node: Comparison) -> Need | None:
    """A value stands between characters that are in no token, in its line or where the escapes of that are resolved."""
    field = FIELDS.get(node.field)
    if node.operator not in (":", "=") or (field is not None and (field.of_stream or field.sort is not Sort.TEXT)):
        return None
    value = node.value
    if isinstance(value, Match):
        return _matched(value.pattern, _MAY_BE_NUMBER)
    # A number that is shown in digits alone is written in the same ones.
    besides = None if value.text.isdecimal() else _MAY_BE_NUMBER
    if isinstance(value, Phrase):
        return need_of([EDGE, *value.text.casefold(), EDGE], fold=False, besides=besides)
    assert isinstance(value, Plain)
    return need_of([EDGE, *_globbed(value.text), EDGE], besides=besides)


def _globbed(text: str) -> list[Piece]:
    return [GAP if each == "*" else each for each in text]


def _matched(pattern: Pattern, besides: re.Pattern[str] | None = None) -> Need | None:
    if pattern.literal is not None:
        return need_of(list(pattern.text), besides=besides)
    found = pieces_of(pattern.text)
    return None if found is None else need_of(found, besides=besides)


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"
