"""The in-container side of ``supervise ctl tail``: the last lines of programs' spool streams, then what follows."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from logship.errors import USAGE, Fault
from logship.spool.reader import READ_BYTES, StreamReader, tail_offset
from logship.spool.segment import listed
from supervise.fleet.lines import framed

POLL_SECONDS = 0.1
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Manner:
    """How to read: the last ``lines`` (None: all), then go on if ``follow``.

    ``frames``: several streams share stdout (``lines.framed``). ``while_input``: end when standard input does; who runs
    in a container hears in no other way that the reader has gone.
    """

    lines: int | None
    follow: bool = False
    frames: bool = False
    while_input: bool = False


def run(programs: Sequence[str], spool: Path, manner: Manner) -> int:
    """Write the streams of the programs to stdout; returns the exit status."""
    bad = [name for name in programs if not _NAME.fullmatch(name)]
    if bad:
        raise Fault("read the stream of", " ".join(bad), "no program can be called so", "", USAGE)
    if not spool.is_dir():
        raise Fault("read", str(spool), "there is no spool folder", "this works where PID 1 is supervise init")
    try:
        _run(programs, spool, manner)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Fault("read", str(error.filename or spool), error.strerror or str(error)) from None
    return 0


def _run(programs: Sequence[str], spool: Path, manner: Manner) -> None:
    readers = {name: StreamReader(spool / name, _begin(spool / name, manner.lines)) for name in programs}
    ends = {name: None if manner.follow else _end(spool / name) for name in programs}
    for name in programs:
        if not listed(spool / name):
            print(f"{name}: nothing has been written yet", file=sys.stderr, flush=True)
    while True:
        for name, reader in readers.items():
            _copy(name, reader, manner.frames, ends[name])
        if not manner.follow:
            return
        if not manner.while_input:
            time.sleep(POLL_SECONDS)
        elif select.select([0], [], [], POLL_SECONDS)[0] and not os.read(0, 4096):
            return


def _begin(folder: Path, lines: int | None) -> int:
    if lines is not None:
        return tail_offset(folder, lines)
    found = listed(folder)
    return found[0].offset if found else 0


def _end(folder: Path) -> int:
    found = listed(folder)
    return found[-1].end if found else 0


def _copy(name: str, reader: StreamReader, frames: bool, end: int | None) -> None:
    """Write what the stream holds now, up to ``end`` if given; a hole in it is told on stderr."""
    while end is None or reader.offset < end:
        skipped = reader.skipped_bytes
        data = reader.read(READ_BYTES if end is None else min(READ_BYTES, end - reader.offset))
        if reader.skipped_bytes > skipped:
            gone = reader.skipped_bytes - skipped
            print(f"{name}: {gone} bytes before the next line are gone", file=sys.stderr, flush=True)
        if not data:
            return
        left = memoryview(framed(name, data) if frames else data)
        while left:
            left = left[os.write(1, left) :]
        if end is None and len(data) < READ_BYTES:
            return
