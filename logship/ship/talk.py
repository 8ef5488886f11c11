"""Run: finding out how the server speaks, and giving every source the sender that speaks so.

Nothing is sent before that is known, and nothing while it is changed: what is out is waited for first. So no sender is
ever replaced while a request of it is on its way.

Left to others: what an answer shows (``dialect``), the senders (``sender``, ``plain``), the loop (``run``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from logship.errors import USAGE, Fault
from logship.ship.book import Book
from logship.ship.courier import Result
from logship.ship.dialect import SPEECH_TABLE, Heard, Speech, heard
from logship.ship.http_sink import Place
from logship.ship.plain import PlainSender
from logship.ship.plain_courier import Carried
from logship.ship.plain_states import PlainCommands, RecallFiles
from logship.ship.sender import Sender
from logship.ship.sources import AnyCommands, Lane, Sources
from logship.ship.states import ListFiles
from logship.values import StreamPath
from logship.wire.replies import Answer
from logship.wire.requests import Look

ASKED = StreamPath("logship")
"""The stream that is asked for; whether it is there does not matter."""
SPEECH_KEY = ("", "")
"""Of the job that asks: no lane has it."""
PLAIN_TEXT = (
    "the server does not say Logship-Protocol: 1, so this is plain mode: no compression, no digests, no metadata; each"
    " byte arrives once where the server keeps producers, else at least once; it is stored as durably as that server"
    " stores; losses are told here alone"
)


class Talk:
    """How the server speaks. Raises Fault where ``state`` is given and cannot be used."""

    def __init__(self, place: Place, state: Path | None, sources: Sources, say: Callable[..., None]) -> None:
        self.book = None if state is None else Book(state, place)
        self.speech = Speech.UNKNOWN
        self._asked: Place | None = None  # the question is out, to this place
        self._place = place
        self._state = state
        self._sources = sources
        self._say = say
        self._spoken = Speech.UNKNOWN  # by the senders there are
        with contextlib.suppress(OSError):  # then there are more of them than need be
            if self.book is not None:
                self.book.prune()

    @property
    def plain(self) -> bool:
        """Whether the senders there are are plain ones."""
        return self._spoken is Speech.PLAIN

    @property
    def ready(self) -> bool:
        """Whether senders may have turns."""
        return self.speech is self._spoken is not Speech.UNKNOWN

    @property
    def asks(self) -> bool:
        """Whether somebody has to ask now."""
        return self._asked is None and self.speech in (Speech.UNKNOWN, Speech.DOUBTED)

    def question(self) -> Look:
        """What to ask."""
        self._asked = self._place
        return Look(ASKED)

    def answered(self, answer: Answer | None) -> None:
        """What came of the question. Raises Fault where the server is a foreign one from the start."""
        asked, self._asked = self._asked, None
        if answer is None or asked != self._place:
            return
        shown = heard(answer)
        if shown is Heard.FOREIGN and self.book is None:
            cause = "it is no logship collector: it does not say Logship-Protocol: 1"
            hint = "give the URL of one, or --state DIR (LOGSHIP_STATE) to ship to any Durable Streams server"
            raise Fault("ship to", self._place.url, cause, hint, USAGE)
        self.speech = SPEECH_TABLE[shown][self.speech]

    def list_files(self, host: str, service: str) -> ListFiles | RecallFiles:
        """The request for the files that are known."""
        return RecallFiles(host, service) if self.plain else ListFiles(host, service)

    def heard(self, answer: Answer) -> None:
        """An answer to a request of a sender came. Once there are doubts, the answer to the question decides alone."""
        if self.book is not None and self.ready:
            self.speech = SPEECH_TABLE[heard(answer)][self.speech]

    def go_to(self, place: Place) -> None:
        """Another server is to be talked to from now on. Raises Fault where there can be no checkpoints for it."""
        book = None if self._state is None else Book(self._state, place)
        self.book, self._place = book, place
        if self._spoken is Speech.PLAIN:
            self.speech = self._spoken = Speech.UNKNOWN
        else:
            self.doubt()

    def doubt(self) -> None:
        """No answer came, or a list was refused: it may be another server from now on."""
        if self.book is not None:
            self.speech = SPEECH_TABLE[Heard.NOTHING][self.speech]

    def settle(self, in_flight: int, now: float, chance: float) -> list[tuple[Lane, AnyCommands]]:
        """Once nothing is out, change the senders where the server speaks otherwise than they do."""
        if self.speech in (self._spoken, Speech.UNKNOWN, Speech.DOUBTED) or in_flight:
            return []
        self._spoken, before = self.speech, self._sources.speaks
        if self.speech is Speech.PLAIN:
            assert self.book is not None
            self._say("WARNING", "plain server", text=PLAIN_TEXT, checkpoints=str(self.book.folder))
            return self._sources.renew(PlainSender, now, chance)
        if before is Sender:
            return []
        self._say("INFO", "collector", text="the server says Logship-Protocol: 1; plain mode is over")
        return self._sources.renew(Sender, now, chance)


def deliver(sender: PlainSender, carried: Carried, now: float, chance: float) -> PlainCommands:
    """Tell a plain sender what came of its request."""
    commands: PlainCommands = [] if carried.kept is None else sender.kept(carried.kept, now)
    if carried.failure is not None:
        return [*commands, *sender.unanswered(carried.failure.cause, now, chance)]
    if carried.changed:
        return [*commands, *sender.changed(now, chance)]
    if carried.answer is not None:
        return [*commands, *sender.answered(carried.answer, now, chance)]
    if carried.kept is not None:
        return [*commands, *sender.noted(now, chance)]
    return sender.recalled(carried.recalled, now, chance)


def tell(lane: Lane, result: Result, now: float, chance: float) -> AnyCommands:
    """Tell a lane's sender what came of its request."""
    if result.plain is not None:
        assert isinstance(lane.sender, PlainSender)
        return deliver(lane.sender, result.plain, now, chance)
    if result.failure is not None:
        return lane.sender.unanswered(result.failure.cause, now, chance)
    if result.answer is None:
        return lane.sender.unread(result.unread, now, chance)
    links = (result.links or {}).get(lane.source.program, ())
    return lane.sender.answered(result.answer, now, chance, links, result.size)
