"""Adoption by real processes: what a container left behind arrives once, whoever adopts it and is killed meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from logship.cli import main
from tests.logship.ship.model import Kept
from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import TREE, Shipper, Spool, Writer, until

TURNS = int(os.environ.get("LOGSHIP_TEST_KILLS", "8"))
ME = socket.gethostname()
FAST = ["--chunk-bytes-max", "65536"]


@pytest.fixture
def server() -> Iterator[CollectorServer]:
    made = CollectorServer()
    yield made
    made.stop()


class Volume:
    """A folder of incarnations, and the shippers that work there. All are of this host: so nobody waits for another."""

    def __init__(self, folder: Path, server: CollectorServer) -> None:
        self.folder = folder
        self.place = folder / "spools"
        self.place.mkdir()
        self.server = server
        self.spools: list[Spool] = []
        self.shippers: list[Shipper] = []

    def spool(self, host: str = ME, service: str = "webapp", segment_bytes: int = 256 * 1024) -> Spool:
        """A new incarnation, alive."""
        name = f"20261123T20{len(self.spools) // 60:02}{len(self.spools) % 60:02}Z-9f2c51aa"
        self.spools.append(Spool(self.place, name, segment_bytes, service, host))
        return self.spools[-1]

    def ship(self, *spools: Spool, options: list[str] | None = None, adopt: bool = True) -> Shipper:
        """A shipper of these, which adopts the others."""
        words = [*FAST, *(options or []), *(["--adopt", str(self.place)] if adopt else [])]
        log = self.folder / f"log{len(self.shippers)}"
        paths = [spool.path for spool in spools]
        self.shippers.append(Shipper(self.server.url, *paths, options=words, log=log))
        return self.shippers[-1]

    def once(self, seconds: float = 120) -> Shipper:
        """A shipper that adopts all there is and ends."""
        shipper = self.ship(options=["--once"])
        shipper.process.wait(seconds)
        return shipper

    def is_looked_at(self) -> None:
        """Wait until adopters have seen all folders there are: an orphan that came last is gone."""
        last = self.spool()
        last.end()
        until(lambda: not last.path.exists(), "an orphan that came last is gone")

    def end(self) -> None:
        for shipper in self.shippers:
            shipper.kill()
        for spool in self.spools:
            spool.end()

    def stream(self, spool: Spool, program: str = "web", instance: str = "1") -> Kept | None:
        with self.server.lock:
            return self.server.model.streams.get(f"webapp/{instance}/{program}/{spool.incarnation}")

    def names(self) -> list[str]:
        return sorted(path.name for path in self.place.iterdir())


@pytest.fixture
def volume(tmp_path: Path, server: CollectorServer) -> Iterator[Volume]:
    made = Volume(tmp_path, server)
    yield made
    made.end()


def is_closed_with(volume: Volume, spool: Spool, content: bytes) -> bool:
    kept = volume.stream(spool)
    return kept is not None and kept.closed and bytes(kept.data) == content


def is_gone(spool: Spool) -> bool:
    return not spool.path.exists()


def test_what_a_removed_container_left_is_shipped_closed_and_removed(volume: Volume) -> None:
    own, orphan = volume.spool(), volume.spool()
    orphan.write("web", b"last words")
    volume.ship(own)
    volume.is_looked_at()
    assert volume.stream(orphan) is None, "as long as its PID 1 lives it is nobody else's"
    orphan.end()
    until(lambda: volume.names() == [own.incarnation], "the folder is gone")
    assert is_closed_with(volume, orphan, b"last words")

    def told() -> list[object]:
        return [line["event"] for line in volume.shippers[0].said() if line.get("incarnation") == orphan.incarnation]

    until(lambda: told() == ["adopted", "orphan removed"], "it says so")


def test_once_ships_and_removes_the_orphans_of_any_host_and_service_and_ends(volume: Volume) -> None:
    orphans = [volume.spool(host="c0ffee", service="webapp") for _ in range(11)]  # more than are adopted at a time
    living, empty = volume.spool(), volume.spool()
    living.write("web", b"alive")
    (empty.path / "web").mkdir()
    for number, orphan in enumerate(orphans):
        orphan.write("web", b"%d" % number)
        orphan.end()
    empty.end()
    assert volume.once().process.returncode == 0
    assert volume.names() == [living.incarnation]
    for number, orphan in enumerate(orphans):
        kept = volume.stream(orphan, instance="c0ffee")
        assert kept is not None
        assert (bytes(kept.data), kept.closed) == (b"%d" % number, True)
    assert volume.stream(living) is None
    assert volume.once().process.returncode == 0, "with nothing to do it ends, too"


def test_the_folder_of_a_living_pid_1_whose_shipper_was_killed_is_left_alone(volume: Volume) -> None:
    living, own = volume.spool(), volume.spool()
    living.write("web", b"1")
    shipper = volume.ship(living, adopt=False)
    until(lambda: (kept := volume.stream(living)) and kept.data, "its own ship works")
    shipper.kill()
    living.write("web", b"2")
    assert volume.once().process.returncode == 0
    volume.ship(own)
    volume.is_looked_at()
    kept = volume.stream(living)
    assert kept is not None
    assert (bytes(kept.data), kept.closed) == (b"1", False)
    volume.ship(living, adopt=False)
    until(lambda: bytes(kept.data) == b"12", "its own next one goes on")


def test_an_ended_folder_that_its_own_ship_still_ships_is_adopted_when_that_one_is_gone(volume: Volume) -> None:
    left, own = volume.spool(), volume.spool()
    left.write("web", b"1")
    first = volume.ship(left, adopt=False)
    until(lambda: volume.stream(left), "its own ship works")
    left.end()
    until(partial(is_closed_with, volume, left, b"1"), "its own ship closes it")
    volume.ship(own)
    volume.is_looked_at()
    assert left.path.exists()
    first.kill()
    until(partial(is_gone, left), "the folder is gone")
    assert is_closed_with(volume, left, b"1")


def test_a_spool_that_outlived_its_pid_1_is_waited_for(volume: Volume) -> None:
    left, own = volume.spool(), volume.spool()
    fifos = volume.folder / "fifo"
    fifos.mkdir()
    os.mkfifo(fifos / "web")
    pipe = os.open(fifos / "web", os.O_RDWR | os.O_NONBLOCK)
    spool = start_spool(left, fifos)
    try:
        os.write(pipe, b"1")
        until(lambda: left.content("web") == b"1", "the spool works")
        left.end()
        volume.ship(own)
        volume.is_looked_at()
        os.write(pipe, b"2")
        until(lambda: left.content("web") == b"12", "it still works")
    finally:
        spool.terminate()
        spool.wait(60)
        os.close(pipe)
    until(partial(is_gone, left), "the folder is gone")
    assert is_closed_with(volume, left, b"12")


def start_spool(spool: Spool, fifos: Path) -> subprocess.Popen[bytes]:
    words = ["spool", "--fifo-dir", str(fifos), "--spool", str(spool.path), "--copy-to", ""]
    return subprocess.Popen([sys.executable, "-m", "logship", *words], cwd=TREE, stderr=subprocess.DEVNULL)


def test_an_orphan_goes_on_under_the_name_its_own_ship_gave_it(volume: Volume) -> None:
    """New streams by the note in the folder, those that are there by the collector's list."""
    left = volume.spool(host="c0ffee")
    left.write("web", b"1")
    first = volume.ship(left, adopt=False)
    until(lambda: volume.stream(left), "its own ship works")
    first.kill()
    note = json.loads((left.path / "instance").read_text())
    assert note == {"instance": "1", "container": "c0ffee"}
    (left.path / "instance").write_text(json.dumps({"instance": "7", "container": "c0ffee" * 10}))
    left.write("web", b"2")
    left.write("late", b"3")
    left.end()
    assert volume.once().process.returncode == 0
    kept, late = volume.stream(left), volume.stream(left, "late", "7")
    assert kept is not None
    assert bytes(kept.data) == b"12"
    assert late is not None
    assert (bytes(late.data), late.source["container"], late.source["host"]) == (b"3", "c0ffee" * 10, "c0ffee")
    assert late.source["instance"] == "7"


