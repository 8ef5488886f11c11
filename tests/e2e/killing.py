"""Kills programs of a container with SIGKILL at random instants, from inside it, by a seed that is told."""

from __future__ import annotations

import json
import subprocess
from collections import Counter

SCRIPT = """
import collections, json, os, random, signal, sys, time
seed, seconds, shortest, longest, least, *targets = sys.argv[1:]
chance, end, kills = random.Random(seed), time.monotonic() + float(seconds), collections.Counter()
deck = []
def is_it(pid, target):
    words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\\0")
    return any(a.endswith((b"/logship", b"/supervise")) and b == target.encode() for a, b in zip(words, words[1:]))
def missed():
    return min(kills[target] for target in targets) < int(least) and time.monotonic() < end + 60
while time.monotonic() < end or missed():
    time.sleep(chance.uniform(float(shortest), float(longest)))
    deck = deck or chance.sample(targets, len(targets))
    target = deck.pop()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(pid) not in (1, os.getpid()) and is_it(pid, target):
                os.kill(int(pid), signal.SIGKILL)
                kills[target] += 1
        except (FileNotFoundError, ProcessLookupError):
            pass
print(json.dumps(kills))
"""


class Killer:
    """A killer in one container, from now on for ``seconds``: all targets in turn, each turn in another order.

    The next kill comes after ``pause`` seconds, by chance. ``targets`` are subcommands of `logship` and `supervise`.
    Each is killed ``least`` times, if that takes a minute more: who is not back when his turn comes is passed over.
    """

    def __init__(
        self,
        container: str,
        seed: str,
        seconds: float,
        *targets: str,
        pause: tuple[float, float] = (0.1, 1.5),
        least: int = 1,
    ) -> None:
        self._seconds = seconds
        words = [f"{seed} {' '.join(targets)}", str(seconds), *map(str, pause), str(least), *targets]
        command = ["docker", "exec", container, "/usr/bin/python3", "-I", "-c", SCRIPT, *words]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def done(self) -> Counter[str]:
        """How often each was killed; waits for the end."""
        said, _ = self._process.communicate(timeout=self._seconds + 120)
        assert self._process.returncode == 0
        return Counter(json.loads(said))
