"""``supervise evidence DIR``: the command line of the walk."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping
from pathlib import Path

from logship.commands import Command
from logship.errors import USAGE, Fault
from supervise import config
from supervise.evidence.folder import Folder
from supervise.evidence.run import Walk, Wishes
from supervise.evidence.stack import Stack
from supervise.fleet.engine import Engine

NODES_MAX = 50
REQUESTS_MAX = 10_000_000
PER_SECOND_MAX = 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``supervise evidence``."""
    defaults = Wishes()
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the report goes: new, or of an earlier walk")
    parser.add_argument("--nodes-max", type=int, default=defaults.nodes_max, help="scale up to (default %(default)s)")
    parser.add_argument(
        "--requests", type=int, default=defaults.requests, help="requests a step at least (default %(default)s)"
    )
    parser.add_argument(
        "--per-second",
        type=float,
        default=defaults.per_second,
        help="requests a second at most, 0: as fast as they are answered (default %(default)s)",
    )
    config.add_options(parser, "project")
    parser.epilog = (
        "It scales the running stack up and down, stops and kills a web node under load, and leaves as many nodes as it"
        " found. Exit status: 0 all collected and no request failed, 1 not so (the report says what), 2 wrong use."
    )


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Walk and write. Raises Fault when there is nothing to walk on or nowhere to write."""
    bounds: list[tuple[str, float, int, int]] = [
        ("--nodes-max", options.nodes_max, 3, NODES_MAX),
        ("--requests", options.requests, 100, REQUESTS_MAX),
        ("--per-second", options.per_second, 0, PER_SECOND_MAX),
    ]
    for name, value, least, most in bounds:
        if not least <= value <= most:
            raise Fault("take", f"{name} {value}", f"it is not from {least} to {most}", "", USAGE)
    settings = config.load(options, environment)
    engine = Engine.connect(environment)
    try:
        try:
            template = (settings.templates / "report.md.j2").read_text(encoding="utf-8")
        except OSError as error:
            raise Fault("read the template", str(settings.templates / "report.md.j2"), str(error)) from None
        stack = Stack(engine, settings.project, environment)
        stack.reach()
        folder = Folder(options.folder)
        folder.prepare()
        wishes = Wishes(options.nodes_max, options.requests, options.per_second)
        say = functools.partial(print, flush=True)
        evidence = Walk(stack, folder, environment, wishes, template, say).run()
    finally:
        engine.close()
    print(f"{evidence.failed} of {evidence.requests} requests failed under load")
    for problem in evidence.problems:
        print(f"problem: {problem.where}: {problem.text}")
    print(f"report: {options.folder / 'report.md'}")
    return 0 if evidence.good else 1


COMMANDS = {"evidence": Command(configure, run)}
