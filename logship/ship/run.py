"""Run: one loop over sources, senders and two couriers. It keeps no state that it could not ask the collector for.

Of a server that cannot be asked (``talk``) the couriers keep it in checkpoints. What is out, and what the answers say
of the collector as a whole, is ``traffic``'s.

The container's own lines come first: of the two requests that may be out, one at most is of an adopted folder, and none
is begun while it stops.

Sources are looked at when they say that they grow (``watch``), and every 50 ms while something does, every 200 ms else.
Lines are gathered for 20 to 50 ms, or longer where appends are slow (``Gathering``). Each turn of the loop takes the
answers that came, looks, notes acknowledgements for spool, and gives turns to senders (``turns``).
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
from functools import partial
from queue import Empty

from logship.errors import Fault
from logship.ship.adopter import Adopter
from logship.ship.courier import Result
from logship.ship.discover import SpoolSource
from logship.ship.files import Files
from logship.ship.folder import SpoolFolder
from logship.ship.inquiry import LIST_KEY, TAIL_KEY
from logship.ship.log import Log
from logship.ship.plain_states import PlainCommand, Push
from logship.ship.plan import SERVICE, Plan, declared
from logship.ship.sources import AnyCommands, Lane, Sources
from logship.ship.states import Acknowledged, Command, ListChain, Prove, Say, Send, State
from logship.ship.talk import SPEECH_KEY, tell
from logship.ship.traffic import Traffic
from logship.ship.turns import Turns
from logship.ship.watch import Watch
from logship.spool.instance import part
from logship.wire.requests import Look

BUSY_SECONDS = 0.05
IDLE_SECONDS = 0.2
BUSY_FOR_SECONDS = 1.0
LOOK_SHARE, PAUSE_SECONDS_MAX = 4, 1.0
"""On a busy machine, where a look takes longer than it should, so many times as long is for sending, up to a second."""
LEFT_TOLD_MAX = 20


__all__ = ["Plan", "Ship"]


class Ship:
    """The process. Raises Fault where it cannot begin."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._log = Log()
        self._sources = Sources([SpoolFolder(path) for path in plan.spools], plan.instance, self._log.say)
        self._traffic = Traffic(plan, self._sources, self._log, self._doubt)
        self._turns = Turns(self._sources, self._traffic.schedule)
        self._own = [each for each in self._sources.given if each.identity["host"] == self._sources.host]
        service = plan.service or next((each.identity["service"] for each in self._own), SERVICE)
        patterns = [*plan.follow, *declared(self._own)]
        host, forget = part(self._sources.host), self._turns.forget
        self._files = Files(patterns, service, host, self._sources, forget, plan.once)
        self._turns.of_files = self._files.turns
        self._adopter = Adopter(plan.adopt, self._sources, self._log.say, forget, plan.once)
        self._results = self._traffic.results
        self._watch = Watch(partial(self._results.put, None))
        self._hung_up = False  # SIGHUP came
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
        self._traffic.start()
        more = {"adopt": list(map(str, self._plan.adopt))} if self._plan.adopt else {}
        if self._files.patterns:
            more["follow"] = [*self._files.patterns]
        self._log.say("INFO", "started", to=self._traffic.place.url, spools=list(map(str, self._plan.spools)), **more)
        while True:
            self._take_results(time.monotonic())
            self._watch.pause_seconds = self._traffic.gathering.seconds
            now = time.monotonic()
            if self._hung_up:
                self._read_again(now)
            if now >= self._look_at:
                self._look(now)
            for lane, commands in self._traffic.settle(now, random.random()):
                self._perform(lane, commands)
            self._grant(now)
            self._log.summary(now, lambda: self._sources.behind_bytes)
            if not self._plan.once:
                server = {"server": "plain"} if self._traffic.talk.plain else {}
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
            moved = self._traffic.go_to(given.place)
        except Fault as fault:
            self._log.say("ERROR", "settings refused", text=f"{fault}; what was read before stays")
            return
        self._files.follow([*given.follow, *declared(self._own)])
        if moved:
            self._traffic.move(given.place)
            self._doubt(now)
        self._log.say("INFO", "settings read", to=given.place.url, follow=[*self._files.patterns])

    def _doubt(self, now: float) -> None:
        """What is behind the name of the collector may be another one."""
        self._traffic.talk.doubt()
        self._files.doubt()
        for lane in self._sources.lanes.values():
            self._perform(lane, lane.sender.doubted(now, random.random()))

    def _take_results(self, now: float) -> None:
        """Wait for what comes first, an answer or the next look, and take all answers there are."""
        due = self._look_at
        if now < self._traffic.schedule.held_until:
            due = min(due, self._traffic.schedule.held_until)
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
        now, chance = time.monotonic(), random.random()
        self._traffic.came(result, now, chance)
        if result.job.key == SPEECH_KEY:
            if result.failure is not None:
                self._traffic.failed(result, now, chance)
            self._traffic.talk.answered(result.answer)
            return
        if result.job.key in (LIST_KEY, TAIL_KEY):
            self._take_files(result, now, chance)
            return
        lane, request, answer = self._sources.lanes[result.job.key], result.job.request, result.answer
        if isinstance(request, ListChain):
            self._turns.listing.discard(request.incarnation)
        if answer is not None and isinstance(request, Send | Push) and answer.status < 300:
            lane.sent += result.size
            self._progress_at = now
        self._perform(lane, tell(lane, result, now, chance))
        if result.failure is not None:
            self._traffic.failed(result, now, chance)
        elif result.links is not None and answer is not None and answer.status == 200:
            self._share(lane, result, now, chance)

    def _take_files(self, result: Result, now: float, chance: float) -> None:
        """Which files of this host the collector knows, or how a stream of one ends."""
        if result.failure is not None:
            self._traffic.failed(result, now, chance)
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

    def _look(self, now: float) -> None:
        stopping = self._stop_at is not None  # it may begin to stop at any instruction
        self._files.look(now, busy=now - self._grew_at < BUSY_FOR_SECONDS)
        for lane, held in self._sources.look(now, whole=stopping):
            self._grew_at = now
            self._perform(lane, lane.sender.looked(held, now, random.random()))
        for lane in self._turns.awake:
            self._perform(lane, lane.sender.tick(now, random.random()))
        if not stopping:
            removed = self._adopter.removed
            self._adopter.turn(now, random.random(), calm=not self._traffic.schedule.failures)
            if self._adopter.removed > removed:
                self._progress_at = now
        self._watch.keep(self._sources.watched)
        self._sources.note_acked(now)
        self._turns.looked()
        self._turns.own_only = stopping
        busy = now - self._grew_at < BUSY_FOR_SECONDS
        pause = max(BUSY_SECONDS if busy else IDLE_SECONDS, LOOK_SHARE * (time.monotonic() - now))
        self._look_at = time.monotonic() + min(pause, PAUSE_SECONDS_MAX)
        self._looked_for_stop = stopping

    def _grant(self, now: float) -> None:
        traffic = self._traffic
        if not traffic.talk.ready:
            traffic.ask_speech(now)
            return
        while (wanted := self._files.wants(now)) and traffic.free(now):
            if isinstance(wanted, str):
                self._files.inquiry.asks(wanted)
                traffic.put(TAIL_KEY, Look(wanted))
            else:
                self._files.asks_list()
                traffic.put(LIST_KEY, traffic.talk.list_files(self._files.host, self._files.service))
        while traffic.free(now) and (lane := self._turns.next()) is not None:
            traffic.schedule.pick([lane], traffic.in_flight, now)
            self._perform(lane, lane.sender.granted(traffic.pace.chunk_bytes, now, random.random()))

    def _perform(self, lane: Lane, commands: AnyCommands) -> None:
        self._turns.woke(lane)
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
                self._turns.listing.add(command.incarnation)
            self._traffic.put(lane.key, command, lane.source)

    def _status(self, now: float) -> int | None:
        """The exit status when it is time to end."""
        if self._stop_at is not None:
            settled = self._looked_for_stop and all(lane.sender.settled for lane in self._sources.own)
            if settled or self._traffic.hopeless or now >= self._stop_at:
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
