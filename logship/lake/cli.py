"""The command ``logship seal``."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

from logship import config
from logship.collect.log import Log
from logship.collect.retention import DAY_SECONDS
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.lake.folder import LAKE, MANIFEST
from logship.lake.keep import Policy, by_stream
from logship.values import Invalid

_BOUNDS = {
    "lake_keep_bytes": (-1, 2**60),
    "keep_bytes": (0, 2**60),
    "lake_keep_days": (0, 36_500),
    "keep_days": (0, 36_500),
    "disk_free_min": (0, 2**60),
}
"""Least and most of each number; 0 of ``*keep_*`` is no bound, where nothing else is said."""


def _configure(parser: argparse.ArgumentParser) -> None:
    config.add_options(parser, "store", *_BOUNDS, "lake_keep_streams")
    parser.add_argument(
        "--optional", action="store_true", help="where DuckDB is not installed, say so and wait for SIGTERM"
    )
    parser.add_argument("--once", action="store_true", help="seal all that is finished, and end")
    parser.epilog = (
        "Works beside `logship collect`, at the lowest priority, until SIGTERM, and ends with 0. A segment of the "
        "journal is finished when the next one was begun. Exit status: 0; 1 when the lake is locked, cannot be "
        "written or is not what was written (with --once also when the disk is full); 2 usage. docs/lake.md says how "
        "to read the lake."
    )


def _seal(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = config.load(options, environment)
    for name, (least, most) in _BOUNDS.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            option = f"--{name.replace('_', '-')}"
            raise Fault("take the setting", option, f"{value} is out of range", f"give {least} to {most}", USAGE)
    streams = by_stream(settings.lake_keep_streams)
    if isinstance(streams, Invalid):
        hint = "say 'web/*=7 */serf/*=90'"
        raise Fault("take the setting", "--lake-keep-streams", streams.reason, hint, USAGE)
    days = settings.lake_keep_days or settings.keep_days
    size = settings.keep_bytes if settings.lake_keep_bytes < 0 else settings.lake_keep_bytes
    policy = Policy(size or None, days * DAY_SECONDS or None, streams)
    try:
        from logship.lake.run import Plan, run  # here: `--help` works without the libraries
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("duckdb", "nanoarrow", "numpy"):
            raise
        hint = "install them: pip install 'duckdb>=1.4,<3' 'nanoarrow>=0.6' 'numpy>=1.24'"
        if options.optional:
            return _off(str(error.name), settings.store)
        raise Fault("seal without", str(error.name), "it is not installed", hint) from None
    return run(Plan(settings.store, policy, settings.disk_free_min, options.once))


def _off(name: str, store: Path) -> int:
    """Say that nothing is sealed, and be no program that ends again and again.

    Signals have handlers: of a library that was imported threads may be there, which would take one that is blocked.
    """
    kept = "the journal is kept as without a lake"
    if (store / LAKE / MANIFEST).exists():
        kept = f"there is a lake, for which the journal waits until it is full: seal again, or move {store / LAKE} away"
    hint = f"{kept}; in an image: `make images` fetches it where an index can be reached"
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Log().say("WARNING", "off", cause=f"{name} is not installed: nothing is sealed", hint=hint)
    stop.wait()
    return 0


COMMANDS = {"seal": Command(_configure, _seal)}
