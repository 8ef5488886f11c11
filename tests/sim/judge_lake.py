"""The oracle's look at the lake: nothing leaves the journal that is not in it, for good; and it has what was stored.

What collect deletes is kept here, so that the journal can be read as if all of it were there still.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import xxhash

from logship.lake.manifest import Beginnings, File, Manifest, parse
from logship.lake.unended import Unended
from logship.lake.unended import parse as parse_unended
from logship.values import Invalid
from tests.sim.disk import Inode
from tests.sim.sealing import unpacked
from tests.sim.violation import Violation

if TYPE_CHECKING:
    from tests.sim.judgement import Stored
    from tests.sim.oracle import Oracle

MANIFEST = "manifest.json"


def deleted(oracle: Oracle, lsn: int, content: bytes) -> None:
    """collect deleted a segment: whatever crashes now, a manifest that has it is there."""
    oracle.archive[lsn] = content
    end = lsn + len(content)
    sealed_end = _durable(oracle).sealed_end
    if sealed_end < end:
        oracle.fail(
            "deleted is sealed", f"the segment from LSN {lsn} to {end} was deleted, and {sealed_end} is sealed for good"
        )


def after_crash(oracle: Oracle) -> None:
    """The collector's machine has lost power: what is published is whole, and has what was deleted."""
    if not oracle.world.plan.seals:
        return
    manifest, kept = published(oracle), [int(name) for name, _, _ in oracle.journal_state()]
    gone = max((lsn + len(data) for lsn, data in oracle.archive.items() if lsn not in kept), default=0)
    if manifest.sealed_end < gone:
        oracle.fail("deleted is sealed", f"after a crash {manifest.sealed_end} is sealed, and {gone} was deleted")
    try:
        _check(oracle, manifest)
    except Violation as violation:
        oracle.fail(violation.invariant, violation.text)


def published(oracle: Oracle) -> Manifest:
    """What readers find; an empty one where there is none."""
    lake = oracle.folder("lib", "store", "lake")
    inode = lake.names.get(MANIFEST) if lake is not None else None
    return Manifest() if inode is None else _parsed(bytes(inode.data))


def left(oracle: Oracle) -> list[str]:
    """What is not sealed yet of what is finished."""
    if not oracle.world.plan.seals:
        return []
    last, sealed_end = max(int(name) for name, _, _ in oracle.journal_state()), published(oracle).sealed_end
    return [f"the journal from {sealed_end} to {last} is to be sealed"] if sealed_end < last else []


def judge(oracle: Oracle, streams: Mapping[str, Stored]) -> None:
    """Raises Violation."""
    if not oracle.world.plan.seals:
        return
    manifest = published(oracle)
    rows = _check(oracle, manifest)
    unended = _unended(oracle, manifest)
    if manifest.not_sealed or manifest.damaged or manifest.deleted:
        raise Violation("the lake has what is stored", f"it misses {manifest.not_sealed} {manifest.damaged}")
    for path in {*rows, *unended} - {*streams}:
        raise Violation("the lake has what is stored", f"it has {path}, which nobody wrote")
    for path, stored in streams.items():
        _judge_stream(stored, rows.get(path, []), unended.get(path), manifest.sealed_end)
    oracle.world.met["lines sealed"] += sum(map(len, rows.values()))


def _judge_stream(stored: Stored, rows: list[tuple[int, bytes]], unended: Unended | None, sealed_end: int) -> None:
    end = 0
    for offset, data in rows:
        if offset != end:
            raise Violation(
                "the lake has what is stored", f"{stored.path}: a line at {offset} follows on what ends at {end}"
            )
        end += len(data)
    if b"".join(data for _, data in rows) != stored.data[:end]:
        raise Violation("the lake has what is stored", f"{stored.path}: lines of the lake are not what was stored")
    size = max((offset for lsn, offset in stored.frames if lsn < sealed_end), default=0)
    rest = bytes(stored.data[end:size])
    if b"\n" in rest or (rest and stored.closed_lsn < sealed_end):
        raise Violation("the lake has what is stored", f"{stored.path}: the line at {end} is not in it")
    if rest and (unended is None or (unended.offset, unended.data) != (end, rest)):
        raise Violation("the lake has what is stored", f"{stored.path}: the beginning of the line at {end} is not kept")


def _check(oracle: Oracle, manifest: Manifest) -> dict[str, list[tuple[int, bytes]]]:
    """The lines of all files, by stream. Raises Violation where one is not there, or is not what was published."""
    found: dict[str, list[tuple[int, bytes]]] = {}
    for file in manifest.files:
        for stream, offset, data in unpacked(_whole(oracle, file)):
            found.setdefault(stream, []).append((offset, data))
    if manifest.unended is not None:
        _whole(oracle, manifest.unended)
    return found


def _whole(oracle: Oracle, file: File | Beginnings) -> bytes:
    folder, _, name = file.name.rpartition("/")
    found = oracle.folder("lib", "store", "lake", *([folder] if folder else []))
    inode: Inode | None = found.names.get(name) if found is not None else None
    if inode is None:
        raise Violation("published is whole", f"the manifest names {file.name}, which is not there")
    content = bytes(inode.data)
    if len(content) != file.bytes or xxhash.xxh3_128(content).hexdigest() != file.check:
        raise Violation("published is whole", f"{file.name} is not what the manifest says")
    return content


def _unended(oracle: Oracle, manifest: Manifest) -> Mapping[str, Unended]:
    if manifest.unended is None:
        return {}
    found = parse_unended(_whole(oracle, manifest.unended))
    assert not isinstance(found, Invalid), found
    return found


def _durable(oracle: Oracle) -> Manifest:
    """The manifest that is on the platter, in folders that are."""
    inode: Inode | None = oracle.world.lab.root
    for name in ("lib", "store", "lake", MANIFEST):
        inode = inode.platter_names.get(name) if inode is not None else None
    return Manifest() if inode is None else _parsed(bytes(inode.platter))


def _parsed(content: bytes) -> Manifest:
    found = parse(content)
    if isinstance(found, Invalid):
        raise Violation("published is whole", f"the manifest {found.reason}")
    return found
