"""Binding the code under test to a simulated world for a while: the names its modules know the operating system by.

The modules are those of spool, ship and collect that touch anything; cores are bound to nothing, and stay as they are.
Functions keep defaults such as ``clock=time.time``; those are bound, too. Everything is given back at the end.
"""

from __future__ import annotations

import builtins
import contextlib
import datetime as real_datetime
import fcntl
import glob
import importlib
import inspect
import os
import pkgutil
import queue
import random
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import logship.collect
import logship.lake
import logship.ship
import logship.spool
from logship.ship import birth, courier, watch
from logship.spool import reserve
from tests.sim.kernel import Fcntl, Glob, Os
from tests.sim.network import Network
from tests.sim.paths import SimPath
from tests.sim.sockets import SimSocket, Sockets
from tests.sim.threads import (
    Chance,
    Epoll,
    Pool,
    Queues,
    Select,
    Signals,
    SimEvent,
    SimLock,
    SimQueue,
    SimThread,
    Threading,
    Time,
)

LEFT_OUT = {"cli", "fsck", "reserve"}
"""Modules that no world runs; ``reserve`` is replaced where it is used."""

VIEWED = ("logship.view.bodies", "logship.view.journal_reader", "logship.view.segments")
"""Those modules of view through which seal reads the journal that touch anything."""


def _modules() -> list[str]:
    """Every module of spool, ship and collect: one that is new is bound, too."""
    packages = (logship.spool, logship.ship, logship.collect, logship.lake)
    names = [
        f"{package.__name__}.{each.name}" for package in packages for each in pkgutil.iter_modules(package.__path__)
    ]
    kept = [name for name in names if name.rpartition(".")[2] not in LEFT_OUT]
    return ["logship.files", *kept, *VIEWED, "supervise.init.folders"]


_ABSENT = object()


class World:
    """What the names are bound to."""

    def __init__(self, os: Os, network: Network) -> None:
        self.os = os
        self.network = network
        self.fcntl = Fcntl(os)
        self.glob = Glob(os)
        self.time = Time(os)
        self.chance = Chance(os)
        self.signals = Signals(os)
        self.sockets = Sockets(os)
        SimPath.os = SimThread.os = Pool.os = Epoll.os = os
        SimQueue.engine = SimLock.engine = SimEvent.engine = os.engine
        SimSocket.network = network


class SimCourier(courier.Courier):
    """ship's courier, as a thread of its simulated process."""

    def start(self) -> None:
        """Begin."""
        os = SimThread.os
        os.engine.spawn(os.process, self.run, "courier")


class SimWatch:
    """ship's watch, deaf: a wake-up is a hint, and looks by the clock must do."""

    def __init__(self, _wake: Any) -> None:
        self.pause_seconds = 0.0

    def keep(self, _wanted: Any) -> None:
        """Nothing is watched."""


def _values(world: World) -> dict[int, Any]:
    """What each real thing is replaced by, by the real one's id."""

    class Moment(real_datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(world.time.time(), tz)

    def keep(descriptor: int, offset: int, size: int) -> None:
        process = world.os.enter()
        process.fs.reserve(process.files[descriptor].inode, offset + size)

    def punch(_descriptor: int, _offset: int, _size: int) -> None:
        """Memory is not counted here."""

    pairs = [
        (os, world.os), (fcntl, world.fcntl), (time, world.time), (random, world.chance), (select, Select),
        (signal, world.signals), (socket, world.sockets), (threading, Threading), (queue, Queues), (Path, SimPath),
        (queue.SimpleQueue, SimQueue), (ThreadPoolExecutor, Pool), (courier.Courier, SimCourier),
        (watch.Watch, SimWatch), (reserve.reserve, keep), (reserve.punch, punch), (glob, world.glob),
        (birth.birth_ns, world.os.birth_ns), (real_datetime.datetime, Moment), (time.time, world.time.time),
        (time.monotonic, world.time.monotonic),
    ]  # fmt: skip
    return {id(real): fake for real, fake in pairs}


@lru_cache
def _places() -> tuple[list[tuple[Any, str, int]], list[tuple[Any, Any]]]:
    """Where the modules hold something of the operating system: names in modules, defaults of functions."""
    reals = [
        os, fcntl, time, random, select, signal, socket, threading, queue, Path, queue.SimpleQueue, ThreadPoolExecutor,
        courier.Courier, watch.Watch, reserve.reserve, reserve.punch, glob, birth.birth_ns, real_datetime.datetime,
        time.time, time.monotonic,
    ]  # fmt: skip
    known = {id(real) for real in reals}
    names: list[tuple[Any, str, int]] = []
    defaults: list[tuple[Any, Any]] = []
    for module in map(importlib.import_module, _modules()):
        for name, value in vars(module).items():
            if id(value) in known and not (module is courier and name == "Courier"):
                names.append((module, name, id(value)))
        own = [each for each in vars(module).values() if getattr(each, "__module__", "") == module.__name__]
        functions = [each for each in own if inspect.isfunction(each)]
        functions += [
            each for kind in own if inspect.isclass(kind) for each in vars(kind).values() if inspect.isfunction(each)
        ]
        for function in functions:
            if any(id(value) in known for value in function.__defaults__ or ()):
                defaults.append((function, function.__defaults__))
    return names, defaults


def ready() -> None:
    """Import all that is to be bound."""
    _places()


@contextlib.contextmanager
def bound(world: World, patches: Mapping[tuple[Any, str], Any]) -> Iterator[None]:
    """Bind for as long as the block runs; ``patches`` are further attributes to be set meanwhile: settings, faults."""
    values = _values(world)
    names, defaults = _places()
    kept = [(owner, name, vars(owner)[name]) for owner, name, _ in names]
    for owner, name in patches:
        assert hasattr(owner, name) or hasattr(builtins, name), f"{owner} has no {name} to be set: it is elsewhere now"
    kept += [(owner, name, vars(owner).get(name, _ABSENT)) for owner, name in patches]
    try:
        for owner, name, real in names:
            setattr(owner, name, values[real])
        for function, given in defaults:
            function.__defaults__ = tuple(values.get(id(value), value) for value in given)
        for (owner, name), value in patches.items():
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(kept):
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        for function, given in defaults:
            function.__defaults__ = given
