"""What a crash may leave of the last segment, byte by byte: a torn tail is cut, damage to durable bytes is said."""

from __future__ import annotations

from random import Random

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from logship.collect.journal import HEAD_BYTES, Entry, Kind, encode
from logship.collect.recovery import Damaged, Torn, Walk, judge
from logship.collect.state import State
from logship.values import Producer
from logship.wire import Append, Create
from tests.logship.collect.kit import PATHS, Desk

PATH = PATHS[0]
BIG = b"0123456789abcdef" * 60


def desk_of_three_batches() -> Desk:
    """Segment one with a batch, segment two with two; the last batch is of three frames and not synced."""
    desk = Desk()
    desk.do(Create(PATH, "text/plain"))
    desk.rotate()
    desk.batch([(Append(PATH, "text/plain", producer=Producer("p", 0, 0)), b"one"), (Append(PATH, "text/plain"), BIG)])
    desk.batch([(Append(PATH, "text/plain", producer=Producer("p", 0, n)), bytes([n]) * 50) for n in (1, 2, 3)])
    return desk


class Disk:
    """The last segment of a desk, as bytes to be broken."""

    def __init__(self, desk: Desk) -> None:
        self.start, content = list(desk.segments.items())[-1]
        self.content = bytearray(content)
        self.boundaries = [frame.lsn for frame in desk.frames(self.start)] + [desk.end]
        self.synced = desk.synced[-2]

    @property
    def end(self) -> int:
        return self.start + len(self.content)

    def read(self, lsn: int, size: int) -> bytes:
        return bytes(self.content[lsn - self.start : lsn - self.start + size])

    def recovered(self, published: int | None) -> Torn | Damaged | None:
        """What recovery makes of it; None when all of it is whole."""
        walk = Walk(self.read, self.start, self.end, bodies=True)
        for _ in walk:
            pass
        return judge(self.read, walk.lsn, self.end, published) if walk.fault else None


def test_a_whole_segment_is_whole() -> None:
    disk = Disk(desk_of_three_batches())
    assert disk.recovered(disk.end) is None


def test_a_segment_cut_anywhere_in_its_unsynced_batch_is_torn_at_the_frame() -> None:
    whole = Disk(desk_of_three_batches())
    for cut in range(whole.synced - whole.start, len(whole.content)):
        disk = Disk(desk_of_three_batches())
        del disk.content[cut:]
        at = max(boundary for boundary in whole.boundaries if boundary <= whole.start + cut)
        expected = Torn(at, whole.start + cut - at) if at < disk.end else None
        assert disk.recovered(whole.synced) == expected, cut


def test_durable_bytes_that_are_cut_off_within_a_frame_are_damage_because_the_watermark_says_so() -> None:
    """Cut at a frame's end nothing is broken: there ``recover`` compares the end with the watermark."""
    whole = Disk(desk_of_three_batches())
    for cut in range(whole.start + 1, whole.synced, 3):
        if cut not in whole.boundaries:
            disk = Disk(desk_of_three_batches())
            del disk.content[cut - whole.start :]
            verdict = disk.recovered(whole.synced)
            assert isinstance(verdict, Damaged), cut
            assert verdict.lsn == max(boundary for boundary in whole.boundaries if boundary <= cut)


@pytest.mark.parametrize("published", ["nothing", "before", "synced"])
def test_a_flipped_byte_in_durable_frames_is_damage_and_in_the_unsynced_batch_a_torn_tail(published: str) -> None:
    whole = Disk(desk_of_three_batches())
    said = {"nothing": None, "before": whole.boundaries[1], "synced": whole.synced}[published]
    for position in range(len(whole.content)):
        disk = Disk(desk_of_three_batches())
        disk.content[position] ^= 0x40
        verdict = disk.recovered(said)
        frame = max(boundary for boundary in whole.boundaries if boundary <= whole.start + position)
        if frame >= whole.synced:
            assert verdict == Torn(frame, whole.end - frame), position
        else:
            assert isinstance(verdict, Damaged), position
            assert verdict.lsn == frame, position


