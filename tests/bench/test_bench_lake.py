"""What the benchmark of sealing concludes from its numbers, and that it compares what both wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.lake import Round, judge, make_store, plain
from logship.lake.folder import load
from tests.logship.lake.lakes import seal


@pytest.mark.parametrize(
    ("rounds", "said"),
    [
        ([Round(100, 4, 2, 0.3, 400), Round(100, 5, 2, 0.3, 400), Round(100, 9, 2, 0.3, 400)], ""),
        ([Round(100, 6, 2, 0.3, 400)], "ratio 0.33, at least 0.4"),
        ([Round(100, 4, 2, 0.3, 400), Round(100, 4, 2, 0.3, 513)], "memory"),
        ([Round(100, 4, 2, 0.41, 400)], "stored bytes"),
    ],
)
def test_a_target_that_is_missed_is_said(rounds: list[Round], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(rounds) == (1 if said else 0)
    assert said in capsys.readouterr().out


def test_plain_duckdb_writes_the_same_rows_or_nothing_counts(tmp_path: Path) -> None:
    make_store(tmp_path / "store", 1)
    manifest = seal(tmp_path / "store").manifest
    assert plain(tmp_path / "store", tmp_path / "plain.parquet") > 0
    assert manifest == load(tmp_path / "store")
    assert sum(file.raw_bytes for file in manifest.files) > 1 << 20
