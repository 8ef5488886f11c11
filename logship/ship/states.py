"""Core: the states, events and commands of a sender, and the one table of what it does at which event in which state.

Left to others: the actions the table names (``sender``), meanings of answers (``outcome``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from logship.ship.chain import Link
from logship.ship.outcome import Outcome
from logship.spool.ranges import Span
from logship.values import Loss
from logship.wire.fields import Digest
from logship.wire.replies import Answer
from logship.wire.requests import Append, Create, Look


class State(StrEnum):
    """What is to be found out or done next."""

    LISTING = "listing"  # which streams carry this source
    ASKING = "asking"  # where the present one ends
    PROVING = "proving"  # whether the source holds the bytes before that end
    CLAIMING = "claiming"  # the next bytes claim an epoch
    SENDING = "sending"
    RECORDING = "recording"  # a loss record, before a stream is left
    CLOSING = "closing"
    BETWEEN = "between"  # no stream is open; the next byte begins one
    CREATING = "creating"
    WAITING = "waiting"  # for a little while
    PARKED = "parked"  # for a minute: somebody should look
    DRAINED = "drained"  # the source has ended and all of it is acknowledged


SENDABLE = frozenset({State.CLAIMING, State.SENDING})
OF_STREAM = frozenset({State.ASKING, State.CLAIMING, State.SENDING, State.CLOSING, State.CREATING})
"""States whose requests are about one stream."""


class Event(StrEnum):
    """What happens to a source, besides the outcomes of its requests."""

    GRANTED = "granted"  # it may talk to the collector
    LOOKED = "looked"  # the source was listed: it grew, shrank, ended, or is as before
    SAME = "same"  # the source's bytes are those that are stored
    DIFFERS = "differs"
    UNPROVEN = "unproven"  # the bytes to compare are not held any more
    UNREAD = "unread"  # the bytes to send could not be read
    DUE = "due"  # a wait is over
    DOUBTED = "doubted"  # the collector may be another one than before


@dataclass(frozen=True, slots=True)
class ListChain:
    """Ask for all streams of the incarnation."""

    incarnation: str


@dataclass(frozen=True, slots=True)
class ListFiles:
    """Ask for all streams of files of a host's service."""

    host: str
    service: str


@dataclass(frozen=True, slots=True)
class Send:
    """Append bytes of the source from ``offset``, ``size`` of them or fewer; encoding and digest are the doer's."""

    append: Append
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Record:
    """Add a loss record."""

    loss: Loss


@dataclass(frozen=True, slots=True)
class Prove:
    """Compare the digest of the source's bytes of ``span`` with ``digest``.

    None: the source's content was replaced before any of it was stored. Has a copy of it what it held?
    """

    span: Span
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The collector holds, for good, the source's bytes below ``offset``, or knows that they are lost."""

    offset: int


@dataclass(frozen=True, slots=True)
class Say:
    """Something for the log; ``trouble`` when somebody should look; ``shared``: of no one source, to be said once."""

    event: str
    text: str = ""
    trouble: bool = False
    shared: bool = False


Request = ListChain | Look | Create | Send | Append | Record
"""What goes to the collector; its answer comes back to the sender. An ``Append`` by itself is one that closes."""
Command = Request | Prove | Acknowledged | Say
Commands = list[Command]


@dataclass(frozen=True, slots=True)
class Input:
    """What comes with an event: the present time in seconds, a number from 0 to 1 by chance, and what belongs to it."""

    now: float
    chance: float
    answer: Answer = Answer(0)
    links: Sequence[Link] = ()
    sent: int = 0
    bytes_max: int = 0
    cause: str = ""


# "-": nothing follows; "!": cannot be (a request is out in the states that have one, a proof only while proving).
_GRID = """
            listing  asking   proving  claiming sending  recording closing  between creating waiting parked  drained
granted     list     ask      !        send     send     record    close    !       create   !       !       !
looked      -        -        -        -        -        -         -        -       -        -       -       -
same        !        !        trust    !        !        !         !        !       !        !       !       !
differs     !        !        distrust !        !        !         !        !       !        !       !       !
unproven    !        !        leave    !        !        !         !        !       !        !       !       !
unread      !        !        !        later    later    !         !        !       !        !       !       !
due         !        !        !        !        !        !         !        !       !        continue continue !
doubted     -        -        -        doubt    doubt    doubt     doubt    doubt   doubt    doubt    -       doubt
done        chain    find     !        take     take     go        shut     !       make     !       !       !
absent      park     relist   !        relist   relist   park      relist   !       park     !       !       !
retired     park     retire   !        retire   retire   park      retire   !       adopt    !       !       !
closed      park     park     !        reask    reask    park      reask    !       adopt    !       !       !
moved       park     park     !        reask    reask    park      reask    !       park     !       !       !
fenced      park     park     !        fence    fence    park      fence    !       park     !       !       !
too-large   park     park     !        shrink   shrink   park      park     !       park     !       !       !
garbled     later    later    !        later    later    later     later    !       later    !       !       !
refused     park     park     !        park     park     park      park     !       park     !       !       !
busy        later    later    !        later    later    later     later    !       later    !       !       !
silent      -        -        !        reask    reask    -         reask    !       -        !       !       !
"""


def _table() -> dict[Event | Outcome, dict[State, str]]:
    head, *rows = [line.split() for line in _GRID.strip().splitlines()]
    states = [State(name) for name in head]
    events = {str(event).replace(" ", "-"): event for kind in (Event, Outcome) for event in kind}
    return {events[name]: dict(zip(states, actions, strict=True)) for name, *actions in rows}


TABLE = _table()
"""The action for each event in each state."""
