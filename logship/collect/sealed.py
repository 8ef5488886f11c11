"""Core: up to where the journal may be deleted since the lake has it: what a manifest said that was loaded a while ago.

Whoever read an older manifest takes from the journal what that one had not; so a segment stays for a while after the
manifest that holds it was loaded. Left to others: loading manifests (``lake``), which segments then go (``retention``).
"""

from __future__ import annotations

from dataclasses import dataclass

GRACE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Sealed:
    """``seen``: (how far it was sealed, since when that is known, in ms), both ascending; nothing of a new process."""

    seen: tuple[tuple[int, int], ...] = ()

    def noted(self, sealed_end: int, now_ms: int) -> Sealed:
        """A manifest was loaded that holds everything below ``sealed_end``; a lake that holds less is another one."""
        seen = [one for one in self.seen if one[0] <= sealed_end]
        if not seen or seen[-1][0] < sealed_end:
            seen.append((sealed_end, now_ms))
        over_end = Sealed(tuple(seen)).end(now_ms)
        return Sealed(tuple(one for one in seen if one[0] >= over_end))

    def end(self, now_ms: int) -> int:
        """Below which LSN nobody needs the journal any more."""
        return max((end for end, since_ms in self.seen if _is_over(since_ms, now_ms)), default=0)


def _is_over(since_ms: int, now_ms: int) -> bool:
    """A clock that was set back does not keep it for ever."""
    return abs(now_ms - since_ms) >= GRACE_MS
