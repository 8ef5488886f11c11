"""Core: the state machine of one source before a plain server: one of the base protocol alone (PROTOCOL.md 11).

It keeps what it cannot ask for in a checkpoint, written and synced before each append: the bytes that are on their way,
with their number. So whatever is killed when, the same bytes go out again under the same number, and a server that
keeps producers takes them once. To spool it says that something is acknowledged only when the checkpoint on disk says
so, too: the bytes of a flight are held until then.

The streams are named as those of a collector (``chain``), so that a hole in the source can be told from their names.

Left to others: the single actions (``plain_steps``), what is known (``plain_standing``), the table (``plain_states``),
doing what they ask for (``plain_courier``), when (``schedule``).
"""

from __future__ import annotations

from collections.abc import Sequence

from logship.ship.chain import Link
from logship.ship.checkpoint import Checkpoint
from logship.ship.held import Held
from logship.ship.plain_standing import NOTE_SECONDS
from logship.ship.plain_states import PLAIN_TABLE, Happening, Plain, PlainCommands, meaning
from logship.ship.plain_steps import PlainSteps
from logship.ship.states import Acknowledged, Input
from logship.values import StreamPath
from logship.wire.replies import Answer

_AT_REST = frozenset({Plain.SENDING, Plain.BETWEEN, Plain.DRAINED})
_ALWAYS = frozenset({Plain.CREATING, Plain.RESENDING, Plain.ASKING, Plain.NOTING, Plain.CLOSING})


class PlainSender(PlainSteps):
    """One source; it is used as a ``Sender`` is."""

    @property
    def want(self) -> bool:
        """Whether it would use a turn at once."""
        if self.out:
            return False
        if self.state is Plain.RECALLING:
            return self.held.any
        return self.state in _ALWAYS or (self.state is Plain.SENDING and self.held.room(self.position) > 0)

    @property
    def unacknowledged(self) -> int:
        """Bytes held that the server is not known to hold."""
        return self.held.bytes_from(self.position)

    @property
    def carries(self) -> StreamPath | None:
        """The present stream, if it is known."""
        return None if self._point is None else self._point.path

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do until the source grows."""
        if self.out or self.dirty:
            return False
        return not self.unacknowledged and (self.state in _AT_REST or not self.held.any)

    def reached(self, goal: int) -> bool:
        """Whether nothing below the offset ``goal`` is left to do, and nothing at all of a source that has ended."""
        first = self.held.first(self.position)
        if self.out or self.dirty or (first is not None and first < goal):
            return False
        return self.state in _AT_REST or not self.held.any

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do for ever."""
        over = self.state is Plain.DRAINED or not self.held.any
        return self.held.ended and over and not self.out and not self.dirty

    @property
    def parked(self) -> bool:
        """Whether somebody should look."""
        return self.state is Plain.PARKED

    @property
    def certain(self) -> bool:
        """Whether it is known how far the server is."""
        return self.state is not Plain.RECALLING

    def looked(self, held: Held, now: float, chance: float) -> PlainCommands:
        """The source was listed."""
        self.held = held
        return self._handle(Happening.LOOKED, Input(now, chance))

    def granted(self, bytes_max: int, now: float, chance: float) -> PlainCommands:
        """It may do one request, with at most so many bytes of the source."""
        assert self.want
        self.out = True
        return self._handle(Happening.GRANTED, Input(now, chance, bytes_max=bytes_max))

    def kept(self, checkpoint: Checkpoint, now: float) -> PlainCommands:
        """This was written, and is durable; its request goes on, or is over."""
        assert self.out
        self._durable = self._point = checkpoint
        self._note_at = now + NOTE_SECONDS
        return [Acknowledged(checkpoint.end)]

    def recalled(self, checkpoint: Checkpoint | None, now: float, chance: float) -> PlainCommands:
        """This is what the disk has."""
        self._durable = self._point = checkpoint
        return self.noted(now, chance)

    def noted(self, now: float, chance: float) -> PlainCommands:
        """The request was for the disk alone, and is done."""
        self.out = False
        return self._handle(Happening.NOTED, Input(now, chance))

    def answered(
        self, answer: Answer, now: float, chance: float, _links: Sequence[Link] = (), sent: int = 0
    ) -> PlainCommands:
        """The request was answered."""
        self.out = False
        return self._handle(meaning(answer), Input(now, chance, answer, sent=sent))

    def unanswered(self, cause: str, now: float, chance: float) -> PlainCommands:
        """No answer came."""
        self.out = False
        return self._handle(Happening.SILENT, Input(now, chance, cause=cause))

    def unread(self, cause: str, now: float, chance: float) -> PlainCommands:
        """The disk refused; nothing was sent."""
        self.out = False
        return self._handle(Happening.UNREAD, Input(now, chance, cause=cause))

    def changed(self, now: float, chance: float) -> PlainCommands:
        """The bytes that were to be sent again are not held any more; nothing was sent."""
        self.out = False
        return self._handle(Happening.CHANGED, Input(now, chance))

    def listed(self, _links: Sequence[Link], _now: float, _chance: float) -> PlainCommands:
        """Which streams there are the checkpoint says."""
        return []

    def proved(self, same: bool | None, now: float, chance: float, held: Held | None = None) -> PlainCommands:
        """Whether the source's bytes have the digest; None: they could not be read.

        ``held`` is what the source holds now, where that is something else than before: a copy goes on in its place.
        """
        self.held = held or self.held
        event = Happening.UNPROVEN if same is None else Happening.SAME if same else Happening.DIFFERS
        return self._handle(event, Input(now, chance))

    def tick(self, now: float, chance: float) -> PlainCommands:
        """Time has passed."""
        if self.out:
            return []
        waits = self.state in (Plain.WAITING, Plain.PARKED) and now >= self.due
        if waits or (self.state in _AT_REST and self.dirty and now >= self._note_at):
            return self._handle(Happening.DUE, Input(now, chance))
        return []

    def doubted(self, _now: float, _chance: float) -> PlainCommands:
        """A connection had to be made anew: the answer to the next append tells what is behind it."""
        return []

    def _handle(self, event: Happening, given: Input) -> PlainCommands:
        action = PLAIN_TABLE[event][self.state]
        assert action != "!", f"{event} while {self.state}"
        commands: PlainCommands = [] if action == "-" else getattr(self, f"_{action}")(given)
        return commands if self.out else [*commands, *self._settle()]

    def _settle(self) -> PlainCommands:
        """Where the state follows from what the source holds."""
        held = self.held
        replaced = held.gone != self.gone
        if self.state in (Plain.SENDING, Plain.RESENDING, Plain.BETWEEN) and replaced:
            return self._prove()
        if self.state is Plain.SENDING:
            if held.any and held.end < self.position and not held.is_file:
                return self._prove()
            if not held.room(self.position):
                if held.first(self.position) is not None:
                    return self._leave_for(self.position)
                if held.ended:
                    return self._finish()
        elif self.state is Plain.BETWEEN:
            start = held.first(self.position)
            if start is not None:
                self._begin(start)
            elif held.ended:
                return self._finish()
        return []
