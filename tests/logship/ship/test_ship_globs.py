"""Which files patterns name, and which rotation made of those."""

from __future__ import annotations

from pathlib import Path

import pytest

from logship.ship.globs import Globs, Place


def looked(folder: Path, pattern: str, *names: str) -> list[tuple[str, str, bool]]:
    for name in names:
        (folder / name).write_bytes(b"x")
    troubles: list[str] = []
    found = Globs([str(folder / pattern)], troubles.append).look()
    assert all(isinstance(each, Place) for each in found)
    return [(Path(each.path).name, Path(each.family).name, each.rotated) for each in found]


@pytest.mark.parametrize("pattern", ["x.log", "*.log", "?.log", "[x].log"])
def test_what_rotation_made_of_a_file_comes_before_it_the_oldest_first(tmp_path: Path, pattern: str) -> None:
    assert looked(tmp_path, pattern, "x.log", "x.log.1", "x.log.10", "x.log.2", "x.log-20261123") == [
        ("x.log-20261123", "x.log", True),
        ("x.log.10", "x.log", True),
        ("x.log.2", "x.log", True),
        ("x.log.1", "x.log", True),
        ("x.log", "x.log", False),
    ]


@pytest.mark.parametrize("pattern", ["x.log", "*.log", "?.log", "[x].log"])
def test_what_was_rotated_is_found_also_before_its_writer_begins_a_new_file(tmp_path: Path, pattern: str) -> None:
    assert looked(tmp_path, pattern, "x.log.1", "x.log.2", "x.log.3.gz", "other.1", "y.txt") == [
        ("x.log.2", "x.log", True),
        ("x.log.1", "x.log", True),
    ]


def test_names_that_only_look_rotated_are_files_of_their_own_where_the_pattern_names_them(tmp_path: Path) -> None:
    assert looked(tmp_path, "*", "app-2", "lib.5") == [("app-2", "app-2", False), ("lib.5", "lib.5", False)]
