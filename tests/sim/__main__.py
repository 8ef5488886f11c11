"""``python -m tests.sim``: play many seeds, or one again. What ``make torture`` runs."""

from __future__ import annotations

import argparse
import os
import sys

from tests.sim import lab
from tests.sim.mutations import MUTATIONS
from tests.sim.plan import make
from tests.sim.play import play


def main(words: list[str]) -> int:
    """The exit status: 1 where an invariant was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20_000, help="how many are played (default 20000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--seed", type=int, help="play this one alone, and tell what happens")
    parser.add_argument("--mutation", default="", choices=[each.name for each in MUTATIONS], help="with this mistake")
    parser.add_argument("--no-shrink", action="store_true", help="do not look for a shorter history of a failure")
    options = parser.parse_args(words)
    if options.seed is not None:
        return _one(options.seed, options.mutation, not options.no_shrink)
    seeds = range(options.first, options.first + options.seeds)
    result = lab.look(seeds, options.mutation)
    print(
        f"torture: {result.seeds} seeds in {result.seconds:.0f} s, {result.rate:.0f} a second on "
        f"{len(os.sched_getaffinity(0))} cores, {result.requests} requests, {len(result.failures)} violations"
    )
    for what, count in sorted(result.met.items()):
        if " cut at byte " not in what:
            print(f"  {count:9} {what}")
    for outcome in result.failures:
        print(f"  seed {outcome.plan.seed}: {outcome.text}")
    if not result.failures:
        return 0
    if not options.no_shrink:
        lab.explain(result.failures[0], options.mutation, print)
    again = f' MUTATION="{options.mutation}"' if options.mutation else ""
    print(f"again: make torture SEED={result.failures[0].plan.seed}{again}")
    return 1


def _one(seed: int, mutation: str, shrinks: bool) -> int:
    plan, patches = make(seed), lab.patches_of(mutation)
    for line in plan.lines():
        print(line)
    outcome = play(plan, patches, print)
    print(f"seed {seed}: {outcome.text or 'every invariant holds'} (trace {outcome.trace})")
    if outcome.violated and shrinks:
        lab.explain(outcome, mutation, print)
    return 1 if outcome.violated else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
