"""The steps of the walk: what each does to the running stack, and what is measured while it does.

A run: it waits, with bounds. The order of the steps, and what is written down after each, is in ``run.py``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from logship.errors import Fault
from supervise.evidence import collect
from supervise.evidence.load import Load
from supervise.evidence.statistics import Watch
from supervise.evidence.tally import Outcome
from supervise.evidence.values import StepRecord, Timing, host_of, is_out, name_of
from supervise.fleet.container import Container

if TYPE_CHECKING:
    from supervise.evidence.run import Walk

NODES_DOWN = 2
NODES_SMALL = 3
LOAD_SECONDS_MAX = 400.0
"""A load outlasts the change that happens under it; a slow machine gets more, see ``_loaded``."""
SERVING_SECONDS = 60.0
OUT_SECONDS = 20.0
KINDS = {"keep-alive": 4, "close": 4, "slow": 4, "sticky": 8}


class Deeds:
    """Each step is a method; it fills its record and raises Fault where the stack did not do what it should."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._stack = walk.stack

    def start(self, record: StepRecord) -> None:
        record.did = f"Nothing was changed: {len(self._stack.nodes())} web nodes were running."
        self._walk.known(self._stack.nodes())
        collect.found(self._walk)

    def up(self, record: StepRecord, count: int) -> None:
        before = {host_of(item) for item in self._stack.nodes()}
        record.did = f"`make scale NODES={count}` under load, from {len(before)} nodes."
        with self._loaded(record) as (load, watch):
            began = time.monotonic()
            self._stack.scale(count)
            ended = time.monotonic()
            new = {host_of(item): item for item in self._stack.nodes() if host_of(item) not in before}
            self._walk.known(list(new.values()))
            first = self._served(load, set(new))
            self._time("up", f"`make scale NODES={count}`, the command", ended - began)
            self._time("up", "its end until every node had answered (0: before its end)", max(first.values()) - ended)
            self._joined("up", first, new, watch)

    def down(self, record: StepRecord) -> None:
        before = self._stack.nodes()
        record.did = f"`make scale NODES={NODES_DOWN}` under load, from {len(before)} nodes."
        with self._loaded(record) as (load, _):
            began = time.monotonic()
            self._stack.scale(NODES_DOWN)
            self._time("down", f"`make scale NODES={NODES_DOWN}`, the command", time.monotonic() - began)
            left = {item.id for item in self._stack.nodes()}
            gone = [item for item in before if item.id not in left]
            load.gone(*map(host_of, gone))
            record.gone = [name_of(item) for item in gone]

    def join(self, record: StepRecord) -> None:
        record.did = f"`make scale NODES={NODES_SMALL}`, one node more; two quiet clients look for its first answer."
        before = {host_of(item) for item in self._stack.nodes()}
        with Watch(self._stack.statistics_url()) as watch, self._quiet() as load:
            self._stack.scale(NODES_SMALL)
            new = {host_of(item): item for item in self._stack.nodes() if host_of(item) not in before}
            self._walk.known(list(new.values()))
            self._joined("join", self._served(load, set(new)), new, watch)
            self._clean(load.stop())

    def stop(self, record: StepRecord) -> None:
        node = self._stack.nodes()[-1]
        record.did = f"`docker stop` of {name_of(node)} under load."
        record.gone = [name_of(node)]
        with self._loaded(record) as (load, watch):
            load.gone(host_of(node))
            began = time.monotonic()
            self._stack.docker("stop", node.id)
            ended = time.monotonic()
            out = self._out(watch, node, began)
        status = self._stack.inspect(node)["State"]["ExitCode"]
        self._time("stop", f"`docker stop`, the command (exit status of the container: {status})", ended - began)
        self._time("stop", "`docker stop` until the balancer sent it nothing new", out - began)
        self._time("stop", "from then until its container had ended (the time it had for the rest)", ended - out)
        if status != 0:
            raise Fault("stop", name_of(node), f"its container ended with status {status}", "docker logs of it")

    def back(self, record: StepRecord) -> None:
        record.did = f"`make scale NODES={NODES_SMALL}`: the stopped container is started again."
        self._clean(self._all_serve(NODES_SMALL))

    def kill(self, record: StepRecord) -> None:
        node = self._stack.nodes()[-1]
        record.did = f"`docker kill` (SIGKILL) of {name_of(node)} under load."
        record.gone = [name_of(node)]
        with self._loaded(record) as (load, watch):
            load.gone(host_of(node))
            began = time.monotonic()
            self._stack.docker("kill", node.id)
            load.wait(self._walk.wishes.requests // 10, 10)
            collect.picture(self._walk, "logs/task 6/kill/stats-at-once.png")
            out = self._out(watch, node, began)
        self._time("kill", "`docker kill` until the balancer sent it nothing new", out - began)

    def end(self, record: StepRecord, count: int) -> None:
        record.did = f"`make scale NODES={count}`: as many nodes as were found."
        self._clean(self._all_serve(count))
        nodes = self._stack.nodes()
        if len(nodes) != count:
            raise Fault(
                "leave",
                "the stack as it was found",
                f"{len(nodes)} nodes run, not {count}",
                f"make scale NODES={count}",
            )

    def _all_serve(self, count: int) -> Outcome:
        """Have so many nodes, and see each of them answer."""
        with self._quiet() as load:
            self._stack.scale(count)
            nodes = self._stack.nodes()
            self._walk.known(nodes)
            self._served(load, {host_of(item) for item in nodes})
            return load.stop()

    @contextlib.contextmanager
    def _loaded(self, record: StepRecord) -> Iterator[tuple[Load, Watch]]:
        """Do the block under load; afterwards the record holds what the clients saw."""
        wishes = self._walk.wishes
        load = Load(
            *self._walk.door,
            KINDS,
            requests_min=wishes.requests,
            seconds_max=LOAD_SECONDS_MAX + wishes.requests / 200,
            per_second=wishes.per_second,
        )
        with Watch(self._stack.statistics_url()) as watch, load:
            load.wait(max(1, wishes.requests // 10), 30)
            try:
                yield load, watch
            finally:
                outcome = load.stop()
                record.outcome = {**outcome.as_json(), "began": load.began - self._walk.began}
        self._walk.say(f"{record.name}: " + str(outcome).splitlines()[0])
        if outcome.requests < wishes.requests:
            raise Fault(
                "send", f"{wishes.requests} requests", f"only {outcome.requests} came to an end", "fewer: --requests"
            )

    def _out(self, watch: Watch, node: Container, began: float) -> float:
        """Wait for the first moment from ``began`` on at which the balancer sent the node nothing new. Raises Fault."""
        deadline = time.monotonic() + OUT_SECONDS
        while (at := watch.first(host_of(node), began, is_out)) is None:
            if time.monotonic() > deadline:
                cause = f"its server was still there after {OUT_SECONDS:g} s"
                raise Fault("see", f"{name_of(node)} leave the balancer", cause, "supervise lb status")
            time.sleep(0.05)
        return at

    def _quiet(self) -> Load:
        """A few requests a second, to see who answers."""
        return Load(*self._walk.door, {"close": 2}, per_second=40, seconds_max=LOAD_SECONDS_MAX)

    def _clean(self, outcome: Outcome) -> None:
        if outcome.failed:
            raise Fault("get", "an answer from every request", f"{outcome.failed} of {outcome.requests} failed")

    def _served(self, load: Load, hosts: set[str]) -> dict[str, float]:
        """Wait until each host has answered: host -> reading of the clock at its first answer. Raises Fault."""
        deadline = time.monotonic() + SERVING_SECONDS
        while not hosts <= load.servers.keys():
            if time.monotonic() > deadline:
                silent = ", ".join(self._walk.evidence.name_of(host) for host in sorted(hosts - load.servers.keys()))
                raise Fault("get", "an answer from every node", f"none from {silent} in {SERVING_SECONDS:g} s")
            time.sleep(0.05)
        return {host: load.began + at for host, at in load.servers.items() if host in hosts}

    def _joined(self, step: str, first: Mapping[str, float], new: Mapping[str, Container], watch: Watch) -> None:
        """How long a new node took to its first answer; the slowest where there are several."""
        offset = time.time() - time.monotonic()
        started, added = [], []
        for host, at in first.items():
            began = self._stack.inspect(new[host])["State"]["StartedAt"]
            started.append(at + offset - datetime.fromisoformat(began).timestamp())
            seen = watch.first(host, 0.0, lambda status: status is not None)
            if seen is not None:
                added.append(max(0.0, at - seen))
        slowest = f" (slowest of {len(first)})" if len(first) > 1 else ""
        if started:
            self._time(step, f"container started until its first answer{slowest}", max(started))
        if added:
            self._time(step, f"the balancer knew of it until its first answer{slowest}", max(added))

    def _time(self, step: str, what: str, seconds: float) -> None:
        self._walk.evidence.timings.append(Timing(step, what, round(max(0.0, seconds), 3)))
