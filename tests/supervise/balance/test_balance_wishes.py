"""What operators asked for is kept in a file that is checked like any other input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.balance.wishes import Wishes, read_wishes

NAME = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)


@given(st.frozensets(NAME), st.dictionaries(NAME, st.integers(0, 256)))
def test_wishes_come_back_from_their_file_as_they_were(drained: frozenset[str], weights: dict[str, int]) -> None:
    wishes = Wishes(drained, weights)
    assert read_wishes(wishes.text()) == wishes


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", '{"v": 2}', '{"v": 1, "drain": 3}', '{"v": 1, "weight": []}', '{"v": 1, "drain": ["a b"]}',
        '{"v": 1, "weight": {"a": 257}}', '{"v": 1, "weight": {"a": true}}', '{"v": 1, "weight": {"../a": 1}}',
        '{"v": 1, "drain": [["a"]]}', '{"v": 1, "weight": {"a": 1.5}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_what_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(it is no|\"drain\"|a name in it|a weight in it)"):
        read_wishes(text)


def test_a_weight_ends_a_drain_and_ready_ends_both() -> None:
    wishes = Wishes().drain("a").weigh("a", 7)
    assert wishes.weight("a", 100) == 7
    assert wishes.drain("a").weight("a", 100) == 0
    assert wishes.drain("a").ready("a") == Wishes()


def test_wishes_for_servers_that_are_gone_can_be_forgotten() -> None:
    assert Wishes().drain("a").weigh("b", 5).only({"b"}) == Wishes(weights={"b": 5})
