"""``logship fsck``: names the place that is damaged and what it costs, says what helps, and writes nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from logship.cli import main
from logship.collect.fsck import opened as checking
from logship.collect.journal import Frame, Kind, frame_at
from logship.collect.store import Settings, Store
from logship.errors import Fault
from logship.values import Invalid
from logship.wire import Code, Refusal
from tests.logship.collect.shop import OTHER, PATH, SETTINGS, SMALL, by, everything, make, opened, put, put_zipped, run

BODY = bytes(range(256)) * 5
APPENDS = 12


@dataclass
class Shop:
    """A store of several segments, as a collector left it; what its two streams hold."""

    folder: Path
    starts: list[int]
    frames: list[Frame]

    def path(self, lsn: int) -> Path:
        """The segment that begins at ``lsn``."""
        return self.folder / "journal" / f"{lsn:020}"

    def start_of(self, lsn: int) -> int:
        """Where the segment of an LSN begins."""
        return max(start for start in self.starts if start <= lsn)

    def flip(self, lsn: int) -> None:
        """Damage one byte."""
        start = self.start_of(lsn)
        content = bytearray(self.path(start).read_bytes())
        content[lsn - start] ^= 0x10
        self.path(start).write_bytes(content)

    def frame(self, segment: int, kind: Kind = Kind.APPEND, at: int = 0) -> Frame:
        """A frame of the segment with this number."""
        return [
            frame for frame in self.frames if self.start_of(frame.lsn) == self.starts[segment] and frame.kind is kind
        ][at]

    def content(self) -> dict[str, bytes]:
        """All files of the store."""
        return {str(path): path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file()}


async def filled(store: Store) -> None:
    """Two streams, plain and zstd, over several segments."""
    await make(store)
    await make(store, OTHER, b"other")
    for number in range(APPENDS):
        await put(store, BODY, producer=by(number))
        await put_zipped(store, BODY + os.urandom(200), OTHER)


def journal_frames(folder: Path) -> tuple[list[int], list[Frame]]:
    """Where segments begin, and all frames."""
    paths = sorted((folder / "journal").iterdir())
    whole = b"".join(path.read_bytes() for path in paths)
    frames: list[Frame] = []
    while not frames or frames[-1].end < len(whole):
        found = frame_at(lambda lsn, size: whole[lsn : lsn + size], frames[-1].end if frames else 0, len(whole))
        assert not isinstance(found, Invalid)
        frames.append(found)
    return [int(path.name) for path in paths], frames


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A good store that no collector is in."""

    async def work() -> None:
        async with opened(tmp_path, SMALL) as store:
            await filled(store)

    run(work())
    starts, frames = journal_frames(tmp_path / "store")
    assert len(starts) >= 4
    return Shop(tmp_path / "store", starts, frames)


