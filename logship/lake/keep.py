"""Core: which files of the lake may go: the oldest, by age and by size; and when one that is to go is deleted.

A reader works from the manifest it loaded: a file stays for a while after the manifest without it was published.
"""

from __future__ import annotations

from dataclasses import dataclass

from logship.lake.manifest import Leaving, Manifest

GRACE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is kept: bytes of files, seconds since a file's newest line was received. None: no bound."""

    bytes: int | None = None
    age_seconds: int | None = None


def removable(manifest: Manifest, policy: Policy, now_ms: int) -> int:
    """How many of the oldest files may go."""
    total = sum(file.stored_bytes for file in manifest.files)
    gone = 0
    for file in manifest.files:
        too_old = policy.age_seconds is not None and now_ms - file.newest_received > policy.age_seconds * 1000
        too_many = policy.bytes is not None and total > policy.bytes
        if not (too_old or too_many):
            break
        total -= file.stored_bytes
        gone += 1
    return gone


def is_over(leaving: Leaving, now_ms: int) -> bool:
    """Whether nobody needs the file any more. A clock that was set back does not keep it for ever."""
    return abs(now_ms - leaving.time_ms) >= GRACE_MS
