"""The spool folder as PID 1 makes it."""

from __future__ import annotations

import os
from pathlib import Path

from supervise.init.folders import begin_spool, make_spool


def test_the_folders_of_all_streams_are_there_before_the_spool_has_its_name(tmp_path: Path) -> None:
    """Then a crash of the host can take a stream's bytes, but not that there was a stream (ship closes it by that)."""
    path, lock = make_spool(tmp_path, "webapp", "3f2a9c", ["webapp", "spool"], 100)
    os.close(lock)
    assert sorted(each.name for each in path.iterdir() if each.is_dir()) == [
        "spool",
        "supervise",
        "supervisord",
        "webapp",
    ]


def test_the_volume_is_preferred_and_nothing_is_said_then(tmp_path: Path) -> None:
    path, lock, why = begin_spool(tmp_path / "run", tmp_path / "volume", "webapp", "3f2a9c", ["web"], 100)
    os.close(lock)
    assert path.parent == tmp_path / "volume"
    assert why == ""
