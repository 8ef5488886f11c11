"""Alerts for tests: rules as the file makes them, and lines that they count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from logship.view.alerts.declaring import parse_rule
from logship.view.alerts.rule import OF_ALL, OfAll, Rule
from logship.view.saved import Saved

T0 = 1_795_464_000_000
HOOK = "http://127.0.0.1:9/hook"
QUERIES = {"errors": Saved("errors", "status:5xx"), "table": Saved("table", "| count by server")}


def rule(**said: Any) -> Rule:
    """One as the file would make it."""
    table = {"query": "status:5xx", "above": 3, "window": "1m", "every": "10s", "resolve_after": "20s", **said}
    found = parse_rule("it", {key: value for key, value in table.items() if value is not None}, OfAll(OF_ALL), QUERIES)
    assert isinstance(found, Rule), found
    return found


Lines = list[tuple[int, tuple[str, ...]]]

thresholds = st.sampled_from([
    {"above": 2}, {"above": 4, "clear": 1}, {"above": 0}, {"above": None, "below": 2},
    {"above": None, "below": 1, "clear": 3}, {"above": None, "absent": True},
])  # fmt: skip
rules = st.builds(
    lambda threshold, for_s, resolve, by, forget: rule(
        **threshold, **{"for": for_s}, resolve_after=resolve, by=by, forget=forget
    ),
    thresholds, st.sampled_from(["0s", "10s", "30s"]), st.sampled_from(["0s", "20s", "1m"]),
    st.sampled_from([[], ["server"]]), st.sampled_from(["30s", "5m"]),
)  # fmt: skip
gaps = st.lists(
    st.tuples(st.one_of(st.integers(0, 9_000), st.sampled_from([0, 10_000, 60_000, 700_000])), st.integers(0, 2)),
    max_size=60,
)


def lines_of(one: Rule, said: Sequence[tuple[int, int]]) -> Lines:
    """Lines with so many milliseconds between them, each of one of three servers."""
    at, found = T0 + 1, list[tuple[int, tuple[str, ...]]]()
    for gap, server in said:
        at += gap
        found.append((at, (f"s{server}",) if one.by else ()))
    return found
