"""Crashes on real files: what was acknowledged is there, nothing is there twice, damage is said."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from logship.collect.commit import first_frame
from logship.collect.disk import Disk
from logship.collect.recover import Recovered, recover
from logship.collect.recovery import Torn
from logship.collect.state import State
from logship.errors import Fault
from logship.wire import Append, Create
from tests.logship.collect.kit import PATHS as KIT_PATHS
from tests.logship.collect.kit import Desk
from tests.logship.collect.shop import by

FIRST = first_frame(State(), 0, 1)


def opened_again(folder: Path) -> Recovered:
    """Open the store in ``folder``, recover, and close it again."""
    disk = Disk(folder, FIRST)
    try:
        return recover(disk)
    finally:
        disk.close()


@dataclass
class Shelf:
    """A store whose files are those of a desk: two finished segments, and one whose last batch was not synced."""

    folder: Path
    desk: Desk = field(default_factory=Desk)

    def __post_init__(self) -> None:
        path = KIT_PATHS[0]
        append = Append(path, "text/plain")
        self.desk.do(Create(path, "text/plain"), b"first")
        self.desk.rotate()
        self.desk.batch([(append, b"second"), (append, b"third " * 20)])
        self.desk.rotate()
        self.desk.batch([(replace(append, producer=by(0)), b"fourth"), (append, b"fifth " * 10)])
        self.desk.batch([(replace(append, producer=by(n)), bytes([64 + n]) * 40) for n in (1, 2, 3)])
        self.synced, self.end = self.desk.synced[-2:]
        self.starts = list(self.desk.segments)
        self.boundaries = [frame.lsn for frame in self.desk.frames()] + [self.end]

    def path(self, lsn: int) -> Path:
        """The segment that begins at ``lsn``."""
        return self.folder / "journal" / f"{lsn:020}"

    def lay_out(self, published: int | None) -> None:
        """Write the files, as they were when the crash came."""
        shutil.rmtree(self.folder, ignore_errors=True)
        Disk(self.folder, FIRST).close()
        for lsn, content in self.desk.segments.items():
            self.path(lsn).write_bytes(content)
        if published is not None:
            low = published.to_bytes(8, "little")
            (self.folder / "durable").write_bytes(low + bytes(255 - byte for byte in low))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A shelf with its files laid out."""
    return Shelf(tmp_path / "store")


@pytest.mark.case(85, 88)
def test_the_last_segment_cut_at_every_byte_of_its_unsynced_batch_recovers_to_the_frame_before(shelf: Shelf) -> None:
    last = shelf.starts[-1]
    for cut in range(shelf.synced, shelf.end + 1):
        shelf.lay_out(shelf.synced)
        content = shelf.path(last).read_bytes()
        shelf.path(last).write_bytes(content[: cut - last])
        found = opened_again(shelf.folder)
        whole = max(boundary for boundary in shelf.boundaries if boundary <= cut)
        assert found.torn == (Torn(whole, cut - whole) if cut > whole else None)
        assert shelf.path(last).read_bytes() == content[: whole - last]
        taken = [boundary for boundary in shelf.boundaries[:-1] if shelf.synced <= boundary < whole]
        stream = found.state.streams[KIT_PATHS[0]]
        assert stream.next_offset == 197 + 40 * len(taken)
        assert stream.producers == {"p": (0, len(taken))}
        assert opened_again(shelf.folder).torn is None, "and stays so"


@pytest.mark.case(88, 95)
def test_a_flipped_byte_in_what_was_durable_keeps_the_store_shut_and_names_segment_and_place(shelf: Shelf) -> None:
    """Heads of finished segments and all of the last one are checked at the start; other bodies when they are read."""
    bodies = {
        position
        for frame in shelf.desk.frames()
        if frame.lsn < shelf.starts[-1]
        for position in range(frame.body_lsn, frame.end)
    }
    offsets = {
        position: f"{frame.entry.stream} offsets {frame.entry.offset} to {frame.entry.offset + frame.entry.length}"
        for frame in shelf.desk.frames()
        if frame.entry.length
        for position in range(frame.body_lsn, frame.end)
    }
    assert any(shelf.starts[-1] < position < shelf.synced for position in offsets)
    shelf.lay_out(shelf.synced)
    for position in range(0, shelf.synced, 3):
        if position in bodies:
            continue
        start = max(lsn for lsn in shelf.starts if lsn <= position)
        content = bytearray(shelf.desk.segments[start])
        content[position - start] ^= 0x10
        shelf.path(start).write_bytes(content)
        with pytest.raises(Fault) as caught:
            opened_again(shelf.folder)
        frame = max(boundary for boundary in shelf.boundaries if boundary <= position)
        assert f"{start:020} at byte {frame - start}:" in str(caught.value), position
        assert f"`logship fsck --store {shelf.folder}`" in caught.value.hint
        assert position not in offsets or offsets[position] in caught.value.cause
        assert shelf.path(start).read_bytes() == content, "nothing was changed"
        shelf.path(start).write_bytes(shelf.desk.segments[start])
    opened_again(shelf.folder)


@pytest.mark.case(88)
def test_a_flipped_byte_in_what_was_not_synced_is_a_torn_tail(shelf: Shelf) -> None:
    last = shelf.starts[-1]
    for position in range(shelf.synced, shelf.end):
        shelf.lay_out(shelf.synced)
        content = bytearray(shelf.desk.segments[last])
        content[position - last] ^= 0x10
        shelf.path(last).write_bytes(content)
        frame = max(boundary for boundary in shelf.boundaries if boundary <= position)
        assert opened_again(shelf.folder).torn == Torn(frame, shelf.end - frame)


@pytest.mark.case(89)
def test_a_journal_that_ends_before_its_watermark_keeps_the_store_shut(shelf: Shelf) -> None:
    for end in [boundary for boundary in shelf.boundaries if shelf.starts[-1] < boundary < shelf.synced]:
        shelf.lay_out(shelf.synced)
        shelf.path(shelf.starts[-1]).write_bytes(shelf.desk.segments[shelf.starts[-1]][: end - shelf.starts[-1]])
        with pytest.raises(Fault, match="durable"):
            opened_again(shelf.folder)
    shelf.lay_out(shelf.synced)
    shelf.path(shelf.starts[-1]).unlink()
    with pytest.raises(Fault, match="durable"):
        opened_again(shelf.folder)


def test_an_empty_or_headless_last_segment_is_damage(shelf: Shelf) -> None:
    """A segment has its name only when its checkpoint is durable, so no crash leaves one without it."""
    for content in (b"", b"LSF1", bytes(500)):
        shelf.lay_out(None)
        shelf.path(shelf.starts[-1]).write_bytes(content)
        with pytest.raises(Fault, match=f"{shelf.starts[-1]:020} at byte 0"):
            opened_again(shelf.folder)
