"""The two that a contract binds: the simulated operating system and the real one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.contract import Fake, Machine, Real


@pytest.fixture(params=["simulated", "real"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    made: Machine = Fake() if request.param == "simulated" else Real(tmp_path)
    yield made
    made.end()
