"""Run: what is out to the collector, and what its answers say of it as a whole: that it is there, and how fast.

Left to others: one request (``courier``), whose turn it is (``schedule``), what an answer means for a source
(``sender``), the loop (``run``).
"""

from __future__ import annotations

from collections.abc import Callable

from logship.ship.ahead import AnySource
from logship.ship.courier import Job, Result
from logship.ship.couriers import Couriers
from logship.ship.http_sink import Place
from logship.ship.log import Log
from logship.ship.plain_states import PlainRequest, Push, RecallFiles
from logship.ship.plan import Plan
from logship.ship.schedule import Gathering, Pace, Schedule
from logship.ship.sources import AnyCommands, Lane, Sources
from logship.ship.states import ListChain, ListFiles, Record, Request, Send
from logship.ship.talk import SPEECH_KEY, Talk
from logship.wire.refusal import Code
from logship.wire.replies import Answer


class Traffic:
    """``doubt`` is called when behind the collector's name there may be another one. Raises Fault as ``Talk`` does."""

    def __init__(self, plan: Plan, sources: Sources, log: Log, doubt: Callable[[float], None]) -> None:
        self.schedule: Schedule[Lane] = Schedule()
        self.pace = Pace(plan.chunk_bytes_max)
        self.gathering = Gathering()
        self.talk = Talk(plan.place, plan.state, sources, log.say)
        self.in_flight = 0
        self._couriers = Couriers(plan.place, self.talk.book)
        self.results = self._couriers.results
        self._log = log
        self._doubt = doubt
        self._absent = False  # the last failure: nobody is there

    @property
    def place(self) -> Place:
        """Where the collector is."""
        return self._couriers.place

    @property
    def hopeless(self) -> bool:
        """Whether nobody is there, as far as is known."""
        return self._absent and self.schedule.failures > 0

    def start(self) -> None:
        """Let the couriers work."""
        self._couriers.start()

    def free(self, now: float) -> bool:
        """Whether one more may be out."""
        return self.schedule.free(self.in_flight, now)

    def put(
        self,
        key: tuple[str, str],
        request: Request | ListFiles | PlainRequest | RecallFiles,
        source: AnySource | None = None,
    ) -> None:
        """Send a request for ``key``, with bytes of ``source`` where it says so."""
        size = request.size if isinstance(request, Send | Push) else 0
        self.in_flight += 1
        self._couriers.put(Job(key, request, source, self.pace.timeout_seconds(size)))

    def ask_speech(self, now: float) -> None:
        """Ask how the server speaks, if nobody has."""
        if self.talk.asks and self.free(now):
            self.put(SPEECH_KEY, self.talk.question())

    def came(self, result: Result, now: float, chance: float) -> None:
        """A request is over; of a failure tell ``failed``, too."""
        self.in_flight -= 1
        answer, request = result.answer, result.job.request
        if answer is None:
            return
        self._heard(answer, now, chance, None if result.job.key == SPEECH_KEY else request)
        if isinstance(request, Send | Push) and answer.status < 300:
            self.pace.took(result.size, result.seconds)
            self.gathering.took(result.size, result.seconds)
            self._log.moved(result.size, result.wire_bytes)

    def failed(self, result: Result, now: float, chance: float) -> None:
        """No answer came."""
        failure = result.failure
        assert failure is not None
        self._doubt(now)
        if failure.stale:
            return
        self._absent = failure.absent
        self.gathering.failed()
        self.schedule.failed(now, chance, absent=failure.absent)
        self._log.failed(failure.cause, now)
        if failure.slow and isinstance(result.job.request, Send | Push):
            self.pace.timed_out()

    def settle(self, now: float, chance: float) -> list[tuple[Lane, AnyCommands]]:
        """Change the senders once nothing is out, where the server speaks otherwise than they do."""
        return self.talk.settle(self.in_flight, now, chance)

    def go_to(self, place: Place) -> bool:
        """Get ready for a collector; whether it is another one. Raises Fault where there can be no checkpoints."""
        if place == self.place:
            return False
        self.talk.go_to(place)
        return True

    def move(self, place: Place) -> None:
        """Talk to that one from now on; what is out is still brought back."""
        self._couriers.go_to(place, self.talk.book)
        self.schedule.answered()

    def _heard(self, answer: Answer, now: float, chance: float, request: object) -> None:
        if isinstance(request, ListChain | ListFiles):
            if answer.status in (404, 405, 410):
                self.talk.doubt()
        elif request is not None and not isinstance(request, Record):
            self.talk.heard(answer)
        if answer.limits is not None:
            self.pace.limit(answer.limits.append_bytes_max)
        if answer.status == 503:
            if answer.code is Code.BUSY:
                self.pace.crowded()
            self.schedule.failed(now, chance, answer.retry_after_seconds)
            self._log.failed(f"503 {answer.code or ''}".strip(), now)
            self._absent = False
        else:
            self.schedule.answered()
            self._log.answered(now)
