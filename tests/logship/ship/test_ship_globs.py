"""Which files patterns name, and which rotation made of those."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from logship.ship import globs
from logship.ship.globs import KEPT_SECONDS, SETTLED_SECONDS, Globs, Place


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


class Folder:
    """A folder that says when it changed last; ``clock`` is that of the looks."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str = "*.log") -> None:
        self.path, self.clock = path, 0.0
        self.changed_ns = time.time_ns() - int((SETTLED_SECONDS + 1) * 1e9)
        monkeypatch.setattr(globs, "_stamp", lambda folder: globs._Stamp(1, len(folder), self.changed_ns))
        self._globs = Globs([str(path / pattern)], lambda _: None, lambda: self.clock)

    def makes(self, name: str) -> None:
        (self.path / name).write_bytes(b"x")

    def looked(self) -> list[str]:
        return [Path(each.path).name for each in self._globs.look()]


def test_names_are_read_again_when_the_folder_says_that_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path, monkeypatch)
    folder.makes("a.log")
    assert folder.looked() == ["a.log"]
    folder.makes("b.log")
    assert folder.looked() == ["a.log"], "it does not say so"
    folder.changed_ns += 1
    assert folder.looked() == ["a.log", "b.log"]


def test_names_are_read_again_after_a_while_whatever_the_folder_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path, monkeypatch)
    assert folder.looked() == []
    folder.makes("a.log")
    folder.clock = KEPT_SECONDS - 0.1
    assert folder.looked() == []
    folder.clock = KEPT_SECONDS
    assert folder.looked() == ["a.log"]


def test_names_are_read_at_each_look_where_a_change_may_not_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path, monkeypatch)
    folder.changed_ns = time.time_ns()  # the next change may fall into the same tick
    assert folder.looked() == []
    folder.makes("a.log")
    assert folder.looked() == ["a.log"]
    (tmp_path / "sub").mkdir()
    for pattern in ("*/*.log", "**/*.log"):
        deep = Folder(tmp_path, monkeypatch, pattern)
        before = len(deep.looked())
        deep.makes(f"sub/{before}.log")
        assert len(deep.looked()) == before + 1, "folders that a pattern names are not known beforehand"


@pytest.mark.parametrize("pattern", ["*.log", "x.log"])
def test_a_real_folder_says_that_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    monkeypatch.setattr(globs, "SETTLED_SECONDS", -3600.0)
    made = Globs([str(tmp_path / "logs" / pattern)], lambda _: None)
    log = tmp_path / "logs" / "x.log"
    assert made.look() == [], "there is no folder"
    log.parent.mkdir()
    made.look()
    scratch = tmp_path / "scratch"
    for step in (log.touch, lambda: log.rename(f"{log}.1"), lambda: log.with_name("x.log.1").unlink()):
        while tmp_path.stat().st_ctime_ns <= log.parent.stat().st_ctime_ns:  # until the clock has gone on
            scratch.touch()
            scratch.unlink()
        step()
        found = [Path(each.path).name for each in made.look()]
        assert found == [each.name for each in log.parent.iterdir()]
