"""The journal's files: locked, of a known format, whole batches or nothing, and never a sync that is tried twice."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from logship.collect.commit import first_frame
from logship.collect.disk import Disk, NoRoom, watermark
from logship.collect.recover import recover
from logship.collect.state import State
from logship.errors import Fault

FIRST = first_frame(State(), 0, 1)


def made(folder: Path) -> Disk:
    """A new store of one segment."""
    return Disk(folder / "store", FIRST)


def content(disk: Disk) -> bytes:
    """The bytes of the journal's files, in order."""
    return b"".join(path.read_bytes() for path in sorted((disk.folder / "journal").iterdir()))


# The folder.


def test_a_new_store_says_its_format_and_has_one_segment(tmp_path: Path) -> None:
    disk = made(tmp_path)
    names = sorted(str(path.relative_to(disk.folder)) for path in disk.folder.rglob("*"))
    assert names == ["durable", "format", "journal", "journal/" + "0" * 20, "lock"]
    assert (disk.folder / "format").read_bytes() == b"logship-store 1\n"
    assert content(disk) == FIRST
    disk.close()
    again = Disk(disk.folder, first_frame(State(), 0, 2))
    assert (content(again), again.end) == (FIRST, len(FIRST))
    again.close()


def test_a_store_is_one_process_alone(tmp_path: Path) -> None:
    disk = made(tmp_path)
    with pytest.raises(Fault, match="another process"):
        Disk(disk.folder, FIRST)
    disk.close()
    Disk(disk.folder, FIRST).close()


@pytest.mark.case(111)
def test_a_store_of_another_version_is_left_alone(tmp_path: Path) -> None:
    made(tmp_path).close()
    (tmp_path / "store" / "format").write_bytes(b"logship-store 2\n")
    with pytest.raises(Fault, match="logship-store 2") as caught:
        Disk(tmp_path / "store", FIRST)
    assert "newer" in caught.value.hint


def test_a_journal_without_its_format_is_never_taken_for_a_new_store(tmp_path: Path) -> None:
    disk = made(tmp_path)
    disk.append([b"something"])
    disk.close()
    (disk.folder / "format").unlink()
    with pytest.raises(Fault, match="no file `format`"):
        Disk(disk.folder, FIRST)
    assert content(disk) == FIRST + b"something"


@pytest.mark.case(91)
def test_a_crash_while_the_store_is_made_leaves_one_that_is_made(tmp_path: Path) -> None:
    for step, names in enumerate([[], ["journal"], ["journal", ".0.new"], ["journal", "0" * 20]]):
        folder = tmp_path / str(step)
        (folder / "journal").mkdir(parents=True)
        for name in names[1:]:
            (folder / "journal" / name).write_bytes(FIRST)
        disk = Disk(folder, FIRST)
        assert [path.name for path in (folder / "journal").iterdir()] == ["0" * 20]
        disk.close()


@pytest.mark.case(89)
def test_segments_that_are_missing_or_too_short_keep_the_store_shut_and_are_named(tmp_path: Path) -> None:
    disk = made(tmp_path)
    for _ in range(3):
        disk.rotate(first_frame(State(), disk.end, 1))
    paths = sorted((disk.folder / "journal").iterdir())
    disk.close()
    middle = paths[1].read_bytes()
    paths[1].unlink()
    with pytest.raises(Fault, match=paths[0].name):
        Disk(disk.folder, FIRST)
    paths[1].write_bytes(middle[:-1])
    with pytest.raises(Fault, match=paths[1].name) as caught:
        Disk(disk.folder, FIRST)
    assert "fsck" in caught.value.hint
    for path in paths:
        path.unlink(missing_ok=True)
    with pytest.raises(Fault, match="no segment"):
        Disk(disk.folder, FIRST)


def test_a_folder_that_cannot_be_written_is_a_fault_of_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Fault) as caught:
        Disk(tmp_path / "file", FIRST)
    assert caught.value.status == 2


