"""Core: the words of the wire as values: offsets, stream paths, producers, sources, loss records.

What came from outside is checked here, once, and what is wrong with it is a value (``Invalid``), never an exception:
whoever asked decides how to say it. Left to others: headers and status codes (``logship.wire``), what a stream is at
the collector (``logship.collect``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NewType

OFFSET_DIGITS = 20
INTEGER_MAX = 2**53 - 1
"""Largest epoch, sequence or count of the wire: what JavaScript counts exactly (base protocol, 5.2.1)."""
OFFSET_MAX = 2**63 - 1

PATH_BYTES_MAX = 512
PATH_SEGMENTS_MAX = 8
PRODUCER_ID_BYTES_MAX = 256
SOURCE_BYTES_MAX = 4096
LOSS_BYTES_MAX = 2048
LOSS_ID_BYTES_MAX = 128
"""Of an id that a client sends; our own (``continues:PATH``) may be longer."""

StreamPath = NewType("StreamPath", str)
"""A checked path of a stream, percent-decoded, without a leading slash: ``webapp/1/serf/5c1e``."""

_SEGMENT = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_DIGITS = re.compile(r"(?:0|[1-9][0-9]{0,15})")
_OFFSET = re.compile(r"[0-9]{20}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Invalid:
    """What is wrong with a value from outside, as half a sentence for people: "is longer than 512 bytes"."""

    reason: str


def offset_text(offset: int) -> str:
    """An offset as the wire writes it: 20 digits, zero-padded, so that text sorts as numbers do."""
    assert 0 <= offset <= OFFSET_MAX
    return f"{offset:0{OFFSET_DIGITS}}"


def parse_offset(text: str) -> int | Invalid:
    """The offset that 20 digits stand for. ``-1`` and ``now`` are no offsets: they are ``wire.Mark``."""
    if not _OFFSET.fullmatch(text):
        return Invalid(f"is not an offset of {OFFSET_DIGITS} digits")
    return int(text)


def parse_integer(text: str) -> int | Invalid:
    """A whole number from 0 to 2^53-1: digits only, no sign, no leading zero, no space."""
    if not _DIGITS.fullmatch(text) or int(text) > INTEGER_MAX:
        return Invalid("is not a whole number from 0 to 2^53-1 without sign or leading zeros")
    return int(text)


def parse_time(text: str) -> datetime | Invalid:
    """An RFC 3339 time with its zone."""
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return Invalid("is not an RFC 3339 time like 2026-11-23T20:15:01.123Z")


@lru_cache(maxsize=4096)
def parse_stream_path(text: str) -> StreamPath | Invalid:
    """The stream that a percent-encoded path names (what follows ``/v1/stream/``). Escapes are decoded once."""
    decoded = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
    if len(decoded) > PATH_BYTES_MAX:
        return Invalid(f"is longer than {PATH_BYTES_MAX} bytes")
    segments = decoded.split("/")
    if len(segments) > PATH_SEGMENTS_MAX:
        return Invalid(f"has more than {PATH_SEGMENTS_MAX} segments")
    for segment in segments:
        if segment in (".", "..") or not _SEGMENT.fullmatch(segment):
            return Invalid("has a segment that is not 1 to 128 of A-Z a-z 0-9 . _ ~ - (and neither . nor ..)")
    return StreamPath(decoded)


@dataclass(frozen=True, slots=True)
class Producer:
    """Who appended and which of its appends this is; ``sequence`` counts from 0 in each ``epoch``."""

    id: str
    epoch: int
    sequence: int


_SOURCE_TEXTS = frozenset({
    "host", "container", "service", "instance", "program", "kind", "incarnation", "path", "created", "continues",
    "lost_reason", "lost_from", "lost_to",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """Where a stream's bytes come from: one JSON object, kept as the text that came (a tenth of the memory of a dict).

    Unknown keys are kept.
    """

    text: str

    def fields(self) -> dict[str, Any]:
        """The object, parsed anew at each call."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    def loss(self, path: StreamPath) -> Loss | None:
        """What is gone before the first byte of the stream ``path``, which has this source: nothing for most.

        A stream that ``continues`` another without saying ``lost_bytes`` has lost nobody knows how many.
        """
        if '"continues"' not in self.text:
            return None
        fields = self.fields()
        lost_bytes = fields.get("lost_bytes")
        if "continues" not in fields or lost_bytes == 0:
            return None
        how = f"the stream continues {fields['continues']}"
        return Loss(
            f"continues:{path}", path, 0, lost_bytes,
            from_time=fields.get("lost_from"), to_time=fields.get("lost_to"),
            reason=fields.get("lost_reason"), how=how,
        )  # fmt: skip


