"""Core: a body as it was received -> how many bytes it is in the stream, or why it is refused (PROTOCOL.md 5, 6 and 7).

Costs CPU in proportion to the body, so ``store`` asks from a thread; hashing and decoding let other threads run.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from logship import zstd
from logship.values import Invalid
from logship.wire import Code, Digest, Encoding, Limits, Refusal
from logship.wire.fields import DIGESTS


@dataclass(frozen=True, slots=True)
class Payload:
    """A body that is what it says: ``length`` decoded bytes, as ``body`` holds them, zstd or plain."""

    body: bytes
    length: int
    zstd: bool = False


EMPTY = Payload(b"", 0)


def examine(body: bytes, encoding: Encoding, digests: Sequence[Digest], limits: Limits) -> Payload | Refusal:
    """Compare the body with its digests, then decode it to see that it can be, and how long it is."""
    for digest in digests:
        if not hmac.compare_digest(hashlib.new(DIGESTS[digest.algorithm], body).digest(), digest.value):
            return Refusal(
                Code.BAD_DIGEST, f"the body's {digest.algorithm} is not the one in Content-Digest; send it again"
            )
    if encoding is Encoding.OTHER:
        return Refusal(Code.OTHER_ENCODING, "Content-Encoding is neither zstd nor identity; send the body as it is")
    if encoding is Encoding.IDENTITY or not body:
        return Payload(body, len(body))
    decoded = zstd.decode(body, limits.append_bytes_max)
    if isinstance(decoded, Invalid):
        code = Code.TOO_LARGE if isinstance(decoded, zstd.TooLarge) else Code.BAD_ENCODING
        return Refusal(code, f"the body {decoded.reason}")
    return Payload(body, len(decoded), zstd=True)
