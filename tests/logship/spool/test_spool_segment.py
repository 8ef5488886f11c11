"""Writing and reading a stream folder, against plain bytes."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.spool.layout import segment_name
from logship.spool.reader import StreamReader, tail_offset
from logship.spool.segment import ActiveSegment, SegmentWriter, listed

lines = st.lists(st.binary(max_size=20).map(lambda data: data.replace(b"a", b"\n")), max_size=12)


def read_all(reader: StreamReader, bytes_max: int = 7) -> bytes:
    found = b""
    while data := reader.read(bytes_max):
        found += data
    return found


@settings(deadline=None)
@given(lines, st.integers(1, 40), st.data())
def test_what_is_written_is_read_whatever_the_segments_and_restarts(
    pieces: list[bytes], segment_bytes: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "stream"
        writer = SegmentWriter(folder, segment_bytes)
        reader = StreamReader(folder)
        seen = b""
        for piece in pieces:
            writer.write(piece)
            if data.draw(st.booleans()):
                writer.close()
                writer = SegmentWriter(folder, segment_bytes)
            if data.draw(st.booleans()):
                seen += read_all(reader)
        whole = b"".join(pieces)
        assert writer.offset == len(whole)
        assert seen + read_all(reader) == whole
        assert all(segment.size <= segment_bytes for segment in listed(folder))
        start = data.draw(st.integers(0, len(whole)))
        assert read_all(StreamReader(folder, start)) == whole[start:]
        writer.close()
        reader.close()


@settings(deadline=None)
@given(lines, st.integers(1, 40), st.integers(0, 9))
def test_the_tail_begins_where_the_last_lines_do(pieces: list[bytes], segment_bytes: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        writer = SegmentWriter(Path(name), segment_bytes)
        for piece in pieces:
            writer.write(piece)
        whole = b"".join(pieces)
        ended = [line + b"\n" for line in whole.split(b"\n")]
        ended[-1] = ended[-1][:-1]
        parts = [line for line in ended if line]
        wanted = b"".join(parts[-count:]) if count else b""
        assert len(whole) - tail_offset(Path(name), count) == len(wanted)
        writer.close()


def test_the_tail_looks_back_no_further_than_its_bound(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, 100)
    writer.write(b"x" * 1000)
    assert tail_offset(tmp_path, 1, bytes_max=250) == 700
    writer.close()


def test_a_reader_reads_a_deleted_segment_to_its_end_and_counts_what_it_must_step_over(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, 10)
    writer.write(bytes(range(40)))
    reader = StreamReader(tmp_path)
    assert reader.read(4) == bytes(range(4))
    for offset in (0, 10, 20):
        (tmp_path / segment_name(offset)).unlink()
    assert read_all(reader) == bytes(range(4, 10)) + bytes(range(30, 40))
    assert (reader.skipped_bytes, reader.offset) == (20, 40)
    reader.seek(33)
    assert read_all(reader) == bytes(range(33, 40))
    reader.seek(35)
    assert read_all(reader) == bytes(range(35, 40))
    writer.close()
    reader.close()


def test_a_reader_waits_at_the_end_and_of_a_stream_that_is_not_there(tmp_path: Path) -> None:
    reader = StreamReader(tmp_path / "later")
    assert reader.read() == b""
    writer = SegmentWriter(tmp_path / "later", 4)
    writer.write(b"abc")
    assert reader.read() == b"abc"
    assert reader.read() == b""
    writer.write(b"defgh")
    assert read_all(reader) == b"defgh"


def test_every_step_of_a_writer_leaves_a_stream_that_goes_on(tmp_path: Path) -> None:
    """A segment may be full, empty or half written when its writer dies: the next one finds the end all the same."""
    chance = random.Random(1)
    whole = b""
    for _ in range(200):
        writer = SegmentWriter(tmp_path, 16)
        piece = chance.randbytes(chance.randrange(0, 40))
        writer.write(piece)
        whole += piece
        if chance.random() < 0.3:  # it died right after it made the next segment
            os.close(os.open(tmp_path / segment_name(len(whole)), os.O_CREAT | os.O_WRONLY))
    assert b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir())) == whole


def test_a_hole_is_the_name_of_an_empty_segment(tmp_path: Path) -> None:
    active = ActiveSegment(tmp_path, 100)
    descriptor, room = active.ready()
    assert room == 100
    active.size += os.pwrite(descriptor, b"abc", 0)
    active.cut(1000)
    active.cut(24)
    assert [(segment.offset, segment.size) for segment in listed(tmp_path)] == [(0, 3), (1027, 0)]
    active.close()
    again = ActiveSegment(tmp_path, 100)
    assert again.end == 1027


def test_a_writer_never_raises_counts_and_ends_a_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SegmentWriter(tmp_path, 100)
    real = os.pwrite
    answers = iter([3, None, None])

    def refuse(descriptor: int, data: bytes, offset: int) -> int:
        count = next(answers, -1)
        if count is None:
            raise OSError(28, "No space left on device")
        return real(descriptor, data if count == -1 else data[:count], offset)

    monkeypatch.setattr(os, "pwrite", refuse)
    writer.write(b"first\n")
    writer.write(b"second\n")
    writer.write(b"third\n")
    assert (tmp_path / segment_name(0)).read_bytes() == b"fir\nthird\n"
    assert writer.dropped_bytes == 3 + 7
    assert writer.last_error is not None
    assert writer.last_error.errno == 28
    writer.close()


def test_a_writer_without_a_folder_to_write_in_counts(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    writer = SegmentWriter(tmp_path / "file" / "stream")
    writer.write(b"four")
    assert (writer.dropped_bytes, writer.offset) == (4, 0)


def test_a_writer_keeps_its_descriptor_above_a_number_and_off_its_children(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, 4, descriptor_min=200)
    writer.write(b"abcdef")
    held = [
        int(entry.name)
        for entry in Path("/proc/self/fd").iterdir()
        if str(entry.resolve()).startswith(str(tmp_path.resolve()))
    ]
    assert len(held) == 1
    assert held[0] >= 200
    assert not os.get_inheritable(held[0])
    writer.close()
