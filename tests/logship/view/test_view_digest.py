"""Digests and bytes of what is stored: exact, whatever lies between, and honest about what cannot be given."""

from __future__ import annotations

import hashlib
import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from logship.lake.exact import Exact
from logship.lake.reader import Reader
from logship.values import Loss
from logship.view.digests import DAMAGED, NOT_KEPT, Digests, Hole, Piece
from logship.view.extents import Extents
from logship.view.journal_reader import Journal
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_damage import flip
from tests.logship.view.viewing import Viewer

APP, OTHER = "web/1/app/i", "web/1/other/i"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def fill(shelf: Shelf, chance: random.Random, frames: int = 60) -> bytes:
    """Bytes of all kinds in several segments, some packed, with another stream's frames between; what APP was given."""
    written = b""
    for number in range(frames):
        data = chance.randbytes(chance.randrange(1, 5000))
        shelf.append(APP, data, packed=number % 3 == 0)
        shelf.append(OTHER, b"between\n")
        written += data
        if number % 20 == 19:
            shelf.rotate()
    return written


def read(shelf: Shelf, start: int, end: int, path: str = APP) -> list[Piece | Hole]:
    journal = Journal(shelf.folder)
    picture = journal.picture()
    found = Extents(journal, Exact(Reader(journal.folder))).read(picture, picture.streams[path], start, end)
    return [one for one in found if one is not None]


def test_any_range_is_given_exactly(shelf: Shelf) -> None:
    chance = random.Random(7)
    written = fill(shelf, chance)
    for _ in range(40):
        start, end = sorted(chance.randrange(len(written) + 1) for _ in range(2))
        found = read(shelf, start, end)
        assert b"".join(one.data for one in found if isinstance(one, Piece)) == written[start:end]
        assert not any(isinstance(one, Hole) for one in found)
        assert [one.offset for one in found if isinstance(one, Piece)][:1] == ([start] if end > start else [])


def test_a_damaged_body_costs_its_own_bytes_and_is_read_anew_each_time(shelf: Shelf) -> None:
    shelf.append(APP, b"before\n")
    lsn = shelf.append(APP, b"damaged\n")
    shelf.append(APP, b"behind\n")
    journal = Journal(shelf.folder)
    picture = journal.picture()
    frame = journal.frame(lsn)
    assert journal.body(frame) == b"damaged\n"  # held from now on, and yet what is on the disk counts
    flip(shelf, frame.body_lsn + 2)
    found = [
        one
        for one in Extents(journal, Exact(Reader(journal.folder))).read(picture, picture.streams[APP], 3, 20)
        if one is not None
    ]
    assert [one if isinstance(one, Piece) else (one.start, one.end, one.what) for one in found] == [
        Piece(3, b"ore\n"), (7, 15, DAMAGED), Piece(15, b"behin"),
    ]  # fmt: skip


def test_a_broken_head_costs_the_bytes_up_to_the_next_frame_that_is_found(shelf: Shelf) -> None:
    shelf.append(APP, b"before\n")
    lsn = shelf.append(APP, b"broken\n")
    shelf.append(APP, b"hidden\n")
    shelf.rotate()
    shelf.append(APP, b"behind\n")
    flip(shelf, lsn + 9)
    found = read(shelf, 0, 28)
    assert [one if isinstance(one, Piece) else (one.start, one.end, one.what) for one in found] == [
        Piece(0, b"before\n"), (7, 21, DAMAGED), Piece(21, b"behind\n"),
    ]  # fmt: skip


def test_what_retention_took_is_told_as_not_kept(shelf: Shelf) -> None:
    shelf.append(APP, b"old\n")
    shelf.rotate()
    shelf.append(APP, b"new\n")
    shelf.drop_oldest(1)
    found = read(shelf, 1, 8)
    assert [one if isinstance(one, Piece) else (one.start, one.end, one.what) for one in found] == [
        (1, 4, NOT_KEPT), Piece(4, b"new\n"),
    ]  # fmt: skip


def test_a_stream_of_a_path_that_was_used_before_has_its_own_bytes_alone(shelf: Shelf) -> None:
    shelf.append(APP, b"an older stream's\n")
    shelf.rotate()
    # What collect writes for a DELETE: the next create makes another stream.
    from logship.collect.journal import Entry, Kind

    shelf._commit(Kind.DELETE, 0, Entry(shelf.now_ms, APP), b"")
    shelf.append(APP, b"mine\n")
    assert read(shelf, 0, 5) == [Piece(0, b"mine\n")]


@given(st.data())
def test_digests_are_those_of_the_bytes_however_they_come(data: st.DataObject) -> None:
    content = data.draw(st.binary(min_size=1, max_size=300))
    start, step = data.draw(st.integers(0, 50)), data.draw(st.integers(1, 120))
    cuts = sorted({0, len(content), *data.draw(st.lists(st.integers(0, len(content)), max_size=6))})
    parts: list[Piece | Hole] = []
    for low, high in pairwise(cuts):
        is_hole = data.draw(st.booleans())
        parts.append(
            Hole(start + low, start + high, DAMAGED, "x") if is_hole else Piece(start + low, content[low:high])
        )
    digests = Digests(start, step)
    *steps, total = digests.feed_all(parts) + digests.finish()
    there = {at for one in parts if isinstance(one, Piece) for at in range(one.offset, one.offset + len(one.data))}
    assert total["sha256"] == sha256(bytes(content[at - start] for at in sorted(there)))
    assert total["bytes"] == len(there)
    assert total["damaged_bytes"] == len(content) - len(there)
    assert [one["from"] for one in steps] == list(range(start, start + len(content), step))
    for one in steps:
        mine = [at for at in range(one["from"], one["to"]) if at in there]
        assert one["sha256"] == sha256(bytes(content[at - start] for at in mine))
        assert sum(hole["to"] - hole["from"] for hole in one["holes"]) == one["to"] - one["from"] - len(mine)


