"""Core: what a reading is made of, in one order: lines with their time, and marks between them.

A mark stands where something happened to a stream: its program was started, bytes are lost, cannot be read, or were
deleted since they are not to be kept any longer.
"""

from __future__ import annotations

from dataclasses import dataclass

from logship.values import Invalid, Loss, parse_time
from logship.view.lines import Line

START = "start"
LOSS = "loss"
DAMAGE = "damage"
DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class TimedLine:
    """A line and when it was written.

    ``line.data`` may be only its beginning: ``size`` is all of it, ``terminator`` its own. ``event``: where the event
    begins that it is a line of, in a reading of events.
    """

    time_ms: int
    line: Line
    size: int
    terminator: bytes
    event: int | None = None

    @property
    def unit(self) -> tuple[str, int]:
        """What is counted: the event, else the line itself."""
        return self.line.stream, self.line.offset if self.event is None else self.event

    @property
    def stream(self) -> str:
        """Whose it is."""
        return self.line.stream

    @property
    def offset(self) -> int:
        """Where it begins."""
        return self.line.offset


@dataclass(frozen=True, slots=True)
class Mark:
    """What happened at ``offset`` of ``stream``. ``text`` says it whole; ``bytes`` is None where nobody knows.

    ``loss`` is the record of a loss: it alone tells two losses at one place apart.
    """

    time_ms: int
    stream: str
    offset: int
    what: str
    text: str
    lsn: int
    bytes: int | None = None
    loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Hidden:
    """Lines that match and are not given: snapshots. ``more``: at least so many."""

    time_ms: int
    stream: str
    offset: int
    lines: int = 1
    more: bool = False


Item = TimedLine | Mark | Hidden


@dataclass(frozen=True, slots=True)
class Batch:
    """What completed from LSN ``start`` to ``end``, in order."""

    start: int
    end: int
    items: list[Item]


@dataclass(frozen=True, slots=True)
class Skipped:
    """What a reader that fell behind is not sent: exactly so many lines, from LSN ``start`` to ``end``."""

    start: int
    end: int
    lines: int


def loss_mark(lsn: int, loss: Loss, recorded_ms: int) -> Mark:
    """The mark of a loss record; its time is that of the loss where it says one."""
    time_ms = recorded_ms
    for said in (loss.to_time, loss.from_time):
        moment = parse_time(said or "")
        if not isinstance(moment, Invalid):
            time_ms = min(recorded_ms, round(moment.timestamp() * 1000))
            break
    why = "; ".join(part for part in (loss.reason, loss.how) if part)
    text = f"{lost(loss)}{_within(loss)}" + (f": {why}" if why else "")
    return Mark(time_ms, loss.stream or "", loss.offset or 0, LOSS, text, lsn, loss.bytes, loss)


def lost(loss: Loss) -> str:
    """``512 bytes are lost``."""
    units = None if loss.count is None else f"{loss.count:,} {loss.unit or 'units'}"
    if loss.bytes is not None:
        return f"{loss.bytes:,} bytes" + (f" ({units})" if units else "") + " are lost"
    return f"{units} are lost" if units else "something is lost, nobody knows how much"


def _within(loss: Loss) -> str:
    first, last = parse_time(loss.from_time or ""), parse_time(loss.to_time or "")
    if isinstance(first, Invalid) or isinstance(last, Invalid) or last <= first:
        return ""
    seconds = (last - first).total_seconds()
    return f" within {seconds:,.0f} s" if seconds >= 10 else f" within {seconds:.1f} s"


def start_mark(stream: str, offset: int, said: str, lsn: int, received_ms: int) -> Mark:
    """The mark of a program's start."""
    return started(stream, offset, start_ms(said, received_ms), lsn)


def started(stream: str, offset: int, time_ms: int, lsn: int) -> Mark:
    """The same, where its time is known."""
    return Mark(time_ms, stream, offset, START, "the program was started", lsn)


def start_ms(said: str, received_ms: int) -> int:
    """When a program was started, which is not after that was received."""
    moment = parse_time(said)
    return received_ms if isinstance(moment, Invalid) else min(received_ms, round(moment.timestamp() * 1000))
