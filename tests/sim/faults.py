"""What goes wrong in a world by its plan: processes and machines end, disks fill and fail, the network parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.sim import judge_lake
from tests.sim.disk import FileSystem, make_folder
from tests.sim.plan import Fault
from tests.sim.process import Process

if TYPE_CHECKING:
    from tests.sim.world import World


class Faults:
    """The hand that does it to one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def strike(self, fault: Fault, number: int) -> None:
        """Do what a plan says; ``number`` is its place there."""
        self._world.tell(f"FAULT {fault.kind} {fault.victim}")
        kind = fault.kind
        if kind in ("kill spool", "kill ship", "kill container", "remove container", "stop container"):
            self._strike_container(fault)
        elif kind in ("kill collect", "kill janitor", "kill follower", "kill seal"):
            self._fuse(getattr(self._world, kind.removeprefix("kill ")), fault, None)
        elif kind == "crash machine":
            victims = [each.process_to_hit(number) for each in self._world.containers.values()]
            self._fuse(victims[number % len(victims)], fault, self._crash_apps)
        elif kind == "crash collector":
            self._fuse(self._world.collect, fault, self._crash_lab)
        elif kind == "crash sealer":
            self._fuse(self._world.seal, fault, self._crash_lab)
        elif kind == "stop collect":
            if self._world.collect is not None:
                self._world.collect.signal(15)
        elif kind == "partition":
            self._partition(fault)
        elif kind in ("full disk", "full store"):
            self._fill(self._world.apps if kind == "full disk" else self._world.lab, fault)
        else:
            assert kind == "failing sync", kind
            self._world.lab.failing_syncs += 1

    def _strike_container(self, fault: Fault) -> None:
        container = self._world.containers[fault.victim]
        process = container.spool if fault.kind == "kill spool" else container.ship
        if fault.kind in ("kill spool", "kill ship"):
            self._fuse(process, fault, None)
        elif fault.kind == "stop container":
            container.stop()
        else:
            again = fault.kind == "kill container"
            self._fuse(process, fault, lambda: container.kill(again))

    def _fuse(self, process: Process | None, fault: Fault, blow: Callable[[], None] | None) -> None:
        """Have it happen so many system calls of this process later; at once when there are none, or no process."""
        if process is None or process.dead:
            if blow is not None:
                blow()
            return
        does, met = blow or process.kill, self._world.met

        def blown() -> None:
            met[fault.kind] += 1
            does()

        process.blow = blown
        if fault.steps:
            process.fuse, process.fuse_call = fault.steps, fault.call
        else:
            process.blow()

    def _partition(self, fault: Fault) -> None:
        name, way = fault.victim.split()
        pairs = {(name, "collector")} if way != "down" else set()
        pairs |= {("collector", name)} if way != "up" else set()
        self._world.network.blocked |= pairs
        self._world.engine.after(fault.seconds, lambda: self._world.network.blocked.difference_update(pairs))

    def _fill(self, fs: FileSystem, fault: Fault) -> None:
        fs.capacity = fs.used + fs.random.choice((0, 300, 2000))

        def free() -> None:
            fs.capacity = 1 << 30

        self._world.engine.after(fault.seconds, free)

    def _crash_apps(self) -> None:
        """The machine of the containers loses power."""
        if self._world.apps_down:
            return
        self._world.apps_down = True
        for container in self._world.containers.values():
            container.power_off()
        for process in (self._world.janitor, self._world.follower):
            if process is not None:
                process.kill()
        self._world.oracle.before_crash()
        self._world.apps.crash()
        self._world.oracle.after_crash()
        if self._world.logfile is not None:
            self._world.logfile.lost_power()
        self._world.tell("the machine of the containers is off")
        self._world.engine.after(1.0, self._boot_apps)

    def _boot_apps(self) -> None:
        self._world.apps_down = False
        make_folder(self._world.apps, "/run")
        self._world.start_janitor()
        self._world.start_follower()
        for container in self._world.containers.values():
            if not container.removed:
                container.start()

    def _crash_lab(self) -> None:
        """The machine of the collector loses power."""
        if self._world.lab_down or self._world.collect is None:
            return
        self._world.lab_down = True
        self._world.collect.kill()
        if self._world.seal is not None:
            self._world.seal.kill()
        self._world.network.dark.add("collector")
        shown = self._world.oracle.shown()
        self._world.lab.crash()
        self._world.tell("the machine of the collector is off")
        self._world.oracle.still_there(shown)
        judge_lake.after_crash(self._world.oracle)
        self._world.engine.after(1.0, self._boot_lab)

    def _boot_lab(self) -> None:
        self._world.lab_down = False
        self._world.network.dark.discard("collector")
        self._world.start_collect()
        self._world.start_seal()
