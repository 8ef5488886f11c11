"""Files that are gone, and compressed ones that may hold what was not read of them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from logship.ship.packed import Compressed, Content, content
from logship.ship.states import Prove
from logship.ship.vanished import PROOF_BYTES_MIN, TAIL_BYTES, VanishedFile
from logship.spool.ranges import Span
from logship.wire.fields import Digest
from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import Shipper, until

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.fixture
def server() -> Iterator[CollectorServer]:
    made = CollectorServer()
    yield made
    made.stop()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "x.log"


def ship(server: CollectorServer, pattern: Path) -> None:
    """All there is."""
    words = ["--follow", str(pattern), "--once", "--patience-seconds", "60", "--chunk-bytes-max", "65536"]
    assert Shipper(server.url, options=words).process.wait(120) == 0


def streams(server: CollectorServer) -> list[bytes]:
    return [bytes(kept.data) for _, kept in sorted(server.model.streams.items())]


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.case(26)
@pytest.mark.parametrize("ending", [*PACK])
def test_the_rest_of_a_file_that_was_compressed_before_it_was_read_is_read_from_there(
    server: CollectorServer, log: Path, ending: str
) -> None:
    whole = noise(300_000)
    log.write_bytes(whole[:100_000])
    ship(server, log)
    log.unlink()
    log.with_name("x.log.1.gz").write_bytes(gzip.compress(b"another file" * 9_000))
    log.with_name(f"x.log.2{ending}").write_bytes(PACK[ending](whole))
    log.write_bytes(b"the next file\n")
    ship(server, log.with_name("*.log"))
    assert sorted(streams(server)) == sorted([whole, b"the next file\n"])
    assert not server.model.losses
    assert [kept.closed for kept in server.model.streams.values() if len(kept.data) == len(whole)] == [True]
    ship(server, log.with_name("*.log"))
    assert len(streams(server)) == 2


@pytest.mark.case(27)
def test_a_compressed_copy_of_a_shipped_file_is_not_shipped_again_and_nothing_is_lost(
    server: CollectorServer, log: Path
) -> None:
    log.write_bytes(noise(50_000))
    ship(server, log)
    log.unlink()
    log.with_name("x.log-20261123.gz").write_bytes(gzip.compress(noise(50_000)))
    ship(server, log)
    assert streams(server) == [noise(50_000)]
    assert not server.model.losses
    assert [kept.closed for kept in server.model.streams.values()] == [True]


@pytest.mark.case(26, 30)
def test_a_file_that_is_gone_is_told_once_and_which_compressed_files_do_not_hold_it(
    server: CollectorServer, log: Path
) -> None:
    log.write_bytes(noise(50_000))
    ship(server, log)
    log.unlink()
    packed = log.with_name("x.log.1.gz")
    packed.write_bytes(gzip.compress(noise(50_001)))
    log.with_name("x.log.2.gz").write_bytes(b"\x1f\x8b cut off")
    for _ in range(2):
        ship(server, log)
        (loss,) = server.model.losses.values()
        assert loss.bytes is None
        assert "the file is gone" in str(loss.reason)
        assert str(packed) in str(loss.reason)
        assert [kept.closed for kept in server.model.streams.values()] == [True]


@pytest.mark.case(26)
def test_a_short_proof_finds_the_rest_of_a_file_that_was_compressed(server: CollectorServer, log: Path) -> None:
    """The collector keeps the last line of the stream alone, and the others elsewhere."""
    whole = b"".join(b"%06d a line of its own\n" % number for number in range(10_000))
    log.write_bytes(whole[: len(whole) // 2])
    ship(server, log)
    server.model.tail_bytes = 100
    log.unlink()
    log.with_name("x.log.1.gz").write_bytes(gzip.compress(noise(len(whole))))
    log.with_name("x.log.2.gz").write_bytes(gzip.compress(whole))
    ship(server, log)
    assert streams(server) == [whole]
    assert not server.model.losses


def proved(stored: bytes, proof: int, *packed: bytes, folder: Path) -> bytes | None:
    """What is read on of a file that is gone, of which so much is stored and ``proof`` bytes of that are proved."""
    paths = [folder / f"x.log.{number}.gz" for number in range(len(packed))]
    for path, data in zip(paths, packed, strict=True):
        path.write_bytes(gzip.compress(data))
    source = VanishedFile(str(folder / "x.log"), len(stored), [*map(str, paths)])
    until(source.look, "the compressed files are read")
    digest = Digest("sha-256", hashlib.sha256(stored[len(stored) - proof :]).digest())
    same, held = source.proves(Prove(Span(len(stored) - proof, proof), digest))
    assert same == (held is not None)
    try:
        return None if held is None else source.read(len(stored), held.end - len(stored))
    finally:
        source.close()


@pytest.mark.parametrize("proof", [PROOF_BYTES_MIN, 100, TAIL_BYTES - 1, TAIL_BYTES])
def test_a_proof_of_as_many_bytes_as_hardly_come_twice_says_which_file_it_is(tmp_path: Path, proof: int) -> None:
    stored = noise(10_000)
    packed = [noise(20_000), stored + b"the rest", stored[:-1]]
    assert proved(stored, proof, *packed, folder=tmp_path) == b"the rest"


def test_a_proof_of_fewer_bytes_says_nothing_but_where_all_that_is_stored_is_no_more(tmp_path: Path) -> None:
    stored, few = noise(10_000), PROOF_BYTES_MIN - 1
    assert proved(stored, few, stored + b"the rest", folder=tmp_path) is None
    assert proved(stored[:few], few, stored, folder=tmp_path) == stored[few:]
    assert proved(stored[:few], few - 1, stored, folder=tmp_path) is None


def test_a_short_proof_that_fits_several_files_says_nothing(tmp_path: Path) -> None:
    """Lines of one length, each of which is in all of them at the same place."""
    same = b"a line that is written each second, whatever comes\n"
    stored, other = b"first\n" + same * 200, b"later\n" + same * 300
    assert proved(stored, 100, stored + b"the rest", other, folder=tmp_path) is None
    assert proved(stored, 100, stored + b"the rest", stored + b"the rest", folder=tmp_path) == b"the rest"


def test_a_proof_of_bytes_that_were_not_looked_at_says_nothing(tmp_path: Path) -> None:
    stored = noise(10_000)
    (tmp_path / "x.log.1.gz").write_bytes(gzip.compress(stored * 2))
    source = VanishedFile("x.log", len(stored), [str(tmp_path / "x.log.1.gz")])
    until(source.look, "the compressed files are read")
    for span in (Span(len(stored), 100), Span(0, 100), Span(len(stored) - TAIL_BYTES - 1, TAIL_BYTES + 1)):
        data = (stored * 2)[span.offset : span.end]
        assert source.proves(Prove(span, Digest("sha-256", hashlib.sha256(data).digest()))) == (False, None)
    assert source.proves(Prove(Span(len(stored) - 100, 100), None)) == (False, None)


@pytest.mark.parametrize("ending", [*PACK])
def test_a_compressed_file_is_read_on_from_any_offset_and_what_is_broken_says_so(tmp_path: Path, ending: str) -> None:
    whole = noise(1_400_000)
    path = tmp_path / f"x{ending}"
    path.write_bytes(PACK[ending](whole))
    found = content(str(path), Span(1_048_000, 4096))
    assert (found.size, found.part) == (len(whole), whole[1_048_000:1_052_096])
    assert content(str(path), Span(1_399_999, 4096)) == Content(len(whole), whole[1_399_999:])
    packed = Compressed(str(path))
    for offset, size in ((1_200_000, 70_000), (1_270_000, 5), (3, 4), (1_399_999, 1)):
        assert packed.read(offset, size) == whole[offset : offset + size]
    with pytest.raises(OSError, match="shorter"):
        packed.read(1_399_999, 2)
    packed.close()
    packed = Compressed(str(path))
    path.write_bytes(path.read_bytes()[:-100_000])
    with pytest.raises(OSError):  # noqa: PT011  # each format has its own words for it
        packed.read(0, len(whole))
