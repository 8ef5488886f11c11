"""One history played, and what came of it."""

from __future__ import annotations

import gc
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.sim.bind import bound
from tests.sim.plan import Plan, make
from tests.sim.violation import Violation
from tests.sim.world import World

Patches = Mapping[tuple[Any, str], Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """``violated`` is the invariant that does not hold, empty where all do. ``trace`` tells two plays apart."""

    plan: Plan
    violated: str = ""
    text: str = ""
    trace: str = ""
    requests: int = 0
    steps: int = 0
    met: Mapping[str, int] = field(default_factory=dict)
    """What happened, how often: each fault that really hit somebody, each start, each thing said."""


def play(plan: Plan, patches: Patches | None = None, tell: Callable[[str], None] | None = None) -> Outcome:
    """Play a history; ``patches`` are mutations of the code under test, ``tell`` gets what happens."""
    said: list[str] = []

    def told(text: str) -> None:
        said.append(text)
        if tell is not None and not over:
            tell(text)

    world = World(plan, told)
    violated = text = ""
    over = False
    uvicorn = logging.getLogger("uvicorn.error")
    collecting, telling = gc.isenabled(), uvicorn.disabled
    uvicorn.disabled = True  # it tells of requests whose process was killed, which processes cannot
    gc.disable()  # what is collected when must not depend on what ran before
    try:
        with bound(world.bound, {**world.patches(), **(patches or {})}):
            try:
                world.play()
            except Violation as violation:
                violated, text = violation.invariant, str(violation)
            except Exception as error:
                violated, text = "no surprise", f"{type(error).__name__}: {error}"
                if tell is not None:
                    raise
            finally:
                world.end()
    finally:
        uvicorn.disabled = telling
        if collecting:
            gc.enable()
    over = True
    told(f"{world.engine.now} {world.engine.steps} {world.network.random.random()} {sorted(world.met.items())}")
    trace = hashlib.sha256("".join(said).encode()).hexdigest()[:16]
    return Outcome(plan, violated, text, trace, world.network.requests, world.engine.steps, world.met)


def play_seed(seed: int, patches: Patches | None = None) -> Outcome:
    """Play the history of a seed."""
    return play(make(seed), patches)
