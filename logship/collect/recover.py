"""Run: from the files of a store to what was known when it stopped, or a Fault that names the segment.

Finished segments were durable as a whole: their chain of heads must be whole, and gives the index. (Their bodies are
checked when they are read, and by ``logship fsck``.) The last segment's checkpoint gives the state, its frames the
rest, bodies checked; what a crash tore off its end is cut away.
"""

from __future__ import annotations

from dataclasses import dataclass

from logship.collect.disk import Disk
from logship.collect.folder import Segment
from logship.collect.index import Index
from logship.collect.journal import Frame, Kind, ReadAt
from logship.collect.recovery import Damaged, Torn, Walk, judge
from logship.collect.state import State, load
from logship.errors import Fault
from logship.values import Invalid


@dataclass(frozen=True, slots=True)
class Recovered:
    """What the journal says. ``torn`` is what was cut off its end, None for a journal that ended whole.

    ``unwitnessed``: ``store/durable`` does not say how far it was durable, so that an end that is missing, if one is,
    cannot be told from one that was never written.
    """

    state: State
    index: Index
    torn: Torn | None
    unwitnessed: bool


def recover(disk: Disk) -> Recovered:
    """Read the whole journal and make its end durable. Raises Fault when durable bytes are not what was written."""
    index = Index()
    with disk.reader() as read:
        for segment in disk.segments[:-1]:
            index.segment_lsn = segment.lsn
            walk = Walk(read, segment.lsn, segment.end, bodies=False)
            for frame in walk:
                _note(index, segment, frame)
            if walk.fault is not None or walk.lsn != segment.end:
                raise _damage(disk, Damaged(walk.lsn, walk.fault.reason if walk.fault else "the segment is empty"))
        return _recover_last(disk, read, index)


def _recover_last(disk: Disk, read: ReadAt, index: Index) -> Recovered:
    segment = disk.segments[-1]
    index.segment_lsn = segment.lsn
    state: State | None = None
    said = disk.published()
    proven = published = said or 0
    walk = Walk(read, segment.lsn, segment.end, bodies=True)
    for frame in walk:
        _note(index, segment, frame)
        proven = max(proven, frame.watermark)
        if state is None:
            loaded = load(read(frame.body_lsn, frame.body_bytes))
            if isinstance(loaded, Invalid):
                raise _damage(disk, Damaged(frame.lsn, loaded.reason))
            state, proven = loaded, max(proven, frame.end)
        else:
            state.apply(frame, read(frame.body_lsn, frame.body_bytes) if frame.kind is Kind.LOSSES else b"")
    if state is None:
        # The segment's name appeared when its checkpoint was durable, so this is never a torn tail.
        raise _damage(disk, Damaged(walk.lsn, walk.fault.reason if walk.fault else "the segment is empty"))
    torn: Torn | None = None
    if walk.fault is not None:
        verdict = judge(read, walk.lsn, segment.end, published)
        if isinstance(verdict, Damaged):
            raise _damage(disk, Damaged(verdict.lsn, f"{walk.fault.reason}{_cost(walk)}, and {verdict.reason}"))
        torn = verdict
    elif published > segment.end:
        reason = f"the journal ends here, and all up to {published} was durable (store/durable says so)"
        raise _damage(disk, Damaged(segment.end, reason))
    # Of a store that ended before its first batch was durable nothing was ever said there.
    once = disk.published_bytes > 0 or len(disk.segments) > 1 or proven > segment.checkpoint_end
    disk.settle(walk.lsn, proven)
    return Recovered(state, index, torn, said is None and once)


def _note(index: Index, segment: Segment, frame: Frame) -> None:
    entry = frame.entry
    if frame.kind is Kind.CHECKPOINT:
        segment.checkpoint_end, segment.begun_ms = frame.end, entry.time_ms
    segment.newest_ms = entry.time_ms
    index.add(frame.kind, entry.stream, entry.offset, entry.length, frame.lsn, frame.end - frame.lsn)


def _cost(walk: Walk) -> str:
    """Whose bytes are damaged, where the head of the frame still says so; of the rest ``fsck`` tells what it can."""
    entry = walk.broken.entry if walk.broken else None
    if entry is None or not entry.length:
        return ""
    return f" ({entry.stream} offsets {entry.offset} to {entry.offset + entry.length})"


def _damage(disk: Disk, damaged: Damaged) -> Fault:
    hint = (
        f"nothing was changed; `logship fsck --store {disk.folder}` says which bytes of which streams it costs, "
        "what can be saved, and how"
    )
    return Fault("open the segment", disk.path_of(damaged.lsn), damaged.reason, hint)
