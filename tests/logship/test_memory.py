"""Memory for pieces of some MiB is taken from the kernel once, not for each of them."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from logship import memory
if sys.argv[1] == "keep":
    assert memory.keep()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
held = [b"x" * 4_000_000 for _ in range(3)]
before = faults()
for number in range(50):
    held[number % 3] = None
    held[number % 3] = b"y" * (4_000_000 + number * 1000)
print(faults() - before)
"""


def faults(how: str) -> int:
    """Page faults of 50 pieces of 4 MB, of which three are held at a time."""
    return int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these thresholds")
def test_pieces_that_come_and_go_cost_no_page_faults_each_time() -> None:
    kept = faults("keep")
    print(f"{kept} page faults, {faults('not')} without")
    assert kept < 10_000, "of 50,000 pages"
