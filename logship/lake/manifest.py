"""Core: the manifest of the lake: which files there are and what they hold, and what is not in them and why.

It is the one truth about the lake: a file that it does not name is none. It is replaced as a whole (``folder``).
Everything below ``sealed_end`` is in a file, or told of here: not sealed, damaged, or deleted by retention.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from logship.values import Invalid

VERSION = 1
RETENTION = "retention deleted it from the journal before it was sealed"
"""Why something is missing that nobody has damaged."""
TOKENS = ".tokens"
"""Behind the name of a file: the file with its filters."""
DAMAGED_MAX = 10_000
"""Damaged places that are told one by one; the newest are kept."""
STARTS_MAX = 500
"""Starts of programs that are kept of a file; the newest."""

Starts = Mapping[str, tuple[tuple[int, int, int], ...]]
"""By stream where its program was started: offset, the LSN of the frame that says so, ms since 1970; in order."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The file with the filters of tokens of another one: its size, and its ``check`` as of that one."""

    bytes: int
    check: str


@dataclass(frozen=True, slots=True)
class File:
    """One file: the lines that complete from LSN ``first_lsn`` to ``end_lsn``.

    ``raw_bytes`` is what its lines were, ``bytes`` what the file is; times are ms since 1970; ``streams`` are by path
    where the first of its lines begins and the last one ends; ``check`` is xxh3_128 of the file, in hex. ``tokens``
    is beside it, by its name and TOKENS; None: nothing is. ``starts`` are those of its LSNs.
    """

    name: str
    first_lsn: int
    end_lsn: int
    rows: int
    bytes: int
    raw_bytes: int
    oldest_ts: int
    newest_ts: int
    oldest_received: int
    newest_received: int
    streams: Mapping[str, tuple[int, int]]
    check: str
    tokens: Sidecar | None = None
    starts: Starts = field(default_factory=dict)

    @property
    def stored_bytes(self) -> int:
        """What it takes on the disk, with what is beside it."""
        return self.bytes + (0 if self.tokens is None else self.tokens.bytes)


@dataclass(frozen=True, slots=True)
class Beginnings:
    """The file with the lines that had no end yet at ``sealed_end`` (``unended``); ``check`` as a file's."""

    name: str
    bytes: int
    check: str


@dataclass(frozen=True, slots=True)
class Missing:
    """LSNs of which no line is in the lake, and why."""

    first_lsn: int
    end_lsn: int
    why: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes of a stream that could not be read when they were to be sealed."""

    stream: str
    offset: int
    bytes: int
    lsn: int
    why: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """A range of files that retention took: which LSNs, how much, received when."""

    first_lsn: int
    end_lsn: int
    files: int
    rows: int
    raw_bytes: int
    oldest_received: int
    newest_received: int


@dataclass(frozen=True, slots=True)
class Thinned:
    """A stream that is kept less long than others: of it nothing is left that completed below LSN ``end_lsn``.

    ``end`` is the offset up to which that was, ``newest_received`` when the last of it had been received.
    """

    stream: str
    end_lsn: int
    end: int
    newest_received: int


@dataclass(frozen=True, slots=True)
class Leaving:
    """A file that is not to be read any more, since ``time_ms``; it is deleted a while after that."""

    name: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is published. ``files`` are in the order of their LSNs; ``unended`` is None where every line has an end."""

    sealed_end: int = 0
    files: tuple[File, ...] = ()
    not_sealed: tuple[Missing, ...] = ()
    damaged: tuple[Damaged, ...] = ()
    deleted: tuple[Deleted, ...] = ()
    leaving: tuple[Leaving, ...] = field(default=())
    unended: Beginnings | None = None
    thinned: tuple[Thinned, ...] = ()

    def beginning(self, unended: Beginnings | None, now_ms: int) -> Manifest:
        """With other lines that have no end yet. To be published with the files that go with them."""
        if unended == self.unended:
            return self
        gone = () if self.unended is None else (Leaving(self.unended.name, now_ms),)
        return replace(self, unended=unended, leaving=(*self.leaving, *gone))

    def sealed(self, end_lsn: int, file: File | None, damaged: tuple[Damaged, ...] = ()) -> Manifest:
        """With everything up to ``end_lsn``: in ``file``, or there is no line."""
        assert end_lsn > self.sealed_end, "a range is sealed once"
        assert file is None or (file.first_lsn, file.end_lsn) == (self.sealed_end, end_lsn)
        files = self.files if file is None else (*self.files, file)
        return replace(self, sealed_end=end_lsn, files=files, damaged=(*self.damaged, *damaged)[-DAMAGED_MAX:])

    def skipped(self, end_lsn: int, why: str) -> Manifest:
        """Without what lies up to ``end_lsn``."""
        missing = Missing(self.sealed_end, end_lsn, why)
        last = self.not_sealed[-1] if self.not_sealed else None
        if last is not None and (last.end_lsn, last.why) == (missing.first_lsn, why):
            return replace(
                self,
                sealed_end=end_lsn,
                not_sealed=(*self.not_sealed[:-1], Missing(last.first_lsn, end_lsn, why)),
            )
        return replace(self, sealed_end=end_lsn, not_sealed=(*self.not_sealed, missing))

    def merged(self, first: int, count: int, file: File, now_ms: int) -> Manifest:
        """With ``file`` in the place of ``count`` files, which leave."""
        before, gone, after = self.files[:first], self.files[first : first + count], self.files[first + count :]
        assert (file.first_lsn, file.end_lsn, file.rows) == (
            gone[0].first_lsn,
            gone[-1].end_lsn,
            sum(one.rows for one in gone),
        )
        leaving = tuple(Leaving(one.name, now_ms) for one in gone)
        return replace(self, files=(*before, file, *after), leaving=(*self.leaving, *leaving))

    def thinner(self, at: int, file: File | None, gone: frozenset[str], now_ms: int) -> Manifest:
        """With ``file`` in the place of another one, but for the streams ``gone``; None: that had no others."""
        old = self.files[at]
        assert file is None or (file.first_lsn, file.end_lsn) == (old.first_lsn, old.end_lsn)
        assert old.streams.keys() - gone == (set() if file is None else file.streams.keys())
        fresh = (Thinned(path, old.end_lsn, old.streams[path][1], old.newest_received) for path in sorted(gone))
        return replace(
            self,
            files=(*self.files[:at], *([] if file is None else [file]), *self.files[at + 1 :]),
            thinned=(*(one for one in self.thinned if one.stream not in gone), *fresh),
            leaving=(*self.leaving, Leaving(old.name, now_ms)),
        )

    def without_oldest(self, count: int, now_ms: int) -> Manifest:
        """Without the ``count`` oldest files, which are remembered as deleted and as leaving."""
        gone, kept = self.files[:count], self.files[count:]
        if not gone:
            return self
        fresh = Deleted(
            gone[0].first_lsn,
            gone[-1].end_lsn,
            len(gone),
            sum(file.rows for file in gone),
            sum(file.raw_bytes for file in gone),
            min(file.oldest_received for file in gone),
            max(file.newest_received for file in gone),
        )
        return replace(
            self,
            files=kept,
            deleted=(*self.deleted[:-1], *_joined(self.deleted[-1:], fresh)),
            damaged=tuple(place for place in self.damaged if place.lsn >= fresh.end_lsn),
            thinned=tuple(one for one in self.thinned if one.end_lsn > fresh.end_lsn),
            leaving=(*self.leaving, *(Leaving(file.name, now_ms) for file in gone)),
        )

    def without_leaving(self, names: frozenset[str]) -> Manifest:
        """After the files ``names`` were deleted."""
        return replace(self, leaving=tuple(one for one in self.leaving if one.name not in names))

    def pack(self) -> bytes:
        """As JSON text, a file a line."""
        found = _fields(self)
        files = found.pop("files")
        head = json.dumps({"v": VERSION, **found}, default=_fields)[:-1]
        lines = ",\n".join(json.dumps(file, default=_fields) for file in files)
        return f'{head}, "files": [\n{lines}\n]}}\n'.encode()


