"""A bench for the tests of the spool process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logship.spool.bench import SpoolBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SpoolBench]:
    """A bench on the ordinary disk, without a copy."""
    made = SpoolBench(tmp_path)
    yield made
    made.close()
