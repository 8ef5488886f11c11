"""Core: what a plain sender does at each happening, one action of the table in ``plain_states`` after the other.

Left to others: which action it is (``plain``), doing what they ask for (``plain_courier``).
"""

from __future__ import annotations

from dataclasses import replace

from logship.ship.chain import first_path, next_link
from logship.ship.checkpoint import Checkpoint, Flight, begun
from logship.ship.plain_standing import PlainStanding, refusal
from logship.ship.plain_states import Make, Note, Plain, PlainCommands, Push, Recall, Shut
from logship.ship.standing import CHUNK_BYTES_MIN
from logship.ship.states import Acknowledged, Input, Prove, Say
from logship.spool.ranges import Span
from logship.values import Producer
from logship.wire.replies import Answer
from logship.wire.requests import DEFAULT_CONTENT_TYPE, Append, Create, Look

NO_PRODUCERS = "the server does not tell producers apart: what is sent again after a lost answer may be there twice"
NO_CLOSING = "the server does not close streams: those that are over stay open there"


class PlainSteps(PlainStanding):
    """The actions. Offsets are the source's."""

    # Granted a turn:

    def _recall(self, _given: Input) -> PlainCommands:
        return [Recall(self.origin.incarnation, self.origin.program)]

    def _create(self, _given: Input) -> PlainCommands:
        assert self._next is not None
        lost = self._next.base - self.position
        if not self._resumed:
            self._point = begun(self.origin, self._next, self.lost_bytes + lost)
        return [Make(Create(self._next.path), self._present)]

    def _send(self, given: Input) -> PlainCommands:
        size = min(given.bytes_max, self._bytes_max, self.held.room(self.position))
        self._point = replace(self._present, flight=Flight(size))
        return [Push(self._append(), self._point)]

    def _resend(self, _given: Input) -> PlainCommands:
        return [Push(self._append(), self._present, again=True)]

    def _ask(self, _given: Input) -> PlainCommands:
        return [Look(self._present.path)]

    def _note(self, _given: Input) -> PlainCommands:
        return [Note(self._present)]

    def _close(self, _given: Input) -> PlainCommands:
        self._point = replace(self._present, closing=True, flight=None)
        return [Shut(Append(self._point.path, closes=True), self._point)]

    def _append(self) -> Append:
        point = self._present
        producer = Producer(f"ship-{point.incarnation}", point.epoch, point.sequence)
        return Append(point.path, DEFAULT_CONTENT_TYPE, producer=producer)

    # Of the disk:

    def _load(self, _given: Input) -> PlainCommands:
        """The checkpoint was read, if there is one."""
        point = self._point
        if point is None:
            self.position, self.state = 0, Plain.BETWEEN
            return [Acknowledged(0)]
        self.position, self.lost_bytes = point.end, point.lost_bytes
        if not point.made:
            self._next, self._resumed, self.state = point.link, True, Plain.CREATING
            return [Acknowledged(point.end)]
        return [Acknowledged(point.end), *self._prove()]

    def _noted(self, _given: Input) -> PlainCommands:
        self.state = self._rest
        return []

    def _tidy(self, _given: Input) -> PlainCommands:
        """What is acknowledged is not written down yet, and nothing has gone out since that would have done it."""
        self._rest, self.state = self.state, Plain.NOTING
        return []

    # Whether the source is what was sent:

    def _prove(self) -> PlainCommands:
        point, replaced = self._point, self.held.gone != self.gone
        if replaced and (point is None or point.proof is None or self.state is Plain.BETWEEN):
            self.state = Plain.PROVING  # nothing of it was stored: a copy may have been made of it before
            return [Prove(Span(0, 0), None)]
        assert point is not None
        if not self.held.is_file and self.held.any and self.held.end < point.end:
            return self._distrust(Input(0.0, 0.0))
        if point.proof is None:
            return self._trust(Input(0.0, 0.0))
        self.state = Plain.PROVING
        return [Prove(Span(point.end - point.proof.size, point.proof.size), point.proof.digest)]

    def _trust(self, _given: Input) -> PlainCommands:
        point = self._point
        if point is None:
            self.state = Plain.BETWEEN
            return []
        self._resume = point.end
        if point.closed:
            self.state = Plain.BETWEEN
        elif point.closing:
            self.state = Plain.CLOSING
        else:
            self.state = Plain.SENDING if point.flight is None else Plain.RESENDING
        return []

    def _distrust(self, _given: Input) -> PlainCommands:
        """The source is not what was sent, or not any more."""
        held = self.held
        if held.is_file:
            return self._lose_content()
        point = self._present
        if held.end < point.end:
            resume, why = held.end, f"the source ends {point.end - held.end} bytes before what was sent of it"
        else:
            first = held.first()
            resume = self.position if first is None else first
            why = "the source does not hold the bytes that were sent; all it holds goes to the next stream"
        return [Say("not what is stored", f"{point.path}: {why}", trouble=True), *self._leave_for(resume)]

    def _leave(self, given: Input) -> PlainCommands:
        """Whether the source is what was sent cannot be seen any more: go on in a new stream. Bytes on their way say it
        by their own digest."""
        if self._present.flight is not None:
            return self._trust(given)
        return self._leave_for(self.position)

    def _lose_content(self) -> PlainCommands:
        """The file has another content than before, which begins a stream of its own."""
        path = first_path(self.origin) if self._point is None else self._point.path
        unread = max(0, self.held.gone - self.gone - self.position)
        self.gone, self.lost_bytes = self.held.gone, self.lost_bytes + unread
        if self._point is not None and self._point.unused and not self._point.base and not self._point.closed:
            self.position = 0
            commands: PlainCommands = []
        else:
            commands = self._leave_for(0)
        text = f"{path}: the file was emptied or replaced in place; {unread} bytes of it were seen and not read"
        return [*commands, Say("file replaced", text, trouble=unread > 0)]

    def _lose(self, given: Input) -> PlainCommands:
        """The bytes that were sent and not answered cannot be sent again as they were."""
        flight = self._present.flight
        assert flight is not None
        why = refusal(given.answer) if given.answer.status else "the source does not hold them any more"
        text = f"{self._present.path}: whether its last {flight.size} bytes arrived is not known: {why}"
        return [Say("unknown end", text, trouble=True), *self._leave_for(self.position)]

    # Answered:

    def _make(self, given: Input) -> PlainCommands:
        if given.answer.status != 201 and not self._resumed:
            return self._occupied(given)
        point = replace(self._present, made=True, offset=given.answer.next_text or "")
        lost = point.base - self.position
        self._point, self.position, self._resumed = point, point.base, False
        self.lost_bytes, self.state = point.lost_bytes, Plain.SENDING
        text = f"{point.path}: {lost} bytes before it are lost" if lost else point.path
        why = self.held.why(Span(point.base - lost, lost)) if lost else ""
        return [*self._good(), Say("stream begun", f"{text}: {why}" if why else text, trouble=lost > 0)]

    def _occupied(self, given: Input) -> PlainCommands:
        """The stream is there, and no checkpoint says how much of the source is in it: rather twice than not at all."""
        point = self._present
        self._known.add(point.path)
        self._point, self._resumed = replace(point, closed=True), False
        self.state = Plain.BETWEEN
        text = f"{point.path} is at the server, and no checkpoint says what of this source is in it; what is held goes"
        said = Say("stream exists", f"{text} to another stream, and may be there twice", trouble=True)
        return [said, *self._again(given)]

    def _take(self, given: Input) -> PlainCommands:
        point, answer = self._present, given.answer
        assert point.flight is not None
        if _is_stale(answer, point, self.state is Plain.SENDING):
            return self._abandon_for("the server knows later appends of this producer: the checkpoint is an old one")
        end = point.end + point.flight.size
        self._point = replace(
            point, end=end, sequence=point.sequence + 1, offset=answer.next_text or "", proof=point.flight.proof,
            flight=None,
        )  # fmt: skip
        self.position, self.state, self._won = end, Plain.SENDING, True
        if answer.epoch is None:
            return [*self._good(), Say("trouble", NO_PRODUCERS, trouble=True, shared=True)]
        return self._good()

    def _find(self, given: Input) -> PlainCommands:
        """HEAD was answered: where the checkpoint says, or not."""
        point, answer = self._present, given.answer
        self._missed = False
        if answer.next_text is None:
            return self._parked("HEAD was answered without saying where the stream ends", given)
        if answer.closed:
            return self._abandon_for("it was closed by somebody else")
        if not self._gap:
            self.state = Plain.SENDING if point.flight is None else Plain.RESENDING
            return []
        if not point.offset or answer.next_text > point.offset:
            return self._abandon_for("the server refuses what comes next, and the stream does not end where it did")
        if answer.next_text < point.offset:
            self.position = self.held.first() or 0
            return self._abandon_for("it ends before what was acknowledged; all that is held goes to the next stream")
        self._point = replace(point, epoch=point.epoch + 1, sequence=0, flight=None)
        self.state = Plain.SENDING
        return []

    def _miss(self, given: Input) -> PlainCommands:
        """The stream is not there. When that is said twice, it is gone with all that was acknowledged."""
        if not self._missed:
            self._missed = True
            return self._wait(given)
        text = f"{self._present.path}: the server has it no more; what is held is sent anew"
        self._point, self._missed, self.position, self.state = None, False, 0, Plain.BETWEEN
        self._known.clear()
        return [Acknowledged(0), Say("forgotten", text, trouble=True)]

    def _shrink(self, given: Input) -> PlainCommands:
        """The body is too large: half of it next time."""
        point = self._present
        assert point.flight is not None
        size, self._point = point.flight.size, replace(point, flight=None)
        if size <= CHUNK_BYTES_MIN:
            return self._park(given)
        self._bytes_max = max(CHUNK_BYTES_MIN, size // 2)
        return []

    def _fence(self, given: Input) -> PlainCommands:
        """Somebody else claimed a newer epoch: since our last append, or after the checkpoint was written."""
        if self._won:
            return self._parked("another shipper has taken over the stream (its producer epoch is newer)", given)
        return self._abandon_for("the server knows a newer epoch of this producer: the checkpoint is an old one")

    def _abandon(self, given: Input) -> PlainCommands:
        return self._abandon_for(refusal(given.answer))

    def _shut(self, given: Input) -> PlainCommands:
        """Closed, or left open for good where the server will not have it closed."""
        closed = given.answer.status < 300 or given.answer.closed or given.answer.status in (404, 410)
        self._point = replace(self._present, closed=True)
        self._note_at = 0.0
        said: PlainCommands = [] if closed else [Say("trouble", NO_CLOSING, trouble=True, shared=True)]
        return [*self._good(), *self._left(), *said]

    # Where the state follows from what the source holds:

    def _begin(self, start: int) -> None:
        """The next stream is to be made, for the bytes from ``start`` on."""
        previous = None if self._point is None else self._point.path
        first = first_path(self.origin)
        if previous is None and first in self._known:
            previous = first
        self._next = next_link(self.origin, start, previous, self._known)
        self.state = Plain.CREATING

    def _finish(self) -> PlainCommands:
        """The source has ended and has no more bytes. What it lost at its very end no later stream can tell."""
        lost = Span(self.position, self.held.end - self.position)
        said: PlainCommands = []
        if lost.size > 0:
            self.lost_bytes += lost.size
            text = f"{self.origin.program}: {lost.size} at its end: {self.held.why(lost)}"
            said = [Say("bytes lost", text, trouble=True)]
            if self._point is not None:
                self._point = replace(self._point, end=lost.end, proof=None, lost_bytes=self.lost_bytes)
            self.position = lost.end
        said = [*said, *self._leave_for(self.position)]
        if self.state is Plain.BETWEEN:
            self.state = Plain.DRAINED
        return said


def _is_stale(answer: Answer, point: Checkpoint, fresh: bool) -> bool:
    """Whether the server took this append for one of another time: that was the same number for other bytes.

    A duplicate of what was never sent before, or one of a producer that is farther than the checkpoint says.
    """
    if answer.epoch is None:
        return False
    return (fresh and answer.status == 204) or (answer.sequence is not None and answer.sequence > point.sequence)
