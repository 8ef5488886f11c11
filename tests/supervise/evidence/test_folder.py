"""The folder of the evidence: made, replaced when it is one, refused when it holds anything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logship.errors import USAGE, Fault
from supervise.evidence.folder import Folder


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "a" / "b")
    folder.prepare()
    folder.write("logs/task 0/x.json", {"ä": [1]})
    folder.write("logs/task 0/x.txt", "ä\n")
    folder.write("logs/task 0/x.bin", b"\xff")
    assert json.loads(folder.read("logs/task 0/x.json") or b"") == {"ä": [1]}
    assert folder.read("logs/task 0/x.txt") == "ä\n".encode()
    assert folder.read("logs/task 0/x.bin") == b"\xff"
    assert folder.read("nothing") is None
    assert folder.read("logs") is None


def test_evidence_of_an_earlier_walk_is_replaced_whole(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.prepare()
    folder.write("logs/task 0/old.txt", "old")
    folder.write("report.md", "old")
    Folder(tmp_path).prepare()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence.json"]


def test_a_folder_with_anything_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(Fault, match=r"it holds thesis\.tex") as caught:
        Folder(tmp_path).prepare()
    assert caught.value.status == USAGE
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_a_fault_of_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Fault) as caught:
        Folder(tmp_path / "file" / "below").prepare()
    assert caught.value.status == USAGE
