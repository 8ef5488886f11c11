"""Core: zstd bodies, bounded before and while they are decoded.

A body is one or more zstd frames to its last byte. Where each frame ends is found by walking its block headers
(RFC 8878, 3.1.1.2), which costs nothing and reads no data; each frame is then decoded into a buffer of exactly the
size it states, in one call that needs no window, so a frame that lies about its size cannot grow. Frames with a
dictionary, skippable frames and frames that do not state their size are refused: nobody needs them here.
"""

from __future__ import annotations

from collections.abc import Iterator

import zstandard

from logship.values import Invalid

BLOCKS_MAX = 65_536
"""Blocks in one body. An encoder fills blocks of up to 128 KiB; millions of empty ones only cost time."""
_BLOCK_BYTES_MAX = 128 * 1024
_HEADER_BYTES_MAX = 18
_CHECKSUM_BYTES = 4
_WINDOW_LOG = 20
_RLE = 1
_RESERVED = 3


_decoders: list[zstandard.ZstdDecompressor] = []
"""Those nobody uses at the moment, one a thread that decodes at the same time: making one costs twenty small bodies."""


class TooLarge(Invalid):
    """The body states, or decodes to, more bytes than allowed."""


class Encoder:
    """Makes frames of log lines, for one thread: its memory is used again for each.

    As level 1, but with a small table that stays in the first-level cache, and matches of 6 bytes and more: a fifth
    faster, and logs become no larger (docs/performance.md).
    """

    def __init__(self) -> None:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            1, window_log=_WINDOW_LOG, hash_log=12, min_match=6, write_checksum=True, write_content_size=True
        )
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters)

    def encode(self, data: bytes) -> bytes:
        """``data`` as one zstd frame with its size and a checksum of its content, and in memory no larger than that.

        zstandard makes it where the worst would have room, more than ``data`` has, and gives nothing of that back; so
        it is copied where that is worth it.
        """
        body = self._compressor.compress(data)
        return bytes(memoryview(body)) if len(body) <= len(data) // 2 else body


def compress(data: bytes, level: int = 1) -> bytes:
    """``data`` as one zstd frame with its size and a checksum of its content."""
    return zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True).compress(data)


def decode(body: bytes, decoded_bytes_max: int) -> bytes | Invalid:
    """The bytes of ``body``, or what is wrong with it. Never holds more than ``decoded_bytes_max`` decoded bytes."""
    frames: list[tuple[int, int, int]] = []
    for found in _frames(body, decoded_bytes_max):
        if isinstance(found, Invalid):
            return found
        frames.append(found)
    try:
        decoder = _decoders.pop()
    except IndexError:
        decoder = zstandard.ZstdDecompressor()
    parts = []
    for start, end, size in frames:
        frame = body if (start, end) == (0, len(body)) else body[start:end]
        try:
            part = decoder.decompress(frame, max_output_size=max(size, 1))
        except zstandard.ZstdError as error:
            return Invalid(f"is not decodable zstd ({error})")
        if len(part) != size:
            return Invalid(f"states {size} bytes and decodes to {len(part)}")
        parts.append(part)
    _decoders.append(decoder)  # where it has failed it is not used again
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _frames(body: bytes, decoded_bytes_max: int) -> Iterator[tuple[int, int, int] | Invalid]:
    """Start, end and stated size of each frame; the first thing wrong ends it."""
    position = total = blocks = 0
    if not body:
        yield Invalid("is empty, not a zstd frame")
    while position < len(body):
        start = position
        try:
            header = body[position : position + _HEADER_BYTES_MAX]
            parameters = zstandard.get_frame_parameters(header)
            position += zstandard.frame_header_size(header)
        except zstandard.ZstdError:
            yield Invalid(f"is not zstd at byte {start}")
            return
        if header[:4] != b"\x28\xb5\x2f\xfd" or parameters.dict_id:
            yield Invalid(f"has at byte {start} a skippable frame or one that needs a dictionary")
            return
        if parameters.content_size in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR):
            yield Invalid(f"has at byte {start} a frame that does not state its content size")
            return
        total += parameters.content_size
        if total > decoded_bytes_max:
            yield TooLarge(f"states {total} decoded bytes; {decoded_bytes_max} are allowed")
            return
        last = False
        while not last:
            blocks += 1
            word = int.from_bytes(body[position : position + 3], "little")
            last, kind, size = bool(word & 1), word >> 1 & 3, word >> 3
            position += 3 + (1 if kind == _RLE else size)
            if position > len(body) or kind == _RESERVED or size > _BLOCK_BYTES_MAX or blocks > BLOCKS_MAX:
                yield Invalid(f"has a zstd frame at byte {start} that is cut off or malformed")
                return
        position += _CHECKSUM_BYTES if parameters.has_checksum else 0
        if position > len(body):
            yield Invalid(f"has a zstd frame at byte {start} that is cut off")
            return
        yield start, position, parameters.content_size