# Writing.


def test_batches_of_many_pieces_and_short_writes_arrive_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random, real = Random(1), os.pwritev

    def short(file: int, buffers: Sequence[Any], position: int) -> int:
        assert len(buffers) <= 1024
        return (
            real(file, [memoryview(buffers[0])[: random.randint(1, 7)]], position)
            if random.random() < 0.5
            else real(file, buffers[: random.randint(1, len(buffers))], position)
        )

    monkeypatch.setattr(os, "pwritev", short)
    disk = made(tmp_path)
    pieces = [bytes([number % 251]) * random.randint(0, 9) for number in range(3000)]
    disk.append(pieces)
    assert content(disk) == FIRST + b"".join(pieces)
    assert disk.end == len(FIRST) + sum(map(len, pieces))


def failing(code: int, after: int) -> Callable[..., int]:
    """A pwritev that writes ``after`` bytes and then fails."""
    real = os.pwritev
    left = [after]

    def write(file: int, buffers: Sequence[Any], position: int) -> int:
        if left[0] == 0:
            raise OSError(code, os.strerror(code))
        done = real(file, [memoryview(buffers[0])[: left[0]]], position)
        left[0] -= done
        return done

    return write


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("after", [0, 5, 11])
def test_a_batch_that_does_not_fit_leaves_nothing_and_the_next_one_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, after: int
) -> None:
    disk = made(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwritev", failing(code, after))
        with pytest.raises(NoRoom):
            disk.append([b"0123456789", b"abc"])
    assert (content(disk), disk.end) == (FIRST, len(FIRST))
    disk.append([b"next"])
    disk.sync()
    assert content(disk) == FIRST + b"next"


def test_any_other_failure_to_write_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = made(tmp_path)
    monkeypatch.setattr(os, "pwritev", failing(errno.EIO, 3))
    with pytest.raises(Fault, match="nothing more was acknowledged"):
        disk.append([b"0123456789"])


@pytest.mark.case(87)
def test_a_failed_sync_is_a_fault_and_the_watermark_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = made(tmp_path)
    disk.publish()
    disk.append([b"x"])

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "remote I/O error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(Fault, match="sync"):
        disk.sync()
    assert disk.published() == len(FIRST)


@pytest.mark.case(92)
def test_a_full_file_system_is_no_room_and_recovers_by_itself(tmp_path: Path) -> None:
    """A real one: a tmpfs of one MiB."""
    mount = tmp_path / "small"
    mount.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=1m tmpfs {mount} 2>/dev/null") != 0:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        disk = made(mount)
        ballast = mount / "ballast"
        ballast.write_bytes(bytes(500_000))
        before = disk.free_bytes()
        assert 0 < before < 600_000
        with pytest.raises(NoRoom):
            disk.append([bytes(400_000), bytes(400_000)])
        assert disk.end == len(FIRST)
        with pytest.raises(NoRoom):
            disk.rotate(bytes(900_000))
        assert [path.name for path in (disk.folder / "journal").iterdir()] == ["0" * 20]
        disk.append([b"small"])
        ballast.unlink()
        disk.append([bytes(400_000), bytes(400_000)])
        disk.sync()
        assert content(disk) == FIRST + b"small" + bytes(800_000)
        disk.close()
    finally:
        os.system(f"umount {mount}")


# Rotation, the watermark, and what is left after a crash.


@pytest.mark.case(91)
def test_a_segment_is_synced_before_the_next_has_a_name_and_that_one_is_durable_when_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = made(tmp_path)
    disk.append([b"x"])
    steps: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def name(file: int) -> str:
        return Path(f"/proc/self/fd/{file}").readlink().name

    def sync(file: int) -> None:
        steps.append(f"sync {name(file)}")
        real_sync(file)

    def rename(self: Path, target: Path) -> Path:
        steps.append(f"rename {self.name}")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    second = f"{disk.end:020}"
    disk.rotate(first_frame(State(), disk.end, 1))
    assert steps == [f"sync {'0' * 20}", f"sync .{second}.new", f"rename .{second}.new", "sync journal"]
    assert disk.published() == disk.end


def test_the_watermark_is_two_halves_that_agree(tmp_path: Path) -> None:
    disk = made(tmp_path)
    assert disk.published() is None
    disk.append([b"12345"])
    disk.sync()
    raw = (disk.folder / "durable").read_bytes()
    assert len(raw) == 16
    assert int.from_bytes(raw[:8], "little") == disk.end == ~int.from_bytes(raw[8:], "little") & (1 << 64) - 1
    assert watermark(raw) == disk.end
    for position in range(16):
        torn = bytearray(raw)
        torn[position] ^= 1
        assert watermark(bytes(torn)) is None
    assert watermark(raw[:15]) is None
    assert watermark(bytes(16)) is None


@pytest.mark.case(87)
def test_what_was_not_proven_durable_is_written_again_before_it_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = made(tmp_path)
    disk.append([b"proven"])
    disk.sync()
    proven = disk.end
    disk.append([b"in the page cache, of a sync that failed", b"torn"])
    lsn = disk.end - 4
    disk.close()
    disk = Disk(disk.folder, FIRST)
    written: list[tuple[int, bytes]] = []
    real = os.pwritev

    def spy(file: int, buffers: Sequence[Any], position: int) -> int:
        written.append((position, b"".join(bytes(buffer) for buffer in buffers)))
        return real(file, buffers, position)

    monkeypatch.setattr(os, "pwritev", spy)
    disk.settle(lsn, proven)
    assert written == [(proven, b"in the page cache, of a sync that failed")]
    assert content(disk) == FIRST + b"proven" + written[0][1]
    assert disk.published() == disk.end == lsn


def test_reads_of_any_place_and_size_are_what_was_written(tmp_path: Path) -> None:
    random = Random(7)
    disk = made(tmp_path)
    for _ in range(3):
        disk.append([random.randbytes(600_000)])
        disk.sync()
        disk.rotate(first_frame(State(), disk.end, 1))
    whole = content(disk)
    ends = [segment.end for segment in disk.segments]
    with disk.reader() as read:
        position = 0
        for _ in range(500):
            lsn = random.choice([random.randrange(len(whole)), position % len(whole)])
            size = random.choice([0, 48, 300, 5000, 300_000])
            end = next(end for end in ends if lsn < end)
            assert read(lsn, size) == whole[lsn : min(lsn + size, end)]
            position = lsn + size


def test_the_oldest_segments_go_and_reading_them_says_so(tmp_path: Path) -> None:
    disk = made(tmp_path)
    for _ in range(2):
        disk.rotate(first_frame(State(), disk.end, 1))
    first_kept = disk.segments[2].lsn
    with disk.reader() as open_read, disk.reader() as late_read:
        assert open_read(0, 4) == b"LSF1"
        disk.delete_oldest(2)
        assert open_read(8, 4) == FIRST[8:12], "what is open is still read"
        with pytest.raises(FileNotFoundError):
            late_read(0, 4)
        assert late_read(first_kept, 4) == b"LSF1"
    assert [path.name for path in (disk.folder / "journal").iterdir()] == [f"{first_kept:020}"]
    disk.close()
    again = Disk(disk.folder, FIRST)
    assert recover(again).torn is None
    assert (again.segments[0].lsn, again.journal_bytes) == (first_kept, again.end - first_kept)


def test_a_place_in_the_journal_is_told_by_file_and_byte(tmp_path: Path) -> None:
    disk = made(tmp_path)
    disk.rotate(first_frame(State(), disk.end, 1))
    second = disk.segments[1].lsn
    assert disk.path_of(5) == f"{disk.folder}/journal/{'0' * 20} at byte 5"
    assert disk.path_of(second + 7) == f"{disk.folder}/journal/{second:020} at byte 7"
