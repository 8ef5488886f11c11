"""What grows wakes the shipper, under whatever name and however it is written."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from logship.ship import watch
from logship.ship.watch import Watch, of_descriptor

WAIT_SECONDS = 60


class Woken:
    """A watch, and what it said."""

    def __init__(self) -> None:
        self.said: SimpleQueue[None] = SimpleQueue()
        self.watch = Watch(lambda: self.said.put(None))

    def comes(self) -> bool:
        """Whether a wake-up comes; all that came is forgotten then."""
        try:
            self.said.get(timeout=WAIT_SECONDS)
        except Empty:
            return False
        return True


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    path = tmp_path / "x.log"
    path.write_bytes(b"first\n")
    descriptor = os.open(path, os.O_RDONLY)
    yield path, descriptor
    os.close(descriptor)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"line\n")


def test_a_file_that_grows_wakes_also_after_it_was_renamed(woken: Woken, followed: tuple[Path, int]) -> None:
    path, descriptor = followed
    woken.watch.keep({("a",): of_descriptor(descriptor)})
    append(path)
    assert woken.comes()
    append(path.rename(path.with_name("x.log.1")))
    assert woken.comes()


def test_what_is_written_in_a_folder_wakes(woken: Woken, tmp_path: Path) -> None:
    woken.watch.keep({("a",): str(tmp_path)})
    (tmp_path / "00000000000000000000").write_bytes(b"segment")
    assert woken.comes()
    source, sink = os.pipe()
    os.write(sink, b"more")
    target = os.open(tmp_path / "00000000000000000000", os.O_WRONLY)
    woken.said = SimpleQueue()
    os.splice(source, target, 4, offset_dst=7)
    assert woken.comes(), "a splice, as spool writes"
    for descriptor in (source, sink, target):
        os.close(descriptor)


def test_a_watch_that_is_not_wanted_any_more_is_given_back(tmp_path: Path) -> None:
    woken, paths = Woken(), [tmp_path / name for name in ("old", "new")]
    for path in paths:
        path.write_bytes(b"")
    woken.watch.keep({("old",): str(paths[0])})
    woken.watch.keep({("new",): str(paths[1])})
    assert woken.comes(), "the old watch says that it is gone"
    append(paths[1])
    assert woken.comes()


def test_what_cannot_be_watched_is_left_to_the_clock(
    woken: Woken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken.watch.keep({("a",): str(tmp_path / "nowhere")})

    class NoMore:
        """A kernel with no more instances of inotify."""

        @staticmethod
        def inotify_init1(_flags: int) -> int:
            return -1

    threads = threading.active_count()
    monkeypatch.setattr(watch, "_libc", NoMore)
    other = Woken()
    other.watch.keep({("a",): str(tmp_path)})
    other.watch.keep({("b",): str(tmp_path)})
    assert threading.active_count() == threads
