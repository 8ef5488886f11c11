"""A collector without a disk, made of its cores: what the tests of this folder build histories with."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from logship import zstd
from logship.collect.admission import Admitted, admit_append, admit_create, admit_delete
from logship.collect.commit import Outcome, first_frame
from logship.collect.draft import Draft
from logship.collect.index import Index
from logship.collect.journal import Entry, Frame, Kind, frame_at
from logship.collect.ledger import pack_losses
from logship.collect.payload import examine
from logship.collect.state import State
from logship.values import Invalid, Loss, Producer, Source, StreamPath
from logship.wire import Append, Create, Delete, Encoding, Limits, Listed, Refusal

LIMITS = Limits(append_bytes_max=1000, streams_max=5)
PATHS = [StreamPath("a/1"), StreamPath("b/2"), StreamPath("c/3")]

Operation = Append | Create | Delete | list[Loss]


@dataclass
class Desk:
    """Admits operations into batches and keeps the journal in memory: ``segments`` maps LSN to bytes."""

    state: State = field(default_factory=State)
    segments: dict[int, bytearray] = field(default_factory=dict)
    index: Index = field(default_factory=Index)
    now_ms: int = 1_000
    synced: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.segments:
            self.rotate()

    @property
    def end(self) -> int:
        """The LSN of the next frame."""
        lsn, content = list(self.segments.items())[-1]
        return lsn + len(content)

    def rotate(self) -> None:
        """Begin a segment."""
        lsn = self.end if self.segments else 0
        self.segments[lsn] = bytearray(first_frame(self.state, lsn, self.now_ms))
        self.index.segment_lsn = lsn
        self.synced.append(self.end)

    def batch(self, operations: list[tuple[Operation, bytes]]) -> list[Outcome]:
        """Commit one batch."""
        draft = Draft(self.state, self.end)
        outcomes = [self._admit(draft, operation, body) for operation, body in operations]
        for placed in draft.frames:
            entry = placed.entry
            self.index.add(placed.kind, entry.stream, entry.offset, entry.length, placed.lsn, placed.bytes)
        list(self.segments.values())[-1].extend(b"".join(draft.buffers))
        draft.commit()
        self.synced.append(self.end)
        return outcomes

    def do(self, operation: Operation, body: bytes = b"") -> Outcome:
        """Commit a batch of one."""
        return self.batch([(operation, body)])[0]

    def _admit(self, draft: Draft, operation: Operation, body: bytes) -> Outcome:
        decided = decide(draft, operation, body, self.now_ms)
        if isinstance(decided, Admitted):
            draft.add(decided)
            return decided.outcome
        return decided

    def read(self, lsn: int, size: int) -> bytes:
        """Bytes of the journal, within one segment."""
        start = max(start for start in self.segments if start <= lsn)
        return bytes(self.segments[start][lsn - start : lsn - start + size])

    def frames(self, start: int = 0) -> list[Frame]:
        """All frames from ``start`` on, which begins a segment."""
        found: list[Frame] = []
        lsn = start
        while lsn < self.end:
            frame = frame_at(self.read, lsn, self.end)
            assert not isinstance(frame, Invalid), frame
            found.append(frame)
            lsn = frame.end
        return found


def decide(draft: Draft, operation: Operation, body: bytes, now_ms: int) -> Admitted | Outcome:
    """What admission says to an operation."""
    if isinstance(operation, Delete):
        return admit_delete(draft.stream(operation.path), operation.path, now_ms)
    if isinstance(operation, list):
        fresh = [loss for loss in operation if not draft.knows_loss(loss.id)]
        return Admitted(Kind.LOSSES, 0, Entry(now_ms), pack_losses(fresh), Listed(len(fresh))) if fresh else Listed(0)
    payload = examine(body, operation.encoding, operation.digests, LIMITS)
    stream = draft.stream(operation.path)
    if isinstance(operation, Append):
        return admit_append(stream, operation, payload, now_ms)
    return admit_create(stream, operation, payload, draft.stream_count, LIMITS.streams_max, now_ms)


def replay(desk: Desk, start: int, state: State) -> State:
    """``state`` after all frames from ``start`` on."""
    for frame in desk.frames(start):
        if frame.kind is not Kind.CHECKPOINT:
            state.apply(frame, desk.read(frame.body_lsn, frame.body_bytes))
    return state


bodies = st.sampled_from([b"", b"x", b"line\n", b"0123456789" * 9])
producers = st.builds(Producer, st.sampled_from(["p", "q"]), st.integers(0, 2), st.integers(0, 3))


@st.composite
def appends(draw: st.DrawFn) -> tuple[Operation, bytes]:
    """An append to one of three streams, often right, often wrong."""
    body = draw(bodies)
    zipped = draw(st.booleans())
    append = Append(
        draw(st.sampled_from(PATHS)),
        draw(st.sampled_from(["text/plain", "text/plain", "TEXT/plain; charset=utf-8", "application/json"])),
        draw(st.sampled_from([False, False, False, False, True])),
        draw(st.none() | producers),
        draw(st.sampled_from([None, None, "a", "b", "ba"])),
        draw(st.sampled_from([None, None, None, 0, 1, 90])),
        Encoding.ZSTD if zipped else Encoding.IDENTITY,
    )
    return append, zstd.compress(body) if zipped else body


@st.composite
def creates(draw: st.DrawFn) -> tuple[Operation, bytes]:
    """A create of one of three streams."""
    source = Source('{"host":"h","continues":"z","lost_bytes":7}') if draw(st.booleans()) else None
    closes = draw(st.sampled_from([False, False, False, True]))
    return Create(draw(st.sampled_from(PATHS)), "text/plain", closes, source), draw(bodies)


operations: st.SearchStrategy[tuple[Operation, bytes]] = st.one_of(
    appends(),
    appends(),
    appends(),
    creates(),
    creates(),
    st.sampled_from(PATHS).map(lambda path: (Delete(path), b"")),
    st.lists(st.sampled_from("xyz").map(Loss), max_size=2, unique=True).map(lambda losses: (losses, b"")),
)
batches = st.lists(st.lists(operations, max_size=4), max_size=12)


def refused(outcome: Outcome) -> str | None:
    """The code of a refusal, None for anything else."""
    return str(outcome.code) if isinstance(outcome, Refusal) else None
