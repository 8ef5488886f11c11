"""Edge: questions to the viewer that have one whole answer: its records, and which streams TARGETs mean."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime

from logship.errors import USAGE, Fault
from logship.reading.client import Client, Lost, Record
from logship.values import Invalid
from logship.view.saved import expanded, is_named, read_saved
from logship.view.when import parse_moment


def every(client: Client, path: str, asked: Sequence[tuple[str, str]]) -> list[Record]:
    """All records of an answer. Raises Fault."""
    try:
        return [record for record in client.records(path, asked) if record is not None]
    except Lost as lost:
        raise client.unreachable(str(lost)) from None


def named(client: Client, options: argparse.Namespace) -> None:
    """In ``options.query`` what a saved query means stands for ``@NAME``, its range of time where none is said."""
    if not options.query or not is_named(options.query):
        return
    known = {one["name"]: read_saved(one) for one in every(client, "/api/queries", [])}
    found = expanded(options.query, known)
    if isinstance(found, Invalid):
        raise Fault("understand", "the query", found.reason, f"asked was the viewer at {client.url}", USAGE)
    assert found is not None
    options.query = found.text
    if options.since is None and options.until is None:
        options.since, options.until = found.since or None, found.until or None


def streams_meant(client: Client, targets: Sequence[str]) -> list[str]:
    """The paths of the streams that TARGETs mean, or the one stream that has just this path. Raises Fault."""
    if len(targets) == 1:
        exact = [one["stream"] for one in every(client, "/v1/streams", [("prefix", targets[0])])]
        if targets[0] in exact:
            return [targets[0]]
    return [one["stream"] for one in every(client, "/api/sources", [("q", target) for target in targets])]


def time_range(options: argparse.Namespace) -> list[tuple[str, str]]:
    """The range of time by --since and --until, by the wall of whoever asks. Raises Fault."""
    now, found = datetime.now(), []
    for name in ("since", "until"):
        said = getattr(options, name)
        if said is not None:
            moment = parse_moment(said, now, lambda local: round(local.timestamp() * 1000))
            if isinstance(moment, Invalid):
                raise Fault("understand", f"--{name}", moment.reason, status=USAGE)
            found.append((name, f"@{moment // 1000}.{moment % 1000:03}"))
    return found
