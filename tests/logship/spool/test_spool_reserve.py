"""Room kept beyond a file's end is there when the disk is full: what the ledger relies on, on real file systems."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.spool.losses import RESERVE_BYTES, LossBook, read
from logship.spool.ranges import Span
from logship.spool.reserve import reserve


def mount(*words: str) -> None:
    result = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"this cannot be mounted here: {result.stderr.strip()}")


@pytest.fixture(params=["tmpfs", "ext4", "overlay"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty disk of a few MiB."""
    folder, image, over = tmp_path / "disk", tmp_path / "image", tmp_path / "over"
    folder.mkdir()
    if request.param == "tmpfs":
        mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    else:
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("there is no mkfs.ext4 here")
        with image.open("wb") as file:
            file.truncate(16 * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        mount("-o", "loop", str(image), str(folder))
    shown = folder
    if request.param == "overlay":
        for name in ("lower", "upper", "work"):
            (folder / name).mkdir()
        over.mkdir()
        shown = over
        layers = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
        try:
            mount("-t", "overlay", "-o", layers, "overlay", str(over))
        except BaseException:
            subprocess.run(["umount", str(folder)], check=True)
            raise
    yield shown
    for place in {shown, folder}:
        subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> None:
    """Write until not one byte more goes in."""
    with (disk / "filling").open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\1" * size)
        os.fsync(file.fileno())


def test_losses_are_written_down_on_a_disk_that_is_full(disk: Path) -> None:
    book = LossBook(disk, reserve=reserve)
    path = disk / "losses.jsonl"
    assert path.stat().st_size == 0
    fill(disk)
    place = 0
    while not book.waiting:
        assert book.record("web", [Span(place * 20, 10)], "over budget") == 10
        place += 1
    written = list(read(path))
    assert [loss.span for loss in written] == [Span(number * 20, 10) for number in range(len(written))]
    assert path.stat().st_size > RESERVE_BYTES - 4096
    (disk / "filling").unlink()
    book.retry()
    assert not book.waiting
    assert [loss.span for loss in read(path)] == [Span(number * 20, 10) for number in range(place)]
    fill(disk)
    assert book.record("web", [Span(10**9, 10)], "over budget") == 10
    assert not book.waiting  # room was made again


def test_the_room_stays_when_its_maker_is_gone(disk: Path) -> None:
    LossBook(disk, reserve=reserve)
    fill(disk)
    later = LossBook(disk)  # as whoever trims an orphan has it
    for place in range(1000):
        later.record("web", [Span(place * 20, 10)], "over the volume's budget")
    assert not later.waiting
    assert len(list(read(disk / "losses.jsonl"))) == 1000
