"""The typed columns of a line are what the viewer's fields say of it, or the row says that they are not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.lake.columns import COLUMNS, NOTHING, TYPED, TYPED_BYTES_MAX, UNTYPED, Type, typed
from logship.view.fields import FIELDS, of_line
from tests.logship.view.test_view_where import ERROR, EVENT, FAILED, HAPROXY, SERF, STOCK, SUPERVISORD, TCP

KINDS = ["haproxy", "serf", "supervisord", "events", "json", "plain", "unheard of"]
KNOWN = [HAPROXY, FAILED, STOCK, TCP, SERF, SUPERVISORD, EVENT, ERROR, "", "[WARNING] (7) : words", "<11>an error"]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([2**63 - 1, 2**63, -(2**63) - 1, 0.5, [], {"a": 1}]),
    st.text(max_size=5), st.sampled_from(["\ud800", "200", "info"]),
)  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from([column.name for column in TYPED] + ["other"]), VALUES).map(json.dumps)
MIXED = st.tuples(st.sampled_from(KNOWN), st.integers(0, 400), st.sampled_from(["", '"', " ", "9", "٣", "/", "}", "-"]))
LINES = st.one_of(
    st.sampled_from(KNOWN),
    OBJECTS,
    MIXED.map(lambda one: one[0][: one[1]] + one[2] + one[0][one[1] :]),
    MIXED.map(lambda one: one[0][: one[1]] + one[2] + one[0][one[1] + 1 :]),
    st.text(max_size=60),
)


def is_held(value: Any, kind: Type) -> bool:
    """By its own words, whether a column of that type can hold it."""
    if kind is Type.NUMBER:
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) < value < 2**63
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


@given(st.sampled_from(KINDS), LINES)
def test_a_typed_column_is_the_field_of_that_name_or_the_row_is_marked(kind: str, text: str) -> None:
    fields = of_line(kind, text)
    values, flag = typed(kind, text)
    not_held = False
    for column, value in zip(TYPED, values, strict=True):
        said = fields.get(column.name)
        if said is None or is_held(said, column.type):
            assert (type(value), value) == (type(said), said)
        else:
            not_held = True
            assert value is None
    assert flag == (UNTYPED if not_held else 0)


@pytest.mark.parametrize("line", [HAPROXY, FAILED, STOCK, TCP])
def test_a_line_of_haproxy_says_something_in_its_columns(line: str) -> None:
    values = dict(zip([column.name for column in TYPED], typed("haproxy", line)[0], strict=True))
    assert values["frontend"]
    assert values["bytes"] > 0
    assert values["t_connect"] is not None


def test_a_line_that_is_too_long_is_not_taken_apart_and_says_so() -> None:
    line = '{"status": 200, "x": "' + "x" * TYPED_BYTES_MAX + '"}'
    assert typed("json", line) == (NOTHING, UNTYPED)


def test_typed_columns_are_fields_by_the_names_of_the_language() -> None:
    assert {column.name for column in TYPED} <= set(FIELDS)
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
