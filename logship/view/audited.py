"""Edge: what the audit of HAProxy (docs/audit.md) has found of a stream, as it noted it in the store.

Only what is noted is known: the sums of the newest workers, and the newest windows. Nothing noted means nothing said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from logship.audit.verdict import LOST, UNVERIFIED

NOTES = "audit.json"
NOTES_BYTES_MAX = 64 * 1024 * 1024


class Audited:
    """Reads the notes in ``folder`` when they have changed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NOTES
        self._seen: tuple[int, int] | None = None
        self._found: dict[str, Any] = {}

    def of(self, stream: str) -> dict[str, Any] | None:
        """Counts of windows of this stream's incarnation, and the newest unverified ones in it; None: nothing said."""
        self._look()
        place, _, name = stream.rpartition("/")
        incarnation = name.partition(".")[0]
        windows = [one for one in self._found.get("windows", ()) if one.get("stream") == stream]
        workers = [one for one in self._found.get("workers", ()) if one.get("incarnation") == incarnation]
        if not place.endswith("/haproxy") or not (windows or workers):
            return None
        return {
            "verified": sum(one["verified"] for one in workers),
            "lost": sum(one["lost_windows"] for one in workers),
            "unverified": sum(one["unverified"] for one in workers),
            "windows": [
                {name: one.get(name) for name in ("from", "to", "first", "last", "offset", "verdict", "why")}
                for one in windows
                if one.get("verdict") in (LOST, UNVERIFIED)
            ],
        }

    def _look(self) -> None:
        try:
            facts = self._path.stat()
            seen = facts.st_mtime_ns, facts.st_size
            if seen != self._seen and facts.st_size <= NOTES_BYTES_MAX:
                notes = json.loads(self._path.read_bytes())
                self._found = notes["found"] if notes.get("v") == 1 else {}
                self._seen = seen
        except (OSError, ValueError, KeyError, AttributeError):
            self._found = {}
