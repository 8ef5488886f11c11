"""``logship verify``: what a source wrote is what is stored, or exactly where it is not."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pty
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from logship.ship.chain import Origin
from logship.values import Loss
from logship.view.journal_reader import Journal
from tests.logship.reading.test_reading_logs import logs
from tests.logship.ship.collector import Collector
from tests.logship.ship.spools import INCARNATION, Shipper, Spool, until
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_damage import flip
from tests.logship.view.test_view_digest import note_audit, sha256
from tests.logship.view.viewing import TREE, Viewer, environment

STREAM = f"webapp/1/app/{INCARNATION}"
ORIGIN = Origin("webapp", "1", "app", INCARNATION)
LARGE = 9 * 1024 * 1024


def verify(viewer: Viewer, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return logs(viewer, *arguments, command="verify")


def records(viewer: Viewer, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    found = verify(viewer, "-o", "json", *arguments)
    assert found.stderr == b"", found.stderr
    return found.returncode, [json.loads(line) for line in found.stdout.splitlines()]


def store(shelf: Shelf, data: bytes, path: str = STREAM, source: str | None = None, piece: int = 700_000) -> None:
    """What ship brought of a source."""
    shelf.create(path, source or ORIGIN.source_text(None, 0, ""))
    for at in range(0, len(data), piece):
        shelf.append(path, data[at : at + piece], packed=at % 2 == 0)


def test_a_file_that_is_stored_as_it_is_is_identical(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(LARGE)
    store(shelf, data)
    path = tmp_path / "app.log"
    path.write_bytes(data)
    status, (proof,) = records(viewer, STREAM, "--file", str(path))
    assert (status, proof["verdict"], proof["compared"]) == (0, "identical", LARGE)
    assert (proof["sha256"], proof["streams"], proof["notes"]) == (sha256(data), [STREAM], [])
    status, (proof,) = records(viewer, "webapp/1:app", "--file", str(path), "--from", "1000", "--to", "5000000")
    assert (status, proof["compared"], proof["sha256"]) == (0, 4_999_000, sha256(data[1000:5_000_000]))
    said = verify(viewer, STREAM, "--file", str(path)).stdout.decode().splitlines()
    assert " ".join(said[0].split()) == "SOURCE VERDICT COMPARED LOST NOT HELD NOT KEPT NOT STORED SHA-256"
    assert said[1].split() == [str(path), "identical", f"{LARGE:,}", "0", "0", "0", "0", sha256(data)]


def test_the_first_byte_that_differs_is_found_and_both_sides_are_shown(
    shelf: Shelf, viewer: Viewer, tmp_path: Path
) -> None:
    chance = random.Random(2)
    data = chance.randbytes(LARGE)
    store(shelf, data)
    for at in (0, 4095, 4096, 4 * 1024 * 1024 - 1, chance.randrange(LARGE), LARGE - 1):
        other = bytearray(data)
        other[at] ^= 1
        if at < LARGE - 10:
            other[-5] ^= 1  # a later one is not the first
        path = tmp_path / "app.log"
        path.write_bytes(other)
        status, (proof,) = records(viewer, STREAM, "--file", str(path))
        assert (status, proof["verdict"]) == (1, "differs")
        difference = proof["difference"]
        shown = difference["shown_from"]
        assert (difference["offset"], difference["stream"], difference["stream_offset"]) == (at, STREAM, at)
        assert base64.b64decode(difference["source_base64"]) == bytes(other)[shown : at + 48]
        assert base64.b64decode(difference["stored_base64"]) == data[shown : at + 48]
    said = verify(viewer, STREAM, "--file", str(path)).stdout.decode()
    assert f"first difference at offset {LARGE - 1} of the source, {LARGE - 1} of {STREAM}:" in said
    assert len([line for line in said.splitlines() if line.startswith(("  source: ", "  stored: "))]) == 2


def test_a_byte_too_many_or_too_few_is_a_difference_where_it_is(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    data = b"".join(b"line %d\n" % number for number in range(2000))
    store(shelf, data)
    path = tmp_path / "app.log"
    path.write_bytes(data[:5000] + data[5001:])
    status, (proof,) = records(viewer, STREAM, "--file", str(path))
    assert status == 1
    assert data[5000] != data[5001]
    assert proof["difference"]["offset"] == 5000
    path.write_bytes(data[:-3])
    status, (proof,) = records(viewer, STREAM, "--file", str(path))
    assert (status, proof["difference"]["offset"]) == (1, len(data) - 3)
    assert base64.b64decode(proof["difference"]["stored_base64"])[-3:] == data[-3:]


def test_a_source_that_goes_on_is_incomplete_and_not_a_difference(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    store(shelf, b"stored\n")
    path = tmp_path / "app.log"
    path.write_bytes(b"stored\nnot yet\n")
    status, (proof,) = records(viewer, STREAM, "--file", str(path))
    assert (status, proof["verdict"], proof["compared"], proof["not_stored"]) == (3, "incomplete", 7, 8)
    status, (proof,) = records(viewer, STREAM, "--file", str(path), "--to", "7")
    assert (status, proof["not_stored"]) == (0, 0)


def test_a_chain_is_followed_and_what_the_ledger_has_of_it_is_counted(
    shelf: Shelf, viewer: Viewer, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 40
    second = f"{STREAM}.{6000:020}"
    store(shelf, data[:5000])
    store(shelf, data[6000:], second, ORIGIN.source_text(STREAM, 1000, "over budget"))
    path = tmp_path / "app.log"
    path.write_bytes(data)
    status, (proof,) = records(viewer, STREAM, "--file", str(path))
    assert (status, proof["verdict"], proof["lost"], proof["compared"]) == (0, "identical", 1000, len(data) - 1000)
    assert proof["streams"] == [STREAM, second]
    assert proof["notes"] == [{"from": 5000, "to": 6000, "what": "lost", "text": "over budget"}]
    assert "1,000 bytes from 5000 on: lost: over budget" in verify(viewer, STREAM, "--file", str(path)).stdout.decode()
    broken = bytearray(data)
    broken[7000] ^= 1
    path.write_bytes(broken)
    status, (proof,) = records(viewer, STREAM, "--file", str(path))
    assert (status, proof["difference"]["offset"], proof["difference"]["stream_offset"]) == (1, 7000, 1000)
    assert proof["difference"]["stream"] == second


def test_every_stream_of_a_spool_is_held_against_its_streams(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spools" / "webapp", segment_bytes=4096)
    try:
        chance = random.Random(3)
        app, serf = chance.randbytes(50_000), b"serf says\n" * 100
        spool.write("app", app)
        spool.write("serf", serf)
        store(shelf, app)
        store(
            shelf,
            serf,
            f"webapp/1/serf/{INCARNATION}",
            Origin("webapp", "1", "serf", INCARNATION).source_text(None, 0, ""),
        )
        for folder in (spool.path, tmp_path / "spools", tmp_path / "spools" / "webapp"):
            status, found = records(viewer, "--spool", str(folder))
            assert status == 0
            assert [(one["source"], one["verdict"], one["compared"]) for one in found] == [
                ("webapp/3f2a9c:app", "identical", 50_000), ("webapp/3f2a9c:serf", "identical", 1000),
            ]  # fmt: skip
        spool.segments("app")[0].unlink()  # as spool does with what is acknowledged
        status, (first, _) = records(viewer, "--spool", str(spool.path))
        assert (status, first["not_held"], first["compared"]) == (0, 4096, 50_000 - 4096)
        assert first["sha256"] == sha256(app[4096:])
        spool.write("serf", b"not shipped yet\n")
        status, (_, second) = records(viewer, "--spool", str(spool.path))
        assert (status, second["verdict"], second["not_stored"]) == (3, "incomplete", 16)
        changed = spool.segments("app")[2]
        changed.write_bytes(b"x" + changed.read_bytes()[1:])
        status, (first, second) = records(viewer, "--spool", str(spool.path))
        assert (status, first["verdict"], second["verdict"]) == (1, "differs", "incomplete")
        assert first["difference"]["offset"] == int(changed.name)
    finally:
        spool.end()


def test_all_that_is_stored_is_read_and_its_checksums_compared(shelf: Shelf, viewer: Viewer) -> None:
    haproxy = "ha/1/haproxy/20261123T201501Z-00000000"
    data = random.Random(4).randbytes(100_000)
    store(shelf, data)
    shelf.append(haproxy, b"proxied\n")
    shelf.rotate()
    shelf.lose(Loss("a", STREAM, 5, 512))
    shelf.lose(Loss("b", STREAM, 7, None, 3, "lines"))
    note_audit(shelf.folder, haproxy)
    status, found = records(viewer)
    assert (status, [one["stream"] for one in found]) == (0, [haproxy, STREAM])
    assert [(one["verdict"], one["verified"], one["sha256"]) for one in found] == [
        ("sound", 8, sha256(b"proxied\n")), ("sound", len(data), sha256(data)),
    ]  # fmt: skip
    assert found[0]["audit"]["unverified"] == 1
    assert [loss["id"] for loss in found[1]["losses"]] == ["a", "b"]
    said = verify(viewer).stdout.decode().splitlines()
    assert said[1].split("  ")[0] == haproxy
    assert "7 verified, 1 not, 0 lost" in said[1]
    assert "512 bytes, 3 lines" in said[2]
    assert said[3] == f"{haproxy}: audit: unverified ? to ?: it was killed"
    assert said[4] == "2 streams, 100,008 bytes verified, 0 damaged"
    status, found = records(viewer, "ha")
    assert [one["stream"] for one in found] == [haproxy]


def test_damage_is_named_and_ends_with_one(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    store(shelf, b"before\n")
    lsn = shelf.append(STREAM, b"damaged\n")
    shelf.append(STREAM, b"behind\n")
    flip(shelf, Journal(shelf.folder).frame(lsn).body_lsn)
    status, (found,) = records(viewer, "webapp")
    assert (status, found["verdict"], found["damages"], found["damaged"], found["verified"]) == (1, "damaged", 1, 8, 14)
    assert [(hole["from"], hole["to"], hole["what"]) for hole in found["holes"]] == [(7, 15, "damage")]
    assert f"{STREAM}: 8 bytes from 7 on: damage: the journal at LSN {lsn}" in verify(viewer).stdout.decode()
    path = tmp_path / "app.log"
    path.write_bytes(b"before\ndamaged\nbehind\n")
    status, (proof,) = records(viewer, STREAM, "--file", str(path))
    assert (status, proof["verdict"], proof["compared"], proof["damaged"]) == (1, "damaged", 14, 8)
    path.write_bytes(b"before\ndamaged\nbehinD\n")
    status, (proof,) = records(viewer, STREAM, "--file", str(path))
    assert (status, proof["verdict"], proof["difference"]["offset"]) == (1, "differs", 20)


def test_what_cannot_be_answered_is_said(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append(STREAM, b"x\n")
    shelf.append("webapp/2/app/i", b"x\n")
    for arguments, status, said in (
        (["--from", "3"], 2, "offsets of a file"),
        (["--file", "/dev/null"], 2, "say which"),
        ([STREAM, "--file", "/no/such"], 2, "cannot read /no/such: No such file"),
        (["all", "--file", "/dev/null"], 2, "it means 2 streams"),
        ([STREAM, "--file", "/dev/null", "--from", "-1"], 2, "is no offset"),
        ([STREAM, "--spool", "/tmp"], 2, "says itself which streams"),
        (["--file", "x", "--spool", "/tmp"], 2, "two questions"),
        (["--spool", "/no/such"], 2, "cannot look into /no/such"),
        (["--spool", "/proc/self/fd"], 2, "there is no spool folder in it"),
        (["web/9"], 2, "no stream is meant by web/9"),
        (["--url", "http://127.0.0.1:9"], 4, "cannot reach the viewer"),
        ([STREAM, "--file", "/dev/null", "--url", "http://127.0.0.1:9"], 4, "cannot reach the viewer"),
    ):
        found = verify(viewer, *arguments)
        assert (found.returncode, found.stdout) == (status, b""), arguments
        assert said in found.stderr.decode(), arguments


def test_a_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    """The one in the table can be held against the tool that everybody has."""
    path = tmp_path / "x"
    path.write_bytes(b"abc\n")
    said = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == sha256(b"abc\n") == hashlib.sha256(b"abc\n").hexdigest()


def test_what_really_came_through_a_killed_shipper_is_identical_over_a_gap(tmp_path: Path) -> None:
    """Spool, ship and collect as they run; the spool lets go of a segment that nobody has acknowledged."""
    collector, spool = Collector(tmp_path), Spool(tmp_path / "spool", segment_bytes=65_536)
    viewer = Viewer(tmp_path / "store")
    options = ["--chunk-bytes-max", "4096", "--patience-seconds", "20"]
    try:
        spool.write("app", random.Random(5).randbytes(300_000))
        collector.start()
        shipper = Shipper(collector.url, spool.path, options=options)
        until(lambda: collector.streams("app") and collector.streams("app")[0]["next_offset"] > 0, "bytes came")
        shipper.kill()
        stored = collector.streams("app")[0]["next_offset"]
        gone = next(path for path in spool.segments("app") if int(path.name) > stored)
        for path in spool.segments("app"):
            if int(path.name) <= int(gone.name):
                path.unlink()
        book = {"stream": "app", "offset": int(gone.name), "bytes": 65_536, "time": "2026-11-23T20:15:01Z"}
        (spool.path / "losses.jsonl").write_text(json.dumps({**book, "reason": "over budget"}) + "\n")
        assert Shipper(collector.url, spool.path, options=[*options, "--once"]).process.wait(60) == 0
        viewer.start()
        status, (proof,) = records(viewer, "--spool", str(spool.path))
        assert (status, proof["verdict"], len(proof["streams"])) == (0, "identical", 2)
        held = sum(path.stat().st_size for path in spool.segments("app"))
        assert (proof["compared"], proof["sha256"]) == (held, sha256(spool.content("app")))
        assert proof["lost"] > 0
        assert proof["lost"] + proof["not_held"] + proof["compared"] == 300_000
        status, found = records(viewer)
        assert (status, {one["verdict"] for one in found}) == (0, {"sound"})
    finally:
        viewer.stop()
        collector.kill()
        spool.end()


def test_on_a_terminal_it_says_how_far_it_is_and_clears_that(shelf: Shelf, viewer: Viewer) -> None:
    store(shelf, b"x" * 100_000)
    ours, theirs = pty.openpty()
    try:
        words = [sys.executable, "-m", "logship", "verify", "--url", viewer.url]
        found = subprocess.run(words, cwd=TREE, env=environment(), stdout=subprocess.PIPE, stderr=theirs, check=False)
        said = os.read(ours, 65_536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert found.returncode == 0
    assert b"100,000" in found.stdout
    assert said.startswith("\rverifying: 97.7 KiB of 97.7 KiB (100%)")
    assert said.endswith("\r\x1b[K")
