"""Run: retention done: segments deleted, streams buried as tombstones, tombstones forgotten (``retention`` decides).

Before any segment goes the lake is looked at: where there is one, it has to hold the segment (``sealed``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from logship.collect.admission import Admitted
from logship.collect.commit import Committer, Outcome
from logship.collect.disk import Disk
from logship.collect.draft import Draft
from logship.collect.index import Index
from logship.collect.journal import Entry, Kind
from logship.collect.lake import Held, Lake
from logship.collect.retention import Age, Policy, deletable, ended
from logship.collect.sealed import Sealed
from logship.collect.state import State
from logship.collect.stream import StreamState
from logship.values import StreamPath
from logship.wire import Digest, Refusal

PROVEN_AT_ONCE = 64


class Keeper:
    """Keeps to the policy when asked. ``note_asked`` remembers which tombstones are still of use to somebody."""

    def __init__(
        self, disk: Disk, state: State, index: Index, committer: Committer, policy: Policy, now_ms: Callable[[], int]
    ) -> None:
        self._disk = disk
        self._state = state
        self._index = index
        self._committer = committer
        self._policy = policy
        self._now_ms = now_ms
        self._asked: set[StreamPath] = set()
        self._lake = Lake(disk.folder)
        self._sealed = Sealed()
        self.held: Held | None = None
        """What the lake holds, when it was looked at last; None: there is none."""
        self.tail_digest: Callable[[StreamState], Awaitable[tuple[Digest, int] | Refusal | None]] | None = None
        """Proof of a stream's end, from bytes that the journal has."""

    def note_asked(self, stream: StreamState | None) -> None:
        """Somebody asked for this stream."""
        if stream is not None and stream.retired:
            self._asked.add(stream.path)

    def first_offset(self, stream: StreamState) -> int:
        """The first byte of the stream that is kept, in the journal or in the lake."""
        first = self._index.first_offset(stream.path, stream.next_offset)
        older = self._lake.first_offset(stream) if first else None
        return first if older is None else min(first, older)

    async def is_due(self) -> bool:
        """Whether a segment may go."""
        await self.look()
        return self._deletable(self._now_ms()) > 0

    async def retain(self) -> int:
        """How many segments were deleted. Raises Fault when one cannot be."""
        await self.look()
        await self._committer.submit(lambda _: None)  # a chance to finish a segment that is old
        now_ms = self._now_ms()
        count = self._deletable(now_ms)
        if count and self.held is not None and not await self._note_ends(self._disk.segments[count].lsn):
            count = 0  # no room for it on the disk: else a shipper could not know its file again
        if count:
            self._index.drop_below(self._disk.segments[count].lsn)  # first: what is not listed is not read
            await self._committer.in_writer(lambda: self._disk.delete_oldest(count))
        if self.held is not None and self.held.why:
            return count  # what the lake has is not known now: no stream is taken for empty
        asked, self._asked = frozenset(self._asked), set()
        streams = list(self._state.streams.values())
        ends = ended(
            streams, self.first_offset, self._disk.segments[0].lsn, asked, self._policy, now_ms,
            has_lake=self.held is not None,
        )  # fmt: skip
        for kind, paths in ((Kind.RETIRE, ends.retire), (Kind.DELETE, ends.forget)):
            await asyncio.gather(*[self._bury(kind, self._state.streams[path]) for path in paths])
        return count

    async def _note_ends(self, lsn: int) -> bool:
        """Note proof of the streams whose bytes are all below ``lsn``: they go, and the lake's are not read for it.

        Whether it is noted.
        """
        going = [
            stream
            for stream in self._state.streams.values()
            if not stream.retired and stream.proof is None and stream.last_lsn is not None and stream.last_lsn < lsn
        ]
        for at in range(0, len(going), PROVEN_AT_ONCE):
            noted = await asyncio.gather(*[self._note_end(stream) for stream in going[at : at + PROVEN_AT_ONCE]])
            if not all(noted):
                return False
        return True

    async def _note_end(self, seen: StreamState) -> bool:
        assert self.tail_digest is not None
        found = await self.tail_digest(seen)
        if not isinstance(found, tuple):
            return True  # damaged, or gone meanwhile: there is no proof
        digest, size = found
        entry = Entry(self._now_ms(), proof=(seen.path, seen.next_offset, size, digest.value))

        def decide(draft: Draft) -> Admitted | Outcome:
            now = draft.stream(seen.path)
            is_same = now is not None and (now.created_lsn, now.next_offset) == (seen.created_lsn, seen.next_offset)
            return Admitted(Kind.PROOF, 0, entry, b"", None) if is_same else None

        return not isinstance(await self._committer.submit(decide, frees=True), Refusal)

    async def look(self) -> None:
        """Look at what the lake holds."""
        start, end = self._disk.segments[0].lsn, self._disk.end
        held = await asyncio.get_running_loop().run_in_executor(None, self._lake.look, start, end)
        self._sealed = Sealed() if held is None else self._sealed.noted(held.sealed_end, self._now_ms())
        self._committer.is_sealed = held is not None
        self.held = held

    def _deletable(self, now_ms: int) -> int:
        ages = [Age(segment.lsn, segment.end, segment.newest_ms) for segment in self._disk.segments]
        return deletable(ages, self._policy, now_ms, None if self.held is None else self._sealed.end(now_ms))

    def _bury(self, kind: Kind, seen: StreamState) -> asyncio.Future[Outcome]:
        def decide(draft: Draft) -> Admitted | Outcome:
            unchanged = draft.stream(seen.path) is seen
            return Admitted(kind, 0, Entry(self._now_ms(), seen.path), b"", None) if unchanged else None

        return self._committer.submit(decide, frees=True)