def test_the_api_gives_digests_by_step_and_the_exact_bytes(shelf: Shelf, viewer: Viewer) -> None:
    written = fill(shelf, random.Random(3))
    begin, *steps, total = viewer.records(f"/api/digest?stream={APP}&step=20000")
    assert (begin["type"], begin["stream"], begin["next_offset"]) == ("begin", APP, len(written))
    assert [one["sha256"] for one in steps] == [
        sha256(written[at : at + 20000]) for at in range(0, len(written), 20000)
    ]
    assert (total["sha256"], total["bytes"], total["losses"]) == (sha256(written), len(written), [])
    status, headers, body = viewer.ask(f"/api/bytes?stream={APP}&from=10&to=100000")
    assert (status, headers["content-type"], body) == (200, "application/octet-stream", written[10:100000])
    assert viewer.ask(f"/api/bytes?stream={APP}")[2] == written
    assert viewer.ask(f"/api/bytes?stream={APP}&from=5&to=5")[2] == b""


def test_bytes_end_before_a_hole_and_there_the_refusal_says_where_to_go_on(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append(APP, b"old\n")
    shelf.rotate()
    shelf.append(APP, b"before\n")
    lsn = shelf.append(APP, b"damaged\n")
    shelf.append(APP, b"behind\n")
    frame = Journal(shelf.folder).frame(lsn)
    flip(shelf, frame.body_lsn)
    shelf.drop_oldest(1)
    status, _, body = viewer.ask(f"/api/bytes?stream={APP}&from=0")
    assert (status, refusal(body)) == (410, ("not-kept", 0, 4))
    assert viewer.ask(f"/api/bytes?stream={APP}")[2] == b"before\n"
    status, _, body = viewer.ask(f"/api/bytes?stream={APP}&from=11")
    assert (status, refusal(body)) == (500, ("damaged", 11, 19))
    assert viewer.ask(f"/api/bytes?stream={APP}&from=19")[2] == b"behind\n"
    *_, total = viewer.records(f"/api/digest?stream={APP}&from=0")
    assert (total["sha256"], total["bytes"]) == (sha256(b"before\nbehind\n"), 14)
    assert (total["damages"], total["damaged_bytes"], total["not_kept_bytes"]) == (1, 8, 4)


def refusal(body: bytes) -> tuple[Any, ...]:
    said = json.loads(body)
    return said["error"], said["from"], said["to"]


def test_losses_beside_the_range_and_the_audit_of_the_stream_are_told(shelf: Shelf, viewer: Viewer) -> None:
    stream = "ha/1/haproxy/20261123T201501Z-9f2c51aa"
    shelf.append(stream, b"0123456789")
    shelf.lose(Loss("in", stream, 5, 512))
    shelf.lose(Loss("behind", stream, 9, 7))
    shelf.lose(Loss("anywhere", stream, None, None, 3, "lines"))
    shelf.lose(Loss("another's", OTHER, 5, 7))
    *_, total = viewer.records(f"/api/digest?stream={stream}&to=8")
    assert [loss["id"] for loss in total["losses"]] == ["in", "anywhere"]
    assert total["audit"] is None
    note_audit(shelf.folder, stream)
    *_, total = viewer.records(f"/api/digest?stream={stream}")
    assert (total["audit"]["verified"], total["audit"]["unverified"], total["audit"]["lost"]) == (7, 1, 0)
    assert [(one["verdict"], one["why"]) for one in total["audit"]["windows"]] == [("unverified", "it was killed")]


def note_audit(folder: Path, stream: str) -> None:
    """As `logship audit` notes what it found."""
    from logship.audit.audit_life import Window
    from logship.audit.audit_losses import Tally
    from logship.audit.verdict import UNVERIFIED, VERIFIED, Verdict

    tally = Tally()
    for number in range(8):
        verdict = Verdict(7, 1, number, number + 1, UNVERIFIED if number == 7 else VERIFIED, "it was killed")
        tally.take(Window("ha", "1", stream.rpartition("/")[2], stream, 0, verdict))
    (folder / "audit.json").write_text(json.dumps({"v": 1, "found": tally.state()}))


def test_what_cannot_be_answered_is_refused(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append(APP, b"ab\n")
    for asked, status, said in (
        ("", 400, "stream is missing"),
        ("stream=no/such", 404, "there is no stream"),
        (f"stream={APP}&from=5", 400, "no range of a stream that ends at 3"),
        (f"stream={APP}&from=2&to=1", 400, "no range"),
        (f"stream={APP}&from=x", 400, "from is a whole number"),
        (f"stream={APP}&no=1", 400, "there are: from, "),
    ):
        for path in ("/api/digest", "/api/bytes"):
            found, _, body = viewer.ask(f"{path}?{asked}")
            assert (found, said in json.loads(body)["text"]) == (status, True), body