def test_starts_and_losses_of_an_orphan_arrive_as_those_of_any_other(volume: Volume) -> None:
    left = volume.spool(segment_bytes=1000)
    left.write("web", b"x" * 3500)
    left.write("all", b"y" * 1500)
    when = "2026-11-23T20:15:02.000Z"
    (left.path / "web" / "starts.jsonl").write_text(json.dumps({"offset": 3000, "pid": 7, "time": when}) + "\n")
    records = [("web", 0, 2000), ("all", 0, 1500)]
    lines = [json.dumps(dict(zip(("stream", "offset", "bytes"), r, strict=True))) for r in records]
    lines = [f'{line[:-1]}, "time": "{when}", "reason": "over budget"}}\n' for line in lines]
    (left.path / "losses.jsonl").write_text("".join(lines))
    for segment in (*left.segments("web")[:2], *left.segments("all")):
        segment.unlink()  # as a volume over its budget is trimmed, to the last segment
    left.end()
    assert volume.once().process.returncode == 0
    with volume.server.lock:
        model = volume.server.model
        path, kept = next((path, kept) for path, kept in model.streams.items() if "/web/" in path)
        assert path == f"webapp/1/web/{left.incarnation}.{2000:020}"
        assert (bytes(kept.data), kept.closed) == (b"x" * 1500, True)
        assert (kept.source["lost_bytes"], kept.source["lost_reason"]) == (2000, "over budget")
        assert (kept.source["lost_from"], kept.source["lost_to"]) == (when, when)
        assert kept.starts == [(1000, when)]
        (loss,) = model.losses.values()
        assert (loss.stream, loss.bytes, loss.reason) == (f"webapp/1/all/{left.incarnation}", 1500, "over budget")
        assert (loss.from_time, loss.to_time) == (when, when)
    assert is_gone(left)


