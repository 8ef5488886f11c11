"""The last list of files, which holds for those that waited when it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.ship.chain import Link
from logship.ship.copies import Found, Key
from logship.ship.families import Families
from logship.ship.followed import open_file
from logship.ship.globs import Place
from logship.ship.identity import Evidence, Known
from logship.ship.lately import Lately
from logship.values import StreamPath

NOW = 10**18


class Waiting:
    """Files that wait, and are opened one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.families = Families("host")
        self.lately = Lately()
        self.rotated: set[str] = set()

    def write(self, name: str) -> Key:
        path = self.folder / name
        path.write_bytes(b"line\n")
        facts = path.stat()
        return facts.st_dev, facts.st_ino

    def open(self, name: str, *, fresh: bool = False) -> Evidence:
        """It is open, and nobody knows yet which one it is."""
        path = self.folder / name
        file = open_file(str(path))
        family = str(self.folder / "x.log") if name.startswith("x.log") else str(path)
        place = Place(str(path), family, family != str(path))
        self.families.found[file.evidence.device, file.evidence.inode] = Found(file, place, fresh=fresh)
        return file.evidence

    def follow(self, *others: str) -> dict[Key, Known]:
        """Those that are followed now; as ``Files`` does, they are not in question any more."""
        found = self.families.assign_alone(self.lately, self.rotated, NOW, others)
        for key in found:
            self.families.found.pop(key).file.close()
        return found

    def close(self) -> None:
        for found in self.families.found.values():
            found.file.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Waiting]:
    made = Waiting(tmp_path)
    yield made
    made.close()


def of(evidence: Evidence, name: str) -> Known:
    path = StreamPath(f"shop/host/file/{name}")
    return Known(name, evidence, open=True, links=[Link(path, 0)], sizes={path: 5})


def test_what_waited_when_the_list_was_asked_for_is_in_it_or_new(files: Waiting) -> None:
    old, new = files.write("old.log"), files.write("new.log")
    files.lately.asked([old, new])
    evidence = files.open("old.log")
    files.lately.came({"old": of(evidence, "old")})
    assert files.follow() == {old: of(evidence, "old")}
    files.open("new.log")
    (found,) = files.follow().values()
    assert not found.links


def test_what_came_later_is_asked_about(files: Waiting) -> None:
    early = files.write("early.log")
    files.lately.asked([early])
    late = files.write("late.log")
    files.lately.came({})
    files.open("late.log")
    assert files.follow() == {}
    assert late in files.families.waiting
    files.open("early.log")
    assert [*files.follow()] == [early]


def test_a_file_that_was_followed_is_asked_about_when_it_waits_again(files: Waiting) -> None:
    key = files.write("x.log")
    files.lately.asked([key])
    files.lately.came({})
    files.lately.asked([key])  # once more, and it is followed while that is on its way
    files.open("x.log")
    assert [*files.follow()] == [key]
    files.lately.came({})
    files.open("x.log")
    assert files.follow() == {}


def test_a_family_of_several_is_asked_about_as_a_whole(files: Waiting) -> None:
    keys = [files.write("x.log"), files.write("x.log.1")]
    files.lately.asked(keys)
    files.lately.came({})
    files.open("x.log.1")
    assert files.follow() == {}, "a rotated file may be a copy"
    files.open("x.log")
    assert files.follow() == {}, "there is a rotated one"
    files.families.found.pop(keys[1]).file.close()
    files.rotated = {str(files.folder / "x.log")}
    assert files.follow() == {}, "there is one that is not open"
    files.rotated = set()
    assert [*files.follow()] == [keys[0]]


def test_a_file_that_was_taken_for_gone_or_emptied_is_asked_about(files: Waiting) -> None:
    key = files.write("x.log")
    files.lately.asked([key])
    evidence = files.open("x.log", fresh=True)
    files.lately.came({"gone": of(evidence, "gone")})
    assert files.follow() == {}, "its copy has what is stored"
    files.families.found[key].fresh = False
    assert files.follow("gone") == {}


def test_a_list_that_is_not_to_be_trusted_any_more_says_nothing(files: Waiting) -> None:
    for at in ("asked", "came"):
        key = files.write(f"{at}.log")
        files.lately.asked([key])
        if at == "asked":
            files.lately.over()
        files.lately.came({})
        if at == "came":
            files.lately.over()
        files.open(f"{at}.log")
        assert files.follow() == {}
