"""What a contract is tried on: the simulated operating system, and the real one. Bodies are the same for both.

A body gets ``os``, ``fcntl``, ``socket`` ... as the code under test would have them bound, and a folder to work in.
"""

from __future__ import annotations

import asyncio
import fcntl
import glob
import os
import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from logship.ship import birth
from tests.sim import bind
from tests.sim.disk import FileSystem, make_folder
from tests.sim.engine import Engine
from tests.sim.kernel import Os
from tests.sim.loop import SimLoop
from tests.sim.network import Network
from tests.sim.paths import sim_path
from tests.sim.process import Process
from tests.sim.sockets import SimSocket
from tests.sim.threads import Queues, Select, Threading

Body = Callable[[Any], object]
WAIT_SECONDS = 60.0


class Untapped:
    """A network of which nobody takes note."""

    def asked(self, _data: bytes) -> None:
        """Nothing of interest."""

    def answered(self, *_: object) -> None:
        """Nothing of interest."""


class Fake:
    """The simulated one."""

    name = "simulated"

    def __init__(self) -> None:
        self.engine = Engine()
        system = Os(self.engine)
        self.fs = FileSystem(Random(0), lambda: self.engine.now, device=51)
        make_folder(self.fs, "/work")
        network = Network(system, Random(1), {})
        network.tap = Untapped()  # type: ignore[assignment]  # as much as is called
        world = bind.World(system, network)
        self.world = SimpleNamespace(
            os=system, fcntl=world.fcntl, time=world.time, socket=world.sockets, threading=Threading, queue=Queues,
            select=Select, root=sim_path("/work"), glob=world.glob, birth_ns=system.birth_ns, until=self._until,
            serve=self._serve,
        )  # fmt: skip
        self.process = self._process("client")

    def run(self, body: Body) -> None:
        """Run the body as a program; its error is raised."""
        failures: list[BaseException] = []

        def work() -> int:
            try:
                body(self.world)
            except AssertionError as error:
                failures.append(error)
            except Exception as error:
                failures.append(error)
            return 0

        self.process.start(work, lambda: None)
        self.engine.run(3600.0, lambda: self.process.dead)
        for failure in failures:
            raise failure
        assert self.process.dead, "the body waits for ever"

    def end(self) -> None:
        """All processes end."""
        for process in [*self.world.os.processes.values()]:
            process.kill()
        self.engine.run(self.engine.now)

    def _process(self, host: str) -> Process:
        process = Process(self.engine, host, host, self.fs, Random(host))
        process.pid = 100 + len(self.world.os.processes)
        self.world.os.processes[process.pid] = process
        return process

    def _until(self, condition: Callable[[], object]) -> None:
        deadline = self.engine.now + WAIT_SECONDS
        while not condition():
            assert self.engine.now < deadline, "it does not come"
            self.engine.block(0.01)

    def _serve(self, factory: Callable[[], asyncio.Protocol]) -> tuple[str, int]:
        place = ("server", 4437)
        ready: list[bool] = []

        async def serve() -> None:
            listener = SimSocket()
            listener.bind(place)
            loop: Any = asyncio.get_running_loop()
            await loop.create_server(factory, sock=listener)
            ready.append(True)
            await loop.create_future()

        def work() -> int:
            SimLoop(self.world.os).run_until_complete(serve())
            return 0

        self._process("server").start(work, lambda: None)
        self._until(lambda: ready)
        return place


class Real:
    """The real one."""

    name = "real"

    def __init__(self, folder: Path) -> None:
        self.world = SimpleNamespace(
            os=os, fcntl=fcntl, time=time, socket=socket, threading=threading, queue=queue, select=select, root=folder,
            glob=glob, birth_ns=birth.birth_ns, until=self._until, serve=self._serve,
        )  # fmt: skip
        self._loops: list[tuple[asyncio.AbstractEventLoop, threading.Thread]] = []

    def run(self, body: Body) -> None:
        """Run the body."""
        body(self.world)

    def end(self) -> None:
        """Servers end."""
        for loop, thread in self._loops:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(WAIT_SECONDS)
            loop.close()

    def _until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it does not come"
            time.sleep(0.002)

    def _serve(self, factory: Callable[[], asyncio.Protocol]) -> tuple[str, int]:
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(loop.create_server(factory, "127.0.0.1", 0))
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        self._loops.append((loop, thread))
        host, port = server.sockets[0].getsockname()
        return str(host), int(port)


Machine = Fake | Real
