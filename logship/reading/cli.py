"""The commands ``logship logs``, ``logship losses`` and ``logship sources``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from logship import config
from logship.commands import Command
from logship.reading import losses, sources
from logship.reading.client import Client, Lost, Record
from logship.reading.output import Form, Output
from logship.reading.questions import named, time_range
from logship.reading.run import Reading

LINES = 100
LINES_FOLLOWING = 20

STATUS = (
    "Exit status: 0 done; 1 failed on the way; 2 usage, or a TARGET that means nothing; 4 the viewer cannot be "
    "reached; 130 interrupted; 141 the reader of a pipe went away."
)


def _configure_logs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="all, webapp, webapp/2, webapp:serf, 'web*:*', a stream's path; default all",
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with what comes; goes on by itself after the viewer was gone"
    )
    parser.add_argument(
        "-n",
        "--tail",
        metavar="N",
        help=f"the last N lines that match, up to 10000, or all "
        f"(default {LINES}; {LINES_FOLLOWING} with -f; all with --since or --until)",
    )
    parser.add_argument(
        "-S",
        "--since",
        metavar="TIME",
        help="lines from this time on: 10m, 2h30m, today, 'yesterday 17:30', 2026-11-23T20:15:01Z, @1795464901",
    )
    parser.add_argument("-U", "--until", metavar="TIME", help="lines before this time")
    parser.add_argument(
        "-q",
        "--query",
        metavar="QUERY",
        help="lines that match, as 'status:5xx t_total>1s -path:/x' or 'timeout or \"broken pipe\"', or @NAME of one "
        "that has a name: docs/query.md",
    )
    parser.add_argument("-g", "--grep", metavar="RE", help="lines that have this regular expression (of Python)")
    parser.add_argument("-v", "--exclude", metavar="RE", help="lines that have it not")
    parser.add_argument("-i", "--ignore-case", action="store_true", help="-g and -v regard no case")
    parser.add_argument(
        "--events",
        action="store_true",
        help="lines that go on with the one before them (stack traces) are one event: a match in one brings all, "
        "and -n counts events, up to 1000",
    )
    parser.add_argument(
        "--snapshots",
        action="store_true",
        help="also lines that say by the clock how things are (of supervise and ship), which else are only counted; "
        "-o raw has them anyway, and so has a TARGET that names their program",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=[form.value for form in Form],
        default="short",
        help="short: local time, source, text; raw: the stored bytes; json: a record a line",
    )
    parser.add_argument("--no-color", action="store_true", help="no colours on a terminal, as with NO_COLOR")
    config.add_options(parser, "url")
    parser.epilog = (
        "Lines of several streams are merged by time; while following, those that arrive within 150 ms. " + STATUS
    )  # fmt: skip


def logs(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Print lines."""
    client = _client(options, environment)
    named(client, options)
    terminal = sys.stdout.isatty()
    form = Form(options.output)
    asked = _asked(options, terminal and form is not Form.JSON)
    colour = terminal and not options.no_color and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    output = Output(form, terminal, colour, lambda time: time.astimezone())
    return Reading(client, output, sys.stdout.buffer).run(asked, options.follow)


def _asked(options: argparse.Namespace, terminal: bool) -> list[tuple[str, str]]:
    """The parameters of the question."""
    count = options.tail
    if count is None:
        count = "all" if options.since or options.until else str(LINES_FOLLOWING if options.follow else LINES)
    asked = [("q", target) for target in options.targets] + [("n", count), ("bytes", "4096" if terminal else "all")]
    for name in ("query", "grep", "exclude"):
        if getattr(options, name):
            asked.append((name, getattr(options, name)))
    asked += time_range(options)
    if options.snapshots or options.output == Form.RAW.value:
        asked.append(("snapshots", "1"))
    if options.events:
        asked.append(("events", "1"))
    if options.ignore_case:
        asked.append(("i", "1"))
    if options.follow:
        asked.append(("follow", "1"))
    return asked


def _configure_losses(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="all, webapp, webapp/2, ha:haproxy, a stream's path; default all"
    )
    parser.add_argument(
        "-S", "--since", metavar="TIME", help="losses from this time on: 10m, today, RFC 3339, @seconds"
    )
    parser.add_argument("-U", "--until", metavar="TIME", help="losses before this time")
    parser.add_argument(
        "-o",
        "--output",
        choices=["short", "json"],
        default="short",
        help="short: a table, with a total on a terminal; json: a record a line",
    )
    parser.add_argument("--exit-code", action="store_true", help="end with 1 when there are losses, as diff does")
    config.add_options(parser, "url")
    parser.epilog = (
        "A loss without a stream may be of any, and is always shown. Exit status: 0 done, also when there are losses; "
        "1 there are losses, with --exit-code; 2 usage, or a TARGET that means nothing; 4 the viewer cannot be reached."
    )


def _losses(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    client = _client(options, environment)
    asked = [("q", target) for target in options.targets] + time_range(options)
    *found, total = _all(client, "/api/losses", asked)
    if options.output == "json":
        for record in found:
            print(json.dumps(record, separators=(",", ":")))
    elif found:
        print("\n".join(losses.table(found, lambda time: time.astimezone())))
        if sys.stdout.isatty():
            print(losses.total(total))
    else:
        print("no loss is recorded", file=sys.stderr)
    if said := losses.forgotten(total):
        print(f"logship losses: {said}", file=sys.stderr)
    sys.stdout.flush()
    return 1 if options.exit_code and found else 0


def _client(options: argparse.Namespace, environment: Mapping[str, str]) -> Client:
    def tell(text: str) -> None:
        print(f"logship {options.command}: {text}", file=sys.stderr, flush=True)

    return Client(config.load(options, environment).url, tell)


def _all(client: Client, path: str, asked: list[tuple[str, str]]) -> list[Record]:
    """All records of an answer. Raises Fault."""
    try:
        return [record for record in client.records(path, asked) if record is not None]
    except Lost as lost:
        raise client.unreachable(str(lost)) from None


def _configure_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="all, webapp, webapp/2, ha:haproxy, a stream's path; default all"
    )
    parser.add_argument("--streams", action="store_true", help="a row a stream, instead of a row a program")
    parser.add_argument(
        "-o", "--output", choices=["table", "json"], default="table", help="a table, or a record a stream"
    )
    config.add_options(parser, "url")
    parser.epilog = (
        "LINES are those kept; RATE is of the last 5 minutes; LAG is what the source holds and the collector does not, "
        "as its shipper said in the last 75 s; SURVIVES is how long the collector may be away at that rate until a "
        "budget of the spool is full. What cannot be known is ?, and a note on standard error says why. " + STATUS
    )


def _sources(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    client = _client(options, environment)
    asked = [("q", target) for target in options.targets] + [("lines", "1")]
    records = _all(client, "/api/sources", asked)
    if options.output == "json":
        for record in records:
            print(json.dumps(record, separators=(",", ":")))
    elif records:
        print("\n".join(sources.table(records, datetime.now(UTC), streams=options.streams)), flush=True)
        for note in sources.notes(records):
            print(f"? {note}", file=sys.stderr)
    else:
        print("no stream yet", file=sys.stderr)
    sys.stdout.flush()
    return 0


COMMANDS = {
    "logs": Command(_configure_logs, logs),
    "losses": Command(_configure_losses, _losses),
    "sources": Command(_configure_sources, _sources),
}
