"""Core: what ship keeps of one source where the server cannot be asked for it: the checkpoint, and its text.

Of a plain server (PROTOCOL.md 11) nobody learns where in a source a stream ends: its offsets are opaque, it has no
digests, it lists nothing. So this is written down, before an append and after it: which stream, up to where it is
acknowledged, with which numbers of the producer, and which bytes are on their way (``Flight``). After a crash those go
out again, the same ones with the same number, and the server tells by it whether it has them.

Left to others: keeping it (``book``), what follows from it (``plain``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from logship.ship.chain import Link, Origin, parse_name
from logship.ship.identity import Known, Tail, parse_evidence
from logship.values import INTEGER_MAX, OFFSET_MAX, Invalid, StreamPath, parse_stream_path
from logship.wire.fields import Digest

VERSION = 1
CHECKPOINT_BYTES_MAX = 64 * 1024
PROOF_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Proof:
    """SHA-256, in hex, of the ``size`` bytes before a place in the source: who holds them holds what was sent."""

    size: int
    sha256: str

    @property
    def digest(self) -> Digest:
        """As the one who compares wants it."""
        return Digest("sha-256", bytes.fromhex(self.sha256))


@dataclass(frozen=True, slots=True)
class Flight:
    """``size`` bytes that are sent and not answered. ``sha256`` is theirs, ``proof`` what is kept once they are taken.

    Both are there as soon as the bytes were read.
    """

    size: int
    sha256: str = ""
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One source and its present stream. ``base`` and ``end`` are offsets of the source.

    ``offset`` is the server's own word for the stream's end, "" where it did not say one. ``sequence`` is the number of
    the next append, or of the one in ``flight``. ``made``: the PUT was answered; ``closing``: nothing more is to be
    appended to it; ``closed``: that was answered, too, or the stream was left.
    """

    service: str
    instance: str
    program: str
    incarnation: str
    facts: tuple[tuple[str, str], ...]
    path: StreamPath
    base: int
    end: int
    made: bool = False
    offset: str = ""
    epoch: int = 0
    sequence: int = 0
    proof: Proof | None = None
    flight: Flight | None = None
    closing: bool = False
    closed: bool = False
    lost_bytes: int = 0

    @property
    def link(self) -> Link:
        """Its place in the chain of streams."""
        return Link(self.path, self.base)

    @property
    def unused(self) -> bool:
        """Whether no byte was ever sent to the stream."""
        return self.end == self.base and self.flight is None and self.sequence == 0

    def text(self) -> bytes:
        """As it is kept."""
        fields = {"v": VERSION, **asdict(self), "facts": dict(self.facts)}
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def begun(origin: Origin, link: Link, lost_bytes: int) -> Checkpoint:
    """That of a stream that is about to be made."""
    return Checkpoint(
        origin.service, origin.instance, origin.program, origin.incarnation, origin.facts, link.path, link.base,
        link.base, lost_bytes=lost_bytes,
    )  # fmt: skip


def parse_checkpoint(content: bytes) -> Checkpoint | Invalid:
    """The checkpoint of a file. What cannot be one is never guessed at."""
    try:
        fields = json.loads(content)
        if fields["v"] != VERSION:
            return Invalid(f"has version {fields['v']!r}, and only {VERSION} is known here")
        found = Checkpoint(
            service=_word(fields, "service"),
            instance=_word(fields, "instance"),
            program=_word(fields, "program"),
            incarnation=_word(fields, "incarnation"),
            facts=tuple((str(name), str(value)) for name, value in fields["facts"].items()),
            path=_path(fields),
            base=_number(fields, "base", OFFSET_MAX),
            end=_number(fields, "end", OFFSET_MAX),
            made=bool(fields["made"]),
            offset=_word(fields, "offset"),
            epoch=_number(fields, "epoch", INTEGER_MAX),
            sequence=_number(fields, "sequence", INTEGER_MAX),
            proof=_proof(fields["proof"]),
            flight=_flight(fields["flight"]),
            closing=bool(fields["closing"]),
            closed=bool(fields["closed"]),
            lost_bytes=_number(fields, "lost_bytes", OFFSET_MAX),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Invalid("is damaged")
    return found if found.base <= found.end else Invalid("is damaged")


def known_file(checkpoint: Checkpoint) -> Known | None:
    """The followed file that a checkpoint is of; None where it is of a spool."""
    facts = dict(checkpoint.facts)
    evidence = parse_evidence(facts)
    place = parse_name(checkpoint.path.rpartition("/")[2], checkpoint.incarnation)
    if evidence is None or place is None:
        return None
    links = [Link(checkpoint.path, *place)]
    made, path = facts.get("created", ""), facts.get("path", "")
    sent = checkpoint.end - checkpoint.base + (checkpoint.flight.size if checkpoint.flight else 0)
    proof = checkpoint.proof
    tail = None if proof is None else Tail(checkpoint.end - checkpoint.base, proof.size, proof.digest)
    return Known(
        checkpoint.incarnation, evidence, path, made, not checkpoint.closed, links, {checkpoint.path: sent},
        {checkpoint.path: tail},
    )  # fmt: skip


def _word(fields: Mapping[str, Any], name: str) -> str:
    if not isinstance(fields[name], str):
        raise TypeError
    return str(fields[name])


def _number(fields: Mapping[str, Any], name: str, most: int) -> int:
    value = fields[name]
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError
    return value


def _path(fields: Mapping[str, Any]) -> StreamPath:
    path = parse_stream_path(_word(fields, "path"))
    if isinstance(path, Invalid):
        raise TypeError
    return path


def _sha256(fields: Mapping[str, Any]) -> str:
    value = _word(fields, "sha256")
    if len(bytes.fromhex(value)) != 32:
        raise ValueError
    return value


def _proof(fields: Any) -> Proof | None:
    return None if fields is None else Proof(_number(fields, "size", PROOF_BYTES), _sha256(fields))


def _flight(fields: Any) -> Flight | None:
    if fields is None:
        return None
    return Flight(_number(fields, "size", OFFSET_MAX), _sha256(fields), _proof(fields["proof"]))