@given(st.integers(0, 2**32), st.sampled_from([64, 512]))
def test_pages_lost_from_the_unsynced_batch_leave_a_prefix_of_its_frames(seed: int, page: int) -> None:
    whole = Disk(desk_of_three_batches())
    disk = Disk(desk_of_three_batches())
    random = Random(seed)
    for start in range(0, len(disk.content), page):
        if random.random() < 0.4:
            low, high = max(start, whole.synced - whole.start), min(start + page, len(disk.content))
            disk.content[low:high] = bytes(max(0, high - low))
    if random.random() < 0.5:
        del disk.content[random.randrange(whole.synced - whole.start, len(disk.content)) :]
    verdict = disk.recovered(whole.synced)
    assert verdict is None or isinstance(verdict, Torn)
    if verdict:
        assert verdict.lsn in whole.boundaries
        assert verdict.lsn >= whole.synced
        assert verdict.lsn + verdict.dropped_bytes == disk.end


def test_a_body_that_looks_like_frames_is_no_witness() -> None:
    """A client may send the bytes of a journal; a torn tail after them is a torn tail all the same."""
    desk = Desk()
    desk.do(Create(PATH, "text/plain"))
    lsn = desk.end
    liar_lsn = lsn + len(encode(Kind.APPEND, 0, lsn, lsn, Entry(desk.now_ms, PATH, length=999), BIG))
    liar = encode(Kind.APPEND, 0, liar_lsn, liar_lsn, Entry(1, PATH), b"")
    desk.do(Append(PATH, "text/plain"), (liar + BIG)[:999])
    frame = desk.frames()[-1]
    assert frame.body_lsn == liar_lsn, "the body lies where it pretends to"
    for cut in (1, 500, 999 - len(liar)):
        torn = Disk(desk)
        del torn.content[-cut:]
        assert torn.recovered(lsn) == Torn(lsn, torn.end - lsn)
    torn = Disk(desk)
    torn.content[-1] ^= 1
    assert torn.recovered(lsn) == Torn(lsn, torn.end - lsn)


@pytest.mark.case(111)
def test_a_frame_of_a_newer_version_is_never_cut_off() -> None:
    desk = Desk()
    desk.do(Create(PATH, "text/plain"))
    lsn = desk.end
    frame = bytearray(encode(Kind.CLOSE, 0, lsn, lsn, Entry(1, PATH), b""))
    frame[4] = 99
    frame[40:48] = xxhash.xxh3_64_intdigest(bytes(frame[:40] + frame[HEAD_BYTES:])).to_bytes(8, "little")
    disk = Disk(desk)
    disk.content.extend(frame)
    verdict = disk.recovered(None)
    assert isinstance(verdict, Damaged)
    assert "version" in verdict.reason


def test_a_checkpoint_stands_at_the_beginning_and_nowhere_else() -> None:
    desk = desk_of_three_batches()
    start, content = list(desk.segments.items())[-1]
    headless = Walk(desk.read, desk.frames(start)[1].lsn, desk.end, bodies=False)
    assert list(headless) == []
    assert headless.fault is not None
    doubled = {start: bytearray(content)}
    body = State().checkpoint()
    doubled[start].extend(encode(Kind.CHECKPOINT, 0, desk.end, desk.end, Entry(1), body) + body)
    other = Desk(segments=doubled)
    walk = Walk(other.read, start, other.end, bodies=False)
    assert len(list(walk)) == len(desk.frames(start))
    assert walk.fault is not None


def test_a_sea_of_magic_is_searched_once() -> None:
    desk = Desk()
    desk.do(Create(PATH, "text/plain"))
    disk = Disk(desk)
    disk.content.extend(b"LSF1" * 50_000)
    assert disk.recovered(None) == Torn(desk.end, 200_000)
