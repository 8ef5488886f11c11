"""What pipes make of lines: each by example, and generated ones against a naive reference over the same lines."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.values import Invalid
from logship.view.fields import of_line
from logship.view.language import parse_piped
from logship.view.pipes import Pipe
from logship.view.pipes_cells import EXACT_MAX, SKETCH_ERROR, Numbers
from logship.view.pipes_groups import GROUP_WEIGHT, TooMuch, hash_of
from logship.view.pipes_keys import VALUE_CHARACTERS_MAX
from logship.view.pipes_result import TEXT, Bounds, Line, Making, Table, making_of
from logship.view.pipes_shapes import SHAPE_MAX, shape
from logship.view.select import identify
from tests.logship.view.test_view_where import FAILED, HAPROXY, LINES, SERF, STOCK, SUPERVISORD, TCP

MINUTE = 60_000
BORN = 1_795_464_000_000  # 2026-11-23T20:00:00Z


def pipe(text: str) -> Pipe:
    found = parse_piped(text)
    assert not isinstance(found, Invalid), found
    assert found.pipe is not None
    return found.pipe


def line(path: str, text: str, time_ms: int = BORN) -> Line:
    identity = identify(path, {})
    fields = of_line(identity.kind, text)
    return time_ms, identity, lambda name: text if name == TEXT else fields.get(name)


ALL = [line(path, text, BORN + number * 1000) for path, lines in LINES.items() for number, text in enumerate(lines)]


def made(text: str, lines: list[Line], bounds: Bounds | None = None, **times: int) -> Table:
    making = Making(pipe(text), times.get("since_ms"), times.get("until_ms"), bounds)
    making.feed(lines)
    return making.table()


@pytest.mark.parametrize(
    ("text", "columns", "rows"),
    [
        ("| count", "count", [[17]]),
        ("| count by program", "program count", [["haproxy", 6], ["balance", 4], ["file", 3], ["serf", 3],
                                                ["supervisord", 1]]),
        ("| count by src, kind", "src kind count", [["ha/1", "haproxy", 6], ["ha/1", "plain", 4],
                                                   ["web-9/host", "plain", 3], ["webapp/2", "serf", 3],
                                                   ["ha/1", "supervisord", 1]]),
        ("| count by status:class", "status:class count", [[None, 13], ["4xx", 2], ["2xx", 1], ["5xx", 1]]),
        ("| count by level", "level count", [[None, 11], ["info", 2], ["critical", 1], ["error", 1], ["notice", 1],
                                            ["warning", 1]]),
        ("| top 2 status", "status count", [[404, 2], [200, 1]]),
        ("| top path:bare", "path:bare count", [["/", 1], ["/api/items", 1], ["/old", 1], ["/x", 1]]),
        ("| top json.user.ok", "json.user.ok count", [["true", 1]]),
        ("| p50,max,min,avg,sum t_total", "count p50 max min avg sum", [[3, 2000, 3000, 1500, 6500 / 3, 6500]]),
        ("| max t_response by server", "server count max", [["5928e7c68bdc-172-28-0-5", 1, 9], ["s1", 1, 9]]),
        ("| avg json.n", "count avg", [[1, 13.0]]),
        ("| count 2s by program:shape", "time program:shape count", [
            ["2026-11-23T20:00:00.000Z", "balance", 2], ["2026-11-23T20:00:00.000Z", "file", 2],
            ["2026-11-23T20:00:00.000Z", "haproxy", 2], ["2026-11-23T20:00:00.000Z", "serf", 2],
            ["2026-11-23T20:00:00.000Z", "supervisord", 1], ["2026-11-23T20:00:02.000Z", "balance", 2],
            ["2026-11-23T20:00:02.000Z", "file", 1], ["2026-11-23T20:00:02.000Z", "haproxy", 2],
            ["2026-11-23T20:00:02.000Z", "serf", 1], ["2026-11-23T20:00:04.000Z", "haproxy", 2]]),
        ("| rate 4s", "time count rate", [["2026-11-23T20:00:00.000Z", 15, 3.75],
                                         ["2026-11-23T20:00:04.000Z", 2, 0.5]]),
    ],
)  # fmt: skip
def test_a_pipe_makes_this_table(text: str, columns: str, rows: list[list[Any]]) -> None:
    found = made(text, ALL)
    assert (found.columns, found.rows) == (columns.split(), rows)
    assert found.others == []


def test_of_no_lines_the_number_is_none_at_all() -> None:
    assert made("| count", []).rows == [[0]]
    assert made("| p50,min,max,sum,avg t_total", []).rows == [[0, None, None, None, None, None]]
    assert made("| count by server", []).rows == made("| count 1m", []).rows == made("| patterns", []).rows == []


def test_lines_without_what_is_asked_for_are_told() -> None:
    assert made("| p99 t_response", ALL).without == 15  # FAILED has -1, which is no time
    assert made("| top path", ALL).without == 13
    assert (made("| top 1 status", ALL).rest, made("| top 1 status", ALL).groups) == (2, 3)


def test_a_rate_counts_only_the_part_of_a_span_that_was_asked_for() -> None:
    lines = [line("a/b/c/d", "x", BORN + 20_000 + number) for number in range(30)]
    assert made("| rate 1m", lines).rows[0][2] == 0.5
    assert made("| rate 1m", lines, since_ms=BORN + 15_000).rows[0][2] == 30 / 45
    assert made("| rate 1m", lines, since_ms=BORN + 15_000, until_ms=BORN + 30_000).rows[0][2] == 2


def test_a_span_begins_with_its_first_millisecond_and_ends_before_the_next_one() -> None:
    times = [BORN - 1, BORN, BORN + MINUTE - 1, BORN + MINUTE]
    found = made("| count 1m", [line("a/b/c/d", "x", each) for each in times])
    assert [row[1] for row in found.rows] == [1, 2, 1]


def test_a_long_value_is_cut_and_says_so() -> None:
    (row,) = made("| count by json.x", [line("a/b/c/d", json.dumps({"x": "y" * 1000}))]).rows
    assert row[0] == "y" * VALUE_CHARACTERS_MAX + "…"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (HAPROXY, "<addr> [<time>] http app/<id>-<n>-<n>-<n>-<n> <n>/<n>/<n>/<n>/<n> <n> <n> - - --VN "
         '<n>/<n>/<n>/<n>/<n> <n>/<n> "*" id=<id> pid=<n> lc=<n> tt=<n> n=<n>'),
        (SERF, "<time> [WARN] serf: EventMemberLeave: <id> <addr>"),
        (SUPERVISORD, "<time> CRIT Supervisor is running as root"),
        ("it's John's 'own value' s12 0x1f deadbeef", 'it\'s John\'s "*" s<n> <id> deadbeef'),
        ("from fe80::1 ::1 2001:db8:0:0:0:0:0:1 std::move", "from <addr> <addr> <addr> std::move"),
        ('{"event": "gone 7", "user": {"id": 7}, "x": "y"}', '{"event": "gone <n>", "user": {"id": <n>}, "x": "*"}'),
        ("a\t  b -1 +5 1.5", "a b <n> <n> <n>"),
        ("\x1b[1;31mred\x1b[0m 5", "red <n>"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_shape_keeps_the_words_and_masks_the_rest(text: str, wanted: str) -> None:
    assert shape(text) == wanted


@given(st.text(alphabet="ab01:.-'\"\\{}[] \nxé", max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_has_a_shape_that_is_bounded(text: str) -> None:
    assert len(shape(text * 40)) <= SHAPE_MAX + 1


def test_patterns_have_their_first_example_and_when() -> None:
    lines = [line("a/b/c/d", f"took {number} ms", BORN - number) for number in range(5)]
    assert made("| patterns", [*lines, line("a/b/c/d", "done", BORN + 7)]).rows == [
        ["took <n> ms", 5, "2026-11-23T19:59:59.996Z", "2026-11-23T20:00:00.000Z", "took 4 ms"],
        ["done", 1, "2026-11-23T20:00:00.007Z", "2026-11-23T20:00:00.007Z", "done"],
    ]


# Numbers: sums are exact, percentiles up to a bound, and within a share beyond it; in any order.

NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20), st.floats(-1e20, 1e20, allow_nan=False), st.floats(-1e-9, 1e-9, allow_nan=False)
)


def plain(value: int | float) -> int | float:
    return int(value) if isinstance(value, float) and value.is_integer() else value


@given(st.lists(NUMBERS.map(plain), min_size=1, max_size=60), st.integers(0, 8), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_numbers_are_the_same_in_any_order_and_however_they_are_put_together(
    values: list[int | float], exact_max: int, chance: random.Random
) -> None:
    shares = [Fraction(0), Fraction(1, 2), Fraction(999, 1000), Fraction(1)]

    def of(said: list[int | float]) -> Numbers:
        cell = Numbers(True, exact_max)
        weight = cell.weight + sum(cell.add(each) for each in said)
        assert weight == cell.weight
        return cell

    whole = of(values)
    shuffled = chance.sample(values, len(values))
    cut = chance.randint(0, len(values))
    first, second = of(shuffled[:cut]), of(shuffled[cut:])
    grown = first.weight + first.merge(second)
    assert grown == first.weight
    for cell in (of(shuffled), first):
        for name in ("lines", "least", "most", "sum", "mean", "weight", "is_exact"):
            assert getattr(cell, name) == getattr(whole, name), name
        assert cell.percentiles(shares) == whole.percentiles(shares)
    assert whole.sum == plain(float(sum(map(Fraction, values)))) or isinstance(whole.sum, int)
    in_order = sorted(values)
    for share, found in zip(shares, whole.percentiles(shares), strict=True):
        wanted = in_order[max(1, math.ceil(share * len(values))) - 1]
        assert found is not None
        if whole.is_exact:
            assert found == wanted
        else:
            assert abs(found - wanted) <= max(abs(wanted) * SKETCH_ERROR, 1e-9)


def test_percentiles_are_exact_up_to_many_different_values_and_near_beyond() -> None:
    exact, near = Numbers(True), Numbers(True)
    for value in range(EXACT_MAX):
        exact.add(value)
        near.add(value)
    near.add(EXACT_MAX)
    (found,) = exact.percentiles([Fraction(99, 100)])
    assert (found, exact.is_exact, near.is_exact) == (math.ceil(EXACT_MAX * 0.99) - 1, True, False)
    (rough,) = near.percentiles([Fraction(99, 100)])
    assert isinstance(rough, int)
    assert rough == pytest.approx(found, rel=SKETCH_ERROR)
    assert near.percentiles([Fraction(number, EXACT_MAX + 1) for number in range(1, 201)]) == [*range(200)]


# Bounds.


def test_groups_beyond_the_bound_are_folded_into_others_and_counted() -> None:
    lines = [line("a/b/c/d", json.dumps({"n": number})) for number in range(1000)]
    found = made("| count by json.n", lines, Bounds(weight_max=400))
    assert len(found.rows) == found.groups == 399 // (GROUP_WEIGHT + 1)
    assert found.others == [[None, 1000 - found.groups]]
    assert found.about == pytest.approx(1000, rel=0.35)
    assert made("| count by json.n", lines).others == []


def test_more_spans_than_can_be_held_are_refused_in_a_sentence() -> None:
    lines = [line("a/b/c/d", "x", BORN + number * 1000) for number in range(11)]
    with pytest.raises(TooMuch, match="take a longer one, or a shorter time"):
        made("| count 1s", lines, Bounds(spans_max=10))
    values = [line("a/b/c/d", json.dumps({"n": number}), BORN + number * 1000) for number in range(50)]
    with pytest.raises(TooMuch, match="more to be held than fits"):
        made("| p50 json.n 1s", values, Bounds(weight_max=20))


# Pipes made by chance, each beside what it means in plain Python.

Reference = Callable[[Line], Any]


def generated(chance: random.Random, count: int) -> list[Line]:
    found = []
    for _ in range(count):
        time_ms = BORN + chance.randrange(10 * MINUTE)
        kind = chance.random()
        if kind < 0.6:
            times = [chance.choice([-1, 0, 1, chance.randrange(3000)]) for _ in range(4)]
            text = (
                f"10.0.0.{chance.randrange(5)}:1 [30/Nov/2026:13:05:29.594] http app/s{chance.randrange(4)} "
                f"{'/'.join(map(str, times))}/{chance.randrange(5000)} {chance.choice([-1, 200, 200, 304, 404, 503])} "
                f"{chance.randrange(9000)} - - {chance.choice(['----', 'sH--', 'cD--'])} 1/1/0/0/0 0/0 "
                f'"GET /p/{chance.randrange(30)}?q={chance.randrange(3)} HTTP/1.1" tt={chance.randrange(9000)}'
            )
            found.append(line(f"ha/{chance.randrange(2)}/haproxy/i", text, time_ms))
        elif kind < 0.8:
            numbers = [chance.randrange(50), chance.random() * 100, "7", "1.5s", True, None, float("nan"), 10**40]
            said = {"level": chance.choice(["info", "WARN", "warning", "odd"]), "n": chance.choice(numbers)}
            found.append(line(f"web/{chance.randrange(3)}/app/i", json.dumps(said), time_ms))
        else:
            text = f"user {chance.randrange(9)} logged {chance.choice(['in', 'out'])}"
            found.append(line("foreign/stream", text, time_ms))
    return found


def json_key(one: Line) -> Any:
    said = one[2]("json.n")
    return None if said is None else {True: "true"}.get(said, str(said)) if isinstance(said, bool) else str(said)


KEYS: dict[str, Reference] = {
    "server": lambda one: one[2]("server"),
    "status": lambda one: one[2]("status"),
    "status:class": lambda one: {None: None, -1: "-1"}.get(s := one[2]("status"), f"{str(s)[:1]}xx"),
    "path:bare": lambda one: None if (path := one[2]("path")) is None else path.split("?")[0],
    "src": lambda one: one[1].place,
    "program": lambda one: one[1].program,
    "level": lambda one: {"WARN": "warning"}.get(said := one[2]("level"), said),
    "json.n": json_key,
}


def number_of(one: Line, name: str) -> int | float | None:
    said = one[2](name)
    if isinstance(said, str):
        said = {"7": 7, "1.5s": 1500}[said]
    if said is None or isinstance(said, bool) or said != said or abs(said) > 1e30:
        return None
    return None if said < 0 and not name.startswith("json.") else said


def reference(
    lines: list[Line], keys: list[str], span: int | None, of: str | None, each: bool, share: float
) -> tuple[dict[Any, Any], int]:
    """By (span, key) the numbers (or 1s) of the lines; what is folded by (span, None). ``each`` number is held.

    A ``share`` of what it all weighs is the bound, which is given back, too.
    """
    groups: dict[tuple[Any, ...], list[tuple[int | None, Any]]] = {}
    for one in lines:
        said = 1 if of is None else number_of(one, of)
        if said is not None:
            key = tuple(KEYS[name](one) for name in keys)
            groups.setdefault(key, []).append((None if span is None else one[0] // span * span, said))

    def weight(held: list[tuple[int | None, Any]]) -> int:
        spans = {at for at, _ in held}
        return sum(len({said for at, said in held if at == span}) if each else 1 for span in spans)

    kept = sorted(groups, key=hash_of)
    folded: list[tuple[int | None, Any]] = []
    weight_max = int(share * sum(weight(groups[key]) + GROUP_WEIGHT for key in kept))
    while kept and sum(weight(groups[key]) + GROUP_WEIGHT for key in kept) + weight(folded) > weight_max:
        folded += groups[kept.pop()]
    found: dict[Any, list[Any]] = {}
    for name, held in [*((key, groups[key]) for key in kept), (None, folded)]:
        for at, said in held:
            found.setdefault((at, name), []).append(said)
    return found, weight_max if weight(folded) <= weight_max else 0


def of_values(measure: str, values: list[Any]) -> Any:
    in_order = sorted(values)
    if measure[0] == "p":
        return in_order[max(1, math.ceil(Fraction(measure[1:]) / 100 * len(values))) - 1]
    total = sum(map(Fraction, values))
    return {"min": in_order[0], "max": in_order[-1], "sum": float(total), "avg": float(total / len(values))}[measure]


@pytest.mark.parametrize("seed", range(6))
def test_generated_pipes_make_what_the_reference_makes_in_any_order_of_streams(seed: int) -> None:
    print("seed", seed)
    chance = random.Random(seed)
    lines = generated(chance, 600)
    folds = 0
    for _ in range(40):
        keys = chance.sample([*KEYS], chance.randrange(3))
        span = chance.choice([None, None, 60, 240])
        measures = chance.sample(["p0", "p50", "p99.9", "p100", "min", "max", "avg", "sum"], 3)
        of = chance.choice([None, None, "t_total", "t_queue", "status", "json.n"])
        each = of is not None and any(one[0] == "p" for one in measures)
        wanted, weight_max = reference(
            lines, keys, span and span * 1000, of, each, chance.choice([1, 1, 0.9, 0.5, 0.1])
        )
        text = f"| count {span}s" if span else "| count"
        if of is not None:
            text = f"| {','.join(measures)} {of}" + (f" {span}s" if span else "")
        text += f" by {', '.join(keys)}" if keys else ""
        if not weight_max:
            with pytest.raises(TooMuch):
                made(text, lines, Bounds(weight_max=0))
            continue
        by_stream: dict[str, list[Line]] = {}
        for one in lines:
            by_stream.setdefault(one[1].path, []).append(one)
        streams = [*by_stream.values()]
        chance.shuffle(streams)
        found = made(text, [one for each in streams for one in each], Bounds(weight_max=weight_max))
        assert made(text, chance.sample(lines, len(lines)), Bounds(weight_max=weight_max)) == found
        folds += bool(found.others)
        rows = {}
        for row, folded in [*((row, False) for row in found.rows), *((row, True) for row in found.others)]:
            at, rest = (row[0], row[1:]) if span else (None, row)
            rows[at, None if folded else tuple(rest[: len(keys)])] = rest[len(keys) :]
        expected = {}
        for (at, key), values in wanted.items():
            stamped = None if at is None else made("| count 1s", [line("a/b/c/d", "", at)]).rows[0][0]
            expected[stamped, key] = [
                len(values),
                *([] if of is None else [of_values(one, values) for one in measures]),
            ]
        assert rows == expected, text
        assert found.counted == sum(map(len, wanted.values()))
    assert folds > 2, "a bound that is never met proves nothing"


@pytest.mark.parametrize(
    ("text", "weight"),
    [("| haproxy by server", 600), ("| haproxy by path:bare", 800), ("| haproxy by status, src", 700)],
)
def test_statistics_of_haproxy_are_the_same_in_any_order_also_where_groups_are_folded(text: str, weight: int) -> None:
    chance = random.Random(text)
    lines = generated(chance, 400)
    whole = made(text, lines)
    requests = sum(int(row[whole.keys] or 0) for row in whole.rows)
    assert whole.others == []
    assert (requests, whole.without) == (whole.counted, len(lines) - whole.counted)
    for bounds in (Bounds(), Bounds(weight_max=weight)):
        found = made(text, lines, bounds)
        assert made(text, chance.sample(lines, len(lines)), bounds) == found
        assert sum(int(row[whole.keys] or 0) for row in [*found.rows, *found.others]) == requests
        assert [row for row in whole.rows if row in found.rows] == found.rows
    assert found.others


def test_the_report_of_haproxy_is_three_tables_and_percentiles_read_at_once() -> None:
    report = making_of(pipe("| haproxy"), None, None)
    for one in ALL:
        report.add(*one)
    tables = report.tables()
    assert {name: len(table.rows) for name, table in tables.items()} == {
        "total": 1, "servers": 4, "states": 3, "percentiles": 10,
    }  # fmt: skip
    assert {row[0]: row[1] for row in tables["states"].rows} == {"--": 2, "sQ": 1, "cD": 1}
    assert [table.without for table in tables.values()][:3] == [13] * 3
    assert making_of(pipe("| haproxy"), None, None).tables()["total"].rows[0][0] == 0


def test_the_lines_of_the_examples_have_what_they_are_tried_for() -> None:
    assert {FAILED, STOCK, TCP} <= {one[2](TEXT) for one in ALL}
