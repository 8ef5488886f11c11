"""The command ``logship export``: streams and lines out of the store, into files that others read."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from logship import config
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.reading import export
from logship.reading.cells import COLUMNS, columns
from logship.reading.client import Client, Record
from logship.reading.columns import size
from logship.reading.export import Found
from logship.reading.questions import every, named, time_range
from logship.reading.whole import beside, whole_file, whole_folder, whole_path
from logship.values import Invalid
from logship.view.select import Identity

RAW, JSONL, CSV, PARQUET = "raw", "jsonl", "csv", "parquet"
Asked = list[tuple[str, str]]
PROGRESS_SECONDS = 0.2
DAMAGES_TOLD = 5
INCOMPLETE = 3
"""Exit status when it is written, but for bytes that are damaged in the store, or cannot be read there."""


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="all, webapp, webapp/2, ha:haproxy, a stream's path; default all"
    )
    parser.add_argument("-q", "--query", metavar="QUERY", help="lines that match: docs/query.md; not with raw")
    parser.add_argument("-S", "--since", metavar="TIME", help="lines from this time on: 10m, today, RFC 3339, @seconds")
    parser.add_argument("-U", "--until", metavar="TIME", help="lines before this time")
    parser.add_argument(
        "--format",
        choices=[RAW, JSONL, CSV, PARQUET],
        default=JSONL,
        help="raw: the exact bytes of whole streams; jsonl: a record a line, with its exact bytes; csv: a row a line; "
        "parquet: a row a line, with the columns of docs/lake.md",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="-",
        help="where to; -: standard output (the default). raw of more than one stream: a new folder",
    )
    parser.add_argument("--fields", metavar="NAMES", help="the columns of csv, with commas between: docs/export.md")
    parser.add_argument(
        "--formulas",
        action="store_true",
        help="csv: leave texts that a spreadsheet would run as formulas as they are; else they get a ' before them",
    )
    config.add_options(parser, "url")
    parser.epilog = (
        "FILE is there only when it is whole. Exit status: 0 done; 1 failed on the way, nothing is written; 2 usage, "
        "or a TARGET that means nothing; 3 written but for bytes that are damaged in the store or cannot be read "
        "there, which are named; 4 the viewer cannot be reached; 130 interrupted; 141 the reader of a pipe went away."
    )


def _export(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    client = Client(config.load(options, environment).url, _say)
    _check(options)
    named(client, options)
    found = _streams(client, options) if options.format == RAW else _lines(client, options)
    for text in found.damages[:DAMAGES_TOLD]:
        _say(f"not in it, since it is damaged in the store or cannot be read there: {text}")
    if len(found.damages) > DAMAGES_TOLD:
        _say(f"and {len(found.damages) - DAMAGES_TOLD} more such places")
    if found.losses:
        _say(f"{found.losses:,} losses are recorded in what was exported: logship losses")
    if found.neutralised:
        _say(f"{found.neutralised:,} cells got a ' before them, so that no spreadsheet runs them; not with --formulas")
    if options.output != "-":
        lines = "" if options.format == RAW else f"{found.lines:,} lines, "
        _say(f"{lines}{size(found.bytes)} in {options.output}")
    return INCOMPLETE if found.damages else 0


def _say(text: str) -> None:
    print(f"logship export: {text}", file=sys.stderr, flush=True)


def _check(options: argparse.Namespace) -> None:
    if options.format == RAW and (options.query or options.since or options.until):
        hint = "logship logs -o raw gives the exact bytes of lines that match"
        raise Fault("export", "raw", "it gives whole streams: no query and no range of time", hint, USAGE)
    if options.format != CSV and (options.fields or options.formulas):
        raise Fault("export", options.format, "--fields and --formulas are for csv", status=USAGE)
    if options.format == PARQUET and options.output == "-":
        raise Fault("export", "parquet", "its end says where its parts are", "give a file by -o FILE", USAGE)
    if options.format != JSONL and options.output == "-" and sys.stdout.isatty():
        hint = "send it into a file or a pipe, or give -o FILE"
        raise Fault("export", options.format, "bytes of logs would command this terminal", hint, USAGE)


def _streams(client: Client, options: argparse.Namespace) -> Found:
    wanted = {one["stream"] for one in every(client, "/api/sources", [("q", target) for target in options.targets])}
    listings = [one for one in every(client, "/v1/streams", []) if one["stream"] in wanted]
    tell = _progress("exporting", size)
    if options.output == "-":
        if len(listings) != 1:
            text = f"{len(listings)} streams do not go to one standard output"
            raise Fault("export", "raw", text, "name one stream, or a folder by -o", USAGE)
        return export.stream(client, listings[0], sys.stdout.buffer, tell)
    with whole_folder(Path(options.output)) as folder:
        return export.streams(client, listings, folder, options.targets or ["all"], tell)


def _lines(client: Client, options: argparse.Namespace) -> Found:
    asked = [("q", target) for target in options.targets] + [("n", "all"), ("bytes", "all"), ("snapshots", "1")]
    asked += time_range(options) + ([("query", options.query)] if options.query else [])
    names = columns(options.fields) if options.fields else COLUMNS
    if isinstance(names, Invalid):
        raise Fault("understand", "--fields", names.reason, status=USAGE)
    tell = _progress("exporting", lambda count: f"{count:,.0f} lines")

    def write(out: BinaryIO) -> Found:
        if options.format == JSONL:
            terminal = options.output == "-" and sys.stdout.isatty()
            return export.json_lines(client, asked, out, tell, terminal=terminal)
        return export.table(client, asked, names, _identities(client, options), out, tell, formulas=options.formulas)

    if options.format == PARQUET:
        return _parquet(client, options, asked, tell)
    if options.output == "-":
        return write(sys.stdout.buffer)
    with whole_file(Path(options.output)) as file:
        return write(file)


def _parquet(client: Client, options: argparse.Namespace, asked: Asked, tell: Callable[[int], None]) -> Found:
    with whole_path(Path(options.output)) as path, beside(path) as folder:
        return export.columns(client, asked, _identities(client, options), folder, path, tell)


def _identities(client: Client, options: argparse.Namespace) -> dict[str, Identity]:
    """Whose each stream is, and of which kind, as the viewer knows it."""
    sources: list[Record] = every(client, "/api/sources", [("q", target) for target in options.targets])
    return {one["stream"]: _identity(one) for one in sources}


def _identity(source: Record) -> Identity:
    path = source["stream"].split("/")
    service, instance = (path[0], path[1]) if source["program"] is not None else (None, None)
    return Identity(source["stream"], service, instance, source["program"], source["kind"])


def _progress(what: str, said: Callable[[float], str]) -> Callable[[int], None]:
    """How far it is, on standard error where that is a terminal and what is exported is not."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        return lambda _: None
    done, at = 0, 0.0

    def tell(count: int) -> None:
        nonlocal done, at
        done += count
        now = time.monotonic()
        if now - at >= PROGRESS_SECONDS:
            at = now
            print(f"\r{what}: {said(done)}\x1b[K\r", end="", file=sys.stderr, flush=True)

    return tell


COMMANDS = {"export": Command(_configure, _export)}
