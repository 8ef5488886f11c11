"""The folder of checkpoints, and what a checkpoint is as text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from logship.errors import USAGE, Fault
from logship.ship import book
from logship.ship.book import Book, Damaged, server_name
from logship.ship.chain import Link, Origin
from logship.ship.checkpoint import Checkpoint, Flight, Proof, begun, parse_checkpoint
from logship.ship.http_sink import Place
from logship.values import Invalid, StreamPath
from tests.logship.ship.world import ORIGIN

PLACE = Place("logs.example", 4437)
SHA = "ab" * 32
FILE = Origin(
    "shop", "vm", "file", "20261123T201501Z-0a0b0c0d",
    (("host", "vm"), ("path", "/var/log/x.log"), ("device", "7"), ("inode", "9"), ("birth", "12")),
)  # fmt: skip


def checkpoint(origin: Origin = ORIGIN, **more: object) -> Checkpoint:
    path = StreamPath(f"{origin.service}/{origin.instance}/{origin.program}/{origin.incarnation}")
    return replace(begun(origin, Link(path, 0), 0), **more)  # type: ignore[arg-type]


WHOLE = checkpoint(
    end=4000, made=True, offset="0_4000", epoch=3, sequence=7, proof=Proof(4000, SHA),
    flight=Flight(10, SHA, Proof(4010 - 4000, SHA)), closing=True, closed=True, lost_bytes=5,
)  # fmt: skip


def test_a_checkpoint_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    kept = Book(tmp_path, PLACE)
    assert kept.read(WHOLE.incarnation, WHOLE.program) is None
    kept.write(WHOLE)
    assert kept.read(WHOLE.incarnation, WHOLE.program) == WHOLE
    kept.write(checkpoint())
    assert Book(tmp_path, PLACE).read(WHOLE.incarnation, WHOLE.program) == checkpoint()
    assert not list(kept.folder.glob(".*")), "no temporary file stays"


def test_another_server_has_other_checkpoints(tmp_path: Path) -> None:
    Book(tmp_path, PLACE).write(WHOLE)
    for other in (Place("logs.example", 4438), Place("logs.example", 4437, "/ds"), Place("::1", 4437)):
        assert Book(tmp_path, other).read(WHOLE.incarnation, WHOLE.program) is None
    assert len({server_name(Place("h", 1, prefix)) for prefix in ("/a/b", "/a_b", "_a_b")}) == 3
    assert len(server_name(Place("h" * 250, 1, "/x" * 200))) < 200


@pytest.mark.parametrize("cut", range(0, len(WHOLE.text()), 7))
def test_a_torn_checkpoint_is_never_taken_for_one(cut: int) -> None:
    assert isinstance(parse_checkpoint(WHOLE.text()[: max(0, cut - 1)]), Invalid)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"end": -1}, {"end": "7"}, {"base": 5000}, {"path": "../../x"}, {"sequence": 2**53}, {"offset": 4},
        {"proof": {"size": 10, "sha256": "zz"}}, {"proof": {"size": 1 << 20, "sha256": SHA}}, {"facts": []},
        {"flight": {"size": 3, "sha256": ""}}, {"end": True},
    ],
)  # fmt: skip
def test_what_cannot_be_is_no_checkpoint(change: dict[str, object]) -> None:
    fields = {**json.loads(WHOLE.text()), **change}
    assert isinstance(parse_checkpoint(json.dumps(fields).encode()), Invalid)


def test_a_damaged_checkpoint_is_told_with_its_path_and_what_to_do(tmp_path: Path) -> None:
    kept = Book(tmp_path, PLACE)
    kept.write(WHOLE)
    (path,) = kept.folder.glob("*.json")
    path.write_bytes(b"{")
    with pytest.raises(Damaged, match="is damaged; without it all that is held is sent anew") as caught:
        kept.read(WHOLE.incarnation, WHOLE.program)
    assert str(path) in str(caught.value.strerror)
    path.write_text(json.dumps({**json.loads(WHOLE.text()), "v": 9}))
    with pytest.raises(Damaged, match="has version 9, and only 1 is known here"):
        kept.read(WHOLE.incarnation, WHOLE.program)


def test_files_are_known_by_host_and_service_and_spools_are_not_among_them(tmp_path: Path) -> None:
    kept = Book(tmp_path, PLACE)
    kept.write(checkpoint(FILE))
    kept.write(WHOLE)
    known = kept.files("vm", "shop")
    assert [*known] == [FILE.incarnation]
    found = known[FILE.incarnation]
    assert (found.path, found.evidence.inode, found.evidence.birth, found.open) == ("/var/log/x.log", 9, 12, True)
    assert kept.files("other", "shop") == kept.files("vm", "other") == {}


def test_of_streams_that_are_over_the_youngest_checkpoints_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "CLOSED_MAX", 2)
    kept = Book(tmp_path, PLACE)
    for number in range(5):
        name = f"20261123T20150{number}Z-0a0b0c0d"
        kept.write(checkpoint(replace(ORIGIN, incarnation=name), closed=number != 1))
    kept.prune()
    left = sorted(path.name[14:15] for path in kept.folder.glob("*.json"))
    assert left == ["1", "3", "4"]


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Fault, match="cannot keep checkpoints in") as caught:
        Book(tmp_path / "file", PLACE)
    assert caught.value.status == USAGE
