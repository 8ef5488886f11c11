"""Who may work on a spool folder, which folders are orphans, and how they end: real folders, real locks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.ship.folder import SpoolFolder
from logship.ship.places import NEW_EMPTY_SECONDS, NEW_SECONDS, Places
from logship.ship.removal import remove_tree
from supervise.init.folders import make_spool
from tests.logship.ship.spools import Spool

OTHER = "20261123T201502Z-00000002"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path)
    yield made
    made.end()


def look(*folders: Path) -> list[str]:
    """The names of the orphans; trouble is none."""
    troubles: list[str] = []
    found = Places(folders, troubles.append).look(())
    assert troubles == []
    return [path.name for path in found]


def hold(path: Path) -> int:
    """Another process's lock, as far as flock can tell."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def open_files(folder: Path) -> list[str]:
    """The files in a folder that this process has open; what else it has, other tests' leavings among it, may go."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(descriptor.readlink()))
    return sorted(name for name in found if name.startswith(f"{folder}/"))


def test_the_folder_of_a_living_pid_1_is_nobody_s_orphan_and_cannot_be_adopted(spool: Spool) -> None:
    assert look(spool.path.parent) == []
    assert not SpoolFolder(spool.path).adopt()
    spool.end()
    assert look(spool.path.parent) == [spool.incarnation]
    assert SpoolFolder(spool.path).adopt()


def test_a_look_keeps_no_lock(spool: Spool) -> None:
    spool.end()
    before = open_files(spool.path)
    for _ in range(3):
        assert look(spool.path.parent) == [spool.incarnation]
    assert open_files(spool.path) == before
    assert SpoolFolder(spool.path).adopt()


@pytest.mark.parametrize("held", ["alive", "ship", "spool"])
def test_each_of_the_three_locks_keeps_an_adopter_out_who_then_holds_none(spool: Spool, held: str) -> None:
    for name in ("ship", "spool"):
        (spool.path / name).mkdir()
    spool.end()
    other = hold(spool.path / held)
    folder, before = SpoolFolder(spool.path), open_files(spool.path)
    assert not folder.adopt()
    assert not folder.adopted
    assert open_files(spool.path) == before
    os.close(other)
    assert folder.adopt()


def test_of_two_adopters_one_succeeds_and_the_other_finds_nothing_when_it_is_done(spool: Spool) -> None:
    spool.end()
    first, second = SpoolFolder(spool.path), SpoolFolder(spool.path)
    assert first.adopt()
    assert not second.adopt()
    assert look(spool.path.parent) == []
    first.remove()
    assert not second.adopt()
    assert [*spool.path.parent.iterdir()] == []
    assert not first.adopted


def test_whoever_opened_a_lock_before_the_folder_went_does_not_take_it_for_one(spool: Spool) -> None:
    """The name is compared after the lock was taken: it may be nobody's, or another folder's."""
    spool.end()
    first, late = SpoolFolder(spool.path), SpoolFolder(spool.path)
    assert first.adopt()
    late_descriptor = os.open(spool.path / "alive", os.O_RDWR)
    first.remove()
    fcntl.flock(late_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the file is gone, its lock is free
    assert not late.ended()
    again = Spool(spool.path.parent)
    assert not late.ended()
    again.end()
    os.close(late_descriptor)


def test_a_shipper_of_its_own_ended_folder_and_an_adopter_keep_each_other_out(spool: Spool) -> None:
    spool.end()
    own, adopter = SpoolFolder(spool.path), SpoolFolder(spool.path)
    assert own.lock()
    assert not adopter.adopt()
    assert own.ended()
    assert not adopter.adopt()
    own.release()
    assert adopter.adopt()
    assert not own.lock()
    assert not own.ended()


def test_folders_of_services_are_looked_into_one_level_deep_and_nothing_else_is_touched(tmp_path: Path) -> None:
    spools = [Spool(tmp_path / "ha"), Spool(tmp_path / "webapp", OTHER), Spool(tmp_path / "a" / "b", OTHER[:-1] + "3")]
    for spool in spools:
        spool.end()
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "ha" / "copied").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "file").write_text("x")
    assert look(tmp_path) == [spools[0].incarnation, OTHER]
    assert look(tmp_path / "ha", tmp_path / "ha", tmp_path) == [spools[0].incarnation, OTHER]
    assert len([*tmp_path.iterdir()]) == 6


def test_a_folder_that_is_not_there_is_told_and_the_others_are_looked_at(spool: Spool) -> None:
    spool.end()
    troubles: list[str] = []
    found = Places([spool.path.parent / "none", spool.path.parent], troubles.append).look(())
    assert [path.name for path in found] == [spool.incarnation]
    assert troubles == [f"cannot look for orphans in {spool.path.parent / 'none'}: No such file or directory"]


def test_what_a_killed_adopter_left_called_gone_is_removed_by_whoever_looks_next(spool: Spool) -> None:
    spool.write("web", b"x")
    spool.end()
    (spool.path / "web" / "link").symlink_to("/etc")
    spool.path.rename(spool.path.with_name(f".gone-{spool.incarnation}"))
    assert look(spool.path.parent) == []
    assert [*spool.path.parent.iterdir()] == []
    remove_tree(spool.path)  # what is gone is no trouble


def aged(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_what_a_pid_1_left_that_was_killed_while_it_began_is_removed_in_time_and_not_before(tmp_path: Path) -> None:
    new = [tmp_path / f".new-{OTHER[:-1]}{digit}" for digit in range(4)]
    for path in new:
        path.mkdir()
    (new[0] / "alive").touch()
    (new[1] / "alive").touch()
    held = hold(new[1] / "alive")
    aged(new[0], NEW_SECONDS - 10)
    aged(new[1], 10 * NEW_EMPTY_SECONDS)
    aged(new[2], NEW_EMPTY_SECONDS - 10)
    aged(new[3], NEW_EMPTY_SECONDS + 10)
    assert look(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == new[:3]
    aged(new[0], NEW_SECONDS + 10)
    os.close(held)
    assert look(tmp_path) == []
    assert [*tmp_path.iterdir()] == [new[2]]


def test_pid_1_makes_its_folder_under_the_eyes_of_adopters(tmp_path: Path) -> None:
    """Made, seen, ended, adopted: never is there a moment at which a folder that is being made looks like an orphan."""
    for _ in range(20):
        path, lock = make_spool(tmp_path, "webapp", "3f2a9c", ["web"], 3)
        assert look(tmp_path) == []
        os.close(lock)
        assert look(tmp_path) == [path.name]
        folder = SpoolFolder(path)
        assert folder.adopt()
        again, lock = make_spool(tmp_path, "webapp", "3f2a9c", ["web"], 3)  # `docker start` meanwhile
        assert again != path
        folder.remove()
        assert look(tmp_path) == []
        os.close(lock)
        remove_tree(again)


def test_the_instance_is_noted_for_whoever_comes_after(spool: Spool) -> None:
    folder = SpoolFolder(spool.path)
    assert folder.instance() is None
    folder.note_instance("2", "3f2a9c" * 10)
    assert SpoolFolder(spool.path).instance() == ("2", "3f2a9c" * 10)
    for bad in ("", "[]", '{"instance": "../x", "container": "a"}', '{"instance": 2, "container": "a"}'):
        (spool.path / "instance").write_text(bad)
        assert folder.instance() is None, bad


def test_the_files_that_programs_declare_are_read_where_pid_1_notes_them(tmp_path: Path) -> None:
    path, lock = make_spool(tmp_path, "webapp", "3f2a9c", ["web"], 3, ["/var/log/x.log"])
    assert SpoolFolder(path).files == ("/var/log/x.log",)
    os.close(lock)


@pytest.mark.case(111)
def test_an_identity_of_an_earlier_version_declares_no_files(spool: Spool) -> None:
    assert SpoolFolder(spool.path).files == ()
