"""Core: what follows the end of a program: wait and try again, give up, end the container, and with which status.

supervisord restarts; this says how long it waits, and when an essential program's end is the container's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from supervise.init.values import Restart

GAVE_UP_STATUS = 70
"""EX_SOFTWARE: an essential program was given up although it only ever ended with 0, or never started."""
STARTRETRIES_FOREVER = 2**31 - 1


@dataclass(frozen=True)
class Wait:
    """The next start comes ``seconds`` after this end."""

    seconds: float


@dataclass(frozen=True)
class GiveUp:
    """There is no next start; supervisord's word for it is FATAL."""


def after_failure(policy: Restart, failures: int) -> Wait | GiveUp:
    """What follows the ``failures``-th failed start in a row (from 1): 1, 2, 4 .. times ``backoff_seconds``."""
    assert failures >= 1
    if policy.tries and failures >= policy.tries:
        return GiveUp()
    doublings = min(failures - 1, 32)  # 2**32 times the shortest wait is beyond the longest
    return Wait(min(policy.backoff_seconds * 2**doublings, policy.backoff_seconds_max))


def startretries(policy: Restart) -> int:
    """supervisord's setting for the same number of tries: it gives up at one failure more than it says."""
    return policy.tries - 1 if policy.tries else STARTRETRIES_FOREVER


def status_after_exit(status: int | None) -> int:
    """The container's status when an essential program that had been running ended with ``status`` (128+n: signal)."""
    return GAVE_UP_STATUS if status is None else status


def status_after_giving_up(statuses: Sequence[int | None]) -> int:
    """The container's status when an essential program was given up: the newest of its failures that was not 0."""
    return next((status for status in reversed(statuses) if status), GAVE_UP_STATUS)
