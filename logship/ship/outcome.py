"""Core: what the collector's answer means for the source it is about, as one word.

Left to others: what follows from it (``sender``).
"""

from __future__ import annotations

from enum import StrEnum

from logship.wire.refusal import Code
from logship.wire.replies import Answer


class Outcome(StrEnum):
    """Done, or why not. Whether it was done is open after ``SILENT``, and after ``BUSY`` without a word we know."""

    DONE = "done"
    ABSENT = "absent"
    RETIRED = "retired"
    CLOSED = "closed"
    MOVED = "moved"
    FENCED = "fenced"
    TOO_LARGE = "too large"
    GARBLED = "garbled"
    REFUSED = "refused"
    BUSY = "busy"
    SILENT = "silent"


_BY_CODE = {
    Code.NO_STREAM: Outcome.ABSENT,
    Code.RETIRED: Outcome.RETIRED,
    Code.CLOSED: Outcome.CLOSED,
    Code.EXISTS: Outcome.CLOSED,
    Code.SEQUENCE_GAP: Outcome.MOVED,
    Code.EXPECTED_OFFSET: Outcome.MOVED,
    Code.BAD_EPOCH: Outcome.MOVED,
    Code.STALE_EPOCH: Outcome.FENCED,
    Code.TOO_LARGE: Outcome.TOO_LARGE,
    Code.BAD_DIGEST: Outcome.GARBLED,
    Code.BAD_ENCODING: Outcome.GARBLED,
}
_BY_STATUS = {404: Outcome.ABSENT, 410: Outcome.RETIRED, 413: Outcome.TOO_LARGE}
_LATER = frozenset({408, 425, 429})
FOREIGN = "is no logship collector: it does not say Logship-Protocol: 1"


def outcome(answer: Answer, of_stream: bool = True) -> Outcome:
    """What ``answer`` means; every answer about a stream must show that it comes from a collector of ours."""
    if answer.status in _LATER or (answer.status >= 500 and answer.status != 501):
        return Outcome.BUSY
    if of_stream and not answer.superset:
        return Outcome.REFUSED
    if 200 <= answer.status < 300:
        return Outcome.DONE
    if answer.code in _BY_CODE:
        return _BY_CODE[answer.code]
    return _BY_STATUS.get(answer.status, Outcome.REFUSED)


def explained(answer: Answer) -> str:
    """An answer that refuses, for people."""
    return f"{answer.status} {answer.code}" if answer.code else f"{answer.status} without a reason that is known here"
