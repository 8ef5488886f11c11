"""Many seeds, on all cores: a process a core, each world on its own."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tests.sim import bind
from tests.sim.mutations import MUTATIONS
from tests.sim.plan import Plan
from tests.sim.play import Outcome, Patches, play, play_seed
from tests.sim.shrink import shrunk

CHUNK = 10
CHUNKS_A_PROCESS = 16
"""After so many a worker ends and another one takes its place: what its worlds have left behind, two thirds of a
megabyte each, goes with it, and need not be looked for."""
WARM_SEEDS = range(10)
"""Played before the workers begin: what is imported and compiled for them is there for each worker."""
FAILURES_MAX = 5
"""So many are enough: the run ends."""


def patches_of(mutation: str) -> Patches:
    """What a mutation by this name changes; nothing for no name."""
    return next((each.patches for each in MUTATIONS if each.name == mutation), {})


def _play(job: tuple[int, str]) -> Outcome:
    seed, mutation = job
    return play_seed(seed, patches_of(mutation))


def run(seeds: Iterable[int], mutation: str = "", workers: int = 0) -> Iterator[Outcome]:
    """The outcomes of seeds, in their order."""
    jobs = [(seed, mutation) for seed in seeds]
    count = workers or len(os.sched_getaffinity(0))
    if count == 1:
        yield from map(_play, jobs)
        return
    # A fork keeps what is imported, and what is frozen need not be looked through again and again. A world is played by
    # one process from its beginning to its end.
    bind.ready()
    for seed in WARM_SEEDS:
        play_seed(seed)
    gc.collect()
    gc.freeze()
    with multiprocessing.get_context("fork").Pool(count, gc.disable, maxtasksperchild=CHUNKS_A_PROCESS) as pool:
        yield from pool.imap(_play, jobs, CHUNK)


@dataclass
class Result:
    """What a run of many seeds found."""

    seeds: int
    seconds: float
    requests: int
    failures: list[Outcome]
    met: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Seeds a second."""
        return self.seeds / max(self.seconds, 1e-9)


def look(seeds: Iterable[int], mutation: str = "", failures_max: int = FAILURES_MAX, workers: int = 0) -> Result:
    """Play seeds until so many fail."""
    began, result = time.perf_counter(), Result(0, 0.0, 0, [])
    for outcome in run(seeds, mutation, workers):
        result.seeds += 1
        result.requests += outcome.requests
        result.met.update(outcome.met)
        if outcome.violated:
            result.failures.append(outcome)
            if len(result.failures) >= failures_max:
                break
    result.seconds = time.perf_counter() - began
    return result


def explain(outcome: Outcome, mutation: str, say: Callable[[str], None], plays_max: int = 400) -> Plan:
    """Print a failure: the invariant, a shorter history that violates it, too, and what happens in that."""
    patches = patches_of(mutation)
    say(f"seed {outcome.plan.seed} violates: {outcome.text}")
    short = shrunk(outcome.plan, lambda plan: play(plan, patches).violated == outcome.violated, plays_max)
    say(f"a shorter history ({short.size} parts of {outcome.plan.size}):")
    for line in short.lines():
        say(f"  {line}")
    say("what happens in it:")
    found = play(short, patches, lambda text: say(f"  {text}"))
    say(f"  -> {found.text}")
    return short
