"""Who knows what every program wrote, and judges what became of it: the invariants of DESIGN 4, each with its name.

While the world goes on it watches the spool's segments (``Source``), what the collector answers (``Wiretap``) and, at a
crash of the collector's machine, what readers could see by then. At the end it reads the journal itself and compares
(``judgement``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from logship.collect.disk import watermark
from logship.errors import Fault
from logship.spool.ranges import Segment, segments
from logship.values import Loss
from tests.sim import judge_files, judge_lake, judgement
from tests.sim.disk import Inode
from tests.sim.violation import Violation
from tests.sim.wiretap import Wiretap

if TYPE_CHECKING:
    from tests.sim.container import Container
    from tests.sim.world import World

Key = tuple[str, str]
_SEGMENT = re.compile(r"[0-9]{20}")


@dataclass
class Source:
    """What is known of the stream of one program in one incarnation.

    ``truth`` is what was written, by offset; ``end`` where it ends, with what was thrown away. ``crashed``: its machine
    lost power in its life, and ``left`` is what of it was on the disk then, by offset; ``synced`` is below what no
    crash could take.
    """

    truth: bytearray = field(default_factory=bytearray)
    end: int = 0
    crashed: bool = False
    left: dict[int, bytes] = field(default_factory=dict)
    alive: bool = True

    def wrote(self, offset: int, data: bytes) -> None:
        """Bytes came to be at an offset."""
        if len(self.truth) < offset + len(data):
            self.truth.extend(bytes(offset + len(data) - len(self.truth)))
        self.truth[offset : offset + len(data)] = data
        self.end = max(self.end, offset + len(data))

    def may_be(self, offset: int, data: bytes) -> bool:
        """Whether ``data`` may be stored as the bytes from ``offset`` on."""
        if self.truth[offset : offset + len(data)] == data:
            return True
        if not self.crashed:
            return False
        return all(self._may_be_byte(offset + at, byte) for at, byte in enumerate(data))

    def _may_be_byte(self, offset: int, byte: int) -> bool:
        if offset < len(self.truth) and self.truth[offset] == byte:
            return True
        return any(
            start <= offset < start + len(held) and held[offset - start] == byte for start, held in self.left.items()
        )


class Oracle:
    """Watches one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sources: dict[Key, Source] = {}
        self.living: dict[str, str] = {}  # incarnation -> container
        self.read: tuple[object, tuple[dict[str, judgement.Stored], list[Loss]]] | None = None  # what was, and of what
        self.wiretap = Wiretap(self)
        self.archive: dict[int, bytes] = {}  # segments of the journal that were deleted, by LSN
        world.network.tap = self.wiretap

    def fail(self, invariant: str, text: str) -> None:
        """An invariant does not hold: the world ends, from wherever this was found."""
        if self.world.engine.failure is None:
            self.world.engine.failure = Violation(invariant, text)

    # What PID 1, spool and programs do.

    def begins(self, container: Container) -> None:
        """A life has begun."""
        self.living[container.incarnation] = container.name

    def ends(self, container: Container) -> None:
        """A life is over."""
        self.living.pop(container.incarnation, None)

    def drained(self, container: Container, program: str, data: bytes, target: Inode, offset: int) -> None:
        """Spool took bytes from a pipe, into a segment or a sink: they must go where they count."""
        pipe = container.pipes.get(program)
        base = int(target.name) if _SEGMENT.fullmatch(target.name) else 0
        place = base + offset
        taken = pipe.inode.taken if pipe else 0
        if place != taken:
            self.fail("order kept", f"{program}: byte {taken} of what was written went to offset {place}")
        self.source((container.incarnation, program)).wrote(place, data)

    def written(self, inode: Inode, offset: int, data: bytes) -> None:
        """Something was written on the containers' machine; segments are of interest."""
        if not _SEGMENT.fullmatch(inode.name) or inode.parent is None or inode.parent.parent is None:
            return
        key = inode.parent.parent.name.removeprefix(".new-"), inode.parent.name
        source, place = self.source(key), int(inode.name) + offset
        known = bytes(source.truth[place : place + len(data)])
        if known and known != data[: len(known)] and not source.crashed:
            self.fail("a byte never changes", f"{key}: spool wrote other bytes at {place}")
        source.wrote(place, data)

    def source(self, key: Key) -> Source:
        """What is known of a stream."""
        return self.sources.setdefault(key, Source())

    # The machines' ends.

    def before_crash(self) -> None:
        """The containers' machine is about to lose power."""

    def after_crash(self) -> None:
        """It has: what is on its disk is what its streams are from now on."""
        for key, source in self.sources.items():
            held = self.held(key)
            if held is None:
                source.crashed = True
                continue
            for segment, data in held:
                if source.truth[segment.offset : segment.end] != data:
                    source.crashed = True
                source.left.setdefault(segment.offset, data)  # nobody writes there any more
            end = held[-1][0].end if held else 0
            if end != source.end:
                source.crashed = True

    def shown(self) -> dict[int, bytes]:
        """What readers could see of the journal: by LSN of each segment, below the watermark."""
        store = self._folder(self.world.lab.root, "lib", "store")
        if store is None or "durable" not in store.names or "journal" not in store.names:
            return {}
        end = watermark(bytes(store.names["durable"].data)) or 0
        journal = store.names["journal"].names
        return {
            int(name): bytes(inode.data[: end - int(name)])
            for name, inode in journal.items()
            if _SEGMENT.fullmatch(name) and int(name) < end
        }

    def still_there(self, shown: dict[int, bytes]) -> None:
        """After the crash it must be there, unchanged."""
        journal = self._folder(self.world.lab.root, "lib", "store", "journal")
        for lsn, content in shown.items():
            inode = journal.names.get(f"{lsn:020}") if journal is not None else None
            if inode is None:
                self.fail(
                    "shown is durable",
                    f"a crash took the name of the segment at {lsn}, of which {len(content)} bytes had been shown",
                )
            elif inode.data[: len(content)] != content:
                self.fail("shown is durable", f"a crash changed bytes of the segment at {lsn} that had been shown")

    def removed(self, folder: Inode, name: str, inode: Inode) -> None:
        """A name was removed on the collector's machine; segments of the journal are of interest."""
        if folder.name == "journal" and _SEGMENT.fullmatch(name):
            self.world.tell(f"segment {name} is deleted")
            judge_lake.deleted(self, int(name), bytes(inode.data))

    def seal_faulted(self, fault: Fault) -> None:
        """seal ended with a fault: of a broken disk it may, and where collect has not said how far the journal goes."""
        self.world.tell(f"seal ends: {fault}")
        if "[Errno" not in str(fault) and fault.hint != "start again":
            self.fail("no surprise", f"seal: {fault}")

    def faulted(self, fault: Fault) -> None:
        """collect ended with a fault; a broken disk may be one, damage never is."""
        self.world.tell(f"collect ends: {fault}")
        if "fsck" in (fault.hint or ""):
            self.fail("recovery", f"collect does not open its store: {fault}")
        if "broken invariant" in str(fault) or "Error" in str(fault):
            self.fail("no surprise", str(fault))

    def seen(self, path: str, offset: int, data: bytes) -> None:
        """A reader got bytes of a stream."""
        if judge_files.is_file(path):
            return  # judged when all is at rest: what is stored of it, each frame of it checked
        incarnation, _, base = path.rpartition("/")[2].partition(".")
        place = int(base.partition(".")[0] or 0) + offset
        if not self.source((incarnation, path.split("/")[2])).may_be(place, data):
            self.fail("bytes identical", f"a reader got of {path} at {offset} what was not written")

    # Rest and judgement.

    def at_rest(self) -> bool:
        """Whether nothing is left to do."""
        return not self.left()

    def left(self) -> list[str]:
        """What is not done yet."""
        found = []
        for container in self.world.containers.values():
            if not container.removed and not container.running:
                found.append(f"{container.name} is not up")
            found += [
                f"{name} waits to write" for name, pipe in container.pipes.items() if pipe.waiting or pipe.inode.data
            ]
        folder = self._folder(self.world.apps.root, "spool", "webapp")
        assert folder is not None
        for name, each in folder.names.items():
            if name.startswith(".new-"):  # left by a PID 1 that was killed as it began: cleared after an hour
                continue
            if name not in self.living:
                found.append(f"orphan {name}")
                continue
            for program, stream in each.names.items():
                if stream.is_folder and not self._is_shipped(stream):
                    found.append(f"{name}/{program}")
        return found or judgement.files_left(self) or judge_lake.left(self)

    def _is_shipped(self, stream: Inode) -> bool:
        held = [
            segment
            for segment in segments((name, len(file.data)) for name, file in stream.names.items())
            if segment.size
        ]
        note = stream.names.get("acked")
        said = 0 if note is None else int(note.target.rpartition("-")[2] or note.data.strip() or 0)
        return not held or said >= held[-1].end

    def judge(self) -> None:
        """All is at rest: is everything where it belongs?"""
        judgement.judge(self)

    # The disk, as it is.

    def held(self, key: Key) -> list[tuple[Segment, bytes]] | None:
        """The segments of a stream that are on the containers' machine; None where its folder is gone."""
        folder = self._folder(self.world.apps.root, "spool", "webapp", key[0], key[1])
        if folder is None:
            return None
        found = {name: bytes(inode.data) for name, inode in folder.names.items() if _SEGMENT.fullmatch(name)}
        return [
            (segment, found[segment.name]) for segment in segments((name, len(data)) for name, data in found.items())
        ]

    def journal_state(self) -> list[tuple[str, int, float]]:
        """What is other when the journal is: its segments."""
        journal = self.folder("lib", "store", "journal")
        names = {} if journal is None else journal.names
        return [(name, len(inode.data), inode.mtime) for name, inode in names.items() if _SEGMENT.fullmatch(name)]

    def journal(self) -> Iterator[tuple[int, bytes]]:
        """The collector's segments, in order, with those that were deleted."""
        journal = self.folder("lib", "store", "journal")
        assert journal is not None
        found = {int(name): bytes(inode.data) for name, inode in journal.names.items() if _SEGMENT.fullmatch(name)}
        yield from sorted({**self.archive, **found}.items())

    def folder(self, *names: str) -> Inode | None:
        """A folder of the collector's machine."""
        return self._folder(self.world.lab.root, *names)

    def _folder(self, root: Inode, *names: str) -> Inode | None:
        found: Any = root
        for name in names:
            found = found.names.get(name)
            if found is None:
                return None
        assert isinstance(found, Inode)
        return found
