"""Network namespaces for tests: a machine of its own, with a thin line or one that loses packets."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence

import pytest


def _run(*words: str) -> str:
    """What went wrong, or nothing."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"there is no {words[0]}"
    return "" if done.returncode == 0 else (done.stderr.strip() or f"{words[0]} ended with {done.returncode}")


@contextlib.contextmanager
def namespace(*rules: Sequence[str]) -> Iterator[list[str]]:
    """Words to be put before a command to run it there. Skips, with the reason, where it cannot be made."""
    name = f"logship-test-{os.getpid()}"
    wrong = _run("ip", "netns", "add", name)
    if wrong:
        pytest.skip(f"no network namespace: {wrong}")
    try:
        inside = ["ip", "netns", "exec", name]
        for rule in (["ip", "link", "set", "lo", "up"], *rules):
            wrong = _run(*inside, *rule)
            if wrong:
                pytest.skip(f"{' '.join(rule)}: {wrong}")
        yield inside
    finally:
        _run("ip", "netns", "del", name)
