"""The second thousand histories in which everything goes wrong. Two files, so that two cores share them."""

from __future__ import annotations

import pytest

from tests.sim import thousand
from tests.sim.lab import Result

SEEDS = range(1000, 2000)


@pytest.fixture(scope="module")
def result() -> Result:
    return thousand.played(SEEDS)


@pytest.mark.timeout(1700)
def test_no_invariant_is_violated_in_the_second_thousand_histories(result: Result) -> None:
    thousand.judge(result, SEEDS)


def test_everything_went_wrong_that_can_in_the_second_thousand_histories(result: Result) -> None:
    thousand.rich(result)
