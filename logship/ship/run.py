"""Run: one loop over sources, senders and two couriers. It keeps no state that it could not ask the collector for.

Of a server that cannot be asked (``talk``) the couriers keep it in checkpoints.

The container's own lines come first: of the two requests that may be out, one at most is of an adopted folder, and none
is begun while it stops.

Sources are looked at when they say that they grow (``watch``), and every 50 ms while something does, every 200 ms else.
Lines are gathered for 20 to 50 ms, or longer where appends are slow (``Gathering``). Each turn of the loop takes the
answers that came, looks, gives turns to senders, and notes acknowledgements for spool.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
from functools import partial
from queue import Empty

from logship.errors import Fault
from logship.ship import talk
from logship.ship.adopter import Adopter
from logship.ship.courier import Job, Result
from logship.ship.couriers import Couriers
from logship.ship.discover import SpoolSource
from logship.ship.files import Files
from logship.ship.folder import SpoolFolder
from logship.ship.inquiry import LIST_KEY, TAIL_KEY
from logship.ship.log import Log
from logship.ship.plain_states import PlainCommand, Push
from logship.ship.plan import SERVICE, Plan, declared
from logship.ship.schedule import Gathering, Pace, Schedule
from logship.ship.sources import AnyCommands, Lane, Sources
from logship.ship.states import Acknowledged, Command, ListChain, ListFiles, Prove, Record, Say, Send, State
from logship.ship.watch import Watch
from logship.spool.instance import part
from logship.wire.refusal import Code
from logship.wire.replies import Answer
from logship.wire.requests import Look

BUSY_SECONDS = 0.05
IDLE_SECONDS = 0.2
BUSY_FOR_SECONDS = 1.0
LEFT_TOLD_MAX = 20


__all__ = ["Plan", "Ship"]


class Ship:
    """The process. Raises Fault where it cannot begin."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._log = Log()
        self._sources = Sources([SpoolFolder(path) for path in plan.spools], plan.instance, self._log.say)
        self._schedule: Schedule[Lane] = Schedule()
        self._own = [each for each in self._sources.given if each.identity["host"] == self._sources.host]
        service = plan.service or next((each.identity["service"] for each in self._own), SERVICE)
        patterns = [*plan.follow, *declared(self._own)]
        self._files = Files(
            patterns, service, part(self._sources.host), self._sources, self._schedule.forget, plan.once
        )
        self._adopter = Adopter(plan.adopt, self._sources, self._log.say, self._schedule.forget, plan.once)
        self._pace = Pace(plan.chunk_bytes_max)
        self._gathering = Gathering()
        self._talk = talk.Talk(plan.place, plan.state, self._sources, self._log.say)
        self._couriers = Couriers(plan.place, self._talk.book)
        self._results = self._couriers.results
        self._watch = Watch(partial(self._results.put, None))
        self._hung_up = False  # SIGHUP came
        self._in_flight = 0
        self._listing: set[str] = set()  # incarnations whose list is asked for
        self._absent = False  # the last failure: nobody is there
        self._grew_at = self._progress_at = time.monotonic()
        self._look_at = 0.0
        self._stop_at: float | None = None
        self._looked_for_stop = False

    def run(self) -> int:
        """Work until SIGTERM or SIGINT, or with ``once`` until all is acknowledged; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        if self._plan.again is not None:
            signal.signal(signal.SIGHUP, self._hang_up)
        self._couriers.start()
        more = {"adopt": list(map(str, self._plan.adopt))} if self._plan.adopt else {}
        if self._files.patterns:
            more["follow"] = [*self._files.patterns]
        self._log.say("INFO", "started", to=self._couriers.place.url, spools=list(map(str, self._plan.spools)), **more)
        while True:
            self._take_results(time.monotonic())
            now = time.monotonic()
            if self._hung_up:
                self._read_again(now)
            if now >= self._look_at:
                self._look(now)
            for lane in self._sources.lanes.values():
                self._perform(lane, lane.sender.tick(now, random.random()))
            for lane, commands in self._talk.settle(self._in_flight, now, random.random()):
                self._perform(lane, commands)
            self._grant(now)
            self._sources.note_acked(now)
            self._log.summary(now, lambda: self._sources.behind_bytes)
            if not self._plan.once:
                server = {"server": "plain"} if self._talk.plain else {}
                self._log.snapshot(now, partial(self._sources.snapshot, now), self._plan.budgets, **server)
            status = self._status(now)
            if status is not None:
                self._sources.note_acked(now, all_now=True)
                return status

    def _stop(self, *_: object) -> None:
        """SIGTERM, in the main thread, between two of its instructions."""
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._plan.drain_seconds
            self._results.put(None)

    def _hang_up(self, *_: object) -> None:
        """SIGHUP."""
        self._hung_up = True
        self._results.put(None)

    def _read_again(self, now: float) -> None:
        """What is given may have changed. What is out is brought back, then the new collector is asked about all."""
        self._hung_up = False
        assert self._plan.again is not None
        try:
            given = self._plan.again()
            if given.place != self._couriers.place:
                self._talk.go_to(given.place)
        except Fault as fault:
            self._log.say("ERROR", "settings refused", text=f"{fault}; what was read before stays")
            return
        self._files.follow([*given.follow, *declared(self._own)])
        if given.place != self._couriers.place:
            self._couriers.go_to(given.place, self._talk.book)
            self._schedule.answered()
            self._doubt(now)
        self._log.say("INFO", "settings read", to=given.place.url, follow=[*self._files.patterns])

    def _doubt(self, now: float) -> None:
        """What is behind the name of the collector may be another one."""
        self._talk.doubt()
        self._files.doubt()
        for lane in self._sources.lanes.values():
            self._perform(lane, lane.sender.doubted(now, random.random()))

    def _take_results(self, now: float) -> None:
        """Wait for what comes first, an answer or the next look, and take all answers there are."""
        due = self._look_at
        if now < self._schedule.held_until:
            due = min(due, self._schedule.held_until)
        seconds = max(0.0, due - now)
        with contextlib.suppress(Empty):
            result = self._results.get(timeout=seconds) if seconds else self._results.get_nowait()
            while True:
                if result is None:
                    self._look_at = 0.0
                else:
                    self._take(result)
                result = self._results.get_nowait()

    def _take(self, result: Result) -> None:
        if result.job.key in (LIST_KEY, TAIL_KEY):
            self._take_files(result)
            return
        if result.job.key == talk.KEY:
            self._take_speech(result)
            return
        lane, now, chance = self._sources.lanes[result.job.key], time.monotonic(), random.random()
        self._in_flight -= 1
        if isinstance(result.job.request, ListChain):
            self._listing.discard(result.job.request.incarnation)
        answer = result.answer
        if answer is not None:
            self._heard(answer, now, chance, result.job.request)
        if answer is not None and isinstance(result.job.request, Send | Push) and answer.status < 300:
            self._pace.took(result.size, result.seconds)
            self._gathering.took(result.size, result.seconds)
            self._watch.pause_seconds = self._gathering.seconds
            self._log.moved(result.size, result.wire_bytes)
            lane.sent += result.size
            self._progress_at = now
        self._perform(lane, talk.tell(lane, result, now, chance))
        if result.failure is not None:
            self._failed(result, now)
        elif result.links is not None and answer is not None and answer.status == 200:
            self._share(lane, result, now, chance)

    def _take_speech(self, result: Result) -> None:
        """How the server speaks."""
        now = time.monotonic()
        self._in_flight -= 1
        if result.failure is not None:
            self._failed(result, now)
        elif result.answer is not None:
            self._heard(result.answer, now, random.random(), None)
        self._talk.answered(result.answer)

    def _heard(self, answer: Answer, now: float, chance: float, request: object) -> None:
        if isinstance(request, ListChain | ListFiles):
            if answer.status in (404, 405, 410):
                self._talk.doubt()
        elif request is not None and not isinstance(request, Record):
            self._talk.heard(answer)
        if answer.limits is not None:
            self._pace.limit(answer.limits.append_bytes_max)
        if answer.status == 503:
            if answer.code is Code.BUSY:
                self._pace.crowded()
            self._schedule.failed(now, chance, answer.retry_after_seconds)
            self._log.failed(f"503 {answer.code or ''}".strip(), now)
            self._absent = False
        else:
            self._schedule.answered()
            self._log.answered(now)

    def _take_files(self, result: Result) -> None:
        """Which files of this host the collector knows, or how a stream of one ends."""
        now = time.monotonic()
        self._in_flight -= 1
        if result.failure is not None:
            self._failed(result, now)
        elif result.answer is not None:
            self._heard(result.answer, now, random.random(), result.job.request)
        if isinstance(result.job.request, Look):
            self._files.inquiry.told(result.job.request.path, result.answer, now)
            return
        self._files.inquiry.listing = False
        if result.unread:
            self._sources.once(f"cannot read the checkpoints: {result.unread}")
        if result.files is None:
            self._files.inquiry.fails(now)
        else:
            self._files.listed(result.files, time.time_ns())
            self._look_at = 0.0

    def _share(self, asker: Lane, result: Result, now: float, chance: float) -> None:
        """One list serves all sources of an incarnation that wait for it."""
        for lane in self._sources.lanes.values():
            same = lane.folder is asker.folder is not None and lane is not asker
            if same and lane.sender.state is State.LISTING and not lane.sender.out:
                links = (result.links or {}).get(lane.source.program, ())
                self._perform(lane, lane.sender.listed(links, now, chance))

    def _failed(self, result: Result, now: float) -> None:
        failure = result.failure
        assert failure is not None
        self._doubt(now)
        if failure.stale:
            return
        self._absent = failure.absent
        self._gathering.failed()
        self._watch.pause_seconds = self._gathering.seconds
        self._schedule.failed(now, random.random(), absent=failure.absent)
        self._log.failed(failure.cause, now)
        if failure.slow and isinstance(result.job.request, Send | Push):
            self._pace.timed_out()

    def _look(self, now: float) -> None:
        stopping = self._stop_at is not None  # it may begin to stop at any instruction
        self._files.look(now, busy=now - self._grew_at < BUSY_FOR_SECONDS)
        for lane, held in self._sources.look(now, whole=stopping):
            self._grew_at = now
            self._perform(lane, lane.sender.looked(held, now, random.random()))
        if not stopping:
            removed = self._adopter.removed
            self._adopter.turn(now, random.random(), calm=not self._schedule.failures)
            if self._adopter.removed > removed:
                self._progress_at = now
        self._watch.keep(self._sources.watched)
        busy = now - self._grew_at < BUSY_FOR_SECONDS
        self._look_at = now + (BUSY_SECONDS if busy else IDLE_SECONDS)
        self._looked_for_stop = stopping

    def _grant(self, now: float) -> None:
        if not self._talk.ready:
            if self._talk.asks and self._schedule.free(self._in_flight, now):
                self._in_flight += 1
                self._couriers.put(Job(talk.KEY, self._talk.question(), None, self._pace.timeout_seconds(0)))
            return
        while (wanted := self._files.wants(now)) and self._schedule.free(self._in_flight, now):
            self._in_flight += 1
            seconds = self._pace.timeout_seconds(0)
            if isinstance(wanted, str):
                self._files.inquiry.asks(wanted)
                self._couriers.put(Job(TAIL_KEY, Look(wanted), None, seconds))
            else:
                self._files.inquiry.listing = True
                request = self._talk.list_files(self._files.host, self._files.service)
                self._couriers.put(Job(LIST_KEY, request, None, seconds))
        while self._schedule.free(self._in_flight, now):  # asked first: to look at ten thousand lanes takes a while
            wanting = [lane for lane in self._may_send() if lane.sender.want and not lane.listed_in(self._listing)]
            lane = self._schedule.pick(wanting, self._in_flight, now)
            if lane is None:
                return
            self._perform(lane, lane.sender.granted(self._pace.chunk_bytes, now, random.random()))

    def _may_send(self) -> list[Lane]:
        """The lanes whose turn it may be at all."""
        lanes, own = [*self._sources.lanes.values()], self._sources.own
        if self._stop_at is not None or (own and any(lane.adopted and lane.sender.out for lane in lanes)):
            return self._files.turns(own)
        return self._files.turns(lanes)

    def _perform(self, lane: Lane, commands: AnyCommands) -> None:
        for command in commands:
            self._perform_one(lane, command)

    def _perform_one(self, lane: Lane, command: Command | PlainCommand) -> None:
        if isinstance(command, Say):
            if command.shared:
                self._sources.once(command.text)
                return
            self._log.say("WARNING" if command.trouble else "INFO", command.event, text=command.text)
        elif isinstance(command, Acknowledged):
            lane.acked = command.offset
        elif isinstance(command, Prove):
            if isinstance(lane.source, SpoolSource):
                assert command.digest is not None
                same, held = lane.source.has_digest(command.span, command.digest), None
            else:
                same, held = self._files.proves(lane, command)
            self._perform(lane, lane.sender.proved(same, time.monotonic(), random.random(), held))
        else:
            if isinstance(command, ListChain):
                self._listing.add(command.incarnation)
            size = command.size if isinstance(command, Send | Push) else 0
            self._in_flight += 1
            self._couriers.put(Job(lane.key, command, lane.source, self._pace.timeout_seconds(size)))

    def _status(self, now: float) -> int | None:
        """The exit status when it is time to end."""
        if self._stop_at is not None:
            settled = self._looked_for_stop and all(lane.sender.settled for lane in self._sources.own)
            hopeless = self._absent and self._schedule.failures > 0
            if settled or hopeless or now >= self._stop_at:
                self._log.say("INFO", "stopped", behind_bytes=self._sources.behind_bytes)
                return 0
        elif self._plan.once:
            left = [lane for lane in self._sources.own if not lane.sender.reached(lane.goal or 0)]
            done = not left and not self._sources.waiting and self._adopter.done and not self._files.pending
            if done and not self._adopter.kept:
                self._log.say("INFO", "done")
                return 0
            if done or now - self._progress_at > self._plan.patience_seconds:
                self._say_left(left)
                return 1
        return None

    def _say_left(self, own: list[Lane]) -> None:
        """Why ``once`` failed."""
        told = {"/".join(lane.key): lane.sender.unacknowledged for lane in own[:LEFT_TOLD_MAX]}
        locked = [str(folder.path) for folder in self._sources.waiting]
        orphans = [*dict.fromkeys([*self._adopter.kept, *self._adopter.names])][:LEFT_TOLD_MAX]
        self._log.say("ERROR", "left", bytes=told, locked_by_others=locked, orphans=orphans)
