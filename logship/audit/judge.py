"""Core: one worker's numbers against its cuts: what was produced, stored and dropped in each window, and the verdict.

A window lies between two cuts. At a cut HAProxy says: up to line number N all were tried, D of my lines found no place
in the pipe. The numbers say which of those N are stored; the rest, M, is missing. Then

    D = M    every missing line was dropped by HAProxy itself, which counted it:       verified
    D > M    so were lines that carry no number (warnings of servers going down):       verified, and those are lost too
    D < M    M - D lines were written and are not stored:                               lost

D and M are sums since the worker began, so what one window leaves open the next one tells; D - M never falls unless
lines are lost. A cut is judged when all that was written before it has come (its reach, or higher numbers), never by
a clock. A cut during which lines were dropped is not exact and is left out: its window is one with the next.

What is never known: what a worker tried to write after its last cut and before it was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from logship.audit.audit_numbers import WRAP, Numbers
from logship.audit.counters import Said
from logship.audit.verdict import LOST, UNVERIFIED, VERIFIED, Cut, Gone, Seen, Verdict

CUTS_MAX = 512
"""Cuts that wait for their lines; beyond it every second one is left out, so windows grow."""
JOINED_MAX = 60
"""Cuts left out in a row because lines were dropped while HAProxy was asked; then the window is unverified."""
_BEHIND_MAX = 1024
"""How far one thread's line may lag behind another's, where nothing but numbers tells that all have come."""


@dataclass(slots=True)
class Judge:
    """One worker. ``begins``: offset of what it was first seen with; not ``whole``: lines below ``kept_from`` are gone.

    ``tried``: the highest number it is known to have tried. ``judged``: line and time of the last cut judged;
    ``spare``: D - M at it. ``hole_bytes``: of the known hole that reaches beyond it, if one does.
    """

    pid: int
    started: int = 0
    begins: int = -1
    numbers: Numbers = field(default_factory=Numbers)
    whole: bool = True
    kept_from: int = 0
    threads: int = 1
    cuts: list[Cut] = field(default_factory=list)
    tried: int = 0
    judged: int = 0
    judged_time: str | None = None
    judged_missing: int = 0
    spare: int = 0
    joined: int = 0
    told_twice: int = 0
    gone: Gone | None = None
    unnumbered: str | None = None
    told_unnumbered: bool = False
    ended: bool = False
    hole_bytes: int | None = None

    # What comes.

    def said(self, said: Said) -> None:
        """A line of `logship counters` about this worker."""
        self.started = said.started
        if said.reading is None:
            self.vanished(Gone(said.time, said.reach, "it ended without being asked a last time: killed, or too quick"))
            return
        reading = said.reading
        self.threads = reading.threads
        if reading.lines is None:
            self.unnumbered = self.unnumbered or said.time
            return
        before = self.cuts[-1].lines if self.cuts else self.judged
        more = (reading.lines - before) % WRAP
        if more >= WRAP // 2 or (self.cuts and self.cuts[-1].final):
            return
        self.tried = max(self.tried, before + more)
        self.cuts.append(
            Cut(said.time, before + more, reading.dropped, reading.threads, said.reach, said.settled, said.final)
        )
        if len(self.cuts) > CUTS_MAX:
            self.cuts = self.cuts[1::2]  # the last one stays

    def vanished(self, gone: Gone) -> None:
        """It is not there any more. What is known first stands; a last cut tells more."""
        if self.gone is None and not (self.cuts and self.cuts[-1].final):
            self.gone = gone

    # What it means.

    def verdicts(self, seen: Seen) -> list[Verdict]:
        """What can be said now, in order; each window once."""
        found = []
        if self.unnumbered and not self.told_unnumbered:
            self.told_unnumbered = True
            why = "HAProxy does not number its lines"
            found.append(
                Verdict(self.pid, self.started, self.judged, self.judged, UNVERIFIED, why, None, self.unnumbered)
            )
        while self.cuts and not self.ended:
            cut = self.cuts[0]
            # Numbers beyond HOLES_MAX were folded: below that no cut can be judged any more.
            if cut.lines < self.numbers.folded_to:
                self.cuts.pop(0)
                continue
            if not self._has_come(cut.lines, cut.reach, seen):
                break
            verdict = self._judge(cut)
            self.cuts.pop(0)
            if verdict is None:
                self.joined += 1
                continue
            self._take(verdict, cut)
            found.append(verdict)
        gone = None if self.cuts or self.ended else self.gone
        if gone is not None and self._has_come(None, gone.reach, seen):
            found.append(self._close(gone))
        return found

    def waiting(self) -> int:
        """Stored lines that no verdict covers yet."""
        return 0 if self.ended else max(0, self.numbers.end - self.judged)

    def _has_come(self, lines: int | None, reach: int | None, seen: Seen) -> bool:
        """Whether all that was written before a moment is here, if it is not lost."""
        if seen.closed:
            return True
        if lines is not None and lines <= self.numbers.end and self.numbers.missing(lines) == self.judged_missing:
            return True
        if reach is not None:
            return seen.position >= reach
        return lines is not None and self.numbers.end > lines + _BEHIND_MAX * (self.threads - 1)

    def _judge(self, cut: Cut) -> Verdict | None:
        """The verdict at a cut, None where it leaves the matter open for the next one."""
        missing = self.numbers.missing(cut.lines) - self.judged_missing
        said = cut.dropped[0] - self.numbers.missing(cut.lines)
        if not self.whole:
            return self._begin(cut, said)
        lost = self.spare - said
        settled = cut.exact and (cut.settled or cut.threads == 1 or missing == lost == 0)
        if not settled and self.joined < JOINED_MAX:
            return None
        if not settled:
            why = "HAProxy went on dropping lines, or writing them in several threads, whenever it was asked"
            return self._verdict(cut, UNVERIFIED, why, unknown=missing)
        self.spare = said
        if lost <= 0:
            return self._verdict(cut, VERIFIED, dropped=missing, others=-lost)
        lost = min(lost, missing)  # the rest is of a window that was unverified, and was told there
        return self._verdict(cut, LOST if lost else VERIFIED, dropped=missing - lost, lost=lost)

    def _begin(self, cut: Cut, said: int) -> Verdict | None:
        """The first cut of a worker whose first lines are not kept: from here on it can be told."""
        if not self.numbers.end:
            if cut.reach is None or cut.reach < self.kept_from:
                return None
            self.numbers = Numbers(cut.lines, cut.lines, cut.lines)  # none of its lines is kept
            said = cut.dropped[0]
        self.whole, self.spare = True, said
        self.judged = self.numbers.base
        unknown = self.numbers.missing(cut.lines)
        return self._verdict(cut, UNVERIFIED, "its first lines are not kept any more", unknown=unknown)

    def _verdict(
        self,
        cut: Cut,
        verdict: str,
        why: str = "",
        *,
        dropped: int = 0,
        lost: int = 0,
        unknown: int = 0,
        others: int = 0,
    ) -> Verdict:
        twice = self._twice()
        if twice and verdict == VERIFIED:
            verdict, why = UNVERIFIED, "lines are stored twice"
        return Verdict(
            self.pid, self.started, self.judged, cut.lines, verdict, why, self.judged_time, cut.time,
            cut.dropped[1], dropped, lost, unknown, others, twice, self.numbers.place, cut.final,
            self.judged < cut.lines and self.numbers.is_missing(self.judged + 1), self.numbers.is_missing(cut.lines),
        )  # fmt: skip

    def take(self, numbers: Sequence[int], locate: Callable[[int], int]) -> None:
        """Numbers of stored lines, as they come."""
        if not self.whole and not self.numbers.end:
            base = min(numbers) - 1
            self.numbers = Numbers(base, base, base)
            self.whole = base == 0
        self.numbers.take(numbers, locate)

    def _take(self, verdict: Verdict, cut: Cut) -> None:
        self.told_twice += self._twice()
        self.numbers.fold(cut.lines)
        self.judged, self.judged_time = cut.lines, cut.time
        self.judged_missing = self.numbers.folded
        self.joined = 0
        self.ended = verdict.ended

    def _twice(self) -> int:
        """Lines that are there again, not told yet.

        One that comes after its window was judged is one of them; but with several threads it may have been written
        late, in the place of a message that was dropped.
        """
        return self.numbers.twice + (self.numbers.late if self.threads == 1 else 0) - self.told_twice

    def _close(self, gone: Gone) -> Verdict:
        """The end of a worker that nobody saw end: what is stored is known, what it dropped at last is not."""
        self.ended = True
        if not self.whole and not self.numbers.end:
            self.numbers = Numbers(self.tried, self.tried, self.tried)  # none of its lines is kept
        first = max(self.judged, self.numbers.base)
        last = max(self.numbers.end, self.tried, first)
        unknown = max(0, self.numbers.missing(last) - self.judged_missing) if last >= self.numbers.folded_to else 0
        twice = self._twice()
        why = "HAProxy does not number its lines" if self.unnumbered else gone.why
        return Verdict(
            self.pid, self.started, first, last, UNVERIFIED, why, self.judged_time, gone.time,
            unknown=unknown, twice=twice, place=self.numbers.place, ended=True,
        )  # fmt: skip

    # Keeping it.

    def state(self) -> dict[str, Any]:
        """It as JSON values."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "hole_bytes": self.hole_bytes,
            "numbers": self.numbers.state(),
            "cuts": [asdict(cut) for cut in self.cuts],
            "gone": None if self.gone is None else asdict(self.gone),
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> Judge:
        """It again."""
        judge = cls(**{name: state[name] for name in _PLAIN}, hole_bytes=state.get("hole_bytes"))
        judge.numbers = Numbers.load(state["numbers"])
        judge.cuts = [Cut(**{**cut, "dropped": (cut["dropped"][0], cut["dropped"][1])}) for cut in state["cuts"]]
        judge.gone = None if state["gone"] is None else Gone(**state["gone"])
        return judge


_PLAIN = (
    "pid", "started", "begins", "whole", "kept_from", "threads", "tried", "judged", "judged_time", "judged_missing",
    "spare", "joined", "told_twice", "unnumbered",
    "told_unnumbered", "ended",
)  # fmt: skip
