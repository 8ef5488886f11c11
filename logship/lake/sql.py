"""Core: a query -> a condition over the lake's columns, in DuckDB's SQL with bound values.

Of each query there are two conditions: rows for which ``sure`` holds match, rows for which ``may`` does not hold do
not; what lies between is judged by ``view.where`` itself. Mostly they are one and the same. A condition that is NULL
does not hold. Left to others: which files and streams (``selection``), asking (``engine``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from logship.lake.columns import TYPED, Type
from logship.lake.re2 import Re2, of_glob, of_pattern, of_text, of_word
from logship.view.fields import FIELDS, JSON, LEVELS, number
from logship.view.language import Comparison, Either, Every, Match, Node, Not, Phrase, Plain, Word, span
from logship.view.select import Identity, Pattern
from logship.view.where import Where

IGNORECASE = 2
"""The flag of the patterns of ``regex``."""
_REPLACED = "\ufffd"
_INT64_MAX = 2**63 - 1
_BEYOND = 10**400
"""More than any number that a query says."""
_NUMBERS = frozenset(column.name for column in TYPED if column.type is Type.NUMBER)
TYPED_NAMES = frozenset(column.name for column in TYPED)


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition, and the values that stand for its question marks."""

    text: str
    values: tuple[Any, ...] = ()


TRUE, FALSE = Sql("true"), Sql("false")


def quoted(text: object) -> str:
    """A text as SQL writes it, where no value can be bound."""
    return "'" + str(text).replace("'", "''") + "'"


def rows_of(files: Iterable[object]) -> str:
    """The rows of files, by their paths, in that order."""
    return f"read_parquet([{', '.join(map(quoted, files))}], hive_partitioning = false)"


def every(parts: Iterable[Sql]) -> Sql:
    """All of them hold."""
    return _joined([part for part in parts if part != TRUE], " AND ", TRUE, FALSE)


def either(parts: Iterable[Sql]) -> Sql:
    """One of them holds."""
    return _joined([part for part in parts if part != FALSE], " OR ", FALSE, TRUE)


def negated(part: Sql) -> Sql:
    """It does not hold."""
    if part in (TRUE, FALSE):
        return FALSE if part == TRUE else TRUE
    return Sql(f"({part.text}) IS NOT TRUE", part.values)


def _joined(parts: list[Sql], word: str, nothing: Sql, decides: Sql) -> Sql:
    if not parts or decides in parts:
        return decides if parts else nothing
    if len(parts) == 1:
        return parts[0]
    return Sql(f"({word.join(part.text for part in parts)})", tuple(value for part in parts for value in part.values))


