"""The last look: the journal is read frame by frame and compared with what was written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from logship import zstd
from logship.collect.journal import CLOSES, ZSTD, Frame, Kind, frame_at
from logship.collect.ledger import unpack_losses
from logship.spool.ranges import Span, merged, without
from logship.values import Invalid, Loss, Source
from tests.sim import judge_files, judge_lake
from tests.sim.violation import Violation

if TYPE_CHECKING:
    from tests.sim.oracle import Key, Oracle


@dataclass
class Stored:
    """One stream, as the journal has it."""

    path: str
    fields: dict[str, Any]
    data: bytearray = field(default_factory=bytearray)
    closed: bool = False
    producer: tuple[int, int] = (-1, -1)
    frames: list[tuple[int, int]] = field(default_factory=list)
    """Where each frame with bytes begins in the journal, and where the stream ended with it."""
    closed_lsn: int = 1 << 62

    @property
    def key(self) -> Key:
        """Incarnation and program."""
        return self.fields["incarnation"], self.fields["program"]

    @property
    def base(self) -> int:
        """The offset of its first byte in the source."""
        return int(self.path.rpartition("/")[2].removeprefix(self.key[0]).partition(".")[2].partition(".")[0] or 0)


def read(oracle: Oracle) -> tuple[dict[str, Stored], list[Loss]]:
    """All streams and loss records that the journal holds; read anew where a file of it has changed since."""
    state = oracle.journal_state()
    if oracle.read is None or oracle.read[0] != state:
        oracle.read = state, _read(oracle)
    return oracle.read[1]


def _read(oracle: Oracle) -> tuple[dict[str, Stored], list[Loss]]:
    streams: dict[str, Stored] = {}
    losses: list[Loss] = []
    for start, content in oracle.journal():

        def at(lsn: int, size: int, start: int = start, content: bytes = content) -> bytes:
            return content[lsn - start : lsn - start + size]

        lsn, end = start, start + len(content)
        while lsn < end:
            frame = frame_at(at, lsn, end)
            if isinstance(frame, Invalid):
                raise Violation("shown is durable", f"the journal at {lsn}: {frame.reason}")
            body = at(frame.body_lsn, frame.body_bytes)
            if not frame.holds(body):
                raise Violation("a byte never changes", f"the body of the frame at {lsn} does not check")
            if frame.kind is Kind.LOSSES:
                losses += unpack_losses(body)
            elif frame.kind not in (Kind.CHECKPOINT, Kind.PROOF):
                _take(streams, frame, body)
            lsn = frame.end
    return streams, losses


def _take(streams: dict[str, Stored], frame: Frame, body: bytes) -> None:
    entry = frame.entry
    if frame.kind is Kind.CREATE:
        streams[entry.stream] = Stored(entry.stream, Source(entry.source or "{}").fields())
        return
    stored = streams[entry.stream]
    if frame.kind is Kind.RETIRE:
        return
    if stored.closed:
        raise Violation("a closed stream stays closed", f"{stored.path} took a frame at {frame.lsn}")
    if entry.producer is not None:
        before, now = stored.producer, entry.producer[1:]
        if not (now == (before[0], before[1] + 1) or (now[0] > before[0] and now[1] == 0)):
            raise Violation("an older epoch is refused", f"{stored.path}: {now} was taken after {before}")
        stored.producer = now
    if frame.kind is Kind.APPEND:
        data = zstd.decode(body, 1 << 24) if frame.flags & ZSTD else body
        assert isinstance(data, bytes)
        if entry.offset != len(stored.data):
            raise Violation(
                "order kept", f"{stored.path}: a frame for {entry.offset}, and it ends at {len(stored.data)}"
            )
        stored.data += data
        if data:
            stored.frames.append((frame.lsn, len(stored.data)))
    stored.closed = bool(frame.flags & CLOSES)
    if stored.closed:
        stored.closed_lsn = frame.lsn


def judge(oracle: Oracle) -> None:
    """Raises Violation."""
    streams, losses = read(oracle)
    for path, end in oracle.wiretap.ends.items():
        if path not in streams or len(streams[path].data) < end:
            raise Violation("acked is durable", f"{path} was said to end at {end}, and does not any more")
    for claim in oracle.wiretap.claims:
        tail = streams[claim.path].data[claim.offset - claim.size : claim.offset]
        if hashlib.sha256(tail).digest() != claim.digest:
            raise Violation(
                "resumed with proof alone",
                f"{claim.path}: gone on with at {claim.offset} by a source that ends otherwise",
            )
    oracle.world.met["bytes stored"] += sum(len(stored.data) for stored in streams.values())
    judge_lake.judge(oracle, streams)
    judge_files.judge(oracle.world, _files(streams), losses)
    chains: dict[Key, list[Stored]] = {}
    for stored in streams.values():
        if judge_files.is_file(stored.path):
            continue
        chains.setdefault(stored.key, []).append(stored)
    for key in {**oracle.sources, **dict.fromkeys(chains)}:
        _judge_chain(oracle, key, chains.get(key, []), losses)


def files_left(oracle: Oracle) -> list[str]:
    """What is not stored yet of followed files. Raises Violation."""
    return judge_files.left(oracle.world, _files(read(oracle)[0])) if oracle.world.logfile else []


def _files(streams: dict[str, Stored]) -> list[Stored]:
    return [each for each in streams.values() if judge_files.is_file(each.path)]


def _judge_chain(oracle: Oracle, key: Key, chain: list[Stored], losses: list[Loss]) -> None:
    source = oracle.source(key)
    name = "/".join(key)
    stored: list[Span] = []
    lost: list[Span] = []
    paths = {each.path: each.base for each in chain}
    told = [loss for loss in losses if loss.stream in paths or (loss.stream or "").endswith(f"/{key[1]}/{key[0]}")]
    doubted = any(loss.bytes is None for loss in told)
    if doubted and not source.crashed:
        raise Violation(
            "resumed with proof alone", f"{name}: said to be other bytes, but nothing had happened to it: {told}"
        )
    for each in sorted(chain, key=lambda one: (one.base, len(one.data))):
        span = Span(each.base, len(each.data))
        if not source.may_be(span.offset, bytes(each.data)):
            at = next(n for n in range(span.size) if not source.may_be(span.offset + n, bytes(each.data[n : n + 1])))
            raise Violation(
                "bytes identical", f"{each.path} at {at} (source {span.offset + at}) is not what was written"
            )
        if span.size and not doubted and without([span], stored) != [span]:
            raise Violation("nothing twice", f"{each.path} holds {span} of the source; before it came {stored}")
        if span.size:
            stored.append(span)
        size = each.fields.get("lost_bytes", 0)
        if size:
            lost.append(Span(each.base - size, size))
    lost += [Span(paths.get(loss.stream or "", 0) + (loss.offset or 0), loss.bytes) for loss in told if loss.bytes]
    lost = merged(lost)
    if not doubted and sum(span.size for span in without(lost, stored)) != sum(span.size for span in lost):
        raise Violation("stored + ledger = produced", f"{name}: {lost} is said to be lost, and {stored} is stored")
    _judge_whole(oracle, key, merged([*stored, *lost]))
    _judge_end(oracle, key, chain)


def _judge_whole(oracle: Oracle, key: Key, whole: list[Span]) -> None:
    source, held = oracle.source(key), oracle.held(key)
    alive = key[0] in oracle.living
    name = "/".join(key)
    if alive:
        end = max((segment.end for segment, _ in held or [] if segment.size), default=0)
    elif source.crashed:
        end = max((start + len(data) for start, data in source.left.items()), default=0)
    else:
        end = source.end
    covered = whole[0].end if whole and whole[0].offset == 0 else 0
    if len(whole) > 1 or (whole and whole[0].offset) or covered < end:
        raise Violation("stored + ledger = produced", f"{name}: written up to {end}, stored or told as lost: {whole}")
    if covered > source.end:
        raise Violation(
            "stored + ledger = produced",
            f"{name}: more is stored or told as lost than was written: {whole}, {source.end}",
        )


def _judge_end(oracle: Oracle, key: Key, chain: list[Stored]) -> None:
    continued = {each.fields.get("continues") for each in chain}
    lasts = [each for each in chain if each.path not in continued]
    alive = key[0] in oracle.living
    for last in lasts:
        if alive and last.closed and _goes_on(oracle, key, last):
            raise Violation("open while its incarnation lives", f"{last.path} is closed")
    # One that a late request made, when all was over and nothing was left, stays as it is: empty.
    lasts = [each for each in lasts if each.data or not oracle.source(key).crashed]
    if not alive and lasts and not all(last.closed for last in lasts):
        raise Violation("closed at the end", f"{[each.path for each in lasts if not each.closed]}")


def _goes_on(oracle: Oracle, key: Key, last: Stored) -> bool:
    """Whether a closed stream could have gone on: nothing is missing behind it, and the source could prove to be it."""
    source, end = oracle.source(key), last.base + len(last.data)
    if source.end > end or source.crashed:
        return False
    size = min(len(last.data), oracle.world.plan.knobs.tail_bytes)
    return without([Span(end - size, size)], [Span(*segment) for segment, _ in oracle.held(key) or []]) == []
