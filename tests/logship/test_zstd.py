"""zstd bodies: several frames, to the last byte, never more than stated, never more than allowed."""

from __future__ import annotations

import os
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bench.content import lines
from logship import zstd
from logship.values import Invalid

MIB = 1024 * 1024


def rle_frame(stated: int, blocks: int, block_bytes: int) -> bytes:
    """A frame that states one size and holds ``blocks`` blocks that each repeat one byte."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0b10100000]) + stated.to_bytes(4, "little")  # single segment, 4-byte size
    words = [(block_bytes << 3) | 2 | (number == blocks - 1) for number in range(blocks)]
    return header + b"".join(word.to_bytes(3, "little") + b"x" for word in words)


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=4), st.integers(1, 19))
def test_frames_one_after_the_other_decode_to_their_sum(parts: list[bytes], level: int) -> None:
    body = b"".join(zstd.compress(part, level) for part in parts)
    assert zstd.decode(body, MIB) == b"".join(parts)


@pytest.mark.parametrize("level", [-5, 1, 3, 19, 22])
def test_bodies_of_several_blocks_decode(level: int) -> None:
    data = os.urandom(300_000) + b"line\n" * 100_000
    assert zstd.decode(zstandard.ZstdCompressor(level=level).compress(data), MIB) == data


@pytest.mark.case(69)
@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4))
def test_an_encoder_makes_whole_frames_one_after_the_other(parts: list[bytes]) -> None:
    encoder = zstd.Encoder()
    for part in parts:
        body = encoder.encode(part)
        assert zstd.decode(body, MIB) == part
        assert zstandard.get_frame_parameters(body).has_checksum


def test_log_lines_become_no_larger_than_by_level_1() -> None:
    text = lines(1)
    assert len(zstd.Encoder().encode(text)) <= len(zstd.compress(text))


def test_a_body_of_log_lines_takes_no_more_memory_than_it_has_bytes() -> None:
    encoder, text = zstd.Encoder(), lines(1)
    encoder.encode(text)
    tracemalloc.start()
    try:
        bodies = [encoder.encode(text) for _ in range(4)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < sum(map(len, bodies)) + MIB // 16


def test_a_body_cut_anywhere_is_refused() -> None:
    body = zstd.compress(b"some bytes " * 20) + zstd.compress(b"and more")
    whole = {0, len(zstd.compress(b"some bytes " * 20))}
    for cut in range(len(body)):
        assert isinstance(zstd.decode(body[:cut], MIB), Invalid) == (cut == 0 or cut not in whole), cut


def test_bytes_after_the_last_frame_are_refused() -> None:
    assert isinstance(zstd.decode(zstd.compress(b"x") + b"\n", MIB), Invalid)


@pytest.mark.case(69)
def test_a_flipped_bit_never_passes_as_other_bytes() -> None:
    data = b"the content checksum sees this " * 10
    body = bytearray(zstd.compress(data))
    for position in range(len(body)):
        for bit in range(8):
            body[position] ^= 1 << bit
            assert zstd.decode(bytes(body), MIB) in (data,) or isinstance(zstd.decode(bytes(body), MIB), Invalid)
            body[position] ^= 1 << bit


@pytest.mark.case(70)
def test_more_than_allowed_is_refused_from_the_header_alone() -> None:
    assert isinstance(zstd.decode(rle_frame(2**31, 1, 1), 8 * MIB), zstd.TooLarge)
    two = zstd.compress(bytes(600)) * 2
    assert isinstance(zstd.decode(two, 1199), zstd.TooLarge)
    assert zstd.decode(two, 1200) == bytes(1200)


@pytest.mark.case(70)
@pytest.mark.parametrize("stated", [1, 131_071, 131_072 * 64 - 1])
def test_a_frame_that_grows_beyond_what_it_states_is_refused(stated: int) -> None:
    assert isinstance(zstd.decode(rle_frame(stated, 64, 131_072), 8 * MIB), Invalid)


@pytest.mark.case(70)
def test_a_frame_that_decodes_to_less_than_it_states_is_refused() -> None:
    assert isinstance(zstd.decode(rle_frame(1000, 1, 999), MIB), Invalid)
    assert zstd.decode(rle_frame(999, 1, 999), MIB) == b"x" * 999


@pytest.mark.case(70)
def test_endless_empty_blocks_are_refused() -> None:
    header = rle_frame(0, 1, 0)[:9]
    assert isinstance(zstd.decode(header + bytes(3 * 2_000_000), MIB), Invalid)


def test_a_frame_without_its_size_a_skippable_one_and_one_with_a_dictionary_are_refused() -> None:
    stream = zstandard.ZstdCompressor().compressobj()
    unsized = stream.compress(b"x" * 100) + stream.flush()
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
    dictionary = zstandard.ZstdCompressionDict(b"dictionary " * 10, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    assert isinstance(zstd.decode(unsized, MIB), Invalid)
    assert isinstance(zstd.decode(skippable, MIB), Invalid)
    assert isinstance(zstd.decode(zstd.compress(b"x") + skippable, MIB), Invalid)
    assert zstd.decode(zstandard.ZstdCompressor().compress(b"x"), MIB) == b"x"
    with_dictionary = zstandard.ZstdCompressor(dict_data=dictionary).compress(b"dictionary " * 30)
    assert isinstance(zstd.decode(with_dictionary, MIB), Invalid)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_decoder(body: bytes) -> None:
    for text in (body, b"\x28\xb5\x2f\xfd" + body):
        decoded = zstd.decode(text, 10_000)
        assert isinstance(decoded, Invalid) or len(decoded) <= 10_000
