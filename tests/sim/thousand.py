"""What a thousand seeds are judged by: no invariant is violated, and everything that can go wrong did go wrong."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.sim import lab
from tests.sim.lab import Result

HAPPENED = {
    # faults of processes and machines, each of which really hit somebody
    "kill spool": 20, "kill ship": 20, "kill collect": 50, "kill janitor": 20, "kill container": 20,
    "remove container": 20, "crash machine": 20, "crash collector": 50, "killed in the midst of a write": 50,
    # at which system calls
    "collect hit at pwrite": 20, "collect hit at fsync": 20, "collect hit at open": 5,
    "spool hit at splice": 5, "spool hit at unlink": 1,
    "ship hit at recv": 5, "ship hit at sendall": 3, "ship hit at pread": 3, "ship hit at rename": 1,
    # of followed files and their shipper
    "kill follower": 20, "file: write": 500, "file: rename": 15, "file: empty": 20, "file: delete": 10,
    "said: file replaced": 10,
    # of who seals, and of what that allows to be deleted
    "kill seal": 5, "crash sealer": 20, "seal hit at fsync": 10, "said: sealed": 400, "said: deleted": 150,
    "lines sealed": 1500,
    # of disks
    "crash: pages lost": 100, "crash: pages torn": 10, "crash: names lost": 100, "sync failed": 50,
    "full disk: no write": 50, "full disk: no name": 50, "full disk: a write cut short": 5, "inode used again": 1000,
    # of the network
    "cut-request": 100, "cut-answer": 100, "lose-request": 100, "lose-answer": 100, "delay-request": 100,
    "delay-answer": 100, "a request came twice": 100, "garble": 100, "die": 100, "one-way partition": 100,
    "partition": 50,
    # and what came of it
    "bytes stored": 3_000_000, "said: stream begun": 3000, "said: torn_tail": 10, "said: adopted": 200,
    "said: not what is stored": 20, "said: orphan removed": 100, "collect started": 1200, "spool started": 1200,
    "ship started": 1500, "pid1 started": 1200,
}  # fmt: skip
"""How often at least, in a thousand histories."""
CUTS = {"request cut at byte ": 100, "answer cut at byte ": 80}
"""At how many different bytes at least."""


def played(seeds: range) -> Result:
    """Play them, in this process."""
    result = lab.look(seeds, failures_max=1, workers=1)
    print(f"{result.seeds} seeds, {result.rate:.0f} a second, {result.requests} requests")
    return result


def judge(result: Result, seeds: range) -> None:
    """No invariant is violated; a failure is explained by a shorter history."""
    for outcome in result.failures:
        lab.explain(outcome, "", print)
        pytest.fail(f"seed {outcome.plan.seed}: {outcome.text} (again: make torture SEED={outcome.plan.seed})")
    assert result.seeds == len(seeds)


def rich(result: Result) -> None:
    """All that is to be survived has happened."""
    few = {what: result.met[what] for what, least in HAPPENED.items() if result.met[what] < least}
    few |= {what: found for what, least in CUTS.items() if (found := _bytes(result.met, what)) < least}
    assert not few, f"too seldom: {few}"


def _bytes(met: Iterable[str], what: str) -> int:
    return sum(each.startswith(what) for each in met)
