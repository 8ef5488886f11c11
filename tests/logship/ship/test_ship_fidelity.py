"""What a line may look like: through spool and followed file, shipper and collector, all real, each byte as it was.

Every content is written in two parts, and the shipper ends and begins anew between them.
"""

from __future__ import annotations

import hashlib
import random
import socket
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.logship.ship.collector import Collector
from tests.logship.ship.spools import INCARNATION, Shipper, Spool, until

TRACE = b'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\n    1 / 0\n\tZeroDivisionError: x\n'
CONTENTS: Mapping[str, tuple[bytes, bytes]] = {
    "half": (b"one line\nhalf a li", b"ne\nand another one\n"),
    "no-end": (b"whole\n", b"never ended"),
    "empty": (b"\n\n\nx\n\n", b"\n\n"),
    "ends": (b"a\r\nb\rc\x0cd\r", b"\n  both sides  \t\r\r\n\x0b\n"),
    "nul": (b"a\0b\n\0\0\0", b"\0\nc\0\n\0"),
    "encodings": (
        b"\xef\xbb\xbfgr\xc3",
        b"\xb6\xc3\x9fer\ngr\xf6\xdfer\n\xff\xfeh\0i\0\n\0\xed\xa0\x80\xf4\x90\x80\x80\xc0\x80\n",
    ),
    "colours": (b"\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J", b"\x1b]8;;http://e\x1b\\link\x1b]8;;\x1b\\\n"),
    "trace": (TRACE + b"other writer\n" + TRACE[:40], b"other again\n" + TRACE[40:]),
    "docker": (b"x" * 16384 + b"y" * 16383, b"z\n" + b"w" * 16385 + b"\n"),
    "mebibyte": (b"m" * (1 << 20), b"n" * ((1 << 20) + 1) + b"\n"),
    "binary": (zlib.compress(random.Random(4).randbytes(100_000)), bytes(range(256)) * 100),
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[bytes, bytes]]:
    """Of each content what the collector holds: said by a program, and written into a file."""
    folder = tmp_path_factory.mktemp("fidelity")
    (folder / "logs").mkdir()
    collector, spool = Collector(folder), Spool(folder / "spools", host=socket.gethostname())
    collector.start()
    options = ["--once", "--follow", str(folder / "logs" / "*.log")]
    for part in range(2):
        for name, content in CONTENTS.items():
            spool.write(name, content[part])
            with (folder / "logs" / f"{name}.log").open("ab") as file:
                file.write(content[part])
        assert Shipper(collector.url, spool.path, options=options).process.wait(120) == 0
    files = {Path(one["source"]["path"]).stem: one["stream"] for one in collector.streams()}
    assert len(files) == len(collector.streams()) == len(CONTENTS), "a stream a file"
    found = {name: (collector.read(name), b"".join(collector.pieces(files[name]))) for name in CONTENTS}
    assert collector.losses() == []
    collector.kill()
    spool.end()
    return found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("half", marks=pytest.mark.case(46, 47)),
        pytest.param("no-end", marks=pytest.mark.case(49)),
        pytest.param("empty", marks=pytest.mark.case(51)),
        pytest.param("ends", marks=pytest.mark.case(52)),
        pytest.param("nul", marks=pytest.mark.case(53)),
        pytest.param("encodings", marks=pytest.mark.case(54)),
        pytest.param("colours", marks=pytest.mark.case(55)),
        pytest.param("trace", marks=pytest.mark.case(56)),
        pytest.param("docker", marks=pytest.mark.case(57)),
        pytest.param("mebibyte", marks=pytest.mark.case(50)),
        pytest.param("binary", marks=pytest.mark.case(58)),
    ],
)
def test_every_byte_of_a_line_of_any_look_is_stored_though_the_shipper_ended_in_its_midst(
    name: str, stored: Mapping[str, tuple[bytes, bytes]]
) -> None:
    said, written = stored[name]
    assert said == b"".join(CONTENTS[name])
    assert written == b"".join(CONTENTS[name])


