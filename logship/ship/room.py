"""Edge: how many files may be open: as the limit of descriptors allows, which is raised as far as it may be."""

from __future__ import annotations

import contextlib
import resource

FILES_MAX = 1000
DESCRIPTORS_MIN = 64
"""For everything else: connections, locks of spools, segments, the log."""
DESCRIPTORS_A_FILE = 2
"""The file, and the lock that keeps other shippers from it."""


def files_max() -> int:
    """So many files may be followed at a time, at least one."""
    wanted = DESCRIPTORS_MIN + DESCRIPTORS_A_FILE * FILES_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    soft = wanted if soft == resource.RLIM_INFINITY else soft
    return max(1, min(FILES_MAX, (soft - DESCRIPTORS_MIN) // DESCRIPTORS_A_FILE))
