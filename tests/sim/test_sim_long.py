"""What ``make torture`` plays, in the long form of the tests."""

from __future__ import annotations

import pytest

from tests.sim import lab, thousand

SEEDS = range(20_000)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_no_invariant_is_violated_in_twenty_thousand_histories() -> None:
    result = lab.look(SEEDS, failures_max=1)
    thousand.judge(result, SEEDS)
    thousand.rich(result)
