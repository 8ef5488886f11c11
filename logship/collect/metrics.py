"""Core: what ``GET /metrics`` of the collector tells: requests and their answers, intake, the journal, losses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from logship.metrics import COUNTER, Family, exposition, gauges, of_losses
from logship.values import Loss

METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"})


class Metrics:
    """Counts since the process began."""

    def __init__(self) -> None:
        self._requests = Family(
            "logship_collect_requests_total", COUNTER, "Requests that were answered, by method and status."
        )
        self._appended_bytes = 0
        self._appends = 0

    def answered(self, method: str, status: int) -> None:
        """A request had this answer."""
        self._requests.add(1, method=method if method in METHODS else "other", status=str(status))

    def appended(self, body_bytes: int) -> None:
        """An append was taken, or had been taken before; so many bytes had come with it, as they were encoded."""
        self._appends += 1
        self._appended_bytes += body_bytes

    def text(self, health: Mapping[str, Any], losses: Iterable[Loss]) -> bytes:
        """All of it; ``health`` is what ``/v1/health`` says."""
        found = gauges(
            "logship_collect_",
            {
                "appends_total": (self._appends, "Appends that were taken, repeated ones included."),
                "append_body_bytes_total": (self._appended_bytes, "Bytes of their bodies, as they came."),
                "accepting": (bool(health["accepting"]), "Whether appends are taken."),
                "streams": (health["streams"], "Streams there are, removed ones that are remembered included."),
                "journal_end_bytes_total": (health["lsn"], "Bytes of journal ever written: its end as an LSN."),
                "journal_bytes": (health["journal_bytes"], "Bytes of journal that are kept."),
                "sealed_end_bytes": (
                    health["sealed_end"] or 0,
                    "How far the journal is in the lake, as an LSN; 0: there is none.",
                ),
                "segments": (health["segments"], "Segments of the journal that are kept."),
                "room_bytes": (health["room_bytes"], "Bytes that are still taken before the journal or disk is full."),
                "disk_free_bytes": (health["disk_free_bytes"], "Bytes free on the disk of the store."),
                "damaged_places": (health["damaged_places"], "Damaged places that reads have met, in what is kept."),
                "damaged_bytes": (health["damaged_bytes"], "Bytes of streams that cannot be read for them."),
                "connections": (health["connections"], "Connections that are open."),
                "readers": (health["readers"], "Readers that wait for more."),
            },
        )
        return exposition([self._requests, *found, *of_losses(losses, int(health["losses_dropped"]))])