def _fields(value: Any) -> dict[str, Any]:
    """One of the values above by the names of its fields; those in it as they are: ``asdict`` copies all of them."""
    return {name: getattr(value, name) for name in value.__slots__}


def starts_of(found: Iterable[Starts], without: frozenset[str] = frozenset()) -> Starts:
    """All of them in one, of files in order; the newest STARTS_MAX."""
    by_path: dict[str, list[tuple[int, int, int]]] = {}
    for starts in found:
        for path, each in starts.items():
            if path not in without:
                by_path.setdefault(path, []).extend(each)
    newest = sorted((lsn, path, at) for path, each in by_path.items() for at, (_, lsn, _) in enumerate(each))
    kept: dict[str, list[tuple[int, int, int]]] = {}
    for _, path, at in newest[-STARTS_MAX:]:
        kept.setdefault(path, []).append(by_path[path][at])
    return {path: tuple(kept[path]) for path in sorted(kept)}


def _joined(before: tuple[Deleted, ...], fresh: Deleted) -> tuple[Deleted, ...]:
    """Ranges follow on each other, since the oldest go first; what lies between two had no file."""
    if not before:
        return (fresh,)
    old = before[0]
    return (
        Deleted(
            old.first_lsn,
            fresh.end_lsn,
            old.files + fresh.files,
            old.rows + fresh.rows,
            old.raw_bytes + fresh.raw_bytes,
            min(old.oldest_received, fresh.oldest_received),
            max(old.newest_received, fresh.newest_received),
        ),
    )


def parse(content: bytes) -> Manifest | Invalid:
    """The manifest that the text is."""
    try:
        said = json.loads(content)
        if said["v"] != VERSION:
            return Invalid(f"is of version {said['v']!r}, this program knows {VERSION}")
        files = tuple(
            File(
                **{
                    **file,
                    "streams": {path: (first, end) for path, (first, end) in file["streams"].items()},
                    "tokens": Sidecar(**file["tokens"]) if file.get("tokens") else None,
                    "starts": {
                        path: tuple((offset, lsn, ms) for offset, lsn, ms in each)
                        for path, each in file.get("starts", {}).items()
                    },
                }
            )
            for file in said["files"]
        )
        return Manifest(
            said["sealed_end"],
            files,
            tuple(Missing(**one) for one in said["not_sealed"]),
            tuple(Damaged(**one) for one in said["damaged"]),
            tuple(Deleted(**one) for one in said["deleted"]),
            tuple(Leaving(**one) for one in said["leaving"]),
            Beginnings(**unended) if (unended := said.get("unended")) else None,
            tuple(Thinned(**one) for one in said.get("thinned", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Invalid(f"cannot be read ({error!r})")
