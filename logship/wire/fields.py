"""Core: single header fields, read and written: integers, digests, starts of programs, limits.

Left to others: which request or reply has which field (``requests``, ``replies``).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

from logship.values import Invalid, offset_text, parse_integer, parse_time

Pairs = list[tuple[str, str]]

STARTS_MAX = 64
SOURCE_PATH_BYTES_MAX = 1024
_LIST_FIELDS = frozenset({"content-digest", "if-none-match", "logship-starts"})


class Headers:
    """The header fields of one message, by lower-case name. Bytes or text, as the edge has them."""

    def __init__(self, pairs: Iterable[tuple[bytes | str, bytes | str]]) -> None:
        self._values: dict[str, list[str]] = {}
        values = self._values
        for name, value in pairs:
            key = (name.decode("latin-1") if isinstance(name, bytes) else name).lower()
            text = (value.decode("latin-1") if isinstance(value, bytes) else value).strip(" \t")
            if key in values:
                values[key].append(text)
            else:
                values[key] = [text]

    def get(self, name: str) -> str | None:
        """The field's value; of a list field its lines joined, of another one the first (``repeated`` says if more)."""
        values = self._values.get(name)
        if not values:
            return None
        return values[0] if len(values) == 1 or name not in _LIST_FIELDS else ", ".join(values)

    def repeated(self, names: Iterable[str]) -> str | None:
        """The first of ``names`` that came more than once though it is no list: two parsers could read it as two."""
        more = [name for name, values in self._values.items() if len(values) > 1 and name not in _LIST_FIELDS]
        return next((name for name in names if name in more), None) if more else None

    def is_true(self, name: str) -> bool:
        """Whether a presence field is there: its value is ``true`` in any case; anything else is as if absent."""
        return (self.get(name) or "").lower() == "true"


def offset_pairs(next_offset: int | None, first_offset: int | None, closed: bool) -> Pairs:
    """Where the stream ends, where what is kept of it begins (said only where that is not 0), whether it is closed."""
    found: Pairs = []
    if next_offset is not None:
        found.append(("Stream-Next-Offset", offset_text(next_offset)))
    if first_offset:
        found.append(("Logship-First-Offset", offset_text(first_offset)))
    if closed:
        found.append(("Stream-Closed", "true"))
    return found


@dataclass(frozen=True, slots=True)
class Digest:
    """One member of ``Content-Digest``: the algorithm's name as RFC 9530 registers it, and its value."""

    algorithm: str
    value: bytes

    def text(self) -> str:
        """The member as the field writes it."""
        return f"{self.algorithm}=:{base64.b64encode(self.value).decode()}:"


DIGESTS = {"sha-256": "sha256", "sha-512": "sha512"}
"""The algorithms that are verified, and hashlib's names for them."""

_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_PARAMETER = re.compile(
    r' *; *[a-z*][a-z0-9_.*-]*(?:=(?:[A-Za-z*][^\s;,"]*|-?[0-9.]+|"(?:[^"\\]|\\["\\])*"|:[A-Za-z0-9+/=]*:|\?[01]))?'
)
_COMMA = re.compile(r"[ \t]*,[ \t]*")


def parse_digests(text: str) -> tuple[Digest, ...] | Invalid:
    """``Content-Digest``: a structured dictionary (RFC 9651) of byte sequences; of a repeated key the last counts.

    Only algorithms that are verified here are returned: the others are ignored, as RFC 9530 has it.
    """
    found: dict[str, Digest] = {}
    position = 0
    while True:
        key = _KEY.match(text, position)
        value = _BYTES.match(text, key.end() + 1) if key and text[key.end() : key.end() + 1] == "=" else None
        if key is None or value is None:
            return Invalid(f"is not a dictionary of byte sequences at character {position}, like sha-256=:...:")
        try:
            decoded = base64.b64decode(value[1], validate=True)
        except binascii.Error:
            return Invalid(f"holds no base64 at character {value.start()}")
        found[key[0]] = Digest(key[0], decoded)
        position = value.end()
        while parameter := _PARAMETER.match(text, position):
            position = parameter.end()
        if position == len(text):
            return tuple(digest for name, digest in found.items() if name in DIGESTS)
        comma = _COMMA.match(text, position)
        if comma is None:
            return Invalid(f"goes on at character {position} after a member, without a comma")
        position = comma.end()


@dataclass(frozen=True, slots=True)
class Start:
    """Where in the stream a program was started anew, and when by its own clock (RFC 3339)."""

    offset: int
    time: str


def parse_starts(text: str) -> tuple[Start, ...] | Invalid:
    """``Logship-Starts``: at most 64 ``offset;time``, offsets never falling."""
    items = [item.strip(" \t") for item in text.split(",")]
    if len(items) > STARTS_MAX:
        return Invalid(f"has more than {STARTS_MAX} starts")
    found: list[Start] = []
    for item in items:
        offset_digits, _, time = item.partition(";")
        offset = parse_integer(offset_digits)
        if isinstance(offset, Invalid) or isinstance(parse_time(time), Invalid):
            return Invalid("is not a list of OFFSET;TIME, like 104857;2026-11-23T20:15:01.123Z")
        if found and offset < found[-1].offset:
            return Invalid("goes back: its offsets must not fall")
        found.append(Start(offset, time))
    return tuple(found)


def starts_text(starts: Sequence[Start]) -> str:
    """``Logship-Starts`` of these."""
    return ", ".join(f"{start.offset};{start.time}" for start in starts)


_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_ESCAPED = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})+")


def percent_encode(text: str) -> str:
    """UTF-8, every byte but unreserved ones and the slash escaped."""
    return "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in text.encode())


def parse_source_path(text: str) -> str | Invalid:
    """``Logship-Path``: percent-encoded UTF-8."""
    if len(text) > SOURCE_PATH_BYTES_MAX or not _ESCAPED.fullmatch(text):
        return Invalid(f"is not percent-encoded text of 1 to {SOURCE_PATH_BYTES_MAX} bytes")
    parts = text.split("%")
    raw = parts[0].encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in parts[1:])
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Invalid("is not UTF-8 once decoded")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the collector takes at most, told in ``Logship-Limits``: bytes, streams, connections."""

    append_bytes_max: int = 8 * 1024 * 1024
    header_bytes_max: int = 16 * 1024
    streams_max: int = 100_000
    connections_max: int = 4096

    @lru_cache(maxsize=4)  # noqa: B019  # of a few values that live as long as the process
    def text(self) -> str:
        """The field's value."""
        return ", ".join(f"{field.name}={getattr(self, field.name)}" for field in fields(self))


@lru_cache(maxsize=16)
def parse_limits(text: str) -> Limits | Invalid:
    """``Logship-Limits``; members that are not known are left out, missing ones keep their default."""
    known = {field.name for field in fields(Limits)}
    found: dict[str, int] = {}
    for item in text.split(","):
        name, equals, digits = item.strip(" \t").partition("=")
        number = parse_integer(digits)
        if not equals or isinstance(number, Invalid):
            return Invalid("is not a list of NAME=NUMBER")
        if name in known:
            found[name] = number
    return Limits(**found)
