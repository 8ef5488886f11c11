"""Edge: questions to the viewer that have one whole answer: its records, and which streams TARGETs mean."""

from __future__ import annotations

from collections.abc import Sequence

from logship.reading.client import Client, Lost, Record


def every(client: Client, path: str, asked: Sequence[tuple[str, str]]) -> list[Record]:
    """All records of an answer. Raises Fault."""
    try:
        return [record for record in client.records(path, asked) if record is not None]
    except Lost as lost:
        raise client.unreachable(str(lost)) from None


def streams_meant(client: Client, targets: Sequence[str]) -> list[str]:
    """The paths of the streams that TARGETs mean, or the one stream that has just this path. Raises Fault."""
    if len(targets) == 1:
        exact = [one["stream"] for one in every(client, "/v1/streams", [("prefix", targets[0])])]
        if targets[0] in exact:
            return [targets[0]]
    return [one["stream"] for one in every(client, "/api/sources", [("q", target) for target in targets])]
