"""What a proof of one file of a family says of the copies beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.ship.chain import Origin
from logship.ship.copies import Found
from logship.ship.families import Families, release
from logship.ship.followed import FileSource, open_file
from logship.ship.globs import Place
from logship.ship.identity import PROGRAM
from logship.ship.sender import Sender
from logship.ship.sources import Lane
from logship.values import StreamPath


class Family:
    """``x.log`` with two copies: what was stored of it is in ``x.log.2``, what it had after that in ``x.log.1``."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "x.log"
        for name in ("x.log", "x.log.2", "x.log.1"):
            (folder / name).write_bytes(f"{name}\n".encode())
        self.families = Families("host")
        self.stored = self.lane("x.log.2", named=False)
        self.copy = self._found("x.log.1")

    def lane(self, name: str, *, named: bool) -> Lane:
        """A file of the family that is followed."""
        path = str(self.log.with_name(name))
        source = FileSource(open_file(path), path)
        source.named = named
        lane = Lane(source, Sender(Origin("shop", "host", PROGRAM, f"id-{name}", ())))
        facts = os.stat(path)  # noqa: PTH116
        self.families.lanes[facts.st_dev, facts.st_ino] = lane
        self.families.of[lane] = os.path.realpath(self.log)
        return lane

    def _found(self, name: str) -> Found:
        path = str(self.log.with_name(name))
        facts = os.stat(path)  # noqa: PTH116
        found = Found(open_file(path), Place(path, os.path.realpath(self.log), True), copy=True)
        self.families.found[facts.st_dev, facts.st_ino] = found
        return found

    def close(self) -> None:
        for lane in self.families.lanes.values():
            lane.source.close()
        for found in self.families.found.values():
            found.file.close()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    made = Family(tmp_path)
    yield made
    made.close()


@pytest.mark.case(39)
def test_a_copy_that_does_not_hold_what_is_stored_is_asked_about_again(family: Family) -> None:
    """A shipper that starts while a file is emptied proves the older copy first; the younger one is read by nobody."""
    release([*family.families.found.items()])
    assert not family.copy.copy
    found = family.families.assign({}, {}, 10**18)
    assert [*found] == [*family.families.found], "it is a file of its own"


def test_a_copy_all_of_which_is_stored_stays_what_it_is(family: Family) -> None:
    family.copy.stored = StreamPath("shop/host/file/id")
    assert not family.families.copies(family.stored), "nobody looks in it for what is missing"
    release([*family.families.found.items()])
    assert family.copy.copy
    assert family.families.assign({}, {}, 10**18) == {}