def parse_source(text: str) -> Source | Invalid:
    """A source from its JSON text: ASCII, at most 4,096 bytes, known keys of their kind."""
    if len(text) > SOURCE_BYTES_MAX or not text.isascii():
        return Invalid(f"is not ASCII of at most {SOURCE_BYTES_MAX} bytes")
    fields = _parse_object(text)
    if isinstance(fields, Invalid):
        return fields
    for key in sorted(_SOURCE_TEXTS & fields.keys()):
        if not isinstance(fields[key], str):
            return Invalid(f"says {key} as something other than a string")
    if "lost_bytes" in fields and not _is_count(fields["lost_bytes"]):
        return Invalid("says lost_bytes as something other than a whole number from 0 to 2^53-1")
    if "continues" in fields and isinstance(parse_stream_path(fields["continues"]), Invalid):
        return Invalid("continues what is not the path of a stream")
    if "continues" not in fields and fields.keys() & {"lost_bytes", "lost_reason", "lost_from", "lost_to"}:
        return Invalid("says what was lost, but not which stream it continues")
    return Source(json.dumps(fields, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class Loss:
    """A counted hole. What is not known is None; ``id`` is the reporter's own, so that a record sent twice counts once.

    ``count`` and ``unit`` are for what has no bytes (lines HAProxy dropped); ``how`` says how it is known.
    """

    id: str
    stream: str | None = None
    offset: int | None = None
    bytes: int | None = None
    count: int | None = None
    unit: str | None = None
    from_time: str | None = None
    to_time: str | None = None
    reason: str | None = None
    how: str | None = None

    def fields(self) -> dict[str, Any]:
        """The record as the wire writes it, in the order of PROTOCOL.md 9."""
        return {name: getattr(self, attribute) for name, attribute in _LOSS_FIELDS}


_LOSS_FIELDS = (
    ("id", "id"), ("stream", "stream"), ("offset", "offset"), ("bytes", "bytes"), ("count", "count"), ("unit", "unit"),
    ("from", "from_time"), ("to", "to_time"), ("reason", "reason"), ("how", "how"),
)  # fmt: skip
_LOSS_COUNTS = frozenset({"offset", "bytes", "count"})


def parse_loss(line: bytes) -> Loss | Invalid:
    """A loss record from one line of JSON, at most 2,048 bytes, its id at most 128. Unknown keys are left out."""
    if len(line) > LOSS_BYTES_MAX:
        return Invalid(f"is longer than {LOSS_BYTES_MAX} bytes")
    try:
        fields = _parse_object(line.decode())
    except UnicodeDecodeError:
        return Invalid("is not UTF-8")
    loss = fields if isinstance(fields, Invalid) else loss_of(fields)
    if isinstance(loss, Loss) and len(loss.id.encode()) > LOSS_ID_BYTES_MAX:
        return Invalid(f"has an id of more than {LOSS_ID_BYTES_MAX} bytes")
    return loss


def loss_of(fields: Mapping[str, Any]) -> Loss | Invalid:
    """A loss record from its fields, those of our own with a longer id among them: what was journaled is read back."""
    known: dict[str, Any] = {}
    for name, attribute in _LOSS_FIELDS:
        value = fields.get(name)
        if value is None:
            continue
        if name in _LOSS_COUNTS and not _is_count(value):
            return Invalid(f"says {name} as something other than a whole number from 0 to 2^53-1")
        if name not in _LOSS_COUNTS and not isinstance(value, str):
            return Invalid(f"says {name} as something other than a string")
        known[attribute] = value
    if not known.get("id"):
        return Invalid(f"has no id of 1 to {LOSS_ID_BYTES_MAX} bytes")
    return Loss(**known)


def _parse_object(text: str) -> dict[str, Any] | Invalid:
    """One JSON object without repeated keys, and nothing that other readers of JSON refuse."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return Invalid("is not one JSON object (or repeats a key, or holds half a surrogate pair)")
    return value if isinstance(value, dict) else Invalid("is not one JSON object")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is repeated")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INTEGER_MAX
