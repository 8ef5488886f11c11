"""Core: lints over a running container: what only the machine shows, as an edge found it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from logship.audit.lints.lint import Conditions, Deed, Flaw, Lint, Place, Severity, budget, lint, size, span

BUSY_SECONDS = 60.0
INITS = ("docker-init", "tini", "dumb-init", "catatonit", "s6-svscan", "systemd", "init", "runit", "tini-static")
FILES_SPARE = 100
LAYER, MEMORY, VOLUME = "layer", "memory", "volume"
"""What a spool lies on: the container's own layer, a tmpfs, any other mount."""
BESIDE = "spools"
"""The folder in the run folder where PID 1 makes it when the volume refuses."""


@dataclass(frozen=True)
class Stream:
    """One stream in the spool: (time of the last write, bytes) of each segment kept, and how much it ever took."""

    name: str
    segments: Sequence[tuple[float, int]]
    total_bytes: int
    seconds: float

    def rate_bytes(self) -> float:
        """Bytes a second: over its life, or in the busiest minute that is still kept, whichever is more."""
        whole = self.total_bytes / max(self.seconds, BUSY_SECONDS)
        times = sorted(self.segments)
        busiest = 0.0
        for first in range(len(times)):
            held = 0
            for time, count in times[first + 1 :]:
                held += count
                passed = time - times[first][0]
                if passed >= BUSY_SECONDS:
                    busiest = max(busiest, held / passed)
                    break
        return max(whole, busiest)


@dataclass(frozen=True)
class Pipe:
    """A program's FIFO: its size in bytes, and the size it was declared with."""

    program: str
    path: str
    bytes: int
    declared: int


@dataclass(frozen=True)
class Container:
    """What was found. ``spool`` is "" where none is kept; ``spool_disk``: LAYER, MEMORY or VOLUME.

    ``spool_bytes_max`` bounds a program's spool, ``container_bytes_max`` all of them; 0 is no bound.
    """

    pid1: Sequence[str]
    spool: str
    spool_disk: str
    free_bytes: int
    spool_bytes_max: int
    container_bytes_max: int
    streams: Sequence[Stream]
    pipes: Sequence[Pipe]
    haproxy_maxconn: int | None


@lint(
    "container-pid1",
    Severity.RISK,
    "PID 1 is no init, or a slow one",
    "an ordinary program as PID 1 reaps no orphan and may ignore SIGTERM; stock supervisord takes up to 1 s for each "
    "signal, exit and group.",
)
def pid1(found: Container, _: Conditions) -> Iterator[Flaw]:
    words = [word.rpartition("/")[2] for word in found.pid1]
    ours = "supervise.init" in words or {"supervise", "init"} <= set(words)
    if words and not ours and words[0] not in INITS:
        what = f"PID 1 is {' '.join(found.pid1)[:80]}"
        yield Flaw(Place("/proc/1/cmdline"), what, Deed.REPLACE, 'ENTRYPOINT ["/usr/local/bin/supervise", "init"]')


@lint(
    "container-spool-disk",
    Severity.LOSS,
    "the spool goes with the container",
    "what the collector does not hold yet is deleted with the container's layer (docker rm) or memory (a stop).",
)
def spool_disk(found: Container, _: Conditions) -> Iterator[Flaw]:
    if found.spool_disk != VOLUME:
        where = {LAYER: "the container's own layer", MEMORY: "memory (tmpfs)"}[found.spool_disk]
        what = f"the spool lies on {where}"
        write = f'volumes: ["SERVICE-spool:{found.spool.rpartition("/")[0]}"]'  # the folders of all lives
        if found.spool.split("/")[-2:-1] == [BESIDE]:
            what += ": the volume took none when this life began"
            write = "room on the volume (or mend it), then docker restart"
        yield Flaw(Place(found.spool), what, Deed.ADD, write)


@lint(
    "container-outage",
    Severity.LOSS,
    "a stream's spool does not outlast the outage to survive",
    "over its budget, or on a full disk, the oldest goes: room divided by rate is the outage that loses nothing.",
)
def outage(found: Container, conditions: Conditions) -> Iterator[Flaw]:
    wanted = conditions.outage_seconds
    rates = {stream.name: conditions.rate_bytes or stream.rate_bytes() for stream in found.streams}
    for name, rate in rates.items():
        if rate * wanted > found.spool_bytes_max > 0:
            what = _short(f"{name} writes", rate, found.spool_bytes_max, "its budget", wanted)
            yield Flaw(Place(f"{found.spool}/{name}"), what, Deed.ADD, _setting("SPOOL_BYTES_MAX", rate * wanted))
    total = sum(stream.rate_bytes() for stream in found.streams)
    held = sum(count for stream in found.streams for _, count in stream.segments)
    if total * wanted > found.container_bytes_max > 0:
        what = _short("all programs write", total, found.container_bytes_max, "their budget", wanted)
        yield Flaw(Place(found.spool), what, Deed.ADD, _setting("SPOOL_CONTAINER_BYTES_MAX", total * wanted))
    if total * wanted > found.free_bytes + held:
        what = _short("all programs write", total, found.free_bytes + held, "free on the disk", wanted)
        yield Flaw(Place(found.spool), what, Deed.ADD, f"a disk with {size(total * wanted)} free")


def _short(who: str, rate: float, room: float, whose: str, wanted: float) -> str:
    return f"{who} {size(rate)}/s: {size(room)} ({whose}) last {span(room / rate)}, not {span(wanted)}"


def _setting(name: str, count: float) -> str:
    return f"LOGSHIP_{name}={budget(count)}"


@lint(
    "container-small-pipe",
    Severity.LOSS,
    "a pipe is smaller than declared",
    "a user has about 64 pipes of 1 MiB on a host; others stay small, and HAProxy drops lines within milliseconds.",
)
def small_pipe(found: Container, _: Conditions) -> Iterator[Flaw]:
    for pipe in found.pipes:
        if pipe.bytes < pipe.declared:
            what = f"the pipe of {pipe.program} holds {size(pipe.bytes)}, declared are {size(pipe.declared)}"
            yield Flaw(Place(pipe.path), what, Deed.ADD, "sysctl fs.pipe-user-pages-soft=0")


@lint(
    "container-nofile",
    Severity.RISK,
    "too few open files for the connections",
    "each connection through HAProxy needs two descriptors; without them it does not start, or stops accepting.",
)
def nofile(found: Container, conditions: Conditions) -> Iterator[Flaw]:
    if conditions.nofile is not None and found.haproxy_maxconn:
        wanted = 2 * found.haproxy_maxconn + FILES_SPARE
        if conditions.nofile < wanted:
            what = f"open files are limited to {conditions.nofile}, maxconn {found.haproxy_maxconn} needs {wanted}"
            write = f"ulimits: {{ nofile: {{ soft: {wanted}, hard: {wanted} }} }}"
            yield Flaw(Place("/proc/1/limits"), what, Deed.ADD, write)


LINTS: tuple[Lint[Container], ...] = (pid1, spool_disk, outage, small_pipe, nofile)