def fsck(shop: Shop, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    """Exit status and what was printed; the store is the same after it."""
    before = shop.content()
    status = main(["fsck", "--store", str(shop.folder), *options], {})
    assert shop.content() == before
    return status, capsys.readouterr().out


def damage_of(shop: Shop, capsys: pytest.CaptureFixture[str]) -> tuple[str, list[dict[str, object]], str]:
    """The one damaged segment's name, its damage, and the advice."""
    status, text = fsck(shop, capsys, "-o", "json")
    *segments, summary = map(json.loads, text.splitlines())
    assert (status, summary["damaged"] > 0) == (1, True)
    bad = [segment for segment in segments if segment["verdict"] == "damaged"]
    assert [segment["verdict"] for segment in segments].count("ok") == len(segments) - len(bad)
    assert len(bad) == 1
    return bad[0]["segment"], bad[0]["damage"], " ".join(summary["advice"])


async def kept(folder: Path, settings: Settings = SETTINGS) -> tuple[bytes, bytes]:
    """What a collector that starts on the store serves of both streams."""
    async with opened(folder, settings) as store:
        return await everything(store), await everything(store, OTHER)


def test_a_good_store_is_ok_segment_by_segment_and_every_byte_is_counted(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = fsck(shop, capsys)
    *lines, last = text.splitlines()
    assert status == 0
    assert [line.split()[:2] for line in lines] == [["ok", f"journal/{start:020}"] for start in shop.starts]
    assert last.endswith(
        f"{len(shop.starts)} segments, {len(shop.frames)} frames, {shop.frames[-1].end} bytes: all good"
    )


def test_a_store_in_use_is_checked_up_to_what_is_durable_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> int:
        async with opened(tmp_path, SMALL) as store:
            await filled(store)
            last = sorted((tmp_path / "store" / "journal").iterdir())[-1]
            with last.open("ab") as file:
                file.write(b"a batch that is not synced yet")
            return main(["fsck", "--store", str(tmp_path / "store")], {})

    assert run(work()) == 0
    text = capsys.readouterr().out
    durable = int.from_bytes((tmp_path / "store" / "durable").read_bytes()[:8], "little")
    assert f"{durable} bytes: all good" in text
    assert f"in use by a collector: checked up to LSN {durable}" in text


def test_damage_below_the_watermark_of_a_store_in_use_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> int:
        async with opened(tmp_path) as store:
            await filled(store)
            (path,) = (tmp_path / "store" / "journal").iterdir()
            with path.open("r+b") as file:
                file.seek(-1, os.SEEK_END)
                last = file.read(1)[0]
                file.seek(-1, os.SEEK_END)
                file.write(bytes([last ^ 1]))
            return main(["fsck", "--store", str(tmp_path / "store")], {})

    assert run(work()) == 1
    text = capsys.readouterr().out
    assert "the body of the frame does not check" in text
    assert "the collector that runs would not start again" in text


def test_no_collector_starts_while_its_store_is_checked(shop: Shop) -> None:
    with checking(shop.folder) as check:
        next(check.run())
        with pytest.raises(Fault, match="another process"):
            run(kept(shop.folder.parent))
    run(kept(shop.folder.parent))


@pytest.mark.case(95)
def test_a_flipped_byte_in_a_finished_segments_body_costs_its_range_alone_and_the_store_opens(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = shop.frame(1)
    shop.flip(frame.body_lsn + 7)
    name, damage, advice = damage_of(shop, capsys)
    entry = frame.entry
    span = {"stream": entry.stream, "start": entry.offset, "end": entry.offset + entry.length}
    assert name == f"journal/{shop.starts[1]:020}"
    assert [(item["lsn"], item["byte"], item["lost"], item["shut"]) for item in damage] == [
        (frame.lsn, frame.lsn - shop.starts[1], [span], False)
    ]
    assert "leave the files where they are" in advice

    async def work() -> None:
        async with opened(shop.folder.parent) as store:
            path = PATH if entry.stream == PATH else OTHER
            refused = await store.read(path, entry.offset, 1)
            assert isinstance(refused, Refusal)
            assert refused.code is Code.DAMAGED
            assert isinstance(await store.read(path, entry.offset - 1, 1), bytes)
            assert isinstance(await store.read(path, entry.offset + entry.length, 1), bytes)

    run(work())


def test_a_flipped_byte_in_a_head_names_the_frame_and_what_the_rest_of_the_segment_held(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = shop.frame(2)
    shop.flip(frame.lsn + 20)
    name, damage, advice = damage_of(shop, capsys)
    rest = [found for found in shop.frames if frame.lsn <= found.lsn < shop.starts[3]]
    lost = [
        {
            "stream": path,
            "start": min(found.entry.offset for found in rest if found.entry.stream == path),
            "end": max(found.entry.offset + found.entry.length for found in rest if found.entry.stream == path),
        }
        for path in sorted({found.entry.stream for found in rest})
    ]
    assert name == f"journal/{shop.starts[2]:020}"
    assert [(item["lsn"], item["lost"], item["shut"]) for item in damage] == [(frame.lsn, lost, True)]
    assert f"moving journal/{shop.starts[2]:020} and all older segments" in advice


def test_what_is_advised_over_a_damaged_head_works(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Moving the segment and the older ones opens the store, moving it alone does not; the older ones open alone."""
    whole = run(kept(shop.folder.parent))
    shop.flip(shop.frame(2).lsn + 20)
    copy = tmp_path / "copy" / "store"
    (copy / "journal").mkdir(parents=True)
    shutil.copy(shop.folder / "format", copy)
    moved = tmp_path / "moved"
    moved.mkdir()
    for start in shop.starts[:2]:
        shutil.copy(shop.path(start), copy / "journal")
    shop.path(shop.starts[2]).rename(moved / "damaged")
    with pytest.raises(Fault):
        run(kept(shop.folder.parent))
    for start in shop.starts[:2]:
        shop.path(start).rename(moved / str(start))
    newer, older = run(kept(shop.folder.parent)), run(kept(copy.parent))
    for all_of_it, end, beginning in zip(whole, newer, older, strict=True):
        assert 0 < len(end) < len(all_of_it)
        assert all_of_it.endswith(end)
        assert 0 < len(beginning) < len(all_of_it)
        assert all_of_it.startswith(beginning)
    assert fsck(shop, capsys)[0] == 0


def test_a_damaged_oldest_segment_is_moved_alone(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.flip(shop.frame(0).lsn)
    _, _, advice = damage_of(shop, capsys)
    assert f"moving journal/{shop.starts[0]:020} out of the journal" in advice
    assert "on their own" not in advice, "there is none that is older"
    shop.path(shop.starts[0]).unlink()
    run(kept(shop.folder.parent))
    assert fsck(shop, capsys)[0] == 0


@pytest.mark.parametrize("place", [5, 200])
def test_damage_in_the_newest_segment_is_to_be_kept_and_begun_anew(
    shop: Shop, capsys: pytest.CaptureFixture[str], place: int
) -> None:
    """In a head as in a body: recovery needs all of the last segment."""
    frame = shop.frame(-1)
    shop.flip(frame.lsn + place)
    name, damage, advice = damage_of(shop, capsys)
    assert name == f"journal/{shop.starts[-1]:020}"
    assert [(item["lsn"], item["shut"]) for item in damage] == [(frame.lsn, True)]
    assert "start collector, viewer and audit on a new one: shippers send again" in advice
    with pytest.raises(Fault, match=f"{shop.starts[-1]:020} at byte {frame.lsn - shop.starts[-1]}:"):
        run(kept(shop.folder.parent))


def test_a_damaged_checkpoint_of_a_finished_segment_costs_nothing(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = shop.frame(1, Kind.CHECKPOINT)
    whole = run(kept(shop.folder.parent))
    shop.flip(frame.body_lsn)
    _, damage, _ = damage_of(shop, capsys)
    assert [(item["lsn"], item["lost"], item["shut"]) for item in damage] == [(frame.lsn, [], False)]
    assert run(kept(shop.folder.parent)) == whole


def test_a_missing_segment_is_named_with_the_ranges_it_held(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    gone = [frame for frame in shop.frames if shop.start_of(frame.lsn) == shop.starts[2] and frame.entry.stream == PATH]
    shop.path(shop.starts[2]).unlink()
    name, damage, _ = damage_of(shop, capsys)
    assert name == f"journal/{shop.starts[1]:020}"
    (found,) = damage
    assert found["lsn"] == shop.starts[2]
    assert f"{shop.starts[3] - shop.starts[2]} bytes are missing" in str(found["reason"])
    span = {"stream": PATH, "start": gone[0].entry.offset, "end": gone[-1].entry.offset + gone[-1].entry.length}
    assert isinstance(found["lost"], list)
    assert span in found["lost"]


def test_a_missing_newest_segment_is_told_by_the_watermark(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.path(shop.starts[-1]).unlink()
    _, found, _ = damage_of(shop, capsys)
    assert found[0]["lsn"] == shop.starts[-1]
    assert f"all up to {shop.frames[-1].end} was durable" in str(found[0]["reason"])


def test_a_torn_tail_is_no_damage_and_is_where_the_next_start_cuts(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    end = shop.frames[-1].end
    with shop.path(shop.starts[-1]).open("ab") as file:
        file.write(b"LSF1 and what a crash left")
    status, text = fsck(shop, capsys)
    assert status == 0
    assert f"torn    journal/{shop.starts[-1]:020}" in text
    assert f"LSN {end}, byte {end - shop.starts[-1]}: the last 26 bytes are a torn tail" in text

    async def work() -> None:
        async with opened(shop.folder.parent) as store:
            assert store.recovered.torn is not None
            assert (store.recovered.torn.lsn, store.recovered.torn.dropped_bytes) == (end, 26)

    run(work())


def test_bytes_that_the_disk_does_not_give_back_are_damage(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = shop.path(shop.starts[1])
    real = os.pread

    def pread(file: int, size: int, position: int) -> bytes:
        if Path(f"/proc/self/fd/{file}").readlink() == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(file, size, position)

    monkeypatch.setattr(os, "pread", pread)
    name, damage, _ = damage_of(shop, capsys)
    assert name == f"journal/{shop.starts[1]:020}"
    assert "Input/output error" in str(damage[0]["reason"])


def test_no_store_is_usage_and_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path / "none", tmp_path):
        assert main(["fsck", "--store", str(folder)], {}) == 2
        assert "there is none" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_its_format_or_of_another_one_is_told(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    (shop.folder / "format").write_bytes(b"logship-store 2\n")
    assert main(["fsck", "--store", str(shop.folder)], {}) == 2
    assert "logship-store 2" in capsys.readouterr().err
    (shop.folder / "format").unlink()
    assert main(["fsck", "--store", str(shop.folder)], {}) == 1
    assert "no file `format`" in capsys.readouterr().err
