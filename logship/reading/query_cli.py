"""The command ``logship query``: what a pipe makes of lines; without a pipe, the lines."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from logship import config
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.reading import cli, sql
from logship.reading.client import Client
from logship.reading.columns import aligned
from logship.reading.query import Question, printed
from logship.reading.questions import every, named, time_range
from logship.reading.tables import Shown
from logship.values import Invalid
from logship.view.language import parse_piped
from logship.view.pipes import Pipe
from logship.view.shown import harmless


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of every command that asks for a table, and its TARGETs, last of all."""
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="all, webapp, webapp/2, ha:haproxy, a stream's path; default all"
    )
    parser.add_argument(
        "-S",
        "--since",
        metavar="TIME",
        help="lines from this time on: 10m, today, 'yesterday 17:30', RFC 3339, @seconds",
    )
    parser.add_argument("-U", "--until", metavar="TIME", help="lines before this time")
    parser.add_argument(
        "-o",
        "--output",
        choices=["table", "json", "csv"],
        default="table",
        help="a table; a record a row and what the numbers are worth; comma-separated values",
    )
    parser.add_argument("--no-color", action="store_true", help="no colours on a terminal, as with NO_COLOR")
    config.add_options(parser, "url")
    _intermix(parser)


def _intermix(parser: argparse.ArgumentParser) -> None:
    """TARGETs may stand behind options, too: argparse would take them all before the first option."""
    plain, within = parser.parse_known_args, False

    def parse(args: Any = None, namespace: Any = None) -> Any:
        nonlocal within
        if within:
            return plain(args, namespace)
        within = True
        return parser.parse_known_intermixed_args(args, namespace)

    parser.parse_known_args = parse  # type: ignore[method-assign]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "query",
        metavar="QUERY",
        help="'LINES | PIPE', as 'status:5xx | count by server', '| rate 1m by status:class', '| p50,p99 t_total by "
        "server', '| top 10 path', '| patterns', or @NAME of one that has a name (@ alone lists them): docs/query.md",
    )
    configure(parser)
    parser.add_argument(
        "--snapshots", action="store_true", help="also count the lines that say by the clock how things are"
    )
    parser.add_argument(
        "--sql",
        action="store_true",
        help="QUERY is one SELECT over the views lines, haproxy, serf, events, losses of what is sealed: docs/query.md",
    )
    parser.epilog = (
        "On a terminal with bars, and how far the search is on standard error; Ctrl-C says it, too. Losses in the "
        "range are told with the table. Without a pipe it prints the lines, as `logship logs -q QUERY`. " + cli.STATUS
    )


def _query(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    client = client_of(options, environment)
    if options.sql:
        return _sql(client, options)
    if options.query.strip() == "@":
        return _names(client, options)
    named(client, options)
    found = parse_piped(options.query)
    if isinstance(found, Invalid):
        raise Fault("understand", "the query", found.reason, status=USAGE)
    if found.pipe is None:
        return _lines(options, environment)
    return ask(options, environment, options.query, found.pipe)


def _sql(client: Client, options: argparse.Namespace) -> int:
    if options.targets or options.since or options.until or options.snapshots:
        raise Fault("ask", "in SQL", "TARGETs, times and --snapshots are no part of it", "say it in the WHERE", USAGE)
    return sql.ask(client, options.command, options.query, options.output)


def ask(options: argparse.Namespace, environment: Mapping[str, str], query: str, pipe: Pipe) -> int:
    """Ask, and print the table; the exit status."""
    question, asked = question_of(options, environment, query)
    if options.snapshots:
        asked.append(("snapshots", "1"))
    printed(question, pipe, question.ask(asked), options.output, shown(options, environment, pipe))
    return 0


def question_of(
    options: argparse.Namespace, environment: Mapping[str, str], query: str
) -> tuple[Question, list[tuple[str, str]]]:
    """Who asks, and the parameters of what."""
    times = time_range(options)
    since = next((datetime.fromtimestamp(float(said[1:]), UTC) for name, said in times if name == "since"), None)
    question = Question(options.command, client_of(options, environment), _local, sys.stderr.isatty(), since)
    return question, [("query", query), *(("q", target) for target in options.targets), *times]


def shown(options: argparse.Namespace, environment: Mapping[str, str], pipe: Pipe) -> Shown:
    """How tables are written where they go."""
    terminal = sys.stdout.isatty()
    colour = terminal and not options.no_color and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    bars = terminal and "utf" in (sys.stdout.encoding or "").lower()
    return Shown(pipe, _local, bars, bool(colour))


def client_of(options: argparse.Namespace, environment: Mapping[str, str]) -> Client:
    """Who is asked."""

    def tell(text: str) -> None:
        print(f"logship {options.command}: {text}", file=sys.stderr, flush=True)

    return Client(config.load(options, environment).url, tell)


def _names(client: Client, options: argparse.Namespace) -> int:
    """The queries that have names."""
    found = every(client, "/api/queries", [])
    if options.output == "json":
        print("".join(f"{json.dumps(one, separators=(',', ':'))}\n" for one in found), end="")
    elif found:
        rows = [("NAME", "SINCE", "QUERY", "DESCRIPTION")]
        rows += [
            (f"@{one['name']}", one.get("since", "-"), harmless(one["text"]), harmless(one.get("description", "")))
            for one in found
        ]
        print("\n".join(aligned(rows)))
    else:
        print("logship query: no query has a name; docs/query.md says how one gets it", file=sys.stderr)
    return 0


def _local(moment: datetime) -> datetime:
    return moment.astimezone()


def _lines(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Without a pipe: the lines themselves."""
    if options.output == "csv":
        raise Fault(
            "write", "lines as CSV", "they have no columns", "a pipe makes a table: '... | count by server'", USAGE
        )
    parser = argparse.ArgumentParser()
    cli.COMMANDS["logs"].configure(parser)
    asked = argparse.Namespace(**{**vars(parser.parse_args([])), **vars(options)})
    asked.output = "short" if options.output == "table" else options.output
    return cli.logs(asked, environment)


COMMANDS = {"query": Command(_configure, _query)}
