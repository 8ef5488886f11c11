"""Budgets of a program, a container and a volume: who pays, in which order, and what the ledger says of it."""

from __future__ import annotations

import fcntl
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from logship.spool.budget import Budget, Limits
from logship.spool.layout import segment_name
from logship.spool.losses import LossBook, read
from logship.spool.ranges import Span, merged, missing
from logship.spool.segment import listed
from logship.spool.volume import LOOK_SECONDS, incarnations
from tests.logship.spool.bench import SpoolBench

OWN, OLD, OLDER = "20260102T000000Z-00000003", "20260101T000000Z-00000002", "20260101T000000Z-00000001"


class Scene:
    """A volume with one's own folder and others, in segments of 10 bytes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.now = 1000.0
        for name in (OWN, OLD, OLDER):
            (root / name / "spool").mkdir(parents=True)
            (root / name / "alive").touch()
        self.book = LossBook(root / OWN)

    def budget(self, container: int = 0, volume: int = 0, program: int = 10**9) -> Budget:
        def say(event: str, **fields: object) -> None:
            self.said.append((event, fields))

        return Budget(self.root / OWN, Limits(program, container, volume), self.book, say)

    def grow(self, program: str, segments: int = 1, of: str = OWN) -> None:
        """More full segments behind those there are."""
        folder = self.root / of / program
        folder.mkdir(exist_ok=True)
        found = listed(folder)
        end = found[-1].end if found else 0
        for place in range(segments):
            (folder / segment_name(end + 10 * place)).write_bytes(b"x" * 10)

    def acknowledge(self, program: str, offset: int, of: str = OWN) -> None:
        (self.root / of / program / "acked").write_text(f"{segment_name(offset)}\n")

    def held(self, program: str, of: str = OWN) -> list[int]:
        return [segment.offset for segment in listed(self.root / of / program) if segment.size]

    def lost(self, program: str, of: str = OWN) -> list[Span]:
        return merged(loss.span for loss in read(self.root / of / "losses.jsonl") if loss.stream == program)

    def look(self, budget: Budget) -> None:
        """Let time pass until the volume was looked at."""
        self.now += LOOK_SECONDS
        while budget.turn(self.now):
            pass


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_over_the_containers_budget_the_program_that_holds_most_pays(scene: Scene) -> None:
    budget = scene.budget(container=100)
    scene.grow("quiet", 3)
    budget.keep("quiet")
    for _ in range(50):
        scene.grow("flood")
        budget.keep("flood")
    assert scene.held("quiet") == [0, 10, 20]
    assert scene.held("flood") == [430, 440, 450, 460, 470, 480, 490]
    assert scene.lost("flood") == [Span(0, 430)]
    assert scene.lost("quiet") == []
    assert {event for event, _ in scene.said} == {"over the container's budget"}


@pytest.mark.case(100)
def test_what_is_acknowledged_goes_first_and_is_no_loss(scene: Scene) -> None:
    budget = scene.budget(container=200_000)
    for name in ("one", "two"):
        (scene.root / OWN / name).mkdir()
        for place in range(3):
            (scene.root / OWN / name / segment_name(50_000 * place)).write_bytes(bytes(50_000))
    scene.acknowledge("one", 150_000)
    budget.keep("one")
    budget.keep("two")
    # Of "one" the first segment went since it is acknowledged; over the budget by 50,000, "two" pays.
    assert scene.held("one") == [50_000, 100_000]
    assert scene.held("two") == [50_000, 100_000]
    assert scene.lost("one") == []
    assert scene.lost("two") == [Span(0, 50_000)]


def test_of_a_segment_that_is_acknowledged_in_part_only_the_rest_is_a_loss(scene: Scene) -> None:
    budget = scene.budget(program=20)
    scene.grow("web", 4)
    scene.acknowledge("web", 15)
    budget.keep("web")
    assert scene.held("web") == [20, 30]
    assert scene.lost("web") == [Span(15, 5)]
    assert [fields["lost_bytes"] for _, fields in scene.said] == [5]


def test_over_the_volumes_budget_the_oldest_orphan_pays_first_then_the_next_then_oneself(scene: Scene) -> None:
    budget = scene.budget(volume=100)
    scene.grow("web", 5, OLDER)
    scene.grow("web", 5, OLD)
    scene.grow("web")
    budget.keep("web")
    steps = []
    for _ in range(24):
        scene.grow("web")
        budget.keep("web")
        scene.look(budget)
        steps.append((len(scene.held("web", OLDER)), len(scene.held("web", OLD)), len(scene.held("web"))))
    assert all(sum(step) <= 10 for step in steps)
    assert steps[-1] == (0, 0, 10)
    assert scene.lost("web", OLDER) == [Span(0, 50)]
    assert scene.lost("web", OLD) == [Span(0, 50)]
    assert scene.lost("web") == [Span(0, 150)]
    # The orphans' streams end where they ended.
    for of in (OLD, OLDER):
        assert listed(scene.root / of / "web")[-1].end == 50
        assert missing(listed(scene.root / of / "web")) == [Span(0, 50)]


def test_an_orphan_is_trimmed_of_what_is_acknowledged_before_anything_is_lost(scene: Scene) -> None:
    (scene.root / OLD / "web").mkdir()
    for place in range(3):
        (scene.root / OLD / "web" / segment_name(50_000 * place)).write_bytes(bytes(50_000))
    scene.acknowledge("web", 150_000, OLD)
    budget = scene.budget(volume=110_000)
    scene.grow("web")
    budget.keep("web")
    scene.grow("web")
    budget.keep("web")
    scene.look(budget)
    assert scene.held("web", OLD) == [50_000, 100_000]
    assert scene.lost("web", OLD) == []
    assert scene.held("web") == [0, 10]


@pytest.mark.parametrize("lock", ["alive", "spool"])
def test_a_folder_that_somebody_holds_is_left_alone(scene: Scene, lock: str) -> None:
    """Its PID 1 lives, or it has been adopted, or its spool outlived its PID 1."""
    scene.grow("web", 20, OLD)
    held = os.open(scene.root / OLD / lock, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    budget = scene.budget(volume=100)
    scene.grow("web", 3)
    budget.keep("web")
    scene.grow("web", 2)
    budget.keep("web")
    scene.look(budget)
    assert len(scene.held("web", OLD)) == 20
    assert scene.lost("web", OLD) == []
    # It pays no more than twice what it wrote since it last looked, though the volume is over by more.
    assert scene.held("web") == [40]
    assert scene.lost("web") == [Span(0, 40)]
    os.close(held)


def test_who_wrote_little_pays_little_though_another_flooded(scene: Scene) -> None:
    held = os.open(scene.root / OLD / "alive", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    scene.grow("web", 50, OLD)
    scene.grow("web", 30)
    budget = scene.budget(volume=100)
    budget.keep("web")
    scene.grow("web")
    budget.keep("web")
    scene.look(budget)
    assert scene.lost("web") == [Span(0, 20)]
    os.close(held)


def test_the_volume_is_looked_at_when_a_segment_was_finished_and_not_too_often(scene: Scene) -> None:
    scene.grow("web", 50, OLD)
    budget = scene.budget(volume=100)
    scene.grow("web")
    budget.keep("web")
    assert budget.deadline() is None
    assert not budget.turn(scene.now)
    scene.grow("web")
    budget.keep("web")
    scene.look(budget)
    looked = scene.now
    assert len(scene.held("web", OLD)) == 8
    scene.grow("web")
    budget.keep("web")
    assert budget.deadline() == looked + LOOK_SECONDS
    assert not budget.turn(looked + LOOK_SECONDS - 0.1)
    assert len(scene.held("web", OLD)) == 8
    assert budget.turn(looked + LOOK_SECONDS)
    scene.look(budget)
    assert len(scene.held("web", OLD)) == 7


def test_a_folder_that_vanishes_while_it_is_looked_at_is_no_trouble(scene: Scene) -> None:
    scene.grow("web", 50, OLD)
    scene.grow("web", 50, OLDER)
    budget = scene.budget(volume=100)
    for _ in range(2):
        scene.grow("web")
        budget.keep("web")
    scene.now += LOOK_SECONDS
    turns = 0
    while budget.turn(scene.now):
        turns += 1
        if turns == 3 and (scene.root / OLDER).exists():
            (scene.root / OLDER).rename(scene.root / f".gone-{OLDER}")
    # What vanished needs not be paid for by anybody: of 500 + 20 bytes 100 are kept.
    assert len(scene.held("web", OLD)) == 8
    assert scene.held("web") == [0, 10]


def test_only_incarnations_are_counted(scene: Scene) -> None:
    for name in (f".new-{OLD}", f".gone-{OLD}", "lost+found"):
        (scene.root / name).mkdir()
    assert incarnations(scene.root) == [scene.root / name for name in (OLDER, OLD, OWN)]


def test_a_real_spool_keeps_its_container_and_its_volume_within_their_budgets(tmp_path: Path) -> None:
    root = tmp_path / "volume"
    orphan = root / OLD / "web"
    (root / OLD / "spool").mkdir(parents=True)
    orphan.mkdir()
    (root / OLD / "alive").touch()
    for place in range(16):
        (orphan / segment_name(65536 * place)).write_bytes(bytes(65536))
    (root / OWN).mkdir()
    bench = SpoolBench(tmp_path, root / OWN)
    bench.options = ["--segment-bytes", "65536", "--spool-container-bytes-max", "524288"]
    bench.options += ["--spool-volume-bytes-max", "1048576"]
    bench.fifo("web")
    bench.fifo("quiet")
    try:
        bench.start()
        os.write(bench.held["quiet"], b"kept\n")
        produced = random.Random(9).randbytes(2_000_000)
        program = bench.writer("web")
        for place in range(0, len(produced), 4096):
            os.write(program, produced[place : place + 4096])
        os.close(program)
        assert bench.stop() == 0
        kept = bench.stored("web")
        assert produced.endswith(kept)
        assert 524288 - 65536 < len(kept) <= 524288 + 65536
        assert bench.stored("quiet") == b"kept\n"
        own = [loss for loss in bench.losses() if loss["stream"] == "web"]
        assert sum(int(str(loss["bytes"])) for loss in own) + len(kept) == len(produced)
        assert {loss["reason"] for loss in own} <= {"over the container's budget", "over the volume's budget"}
        left = sum(segment.size for segment in listed(orphan))
        told = [json.loads(line) for line in (root / OLD / "losses.jsonl").read_text().splitlines()]
        assert left < 16 * 65536
        assert sum(loss["bytes"] for loss in told) + left == 16 * 65536
        assert listed(orphan)[-1].end == 16 * 65536
    finally:
        bench.close()
