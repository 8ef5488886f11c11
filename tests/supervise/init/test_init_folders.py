"""The spool folder as PID 1 makes it."""

from __future__ import annotations

import os
from pathlib import Path

from logship.ship.folder import SpoolFolder
from supervise.init.cli import NUMBER_SECONDS, named
from supervise.init.folders import begin_spool, make_spool
from supervise.init.values import Declaration, Program


def test_the_folders_of_all_streams_are_there_before_the_spool_has_its_name(tmp_path: Path) -> None:
    """Then a crash of the host can take a stream's bytes, but not that there was a stream (ship closes it by that)."""
    path, lock = make_spool(tmp_path, "webapp", "3f2a9c", ["webapp", "spool"], 100)
    os.close(lock)
    assert sorted(each.name for each in path.iterdir() if each.is_dir()) == [
        "spool",
        "supervise",
        "supervisord",
        "webapp",
    ]


def test_the_volume_is_preferred_and_nothing_is_said_then(tmp_path: Path) -> None:
    path, lock, why = begin_spool(tmp_path / "run", tmp_path / "volume", "webapp", "3f2a9c", ["web"], 100)
    os.close(lock)
    assert path.parent == tmp_path / "volume"
    assert why == ""


def test_what_its_streams_are_called_is_noted_before_the_spool_has_its_name(tmp_path: Path) -> None:
    """Then an adopter knows it, however early the container is killed."""
    called = {"instance": "7", "container": "3f2a9c51d0e4"}
    path, lock = make_spool(tmp_path, "webapp", "3f2a9c", ["webapp"], 100, named=called)
    os.close(lock)
    assert SpoolFolder(path).instance() == ("7", "3f2a9c51d0e4")
    path, lock = make_spool(tmp_path, "webapp", "3f2a9c", ["webapp"], 100)
    os.close(lock)
    assert SpoolFolder(path).instance() is None


class Engine:
    """An engine that knows the number, and counts who waits for it."""

    waited = 0.0

    def answer(self, seconds: float) -> str:
        self.waited += seconds
        return "7"


def test_pid_1_leaves_the_name_to_a_ship_that_was_given_one() -> None:
    def declared(*words: str, environment: tuple[tuple[str, str], ...] = ()) -> Declaration:
        return Declaration(
            "web", (Program("ship", ("/usr/local/bin/logship", "ship", *words), environment=environment),)
        )

    engine = Engine()
    sure = named(declared(), {}, engine)
    assert sure is not None
    assert sure["instance"] == "7"
    assert engine.waited == NUMBER_SECONDS
    told: list[tuple[Declaration, dict[str, str]]] = [
        (declared("--instance", "blue"), {}),
        (declared("--instance=blue"), {}),
        (declared(environment=(("LOGSHIP_INSTANCE", "blue"),)), {}),
        (declared(), {"LOGSHIP_INSTANCE": "blue"}),
    ]
    assert [named(found, environment, engine) for found, environment in told] == [None] * 4
    assert engine.waited == NUMBER_SECONDS
