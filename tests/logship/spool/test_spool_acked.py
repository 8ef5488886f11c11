"""Spool deletes what the collector holds, and nothing else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.spool import acked
from logship.spool.layout import segment_name
from logship.spool.ranges import Segment, segments
from logship.spool.segment import listed
from tests.logship.spool.bench import SpoolBench, until

SEGMENT_BYTES = 65_536
LISTINGS = st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), max_size=8).map(
    lambda pairs: segments((segment_name(offset), size) for offset, size in pairs)
)


@given(LISTINGS, st.integers(0, 10**7))
def test_only_whole_segments_well_below_the_acknowledged_offset_may_go(found: list[Segment], offset: int) -> None:
    gone = acked.deletable(found, offset)
    assert gone == [segment for segment in found[:-1] if segment.end + 65_536 <= offset]


@pytest.mark.case(112)
def test_what_cannot_be_read_as_an_offset_acknowledges_nothing(tmp_path: Path) -> None:
    assert acked.read(tmp_path) == 0
    for note in (b"", b"12\n", b"x" * 20, b"\xff" * 21, b"-0000000000000000012\n", b"0" * 100):
        (tmp_path / "acked").write_bytes(note)
        assert acked.read(tmp_path) == 0
    (tmp_path / "acked").write_bytes(b"00000000000000000012\n")
    assert acked.read(tmp_path) == 12


@pytest.mark.case(93)
def test_a_note_that_the_disk_has_no_block_for_is_a_link_until_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    acked.note(tmp_path, 262_144)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        for offset in (300_000, 400_000):
            acked.note(tmp_path, offset)
            assert (tmp_path / "acked").is_symlink()
            assert acked.read(tmp_path) == offset
    acked.note(tmp_path, 500_000)
    assert not (tmp_path / "acked").is_symlink()
    assert acked.read(tmp_path) == 500_000
    assert [path.name for path in tmp_path.iterdir()] == ["acked"]


@pytest.mark.case(112)
@pytest.mark.parametrize("target", ["nowhere", "acked", "acked-12", "acked-0000000000000026214x", "/etc/passwd"])
def test_a_link_that_says_no_offset_acknowledges_nothing(tmp_path: Path, target: str) -> None:
    (tmp_path / "acked").symlink_to(target)
    assert acked.read(tmp_path) == 0


def test_acknowledged_segments_go_without_a_record_of_loss(bench: SpoolBench) -> None:
    bench.options = ["--segment-bytes", str(SEGMENT_BYTES)]
    bench.fifo("web")
    bench.start()
    program = bench.writer("web")
    content = os.urandom(5 * SEGMENT_BYTES + 100)
    for place in range(0, len(content), 8192):
        os.write(program, content[place : place + 8192])
    until(lambda: bench.stored("web") == content, "all is stored")
    note = bench.spool / "web" / "acked"
    note.write_text(segment_name(4 * SEGMENT_BYTES) + "\n")
    until(lambda: listed(bench.spool / "web")[0].offset == 3 * SEGMENT_BYTES, "three segments are gone")
    assert bench.stored("web") == content[3 * SEGMENT_BYTES :]
    bench.kill()
    bench.start()
    assert bench.stop() == 0
    assert bench.losses() == []
    os.close(program)


def test_the_segment_that_is_written_stays(bench: SpoolBench) -> None:
    bench.options = ["--segment-bytes", str(SEGMENT_BYTES)]
    bench.fifo("web")
    folder = bench.spool / "web"
    folder.mkdir()
    for place in range(3):
        (folder / segment_name(place * SEGMENT_BYTES)).write_bytes(b"x" * SEGMENT_BYTES)
    (folder / "acked").write_text(segment_name(3 * SEGMENT_BYTES) + "\n")
    bench.start()
    until(lambda: len(bench.segments("web")) == 1, "the others are gone")
    assert bench.segments("web")[0].name == segment_name(2 * SEGMENT_BYTES)
