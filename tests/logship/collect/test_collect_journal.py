"""Frames: written and read back, found nowhere else, believed only whole."""

from __future__ import annotations

import msgpack
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from logship.collect.journal import (
    _KEYS,
    CLOSES,
    HEAD_BYTES,
    ZSTD,
    Entry,
    Foreign,
    Frame,
    Kind,
    encode,
    frame_at,
    pack_entry,
    unpack_entry,
)
from logship.values import Invalid

integers = st.integers(0, 2**63 - 1)
texts = st.text(max_size=20)
entries = st.builds(
    Entry,
    integers,
    texts,
    integers,
    integers,
    st.none() | integers,
    st.none() | st.tuples(texts, integers, integers),
    st.none() | texts,
    st.lists(st.tuples(integers, texts), max_size=3).map(tuple),
    st.none() | texts,
    st.none() | texts,
    st.none() | texts,
    st.none() | st.tuples(texts, integers, integers, st.binary(max_size=32)),
)
ENTRY = Entry(5, "a/b", 10, 4, 3, ("p", 1, 2))


def placed(frame: bytes, lsn: int = 0) -> Frame | Invalid:
    """What is read where ``frame`` begins at ``lsn``."""

    def read(at: int, size: int) -> bytes:
        return frame[at - lsn : at - lsn + size]

    return frame_at(read, lsn, lsn + len(frame))


@given(entries)
def test_a_meta_is_read_back(entry: Entry) -> None:
    assert unpack_entry(pack_entry(entry)) == entry


def test_every_field_of_a_meta_has_a_key_of_its_own() -> None:
    assert _KEYS.keys() == set(Entry._fields)
    assert len(set(_KEYS.values())) == len(_KEYS)
    assert pack_entry(Entry(1)) == msgpack.packb({"t": 1}), "what does not apply is not written"


@given(st.sampled_from(Kind), st.integers(0, 3), integers, st.data(), entries, st.binary(max_size=99))
def test_a_frame_is_read_back(kind: Kind, flags: int, lsn: int, data: st.DataObject, entry: Entry, body: bytes) -> None:
    watermark = data.draw(st.integers(0, lsn))
    frame = placed(encode(kind, flags, lsn, watermark, entry, body) + body, lsn)
    assert isinstance(frame, Frame)
    assert (frame.kind, frame.flags, frame.lsn, frame.watermark, frame.entry) == (kind, flags, lsn, watermark, entry)
    assert (frame.end - frame.body_lsn, frame.holds(body), frame.holds(body + b"x")) == (len(body), True, False)


def test_the_head_lies_as_the_architecture_says() -> None:
    meta = pack_entry(ENTRY)
    frame = encode(Kind.APPEND, ZSTD | CLOSES, 1000, 900, ENTRY, b"body") + b"body"
    assert frame[:8] == b"LSF1\x03\x03\x00\x00"
    numbers = [
        int.from_bytes(frame[at : at + size], "little")
        for at, size in ((8, 4), (12, 4), (16, 8), (24, 8), (32, 8), (40, 8))
    ]
    checks = xxhash.xxh3_64_intdigest(b"body"), xxhash.xxh3_64_intdigest(frame[:40] + meta)
    assert numbers == [len(meta), 4, 1000, 900, *checks]
    assert frame[HEAD_BYTES:] == meta + b"body"


def test_a_frame_cut_anywhere_is_none() -> None:
    frame = encode(Kind.APPEND, 0, 7, 7, ENTRY, b"body") + b"body"
    for cut in range(len(frame)):
        assert isinstance(placed(frame[:cut], 7), Invalid), cut


def test_a_frame_with_any_bit_flipped_is_none_or_its_body_does_not_hold() -> None:
    frame = bytearray(encode(Kind.APPEND, 0, 7, 7, ENTRY, b"body") + b"body")
    for position in range(len(frame)):
        for bit in range(8):
            frame[position] ^= 1 << bit
            found = placed(bytes(frame), 7)
            assert isinstance(found, Invalid) or not found.holds(bytes(frame[found.body_lsn - 7 :])), (position, bit)
            frame[position] ^= 1 << bit


def test_a_frame_is_believed_in_its_own_place_only() -> None:
    frame = encode(Kind.APPEND, 0, 7, 7, ENTRY, b"")
    assert isinstance(placed(frame, 8), Invalid)
    assert isinstance(placed(encode(Kind.APPEND, 0, 7, 8, ENTRY, b""), 7), Invalid), (
        "a watermark beyond the frame itself"
    )


def reforged(frame: bytes, kind: int | None = None, flags: int | None = None, zero: int = 0) -> bytes:
    """The frame with other words in its head, and a head that checks."""
    head = bytearray(frame[:40])
    head[4] = head[4] if kind is None else kind
    head[5] = head[5] if flags is None else flags
    head[6] = zero
    check = xxhash.xxh3_64_intdigest(bytes(head) + frame[HEAD_BYTES:])
    return bytes(head) + check.to_bytes(8, "little") + frame[HEAD_BYTES:]


def test_what_a_newer_version_wrote_is_told_from_what_is_broken() -> None:
    frame = encode(Kind.APPEND, 0, 0, 0, ENTRY, b"")
    assert isinstance(placed(reforged(frame)), Frame)
    for later in (reforged(frame, kind=99), reforged(frame, flags=128), reforged(frame, zero=1)):
        assert isinstance(placed(later), Foreign)
    for meta in (b"\xc1", b"\x01", msgpack.packb({"t": 1, "later": 2}), msgpack.packb({"s": "x"}), msgpack.packb([1])):
        with pytest.raises(ValueError, match="meta"):
            unpack_entry(meta)
