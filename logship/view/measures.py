"""Run: what ``GET /metrics`` of the viewer tells: streams and their bytes, lag, losses, by service and program.

A lag that is not known is left out, and counted among the unknown: no number is made up.
"""

from __future__ import annotations

from collections.abc import Sequence

from logship.metrics import COUNTER, GAUGE, Family, exposition, gauges, of_losses, owner
from logship.view.journal_reader import Picture
from logship.view.select import parse_targets
from logship.view.sources import SourceRecords


def measures(
    records: SourceRecords, picture: Picture, now_ms: int, followers: int, more: Sequence[Family] = ()
) -> bytes:
    """The text for Prometheus, with ``more`` of others'."""
    streams = Family("logship_streams", GAUGE, "Streams there are, by state.")
    received = Family("logship_stream_bytes_total", COUNTER, "Bytes of streams that the collector has, or had.")
    kept = Family("logship_stream_kept_bytes", GAUGE, "Bytes of streams that can be read.")
    lag = Family("logship_lag_bytes", GAUGE, "Bytes that sources hold and the collector does not, as shippers say.")
    seconds = Family("logship_lag_seconds", GAUGE, "How long the oldest byte of a source waits, as its shipper says.")
    unknown = Family("logship_lag_unknown", GAUGE, "Open streams whose lag nobody can tell.")
    survives = Family("logship_survives_seconds", GAUGE, "How long the collector may be away at the present rate.")
    targets = parse_targets([])
    assert isinstance(targets, list)
    for one in records.records(picture, targets, now_ms, lines=False, last_lines=False):
        labels = owner(one["stream"])
        streams.add(1, **labels, state="removed" if one["retired"] else "closed" if one["closed"] else "open")
        received.add(one["bytes"], **labels)
        kept.add(one["kept_bytes"], **labels)
        place = {**labels, "instance": one["place"].partition("/")[2]}
        unknown.add("lag_bytes" in one["unknown"], **labels)
        if one["lag_bytes"] is not None and not one["closed"]:
            lag.add(one["lag_bytes"], **place)
        if one["lag_seconds"] is not None and not one["closed"]:
            key = tuple(place.items())
            seconds.values[key] = max(seconds.values.get(key, 0), one["lag_seconds"])
        if one["survives_seconds"] is not None:
            survives.add(one["survives_seconds"], **place)
    own = gauges(
        "logship_",
        {
            "journal_end_bytes_total": (picture.end, "Bytes of journal ever written, as far as the viewer has read."),
            "view_followers": (followers, "Readers that follow."),
        },
    )
    losses = of_losses((loss for _, loss in picture.losses), picture.forgotten)
    return exposition([streams, received, kept, lag, seconds, unknown, survives, *own, *losses, *more])
