"""The command ``logship alerts``: which alerts there are, which fire, since when, and whether anybody was told."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from logship import config
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.reading import alerts
from logship.reading.client import Client
from logship.reading.questions import every
from logship.values import Invalid


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="these alerts; default all")
    parser.add_argument(
        "-o", "--output", choices=["table", "json"], default="table", help="a table, or a record an alert and group"
    )
    parser.add_argument("--exit-code", action="store_true", help="end with 1 when one of them fires, as diff does")
    config.add_options(parser, "url")
    parser.epilog = (
        "VALUE is how many lines are in the window now. They are declared in the file of `logship view --config`: "
        "docs/alerts.md. Exit status: 0 done, also when one fires; 1 one fires, with --exit-code; 2 usage, or a NAME "
        "that is none; 3 with --exit-code: they are not evaluated; 4 the viewer cannot be reached."
    )


def _alerts(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    client = Client(config.load(options, environment).url, _say)
    found = every(client, "/api/alerts", [])
    whole = next((one for one in found if one["type"] == "evaluation"), None)
    records = alerts.chosen([one for one in found if one["type"] == "alert"], options.names)
    if isinstance(records, Invalid):
        raise Fault("list", "alerts", records.reason, f"asked was the viewer at {client.url}", USAGE)
    if options.output == "json":
        for record in records:
            print(json.dumps(record, separators=(",", ":")))
    elif records:
        print("\n".join(alerts.table(records, datetime.now(UTC))))
    else:
        _say("no alert is declared; docs/alerts.md says how one is")
    sys.stdout.flush()
    for note in alerts.notes(records, whole) if whole is not None else ():
        _say(note)
    if not options.exit_code:
        return 0
    if any(one["state"] == "firing" for one in records):
        return 1
    return 3 if any(one["state"] == "unknown" for one in records) else 0


def _say(text: str) -> None:
    print(f"logship alerts: {text}", file=sys.stderr, flush=True)


COMMANDS = {"alerts": Command(_configure, _alerts)}
