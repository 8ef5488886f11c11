"""Run: the lake's part of ``logship fsck``: each file against the manifest, the filters beside it, the manifest itself.

Reads alone, and wants no DuckDB: a file is what was written when its digest is. A lake that seal works in may let go of
files meanwhile. Filters that are missing cost time and no line, so they are only said. Left to others: the journal
(``collect.fsck``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import xxhash

from logship.errors import Fault
from logship.lake.folder import LAKE, MANIFEST, load, load_unended
from logship.lake.manifest import TOKENS, File, Manifest
from logship.lake.tokens import parse
from logship.values import Invalid

_PIECE_BYTES = 1 << 20
_SPANS_SHOWN = 20
_NAME = re.compile(r"day=\d{4}-\d\d-\d\d/(\d+)-(\d+)(?:\.\d+)?\.parquet")


@dataclass(slots=True)
class Part:
    """What was found of one file: ``reasons`` are damage, with ``advice``; ``notes`` are none.

    ``lost`` is what it costs: by stream from which offset to which. ``gone``: it was let go of during the check.
    """

    name: str
    bytes: int = 0
    rows: int | None = None
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    lost: dict[str, tuple[int, int]] = field(default_factory=dict)
    gone: bool = False

    @property
    def verdict(self) -> str:
        """``damaged``, ``gone`` or ``ok``."""
        return "damaged" if self.reasons else "gone" if self.gone else "ok"

    def lines(self) -> list[str]:
        """For people: the file, then a line for each thing that is to be said of it."""
        rows = "" if self.rows is None else f"{self.rows} rows, "
        told = [f"{self.verdict:8}{self.name}  {rows}{self.bytes} bytes"]
        told += [f"  {reason}" for reason in self.reasons]
        shown = [f"{path} offsets {start} to {end}" for path, (start, end) in [*self.lost.items()][:_SPANS_SHOWN]]
        if len(self.lost) > _SPANS_SHOWN:
            shown.append(f"and of {len(self.lost) - _SPANS_SHOWN} more streams")
        told += [f"  unreadable: {', '.join(shown)}"] if shown else []
        return told + [f"  {note}" for note in self.notes]

    def record(self) -> dict[str, Any]:
        """As a record of ``-o json``."""
        lost = [{"stream": path, "start": start, "end": end} for path, (start, end) in self.lost.items()]
        return {
            "file": self.name, "verdict": self.verdict, "rows": self.rows, "bytes": self.bytes, "damage": self.reasons,
            "lost": lost, "notes": self.notes, "advice": self.advice,
        }  # fmt: skip


class LakeCheck:
    """One check of the lake of the store in ``store``, whose journal begins at ``journal_lsn`` and ends at ``end``."""

    def __init__(self, store: Path, journal_lsn: int, end: int) -> None:
        self._store, self._lake = store, store / LAKE
        self._journal_lsn, self._end = journal_lsn, end

    def run(self) -> Iterator[Part]:
        """Each part as soon as it is checked: manifest, files, what has no end yet; nothing where there is no lake."""
        if not self._lake.is_dir():
            return
        part = Part(f"{LAKE}/{MANIFEST}")
        try:
            manifest = load(self._store)
        except Fault as fault:
            part.reasons.append(fault.cause)
            part.advice.append(f"{part.name}: {fault.hint}")
            yield part
            return
        if manifest is None:
            if any(self._lake.glob("day=*/*.parquet")):
                part.reasons.append("it is missing, though there are files")
                part.advice.append(f"restore {part.name}, or move the folder away: it is made anew from the journal")
                yield part
            return
        part.bytes = (self._lake / MANIFEST).stat().st_size
        part.reasons += self._disagreements(manifest)
        if part.reasons:
            part.advice.append(f"restore {part.name} from a copy; keep the folder, and report this")
        yield part
        for file in manifest.files:
            yield self._file(manifest, file)
        if manifest.unended is not None:
            yield self._unended(manifest)
        yield from self._others(manifest)

    def _disagreements(self, manifest: Manifest) -> Iterator[str]:
        """Where the manifest does not agree with itself, or with the journal."""
        if manifest.sealed_end > self._end:
            yield f"it is another store's: sealed up to LSN {manifest.sealed_end}, the journal ends at {self._end}"
        for before, file in pairwise([None, *manifest.files]):
            assert file is not None
            named = _NAME.fullmatch(file.name)
            if named is None or tuple(map(int, named.groups())) != (file.first_lsn, file.end_lsn):
                yield f"{file.name} does not have the name of LSNs {file.first_lsn} to {file.end_lsn}"
            if not file.first_lsn < file.end_lsn <= manifest.sealed_end:
                yield f"{file.name} ends beyond what is sealed, or before it begins"
            if before is not None and file.first_lsn < before.end_lsn:
                yield f"{file.name} begins before the file ends that is before it: its lines are there twice"
            if any(start > end for start, end in file.streams.values()) or not file.streams:
                yield f"{file.name} has a stream that ends before it begins, or none"
        names = {file.name for file in manifest.files}
        if len(names) < len(manifest.files) or names & {one.name for one in manifest.leaving}:
            yield "a file is named twice, or named and on its way out"

    def _file(self, manifest: Manifest, file: File) -> Part:
        part = Part(f"{LAKE}/{file.name}", file.bytes, file.rows)
        fault = self._fault(file.name, file.bytes, file.check)
        if fault:
            if self._is_gone(file.name):
                part.gone = True
                return part
            part.reasons.append(fault)
            part.lost = dict(file.streams)
            part.advice.append(self._advice(manifest, part.name))
        self._filters(file, part)
        return part

    def _filters(self, file: File, part: Part) -> None:
        name = f"{part.name}{TOKENS}"
        if file.tokens is None or not (self._store / name).exists():
            why = "none were made" if file.tokens is None else f"{name} is missing"
            part.notes.append(f"no filters ({why}): searches read all its rows, none is missed")
            return
        fault = self._fault(f"{file.name}{TOKENS}", file.tokens.bytes, file.tokens.check)
        if not fault:
            read = parse((self._store / name).read_bytes())
            if isinstance(read, Invalid):
                fault = read.reason
            elif sum(group.rows for group in read.groups) != file.rows:
                fault = "is of another number of rows than the manifest says"
        if fault and not self._is_gone(file.name):
            part.reasons.append(f"its filters, {name}: {fault}")
            part.advice.append(
                f"remove {name}: searches do not believe it, and read all rows of its file; none is missed"
            )

    def _unended(self, manifest: Manifest) -> Part:
        assert manifest.unended is not None
        part = Part(f"{LAKE}/{manifest.unended.name}", manifest.unended.bytes)
        found = load_unended(self._store, manifest)
        if isinstance(found, Invalid):
            now = self._now()
            if now is None or now.unended != manifest.unended:
                part.gone = True
            else:
                part.reasons.append(found.reason)
                part.advice.append(
                    f"bring {part.name} back: without it seal does not start, and beginnings of lines are lost"
                )
        return part

    def _others(self, manifest: Manifest) -> Iterator[Part]:
        """Files that nobody names: no damage."""
        now = self._now() or manifest
        known = {file.name for each in (manifest, now) for file in each.files}
        known |= {one.name for each in (manifest, now) for one in each.leaving}
        for path in sorted(self._lake.glob("day=*/*.parquet")):
            name = f"{path.parent.name}/{path.name}"
            if name not in known:
                size = path.stat().st_size if path.exists() else 0
                note = "the manifest does not name it: nobody reads it, and seal removes it when it starts"
                yield Part(f"{LAKE}/{name}", size, notes=[note])

    def _fault(self, name: str, size: int, check: str) -> str:
        """Why a file is not what the manifest says; nothing where it is."""
        digest, found = xxhash.xxh3_128(), 0
        try:
            with (self._lake / name).open("rb") as content:
                while piece := content.read(_PIECE_BYTES):
                    digest.update(piece)
                    found += len(piece)
        except FileNotFoundError:
            return "it is not there"
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
        if found != size:
            return f"it has {found} bytes, and had {size}"
        return "" if digest.hexdigest() == check else "it is not what was written: its digest is another one"

    def _is_gone(self, name: str) -> bool:
        """Whether it is not named any more: merged with others, made anew, or deleted by retention."""
        now = self._now()
        return now is not None and all(file.name != name for file in now.files)

    def _now(self) -> Manifest | None:
        try:
            return load(self._store)
        except Fault:
            return None

    def _advice(self, manifest: Manifest, name: str) -> str:
        if self._journal_lsn <= manifest.files[0].first_lsn and not manifest.deleted and not manifest.thinned:
            return (
                f"{name}: the journal has all that is sealed: stop seal, move the folder `{LAKE}` away, start it again"
            )
        return (
            f"bring {name} back from a copy, if there is one; readers show a mark in the place of its lines, all "
            f"others stay readable. The journal begins at LSN {self._journal_lsn}"
        )


def summary(parts: list[Part]) -> list[str]:
    """For people: what the lake is, and what to do; nothing of a store without one."""
    if not parts:
        return []
    files = [part for part in parts if part.rows is not None]
    damaged = sum(len(part.reasons) for part in parts)
    size, rows = sum(part.bytes for part in parts), sum(part.rows or 0 for part in files)
    outcome = f"damaged places: {damaged}" if damaged else "all good"
    told = f"{LAKE}: {len(files)} files, {rows} rows, {size} bytes: {outcome}"
    return [told, *(advice for part in parts for advice in part.advice)]


def record(parts: list[Part]) -> dict[str, Any] | None:
    """The same for ``-o json``."""
    if not parts:
        return None
    files = [part for part in parts if part.rows is not None]
    return {
        "files": len(files),
        "rows": sum(part.rows or 0 for part in files),
        "bytes": sum(part.bytes for part in parts),
        "damaged": sum(len(part.reasons) for part in parts),
        "advice": [advice for part in parts for advice in part.advice],
    }
