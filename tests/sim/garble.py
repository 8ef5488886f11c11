"""A proxy that hands on another body: bytes changed between digest and wire, and encoded again, so zstd is content.

Neither TCP's checksums nor zstd's see it; only a digest from end to end does.
"""

from __future__ import annotations

from random import Random

from logship import zstd
from logship.values import Invalid


def garbled(request: bytes, chance: Random) -> bytes:
    """The request with one byte of its content changed, where it has a zstd body; else as it is."""
    head, gap, body = request.partition(b"\r\n\r\n")
    if not body or b"Content-Encoding: zstd" not in head:
        return request
    content = zstd.decode(body, 1 << 24)
    assert not isinstance(content, Invalid)
    changed = bytearray(content)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    fresh = zstd.compress(bytes(changed))
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(fresh)]) + gap + fresh
