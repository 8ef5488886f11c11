"""Core: the words of the audit: a cut through a worker's log, the end of a worker, and the verdict on a window."""

from __future__ import annotations

from dataclasses import dataclass

VERIFIED = "verified"
LOST = "lost"
UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A window of a worker: lines (``first``, ``last``]; up to ``last`` at least, where its end is not known.

    ``produced`` = ``stored`` + ``dropped`` + ``lost`` + ``unknown``. ``dropped``: HAProxy counted them; ``lost``: it
    wrote them; ``unknown``: one of both. ``others``: lines without a number that HAProxy dropped;
    ``drops``: all it had dropped by then. ``place``: offset of
    the stream where the first hole shows; ``ended``: the worker's last one. ``first_missing``, ``last_missing``: its
    first line is, its last one, so that a hole may reach into it, or beyond it.
    """

    pid: int
    started: int
    first: int
    last: int
    verdict: str
    why: str = ""
    from_time: str | None = None
    to_time: str | None = None
    drops: int = 0
    dropped: int = 0
    lost: int = 0
    unknown: int = 0
    others: int = 0
    twice: int = 0
    place: int | None = None
    ended: bool = False
    first_missing: bool = False
    last_missing: bool = False

    @property
    def produced(self) -> int:
        """Lines with a number that HAProxy tried to write."""
        return self.last - self.first

    @property
    def stored(self) -> int:
        """Those that are stored, once or more."""
        return self.produced - self.dropped - self.lost - self.unknown

    @property
    def idle(self) -> bool:
        """Nothing happened, and all of that is known."""
        return self.verdict == VERIFIED and not (self.produced or self.others)


@dataclass(frozen=True, slots=True)
class Cut:
    """What `logship counters` said at one moment. ``settled``: no thread had a line under way."""

    time: str
    lines: int
    dropped: tuple[int, int]
    threads: int
    reach: int | None
    settled: bool
    final: bool

    @property
    def exact(self) -> bool:
        """No line was dropped while HAProxy was asked."""
        return self.dropped[0] == self.dropped[1]


@dataclass(frozen=True, slots=True)
class Gone:
    """The worker ended without a last cut: known at ``time``, when the stream had grown to ``reach``."""

    time: str | None
    reach: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Seen:
    """How far the stream has come: ``position``, and whether nothing follows."""

    position: int
    closed: bool
