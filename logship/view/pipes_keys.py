"""Core: what pipes read of a line: what it is grouped by, and the number it has.

A text that is grouped by is cut; a number stays one, so that 200 is 200 wherever it came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from logship.view.fields import FIELDS, LEVEL_NAMES, LEVELS, Sort, as_number, as_text
from logship.view.pipes import Key
from logship.view.pipes_shapes import shape
from logship.view.select import Identity
from logship.view.where import of_stream

VALUE_CHARACTERS_MAX = 256
"""What is longer is cut, and ends with an ellipsis."""

Get = Callable[[str], Any]
Part = str | int | float | None


def measured(name: str, get: Get) -> int | float | None:
    """The number that a field is. In a timer or the status of HAProxy's lines -1 means that there is none."""
    found = as_number(get(name))
    return None if found is not None and found < 0 and name in FIELDS else found


def reader(key: Key) -> Callable[[Identity, Get], Part]:
    """Reads of a line what it is grouped by; None where it has not the field."""
    name = key.field
    known = FIELDS.get(name)
    if known is not None and known.of_stream:
        form = shape if key.form else _cut
        return lambda identity, _: None if (said := of_stream(name, identity)) is None else form(said)
    make = _FORMS.get(key.form) or (_number if known is not None and known.sort is Sort.NUMBER else _text)
    if known is not None and known.sort is Sort.LEVEL:
        make = _level
    return lambda _, get: None if (said := get(name)) is None else make(said)


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}…"


def _text(said: Any) -> Part:
    return _cut(as_text(said))


def _number(said: Any) -> Part:
    found = as_number(said)
    return _text(said) if found is None else found


def _level(said: Any) -> Part:
    """One name for ``warn``, ``WARNING`` and the like."""
    return LEVEL_NAMES.get(LEVELS.get(str(said).lower(), 0)) or _text(said)


def _class(said: Any) -> Part:
    found = as_number(said)
    return f"{found // 100:.0f}xx" if found is not None and 100 <= found < 1000 else _text(said)


_FORMS: dict[str, Callable[[Any], Part]] = {
    "class": _class,
    "bare": lambda said: _cut(as_text(said).partition("?")[0]),
    "pair": lambda said: _cut(as_text(said)[:2]),
    "shape": lambda said: shape(as_text(said)),
}
