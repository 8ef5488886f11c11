"""Run: group commit. What waits is admitted in order, written as one batch, synced once, and only then answered.

While a batch is on its way to the disk (in a thread of its own) the next one gathers. Admission of a batch sees the
durable state and the batch before it in one draft; the state changes, and readers are told, when the batch is durable.
A batch that finds no room is refused (503) and leaves nothing; any other failure of the disk is final: ``failure`` is
set, everybody who waits gets it, and the process should end.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from logship.collect.admission import Admitted
from logship.collect.disk import Disk, NoRoom
from logship.collect.draft import Draft
from logship.collect.index import Index
from logship.collect.journal import META_BYTES_MAX, Kind, encode
from logship.collect.state import State, checkpoint_entry
from logship.errors import Fault
from logship.wire import Appended, Code, Created, Deleted, Listed, Refusal

Outcome = Appended | Created | Deleted | Listed | Refusal | None
Decide = Callable[[Draft], Admitted | Outcome]


@dataclass(frozen=True)
class Bounds:
    """When to stop, in bytes: room left on the disk, size of the journal (None: no bound), of a segment, of a batch.

    A segment is finished when it is full or ``segment_seconds_max`` old, so that retention by age has segments to take.
    ``unsealed_bytes_max`` bounds a journal that is sealed, where ``journal_bytes_max`` does not: nothing goes before
    the lake has it, so what is sent has to wait.
    """

    disk_free_min: int = 256 * 1024 * 1024
    journal_bytes_max: int | None = None
    unsealed_bytes_max: int | None = None
    segment_bytes_max: int = 64 * 1024 * 1024
    segment_seconds_max: int = 24 * 3600
    batch_bytes_max: int = 32 * 1024 * 1024
    batch_frames_max: int = 4096


@dataclass(slots=True)
class _Job:
    decide: Decide
    bytes: int
    answer: asyncio.Future[Outcome]
    frees: bool


class Committer:
    """One writer of one journal. ``submit`` waits for the answer; ``run`` is its loop, to be run as a task."""

    def __init__(
        self,
        disk: Disk,
        state: State,
        index: Index,
        bounds: Bounds,
        now_ms: Callable[[], int],
        committed: Callable[[Iterable[str]], None],
    ) -> None:
        self.failure: Fault | None = None
        self.is_sealed = False
        """Whether there is a lake, so that the journal waits for it."""
        self._disk = disk
        self._state = state
        self._index = index
        self._bounds = bounds
        self._now_ms = now_ms
        self._committed = committed
        self._queue: deque[_Job] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._writer = ThreadPoolExecutor(1, "journal")

    def submit(self, decide: Decide, body_bytes: int = 0, *, frees: bool = False) -> asyncio.Future[Outcome]:
        """Have ``decide`` asked in its turn; the future has its answer when what it admitted is durable, or a Fault.

        The order of calls is the order of admission. ``frees``: the frame serves to make room, so the journal's bound
        does not hold for it.
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if self.failure is not None:
            answer.set_exception(self.failure)
        elif self._stopping:
            answer.set_result(Refusal(Code.STOPPING, "the collector is stopping; try again when it is back"))
        else:
            self._queue.append(_Job(decide, body_bytes, answer, frees))
            self._wake.set()
        return answer

    async def run(self) -> None:
        """Commit batches until ``stop`` and nothing waits any more, or until something fails."""
        while self.failure is None and not (self._stopping and not self._queue):
            await self._wake.wait()
            self._wake.clear()
            while self._queue and self.failure is None:
                await self._commit(self._gather())
        self._fail_all(self._queue)

    async def in_writer(self, work: Callable[[], None]) -> None:
        """Do something to the disk between two batches."""
        await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def stop(self) -> None:
        """Take nothing new; ``run`` ends when all that waits is answered."""
        self._stopping = True
        self._wake.set()

    def close(self) -> None:
        """Give the thread back, after ``run`` has ended."""
        self._writer.shutdown()

    def _gather(self) -> list[_Job]:
        batch: list[_Job] = []
        total = 0
        while self._queue and len(batch) < self._bounds.batch_frames_max:
            if batch and total + self._queue[0].bytes > self._bounds.batch_bytes_max:
                break
            job = self._queue.popleft()
            if not job.answer.done():  # else whoever asked has gone: nothing is written for them
                total += job.bytes
                batch.append(job)
        return batch

    async def _commit(self, batch: list[_Job]) -> None:
        try:
            await self._rotate_if_due()
            draft = Draft(self._state, self._disk.end)
            outcomes = self._decide(batch, draft)
            if draft.frames:
                await self.in_writer(lambda: self._write(draft.buffers))
                self._publish(draft)
        except NoRoom as error:
            empty = Draft(self._state, self._disk.end)
            outcomes = [self._outcome(job, empty, room=0, cause=str(error)) for job in batch]
        except Exception as error:
            # A broken disk, or a broken invariant: nothing may be written after it.
            self.failure = error if isinstance(error, Fault) else _broken(error)
            self._fail_all(batch)
            return
        for job, outcome in zip(batch, outcomes, strict=True):
            if not job.answer.done():
                job.answer.set_result(outcome)

    def room_bytes(self, free_bytes: int) -> int:
        """How large the next append may be, where the disk has ``free_bytes`` free; 0: nothing is taken."""
        return max(0, self._left(free_bytes - self._bounds.disk_free_min) - META_BYTES_MAX)

    def _left(self, free: int) -> int:
        bound = self._bounds.journal_bytes_max
        if bound is None and self.is_sealed:
            bound = self._bounds.unsealed_bytes_max
        return free if bound is None else min(free, bound - self._disk.journal_bytes)

    def _full(self) -> str:
        given = self._bounds.journal_bytes_max is not None
        bound = f"the journal is {'at journal_bytes_max' if given else 'beyond keep_bytes'}"
        return f"{bound} and not sealed yet (is `logship seal` at work?)" if self.is_sealed else bound

    def _decide(self, batch: list[_Job], draft: Draft) -> list[Outcome]:
        whole = self._disk.free_bytes()
        free = whole - self._bounds.disk_free_min
        left = self._left(free)
        cause = "the disk has less free than disk_free_min" if left == free else self._full()
        # What makes room may use what is kept free.
        return [self._outcome(job, draft, whole if job.frees else left, cause) for job in batch]

    def _outcome(self, job: _Job, draft: Draft, room: int, cause: str) -> Outcome:
        decided = job.decide(draft)
        if not isinstance(decided, Admitted):
            return decided
        if draft.bytes + len(decided.body) + META_BYTES_MAX > room:
            return Refusal(Code.NO_ROOM, f"nothing was taken: {cause}; it is taken when there is room again")
        draft.add(decided)
        return decided.outcome

    def _write(self, buffers: list[bytes]) -> None:
        self._disk.append(buffers)
        self._disk.sync()

    def _publish(self, draft: Draft) -> None:
        for placed in draft.frames:
            entry = placed.entry
            self._index.add(placed.kind, entry.stream, entry.offset, entry.length, placed.lsn, placed.bytes)
        self._disk.segments[-1].newest_ms = draft.frames[-1].entry.time_ms
        draft.commit()
        self._committed(draft.streams)

    async def _rotate_if_due(self) -> None:
        """Begin a new segment when this one is full, or old; without room the old one grows on."""
        segment = self._disk.segments[-1]
        now_ms = self._now_ms()
        old = now_ms - segment.begun_ms > self._bounds.segment_seconds_max * 1000
        full = segment.end - segment.lsn >= self._bounds.segment_bytes_max
        if segment.end == segment.checkpoint_end or not (full or old):
            return
        try:
            await self.in_writer(lambda: self._disk.rotate(first_frame(self._state, segment.end, now_ms)))
        except NoRoom:
            return
        fresh = self._disk.segments[-1]
        fresh.checkpoint_end, fresh.begun_ms, fresh.newest_ms = fresh.end, now_ms, now_ms
        self._index.segment_lsn = fresh.lsn

    def _fail_all(self, jobs: Iterable[_Job]) -> None:
        for job in jobs:
            if not job.answer.done() and self.failure is not None:
                job.answer.set_exception(self.failure)


def _broken(error: Exception) -> Fault:
    cause = (
        "".join(traceback.format_exception_only(error)).strip() + f" in {traceback.extract_tb(error.__traceback__)[-1]}"
    )
    return Fault(
        "commit to", "the journal", cause, "nothing of this batch was acknowledged; start again, and report this"
    )


def first_frame(state: State, lsn: int, now_ms: int) -> bytes:
    """The frame that begins a segment at ``lsn``: a checkpoint of the state so far, all of which is durable."""
    body = state.checkpoint()
    return encode(Kind.CHECKPOINT, 0, lsn, lsn, checkpoint_entry(now_ms), body) + body