@dataclass(frozen=True, slots=True)
class Truth:
    """When a query surely matches, and when it may. ``typed``: a typed column is asked."""

    sure: Sql
    may: Sql
    typed: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether nothing is left to be judged."""
        return self.sure == self.may

    def negated(self) -> Truth:
        """Of what it does not match."""
        return Truth(negated(self.may), negated(self.sure), self.typed)


def _exact(condition: Sql, typed: bool = False) -> Truth:
    return Truth(condition, condition, typed)


ALL, NONE, UNKNOWN = _exact(TRUE), _exact(FALSE), Truth(FALSE, TRUE)


def all_of(parts: Iterable[Truth]) -> Truth:
    """Each of them matches."""
    held = list(parts)
    typed = any(part.typed for part in held)
    return Truth(every(part.sure for part in held), every(part.may for part in held), typed)


def one_of(parts: Iterable[Truth]) -> Truth:
    """One of them matches."""
    held = list(parts)
    typed = any(part.typed for part in held)
    return Truth(either(part.sure for part in held), either(part.may for part in held), typed)


def truth(node: Node, identity: Identity, *, typed: bool) -> Truth:
    """What a query means for the rows of a stream.

    ``typed``: of rows whose typed columns say what the line says; of others (flag UNTYPED) they are not asked.
    """
    if isinstance(node, Not):
        return truth(node.part, identity, typed=typed).negated()
    if isinstance(node, Every):
        return all_of(truth(part, identity, typed=typed) for part in node.parts)
    if isinstance(node, Either):
        return one_of(truth(part, identity, typed=typed) for part in node.parts)
    if isinstance(node, Word):
        return _found("line", of_word(node.text))
    if isinstance(node, Phrase):
        return _found("line", of_text(node.text))
    if isinstance(node, Match):
        return pattern(node.pattern)
    field = FIELDS.get(node.field)
    if field is not None and field.of_stream:
        return ALL if Where(node).test(identity) is True else NONE
    if node.field in TYPED_NAMES:
        return _of_column(node) if typed else UNKNOWN
    return Truth(FALSE, _may_say(node), False)


def pattern(sought: Pattern, column: str = "line") -> Truth:
    """That a pattern is found in a text."""
    if sought.literal is not None:
        try:
            text = sought.literal.decode()
        except UnicodeDecodeError:
            return UNKNOWN
        condition = Sql(f'contains("{column}", ?)', (text,))
        if _REPLACED not in text or column != "line":
            return _exact(condition)
        return Truth(every([condition, Sql("raw IS NULL")]), condition)
    return _found(column, of_pattern(sought.text, bool(sought.compiled.flags & IGNORECASE)))


def _found(column: str, sought: Re2 | None) -> Truth:
    if sought is None:
        return UNKNOWN
    may = Sql(f'regexp_matches("{column}", ?)', (sought.may,))
    if sought.exact:
        return _exact(may)
    plain = is_ascii(column)
    if sought.sure == sought.may:
        return Truth(every([may, plain]), may)
    # in ASCII ``sure`` decides; it is asked of what ``may`` finds alone
    sure = Sql(f'regexp_matches("{column}", ?)', (sought.sure,))
    return Truth(every([may, sure, plain]), every([may, either([sure, negated(plain)])]))


def is_ascii(column: str) -> Sql:
    """That a text has no sign beyond ASCII: it has as many bytes as signs."""
    return Sql(f'strlen("{column}") = length("{column}")')


def _of_column(node: Comparison) -> Truth:
    """A comparison with what is in a typed column; NULL there is a field that the line has not."""
    said = Sql(f'"{node.field}" IS NOT NULL')
    same = _of_value(node)
    found = all_of([_exact(said), same.negated()]) if node.operator == "!=" else same
    return Truth(found.sure, found.may, True)


def _of_value(node: Comparison) -> Truth:
    name, value, operator = node.field, node.value, node.operator
    if isinstance(value, Plain) and value.text == "*":
        return _exact(Sql(f'"{name}" IS NOT NULL'))
    if name == "level":
        return _of_level(node)
    if name in _NUMBERS:
        assert isinstance(value, Plain)
        return _exact(_within(name, _bounds(operator, value.text)))
    if isinstance(value, Match):
        found = pattern(value.pattern, name)
        if value.pattern.literal is not None:
            return found
        one_line = Sql(f'NOT contains("{name}", chr(10))')  # $ is before a newline at the end, too
        return Truth(every([found.sure, one_line]), either([found.may, negated(one_line)]))
    if isinstance(value, Phrase) or "*" not in value.text:
        return _is(name, value.text)
    found = _found(name, of_glob(value.text))
    return Truth(every([found.sure, is_ascii(name)]), either([found.may, negated(is_ascii(name))]))


def _is(name: str, text: str) -> Truth:
    """That it is a text, whatever its case: what lies beyond ASCII is folded by ``view.where`` alone."""
    beyond = negated(is_ascii(name))
    same = Sql(f'lower("{name}") = ?', (text.lower(),)) if text.isascii() else FALSE
    return Truth(every([same, is_ascii(name)]), either([same, every([Sql(f'"{name}" IS NOT NULL'), beyond])]))


def _of_level(node: Comparison) -> Truth:
    if isinstance(node.value, Match):
        return Truth(FALSE, Sql('"level" IS NOT NULL'))
    if isinstance(node.value, Phrase):
        return _is("level", node.value.text)
    wanted = LEVELS[node.value.text.lower()]
    tests = {
        ">": wanted.__lt__, ">=": wanted.__le__, "<": wanted.__gt__, "<=": wanted.__ge__,
    }  # fmt: skip
    test = tests.get(node.operator, wanted.__eq__)
    names = sorted(name for name, rank in LEVELS.items() if test(rank))
    same = Sql(f'lower("level") IN ({", ".join("?" * len(names))})', tuple(names)) if names else FALSE
    beyond = every([Sql('"level" IS NOT NULL'), negated(is_ascii("level"))])
    return Truth(every([same, is_ascii("level")]), either([same, beyond]))


def _bounds(operator: str, text: str) -> tuple[int, int] | None:
    """The least and the greatest whole number that a comparison takes; None: it takes none."""
    if operator in (":", "=", "!="):
        one = number(text)
        ends = span(text) or (None if one is None else (one, one))
        return None if ends is None else (math.ceil(_finite(ends[0])), math.floor(_finite(ends[1])))
    said = number(text)
    assert said is not None
    wanted = _finite(said)
    low = 0 if wanted >= 0 else -_BEYOND  # -1 says that there is none: it is not less than anything
    if operator in ("<", "<="):
        return low, math.ceil(wanted) - 1 if operator == "<" else math.floor(wanted)
    return max(low, math.floor(wanted) + 1 if operator == ">" else math.ceil(wanted)), _BEYOND


def _finite(value: float) -> float | int:
    return value if math.isfinite(value) else int(math.copysign(_BEYOND, value))


def _within(name: str, ends: tuple[int, int] | None) -> Sql:
    """That a whole number lies between two ends."""
    if ends is None or ends[0] > ends[1] or ends[0] > _INT64_MAX or ends[1] < -_INT64_MAX:
        return FALSE
    least, most = ends
    if least == most:
        return Sql(f'"{name}" = ?', (least,))
    parts = [Sql(f'"{name}" >= ?', (least,))] if least > -_INT64_MAX else []
    parts += [Sql(f'"{name}" <= ?', (most,))] if most < _INT64_MAX else []
    return every(parts) if parts else Sql(f'"{name}" IS NOT NULL')


def _may_say(node: Comparison) -> Sql:
    """What a line has at least whose field, which is no column, matches a comparison."""
    is_object = Sql("starts_with(line, '{')")
    escaped = Sql("contains(line, chr(92))")
    parts = []
    if node.field.startswith(JSON):
        key = node.field.rpartition(".")[2]
        parts = [is_object, either([Sql("contains(line, ?)", (f'{key}"',)), escaped])]
    else:
        parts = [either([is_object, Sql("flags >= 16"), Sql('"frontend" IS NOT NULL')])]
    text = node.value.text if isinstance(node.value, Plain | Phrase) else ""
    if node.operator in (":", "=") and not _may_be_number(text) and "*" not in text and span(text) is None:
        sought = of_text(text)
        if sought is not None and text.isascii():
            said = Sql("regexp_matches(line, ?)", (sought.may,))
            parts.append(either([said, escaped, negated(is_ascii("line"))]))
    return every(parts)


def _may_be_number(text: str) -> bool:
    """Whether JSON might write it in another way."""
    return not text or not any(each.isalpha() and each not in "eE" for each in text) or number(text) is not None
