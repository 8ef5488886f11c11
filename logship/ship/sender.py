"""Core: the state machine of one source: events in, commands out; its transitions are the table of ``states``.

A source is what one program of one incarnation wrote into its spool. A chain of streams carries it, of which one is
open at most. The machine keeps nothing that it could not ask for: it lists the chain, asks where the present stream
ends, has the source's last bytes before that end compared by digest, claims the producer's next epoch with the first
bytes, and sends from exactly that end. On any doubt it asks again (litestream's idea: forget, never guess).

- A hole in the source ends the stream; the next one says what it continues and how much is lost between them.
- A source that is shorter than its stream, or whose bytes differ, is no longer what is stored: a loss record, and a new
  stream. Of one that differs all that is held is offered: rather twice than not at all.
- Whoever is fenced after a success stays away for a minute, and says so: two shippers must not take turns.

Left to others: the single actions (``steps``), doing what they ask for (``run``), when (``schedule``), names of streams
(``chain``), the meaning of answers (``outcome``).
"""

from __future__ import annotations

from collections.abc import Sequence

from logship.ship.chain import Link, next_link
from logship.ship.held import Held
from logship.ship.outcome import Outcome, outcome
from logship.ship.states import OF_STREAM, SENDABLE, TABLE, Commands, Event, Input, State
from logship.ship.steps import Steps
from logship.values import StreamPath
from logship.wire.replies import Answer

_OF_CONTENT = frozenset({*SENDABLE, State.BETWEEN, State.CREATING})
"""States in which it counts whether the source still has the content that its offsets are of."""
_AT_REST = frozenset({State.CLAIMING, State.SENDING, State.BETWEEN, State.DRAINED})


class Sender(Steps):
    """One source. Exactly while ``want`` is true ``granted`` may be called; one request is among its commands then."""

    @property
    def want(self) -> bool:
        """Whether it would use a turn at once."""
        if self.out:
            return False
        if self.state in SENDABLE:
            return self.held.room(self.position) > 0
        if self.state in (State.LISTING, State.ASKING):
            return self.held.any
        return self.state in (State.RECORDING, State.CLOSING, State.CREATING)

    @property
    def unacknowledged(self) -> int:
        """Bytes held that the collector is not known to hold."""
        return self.held.bytes_from(self.position)

    @property
    def links(self) -> tuple[Link, ...]:
        """The chain of streams, as far as it is known."""
        return tuple(self._known.values())

    @property
    def carries(self) -> StreamPath | None:
        """The present stream, if it is known."""
        return None if self.stream is None else self.stream.path

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do until the source grows."""
        return not self.out and not self.unacknowledged and (self.state in _AT_REST or not self.held.any)

    def reached(self, goal: int) -> bool:
        """Whether nothing below the offset ``goal`` is left to do, and nothing at all of a source that has ended."""
        first = self.held.first(self.position)
        if self.out or (first is not None and first < goal):
            return False
        return self.state in _AT_REST or not self.held.any

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do for ever: the source has ended, all of it is stored, its streams are closed."""
        return self.held.ended and not self.out and (self.state is State.DRAINED or not self.held.any)

    @property
    def parked(self) -> bool:
        """Whether somebody should look."""
        return self.state is State.PARKED

    @property
    def certain(self) -> bool:
        """Whether it is known how far the collector is, though no acknowledgement says it."""
        return self.state in (State.BETWEEN, State.CREATING, State.DRAINED)

    def looked(self, held: Held, now: float, chance: float) -> Commands:
        """The source was listed."""
        self.held = held
        return self._handle(Event.LOOKED, Input(now, chance))

    def granted(self, bytes_max: int, now: float, chance: float) -> Commands:
        """It may send one request, with at most so many bytes of the source."""
        assert self.want
        self.out = True
        return self._handle(Event.GRANTED, Input(now, chance, bytes_max=bytes_max))

    def answered(
        self, answer: Answer, now: float, chance: float, links: Sequence[Link] = (), sent: int = 0
    ) -> Commands:
        """The request was answered: ``links`` are what a list showed, ``sent`` bytes of the source had gone with it."""
        self.out = False
        return self._handle(outcome(answer, self.state in OF_STREAM), Input(now, chance, answer, links, sent))

    def unanswered(self, cause: str, now: float, chance: float) -> Commands:
        """No answer came."""
        self.out = False
        return self._handle(Outcome.SILENT, Input(now, chance, cause=cause))

    def unread(self, cause: str, now: float, chance: float) -> Commands:
        """The bytes that were to be sent could not be read; nothing was sent."""
        self.out = False
        return self._handle(Event.UNREAD, Input(now, chance, cause=cause))

    def listed(self, links: Sequence[Link], now: float, chance: float) -> Commands:
        """Another source of the same incarnation brought the list that this one wants, too."""
        assert self.state is State.LISTING
        assert not self.out
        return self._handle(Outcome.DONE, Input(now, chance, links=links))

    def proved(self, same: bool | None, now: float, chance: float, held: Held | None = None) -> Commands:
        """Whether the source's bytes have the digest; None: they could not be read.

        ``held`` is what the source holds now, where that is something else than before: a copy goes on in its place.
        """
        self.held = held or self.held
        event = Event.UNPROVEN if same is None else Event.SAME if same else Event.DIFFERS
        return self._handle(event, Input(now, chance))

    def tick(self, now: float, chance: float) -> Commands:
        """Time has passed."""
        if self.state in (State.WAITING, State.PARKED) and now >= self.due:
            return self._handle(Event.DUE, Input(now, chance))
        return []

    def doubted(self, now: float, chance: float) -> Commands:
        """A connection had to be made anew: what is behind it may have been restarted, restored, or be empty."""
        return [] if self.out else self._handle(Event.DOUBTED, Input(now, chance))

    def _handle(self, event: Event | Outcome, given: Input) -> Commands:
        action = TABLE[event][self.state]
        assert action != "!", f"{event} while {self.state}"
        commands: Commands = [] if action == "-" else getattr(self, f"_{action}")(given)
        return commands if self.out else [*commands, *self._settle()]

    def _settle(self) -> Commands:
        """Where the state follows from what the source holds."""
        held = self.held
        shrank = held.any and held.end < self.position
        if held.gone != self.gone and self.state in _OF_CONTENT:
            if self.stream is None or self._unbegun:
                return self._seek()
            self.state = State.ASKING
        elif self.state in SENDABLE:
            if shrank:
                self.state = State.ASKING
            elif not held.room(self.position):
                if held.first(self.position) is not None:
                    self._leave_for(self.position)
                elif held.ended:
                    self._finish()
        elif self.state in (State.BETWEEN, State.CREATING):
            start = held.first(self.position)
            if shrank and not self._unbegun:
                self.state = State.ASKING
            elif start is not None:
                self._next = next_link(self.origin, start, self.stream.path if self.stream else None, self._known)
                self.state = State.CREATING
            elif held.ended:
                self._finish()
            else:
                self.state = State.BETWEEN
        return []
