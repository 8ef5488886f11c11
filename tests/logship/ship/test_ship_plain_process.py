"""``logship ship`` and a server that does not say Logship-Protocol: a real collector behind a proxy that hides it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.ship.checkpoint import Checkpoint, parse_checkpoint
from logship.values import Invalid
from tests.logship.ship.collector import Collector
from tests.logship.ship.mask import Mask
from tests.logship.ship.spools import INCARNATION, Shipper, Spool, Writer, until

KILLS = int(os.environ.get("LOGSHIP_TEST_KILLS", "4"))
FAST = ["--chunk-bytes-max", "65536", "--patience-seconds", "20"]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def mask(collector: Collector) -> Iterator[Mask]:
    made = Mask(collector.port)
    yield made
    made.stop()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spools")
    yield made
    made.end()


class Ships:
    """Starts shippers with a folder for checkpoints."""

    def __init__(self, mask: Mask, folder: Path) -> None:
        self.state = folder / "state"
        self.log = folder / "ship.json"
        self._mask = mask
        self._made: list[Shipper] = []

    def start(self, *spools: Path, options: list[str] | None = None) -> Shipper:
        """One more."""
        words = ["--state", str(self.state), *FAST, *(options or [])]
        self._made.append(Shipper(self._mask.url, *spools, options=words, log=self.log))
        return self._made[-1]

    def once(self, *spools: Path, options: list[str] | None = None) -> None:
        """Ship all there is."""
        assert self.start(*spools, options=["--once", *(options or [])]).process.wait(200) == 0

    def checkpoints(self) -> list[Checkpoint]:
        """What is on disk."""
        found = []
        for path in sorted(self.state.glob("*/*.json")):
            checkpoint = parse_checkpoint(path.read_bytes())
            assert not isinstance(checkpoint, Invalid), checkpoint
            found.append(checkpoint)
        return found

    def events(self) -> list[str]:
        """What was logged."""
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def stop(self) -> None:
        """Kill what is left."""
        for each in self._made:
            each.kill()


@pytest.fixture
def ships(mask: Mask, tmp_path: Path) -> Iterator[Ships]:
    made = Ships(mask, tmp_path)
    yield made
    made.stop()


def test_every_byte_arrives_once_while_ship_is_killed_and_answers_are_lost(
    collector: Collector, mask: Mask, ships: Ships, spool: Spool
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, losses = random.Random(seed), random.Random(seed + 1)
    mask.loses = lambda method: method in ("PUT", "POST") and losses.random() < 0.05
    shapes = {"large": (60_000, 0.02), "mixed": (20_000, 0.01), "small": (300, 0.002)}
    writers = {name: Writer(spool, name, seed, *shape) for name, shape in shapes.items()}
    for writer in writers.values():
        writer.start()
    for turn in range(KILLS):
        shipper = ships.start(spool.path)
        time.sleep(chance.uniform(0.4, 1.2))
        if turn % 2:
            collector.kill()
            time.sleep(chance.uniform(0, 0.3))
            collector.start()
            time.sleep(chance.uniform(0, 0.5))
        shipper.kill()
    for writer in writers.values():
        writer.enough.set()
        writer.join(60)
    ships.once(spool.path)
    for name, writer in writers.items():
        found = collector.read(name)
        assert (len(found), hashlib.blake2b(found).hexdigest()) == (writer.written, writer.digest.hexdigest())
        assert spool.acked(name) == writer.written
    assert mask.foreign_fields() == set()
    assert len({seen.path for seen in mask.seen if seen.method == "PUT"}) == len(shapes), "no stream but these"
    duplicates = sum(seen.status == 204 and seen.method == "POST" for seen in mask.seen)
    print({name: writer.written for name, writer in writers.items()}, f"{duplicates} duplicates")


def test_a_kill_between_acknowledgement_and_checkpoint_repeats_the_append_and_stores_it_once(
    collector: Collector, mask: Mask, ships: Ships, spool: Spool
) -> None:
    spool.write("web", b"1\n")
    shipper = ships.start(spool.path)
    until(lambda: any(seen.method == "POST" for seen in mask.seen), "the append is answered")
    shipper.kill()
    (checkpoint,) = ships.checkpoints()
    assert checkpoint.flight is not None, "what is on disk is from before the answer"
    assert (checkpoint.end, checkpoint.flight.size) == (0, 2)
    spool.write("web", b"2\n")
    ships.once(spool.path)
    assert collector.read("web") == b"1\n2\n"
    posts = [(seen.number, seen.status, seen.body_bytes) for seen in mask.seen if seen.method == "POST"]
    assert posts == [(("0", "0"), 200, 2), (("0", "0"), 204, 2), (("0", "1"), 200, 2)]
    (checkpoint,) = ships.checkpoints()
    assert (checkpoint.end, checkpoint.flight) == (4, None)


def test_plain_mode_is_said_in_one_line_and_what_it_sends_is_plain(
    collector: Collector, mask: Mask, ships: Ships, spool: Spool
) -> None:
    spool.write("web", b"a line\n" * 1000)
    ships.once(spool.path)
    assert collector.read("web") == b"a line\n" * 1000
    assert ships.events().count("plain server") == 1
    assert mask.foreign_fields() == set()
    assert {seen.method for seen in mask.seen} == {"HEAD", "PUT", "POST"}


def test_a_server_that_begins_to_speak_the_superset_gets_it_and_the_stream_goes_on(
    collector: Collector, mask: Mask, ships: Ships, spool: Spool
) -> None:
    spool.write("web", b"plain\n")
    ships.start(spool.path)
    until(lambda: spool.acked("web") == 6, "it is shipped in plain mode")
    mask.hides = False
    spool.write("web", b"as between our own\n")
    until(lambda: spool.acked("web") == 25, "it is shipped")
    assert collector.read("web") == b"plain\nas between our own\n"
    assert "collector" in ships.events()
    assert mask.seen[-1].fields.get("content-encoding") == "zstd" or mask.seen[-1].method == "HEAD"
    mask.hides = True
    spool.write("web", b"and back\n")
    until(lambda: ships.events().count("plain server") == 2, "it is plain again")
    until(lambda: spool.acked("web") == 34, "and ships")
    streams = {seen.path.removeprefix("/v1/stream/") for seen in mask.seen if seen.method == "PUT"}
    names = sorted(path.rpartition("/")[2] for path in streams)
    held = b"".join(collector.read("web", name) for name in names)
    assert held.startswith(b"plain\nas between our own\n")
    assert held.endswith(b"and back\n")
    assert "stream left" in ships.events(), (
        "its checkpoint is an old one: what came since may be there twice, and it says so"
    )


def test_what_is_no_server_of_this_protocol_gets_one_clear_error_and_loses_nothing(
    collector: Collector, mask: Mask, ships: Ships, spool: Spool
) -> None:
    mask.page = b"<html>It works!</html>"
    spool.write("web", b"kept\n")
    spool.write("other", b"kept, too\n")
    shipper = ships.start(spool.path)
    until(lambda: "trouble" in ships.events(), "it is said")
    time.sleep(0.5)
    (said,) = [line for line in shipper.said() if line["event"] == "trouble"]
    assert "is that the URL of a Durable Streams server?" in str(said["text"])
    shipper.kill()
    mask.page = None
    ships.once(spool.path)
    assert (collector.read("web"), collector.read("other")) == (b"kept\n", b"kept, too\n")


def test_a_hole_in_the_spool_is_told_and_counted_in_the_snapshot(
    collector: Collector, ships: Ships, spool: Spool
) -> None:
    spool.write("web", b"x" * spool.segment_bytes + b"rest")
    spool.segments("web")[0].unlink()
    shipper = ships.start(spool.path)
    until(lambda: "snapshot" in ships.events(), "the snapshot is said")
    snapshot = next(line for line in shipper.said() if line["event"] == "snapshot")
    assert snapshot["server"] == "plain"
    (source,) = [each for each in snapshot["sources"] if each["program"] == "web"]  # type: ignore[attr-defined]
    assert source["lost_bytes"] == spool.segment_bytes
    assert collector.read("web", f"{INCARNATION}.{spool.segment_bytes:020}") == b"rest"


def test_followed_files_are_known_again_after_rotation_and_a_kill(
    collector: Collector, mask: Mask, ships: Ships, tmp_path: Path
) -> None:
    log = tmp_path / "x.log"
    follow = ["--follow", str(log), "--service", "shop"]
    log.write_bytes(b"first\n")
    shipper = ships.start(options=follow)
    until(lambda: any(seen.method == "POST" for seen in mask.seen), "the first line is answered")
    shipper.kill()
    with log.open("ab") as file:
        file.write(b"late\n")
    log.rename(tmp_path / "x.log.1")
    time.sleep(1.1)  # streams of files are named by the second of their birth
    log.write_bytes(b"second\n")
    ships.once(options=follow)
    ships.once(options=follow)
    paths = {checkpoint.path for checkpoint in ships.checkpoints()}
    found = {path: content_of(collector, path) for path in paths}
    assert sorted(found.values()) == [b"first\nlate\n", b"second\n"]
    log.write_bytes(b"emptied\n")
    time.sleep(0.1)
    ships.once(options=follow)
    now = {checkpoint.path for checkpoint in ships.checkpoints()} - paths
    assert [content_of(collector, path) for path in now] == [b"emptied\n"]
    assert {seen.path for seen in mask.seen if seen.method == "PUT"} == {f"/v1/stream/{path}" for path in paths | now}


def test_a_file_that_is_copied_and_emptied_goes_on_from_its_copy(
    collector: Collector, mask: Mask, ships: Ships, tmp_path: Path
) -> None:
    log, copy = tmp_path / "x.log", tmp_path / "x.log.1"
    log.write_bytes(b"one\n" * 1000)
    ships.start(options=["--follow", str(log), "--service", "shop"])

    def stored() -> list[bytes]:
        puts = sorted(seen.path for seen in mask.seen if seen.method == "PUT")
        return [content_of(collector, path.removeprefix("/v1/stream/")) for path in puts]

    until(lambda: sum(map(len, stored())) == 4000, "what was there is shipped")
    with log.open("ab") as file:
        file.write(b"two\n")
    copy.write_bytes(log.read_bytes())
    os.truncate(log, 0)
    until(lambda: sum(map(len, stored())) == 4004, "the rest came from the copy, or from the file in time")
    with log.open("ab") as file:
        file.write(b"three\n")
    until(lambda: sorted(stored()) == sorted([b"one\n" * 1000 + b"two\n", b"three\n"]), "what came after it, too")


def content_of(collector: Collector, path: str) -> bytes:
    with urllib.request.urlopen(f"{collector.url}/v1/stream/{path}?offset=-1", timeout=30) as reply:
        return bytes(reply.read())


def test_the_checkpoints_of_an_orphan_are_found_by_who_adopts_it(
    collector: Collector, mask: Mask, ships: Ships, spool: Spool
) -> None:
    spool.write("web", b"1\n")
    shipper = ships.start(spool.path)
    until(lambda: any(seen.method == "POST" for seen in mask.seen), "the append is answered")
    shipper.kill()
    spool.write("web", b"2\n")
    spool.end()
    ships.once(options=["--adopt", str(spool.path.parent)])
    assert not spool.path.exists(), "it is shipped, and removed"
    assert collector.read("web") == b"1\n2\n"
    assert collector.closed


def test_a_foreign_server_is_refused_where_there_is_no_folder_for_checkpoints(
    mask: Mask, spool: Spool, tmp_path: Path
) -> None:
    spool.write("web", b"kept\n")
    log = tmp_path / "refused"
    assert Shipper(mask.url, spool.path, log=log).process.wait(60) == 2
    said = log.read_text()
    assert "it does not say Logship-Protocol: 1" in said
    assert "--state DIR (LOGSHIP_STATE)" in said
    assert {seen.method for seen in mask.seen} == {"HEAD"}, "nothing was made"


def test_a_folder_that_cannot_hold_checkpoints_is_refused_at_once(spool: Spool, tmp_path: Path) -> None:
    log = tmp_path / "refused"
    (tmp_path / "file").write_text("")
    options = ["--state", str(tmp_path / "file" / "state")]
    assert Shipper("http://127.0.0.1:9", spool.path, options=options, log=log).process.wait(60) == 2
    assert "cannot keep checkpoints in" in log.read_text()


def test_a_damaged_checkpoint_is_named_and_its_source_waits(collector: Collector, ships: Ships, spool: Spool) -> None:
    spool.write("web", b"1\n")
    ships.once(spool.path)
    (path,) = ships.state.glob("*/*.json")
    whole = path.read_bytes()
    path.write_bytes(whole[:50])
    spool.write("web", b"2\n")
    spool.write("fine", b"3\n")
    shipper = ships.start(spool.path)
    until(lambda: spool.acked("fine") == 2, "the other one is shipped")
    until(lambda: "waits" in ships.events(), "it is said")
    assert f"the checkpoint {path} is damaged" in ships.log.read_text()
    assert collector.read("web") == b"1\n"
    path.write_bytes(whole)
    until(lambda: spool.acked("web") == 4, "it goes on")
    assert shipper.stop() == 0
    assert collector.read("web") == b"1\n2\n"
