"""The command ``logship collect``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from logship import config
from logship.collect.commit import Bounds
from logship.collect.retention import DAY_SECONDS, Policy
from logship.collect.run import Plan, run
from logship.collect.store import Settings
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.wire import Limits

_BOUNDS = {
    "append_bytes_max": (64 * 1024, 32 * 1024**2),
    "streams_max": (1, 1_000_000),
    "connections_max": (16, 65_536),
    "keep_bytes": (0, 2**60),
    "keep_days": (0, 36_500),
    "tombstone_days": (1, 36_500),
    "journal_bytes_max": (0, 2**60),
    "disk_free_min": (0, 2**60),
}
"""Least and most of each number; 0 of ``keep_*`` and ``journal_bytes_max`` is no bound."""


def _configure(parser: argparse.ArgumentParser) -> None:
    config.add_options(parser, "store", "listen", *_BOUNDS, "allow_origin")
    parser.epilog = (
        "Works until SIGTERM, answers what it has begun to receive, and ends with 0; "
        "with 1 and a sentence when the store is damaged, locked or cannot be written."
    )


def _collect(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = config.load(options, environment)
    for name, (least, most) in _BOUNDS.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            _refuse(f"--{name.replace('_', '-')}", f"{value} is out of range", f"give {least} to {most}")
    segment_bytes = _segment_bytes(settings.keep_bytes)
    if 0 < settings.journal_bytes_max < settings.keep_bytes + 2 * segment_bytes:
        cause = f"{settings.journal_bytes_max} is less than --keep-bytes and two segments of {segment_bytes}"
        _refuse("--journal-bytes-max", cause, "give more, or keep less: else intake stops before anything is deleted")
    plan = Plan(
        store=settings.store,
        listen=settings.listen,
        settings=Settings(
            bounds=Bounds(
                disk_free_min=settings.disk_free_min,
                journal_bytes_max=settings.journal_bytes_max or None,
                segment_bytes_max=segment_bytes,
            ),
            limits=Limits(
                append_bytes_max=settings.append_bytes_max,
                streams_max=settings.streams_max,
                connections_max=settings.connections_max,
            ),
            policy=Policy(
                journal_bytes=settings.keep_bytes or None,
                age_seconds=settings.keep_days * DAY_SECONDS or None,
                tombstone_seconds=settings.tombstone_days * DAY_SECONDS,
            ),
        ),
        allow_origin=settings.allow_origin,
    )
    return run(plan)


def _segment_bytes(keep_bytes: int) -> int:
    """Whole segments are deleted: of a small journal they must be smaller, so that about so much is kept."""
    most = Bounds().segment_bytes_max
    return max(1024**2, min(most, keep_bytes // 8)) if keep_bytes else most


def _refuse(name: str, cause: str, hint: str) -> None:
    raise Fault("take the setting", name, cause, hint, USAGE)


COMMANDS = {"collect": Command(_configure, _collect)}
