"""Core: lines that had no end yet where the lake is sealed up to: their bytes, so that the journal can go without them.

A line is sealed when it ends, which may be days after it began (a prompt, a progress bar). Its beginning is kept here
until then, beside the files: one JSON object a line, ``data`` in base64. Left to others: files (``folder``), which line
is open (``view.window``).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from logship.values import Invalid


@dataclass(frozen=True, slots=True)
class Unended:
    """The beginning of a line: where it is in its stream, the LSN of its last frame so far, how it began (``lines``).

    ``created_lsn`` tells streams of one path apart. ``received_ms``: when that frame was taken, ms since 1970.
    """

    stream: str
    created_lsn: int
    offset: int
    flags: int
    lsn: int
    received_ms: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.offset + len(self.data)

    def up_to(self, offset: int) -> tuple[int, int, bytes] | None:
        """Where it begins, with which flags, and its bytes before ``offset``; None where it has not the one before."""
        if not self.offset < offset <= self.end:
            return None
        return self.offset, self.flags, self.data[: offset - self.offset]


def pack(lines: Iterable[Unended]) -> bytes:
    """As text, in the order of the streams."""
    found = sorted(lines, key=lambda line: line.stream)
    return b"".join(
        json.dumps(
            {
                "stream": line.stream,
                "created_lsn": line.created_lsn,
                "offset": line.offset,
                "flags": line.flags,
                "lsn": line.lsn,
                "received_ms": line.received_ms,
                "data": base64.b64encode(line.data).decode(),
            }
        ).encode()
        + b"\n"
        for line in found
    )


def parse(content: bytes) -> Mapping[str, Unended] | Invalid:
    """By stream what the text holds."""
    found: dict[str, Unended] = {}
    try:
        for text in content.splitlines():
            said = json.loads(text)
            said["data"] = base64.b64decode(said["data"], validate=True)
            line = Unended(**said)
            found[line.stream] = line
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        return Invalid(f"is not what was written: {error}")
    return found
