"""The command ``logship explain``: what HAProxy's log lines say."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping
from importlib import resources

from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.reading.explain import Knowledge
from logship.values import Invalid

LINES_MAX = 1000


def knowledge() -> Knowledge:
    """What haproxy.toml says."""
    return Knowledge(tomllib.loads(resources.files("logship.reading").joinpath("haproxy.toml").read_text("utf-8")))


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.prefix_chars = "\0"  # the most frequent states begin with "-": here that makes no option
    parser.set_defaults(help=parser.format_help)
    parser.add_argument(
        "words",
        nargs="+",
        metavar="WORD",
        help="a state (sH--, or its first two letters), a field (t_queue), a tag (%%Tw), a whole log line in quotes, "
        f"or - for lines from standard input, {LINES_MAX:,} at most",
    )
    parser.epilog = "Exit status: 0 told; 2 a WORD that is not known: nothing is told."


def _explain(options: argparse.Namespace, _environment: Mapping[str, str]) -> int:
    if {"-h", "--help"} & {*options.words}:
        print(options.help(), end="")
        return 0
    words: list[str] = []
    for word in options.words:
        words += _lines() if word == "-" else [word]
    known = knowledge()
    told: list[str] = []
    for word in words:
        found = known.explain(word.strip())
        if isinstance(found, Invalid):
            hint = "logship explain sH-- t_queue %Tr, or a whole line of an HTTP frontend in quotes"
            raise Fault("explain", f"{word.strip()[:80]!r}", found.reason, hint, USAGE)
        told.append("\n".join(found))
    print("\n\n".join(told))
    return 0


def _lines() -> list[str]:
    lines = [line for line in sys.stdin.read().splitlines() if line.strip()]
    if len(lines) > LINES_MAX:
        raise Fault("explain", "standard input", f"it has {len(lines):,} lines", f"give {LINES_MAX:,} at most", USAGE)
    return lines


COMMANDS = {"explain": Command(_configure, _explain)}
