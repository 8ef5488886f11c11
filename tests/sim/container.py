"""A container: PID 1 with the folder it made and the FIFOs it holds, spool and ship, and programs that write."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from logship.errors import Fault
from logship.ship import run as ship_run
from logship.ship.http_sink import Place
from logship.spool import run as spool_run
from logship.spool.segment import SegmentWriter
from supervise.init import folders
from tests.sim.disk import Inode
from tests.sim.kernel import Os
from tests.sim.paths import sim_path
from tests.sim.plan import ENTRIES, PROGRAMS
from tests.sim.process import OpenFile, Process

if TYPE_CHECKING:
    from tests.sim.world import World

RESTART_SECONDS = 0.2
EVENT_SECONDS = 2.6
DESCRIPTOR_MIN = 256


class Pipe:
    """The FIFO of one program in one life of its container, and the program: it waits when the pipe is full."""

    def __init__(self, inode: Inode, bytes_max: int, noise: Callable[[int], bytes]) -> None:
        self.inode = inode
        self.written = bytearray()  # all that the program has written or wants to
        self._bytes_max = bytes_max
        self._noise = noise
        self._in = 0

    def write(self, size: int) -> None:
        """The program wants to write so much more."""
        self.written += self._noise(size)
        self.fill()

    def fill(self) -> None:
        """As much of it as the pipe takes."""
        room = self._bytes_max - len(self.inode.data)
        piece = self.written[self._in : self._in + room]
        self.inode.data += piece
        self._in += len(piece)

    @property
    def waiting(self) -> int:
        """What the pipe has not taken."""
        return len(self.written) - self._in


class Container:
    """One container over its lives. Its name is its host name."""

    def __init__(self, world: World, name: str, spools: str) -> None:
        self.world = world
        self.name = name
        self.removed = False
        self.running = False
        self.pid1: Process | None = None
        self.spool: Process | None = None
        self.ship: Process | None = None
        self.pipes: dict[str, Pipe] = {}
        self.incarnation = ""
        self._owed: list[tuple[str, int]] = []
        self._spools = sim_path(spools)
        self._fifos = sim_path(f"/run/{name}")
        self._life = 0

    def start(self) -> None:
        """A new life."""
        if self.running or self.removed or self.world.apps_down:
            return
        self.running = True
        self._life += 1
        self.pid1 = self.world.process(f"{self.name} pid1", self.name, self.world.apps)
        self.pid1.linger = 0.0
        self.pid1.start(self._pid1, lambda: None)

    def write(self, program: str, size: int) -> None:
        """A program writes, now or as soon as it runs."""
        pipe = self.pipes.get(program)
        if not self.running or pipe is None:
            self._owed.append((program, size))
            return
        pipe.write(size)
        self._wake(pipe)

    def _wake(self, pipe: Pipe) -> None:
        for task in [*pipe.inode.readers]:
            self.world.engine.wake(task)

    # PID 1.

    def _pid1(self) -> int:
        """What PID 1 does for its life; it ends by being killed."""
        world = self.world
        assert self.pid1 is not None
        while True:
            try:
                spool, _ = folders.make_spool(self._spools, "webapp", self.name, ENTRIES, DESCRIPTOR_MIN)
                self._fifos.mkdir(parents=True, exist_ok=True)
                break
            except (Fault, OSError):  # a full disk; the container is started again
                world.engine.block(RESTART_SECONDS)
        self.incarnation = spool.name
        writer = SegmentWriter(spool / "supervise", world.plan.knobs.spool_segment_bytes, descriptor_min=DESCRIPTOR_MIN)
        world.oracle.begins(self)
        while True:
            try:
                for program in PROGRAMS:
                    self._make_pipe(self.pid1, program)
                break
            except OSError:
                world.engine.block(RESTART_SECONDS)
        self._start_spool(spool)
        self._start_ship(spool)
        for program, size in self._owed:
            self.pipes[program].write(size)
        self._owed.clear()
        number = 0
        while True:
            if not world.over:
                number += 1
                writer.write(b'{"event":"snapshot","n":%d}\n' % number)
            world.engine.block(EVENT_SECONDS)

    def _make_pipe(self, pid1: Process, program: str) -> None:
        world = self.world
        if program in self.pipes:
            return
        path = self._fifos / program
        path.unlink(missing_ok=True)
        folder, _ = world.os.parent(pid1, path)
        folders.make_sink(path, DESCRIPTOR_MIN)
        inode = pid1.fs.create(folder, program, stat.S_IFIFO)
        pid1.add(OpenFile(inode, Os.O_RDWR), DESCRIPTOR_MIN)
        noise = world.chance(f"{self.name} {program} {self._life}")
        pipe = self.pipes[program] = Pipe(inode, world.plan.knobs.pipe_bytes, noise.randbytes)

        def refill() -> None:
            pipe.fill()
            self._wake(pipe)

        def drained(data: bytes, target: Inode, offset: int) -> None:
            world.oracle.drained(self, program, data, target, offset)
            world.engine.after(0.0, refill)

        inode.drained = drained

    def _start_spool(self, spool: Path) -> None:
        settings = self.world.settings(spool, self._fifos)

        def work() -> int:
            try:
                return spool_run.Spool(settings).run()
            except Fault:
                return 1

        self.spool = self._child("spool", work, lambda: self._start_spool(spool))

    def _start_ship(self, spool: Path) -> None:
        world = self.world
        collector = Place("collector", 4437)
        plan = ship_run.Plan(
            collector, (spool,), (self._spools,), self.name, chunk_bytes_max=world.plan.knobs.chunk_bytes
        )

        def work() -> int:
            try:
                return ship_run.Ship(plan).run()
            except Fault:
                return 1

        self.ship = self._child("ship", work, lambda: self._start_ship(spool))

    def _child(self, name: str, work: Callable[[], int], start: Callable[[], None]) -> Process:
        """A program of PID 1, started again when it ends while the container runs."""
        life = self._life
        process = self.world.process(f"{self.name} {name}", self.name, self.world.apps)

        def ended() -> None:
            if self.running and life == self._life and not self._stopping:
                self.world.engine.after(RESTART_SECONDS, again)

        def again() -> None:
            if self.running and life == self._life and not self._stopping:
                start()

        process.start(work, ended)
        return process

    # The end.

    _stopping = False

    def process_to_hit(self, number: int) -> Process | None:
        """One of its processes."""
        return (self.spool, self.ship)[number % 2]

    def kill(self, again: bool) -> None:
        """SIGKILL to all of it: what is in the pipes is gone. ``again``: it is started later; else it is removed."""
        self.power_off()
        self.removed = self.removed or not again
        if again:
            self.world.engine.after(0.5, self.start)

    def power_off(self) -> None:
        """Nothing of it runs any more."""
        for process in (self.pid1, self.spool, self.ship):
            if process is not None:
                process.kill()
        self.world.oracle.ends(self)
        self.running = self._stopping = False
        self.pipes = {}

    def stop(self) -> None:
        """In order: programs end, spool takes what they said, ship sends it, PID 1 ends; then it is started again."""
        if not self.running or self._stopping or self.spool is None or self.ship is None:
            return
        self._stopping = True
        life = self._life
        self._stop_one(self.spool, 3.0, life, lambda: self._stop_ship(life))

    def _stop_ship(self, life: int) -> None:
        assert self.ship is not None
        self._stop_one(self.ship, 4.0, life, lambda: self.kill(again=True))

    def _stop_one(self, process: Process, seconds: float, life: int, then: Callable[[], None]) -> None:
        """SIGTERM, then SIGKILL."""
        engine = self.world.engine
        deadline = engine.now + seconds
        process.signal(15)

        def look() -> None:
            if life != self._life or not self.running:
                return
            if not process.dead and engine.now < deadline:
                engine.after(0.1, look)
                return
            process.kill()
            then()

        look()
