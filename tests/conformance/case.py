"""Requests, and the answers PROTOCOL.md says they get: the collector's wire as data.

A case happens on streams of its own: ``~`` in a path is one that no other case has. Its ``before`` are requests that
succeed. ``headers`` are what the answer carries at least; None: a field it must not carry. Judged by
``test_wire_cases.py``, against the cores alone and against a live collector.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

APPEND_BYTES_MAX = 65_536
"""The bound the judges set, so that oversized bodies stay small."""

OCTETS = {"Content-Type": "application/octet-stream"}
TEXT = {"Content-Type": "text/plain"}
ZIPPED = {**OCTETS, "Content-Encoding": "zstd"}


@dataclass(frozen=True)
class Ask:
    """A request: method, raw target after ``/v1/stream/``, header fields, body (None: no Content-Length either)."""

    method: str
    target: str = "~"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class Case:
    """What is asked, after what, and what must come of it."""

    name: str
    ask: Ask
    status: int
    code: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    before: tuple[Ask, ...] = ()
    body: bytes | None = None
    """What the answer's body is, where the case is about it. The cores alone have no bytes."""


def offset(number: int) -> str:
    """An offset as the wire writes it."""
    return f"{number:020}"


def digest(body: bytes) -> dict[str, str]:
    """A true Content-Digest."""
    return {"Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"}


def by(epoch: int, sequence: int) -> dict[str, str]:
    """Producer headers."""
    return {**OCTETS, "Producer-Id": "p", "Producer-Epoch": str(epoch), "Producer-Seq": str(sequence)}


def lying_frame(states: int) -> bytes:
    """A zstd frame of five bytes that states ``states`` of them, and checks out block by block."""
    return b"\x28\xb5\x2f\xfd\xa0" + states.to_bytes(4, "little") + b"\x29\x00\x00hello"


PUT = Ask("PUT", headers=OCTETS)
PUT_TEXT = Ask("PUT", headers=TEXT)
POST = Ask("POST", headers=OCTETS, body=b"hello")
CLOSE = Ask("POST", headers={"Stream-Closed": "true"}, body=b"")
BY_P = Ask("POST", headers=by(1, 0), body=b"one")
CLOSE_BY_P = Ask("POST", headers={**by(1, 1), "Stream-Closed": "true"}, body=b"two")


def posts(**headers: str) -> Ask:
    """POST hello with these fields beside the content type; underscores are hyphens."""
    return Ask(
        "POST", headers={**OCTETS, **{name.replace("_", "-"): value for name, value in headers.items()}}, body=b"hello"
    )
