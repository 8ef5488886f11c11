"""What an adopter does at which turn: bounded, patient where nobody answers, careful with what it does not know."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.ship.adopter import LOOK_SECONDS, Adopter
from logship.ship.adoption import ADOPTED_MAX, ASIDE_SECONDS, AWAY_SECONDS, STALLED_SECONDS
from logship.ship.folder import SpoolFolder
from logship.ship.sources import Lane, Sources
from logship.ship.states import State
from tests.logship.ship.spools import Spool


class Desk:
    """An adopter, its sources, and the clock."""

    def __init__(self, place: Path, own: Spool | None = None, at_once: bool = True) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.forgotten: list[Lane] = []
        folders = [SpoolFolder(own.path)] if own else []
        self.sources = Sources(folders, "1", self._say)
        self.adopter = Adopter([place], self.sources, self._say, self.forgotten.append, at_once)
        self.now = 0.0

    def _say(self, _level: str, event: str, **fields: Any) -> None:
        self.said.append((event, fields))

    def turn(self, seconds: float = LOOK_SECONDS, calm: bool = True) -> None:
        """Time passes, and there is a turn."""
        self.now += seconds
        self.adopter.turn(self.now, 0.5, calm)
        for lane, held in self.sources.look(self.now, whole=True):
            lane.sender.looked(held, self.now, 0.5)

    def adopted(self) -> set[str]:
        return {incarnation for incarnation, _ in self.sources.lanes}

    def events(self) -> list[str]:
        return [event for event, _ in self.said]

    def end(self) -> None:
        for lane in self.sources.lanes.values():
            if lane.folder is not None:
                lane.folder.release()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "spools"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "own", "20261123T201500Z-00000000")
    yield made
    made.end()


def orphan(place: Path, number: int = 1) -> Spool:
    made = Spool(place, f"20261123T2016{number:02}Z-00000000")
    made.write("web", b"x")
    made.end()
    return made


def is_free(spool: Spool) -> bool:
    """Whether anybody else could adopt it."""
    other = SpoolFolder(spool.path)
    free = other.adopt()
    other.release()
    return free


def test_so_many_are_adopted_at_a_time_and_the_next_when_one_is_done(place: Path) -> None:
    spools = [orphan(place, number) for number in range(ADOPTED_MAX + 2)]
    desk = Desk(place)
    desk.turn()
    desk.turn()
    assert desk.adopted() == {spool.incarnation for spool in spools[:ADOPTED_MAX]}
    assert not desk.adopter.done
    for lane in desk.sources.lanes.values():
        lane.sender.state = State.DRAINED  # all of it is stored
    desk.turn()
    desk.turn()
    assert desk.adopter.removed == ADOPTED_MAX
    assert desk.adopted() == {spool.incarnation for spool in spools[ADOPTED_MAX:]}
    assert len(desk.forgotten) == ADOPTED_MAX * 3  # web, ship, spool
    assert sorted(path.name for path in place.iterdir()) == sorted(desk.adopted())
    desk.end()


def test_while_the_collector_is_away_none_is_adopted_and_those_that_are_are_given_back(place: Path, own: Spool) -> None:
    first = orphan(place)
    desk = Desk(place, own)
    desk.turn(calm=False)
    assert desk.adopted() == {own.incarnation}
    desk.turn()
    assert desk.adopted() == {own.incarnation, first.incarnation}
    desk.turn(AWAY_SECONDS - 1, calm=False)
    assert first.incarnation in desk.adopted()
    assert not is_free(first)
    desk.turn(2, calm=False)
    assert first.incarnation not in desk.adopted()
    assert is_free(first)
    desk.turn()
    assert first.incarnation in desk.adopted(), "the collector is there again"
    desk.end()


def test_whoever_has_no_lines_of_its_own_finds_out_by_adopting(place: Path) -> None:
    left = orphan(place)
    desk = Desk(place)
    desk.turn(calm=False)
    desk.turn(2 * STALLED_SECONDS, calm=False)
    assert desk.adopted() == {left.incarnation}
    desk.end()


def test_a_folder_is_not_let_go_while_a_request_is_out(place: Path, own: Spool) -> None:
    left = orphan(place)
    desk = Desk(place, own)
    desk.turn()
    lane = desk.sources.lanes[left.incarnation, "web"]
    lane.sender.out = True
    desk.turn(2 * AWAY_SECONDS, calm=False)
    assert left.incarnation in desk.adopted()
    lane.sender.out = False
    desk.turn(calm=False)
    assert left.incarnation not in desk.adopted()
    desk.end()


@pytest.mark.parametrize("how", ["parked", "stalled"])
def test_what_cannot_be_shipped_is_kept_told_once_and_tried_again_later(place: Path, how: str) -> None:
    left = orphan(place)
    desk = Desk(place)
    for _ in range(3):
        desk.turn()
        desk.turn()
        for (incarnation, _), lane in desk.sources.lanes.items():
            if how == "parked" and incarnation == left.incarnation:
                lane.sender.state, lane.sender.trouble = State.PARKED, "refused: 403"
        desk.turn(STALLED_SECONDS + 1)
        assert desk.adopted() == set()
        desk.turn()
        assert desk.adopted() == set()
        assert is_free(left)
        desk.turn(ASIDE_SECONDS)
    assert desk.events().count("orphan kept") == 1
    assert [*desk.adopter.kept.values()] == ["refused: 403" if how == "parked" else "web does not come along"]
    desk.end()


def test_of_two_copies_one_is_adopted_and_the_other_told(tmp_path: Path) -> None:
    """Else the one would go with the streams of the other."""
    left = orphan(tmp_path / "places" / "one")
    shutil.copytree(tmp_path / "places" / "one", tmp_path / "places" / "two")
    shutil.copytree(left.path, left.path.with_name("20261123T201659Z-11111111"))
    desk = Desk(tmp_path / "places")
    desk.turn()
    desk.turn()
    assert desk.adopted() == {left.incarnation}
    told = [str(fields["text"]) for event, fields in desk.said if event == "trouble"]
    assert len(told) == 2
    assert all("it is a copy" in text for text in told)
    desk.end()


@pytest.mark.case(111)
def test_a_folder_without_identity_or_of_another_format_is_told_once_and_left(place: Path) -> None:
    spools = [orphan(place, number) for number in (1, 2)]
    (spools[0].path / "identity.json").unlink()
    (spools[1].path / "identity.json").write_text('{"v": 2, "service": "a", "host": "b", "incarnation": "c"}')
    desk = Desk(place)
    for _ in range(3):
        desk.turn()
    assert desk.adopted() == set()
    assert desk.events() == ["trouble", "trouble"]
    assert desk.adopter.done
    assert all(spool.content("web") == b"x" for spool in spools)


def test_one_that_cannot_be_removed_is_kept_and_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = orphan(place)
    desk = Desk(place)
    desk.turn()
    for lane in desk.sources.lanes.values():
        lane.sender.state = State.DRAINED

    def refuse(_self: Path, _target: Path) -> Path:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    desk.turn()
    desk.turn()
    assert desk.adopter.kept == {
        str(left.path): "all of it is shipped, but it cannot be removed: Read-only file system"
    }
    assert is_free(left)


def test_a_sibling_gives_the_next_life_of_the_container_time(place: Path, own: Spool) -> None:
    left = orphan(place)
    left_by_me = Spool(place, "20261123T201602Z-00000000", host=Sources([], "1", print).host)
    left_by_me.end()
    desk = Desk(place, own, at_once=False)
    desk.turn()
    assert desk.adopted() == {own.incarnation, left_by_me.incarnation}
    desk.turn(1)
    assert left.incarnation not in desk.adopted()
    desk.turn(10)
    assert left.incarnation in desk.adopted()
    desk.end()
