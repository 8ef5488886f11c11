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
def test_a_copy_that_is_proved_says_nothing_of_a_younger_one(family: Family) -> None:
    """A shipper that starts while a file is emptied proves the older copy first; the younger one is read by nobody."""
    family.families.settle(family.stored)
    assert not family.copy.settled
    release([*((key, found) for key, found in family.families.found.items())])
    assert family.copy.fresh, "it is a file of its own"
    assert not family.copy.copy


def test_an_original_that_is_proved_says_that_its_copies_hold_nothing_else(family: Family) -> None:
    family.families.settle(family.lane("x.log", named=True))
    assert family.copy.settled
    release([*((key, found) for key, found in family.families.found.items())])
    assert family.copy.copy, "it stays what it is"
