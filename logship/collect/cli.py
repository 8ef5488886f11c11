"""The commands ``logship collect`` and ``logship fsck``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from logship import config, memory
from logship.collect import findings
from logship.collect.commit import Bounds
from logship.collect.fsck import opened
from logship.collect.retention import DAY_SECONDS, Policy
from logship.collect.run import Plan, run
from logship.collect.store import Settings
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.lake import fsck as lake_fsck
from logship.wire import Limits

_BOUNDS = {
    "append_bytes_max": (64 * 1024, 32 * 1024**2),
    "streams_max": (1, 1_000_000),
    "connections_max": (16, 65_536),
    "keep_bytes": (0, 2**60),
    "keep_days": (0, 36_500),
    "sealed_keep_bytes": (0, 2**60),
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
                unsealed_bytes_max=settings.keep_bytes + 2 * segment_bytes if settings.keep_bytes else None,
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
                sealed_bytes=settings.sealed_keep_bytes,
                tombstone_seconds=settings.tombstone_days * DAY_SECONDS,
            ),
        ),
        allow_origin=settings.allow_origin,
    )
    memory.keep()
    return run(plan)


def _segment_bytes(keep_bytes: int) -> int:
    """Whole segments are deleted: of a small journal they must be smaller, so that about so much is kept."""
    most = Bounds().segment_bytes_max
    return max(1024**2, min(most, keep_bytes // 8)) if keep_bytes else most


def _refuse(name: str, cause: str, hint: str) -> None:
    raise Fault("take the setting", name, cause, hint, USAGE)


def _configure_fsck(parser: argparse.ArgumentParser) -> None:
    config.add_options(parser, "store")
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="text, or a record a segment and file"
    )
    parser.epilog = (
        "Writes nothing. A store in use is checked up to what is durable; in one that is not, no collector can start "
        "until the check is over. Each file of the lake is held against the manifest, and so are the filters "
        "beside it; where those are missing, searches are slower, and nothing is damaged. "
        "Exit status: 0 all good; 1 damage found; 2 usage, or no store that can be read."
    )


def _fsck(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    as_json = options.output == "json"
    done: list[findings.Checked] = []
    with opened(config.load(options, environment).store) as check:
        for checked in check.run():
            done.append(checked)
            print(json.dumps(checked.record()) if as_json else "\n".join(checked.lines()), flush=True)
        summary = findings.Summary(str(check.folder), check.durable if check.in_use else None, done)
        parts: list[lake_fsck.Part] = []
        for part in lake_fsck.LakeCheck(check.folder, check.segments[0].lsn, check.end()).run():
            parts.append(part)
            print(json.dumps(part.record()) if as_json else "\n".join(part.lines()), flush=True)
    told = [*summary.lines(), *lake_fsck.summary(parts)]
    print(json.dumps({**summary.record(), "lake": lake_fsck.record(parts)}) if as_json else "\n".join(told))
    return 1 if summary.damaged or any(part.reasons for part in parts) else 0


COMMANDS = {"collect": Command(_configure, _collect), "fsck": Command(_configure_fsck, _fsck)}
