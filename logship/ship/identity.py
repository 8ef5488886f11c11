"""Core: which stream at the collector a file is, by evidence: device, inode and time of birth.

Evidence names candidates only. Whether a file really holds what is stored is proved by the digest of the bytes before
the stream's end (``sender``); what is not proved goes to a new stream. Nothing is kept here that the collector could
not be asked for: the evidence travels in ``Logship-Source``.

A file is called ``<time of birth>-<12 hex digits>``, like an incarnation, so that its streams sort by age: the first 4
digits are the part of the second.

Left to others: looking at files (``globs``, ``followed``), when to ask (``files``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from logship.ship.chain import Link, parse_name, present
from logship.spool.ranges import Span
from logship.values import Invalid, StreamPath, parse_stream_path
from logship.wire.fields import Digest
from logship.wire.replies import Answer

PROGRAM = "file"
"""The third segment of the path of a file's stream, and ``program`` of its source."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What tells a file from all others of its machine; ``birth`` in ns since 1970, None where nobody knows it.

    A device may change its number when it is mounted anew, an inode's number is given to the next file at once
    (measured on ext4: 200 of 200 times), and not every file system knows a time of birth.
    """

    device: int
    inode: int
    birth: int | None = None

    def matches(self, other: Evidence) -> bool:
        """Whether both may be the same file: the device is asked only where no time of birth is known."""
        if self.inode != other.inode:
            return False
        if self.birth is None or other.birth is None:
            return self.birth is other.birth and self.device == other.device
        return self.birth == other.birth

    def facts(self) -> tuple[tuple[str, str], ...]:
        """As the source of a stream says it; a fact that is not known is left out."""
        found = (("device", str(self.device)), ("inode", str(self.inode)))
        return found if self.birth is None else (*found, ("birth", str(self.birth)))


@dataclass(frozen=True, slots=True)
class Tail:
    """A stream's end and the digest of the ``size`` bytes before it; None where retention has left the end alone."""

    end: int
    size: int = 0
    digest: Digest | None = None

    def span(self, base: int) -> Span:
        """Where those bytes are in the file, in which the stream begins at ``base``."""
        return Span(base + self.end - self.size, self.size)


@dataclass(slots=True)
class Known:
    """A file that has streams: ``links`` is its chain, ``made`` its first one's time, ``open`` whether it goes on.

    ``sizes`` are the streams' lengths by path, ``tails`` what is known of how they end without asking.
    """

    id: str
    evidence: Evidence
    path: str = ""
    made: str = ""
    open: bool = False
    links: list[Link] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    tails: dict[StreamPath, Tail | None] = field(default_factory=dict)

    @property
    def stored(self) -> int:
        """The end of its present stream."""
        last = present(self.links)
        return 0 if last is None else self.sizes.get(last.path, 0)

    @property
    def end(self) -> int:
        """Where in the file that is: a stream may go on where a retired one ended."""
        last = present(self.links)
        return 0 if last is None else last.base + self.stored

    @property
    def begun(self) -> bool:
        """Whether its present stream has a byte: else nothing proves which content of the file it is for."""
        return self.stored > 0


def parse_files(body: bytes, service: str) -> dict[str, Known] | Invalid:
    """The files of a service's list of streams, by id. What is no stream of a file is left out."""
    found: dict[str, Known] = {}
    for line in body.splitlines():
        try:
            entry = json.loads(line)
            source, path, size = entry["source"], parse_stream_path(entry["stream"]), int(entry["next_offset"])
            program, name, of_service = map(source.get, ("program", "incarnation", "service"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return Invalid("is no list of streams, one JSON object with stream and source a line")
        if isinstance(path, Invalid):
            return Invalid(f"names a stream whose path {path.reason}")
        evidence = parse_evidence(source)
        if program != PROGRAM or of_service != service or not isinstance(name, str) or evidence is None:
            continue
        place = parse_name(path.rpartition("/")[2], name)
        if place is None:
            continue
        known = found.setdefault(name, Known(name, evidence, made=str(source.get("created"))))
        known.made = min(known.made, str(source.get("created")))
        known.sizes[path] = size
        known.links.append(Link(path, *place, source.get("continues")))
        if not entry.get("closed"):
            known.open = True
        known.path = str(source.get("path") or known.path)
    return found


def candidate(evidence: Evidence, known: Mapping[str, Known], taken: Collection[str]) -> Known | None:
    """The file of the collector's list that this one may be; ``taken`` are ids that other files have now.

    Of several (a file that was emptied gets a new id when a copy of it went on with the old one) the newest that has
    bytes and is on the same device, if any is. Where a copy has that one this file was emptied since, and is none.
    """
    fitting = [
        each for each in known.values()
        if each.evidence.matches(evidence) and (each.id not in taken or each.evidence.device == evidence.device)
    ]  # fmt: skip
    found = max(
        fitting,
        key=lambda each: (each.evidence.device == evidence.device, each.begun, each.open, each.made, each.id),
        default=None,
    )
    return None if found is None or found.id in taken else found


def tail_of(answer: Answer) -> Tail | None:
    """How a stream ends, as the answer to HEAD says; None where it does not say enough."""
    end = answer.next_offset
    if end is None or answer.status not in (200, 410):
        return None
    if answer.status == 410:
        return Tail(end)
    whole = answer.tail_digest is not None and 0 < answer.tail_bytes <= end
    return Tail(end, answer.tail_bytes, answer.tail_digest) if whole else None


def new_id(host: str, evidence: Evidence, now_ns: int, taken: Collection[str], late: bool = False) -> str:
    """A name for a file that has none. The same file gets the same one each time, where its birth is known.

    So two shippers that are not aware of each other make one stream, of which the collector lets one append. ``late``:
    what it holds was written after younger files of its family were (it was copied and emptied), so it sorts by now.
    """
    born = now_ns if evidence.birth is None or late else evidence.birth
    salt = 0
    while True:
        text = f"{host} {evidence.device} {evidence.inode} {born} {salt}"
        name = stem(born) + hashlib.sha256(text.encode()).hexdigest()[:8]
        if name not in taken:
            return name
        salt += 1


def stem(born: int) -> str:
    """What names of that time begin with."""
    second, rest = divmod(born, 10**9)
    return f"{datetime.fromtimestamp(second, UTC):%Y%m%dT%H%M%SZ}-{(rest << 16) // 10**9:04x}"


def parse_evidence(source: Mapping[str, object]) -> Evidence | None:
    """The evidence that the source of a stream tells; None where it is none of a file."""
    try:
        device, inode = int(str(source["device"])), int(str(source["inode"]))
        birth = source.get("birth")
        return Evidence(device, inode, None if birth is None else int(str(birth)))
    except (KeyError, ValueError):
        return None