def test_a_stream_of_which_a_crash_of_the_host_left_nothing_is_closed_and_told(volume: Volume) -> None:
    orphan = volume.spool()
    orphan.write("web", b"not written back yet")
    first = volume.ship(orphan, adopt=False)
    until(lambda: bytes(getattr(volume.stream(orphan), "data", b"")) == b"not written back yet", "all of it is stored")
    first.kill()
    orphan.end()
    for path in (orphan.path / "web").iterdir():
        path.unlink()
    assert volume.once().process.returncode == 0
    assert is_gone(orphan)
    assert is_closed_with(volume, orphan, b"not written back yet")
    (loss,) = volume.server.model.losses.values()
    assert "shorter" in loss.id


def test_one_that_is_refused_is_kept_and_told_once_and_holds_up_no_other(volume: Volume) -> None:
    bad = [volume.spool(host="c0ffee") for _ in range(9)]  # one more than are adopted at a time
    good, own = volume.spool(host="c0ffee"), volume.spool()
    for spool in (*bad, good):
        spool.write("web", b"1")
        spool.end()
    for spool in bad:
        path = f"webapp/c0ffee/web/{spool.incarnation}"
        source: dict[str, object] = {"program": "web", "incarnation": spool.incarnation}
        volume.server.model.streams[path] = Kept("text/plain", source)
    failed = volume.once()
    assert failed.process.returncode == 1
    assert is_gone(good)
    assert set(volume.names()) == {own.incarnation, *(spool.incarnation for spool in bad)}
    told = [line for line in failed.said() if line["event"] == "orphan kept"]
    assert sorted(str(line["incarnation"]) for line in told) == sorted(spool.incarnation for spool in bad)
    assert "content-type" in str(told[0]["text"])
    assert failed.said()[-1]["event"] == "left"
    assert sorted(failed.said()[-1]["orphans"]) == sorted(str(spool.path) for spool in bad)  # type: ignore[call-overload] # JSON


