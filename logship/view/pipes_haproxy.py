"""Core: what HAProxy's lines say of requests, by any field: how many, how they ended, where their time went.

It is what halog tells of a file. Times of -1 (there was none) are no numbers, so no average has them in it. An error is
a status of 500 or more, or none (-1), as for `halog -e`; what `halog -u` calls so are lines without a response time.
Lines that are not HAProxy's are left out, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from logship.view.fields import as_number
from logship.view.pipes_cells import Number, Numbers

TIMES = ("t_request", "t_queue", "t_connect", "t_response", "t_active")
"""Of a TCP line its total time stands for the last one."""
SHARES = ("p50", "p95", "p99")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")
OWN_WEIGHT = 20
FEW = frozenset({
    "frontend", "backend", "server", "status", "state", "method", "version", "retries", "redispatched", "src",
    "service", "instance", "program", "kind", "stream", "level",
})  # fmt: skip
"""Fields of few values: only groups by these hold what percentiles want."""
PERCENTS = ("p10", "p25", "p50", "p75", "p90", "p95", "p98", "p99", "p99.9", "p100")
_NUMBERS = ("status", "bytes", "retries", "redispatched", "srv_queue", "backend_queue")

Said = tuple[tuple[Number | None, ...], tuple[Number | None, ...]]


def said_of(get: Any) -> Said | None:
    """What a line says of a request; None for a line that is not HAProxy's of one."""
    if get("frontend") is None or get("state") is None or get("t_connect") is None or get("srv_queue") is None:
        return None
    times = [as_number(get(name)) for name in TIMES]
    if times[4] is None:
        times[4] = as_number(get("t_total"))
    return tuple([as_number(get(name)) for name in _NUMBERS]), tuple(times)


class Requests:
    """What is held of a group of requests. ``each``: also what percentiles want."""

    __slots__ = ("backend_queue", "bytes", "classes", "errors", "lines", "queued", "redispatched", "retries",
                 "srv_queue", "times", "weight")  # fmt: skip

    def __init__(self, each: bool) -> None:
        self.times = [Numbers(each) for _ in TIMES]
        self.weight = OWN_WEIGHT + sum(one.weight for one in self.times)
        self.classes = [0] * len(CLASSES)
        self.lines = self.errors = self.queued = 0
        self.bytes = self.retries = self.redispatched = 0
        self.srv_queue: Number = 0
        self.backend_queue: Number = 0

    def add(self, said: Said, times: int = 1) -> int:
        """One more line."""
        (status, count, retries, redispatched, srv_queue, backend_queue), took = said
        self.lines += times
        self.classes[int(status) // 100 - 1 if status is not None and 100 <= status < 600 else 5] += times
        self.errors += times * (status is not None and (status >= 500 or status < 0))
        self.bytes += times * int(count or 0)
        self.retries += times * int(retries or 0)
        self.redispatched += times * bool(redispatched)
        self.queued += times * bool(srv_queue or backend_queue)
        self.srv_queue = max(self.srv_queue, srv_queue or 0)
        self.backend_queue = max(self.backend_queue, backend_queue or 0)
        grown = 0
        for held, one in zip(self.times, took, strict=True):
            if one is not None and one >= 0:
                grown += held.add(one, times)
        self.weight += grown
        return grown

    def merge(self, other: Requests) -> int:
        """Those of another one."""
        for name in ("lines", "errors", "bytes", "retries", "redispatched", "queued"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.classes = [mine + its for mine, its in zip(self.classes, other.classes, strict=True)]
        self.srv_queue = max(self.srv_queue, other.srv_queue)
        self.backend_queue = max(self.backend_queue, other.backend_queue)
        grown = sum(mine.merge(its) for mine, its in zip(self.times, other.times, strict=True))
        self.weight += grown
        return grown

    @property
    def is_exact(self) -> bool:
        """Whether percentiles are."""
        return all(one.is_exact for one in self.times)

    def row(self, each: bool) -> list[Any]:
        """The values of ``columns``."""
        found: list[Any] = [
            self.lines, self.errors, *self.classes, self.bytes, self.retries, self.redispatched, self.queued,
            self.srv_queue, self.backend_queue,
        ]  # fmt: skip
        for held in self.times:
            found += [held.lines, held.mean]
            found += held.percentiles([_share(name) for name in SHARES]) if each else []
            found.append(held.most if held.lines else None)
        return found

    def percents(self) -> list[list[Any]]:
        """A row a percentile, a column a time."""
        shares = [_share(name) for name in PERCENTS]
        columns = [held.percentiles(shares) for held in self.times]
        return [[name, *values] for name, *values in zip(PERCENTS, *columns, strict=True)]


def columns(each: bool) -> list[str]:
    """What a row of requests says."""
    found = ["requests", "errors", *CLASSES, "bytes", "retries", "redispatched", "queued", "srv_queue_max",
             "backend_queue_max"]  # fmt: skip
    for name in TIMES:
        found += [f"{name}_count", f"{name}_avg", *(f"{name}_{one}" for one in (SHARES if each else ())), f"{name}_max"]
    return found


def with_each(fields: Sequence[str]) -> bool:
    """Whether groups by these fields hold what percentiles want."""
    return all(name in FEW for name in fields)


def _share(name: str) -> Fraction:
    return Fraction(name[1:]) / 100
