"""The command ``logship spool``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from logship import config
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.spool.run import Spool

SEGMENT_BYTES_MIN = 4096
SEGMENT_BYTES_MAX = 1024**3
BUDGETS = ("spool_bytes_max", "spool_container_bytes_max", "spool_volume_bytes_max")


def _configure(parser: argparse.ArgumentParser) -> None:
    config.add_options(parser, "fifo_dir", "spool", "copy_to", "segment_bytes", *BUDGETS)
    parser.epilog = (
        "Works until SIGTERM, takes what is in the pipes then, and ends with 0 within 2 seconds. What happens at the "
        "budgets, and what is counted as lost: docs/spool.md."
    )


def _spool(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = config.load(options, environment)
    if not SEGMENT_BYTES_MIN <= settings.segment_bytes <= SEGMENT_BYTES_MAX:
        _refuse("--segment-bytes", settings.segment_bytes, f"from {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}")
    for name in BUDGETS:
        value, unbound = getattr(settings, name), name != BUDGETS[0]
        if value < 2 * settings.segment_bytes and not (unbound and value == 0):
            wanted = f"at least two segments ({2 * settings.segment_bytes})"
            _refuse(f"--{name.replace('_', '-')}", value, wanted + (", or 0 for no bound" if unbound else ""))
    if not settings.fifo_dir.is_dir():
        hint = "PID 1 makes it: is this container run by `supervise init`?"
        raise Fault("look for FIFOs in", str(settings.fifo_dir), "no such folder", hint, USAGE)
    return Spool(settings).run()


def _refuse(name: str, value: int, wanted: str) -> None:
    raise Fault("take the setting", name, f"{value} is out of range", f"give {wanted}", USAGE)


COMMANDS = {"spool": Command(_configure, _spool)}
