"""Core: what a plain sender knows, and what it does in doubt and in trouble: the same again, wait, stay away.

Left to others: the steps that bring bytes along (``plain_steps``), which action it is (``plain``).
"""

from __future__ import annotations

from dataclasses import replace

from logship.ship.backoff import Backoff
from logship.ship.chain import Link, Origin
from logship.ship.checkpoint import Checkpoint
from logship.ship.held import Held
from logship.ship.plain_states import Plain, PlainCommands
from logship.ship.standing import PARKED_SECONDS
from logship.ship.states import Input, Say
from logship.wire.replies import Answer

NOTE_SECONDS = 0.3
"""A checkpoint is written before every append; by itself, for what was acknowledged last, no more often than this."""


class PlainStanding:
    """What is known of one source. Offsets are the source's."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.held = Held()
        self.state = Plain.RECALLING
        self.out = False  # a request is out
        self.position = 0  # below it all is acknowledged, or told as lost
        self.gone = 0  # of the source, when its present content was last known to be that of the stream
        self.lost_bytes = 0
        self.trouble = ""  # why it is parked, until something is taken again
        self.due = 0.0  # when WAITING or PARKED ends
        self._point: Checkpoint | None = None  # as it is now
        self._durable: Checkpoint | None = None  # as it was written last
        self._note_at = 0.0
        self._then = Plain.RECALLING  # what comes after WAITING and PARKED
        self._rest = Plain.SENDING  # what comes after NOTING
        self._next: Link | None = None
        self._resumed = False  # the PUT of ``_next`` may have been done before
        self._known: set[str] = set()  # paths that are not ours to use
        self._resume = 0  # where the next stream goes on
        self._missed = False  # the stream was not there when it was last asked for
        self._gap = False  # it is asked for since the server expects another number
        self._won = False  # an append was taken since this process began
        self._bytes_max = 2**62
        self._backoff = Backoff()

    @property
    def dirty(self) -> bool:
        """Whether the checkpoint on disk is an older one."""
        return self._point != self._durable

    @property
    def _present(self) -> Checkpoint:
        assert self._point is not None
        return self._point

    # In doubt, and in trouble:

    def _again(self, given: Input) -> PlainCommands:
        """Whether it was done is not known: the same again. Where nobody answers, everybody waits (``schedule``)."""
        if self.state is Plain.CREATING:
            self._resumed = True
        if given.answer.status:
            return self._wait(given)
        self.state = self._same()
        return []

    def _wait(self, given: Input) -> PlainCommands:
        seconds = self._backoff.next_seconds(given.chance, given.answer.retry_after_seconds)
        self._then, self.due = self._same(), given.now + seconds
        self.state = Plain.WAITING
        return []

    def _later(self, given: Input) -> PlainCommands:
        """The disk refused, so nothing was sent."""
        if self.state is Plain.SENDING:
            self._point = replace(self._present, flight=None)
        first = self._backoff.failures == 0
        self._wait(given)
        return [Say("waits", f"{self.origin.program}: {given.cause}; nothing is sent", trouble=True)] if first else []

    def _ask_for(self, given: Input) -> PlainCommands:
        """The answer is no word about these bytes: look at the stream first."""
        self.state, self._gap = Plain.ASKING, given.answer.expected_sequence is not None
        if self._backoff.failures:
            return self._wait(given)
        self._backoff.next_seconds(given.chance)
        return []

    def _same(self) -> Plain:
        """What to do again; what may have arrived goes out as it was."""
        if self.state is not Plain.SENDING or self._present.flight is None:
            return self.state
        return Plain.RESENDING

    def _park(self, given: Input) -> PlainCommands:
        return self._parked(f"refused: {refusal(given.answer)}", given)

    def _foreign(self, given: Input) -> PlainCommands:
        """A PUT that makes no stream."""
        text = f"PUT is answered with {refusal(given.answer)}: is that the URL of a Durable Streams server?"
        self._parked(text, given)
        return [Say("trouble", f"{text} Nothing is sent; tried again each minute", trouble=True, shared=True)]

    def _parked(self, reason: str, given: Input) -> PlainCommands:
        self._then = self._same()
        self.due = given.now + PARKED_SECONDS * (1 + 0.1 * given.chance)
        self.state = Plain.PARKED
        if reason == self.trouble:
            return []
        self.trouble = reason
        place = f"{self.origin.program} of {self.origin.incarnation}" if self._point is None else self._point.path
        return [Say("parked", f"{place}: {reason}; tried again each minute", trouble=True)]

    def _continue(self, _given: Input) -> PlainCommands:
        """The wait is over."""
        self.state = self._then
        return []

    def _good(self) -> PlainCommands:
        """The server did what it was asked for."""
        self._backoff.reset()
        said, self.trouble = self.trouble, ""
        return [Say("goes on", f"{self._present.path} after: {said}")] if said else []

    # The end of a stream:

    def _leave_for(self, offset: int) -> PlainCommands:
        """Close the stream, if one is open; the next one goes on at this offset of the source."""
        self._resume = offset
        if self._point is not None and self._point.made and not self._point.closed:
            self.state = Plain.CLOSING
            return []
        return self._left()

    def _abandon_for(self, reason: str) -> PlainCommands:
        """The stream is not ours to close; the next one goes on with what is not known to be in it."""
        self._point = replace(self._present, flight=None, closed=True)
        self._resume = self.position
        text = f"{self._point.path}: {reason}; what is not known to be in it goes to another stream, perhaps twice"
        return [*self._left(), Say("stream left", text, trouble=True)]

    def _left(self) -> PlainCommands:
        self.position, self.state = self._resume, Plain.BETWEEN
        return []


def refusal(answer: Answer) -> str:
    """An answer that refuses, for people."""
    if 200 <= answer.status < 300:
        return f"{answer.status} without Stream-Next-Offset"
    more = " and Stream-Closed" if answer.closed else ""
    return f"{answer.status}{more}"
