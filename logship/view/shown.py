r"""Core: bytes of a line as text that commands nobody: neither a terminal nor the direction of the text around it.

Terminal sequences (colours, cursor, titles, links) are dropped; every other control character, and what turns the
direction of text, is written out: ``\x07``, ``\u202e``. Bytes that are no UTF-8 are written out too.
"""

from __future__ import annotations

import re

_SEQUENCES = re.compile(
    "\x1b\\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\\\)"  # OSC: titles, links
    "|\x1b[PX^_][^\x1b]{0,4096}\x1b\\\\"  # DCS, SOS, PM, APC
    "|[\x1b]\\[[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor
    "|\x1b[ -/]{0,4}[0-Z\\\\^-~]"  # the short ones
)
_HARMFUL = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def shown(data: bytes, bytes_max: int) -> tuple[str, int]:
    """The text of at most ``bytes_max`` bytes of ``data``, and how many bytes were left out."""
    head = data[:bytes_max]
    if len(head) < len(data):  # never half a character
        for back in range(1, min(4, len(head) + 1)):
            if head[-back] & 0xC0 == 0xC0:
                needed = 2 if head[-back] < 0xE0 else 3 if head[-back] < 0xF0 else 4
                head = head[:-back] if needed > back else head
                break
            if head[-back] < 0x80:
                break
    return harmless(head.decode("utf-8", "surrogateescape")), len(data) - len(head)


def harmless(text: str) -> str:
    """``text`` without terminal sequences, and what else would command somebody written out. Tabs stay."""
    if text.isprintable() and text.isascii():
        return text
    return _HARMFUL.sub(_written, _SEQUENCES.sub("", text) if "\x1b" in text else text)


def _written(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
