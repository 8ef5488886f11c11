"""Core: what a sender knows, and what it does in doubt and in trouble: ask again, wait, stay away.

Left to others: the steps that bring bytes along (``steps``), which action it is (``sender``).
"""

from __future__ import annotations

from logship.ship.backoff import Backoff
from logship.ship.chain import Link, Origin
from logship.ship.held import Held
from logship.ship.outcome import explained
from logship.ship.states import (
    OF_STREAM,
    SENDABLE,
    Commands,
    Input,
    Say,
    State,
)
from logship.ship.stream import Stream
from logship.values import Loss
from logship.wire.refusal import Code

PARKED_SECONDS = 60.0
CHUNK_BYTES_MIN = 4096
"""A body of no more bytes than this is not made smaller still: then something else is wrong."""


class Standing:
    """What a sender knows. Offsets are the spool's."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.held = Held()
        self.state = State.LISTING
        self.out = False  # a request is out
        self.position = 0  # below it all is acknowledged, or recorded as lost
        self.stream: Stream | None = None  # the present one, open or closed
        self.trouble = ""  # why it is parked, until bytes are taken again
        self.due = 0.0  # when WAITING or PARKED ends
        self._then = State.LISTING  # what comes after them
        self._known: dict[str, Link] = {}  # the chain by path
        self._resume = 0  # where the next stream goes on
        self._next: Link | None = None
        self._loss: Loss | None = None
        self._bytes_max = 2**62
        self.gone = 0  # of the source, when its present content was last known to be that of the stream
        self._unbegun = False  # no stream has a byte of the source's present content, which was replaced
        self._path: str | None = None  # of the source, as last told
        self._backoff = Backoff()

    # In doubt, and in trouble:

    def _doubt(self, _given: Input) -> Commands:
        self._then = State.ASKING if self.stream is not None else State.LISTING
        if self.state is not State.WAITING:
            self.state = self._then
        return []

    def _reask(self, given: Input) -> Commands:
        return self._again(State.ASKING, given)

    def _relist(self, given: Input) -> Commands:
        return self._again(State.LISTING, given)

    def _again(self, state: State, given: Input) -> Commands:
        """At once the first time; when that did not help, after a wait."""
        first = self._backoff.failures == 0
        seconds = self._backoff.next_seconds(given.chance)
        self._then, self.due = state, given.now + seconds
        self.state = state if first else State.WAITING
        return []

    def _later(self, given: Input) -> Commands:
        """Nothing was written where the refusal has a word we know, or nothing was sent; else it is open.

        A collector whose disk failed says ``stopping``, and may find what it had written when it starts again. Of an
        append that is seen at its offset; a stream that was to be made has to be looked for, since by then the source
        may want one of another name.
        """
        code, creating = given.answer.code, self.state is State.CREATING
        known = code is not None and not (creating and code is Code.STOPPING)
        sure = known or given.answer.status == 0 or self.state not in (*SENDABLE, State.CREATING, State.CLOSING)
        first = self._backoff.failures == 0
        seconds = self._backoff.next_seconds(given.chance, given.answer.retry_after_seconds)
        self.due = given.now + seconds
        self._then = self.state if sure else State.LISTING if creating else State.ASKING
        self.state = State.WAITING
        if not first or given.answer.status == 503:  # that is everybody's, and told by whoever sees all
            return []
        text = f"cannot read: {given.cause}" if given.cause else f"to be tried again: {explained(given.answer)}"
        return [Say("waits", f"{self.origin.program}: {text}", trouble=True)]

    def _shrink(self, given: Input) -> Commands:
        """The body is too large: half of it next time."""
        if given.sent <= CHUNK_BYTES_MIN:
            return self._park(given)
        self._bytes_max = max(CHUNK_BYTES_MIN, given.sent // 2)
        return []

    def _fence(self, given: Input) -> Commands:
        """A newer epoch is there: before any success a race, to be run again; after one, another has taken over."""
        if not self._present.won:
            return self._reask(given)
        return self._parked("another shipper has taken over the stream (its producer epoch is newer)", given)

    def _park(self, given: Input) -> Commands:
        foreign = not given.answer.superset and self.state in OF_STREAM
        hint = "; is that a logship collector? it does not say Logship-Protocol: 1" if foreign else ""
        return self._parked(f"refused: {explained(given.answer)}{hint}", given)

    def _parked(self, reason: str, given: Input) -> Commands:
        self._then = State.ASKING if self.stream is not None else State.LISTING
        self.due = given.now + PARKED_SECONDS * (1 + 0.1 * given.chance)
        self.state = State.PARKED
        if reason == self.trouble:
            return []
        self.trouble = reason
        place = self.stream.path if self.stream is not None else f"{self.origin.program} of {self.origin.incarnation}"
        return [Say("parked", f"{place}: {reason}; tried again each minute", trouble=True)]

    def _continue(self, _given: Input) -> Commands:
        """The wait is over."""
        self.state = self._then
        return []

    @property
    def _present(self) -> Stream:
        assert self.stream is not None
        return self.stream
