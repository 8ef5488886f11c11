"""When a program is asked whether it is ready, and what the answers mean. Values in, verdicts out; no IO, no clock.

Times are seconds of a monotonic clock, given by the caller. How it is asked is ``probes.py`` (http, tcp) and
supervisord (a hidden program for a command check). The kinds ``started`` and ``running`` are never asked:
the caller says when the program was started, and when it is RUNNING.
"""

from __future__ import annotations

from dataclasses import dataclass

from supervise.init.values import RUNNING, STARTED, Ready

CALM_SECONDS = 5.0
"""How often a ready program is asked."""
UNREADY_SECONDS = 1.0
"""How often one is asked that lost its readiness or was not ready in time; at least its own interval."""
MISSES_MAX = 3
"""Bad answers in a row that end readiness."""


@dataclass(frozen=True)
class Verdict:
    """What an answer, or a moment, changed: ``word`` is ready, unready or late; ``text`` says why."""

    word: str
    seconds: float
    text: str


class Readiness:
    """The readiness of one program through its starts and ends."""

    def __init__(self, check: Ready) -> None:
        self.check = check
        self.ready = False
        self.was_ready = False
        self.asking_since: float | None = None
        self.last_text = "not asked yet"
        self._started: float | None = None
        self._next: float | None = None
        self._late_told = False
        self._misses = 0

    def started(self, now: float) -> Verdict | None:
        """The program was started: all that the kind ``started`` waits for."""
        self.ready = False
        self.asking_since = None
        self.last_text = "not asked yet"
        self._started = now
        self._next = None if self.check.kind in (STARTED, RUNNING) else now
        self._late_told = False
        self._misses = 0
        if self.check.kind != STARTED:
            return None
        self.last_text = "started"
        return self._good(now)

    def ended(self) -> None:
        """The program ended or is being stopped."""
        self.ready = False
        self.asking_since = None
        self._started = None
        self._next = None

    def due(self, now: float) -> bool:
        """Whether the program is to be asked now; ``asked`` follows."""
        return self._next is not None and self.asking_since is None and now >= self._next

    def asked(self, now: float) -> None:
        self.asking_since = now

    def overdue(self, now: float) -> bool:
        """Whether the answer took longer than allowed; ``answered`` follows."""
        return self.asking_since is not None and now >= self.asking_since + self.check.timeout_seconds

    def running(self, now: float) -> Verdict | None:
        """supervisord said RUNNING: all that the kind ``running`` waits for."""
        if self.check.kind != RUNNING:
            return None
        self.last_text = "RUNNING"
        return self._good(now)

    def answered(self, ok: bool, text: str, now: float) -> Verdict | None:
        """The answer to the last question; a late one to a program that has ended means nothing."""
        if self._started is None or self.asking_since is None:
            return None
        asked, self.asking_since = self.asking_since, None
        self.last_text = text
        if ok:
            self._misses = 0
            self._next = asked + max(CALM_SECONDS, self.check.interval_seconds)
            return None if self.ready else self._good(now)
        self._misses += 1
        if self.ready and self._misses >= MISSES_MAX:
            self.ready = False
            self._next = asked + self._slow()
            return Verdict("unready", now - self._started, text)
        calm = self.ready or self._late_told
        self._next = max(now, asked + (self._slow() if calm else self.check.interval_seconds))
        return None

    def late(self, now: float) -> Verdict | None:
        """Said once a start: not ready within the time allowed. Asking goes on, at a slower pace."""
        if self._started is None or self.ready or self._late_told or now < self._late_at():
            return None
        self._late_told = True
        return Verdict("late", now - self._started, self.last_text)

    def deadline(self) -> float | None:
        """When something is to be done next if nothing else happens."""
        if self._started is None:
            return None
        times = [self._late_at()] if not (self.ready or self._late_told) else []
        if self.asking_since is not None:
            times.append(self.asking_since + self.check.timeout_seconds)
        elif self._next is not None:
            times.append(self._next)
        return min(times, default=None)

    def _good(self, now: float) -> Verdict | None:
        if self.ready or self._started is None:
            return None
        self.ready = self.was_ready = True
        # From here on a loss of readiness is told by "unready", not by "late".
        self._late_told = True
        return Verdict("ready", now - self._started, self.last_text)

    def _late_at(self) -> float:
        assert self._started is not None
        return self._started + self.check.within_seconds

    def _slow(self) -> float:
        return max(UNREADY_SECONDS, self.check.interval_seconds)
