"""Core: server-sent events of a stream: bytes as text or base64, and what follows each batch (base protocol, 5.8).

Text events cannot carry bytes as they are: line ends become those of the event, and what is no UTF-8 becomes U+FFFD.
Who wants the very bytes reads a stream of a binary type, or without ``live=sse``.
"""

from __future__ import annotations

import base64
import json
import re

from logship.values import offset_text
from logship.wire import Code

_LINE_END = re.compile(r"\r\n|\r|\n")
_CHARACTER_BYTES_MAX = 4


def is_text(content_type: str) -> bool:
    """Whether events of such a stream carry text; all others carry base64."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.startswith("text/") or media_type == "application/json"


def whole_characters(data: bytes) -> int:
    """How many bytes of ``data`` may go into a text event now, the rest with what comes after it.

    The rest is the beginning of a UTF-8 character, or a CR that may be half of a CRLF. Bytes that are no UTF-8 are no
    reason to wait.
    """
    if data.endswith(b"\r"):
        return len(data) - 1
    for back in range(1, min(_CHARACTER_BYTES_MAX, len(data) + 1)):
        lead = data[-back]
        if lead & 0xC0 != 0x80:  # not in the midst of a character
            needs = 4 if 0xF0 <= lead <= 0xF4 else 3 if lead & 0xF0 == 0xE0 else 2 if 0xC2 <= lead <= 0xDF else 1
            return len(data) - back if needs > back else len(data)
    return len(data)


def data_event(data: bytes, *, text: bool) -> bytes:
    """One batch of bytes. A line that begins with a space gets one more, which readers take away again."""
    if not text:
        return b"event: data\ndata:" + base64.b64encode(data) + b"\n\n"
    lines = _LINE_END.split(data.decode("utf-8", "replace"))
    return "".join(["event: data\n", *(f"data:{' ' * line.startswith(' ')}{line}\n" for line in lines), "\n"]).encode()


def control_event(next_offset: int, *, cursor: int, up_to_date: bool, closed: bool) -> bytes:
    """Where to go on, whether that is the end for now, or for ever (then nobody comes back with a cursor)."""
    fields: dict[str, str | bool] = {"streamNextOffset": offset_text(next_offset)}
    if closed:
        fields["streamClosed"] = True
    else:
        fields["streamCursor"] = str(cursor)
    if up_to_date or closed:
        fields["upToDate"] = True
    return f"event: control\ndata:{json.dumps(fields, separators=(',', ':'))}\n\n".encode()


def damage_event(end: int, reason: str) -> bytes:
    """Why the events end here, and where sound bytes may go on (PROTOCOL.md 5); others' clients pass it over."""
    fields = {"streamError": str(Code.DAMAGED), "streamDamageEnd": offset_text(end), "reason": reason}
    return f"event: damage\ndata:{json.dumps(fields, separators=(',', ':'))}\n\n".encode()