@pytest.mark.case(48)
def test_a_line_that_rotation_splits_has_its_bytes_in_both_files_as_written(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    collector.start()
    log = tmp_path / "x.log"
    log.write_bytes(b"whole\nbegun in the old fi")
    shipper = Shipper(collector.url, options=["--follow", str(log)])
    until(lambda: [one["next_offset"] for one in collector.streams()] == [25], "the old file is stored")
    log.rename(tmp_path / "x.log.1")
    log.write_bytes(b"le, ended in the new one\nnext\n")
    until(lambda: len(collector.streams()) == 2, "the new file is stored, too")
    until(lambda: collector.streams()[1]["next_offset"] == 30, "as a whole")
    contents = [b"".join(collector.pieces(one["stream"])) for one in collector.streams()]
    assert contents == [b"whole\nbegun in the old fi", b"le, ended in the new one\nnext\n"]
    shipper.kill()
    collector.kill()


@pytest.mark.long
@pytest.mark.case(50)
def test_a_line_of_a_hundred_mebibytes_arrives_in_bounded_memory(tmp_path: Path) -> None:
    collector, spool = Collector(tmp_path), Spool(tmp_path / "spools", segment_bytes=8 << 20)
    collector.start()
    block = random.Random(5).randbytes(1 << 20).replace(b"\n", b"\r")
    shipper = Shipper(collector.url, spool.path)
    for _ in range(100):
        spool.write("web", block)
    spool.write("web", b"\n")
    until(lambda: spool.acked("web") == (100 << 20) + 1, "all of it is acknowledged", 300)
    assert collector.process is not None
    peaks = {name: peak(process.pid) for name, process in (("ship", shipper.process), ("collect", collector.process))}
    print(f"at most {peaks} bytes of memory")
    assert max(peaks.values()) < 160 << 20
    position = 0
    for piece in collector.pieces(f"webapp/1/web/{INCARNATION}"):
        for at in range(0, len(piece), 1 << 16):
            some = piece[at : at + (1 << 16)]
            begin = position % len(block)
            wanted = (block[begin:] + block)[: len(some)] if position + len(some) <= 100 << 20 else None
            assert some == wanted or (wanted is None and some.endswith(b"\n"))
            position += len(some)
    assert position == (100 << 20) + 1
    shipper.kill()
    collector.kill()
    spool.end()


def peak(pid: int) -> int:
    """The most memory that a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.long
@pytest.mark.case(103)
def test_four_files_that_rotate_five_times_at_the_speed_of_the_disk_leave_no_byte_unread(tmp_path: Path) -> None:
    collector = Collector(tmp_path)
    collector.start()
    (tmp_path / "logs").mkdir()
    shipper = Shipper(collector.url, options=["--follow", str(tmp_path / "logs" / "*.log")])
    block = random.Random(8).randbytes(1 << 20)
    begun, digests = time.monotonic(), []
    for rotation in range(6):
        for name in range(4):
            log, digest = tmp_path / "logs" / f"{name}.log", hashlib.sha256()
            for number in range(16):
                piece = b"%d %d %d\n" % (rotation, name, number) + block
                with log.open("ab", buffering=0) as file:
                    file.write(piece)
                digest.update(piece)
            digests.append(digest.hexdigest())
            log.rename(log.with_name(f"{log.name}-{rotation}"))
            log.touch()  # a writer's next file: a pattern with a star finds rotated ones beside it
    seconds = time.monotonic() - begun
    until(lambda: sum(one["next_offset"] for one in collector.streams()) >= 6 * 4 * 16 << 20, "all is there", 200)
    print(f"{6 * 4 * 16 / seconds:.0f} MiB/s written, stored {time.monotonic() - begun - seconds:.1f} s after that")
    found = []
    for one in collector.streams():
        digest = hashlib.sha256()
        for piece in collector.pieces(one["stream"]):
            digest.update(piece)
        found.append(digest.hexdigest())
    assert sorted(found) == sorted(digests), "a file a stream, each once, each as it was"
    assert collector.losses() == []
    shipper.kill()
    collector.kill()


@pytest.mark.long
@pytest.mark.case(59)
def test_offsets_beyond_two_and_five_gigabytes_are_right_in_stream_and_spool(tmp_path: Path) -> None:
    """A spool whose segments stand at such offsets, as after years of a program; the bytes are those of that place."""
    collector, spool = Collector(tmp_path), Spool(tmp_path / "spools")
    collector.start()
    zeros = bytes(64 << 20)
    size = 5 * (1 << 30)
    folder = spool.path / "web"
    folder.mkdir()
    for offset in range(0, size, len(zeros)):
        path = folder / f"{offset:020}"
        path.touch()
        path.open("r+b").truncate(len(zeros))
    marks = {(1 << 31) - 4: b"at 2 GiB", (1 << 32) - 4: b"at 4 GiB", size - 8: b"and five"}
    for offset, mark in marks.items():
        for place, byte in enumerate(mark):
            segment = (offset + place) // len(zeros) * len(zeros)
            with (folder / f"{segment:020}").open("r+b") as file:
                file.seek(offset + place - segment)
                file.write(bytes([byte]))
    assert Shipper(collector.url, spool.path, options=["--once"]).process.wait(280) == 0
    (stream,) = collector.streams("web")
    assert stream["next_offset"] == size
    for offset, mark in marks.items():
        assert collector.some(stream["stream"], offset)[: len(mark)] == mark
    assert collector.losses() == []
    collector.kill()
    spool.end()
