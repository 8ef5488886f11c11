"""The first thousand histories in which everything goes wrong; `make torture` plays more. Two files, two cores."""

from __future__ import annotations

import pytest

from tests.sim import thousand
from tests.sim.lab import Result

SEEDS = range(1000)


@pytest.fixture(scope="module")
def result() -> Result:
    return thousand.played(SEEDS)


@pytest.mark.timeout(1700)
def test_no_invariant_is_violated_in_the_first_thousand_histories(result: Result) -> None:
    thousand.judge(result, SEEDS)


def test_everything_went_wrong_that_can_in_the_first_thousand_histories(result: Result) -> None:
    thousand.rich(result)
