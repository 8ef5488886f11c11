"""The command ``logship spool``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from logship import config
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.spool import bounds
from logship.spool.run import Spool


def _configure(parser: argparse.ArgumentParser) -> None:
    config.add_options(parser, "fifo_dir", "spool", "copy_to", "segment_bytes", *bounds.BUDGETS)
    parser.epilog = (
        "Works until SIGTERM, takes what is in the pipes then, and ends with 0 within 2 seconds. What happens at the "
        "budgets, and what is counted as lost: docs/spool.md."
    )


def _spool(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = config.load(options, environment)
    bounds.check(settings)
    if not settings.fifo_dir.is_dir():
        hint = "PID 1 makes it: is this container run by `supervise init`?"
        raise Fault("look for FIFOs in", str(settings.fifo_dir), "no such folder", hint, USAGE)
    return Spool(settings).run()


COMMANDS = {"spool": Command(_configure, _spool)}
