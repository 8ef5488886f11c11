"""Watching the fleet: redrawn on a terminal, block after block in a pipe, and not ended by an engine that is away."""

from __future__ import annotations

import io
import json
from pathlib import Path, PurePosixPath

import pytest

from logship.errors import Fault
from supervise.fleet import ps
from supervise.fleet.container import Container
from supervise.fleet.fleet import Fleet
from supervise.fleet.screen import Screen
from tests.supervise.fleet.places import NOW, FolderEngine, container, program, stamp, state


@pytest.fixture
def engine(tmp_path: Path) -> FolderEngine:
    """One web node, in which all is well."""
    made = FolderEngine(tmp_path)
    text = state(program("spool"), program("webapp"), program("serf"))
    made.add(container("webapp", 1), {"/run/supervise/state.json": text})
    return made


@pytest.fixture
def fleet(engine: FolderEngine) -> Fleet:
    return Fleet(engine, "logship", PurePosixPath("/run/supervise"), lambda: NOW)


class Interrupted(io.TextIOWrapper):
    """A standard output whose reader presses Ctrl-C at the given flush."""

    def __init__(self, flushes: int) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.left = flushes

    def flush(self) -> None:
        super().flush()
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def watched(fleet: Fleet, blocks: int, terminal: bool, as_json: bool = False) -> str:
    out = Interrupted(blocks)
    with pytest.raises(KeyboardInterrupt):
        ps.watch(fleet, ["webapp/1"], Screen(out, terminal), as_json, 0.01)
    raw = out.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()


def test_watching_into_a_pipe_appends_blocks_under_their_time_and_interval(fleet: Fleet) -> None:
    text = watched(fleet, 3, terminal=False)
    block = f"{stamp(NOW)}, every 0.01 s\n   CONTAINER  HEALTH   SPOOL  WEBAPP  SERF\n"
    assert text.count(block) == 3
    assert "\x1b" not in text


def test_watching_on_a_terminal_redraws_in_place(fleet: Fleet) -> None:
    text = watched(fleet, 2, terminal=True)
    assert text.startswith("\x1b[2J\x1b[H")
    assert text.count("\x1b[2J") == 1
    assert text.count("\x1b[H") == 2


def test_watching_as_json_is_an_object_a_container_each_time(fleet: Fleet) -> None:
    lines = [json.loads(text) for text in watched(fleet, 2, terminal=False, as_json=True).splitlines()]
    assert [(one["container"], one["well"], one["time"]) for one in lines] == [("webapp/1", True, stamp(NOW))] * 2


def test_watching_goes_on_when_the_engine_goes_away_for_a_while(fleet: Fleet, engine: FolderEngine) -> None:
    looks = iter([False, True, False])
    containers = engine.containers

    def flaky(project: str, include_stopped: bool = False) -> list[Container]:
        if next(looks):
            raise Fault("list", "the containers", "the Docker engine went away", status=4)
        return containers(project, include_stopped)

    engine.containers = flaky  # type: ignore[method-assign]  # one engine that is away for one look
    text = watched(fleet, 3, terminal=False)
    assert text.count("webapp/1   healthy") == 2
    assert text.count("the Docker engine went away") == 1


def test_a_wrong_target_ends_watching_at_once(fleet: Fleet) -> None:
    with pytest.raises(Fault, match="no container nothing"):
        ps.watch(fleet, ["nothing"], Screen(io.StringIO()), False, 0.01)