def test_a_stop_sends_the_container_s_own_lines_and_leaves_the_orphan_to_the_next(volume: Volume) -> None:
    own, orphan = volume.spool(), volume.spool()
    hung, release = threading.Event(), threading.Event()

    def fault(method: str, path: str) -> str:
        if method == "POST" and orphan.incarnation in path and not release.is_set():
            hung.set()
            release.wait(60)
        return ""

    volume.server.fault = fault
    content = os.urandom(300_000)
    orphan.write("web", content)
    orphan.end()
    shipper = volume.ship(own, options=["--drain-seconds", "30"])
    until(hung.is_set, "an append of the orphan hangs")
    own.write("web", b"own words")
    assert shipper.stop() == 0
    kept = volume.stream(own)
    assert kept is not None
    assert bytes(kept.data) == b"own words"
    release.set()
    assert orphan.path.exists()
    assert volume.once().process.returncode == 0
    assert is_closed_with(volume, orphan, content)
    assert volume.names() == [own.incarnation]


def test_what_is_acknowledged_of_a_large_orphan_makes_room_before_all_of_it_is(volume: Volume) -> None:
    orphan = volume.spool()
    content = os.urandom(2_000_000)
    orphan.write("web", content)
    orphan.end()
    go_on = threading.Event()

    def fault(method: str, _path: str) -> str:
        kept = volume.stream(orphan)
        if method == "POST" and kept is not None and len(kept.data) >= 1_500_000:
            go_on.wait(60)
        return ""

    volume.server.fault = fault
    volume.ship(options=["--once"])
    until(lambda: len(orphan.segments("web")) < 4, "most segments are gone")
    go_on.set()
    assert volume.shippers[-1].process.wait(60) == 0
    assert is_closed_with(volume, orphan, content)


def test_every_byte_of_every_life_arrives_once_whoever_lives_is_killed_or_adopts(volume: Volume) -> None:
    """Lives begin and end, some with a shipper of their own; three adopters are killed in turn, at any instant."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    homes = [volume.spool() for _ in range(3)]
    adopters = [volume.ship(home) for home in homes]
    lives: list[tuple[Spool, dict[str, Writer]]] = []
    for turn in range(TURNS):
        life = volume.spool(segment_bytes=65536)
        writers = {name: Writer(life, name, seed + turn, 30_000, 0.005) for name in ("web", "serf")}
        for writer in writers.values():
            writer.start()
        shipper = volume.ship(life, adopt=chance.random() < 0.5) if chance.random() < 0.6 else None
        time.sleep(chance.uniform(0.1, 1.2))
        place = chance.randrange(len(adopters))
        adopters[place].kill()
        adopters[place] = volume.ship(homes[place])
        for writer in writers.values():
            writer.enough.set()
            writer.join(60)
        for program in writers:
            kept = volume.stream(life, program)
            assert kept is None or not kept.closed, "nobody closes the stream of a living one"
        ends = [life.end, *([shipper.kill] if shipper else [])]
        chance.shuffle(ends)
        for end in ends:
            end()
            time.sleep(chance.choice([0, 0, 0.5]))
        lives.append((life, writers))
    until(lambda: all(is_gone(life) for life, _ in lives), "all folders are gone", 120)
    for adopter in adopters:
        adopter.kill()
    assert volume.once().process.returncode == 0  # what one called gone and did not remove
    assert volume.names() == sorted(home.incarnation for home in homes)
    for life, writers in lives:
        for program, writer in writers.items():
            kept = volume.stream(life, program)
            assert kept is not None
            assert kept.closed
            assert len(kept.data) == writer.written
            assert hashlib.blake2b(kept.data).hexdigest() == writer.digest.hexdigest()
    assert not [path for path in volume.server.model.streams if path.rpartition("/")[2].count(".")]
    assert not volume.server.model.losses


def test_bad_places_are_one_clear_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["ship", "--once", "--adopt", str(tmp_path / "none")], {}) == 2
    said = capfd.readouterr().err
    assert "none" in said
    assert "it is no folder" in said
    assert "hint: " in said
