"""Core: the streams at the collector that carry one source, one after the other (ARCHITECTURE.md 8, "Spool to stream").

The first is called like the incarnation, a later one ``<incarnation>.<spool offset of its first byte>``, and where that
name is taken ``<incarnation>.<spool offset>.<2, 3 ...>``. The present one is the one that no other one continues.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from logship.values import OFFSET_DIGITS, Invalid, StreamPath, offset_text, parse_stream_path


@dataclass(frozen=True, slots=True)
class Origin:
    """What the streams of one program of one incarnation have in common; ``facts`` go into ``Logship-Source``."""

    service: str
    instance: str
    program: str
    incarnation: str
    facts: tuple[tuple[str, str], ...] = ()

    def source_text(
        self, continues: str | None, lost_bytes: int, lost_reason: str, lost_when: tuple[str, str] | None = None
    ) -> str:
        """The source of a new stream as JSON; how it goes on from an older stream where it does."""
        fields: dict[str, str | int] = {
            "service": self.service,
            "instance": self.instance,
            "program": self.program,
            "incarnation": self.incarnation,
            **dict(self.facts),
        }
        if continues is not None:
            fields |= {"continues": continues, "lost_bytes": lost_bytes}  # without a number it would be an unknown one
            if lost_bytes:
                fields["lost_reason"] = lost_reason
            if lost_bytes and lost_when:
                fields["lost_from"], fields["lost_to"] = lost_when
        return json.dumps(fields, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Link:
    """One stream of a chain: ``base`` is the spool offset of its first byte."""

    path: StreamPath
    base: int
    repeat: int = 1
    continues: str | None = None


def first_path(origin: Origin) -> StreamPath:
    """The path of the stream that begins with the source's first byte."""
    path = parse_stream_path(f"{origin.service}/{origin.instance}/{origin.program}/{origin.incarnation}")
    assert not isinstance(path, Invalid), path
    return path


def next_link(origin: Origin, base: int, previous: StreamPath | None, taken: Collection[str]) -> Link:
    """The stream to make for the bytes from ``base`` on; ``previous`` is the one it continues, if any was made.

    A source whose beginning is lost before any stream was made continues the one that would have held it.
    """
    first = first_path(origin)
    if base == 0 and previous is None:
        return Link(first, 0)
    stem = f"{(previous or first).rpartition('/')[0]}/{origin.incarnation}.{offset_text(base)}"
    repeat = 1
    while (path := stem if repeat == 1 else f"{stem}.{repeat}") in taken:
        repeat += 1
    return Link(StreamPath(path), base, repeat, previous or first)


def present(links: Iterable[Link]) -> Link | None:
    """The end of the chain: the stream that no other one continues; of several the one that begins last."""
    found = list(links)
    continued = {link.continues for link in found}
    ends = [link for link in found if link.path not in continued] or found
    return max(ends, key=lambda link: (link.base, link.repeat), default=None)


def parse_list(body: bytes) -> dict[str, list[Link]] | Invalid:
    """The streams of one incarnation by program, from the collector's list; what others made under its name is left."""
    found: dict[str, list[Link]] = {}
    for line in body.splitlines():
        try:
            entry = json.loads(line)
            source, path = entry["source"], parse_stream_path(entry["stream"])
            program, incarnation, continues = map(source.get, ("program", "incarnation", "continues"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return Invalid("is no list of streams, one JSON object with stream and source a line")
        if isinstance(path, Invalid):
            return Invalid(f"names a stream whose path {path.reason}")
        if isinstance(program, str) and isinstance(incarnation, str):
            name = parse_name(path.rpartition("/")[2], incarnation)
            if name is not None:
                found.setdefault(program, []).append(Link(path, *name, continues))
    return found


def parse_name(name: str, incarnation: str) -> tuple[int, int] | None:
    """Base and repeat of a stream of this name; None for a stream that is not of this chain."""
    if name == incarnation:
        return 0, 1
    base, _, repeat = name.removeprefix(f"{incarnation}.").partition(".")
    digits = base.isascii() and base.isdigit() and len(base) == OFFSET_DIGITS
    if not name.startswith(f"{incarnation}.") or not digits:
        return None
    if repeat == "":
        return int(base), 1
    return (int(base), int(repeat)) if repeat.isascii() and repeat.isdigit() else None
