"""A shorter history that ends in the same violation: parts are left out for as long as it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.sim.plan import Plan

PARTS = ("faults", "fates", "files", "writes")


def shrunk(plan: Plan, fails: Callable[[Plan], bool], plays_max: int = 400) -> Plan:
    """The shortest found in so many plays. Halves, then quarters, down to single parts (Zeller's delta debugging)."""
    plays = 0

    def still(candidate: Plan) -> bool:
        nonlocal plays
        plays += 1
        return plays <= plays_max and fails(candidate)

    before = None
    while before != plan and plays < plays_max:
        before = plan
        for kind in PARTS:
            count = max(1, len(getattr(plan, kind)) // 2)
            while True:
                first = 0
                while first < len(getattr(plan, kind)):
                    candidate = plan.without(kind, first, count)
                    if still(candidate):
                        plan = candidate
                    else:
                        first += count
                if count == 1:
                    break
                count //= 2
        for name in plan.containers:
            rest = tuple(each for each in plan.containers if each != name)
            writes = any(write.container == name for write in plan.writes)
            hit = any(fault.victim.startswith(name) for fault in plan.faults)
            if rest and not writes and not hit and still(replace(plan, containers=rest)):
                plan = replace(plan, containers=rest)
        unsealed = replace(plan, seals=0)
        if unsealed != plan and still(unsealed):
            plan = unsealed
        plain = replace(plan, knobs=replace(plan.knobs, linger=0.0, latency=0.002, pipe_bytes=65536))
        if plain != plan and still(plain):
            plan = plain
    return plan
