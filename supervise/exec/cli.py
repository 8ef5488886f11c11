"""The command ``supervise exec``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from logship.commands import Command
from supervise.exec.run import run


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plan", required=True, metavar="PATH", help="plan.json as PID 1 wrote it")
    parser.add_argument("name", metavar="NAME", help="a program of the plan")
    parser.epilog = "Does not return when all is well; else 127 when there is no such program, 126 when it cannot run."


def _exec(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    return run(options.plan, options.name, environment)


COMMANDS = {"exec": Command(_configure, _exec)}
