"""Run: ``logship collect``: open the store, accept, keep what is to be kept, stop in order.

Everything ends in order on SIGTERM and SIGINT: requests that run are answered (5 s at most), the rest is refused.
When the disk fails, nothing more is taken and the process ends with 1: whoever starts it again makes it recover.
"""

from __future__ import annotations

import asyncio
import resource
import signal
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import uvloop

from logship.collect.damage import Place
from logship.collect.follow import Follower
from logship.collect.gate import Bounds, Gate
from logship.collect.http import App
from logship.collect.log import Log
from logship.collect.server import Server, listen
from logship.collect.store import Settings, Store

STOP_SECONDS = 5.0
CHORE_SECONDS = 5.0
RETENTION_SECONDS = 60.0
DESCRIPTORS_BESIDE = 512
"""Descriptors that are not connections: segments, sockets that linger, the libraries' own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: where the store is, where to listen, with which bounds."""

    store: Path
    listen: str
    settings: Settings = Settings()
    bounds: Bounds = Bounds()
    allow_origin: str = ""


def run(plan: Plan) -> int:
    """Collect until told to stop; the exit status. Raises Fault for a store or an address that cannot be had."""
    log = Log()
    plan = replace(plan, settings=_with_descriptors(plan.settings, log))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_collect(plan, log))


async def _collect(plan: Plan, log: Log) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: log.mishap(context["message"], context.get("exception")))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sockets, address = listen(plan.listen)
    store = await Store.open(plan.store, plan.settings, on_damage=partial(tell_damage, log))
    try:
        _tell_recovered(store, log)
        gate = Gate(plan.bounds, plan.settings.limits.connections_max)
        app = App(store, gate, log, Follower(store, gate), plan.allow_origin)
        server = Server(app, gate, plan.settings.limits, sockets)
        broken = loop.create_task(store.broken())
        if not stop.is_set():
            await server.start()
            print(f"logship collect: accepting on http://{address}, store {plan.store}", flush=True)
            log.say("INFO", "accepting", address=address, store=str(plan.store))
        chores = loop.create_task(_chores(store, log))
        stopped = loop.create_task(stop.wait())
        await asyncio.wait((stopped, broken, chores), return_when=asyncio.FIRST_COMPLETED)
        clean = await server.stop(STOP_SECONDS)
        chores.cancel()
        stopped.cancel()
    finally:
        for listener in sockets:
            listener.close()
        await store.close()
    failure = await broken
    if failure is not None:
        raise failure
    log.say("INFO" if clean else "WARNING", "stopped", all_answered=clean)
    return 0


async def _chores(store: Store, log: Log) -> None:
    """Delete what may go; tell when intake stops for want of room, and what is wrong with the lake."""
    loop = asyncio.get_running_loop()
    accepting, fault, due = True, None, loop.time() + RETENTION_SECONDS
    while True:
        await asyncio.sleep(CHORE_SECONDS)
        if await store.is_due() or loop.time() >= due:
            due = loop.time() + RETENTION_SECONDS
            log.tick()
            deleted = await store.retain()
            if deleted:
                log.say("INFO", "deleted", segments=deleted, journal_bytes=store.health()["journal_bytes"])
        health = store.health()
        if health["lake_fault"] != fault:
            fault = health["lake_fault"]
            _tell_lake(fault, log)
        if bool(health["accepting"]) != accepting:
            accepting = bool(health["accepting"])
            log.say("INFO" if accepting else "WARNING", "room" if accepting else "no_room", **health)


def _tell_lake(fault: object, log: Log) -> None:
    if fault is None:
        log.say("INFO", "lake", cause="it is as it should be again")
    else:
        hint = "what only the journal is sure to have is kept meanwhile; see to the lake, or move it away"
        log.say("ERROR", "lake", cause=fault, hint=hint)


def _tell_recovered(store: Store, log: Log) -> None:
    torn = store.recovered.torn
    health = store.health()
    if torn is not None:
        log.say("WARNING", "torn_tail", lsn=torn.lsn, bytes=torn.dropped_bytes, cause="a crash in the midst of a write")
    if store.recovered.unwitnessed:
        cause = "store/durable does not say how far the journal was durable (damaged, or emptied by a loss of power)"
        hint = "an end of the journal that somebody cut off cannot be told; compare with the sources: `logship verify`"
        log.say("WARNING", "no_watermark", cause=cause, hint=hint)
    log.say("INFO", "opened", streams=health["streams"], segments=health["segments"], lsn=health["lsn"])


def tell_damage(log: Log, place: Place) -> None:
    """A read met a damaged place for the first time."""
    hint = "everything before and behind it is served; `logship fsck` finds all there is, and says what to do"
    log.say("ERROR", "damage", **place.record(), hint=hint)


def _with_descriptors(settings: Settings, log: Log) -> Settings:
    """Raise the limit of open files; where it stays too low for ``connections_max``, take fewer connections."""
    limits = settings.limits
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections_max + DESCRIPTORS_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings
    fewer = max(16, soft - DESCRIPTORS_BESIDE)
    log.say("WARNING", "fewer_connections", connections_max=fewer, open_files=soft)
    return replace(settings, limits=replace(limits, connections_max=fewer))
