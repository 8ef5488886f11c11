"""The typed columns of a line are what the viewer's fields say of it, or the row says that they are not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.lake.batch import Batch
from logship.lake.columns import COLUMNS, NOTHING, TYPED, TYPED_BYTES_MAX, UNTYPED, Type, typed
from logship.lake.parquet import Parquet
from logship.view.fields import FIELDS, of_line
from logship.view.lines import Line
from logship.view.select import Identity
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


OURS = (
    "10.0.0.1:44084 [30/Nov/2026:13:05:29.594] http app/s1 0/5/-1/9/+10 200 +295 - - --VN 19/18/2/1/+3 0/0 "
    '"GET /api/items?x=1 HTTP/1.1" id=01a22c8f-77 pid=42 lc=43506 tt=1500 n=43507'
)
ALPHABET = ' "/[]{}:-+=0199<aZ.\\é\t\x00\xa0٣'


def near(chance: random.Random) -> str:
    """A line of the usual form, or one that is nearly so."""
    text = chance.choice([OURS, OURS, OURS, OURS.partition(" id=")[0], STOCK, FAILED, TCP])
    for _ in range(chance.choice([0, 1, 1, 2])):
        place = chance.randrange(len(text) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            text = text[:place] + chance.choice(ALPHABET) + text[place:]
        elif kind == 1:
            text = text[:place] + text[place + 1 :]
        elif kind == 2:
            text = text[:place] + chance.choice(ALPHABET) + text[place + 1 :]
        else:
            other = chance.randrange(len(text) + 1)
            text = text[:place] + text[min(place, other) : max(place, other)][:20] + text[place:]
    return text


def test_what_duckdb_takes_apart_itself_is_what_the_viewer_says_of_it(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    parquet, batch = Parquet(), Batch()
    lines: list[tuple[str, str]] = []
    for kind in ("haproxy", "plain", "serf"):
        identity = Identity("a/1/x/i", "a", "1", "x", kind)
        for _ in range(1500):
            text = near(chance) if lines else OURS.replace("/+10 ", "/+-10 ")  # a sum that is no number
            batch.add(identity, Line("a/1/x/i", 0, text.encode(), 0, 0), 0)
            lines.append((kind, text))
    regular = parquet.regular(batch)
    assert regular is not None
    assert 500 < sum(regular[:3000]) < 2500
    parquet.write(tmp_path / "x", [parquet.chunk(batch)])
    names = ", ".join(f'"{column.name}"' for column in TYPED)
    held = duckdb.connect().execute(f"SELECT {names} FROM read_parquet('{tmp_path / 'x'}')").fetchall()
    for (kind, text), values, is_regular in zip(lines, held, regular, strict=True):
        assert values == typed(kind, text)[0], (kind, text, is_regular)


def test_lines_of_kinds_that_are_no_haproxy_s_are_never_taken_apart_as_such() -> None:
    assert typed("serf", OURS) == typed("supervisord", OURS) == (NOTHING, 0)
    batch = Batch()
    batch.add(Identity("a/1/serf/i", "a", "1", "serf", "serf"), Line("a/1/serf/i", 0, OURS.encode(), 0, 0), 0)
    assert Parquet().regular(batch) is None
