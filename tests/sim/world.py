"""One simulated world: two machines, containers with their programs, a collector, and what a plan does to them.

The production code of PID 1's spool folder, of spool, ship and collect runs in it, whole: their runs, edges and cores.
Simulated are the operating system below them, the programs above, and who starts what ended: here it is started again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Any

from logship import zstd
from logship.collect import commit, gate, reader, retention, server, store, waiting
from logship.collect import run as collect_run
from logship.collect.gate import Bounds as GateBounds
from logship.config import Settings
from logship.errors import Fault as LogshipFault
from logship.lake import run as lake_run
from logship.ship import adoption, sources
from logship.ship import run as ship_run
from logship.ship.http_sink import Place
from logship.spool import acked
from tests.sim import sealing
from tests.sim.bind import World as Bound
from tests.sim.container import Container
from tests.sim.disk import FileSystem, make_folder
from tests.sim.engine import Engine
from tests.sim.faults import Faults
from tests.sim.kernel import Os
from tests.sim.logfile import LogFile
from tests.sim.loop import SimLoop
from tests.sim.network import Fate, Network
from tests.sim.oracle import Oracle
from tests.sim.ordered import Ordered, OrderedState
from tests.sim.paths import sim_path
from tests.sim.plan import Change, Plan
from tests.sim.process import Process
from tests.sim.quiet import Quiet
from tests.sim.reader import Reader
from tests.sim.violation import Violation

SPOOLS = "/spool/webapp"
STORE = "/lib/store"
FILES = "/files"
COLLECTOR = ("collector", 4437)
RESTART_SECONDS = 0.3
_decode = lru_cache(1024)(zstd.decode)
"""The same bytes are decoded by the collector, its readers and the oracle; what they are is asked once."""
REST_SECONDS_MAX = 1500.0
"""In this time after the last fault all must have arrived: a parked source takes 66 s, an orphan set aside 600 s."""


class World:
    """The world of one plan. ``play`` runs it to its end; raises Violation."""

    def __init__(self, plan: Plan, tell: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.engine = Engine()
        self.os = Os(self.engine)
        self.met: Counter[str] = Counter()  # what happened in it, how often
        self._tell = tell
        self._pids = 100
        self.apps = self._machine("apps")
        self.lab = self._machine("lab")
        self.network = Network(self.os, self.chance("network"), dict(plan.fates))
        self.network.met = self.met
        self.network.latency_max = plan.knobs.latency
        self.network.told = self._fated
        self.bound = Bound(self.os, self.network)
        self.oracle = Oracle(self)
        self.faults = Faults(self)
        self.quiet = type(
            "Log", (Quiet,), {"tell": staticmethod(self.tell), "fail": staticmethod(self.oracle.fail), "met": self.met}
        )
        self.containers: dict[str, Container] = {}
        self.collect: Process | None = None
        self.janitor: Process | None = None
        self.follower: Process | None = None
        self.seal: Process | None = None
        self.logfile: LogFile | None = None
        self.apps_down = self.lab_down = False
        self.over = False  # no more faults
        for fs, paths in ((self.apps, (SPOOLS, "/run")), (self.lab, ("/lib",))):
            for path in paths:
                make_folder(fs, path)
            fs.written = self.oracle.written if fs is self.apps else fs.written
        self.lab.removed = self.oracle.removed

        if plan.files:
            folder = make_folder(self.apps, FILES)
            self.logfile = LogFile(self.apps, folder, self.chance("files").randbytes, lambda: self.engine.now)

    def chance(self, name: str) -> Random:
        """A source of chance of its own, so that leaving out one thing changes little of another."""
        return Random(f"{self.plan.seed} {name}")

    def tell(self, text: str) -> None:
        """Something for the history."""
        if self._tell is not None:
            self._tell(f"{self.engine.now:9.4f}  {text}")

    def patches(self) -> dict[tuple[Any, str], Any]:
        """Settings that production code has as constants."""
        knobs = self.plan.knobs
        lake = sealing.patches(self.quiet) if self.plan.seals else {}
        return {
            **lake,
            (zstd, "decode"): _decode,
            (reader, "TAIL_BYTES"): knobs.tail_bytes,
            (acked, "KEEP_BYTES"): max(knobs.keep_bytes, knobs.tail_bytes),
            (ship_run, "IDLE_SECONDS"): knobs.look_seconds,
            (ship_run, "BUSY_SECONDS"): knobs.look_seconds * 0.6,
            (ship_run, "Log"): self.quiet,
            (sources, "container_id"): lambda host: host,
            (adoption, "SIBLING_SECONDS"): knobs.orphans_wait,
            (adoption, "OTHER_SECONDS"): 4 * knobs.orphans_wait,
            (collect_run, "CHORE_SECONDS"): sealing.CHORE_SECONDS if lake else 20.0,
            (collect_run, "print"): lambda *_, **__: None,
            (server, "ServerState"): OrderedState,
            (gate, "set"): Ordered,
            (waiting, "set"): Ordered,
        }

    # Playing.

    def play(self) -> None:
        """All of it, then rest, then judgement. Raises Violation."""
        plan, engine = self.plan, self.engine
        self.start_collect()
        self.start_seal()
        self.start_janitor()
        self.start_follower()
        self.process("reader", "reader", self.lab).start(Reader(self, Place(*COLLECTOR)).run, lambda: None)
        for name in plan.containers:
            self.containers[name] = Container(self, name, SPOOLS)
            self.containers[name].start()
        for write in plan.writes:
            engine.at(write.at, partial(self.containers[write.container].write, write.program, write.size))
        for change in plan.files:
            engine.at(change.at, partial(self._change, change))
        for number, fault in enumerate(plan.faults):
            engine.at(fault.at, partial(self.faults.strike, fault, number))
        engine.run(plan.seconds)
        self._end_of_faults()
        deadline = plan.seconds + REST_SECONDS_MAX
        engine.run(plan.seconds + 1.0)
        while not self.oracle.at_rest():
            if engine.now >= deadline:
                raise Violation(
                    "progress", f"not at rest {REST_SECONDS_MAX:g} s after the last fault: {self.oracle.left()}"
                )
            engine.run(engine.now + 0.5)
        self.oracle.judge()
        last = self.process("reader", "reader", self.lab)
        last.start(Reader(self, Place(*COLLECTOR)).read_all, lambda: None)
        engine.run(engine.now + 60.0, lambda: last.dead)

    def end(self) -> None:
        """Let all processes end, so that nothing of this world lives on."""
        for process in [*self.os.processes.values()]:
            process.kill()
        self.engine.run(self.engine.now)

    def process(self, name: str, host: str, fs: FileSystem) -> Process:
        """A new process."""
        self._pids += 1
        fresh = Process(self.engine, name, host, fs, self.chance(f"{name} {self._pids}"))
        fresh.pid = self._pids
        fresh.met = self.met
        self.met[f"{fresh.kind} started"] += 1
        fresh.linger = 0.0 if self.over else self.plan.knobs.linger
        self.os.processes[fresh.pid] = fresh
        return fresh

    # The collector's machine.

    def start_collect(self) -> None:
        """Start the collector where it does not run."""
        if self.lab_down or (self.collect is not None and not self.collect.dead):
            return
        knobs = self.plan.knobs
        bounds = commit.Bounds(disk_free_min=0, segment_bytes_max=knobs.store_segment_bytes)
        kept = retention.Policy(sealed_bytes=self.plan.seals or None)
        settings = store.Settings(bounds=bounds, policy=kept, cache_bytes_max=4096)
        plan = collect_run.Plan(sim_path(STORE), "collector:4437", settings, GateBounds())
        process = self.collect = self.process("collect", "collector", self.lab)

        def work() -> int:
            loop = SimLoop(self.os)
            try:
                return loop.run_until_complete(collect_run._collect(plan, self.quiet()))
            except LogshipFault as fault:
                self.oracle.faulted(fault)
                return 1

        self.tell("collect starts")
        process.start(work, lambda: self.engine.after(RESTART_SECONDS, self.start_collect))

    def start_seal(self) -> None:
        """Start the sealer of the collector's machine, where the plan has one and it does not run."""
        if not self.plan.seals or self.lab_down or (self.seal is not None and not self.seal.dead):
            return
        process = self.seal = self.process("seal", "collector", self.lab)

        def work() -> int:
            try:
                return lake_run.run(lake_run.Plan(sim_path(STORE)))
            except LogshipFault as fault:
                self.oracle.seal_faulted(fault)
                return 1

        process.start(work, lambda: self.engine.after(RESTART_SECONDS, self.start_seal))

    def start_janitor(self) -> None:
        """Start the shipper that has no folder of its own, as the collector's container has one."""
        plan = ship_run.Plan(Place(*COLLECTOR), (), (sim_path("/spool"),), chunk_bytes_max=self.plan.knobs.chunk_bytes)
        self.janitor = self.process("janitor", "collector", self.apps)
        self.janitor.start(lambda: ship_run.Ship(plan).run(), lambda: self._again(self.start_janitor))

    def start_follower(self) -> None:
        """Start the shipper of files, as a machine without containers has one."""
        if self.logfile is None:
            return
        plan = ship_run.Plan(
            Place(*COLLECTOR), (), follow=(f"{FILES}/*.log",), chunk_bytes_max=self.plan.knobs.chunk_bytes
        )
        self.follower = self.process("follower", "machine", self.apps)
        self.follower.start(lambda: ship_run.Ship(plan).run(), lambda: self._again(self.start_follower))

    def _change(self, change: Change) -> None:
        assert self.logfile is not None
        if not self.apps_down and self.logfile.do(change.kind, change.size):
            self.met[f"file: {change.kind}"] += 1

    def _again(self, start: Callable[[], None]) -> None:
        if not self.apps_down:
            self.engine.after(RESTART_SECONDS, start)

    def _end_of_faults(self) -> None:
        """From now on everything works."""
        self.tell("END OF FAULTS")
        self.over = True
        ship_run.IDLE_SECONDS, ship_run.BUSY_SECONDS = 1.0, 0.2  # for as long as the names are bound to this world
        self.network.fates.clear()
        self.network.blocked.clear()
        self.network.latency_max = 0.005
        self.apps.capacity = self.lab.capacity = 1 << 30
        self.apps.failing_syncs = self.lab.failing_syncs = 0
        for process in self.os.processes.values():
            process.fuse, process.linger = 0, 0.0
        self.start_collect()
        self.start_seal()

    def _fated(self, number: int, fate: Fate, data: bytes) -> None:
        self.tell(f"FATE of request {number} ({data[:70].split(bytes([13]))[0].decode('latin-1')}): {fate}")

    def _machine(self, name: str) -> FileSystem:
        fs = FileSystem(self.chance(f"disk of {name}"), lambda: self.engine.now, device=51 + (name == "lab"))
        fs.met = self.met
        fs.torn = name == "lab" or self.plan.knobs.torn
        return fs

    def settings(self, spool: Path, fifos: Path) -> Settings:
        """Of spool."""
        knobs = self.plan.knobs
        return Settings(
            fifo_dir=fifos,
            spool=spool,
            copy_to="",
            segment_bytes=knobs.spool_segment_bytes,
            spool_bytes_max=knobs.spool_bytes_max,
            spool_container_bytes_max=0,
            spool_volume_bytes_max=0,
        )
