"""The command ``logship stats``: what HAProxy's lines say of requests, of the store or of a file."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.reading import cli, log_file
from logship.reading.explain_cli import knowledge
from logship.reading.query import Answer, Question, told
from logship.reading.query_cli import client_of, configure, question_of
from logship.reading.questions import named, time_range
from logship.reading.stats import FOOT, NAMED, of_groups, report
from logship.reading.tables import csv_lines, json_lines, json_worth
from logship.values import Invalid
from logship.view.language import Piped, parse_piped
from logship.view.pipes import Pipe
from logship.view.pipes_groups import TooMuch
from logship.view.pipes_result import making_of


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("of", choices=["haproxy"], metavar="haproxy", help="whose lines: haproxy")
    configure(parser)
    parser.add_argument(
        "--by",
        metavar="FIELD[,FIELD]",
        help="one table, by server, path (without its ?...), client, state, status, or any field of docs/query.md",
    )
    parser.add_argument("-q", "--query", metavar="QUERY", help="of lines that match, as 'status:5xx -path:/health'")
    parser.add_argument(
        "--file",
        action="append",
        metavar="FILE",
        help="read this log file (.gz, too; - is standard input) instead of asking the viewer; may be repeated",
    )
    parser.epilog = (
        "Without --by: all requests, each server, termination states with their meaning, who waited in a queue, and "
        "percentiles. Lines of option httplog, httpslog, tcplog and ours, with or without a syslog header. "
        + cli.STATUS
    )


def _stats(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    by = ", ".join(NAMED.get(word.strip(), word.strip()) for word in (options.by or "").split(","))
    if not options.file:
        named(client_of(options, environment), options)
    query = f"{options.query or ''} | haproxy" + (f" by {by}" if by else "")
    found = parse_piped(query)
    if isinstance(found, Invalid):
        raise Fault("understand", "the question", found.reason, status=USAGE)
    pipe = found.pipe
    assert pipe is not None, "the query ends with one"
    if options.output == "csv" and not pipe.by:
        raise Fault("write", "several tables as CSV", "they have different columns", "take one by --by server", USAGE)
    question, asked = question_of(options, environment, query)
    answer = _of_files(options, pipe, found) if options.file else question.ask(asked)
    _print(options, question, pipe, answer)
    return 0


def _of_files(options: argparse.Namespace, pipe: Pipe, found: Piped) -> Answer:
    if options.targets:
        raise Fault("read", "a file and TARGETs", "TARGETs are of the store", "leave one of them out", USAGE)
    times = {name: round(float(said[1:]) * 1000) for name, said in time_range(options)}
    making = making_of(pipe, times.get("since"), times.get("until", time.time_ns() // 1_000_000))
    live = sys.stderr.isatty()

    def tell(count: int) -> None:
        if live:
            sys.stderr.write(f"\r{count:,} lines")

    try:
        lines = log_file.feed(options.file, making, found.node, times.get("since"), times.get("until"), tell)
    except TooMuch as much:
        raise Fault("answer", "the question", str(much)) from None
    if live:
        sys.stderr.write(f"\r{'':30}\r")
    tables = {name: asdict(table) for name, table in making.tables().items()}
    losses: dict[str, Any] = {"type": "losses", "text": "", "forgotten": 0}
    return Answer(tables, losses, {"lines": lines, "hidden": 0})


def _print(options: argparse.Namespace, question: Question, pipe: Pipe, answer: Answer) -> None:
    first = next(iter(answer.tables.values()))
    if options.output == "csv":
        lines = csv_lines(answer.table)
    elif options.output == "json":
        lines = [
            line
            for name, table in answer.tables.items()
            for line in json_lines(table, **({"table": name} if name else {}))
        ]
        lines += json_worth(first, answer.losses, answer.progress)
    elif not first["counted"]:
        lines = []
        question.say("no line of HAProxy's matches")
    elif pipe.by:
        lines = [*of_groups(answer.table, knowledge().meaning), "", FOOT]
    else:
        lines = report(answer.tables, knowledge().meaning)
    for line in lines:
        print(line)
    sys.stdout.flush()
    told(question, pipe, first, answer)


COMMANDS = {"stats": Command(_configure, _stats)}
