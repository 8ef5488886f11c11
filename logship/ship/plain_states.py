"""Core: the states, events and requests of a plain sender, what a plain server's answers mean, and the one table.

Left to others: the actions the table names (``plain_steps``), the checkpoint (``checkpoint``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from logship.ship.checkpoint import Checkpoint
from logship.ship.states import Acknowledged, Prove, Say
from logship.wire.replies import Answer
from logship.wire.requests import Append, Create, Look


class Plain(StrEnum):
    """What is to be found out or done next."""

    RECALLING = "recalling"  # what the checkpoint says
    PROVING = "proving"  # whether the source holds the bytes before the end that is acknowledged
    CREATING = "creating"
    SENDING = "sending"
    RESENDING = "resending"  # the very bytes that were sent and not answered
    ASKING = "asking"  # whether the stream is still there, and where the checkpoint says it ends
    NOTING = "noting"  # the checkpoint is to be written, and nothing else
    CLOSING = "closing"
    BETWEEN = "between"  # no stream is open; the next byte begins one
    WAITING = "waiting"  # for a little while
    PARKED = "parked"  # for a minute: somebody should look
    DRAINED = "drained"  # the source has ended and all of it is acknowledged


class Happening(StrEnum):
    """What happens to a source. After ``BUSY`` and ``SILENT`` it is open whether anything was done."""

    GRANTED = "granted"
    LOOKED = "looked"
    NOTED = "noted"  # the disk has what it was given, or gave what it was asked for
    SAME = "same"
    DIFFERS = "differs"
    UNPROVEN = "unproven"
    UNREAD = "unread"  # the disk refused; nothing was sent
    CHANGED = "changed"  # the source does not hold the bytes any more that were to be sent again
    DUE = "due"
    DONE = "done"
    ABSENT = "absent"
    CLOSED = "closed"
    GAP = "gap"
    CONFLICT = "conflict"
    FENCED = "fenced"
    TOO_LARGE = "too large"
    REFUSED = "refused"
    BUSY = "busy"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Recall:
    """Read the checkpoint of one source."""

    incarnation: str
    program: str


@dataclass(frozen=True, slots=True)
class RecallFiles:
    """Read which files of a host's service have checkpoints."""

    host: str
    service: str


@dataclass(frozen=True, slots=True)
class Make:
    """Write the checkpoint, then PUT."""

    create: Create
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Push:
    """Append the checkpoint's flight: read it, write the checkpoint, then POST.

    ``again``: it was written and perhaps sent before, so the bytes must be the same ones and nothing is written.
    """

    append: Append
    checkpoint: Checkpoint
    again: bool = False

    @property
    def size(self) -> int:
        """How many bytes go with it, at most."""
        return 0 if self.checkpoint.flight is None else self.checkpoint.flight.size


@dataclass(frozen=True, slots=True)
class Shut:
    """Write the checkpoint, then close the stream."""

    append: Append
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Note:
    """Write the checkpoint."""

    checkpoint: Checkpoint


PlainRequest = Recall | Make | Push | Shut | Note
PlainCommand = PlainRequest | Look | Prove | Acknowledged | Say
PlainCommands = list[PlainCommand]

_LATER = frozenset({408, 425, 429})


def meaning(answer: Answer) -> Happening:
    """What a plain server's answer means. A success must look like one of this protocol, whoever else says 200."""
    status = answer.status
    if status in _LATER or (status >= 500 and status != 501):
        return Happening.BUSY
    if 200 <= status < 300:
        told = answer.next_text is not None or answer.epoch is not None or answer.closed
        return Happening.DONE if told else Happening.REFUSED
    if status in (404, 410):
        return Happening.ABSENT
    if status == 413:
        return Happening.TOO_LARGE
    if status == 403 and answer.epoch is not None:
        return Happening.FENCED
    if status == 409:
        if answer.closed:
            return Happening.CLOSED
        return Happening.CONFLICT if answer.expected_sequence is None else Happening.GAP
    return Happening.REFUSED


# "-": nothing follows; "!": cannot be.
_GRID = """
           recalling proving  creating sending resending asking noting closing between waiting  parked   drained
granted    recall    !        create   send    resend    ask    note   close   !       !        !        !
looked     -         -        -        -       -         -      -      -       -       -        -        -
noted      load      !        !        !       !         !      noted  !       !       !        !        !
same       !         trust    !        !       !         !      !      !       !       !        !        !
differs    !         distrust !        !       !         !      !      !       !       !        !        !
unproven   !         leave    !        !       !         !      !      !       !       !        !        !
unread     later     !        later    later   later     !      later  later   !       !        !        !
changed    !         !        !        !       lose      !      !      !       !       !        !        !
due        !         !        !        tidy    !         !      !      !       tidy    continue continue tidy
done       !         !        make     take    take      find   !      shut    !       !        !        !
absent     !         !        foreign  ask_for ask_for   miss   !      shut    !       !        !        !
closed     !         !        occupied abandon abandon   park   !      shut    !       !        !        !
gap        !         !        park     ask_for ask_for   park   !      shut    !       !        !        !
conflict   !         !        occupied abandon abandon   park   !      shut    !       !        !        !
fenced     !         !        park     fence   fence     park   !      shut    !       !        !        !
too-large  !         !        park     shrink  lose      park   !      shut    !       !        !        !
refused    !         !        foreign  park    park      park   !      shut    !       !        !        !
busy       !         !        again    again   again     again  !      again   !       !        !        !
silent     !         !        again    again   again     again  !      again   !       !        !        !
"""


def _table() -> dict[Happening, dict[Plain, str]]:
    head, *rows = [line.split() for line in _GRID.strip().splitlines()]
    states = [Plain(name) for name in head]
    happenings = {str(each).replace(" ", "-"): each for each in Happening}
    return {happenings[name]: dict(zip(states, actions, strict=True)) for name, *actions in rows}


PLAIN_TABLE = _table()
"""The action at each happening in each state."""
