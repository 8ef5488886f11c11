"""Core: which files of the lake may go: the oldest, by age and by size; and when one that is to go is deleted.

Some streams may be kept for longer or less long than others: then their lines leave a file before the rest of it.

A reader works from the manifest it loaded: a file stays for a while after the manifest without it was published.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from logship.lake.manifest import File, Leaving, Manifest
from logship.values import Invalid

GRACE_MS = 60_000
DAY_SECONDS = 24 * 3600
DAYS_MAX = 36_500


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is kept: bytes of files, seconds since a file's newest line was received. None: no bound.

    ``streams`` are patterns of paths with seconds of their own: the first that fits holds instead of ``age_seconds``.
    """

    bytes: int | None = None
    age_seconds: int | None = None
    streams: tuple[tuple[str, int | None], ...] = ()

    def is_old(self, file: File, path: str, now_ms: int) -> bool:
        """Whether the lines of a stream in that file are older than they are kept."""
        own = (seconds for pattern, seconds in self.streams if fnmatchcase(path, pattern))
        seconds = next(own, self.age_seconds)
        return seconds is not None and now_ms - file.newest_received > seconds * 1000


def by_stream(text: str) -> tuple[tuple[str, int | None], ...] | Invalid:
    """``web/*=7 */serf/*=30`` as patterns of paths with seconds; 0 days are no bound."""
    found: list[tuple[str, int | None]] = []
    for part in text.split():
        pattern, separator, days = part.rpartition("=")
        if not separator or not pattern or not days.isdecimal() or int(days) > DAYS_MAX:
            return Invalid(f"{part!r} is not PATTERN=DAYS, with 0 to {DAYS_MAX} days")
        found.append((pattern, int(days) * DAY_SECONDS or None))
    return tuple(found)


def removable(manifest: Manifest, policy: Policy, now_ms: int) -> int:
    """How many of the oldest files may go."""
    total = sum(file.stored_bytes for file in manifest.files)
    gone = 0
    for file in manifest.files:
        too_old = all(policy.is_old(file, path, now_ms) for path in file.streams)
        too_many = policy.bytes is not None and total > policy.bytes
        if not (too_old or too_many):
            break
        total -= file.stored_bytes
        gone += 1
    return gone


def thinnable(
    manifest: Manifest, policy: Policy, now_ms: int, left_out: frozenset[str] = frozenset()
) -> tuple[int, frozenset[str]] | None:
    """The first file of which some streams are to go, and which. ``left_out`` are names of files."""
    if policy.streams:
        for at, file in enumerate(manifest.files):
            gone = frozenset(path for path in file.streams if policy.is_old(file, path, now_ms))
            if gone and file.name not in left_out:
                return at, gone
    return None


def is_over(leaving: Leaving, now_ms: int) -> bool:
    """Whether nobody needs the file any more. A clock that was set back does not keep it for ever."""
    return abs(now_ms - leaving.time_ms) >= GRACE_MS
