"""Core: a look at bytes of a stream as a whole: whether any line in them may be one that a query matches.

A word that somebody looks for is in few places; all others need not be cut into lines. Where a line can be read in
another way than as it stands (escapes of JSON, letters beyond ASCII) nothing is said. Left to others: what a query is
sure of (``certain``).
"""

from __future__ import annotations

from logship.lake.tokens import Need, answered


def may_match(need: Need, data: bytes) -> bool:
    """Whether any of whole lines may be one of which the need is true; what is said to be none surely is none."""
    if not data.isascii() or b"\\" in data:
        return True
    small = data.lower()
    return bool(answered(need, lambda key: int(key in small)))
