"""The command line behind ``make``: one word, everything else by variables as ``make`` passes them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from logship.errors import Fault
from supervise.up import run, stages
from supervise.up.request import request_of
from supervise.up.run import Machine
from supervise.up.shell import Shell

TREE = Path(__file__).resolve().parent.parent.parent

COMMANDS: Mapping[str, tuple[Callable[[Machine], int], str]] = {
    "up": (run.up, "from whatever there is to a healthy stack (NODES=2)"),
    "scale": (run.scale, "change the number of web nodes (NODES=5)"),
    "down": (run.down, "leave nothing running (VOLUMES=1: no volume and no image either)"),
    "images": (run.images, "build the images and print their sizes"),
    "tools": (stages.run, "what tests and benchmarks need in .venv"),
    "lint": (stages.run, "ruff and mypy"),
    "unit": (stages.run, "the tests that need no engine"),
    "e2e": (stages.run, "the tests on real containers"),
    "long": (stages.run, "the long forms of the tests"),
    "test": (stages.run, "lint, unit and e2e, with all their set-up"),
}


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 bad input (nothing was changed)."""
    parser = argparse.ArgumentParser(prog="supervise.up", description="What `make` does; see `make help`.")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, text) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=text, description=text)
        subparser.add_argument("--plan", action="store_true", help="print what would be done, and do nothing (PLAN=1)")
    options = parser.parse_args(arguments)
    try:
        request = request_of(options.command, environment, plan=options.plan)
        machine = Machine(request, Shell(environment), TREE)
        return run.plan(machine) if request.plan else COMMANDS[options.command][0](machine)
    except Fault as fault:
        sys.stdout.flush()
        print(f"make {options.command}: {fault}", file=sys.stderr)
        return fault.status
    except KeyboardInterrupt:
        print(f"make {options.command}: interrupted; say it again to go on", file=sys.stderr)
        return 130
